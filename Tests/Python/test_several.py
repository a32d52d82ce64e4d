"""Several masks from one run: each is what a run of its own makes, byte by byte."""

import itertools
import json
import os
import shutil
import signal

import pytest

import checkpoints
import layouts
import test_extremes
from harness import LONG, assert_refused, at_stage

WORK = ".frog-mpi"


def contents(folder):
    """Everything below a folder that must not differ between equal runs."""
    return {
        str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "run.json"
    }


def name(select, budget, normalize="none", sample="none"):
    """The folder of a mask, as docs/reference/formats.md says."""
    words = [select, budget.replace(":", "")]
    words += [normalize] * (normalize != "none") + [f"sample{sample}"] * (sample != "none")
    return "-".join(words)


class Lists:
    """The lists of a run, and its masks."""

    def __init__(self, budgets, selects=("global",), normalizations=("none",), samples=("none",)):
        self.values = (budgets, selects, normalizations, samples)

    @property
    def options(self):
        names = ("--budget", "--select", "--normalize", "--sample")
        given = [(name, values) for name, values in zip(names, self.values) if tuple(values) != ("none",)]
        return [word for name, values in given for word in (name, ",".join(values))]

    @property
    def masks(self):
        """Folder → the options of the mask alone."""
        found = {}
        for budget, select, normalize, sample in itertools.product(*self.values):
            options = ["--budget", budget, "--select", select, "--normalize", normalize]
            found[name(select, budget, normalize, sample)] = options + ["--sample", sample] * (sample != "none")
        return found


def several(frog, source, out, *options, ranks=1, timeout=120):
    """A run of several masks that has to succeed; returns masks.json."""
    result = frog("mask", source, "--out", out, "--threads", 1, *options, ranks=ranks, timeout=timeout)
    assert result.status == 0, str(result)
    return json.loads((out / "masks.json").read_text())


def assert_masks_of_their_own(frog, source, out, lists, *options, ranks=1):
    """Every mask in `out` is what a run for it alone makes, on `ranks` ranks, and there is no other."""
    assert {path.name for path in out.iterdir()} == {*lists.masks, "masks.json", "run.json"}
    for folder, own in lists.masks.items():
        alone = out.parent / "alone"
        frog.mask(source, alone, *own, *options, ranks=ranks)
        assert contents(out / folder) == contents(alone), folder
        shutil.rmtree(alone)


ALL = ("global", "matrix", "uniform", "lora")

CASES = {
    "budgets_and_selections": ("mixed", Lists(("0.5%", "20%", "lora:1"), ALL), ()),
    "rankings": ("mixed", Lists(("3%",), ("global", "uniform"), ("none", "matrix", "rowcol"), ("none", "2")), ("--seed", 5)),
    "ties": ("equal_scores", Lists(("0%", "7%", "100%"), ("global", "matrix")), ()),
    "quality": ("mixed", Lists(("1%", "5%"), ("global", "matrix")), ("--quality-weight", "alpha", "--analyze")),
    "approximate": (
        "bf16_sharded", Lists(("1%", "10%"), ("global", "matrix"), ("none", "rowcol")),
        ("--rank", 8, "--oversample", 2, "--audit", 2)),
    "bitmaps": ("mixed", Lists(("1%", "2%"), ("global", "uniform")), ("--format", "bitmap", "--score", "magnitude")),
    "names": ("bf16_sharded", Lists(("1%", "2%")), ("--names", "transformers5", "--no-histograms")),
}  # fmt: skip


@pytest.mark.parametrize("ranks", [1, 2, 3])
@pytest.mark.parametrize("case", CASES)
def test_each_is_that_of_a_run_of_its_own(frog, checkpoint, tmp_path, case, ranks):
    source, lists, options = CASES[case]
    out = tmp_path / "out"
    document = several(frog, checkpoint(source), out, *lists.options, *options, ranks=ranks)
    assert [mask["folder"] for mask in document["masks"]] == list(order(lists))
    if ranks == 1 or LONG:
        assert_masks_of_their_own(frog, checkpoint(source), out, lists, *options)
    else:
        several(frog, checkpoint(source), tmp_path / "one", *lists.options, *options)
        assert contents(out) == contents(tmp_path / "one")
    assert frog("verify", out, "--checkpoint", checkpoint(source)).status == 0


