"""Runs of `frog-mpi export`: equal bytes, interruptions, what is replaced, verification, plans, bad input."""

import itertools
import json
import os
import shutil
import signal
import time

import numpy as np
import pytest

import checkpoints
import kinds
import reference
from exports import METHODS, contents, export, llama, tensors_of
from harness import assert_refused, final_files
from test_factor import killed

WORK = ".frog-mpi"
OPTIONS = ("--rank", 4, "--diagonals", 2)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return llama(tmp_path_factory.mktemp("llama") / "model", layers=2)


@pytest.fixture(scope="module")
def whole(frog, model, tmp_path_factory):
    """PiSSA, SVFT and LoRA-XS from one run."""
    out = tmp_path_factory.mktemp("export") / "out"
    export(frog, "svft,pissa,lora-xs", model, out, *OPTIONS)
    return out


def copied(whole, place):
    shutil.copytree(whole, place)
    return place


# Equal bytes ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ranks", [2, 3])
def test_any_number_of_ranks_writes_the_same(frog, model, whole, tmp_path, ranks):
    export(frog, "lora-xs,svft,pissa", model, tmp_path / "out", *OPTIONS, ranks=ranks)
    assert contents(tmp_path / "out") == contents(whole)


def test_a_method_writes_the_same_alone_and_among_others(frog, model, tmp_path):
    export(frog, ",".join(METHODS), model, tmp_path / "all", *OPTIONS, ranks=2)
    together = contents(tmp_path / "all")
    for method in METHODS:
        options = ("--diagonals", 2) if method == "svft" else ("--rank", 4)
        export(frog, method, model, tmp_path / method, *options)
        alone = contents(tmp_path / method)
        names = {name for name in together if name.startswith(method + "/")}
        assert alone.keys() == names | {"export.json"}
        assert [name for name in names if alone[name] != together[name]] == []


def test_a_team_where_memory_needs_it(frog, tmp_path):
    """A team adds in another order: the numbers are the same to rounding, and the record names its size."""
    generator = np.random.default_rng(9)
    left, right = (np.linalg.qr(generator.standard_normal((2048, 6)))[0] for _ in range(2))
    weights = left * np.arange(9, 3, -1) @ right.T + 1e-3 * generator.standard_normal((2048, 2048))
    source = checkpoints.write_checkpoint(tmp_path / "in", {"h.0.weight": checkpoints.encode(weights, "F32")})
    alone = export(frog, "pissa", source, tmp_path / "alone", "--rank", 4)
    plan = json.loads(frog("plan", source, "--for", "export", "--method", "pissa", "--rank", 4, "--ranks", 1, "--json").stdout)
    memory = ("--memory", plan["matrices"][0]["bytes_per_rank"] - 1)
    teams = export(frog, "pissa", source, tmp_path / "teams", "--rank", 4, *memory, ranks=3)
    assert alone["matrices"][0]["members"] == 1 and teams["matrices"][0]["members"] > 1
    for folder in ("pissa", "pissa/adapter"):
        ours, theirs = tensors_of(tmp_path / "alone" / folder), tensors_of(tmp_path / "teams" / folder)
        for name, (_, value) in ours.items():
            assert np.abs(value - theirs[name][1]).max() <= 2e-6 * np.abs(value).max(), name


def test_an_output_folder_in_the_checkpoint_is_no_part_of_the_base(frog, tmp_path):
    source = llama(tmp_path / "in")
    (source / "adapter").mkdir()
    (source / "adapter/adapter_config.json").write_text("{}")
    export(frog, "pissa", source, source / "out", "--rank", 2)
    first = contents(source / "out")
    assert "pissa/original/params.json" in first and b"LORA" in first["pissa/adapter/adapter_config.json"]
    # Also if nothing says any more what the folder is.
    (source / "out/export.json").unlink()
    export(frog, "pissa", source, source / "out", "--rank", 2, "--overwrite")
    export(frog, "pissa", source, source / "another", "--rank", 2)
    assert contents(source / "out") == first == contents(source / "another")


def test_the_index_keeps_its_name(frog, tmp_path):
    source, name = llama(tmp_path / "in"), "diffusion_pytorch_model.safetensors.index.json"
    for path in list(source.glob("model*")):
        path.rename(source / f"diffusion_pytorch_{path.name}")
    (source / name).write_text((source / name).read_text().replace("model-", "diffusion_pytorch_model-"))
    export(frog, "pissa", source, tmp_path / "out", "--rank", 2)
    assert (tmp_path / "out/pissa" / name).read_bytes() == (source / name).read_bytes()


