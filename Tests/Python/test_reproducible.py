"""The same bytes from any number of ranks, run after run."""

import hashlib
import json

import pytest

from harness import LONG


def digests(out):
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(out.iterdir()) if p.name != "run.json"}


@pytest.mark.parametrize("precision", ["f64", "f32"])
@pytest.mark.parametrize(
    "name, select",
    [("minilm", "global"), ("bf16_sharded", "global"), ("bf16_sharded", "matrix"), ("mixed", "uniform"), ("equal_scores", "global")]
    + [("minilm", "matrix"), ("minilm", "uniform"), ("bf16_sharded", "uniform"), ("mixed", "global"), ("twins", "global")] * LONG,
)
def test_bytes_do_not_depend_on_the_number_of_ranks(frog, checkpoint, tmp_path, name, select, precision):
    found = {}
    for run, ranks in enumerate((1, 2, 3, 7, 2)):
        out = tmp_path / f"run-{run}"
        frog.mask(checkpoint(name), out, "--budget", "1%", "--select", select, "--precision", precision, ranks=ranks, timeout=240)
        found[f"run {run} on {ranks}"] = digests(out)
    first = next(iter(found.values()))
    assert {"frog.json", "masks.safetensors.index.json"} < first.keys()
    for run, files in found.items():
        assert files == first, run


def test_bytes_do_not_depend_on_how_files_are_read(frog, checkpoint, tmp_path):
    for io in ("mmap", "pread"):
        frog.mask(checkpoint("bf16_sharded"), tmp_path / io, "--io", io, ranks=2)
    assert digests(tmp_path / "mmap") == digests(tmp_path / "pread")


def test_overwriting_leaves_nothing_of_the_former_run(frog, checkpoint, tmp_path):
    frog.mask(checkpoint("bf16_sharded"), tmp_path / "out", "--budget", "5%")
    frog.mask(checkpoint("mixed"), tmp_path / "out", "--overwrite")
    frog.mask(checkpoint("mixed"), tmp_path / "fresh")
    assert digests(tmp_path / "out") == digests(tmp_path / "fresh")


def test_ranks_alone_differ_in_the_record_of_the_run(frog, checkpoint, tmp_path):
    frog.mask(checkpoint("mixed"), tmp_path / "out", ranks=3)
    run = json.loads((tmp_path / "out/run.json").read_text())
    assert all(len(phase["seconds"]) == 3 for phase in run["phases"])