def order(lists):
    """Budgets change fastest, then selections, normalizations and samples."""
    budgets, selects, normalizations, samples = lists.values
    for sample, normalize, select, budget in itertools.product(samples, normalizations, selects, budgets):
        yield name(select, budget, normalize, sample)


@pytest.mark.parametrize("case", ["one_large_one_small", "sixty_decades", "one_beyond_single_precision"])
def test_units_of_extreme_weights_do_not_mix(frog, tmp_path, case):
    # One threshold ranks scores in a unit of all matrices, budgets of matrices in a unit of each.
    source = test_extremes.write(tmp_path / "source", *test_extremes.CASES[case])
    lists = Lists(("5%", "97%"), ("global", "matrix", "uniform"), ("none", "matrix"))
    several(frog, source, tmp_path / "out", *lists.options, ranks=2)
    assert_masks_of_their_own(frog, source, tmp_path / "out", lists)


@pytest.mark.parametrize("layout, options", [("gpt-oss (BF16)", ("--split-fused",)), ("DeepSeek-V3", ()), ("gpt2", ("--split-fused",))])
def test_stacks_and_split_parts(frog, tmp_path, layout, options):
    source = tmp_path / "source"
    layouts.write_layout(source, layout)
    lists = Lists(("1%", "10%"), ("global", "uniform"))
    several(frog, source, tmp_path / "out", *lists.options, *options, ranks=3)
    assert_masks_of_their_own(frog, source, tmp_path / "out", lists, *options)


def test_teams(frog, checkpoint, tmp_path):
    source = checkpoint("bf16_sharded")
    lists = Lists(("1%", "5%"), ("global", "matrix"), ("none", "rowcol"))
    # Scores that need no eigensolver are the same whoever makes them, so teams and one rank agree in every byte.
    several(frog, source, tmp_path / "out", *lists.options, "--score", "magnitude", "--teams", "speed", ranks=6)
    assert_masks_of_their_own(frog, source, tmp_path / "out", lists, "--score", "magnitude")


@pytest.mark.parametrize("ranks", [1, 3])
def test_a_killed_run_goes_on(frog, checkpoint, tmp_path, ranks):
    source = checkpoint("mixed")
    lists = Lists(("0.5%", "5%"), ("global", "matrix"), ("none", "rowcol"))
    several(frog, source, tmp_path / "whole", *lists.options)
    out = tmp_path / "out"

    def kill(process):
        os.kill(process.pid, signal.SIGKILL)

    result = at_stage(frog, "masks", kill, source, "--out", out, "--threads", 1, *lists.options)
    assert result.status == -signal.SIGKILL, str(result)
    assert {path.name for path in out.iterdir()} == {WORK}
    # Half of the matrices are lost.
    for path in sorted((out / WORK).glob("*.frogrec"))[::2]:
        path.unlink()
    several(frog, source, out, *lists.options, "--resume", ranks=ranks)
    assert contents(out) == contents(tmp_path / "whole")
    # Nothing is left to do.
    assert "finished earlier" in frog("mask", source, "--out", out, *lists.options, "--resume").stdout
    refused = frog("mask", source, "--out", out, "--threads", 1, "--budget", "0.5%,5%", "--resume")
    assert_refused(refused, 64, "--select was 'global','matrix', is 'global'", "--normalize was 'none','rowcol', is 'none'")


def test_a_folder_turns_from_one_mask_to_several_and_back(frog, checkpoint, tmp_path):
    source, out = checkpoint("mixed"), tmp_path / "out"
    frog.mask(source, out)
    assert_refused(frog("mask", source, "--out", out, "--budget", "1%,2%"), 64, "not empty")
    several(frog, source, out, "--budget", "1%,2%", "--overwrite")
    several(frog, source, tmp_path / "fresh", "--budget", "1%,2%")
    assert contents(out) == contents(tmp_path / "fresh")
    (out / "global-2%" / "notes.txt").write_text("mine")
    several(frog, source, out, "--budget", "1%,3%", "--overwrite")
    assert {path.name for path in out.iterdir()} == {"global-1%", "global-2%", "global-3%", "masks.json", "run.json"}
    assert [path.name for path in (out / "global-2%").iterdir()] == ["notes.txt"]
    frog.mask(source, out, "--overwrite")
    frog.mask(source, tmp_path / "one")
    (out / "global-2%" / "notes.txt").unlink()
    (out / "global-2%").rmdir()
    assert contents(out) == contents(tmp_path / "one")