# Interrupted runs -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ranks", [1, 3])
def test_a_killed_run_goes_on(frog, model, whole, tmp_path, ranks):
    out = tmp_path / "out"
    left = killed(frog, model, out, 3, command=("export", "svft,pissa,lora-xs"), options=OPTIONS)
    assert 3 <= left < 14 and final_files(out) == []
    assert_refused(frog("export", "svft,pissa,lora-xs", model, "--out", out, "--threads", 1, *OPTIONS), 64, "--resume")
    export(frog, "svft,pissa,lora-xs", model, out, *OPTIONS, "--resume", ranks=ranks)
    assert contents(out) == contents(whole)
    assert json.loads((out / "run.json").read_text())["resumed_matrices"] == left
    assert not (out / WORK).exists()


def test_ranks_by_spectrum_go_on_too(frog, model, tmp_path):
    options = ("--rank-by", "energy:0.8")
    export(frog, "pissa,lora-xs", model, tmp_path / "whole", *options)
    killed(frog, model, tmp_path / "out", 16, command=("export", "pissa,lora-xs"), options=options)
    export(frog, "pissa,lora-xs", model, tmp_path / "out", *options, "--resume", ranks=2)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_bytes_that_changed_since_are_done_again(frog, model, whole, tmp_path):
    out = tmp_path / "out"
    left = killed(frog, model, out, 3, ranks=1, command=("export", "svft,pissa,lora-xs"), options=OPTIONS)
    ordinal = min(int(path.name.split("-")[1].split(".")[0]) for path in (out / WORK).glob("*.frogrec"))
    matrix = json.loads((whole / "export.json").read_text())["matrices"][ordinal]
    wanted = f"base_model.model.{matrix['module']}.lora_B.weight"
    headers = [t for file in sorted((out / WORK).glob("export-*.part")) if file.read_bytes()[:8].strip(b"\0") for t in
               reference.read_header(file)]  # fmt: skip
    tensor = next(t for t in headers if t.name == wanted)
    with open(tensor.file, "r+b") as stream:
        stream.seek(tensor.start)
        byte = stream.read(1)
        stream.seek(tensor.start)
        stream.write(bytes([byte[0] ^ 1]))
    result = frog("export", "svft,pissa,lora-xs", model, "--out", out, "--threads", 1, *OPTIONS, "--resume")
    assert result.status == 0 and "was damaged" in result.stderr and matrix["name"] in result.stderr, str(result)
    assert contents(out) == contents(whole)
    assert json.loads((out / "run.json").read_text())["resumed_matrices"] == left - 1


def test_another_choice_does_not_go_on(frog, model, whole, tmp_path):
    out = copied(whole, tmp_path / "out")
    result = frog("export", "svft,pissa,lora-xs", model, "--out", out, "--threads", 1, *OPTIONS, "--resume")
    assert result.status == 0 and contents(out) == contents(whole)
    for methods, options, words in [
        ("svft,pissa", OPTIONS, "METHOD"), ("svft,pissa,lora-xs", ("--rank", 5, "--diagonals", 2), "--rank was 4, is 5"),
        ("svft,pissa,lora-xs", ("--rank", 4), "--diagonals was 2, is 16"),
        ("svft,pissa,lora-xs", (*OPTIONS, "--target-modules", "q_proj"), "--target-modules"),
        ("svft,pissa,lora-xs", (*OPTIONS, "--dtype", "bf16"), "--dtype"),
    ]:  # fmt: skip
        result = frog("export", methods, model, "--out", out, "--threads", 1, *options, "--resume")
        assert_refused(result, 64, words)
    assert contents(out) == contents(whole)


# What is replaced -------------------------------------------------------------------------------------------------------------------

MINE = {"notes.txt": b"mine", "pissa/notes.txt": b"mine", "svft/trained/values.bin": b"mine"}


def add_mine(out):
    for name, content in MINE.items():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_bytes(content)


def test_an_older_export_of_other_methods_goes(frog, model, whole, tmp_path):
    out = copied(whole, tmp_path / "out")
    add_mine(out)
    assert_refused(frog("export", "mica", model, "--out", out, "--threads", 1), 64, "--overwrite")
    export(frog, "mica", model, out, "--rank", 2, "--overwrite")
    made = {"export.json", "mica/adapter_config.json", "mica/adapter_model.safetensors"}
    assert contents(out).keys() - {"mica/README.md"} == {*made, *MINE}
    assert {name: (out / name).read_bytes() for name in MINE} == MINE
    assert not (out / "lora-xs").exists() and not (out / "pissa/adapter").exists() and not (out / "pissa/original").exists()
    assert frog("verify", out).status == 0


@pytest.mark.parametrize("left", ["nothing", "unfinished", "no record", "broken record", "newer record", "a file that a folder should be"])
def test_overwriting_in_any_state(frog, model, whole, tmp_path, left):
    out = copied(whole, tmp_path / "out")
    if left == "unfinished":
        killed(frog, model, out, 3, command=("export", "svft,milora"), options=("--rank", 3, "--overwrite"))
    elif left == "no record":
        (out / "export.json").unlink()
    elif left == "broken record":
        (out / "export.json").write_text('{"files": {')
    elif left == "newer record":
        spoil(out / "export.json", b'"format_version" : 1', b'"format_version" : 9')
    elif left == "a file that a folder should be":
        shutil.rmtree(out / "lora-xs")
        (out / "mica").write_text("mine")
    methods = "mica" if left == "a file that a folder should be" else "svft,lora-xs"
    result = frog("export", methods, model, "--out", out, "--threads", 1, "--rank", 2, "--overwrite")
    if left == "a file that a folder should be":
        assert_refused(result, 74, "mica")
        return
    assert result.status == 0, str(result)
    assert frog("verify", out).status == 0
    found = {name.split("/")[0] for name in contents(out)}
    # Without its record nothing tells which files the older export had, and they stay.
    assert found == {"export.json", "svft", "lora-xs", *(["pissa"] if "record" in left else [])}


def test_starting_anew_while_results_get_their_names(frog, model, whole, tmp_path):
    """A run that was killed amid its renames, after the older record had gone, and another that is not the same."""
    out = copied(whole, tmp_path / "out")
    add_mine(out)
    other = tmp_path / "other"
    export(frog, "milora", model, other, "--rank", 3)
    # The state between: a commit, its files in the work folder, some of them renamed.
    (out / WORK).mkdir()
    killed(frog, model, tmp_path / "begun", 3, command=("export", "milora"), options=("--rank", 3))
    shutil.copy(tmp_path / "begun" / WORK / "identity.json", out / WORK)
    entries = [{"work": f"p{i}", "name": name.rpartition("/")[2], **({"folder": name.rpartition("/")[0]} if "/" in name else {})}
               for i, name in enumerate([*sorted(contents(other).keys() - {"export.json"}), "export.json"])]  # fmt: skip
    older = json.loads((out / "export.json").read_text())["files"]
    for i, entry in enumerate(entries):
        path = f"{entry['folder']}/{entry['name']}" if "folder" in entry else entry["name"]
        place = out / path if i == 0 else out / WORK / entry["work"]
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(other / path, place)
    commit = {"entries": entries, "obsolete": [], "stale": sorted(older)}
    (out / WORK / "commit.json").write_text(json.dumps(commit))
    (out / "export.json").unlink()
    export(frog, "mica", model, out, "--rank", 2, "--overwrite")
    assert {name for name in contents(out) if not name.startswith("mica/")} == {"export.json", *MINE}
    assert frog("verify", out).status == 0


def test_results_of_another_command_stay(frog, model, whole, tmp_path):
    frog.mask(model, tmp_path / "masks", "--budget", "1%")
    assert_refused(frog("export", "mica", model, "--out", tmp_path / "masks", "--overwrite"), 64, "frog-mpi mask")
    out = copied(whole, tmp_path / "out")
    assert_refused(frog("mask", model, "--out", out, "--overwrite"), 64, "frog-mpi export")
    assert_refused(frog("factor", model, "--out", out, "--overwrite"), 64, "frog-mpi export")


# Verification -----------------------------------------------------------------------------------------------------------------------


def spoil(path, old, new):
    text = path.read_bytes()
    assert old in text
    path.write_bytes(text.replace(old, new, 1))