def test_verify_finds_what_has_changed(frog, checkpoint, tmp_path):
    out = tmp_path / "out"
    several(frog, checkpoint("mixed"), out, "--budget", "1%,2%,3%")

    def refused(*words):
        result = frog("verify", out, ranks=2)
        assert_refused(result, 65, *words)

    text = (out / "masks.json").read_text()
    (out / "masks.json").write_text(text.replace('"kept" : ', '"kept" : 1'))
    refused("masks.json", "global-1%")
    (out / "masks.json").write_text(text)
    # A whole mask in the place of another, which says nothing wrong of itself.
    shutil.move(out / "global-2%", tmp_path / "moved")
    shutil.copytree(out / "global-3%", out / "global-2%")
    refused("masks.json", "global-2%")
    shutil.rmtree(out / "global-2%")
    assert_refused(frog("verify", out), 66, "global-2%")
    shutil.move(tmp_path / "moved", out / "global-2%")
    shutil.copytree(out / "global-3%", out / "global-4%")
    refused("global-4%", "not a mask of this run")
    shutil.rmtree(out / "global-4%")
    assert frog("verify", out).status == 0
    with open(next((out / "global-3%").glob("masks-*.safetensors")), "r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\x7f")
    refused("global-3%", "SHA-256")


@pytest.mark.parametrize(
    "options, words",
    [
        (("--budget", "1%,0.01"), ("0.01 comes twice",)),
        (("--budget", "1%,,2%"), ("share from 0 to 1",)),
        (("--budget", "1%,2"), ("share from 0 to 1",)),
        (("--keep", "5,-1"), ("0 or more",)),
        (("--select", "global,best"), ("global, matrix, uniform or lora",)),
        (("--sample", "none,1001"), ("from 0 to 1000",)),
        (("--normalize", "none,none"), ("none comes twice",)),
        (("--budget", "1%,2%", "--target-overlap", "0.9"), ("--target-overlap", "one mask")),
        (("--select", "global,uniform", "--quality-weight", "alpha"), ("--quality-weight",)),
        (("--keep", ",".join(map(str, range(65)))), ("65 combinations", "64")),
        (("--keep", "1,99999999"), ("99999999",)),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) and str(value[0]).startswith("--") else "",
)
def test_lists_that_make_no_sense(frog, checkpoint, tmp_path, options, words):
    result = frog("mask", checkpoint("mixed"), "--out", tmp_path / "out", *options, ranks=2)
    assert_refused(result, 64, *words)
    assert not (tmp_path / "out").exists()


def test_a_file_in_the_place_of_a_folder(frog, checkpoint, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "global-2%").write_text("mine")
    result = frog("mask", checkpoint("mixed"), "--out", out, "--overwrite", "--budget", "1%,2%")
    assert_refused(result, 64, "global-2%", "no folder")
    assert [path.name for path in out.iterdir()] == ["global-2%"]


def test_inspect_shows_all_and_asks_for_one(frog, checkpoint, tmp_path):
    out = tmp_path / "out"
    document = several(frog, checkpoint("mixed"), out, "--budget", "1%,2%", "--select", "global,uniform")
    result = frog("inspect", out)
    assert result.status == 0 and all(mask["folder"] in result.stdout for mask in document["masks"])
    assert json.loads(frog("inspect", out, "--json").stdout) == document
    assert frog("inspect", out / "global-1%").status == 0
    assert_refused(frog("inspect", out, "--layers"), 64, "several masks", "global-1%")


def test_many_masks_of_many_matrices(frog, tmp_path):
    import numpy as np

    generator = np.random.default_rng(4)
    tensors = {f"h.{i}.w.weight": checkpoints.encode(generator.standard_normal((6, 5)), "F32") for i in range(300)}
    source = checkpoints.write_checkpoint(tmp_path / "source", tensors)
    lists = Lists(tuple(f"{i}%" for i in range(1, 17)), ALL)
    document = several(frog, source, tmp_path / "out", *lists.options, ranks=2)
    assert len(document["masks"]) == 64
    assert frog("verify", tmp_path / "out", ranks=2).status == 0