def flip(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


DAMAGE = {
    "a byte of a base": (lambda out: flip(out / "pissa/model-00002-of-00003.safetensors"), ["model-00002", "SHA-256"]),
    "a byte of an adapter": (lambda out: flip(out / "pissa/adapter/adapter_model.safetensors"), ["adapter_model", "SHA-256"]),
    "a shorter file": (lambda out: os.truncate(out / "svft/adapter-00001-of-00003.safetensors", 100), ["adapter-00001", "100 bytes"]),
    "a lost file": (lambda out: (out / "pissa/tokenizer.json").unlink(), ["tokenizer.json"]),
    "another configuration": (lambda out: spoil(out / "pissa/adapter/adapter_config.json", b'"r" : 4', b'"r" : 5'), ["SHA-256"]),
    "another index": (lambda out: spoil(out / "svft/adapter.safetensors.index.json", b".svft_layer.u", b".svft_layer.x"), ["SHA-256"]),
    "another record of an adapter": (lambda out: spoil(out / "svft/adapter.json", b'"rank" : 48', b'"rank" : 47'), ["SHA-256"]),
    "a shard that nobody made": (
        lambda out: shutil.copy(out / "pissa/model-00001-of-00003.safetensors", out / "pissa/model.safetensors"),
        ["pissa/model.safetensors", "not a file of this run"]),
    "a record without a file": (
        lambda out: forget(out / "export.json", "pissa/adapter/adapter_model.safetensors"), ["adapter_model", "not a file of this run"]),
    "a rank in the record": (lambda out: spoil(out / "export.json", b'"rank" : 4\n', b'"rank" : 5\n'), ["export.json", "its tensors"]),
    "a record of a newer program": (lambda out: spoil(out / "export.json", b'_version" : 1', b'_version" : 9'), ["version 9"]),
    "no record": (lambda out: (out / "export.json").unlink(), ["not an output directory"]),
    "an empty record": (lambda out: (out / "export.json").write_bytes(b"{}"), ["export.json"]),
    "a path out of the folder": (lambda out: spoil(out / "export.json", b'"svft/', b'"../vft/'), ["no name of a file"]),
}  # fmt: skip


def forget(record, name):
    document = json.loads(record.read_text())
    del document["files"][name]
    record.write_text(json.dumps(document))


@pytest.mark.parametrize("damage", DAMAGE)
def test_verify_refuses_what_has_changed(frog, whole, tmp_path, damage):
    out = copied(whole, tmp_path / "out")
    change, words = DAMAGE[damage]
    change(out)
    assert_refused(frog("verify", out), 65, *words)


def test_verify_and_inspect(frog, checkpoint, model, whole, tmp_path):
    assert frog("verify", whole, "--checkpoint", model, ranks=2).status == 0
    assert_refused(frog("verify", whole, "--checkpoint", checkpoint("mixed")), 65, "fingerprint")
    out = copied(whole, tmp_path / "out")
    (out / "pissa/my notes.txt").write_text("notes")
    assert frog("verify", out).status == 0
    shown = frog("inspect", whole)
    lines = [line.split() for line in shown.stdout.splitlines()]
    assert ["model.layers.1.mlp.up_proj", "[80,", "48]", "svft", "48", "100.00%", "-"] in lines
    assert sum(line[3:5] == ["pissa", "4"] for line in lines) == 14
    assert json.loads(frog("inspect", "--json", whole).stdout) == json.loads((whole / "export.json").read_text())


def test_the_end_names_what_came_out_once(frog, model, tmp_path):
    result = frog("export", "svft,pissa,mica", model, "--out", tmp_path / "out", "--threads", 1, "--rank", 3)
    assert result.status == 0 and result.stdout.count("adapters     ") == 1, str(result)
    names = [line.split()[0] for line in result.stdout.splitlines()]
    assert names[:4] == ["matrices", "svft", "pissa", "mica"] and "14 of 14 get adapters" in result.stdout


# Plans and bad input ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [
    ("pissa",), ("svft", "--diagonals", 3), ("pissa,milora,svft", "--rank", 4), ("milora", "--rank", 4, "--keep-base"),
    ("lora-xs", "--target-modules", "q_proj"),
])  # fmt: skip
def test_a_plan_foretells_what_is_written(frog, model, tmp_path, options):
    methods, *others = options
    described = export(frog, methods, model, tmp_path / "out", *others)
    plan = json.loads(frog("plan", model, "--for", "export", "--method", methods, *others, "--json").stdout)
    written = sum(file["bytes"] for name, file in described["files"].items() if name.endswith(".safetensors"))
    assert 0 <= plan["totals"]["bytes_written"] - written <= 4096 * len(described["matrices"])
    assert len(plan["matrices"]) == len(described["matrices"])


def test_a_disk_that_is_too_small_is_found_before_work_begins(frog, tmp_path):
    tensors = [(f"h.{i}.weight", "F32", (4096, 4096)) for i in range(10_000)]
    (tmp_path / "in").mkdir()
    kinds.write_sparse(tmp_path / "in/model.safetensors", tensors)
    status = os.statvfs(tmp_path)
    if status.f_bavail * status.f_frsize > 10_000 * 4 * 4096 * 4096:
        pytest.skip("the disk is large")
    for methods, options in [("svft", ("--diagonals", 0)), ("pissa,mica", ("--rank", 1)), ("pissa", ("--rank-by", "energy:0.9"))]:
        started = time.monotonic()
        result = frog("export", methods, tmp_path / "in", "--out", tmp_path / "out", *options, ranks=2)
        assert_refused(result, 74, "free", "make room")
        assert time.monotonic() - started < 30 and not (tmp_path / "out").exists()


OWNERS = [
    ("svft", ("--rank", 4), "--rank belongs to"), ("svft", ("--alpha", 4), "--alpha belongs to"), ("pissa", ("--dtype", "bf16"), "--dtype"),
    ("pissa", ("--pattern", "plain"), "--pattern belongs to svft"), ("mica", ("--keep-base",), "--keep-base belongs to"),
    ("pissa", ("--serveable",), "--rank-by"), ("pissa", ("--rank-by", "energy:2"), "--rank-by"),
    ("milora", ("--rank-by", "alpha"), "--rank-by"),
    ("pissa,mica", ("--rank-by", "alpha"), "trailing"),
    ("pissa,lora-xs", ("--rank-by", "alpha"), "different defaults"), ("lora-xs,tinylora", ("--rank-by", "alpha"), "one rank"),
    ("pissa", ("--rank-by", "stable-rank", "--rank", 4), "--rank is given by"), ("svft", ("--top-k-rule", "repo"), "--pattern top-k"),
    ("svft", ("--pattern", "plain", "--diagonals", 2), "no --diagonals"), ("svft", ("--diagonals", -1), "--diagonals"),
    ("pissa", ("--rank", 0), "--rank"), ("pissa", ("--alpha", 0), "--alpha"), ("pissa", ("--alpha", "inf"), "--alpha"),
    ("svft", ("--seed", 1), "--seed"),
    ("svft", ("--pattern", "diagonal"), "plain"), ("pizza", (), "pissa"), ("pissa,pissa", (), "pissa"), ("", (), "METHOD"),
    ("pissa", ("--split-fused",), "--split-fused"),
]  # fmt: skip


@pytest.mark.parametrize(("methods", "options", "word"), OWNERS, ids=[" ".join(map(str, (m, *o))) for m, o, _ in OWNERS])
def test_options_that_make_no_sense(frog, model, tmp_path, methods, options, word):
    result = frog("export", methods, model, "--out", tmp_path / "out", *options)
    assert result.status == 64 and word.lower() in result.stderr.lower(), str(result)
    assert not (tmp_path / "out").exists()


def test_bad_input(frog, model, tmp_path):
    result = frog("export", "mica", model, "--out", tmp_path / "out", "--rank", 17)
    assert_refused(result, 64, "k_proj", "[16, 48]", "no more than 16", "--rank", "--target-modules")
    assert_refused(frog("export", "mica", tmp_path / "nowhere", "--out", tmp_path / "out"), 66, "nowhere")
    assert_refused(frog("export", "mica", model, "--out", model), 64, "checkpoint")
    assert_refused(frog("export", "mica", model, "--out", tmp_path / "out", "--include", "*.nothing"), 64, "*.nothing")
    assert not (tmp_path / "out").exists()
    # Usual ranks that a matrix does not have are what it has, and that is said.
    result = frog("export", "mica", model, "--out", tmp_path / "out", "--threads", 1)
    assert result.status == 0 and "4 of 14 matrices have fewer than 32 singular values" in result.stderr, str(result)


def test_a_plan_has_options_of_one_command(frog, model):
    assert frog("plan", model, "--method", "pissa").status == 64
    assert frog("plan", model, "--for", "factor", "--keep-base").status == 64
    assert frog("plan", model, "--for", "export").status == 64
    for rank, keep in itertools.product(((), ("--rank", 4)), ((), ("--keep-base",))):
        assert frog("plan", model, "--for", "export", "--method", "pissa", *rank, *keep).status == 0


def test_a_stop_leaves_something_to_go_on_with(frog, checkpoint, tmp_path):
    # A run that is asked to stop finishes its matrices: the others must take longer than the signal.
    model, out, whole = checkpoint("minilm"), tmp_path / "out", tmp_path / "whole"
    export(frog, "svft,pissa,lora-xs", model, whole, *OPTIONS)
    killed(frog, model, out, 3, command=("export", "svft,pissa,lora-xs"), options=OPTIONS, how=signal.SIGTERM)
    assert (out / WORK / "identity.json").exists() and final_files(out) == []
    export(frog, "svft,pissa,lora-xs", model, out, *OPTIONS, "--resume")
    assert contents(out) == contents(whole)
