"""`frog-mpi plan`: what it predicts from shapes alone, and what it refuses."""

import gzip
import json
import os
import struct
import subprocess
import zlib
from pathlib import Path

import numpy as np
import pytest

import checkpoints
from harness import LONG, assert_refused


def dense(hidden, inner, layers, dtype="BF16"):
    """The tensors of a Llama-like model."""
    tensors = [["model.embed_tokens.weight", [1000, hidden], dtype], ["lm_head.weight", [1000, hidden], dtype]]
    for layer in range(layers):
        name = f"model.layers.{layer}."
        tensors += [[f"{name}self_attn.{x}_proj.weight", [hidden // (8 if x in "kv" else 1), hidden], dtype] for x in "qkvo"]
        tensors += [[f"{name}mlp.{x}_proj.weight", [inner, hidden], dtype] for x in ("gate", "up")]
        tensors += [[f"{name}mlp.down_proj.weight", [hidden, inner], dtype], [f"{name}input_layernorm.weight", [hidden], dtype]]
    return {"tensors": tensors, "note": "made by the test"}


@pytest.fixture
def shapes(tmp_path):
    """Writes a list of shapes, gzip by the name's ending."""

    def write(content, name="shapes.json.gz"):
        path = tmp_path / name
        text = content if isinstance(content, bytes) else json.dumps(content).encode()
        path.write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
        return path

    return write


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """Rates that were measured on this machine may not sway the tests."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def plan(frog, *arguments):
    result = frog("plan", *arguments, "--json")
    assert result.status == 0, str(result)
    return json.loads(result.stdout)


def test_every_matrix_once_every_other_tensor_with_its_reason(frog, shapes):
    model = dense(2048, 8192, 6)
    found = plan(frog, shapes(model), "--ranks", 5, "--ranks-per-node", 5, "--threads", 1, "--memory", "2GiB")
    weights = [t for t in model["tensors"] if "proj" in t[0]]
    assert [m["name"] for m in found["matrices"]] == sorted(t[0] for t in weights)
    assert found["totals"]["matrices"] == 42 == len(found["matrices"])
    assert found["totals"]["weights"] == sum(t[1][0] * t[1][1] for t in weights)
    assert {t["reason"] for t in found["skipped"]} == {"embedding", "output head", "vector"}
    assert len(found["skipped"]) == 8 and found["refused"] == []
    ends = [0.0] * 5
    for matrix in sorted(found["matrices"], key=lambda m: m["start"]):
        for rank in range(matrix["first_rank"], matrix["first_rank"] + matrix["ranks"]):
            assert matrix["start"] >= ends[rank] * (1 - 1e-12)
            ends[rank] = matrix["start"] + matrix["seconds"]
        assert matrix["bytes_per_rank"] <= 2 << 30
    totals = found["totals"]
    assert max(ends) == pytest.approx(totals["scores_seconds"])
    assert totals["seconds"] >= totals["scores_seconds"] >= totals["lower_bound_seconds"] * (1 - 1e-12)
    assert totals["core_hours"] == pytest.approx(totals["seconds"] * 5 / 3600)
    assert found["processes"] == found["processes"] | {"ranks": 5, "ranks_per_node": 5, "threads": 1, "nodes": 1}


def test_more_processes_take_less_time(frog, shapes):
    path = shapes(dense(4096, 14336, 8))
    seconds = [
        plan(frog, path, "--ranks", r, "--ranks-per-node", r, "--memory", "2GiB", "--teams", "speed")["totals"]["seconds"]
        for r in (1, 2, 7, 64, 500)
    ]
    assert seconds == sorted(seconds, reverse=True) and len(set(seconds)) == 5


def test_one_model_of_several(frog, shapes):
    path = shapes({"small": dense(256, 512, 1), "large": dense(512, 1024, 2)})
    assert plan(frog, path, "--model", "large")["totals"]["matrices"] == 14
    assert_refused(frog("plan", path), 65, "'small'", "'large'", "--model")
    assert_refused(frog("plan", path, "--model", "medium"), 65, "'medium'", "'small'")


def test_a_checkpoint_needs_no_list(frog, checkpoint):
    found = plan(frog, checkpoint("mixed"))
    inspected = json.loads(frog("inspect", checkpoint("mixed"), "--json").stdout)
    assert [m["name"] for m in found["matrices"]] == [t["name"] for t in inspected["tensors"] if t["class"] == "matrix"]
    assert [t["name"] for t in found["skipped"]] == [t["name"] for t in inspected["tensors"] if t["class"] == "skipped"]


def test_eight_bit_matrices_are_planned_if_they_have_scales(frog, shapes):
    weight, scale = ["a.weight", [512, 256], "F8_E4M3"], ["a.weight_scale_inv", [4, 2], "F32"]
    found = plan(frog, shapes({"tensors": [weight, scale, ["b.weight", [256, 256], "BF16"]]}))
    assert found["totals"]["matrices"] == 2 and found["warnings"] == []
    found = plan(frog, shapes({"tensors": [weight, ["b.weight", [256, 256], "BF16"]]}))
    assert found["totals"]["matrices"] == 1 and [t["name"] for t in found["refused"]] == ["a.weight"]
    assert len(found["warnings"]) == 1 and "refuses" in found["warnings"][0]
    assert_refused(frog("plan", shapes({"tensors": [weight]})), 65, "F8_E4M3", "'a.weight_scale_inv'")


def test_experts_of_a_stack_are_planned_one_by_one(frog, shapes):
    stack = ["model.layers.0.mlp.experts.gate_up_proj", [11, 64, 32], "BF16"]
    found = plan(frog, shapes({"tensors": [["b.weight", [256, 256], "BF16"], stack]}))
    assert found["refused"] == [] and found["totals"]["weights"] == 256 * 256 + 11 * 64 * 32
    assert {m["name"] for m in found["matrices"]} == {"b.weight"} | {f"{stack[0]}[{e}]" for e in range(11)}
    split = plan(frog, shapes({"tensors": [["l.mlp.gate_up_proj.weight", [64, 32], "BF16"]]}), "--split-fused")
    assert {(m["name"], *m["shape"]) for m in split["matrices"]} == {(f"l.mlp.gate_up_proj.weight[{p}]", 32, 32) for p in ("gate", "up")}


def test_tables_are_short_or_complete(frog, shapes):
    path = shapes(dense(512, 1024, 20))
    short, full = frog("plan", path), frog("plan", path, "--all")
    assert short.status == full.status == 0
    assert len(short.stdout.splitlines()) < 40 and len(full.stdout.splitlines()) > 160
    for row in ("wall time", "core hours", "efficiency", "memory"):
        assert f"\n{row} " in short.stdout, str(short)
    assert "model.layers.19.mlp.down_proj.weight" in full.stdout and "model.layers.19.mlp.down_proj.weight" not in short.stdout


def test_what_does_not_fit_is_refused_with_what_would(frog, shapes):
    path = shapes(dense(8192, 28672, 1))
    result = frog("plan", path, "--ranks", 2, "--memory", "700MB")
    assert_refused(result, 64, "'model.layers.0.mlp.", "needs", "start at least", "--memory")
    line = result.error_lines[0]
    processes = int(line.split("start at least ")[1].split()[0])
    found = plan(frog, path, "--ranks", processes, "--memory", "700MB")
    assert max(m["ranks"] for m in found["matrices"]) > 1 and found["totals"]["peak_bytes_per_rank"] <= 700_000_000
    enough = line.split("--memory ")[1].split()[0]
    plan(frog, path, "--ranks", 2, "--memory", enough)
    assert_refused(frog("plan", path, "--ranks", 2, "--memory", "1MB"), 64, "give --memory")


def test_mask_refuses_before_it_starts(frog, checkpoint, tmp_path):
    result = frog("mask", checkpoint("mixed"), "--out", tmp_path / "out", "--memory", "1MiB", ranks=2)
    assert_refused(result, 64, "needs", "give --memory")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "options",
    [("--ranks", "0"), ("--ranks", "-1"), ("--ranks", "x"), ("--ranks-per-node", "0"), ("--threads", "0"), ("--memory", "0")]
    + [("--memory", m) for m in ("4XB", "-1GB", "lots", "99999999999TB", "1e9")]
    + [("--rank", "0"), ("--oversample", "8"), ("--budget", "150%"), ("--precision", "f16"), ("--no-such-option", "1")],
    ids=" ".join,
)
def test_refused_options(frog, shapes, options):
    result = frog("plan", shapes(dense(64, 128, 1)), "=".join(options))
    assert result.status == 64, str(result)
    assert len(result.error_lines) == 1 and result.stdout == "", str(result)


def test_needs_something_to_plan(frog):
    assert frog("plan").status == 64
    for options in (("--for", "analyze"), ("--vectors", "--for", "analyze"), ("--budget", "2%")):
        assert_refused(frog("plan", "--calibrate", *options), 64, "needs a checkpoint")


HUGE = 2**63 - 1


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"[]", b"\xff\xfe", b"{}", b'{"tensors": 1}', b'{"tensors": []}', b'{"tensors": [["a"]]}',
        b'{"tensors": [["a", [-2, 2], "F32"]]}',
        b'{"tensors": [["a", [1e2, 2], "F32"]]}', b'{"tensors": [["a", [2, 2], "F99"]]}',
        b'{"tensors": [["a", [2, 2], "F32"], ["a", [2, 2], "F32"]]}',
        json.dumps({"tensors": [["a", [HUGE, HUGE], "F32"]]}).encode(), json.dumps({"tensors": [["a", [HUGE, 2], "U8"]]}).encode(),
        json.dumps({"tensors": [["a", [2**62, 1], "F32"]]}).encode(), json.dumps({"tensors": [["a", [2**63, 1], "F32"]]}).encode(),
        json.dumps({"tensors": [["\x1b[2J\n" * 200, [2, 2], "X"]]}).encode(), b"[" * 100_000,
    ],
    ids=range(18),
)  # fmt: skip
@pytest.mark.parametrize("name", ["shapes.json", "shapes.json.gz"])
def test_hostile_lists(frog, shapes, name, content):
    path = shapes(content, name)
    result = frog("plan", path)
    assert_refused(result, 65, path.name)
    assert len(result.error_lines[0]) < 2000 and result.error_lines[0].isprintable()


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--for", "analyze", "--vectors", "--randomize", "--overlap", 64),
        ("--for", "compare", "--top", 4096, "--delta-spectrum"),
    ],
    ids=str,
)
def test_sizes_that_fit_no_machine_are_refused_not_trapped(frog, shapes, options):
    for shape in ([2**30, 2**31], [3, 2**59], [2**59, 3], [2**29, 2**28], [2, 2**56], [2**56, 2], [2**20, 2**20]):
        result = frog("plan", shapes({"tensors": [["model.layers.0.mlp.up_proj.weight", shape, "BF16"]]}), "--ranks", 64, *options)
        assert result.status in (0, 64, 65) and "Fatal" not in result.stderr, str(result)


@pytest.mark.parametrize("damage", [lambda b: b[:-9], lambda b: b[:40], lambda b: b[:3], lambda b: b[:-8] + bytes(8), lambda b: b + b"x"])
def test_damaged_gzip(frog, shapes, damage):
    path = shapes(dense(64, 128, 2))
    path.write_bytes(damage(path.read_bytes()))
    assert_refused(frog("plan", path), 65, path.name, "gzip")


def test_members_of_a_gzip_file_are_joined(frog, shapes):
    path = shapes(dense(64, 128, 2))
    text = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(text[:100]) + gzip.compress(text[100:]))
    assert plan(frog, path)["totals"]["matrices"] == 14


def test_a_gzip_bomb_is_stopped(frog, tmp_path):
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    block = bytes(1 << 24)
    path = tmp_path / "bomb.json.gz"
    path.write_bytes(b"".join(packer.compress(block) for _ in range(18)) + packer.flush())
    assert_refused(frog("plan", path), 65, "too many")


def test_missing_and_wrong_files(frog, tmp_path, checkpoint):
    assert_refused(frog("plan", tmp_path / "none.json"), 66, "none.json")
    assert_refused(frog("plan", tmp_path), 66, str(tmp_path))
    assert_refused(frog("plan", checkpoint("mixed"), "--model", "x"), 64, "--model")


def test_stored_rates_are_used_and_damaged_ones_reported(frog, shapes, tmp_path):
    path = shapes(dense(1024, 2048, 2))
    built_in = plan(frog, path, "--threads", 1)
    assert built_in["rates"]["source"] == "built in"
    rates = built_in["rates"] | {"source": "measured"}
    for name in ("scores", "gram_f64", "eigensolver_f64"):
        rates[name] = {"points": [p | {"per_second": p["per_second"] / 10} for p in rates[name]["points"]]}
    stored = tmp_path / "cache/frog-mpi/rates.json"
    stored.parent.mkdir(parents=True)
    stored.write_text(json.dumps({"format_version": 1, "rates": [rates]}))
    slower = plan(frog, path, "--threads", 1)
    assert slower["rates"]["source"] == "measured"
    assert slower["totals"]["scores_seconds"] == pytest.approx(10 * built_in["totals"]["scores_seconds"])
    stored.write_text("{}")
    assert_refused(frog("plan", path), 65, "rates.json", "--calibrate")


def test_mask_warns_of_damaged_rates_and_goes_on(frog, checkpoint, tmp_path):
    stored = tmp_path / "cache/frog-mpi/rates.json"
    stored.parent.mkdir(parents=True)
    stored.write_text("{}")
    result = frog("mask", checkpoint("mixed"), "--out", tmp_path / "out", "--threads", 1, ranks=3)
    assert result.status == 0 and "built-in rates" in result.stderr, str(result)


def test_approximations_pay_for_their_audit(frog, shapes):
    path = shapes(dense(2048, 8192, 6))
    asked = ("--ranks", 4, "--ranks-per-node", 4, "--threads", 1, "--memory", "2GiB")
    found = plan(frog, path, *asked, "--rank", 64)
    totals = found["totals"]
    assert len(totals["audit_matrices"]) == 3 and totals["audit_seconds"] > 0
    parts = ("norms_seconds", "audit_seconds", "scores_seconds", "masks_seconds")
    assert totals["seconds"] == pytest.approx(sum(totals[part] for part in parts))
    assert totals["peak_bytes_per_rank"] > max(m["bytes_per_rank"] for m in found["matrices"])
    longer = plan(frog, path, *asked, "--rank", 64, "--audit", 12)["totals"]
    assert len(longer["audit_matrices"]) == 12 and longer["audit_seconds"] > totals["audit_seconds"]
    assert "audit_seconds" not in plan(frog, path, *asked)["totals"]
    shown = frog("plan", path, *asked, "--rank", 64)
    assert shown.status == 0 and "\naudit " in shown.stdout and ": 3 matrices both ways" in shown.stdout, str(shown)
    assert_refused(frog("plan", path, *asked, "--rank", 4000), 64, "nothing to leave out", "2048")
    assert frog("plan", path, "--audit", 2).status == 64


def test_mask_refuses_an_audit_without_memory_before_it_reads(frog, shapes, checkpoint, tmp_path):
    asked = ("--rank", 4, "--oversample", 2, "--threads", 1)
    needed = plan(frog, checkpoint("mixed"), *asked, "--ranks", 1)["totals"]["peak_bytes_per_rank"]
    result = frog("mask", checkpoint("mixed"), "--out", tmp_path / "out", *asked, "--memory", f"{needed - 1}B")
    assert_refused(result, 64, "needs")
    assert not (tmp_path / "out").exists()


def test_the_memory_of_other_machines_is_a_requirement(frog, shapes):
    path = shapes(dense(8192, 28672, 4))
    found = plan(frog, path, "--ranks", 2000, "--ranks-per-node", 1000)
    processes = found["processes"]
    assert processes["memory_is_assumed"] and all(m["ranks"] == 1 for m in found["matrices"])
    assert processes["memory_per_rank"] == found["totals"]["peak_bytes_per_rank"] > 1 << 30
    shown = frog("plan", path, "--ranks", 2000, "--ranks-per-node", 1000)
    assert shown.status == 0 and "required" in shown.stdout and "allowed" not in shown.stdout, str(shown)
    for options in (("--ranks", 2000, "--ranks-per-node", 1000, "--memory", "3GiB"), ("--ranks", 2)):
        assert not plan(frog, path, *options)["processes"]["memory_is_assumed"]
    alone = plan(frog, path, "--ranks-per-node", 1000)["processes"]
    assert (alone["ranks"], alone["memory_is_assumed"], alone["memory_per_rank"]) == (1000, True, processes["memory_per_rank"])


@pytest.mark.parametrize("ranks", [None, 2])
def test_calibration_without_a_place_to_store_ends_at_once(frog, tmp_path, monkeypatch, ranks):
    (tmp_path / "cache").write_text("no folder")
    assert_refused(frog("plan", "--calibrate", ranks=ranks, timeout=30), 74, "cache")
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.delenv("HOME")
    assert_refused(frog("plan", "--calibrate", ranks=ranks, timeout=30), 74, "XDG_CACHE_HOME")


@pytest.mark.skipif(not LONG, reason="measures for up to two minutes, with every core")
@pytest.mark.parametrize("ranks", [None, 2, 3])
def test_calibration(frog, shapes, tmp_path, ranks):
    path = shapes(dense(256, 512, 1))
    result = frog("plan", path, "--calibrate", "--threads", 1, ranks=ranks, timeout=400)
    assert result.status == 0, str(result)
    stored = json.loads((tmp_path / "cache/frog-mpi/rates.json").read_text())["rates"]
    assert [r["threads"] for r in stored] == [1]
    teams = stored[0]["teams"]
    assert teams["measured_ranks"] == list(range(1, (ranks or 1) + 1))
    assert 0.05 < teams["relative_f64"] < 2 and 0.05 < teams["relative_f32"] < 2 and 1e7 < teams["exchange_bytes_per_second"] < 1e12
    if ranks is None:
        assert teams["spread"] == 300 and "what they send as built in" in result.stdout
    else:
        assert stored[0]["processes"] == ranks and result.stdout.count("wall time") == result.stdout.count("rates stored in") == 1
        assert f"\n{'':>18}{ranks}  f64" in result.stdout and result.stderr.count("frog-mpi: reading") == 1
    assert plan(frog, path, "--threads", 1)["rates"] == stored[0]
    assert "teams measured with 1" in frog("plan", path, "--threads", 1).stdout


# Other commands than mask.

ANALYSES = [(), ("--randomize",), ("--overlap", 8), ("--randomize", "--overlap", 8)]
COMPARISONS = [(), ("--delta-spectrum", "--top", 8)]
PHASES = {
    "mask": {"norms", "scores", "masks"},
    "analyze": {"norms", "spectra"},
    "compare": {"norms", "pairs"},
    "factor": {"norms", "factors", "hashes"},
}


def single(folder, shape, name="model.layers.0.self_attn.o_proj", scale=0.0, dtype="F32"):
    """A checkpoint of one matrix; with `scale` the same one with so much noise on it. One that is not square is well conditioned."""
    generator = np.random.default_rng(7)
    matrix = generator.standard_normal(shape)
    matrix += scale * generator.standard_normal(shape)
    return checkpoints.write_checkpoint(folder, {f"{name}.weight": checkpoints.encode(matrix, dtype)})


def perturbed(source, folder):
    """A copy of a checkpoint, with noise on every matrix."""
    from safetensors.numpy import load_file, save_file

    folder.mkdir()
    generator = np.random.default_rng(5)
    for path in Path(source).glob("*.safetensors"):
        tensors = load_file(path)
        for name, tensor in tensors.items():
            if tensor.dtype.kind == "f" and tensor.ndim == 2:
                tensors[name] = (tensor * (1 + 1e-3 * generator.standard_normal(tensor.shape))).astype(tensor.dtype)
        save_file(tensors, folder / path.name)
    return folder


def command(frog, name, source, tmp_path, *options, ranks=None):
    """run.json of a run of `analyze`, or of `compare` with a perturbed copy; and its folder."""
    out = tmp_path / "out"
    others = [perturbed(source, tmp_path / "tuned")] if name == "compare" else []
    result = frog(name, source, *others, "--out", out, "--threads", 1, "--keep-work", *options, ranks=ranks, timeout=300)
    assert result.status == 0, str(result)
    return json.loads((out / "run.json").read_text()), out


def records(out):
    """What the journal says of every matrix, by name, and the size of its record."""
    found = {}
    for path in (out / ".frog-mpi").glob("*.frogrec"):
        data = path.read_bytes()
        assert data[-48:-40] == b"frog-rec"
        offset, size = struct.unpack("<QQ", data[-40:-24])
        contents = json.loads(data[offset : offset + size])
        found[contents["name"]] = contents | {"size": len(data)}
    return found


@pytest.mark.parametrize("name", PHASES)
def test_each_command_has_its_own_figures(frog, shapes, name):
    path = shapes(dense(512, 2048, 3))
    asked = ("--for", name, "--ranks", 3, "--ranks-per-node", 3, "--threads", 1, "--memory", "2GiB")
    found = plan(frog, path, *asked)
    totals = found["totals"]
    assert found["command"] == name and totals["matrices"] == 21 == len(found["matrices"])
    parts = {key.removesuffix("_seconds") for key in totals if key.endswith("_seconds")} - {"lower_bound"}
    assert parts == PHASES[name]
    assert totals["seconds"] == pytest.approx(sum(totals[f"{part}_seconds"] for part in parts))
    assert ("bytes_spilled" in totals) == (name == "mask")
    solver = {"mask": "exact f64", "analyze": "spectrum", "compare": "two spectra", "factor": "svd"}[name]
    assert {m["solver"] for m in found["matrices"]} == {solver}
    shown = frog("plan", path, *asked)
    assert shown.status == 0, str(shown)
    rows = {line.split("  ")[0] for line in shown.stdout.splitlines()}
    assert PHASES[name] <= rows and not set().union(*PHASES.values()) - PHASES[name] & rows, str(shown)
    assert ("gone after the run" in shown.stdout) == (name == "mask")
    assert found == plan(frog, path, *asked) and (name != "mask" or found == plan(frog, path, *asked[2:]))


def test_what_is_measured_takes_time_memory_and_bytes(frog, shapes):
    path = shapes(dense(512, 2048, 3))
    layout = ("--ranks", 3, "--ranks-per-node", 3, "--threads", 1, "--memory", "2GiB")

    def totals(*options):
        return plan(frog, path, *layout, *options)["totals"]

    norms = totals()["norms_seconds"]
    analysis, comparison = totals("--for", "analyze"), totals("--for", "compare")
    assert analysis["norms_seconds"] == norms and comparison["norms_seconds"] == pytest.approx(2 * norms)
    assert comparison["pairs_seconds"] > 2 * analysis["spectra_seconds"]
    more = {
        ("analyze", "--randomize"): ("spectra_seconds", "peak_bytes_per_rank", "bytes_read", "bytes_written", "operations"),
        ("analyze", "--vectors"): ("spectra_seconds", "peak_bytes_per_rank", "bytes_written", "operations"),
        ("analyze", "--overlap", 64): ("spectra_seconds", "peak_bytes_per_rank", "bytes_read", "bytes_written", "operations"),
        ("analyze", "--p-value", 500): ("spectra_seconds",),
        ("compare", "--delta-spectrum"): ("pairs_seconds", "peak_bytes_per_rank", "bytes_read", "operations"),
        ("compare", "--top", 200): ("pairs_seconds", "peak_bytes_per_rank", "operations"),
    }
    for (name, *options), keys in more.items():
        before, after = {"analyze": analysis, "compare": comparison}[name], totals("--for", name, *options)
        assert [key for key in keys if after[key] <= before[key]] == [], options
    assert totals("--for", "analyze", "--overlap", 0) == analysis and totals("--for", "compare", "--top", 16) == comparison


@pytest.mark.parametrize(
    "name, option",
    [("analyze", option) for option in (
        "--budget=1%", "--score=frog", "--precision=f64", "--rank=4", "--oversample=2", "--power-iterations=1", "--audit=2",
        "--normalize=none", "--teams=memory", "--top=16", "--delta-spectrum")]
    + [("compare", option) for option in (
        "--budget=1%", "--precision=f64", "--teams=speed", "--vectors", "--randomize", "--overlap=0", "--p-value=0")]
    + [("mask", option) for option in ("--vectors", "--randomize", "--overlap=0", "--p-value=3", "--top=16", "--delta-spectrum")],
)  # fmt: skip
def test_options_of_other_commands_are_refused(frog, shapes, name, option):
    path = shapes(dense(64, 128, 1))
    result = frog("plan", path, "--for", name, option)
    assert_refused(result, 64, option.split("=")[0], f"--for {name}")
    assert result.stdout == ""
    if name == "mask":
        assert_refused(frog("plan", path, option), 64, option.split("=")[0], "--for mask")


@pytest.mark.parametrize(
    "options",
    [
        ("--for", "verify"),
        ("--for", "analyze", "--overlap", "5000"),
        ("--for", "compare", "--top", "0"),
        ("--for", "analyze", "--metrics", "alpha"),
        ("--for", "analyze", "--seed", "1"),
    ],
    ids=" ".join,
)
def test_what_no_command_or_plan_has_is_refused(frog, shapes, options):
    assert_refused(frog("plan", shapes(dense(64, 128, 1)), *options), 64)


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="needs the kernel's count of bytes read")
@pytest.mark.parametrize("shape", [(1600, 700), (700, 1600), (1000, 1000), (640, 32, 7, 7)], ids=str)
@pytest.mark.parametrize("name, options", [("analyze", o) for o in ANALYSES] + [("compare", o) for o in COMPARISONS], ids=str)
def test_bytes_read_are_those_of_a_run(frog, tmp_path, shape, name, options):
    """One matrix of one norm block: nothing is read ahead, and whoever reads a matrix reads all of it."""
    source = single(tmp_path / "base", shape)
    others = [single(tmp_path / "tuned", shape, scale=0.01)] if name == "compare" else []
    conv = ("--conv",) if len(shape) == 4 else ()
    found = plan(frog, source, "--for", name, "--ranks", 1, "--threads", 1, *options, *conv)
    script = '"$@" >&2 || exit; cat /proc/$$/io'
    line = [frog.binary, name, source, *others, "--out", tmp_path / "out", "--threads", 1, "--io", "pread", *options, *conv]
    done = subprocess.run(
        ["bash", "-c", script, "bash", *map(str, line)],
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    size = 4 * int(np.prod(shape))
    read = int(done.stdout.split("rchar:")[1].split()[0])
    assert "bytes_read" in found["totals"] and found["totals"]["bytes_read"] % size == 0
    assert read / size == pytest.approx(found["totals"]["bytes_read"] / size, abs=0.1)


@pytest.mark.parametrize("ranks", [1, 2] if LONG else [2])
@pytest.mark.parametrize(
    "name, options",
    [("analyze", o) for o in (*ANALYSES, ("--vectors",), ("--vectors", "--overlap", 400))]
    + [("compare", o) for o in (*COMPARISONS, ("--top", 400))]
    + [("factor", o) for o in ((), ("--rank", 16), ("--dtype", "bf16"))],
    ids=str,
)
def test_a_run_takes_no_more_memory_and_writes_what_is_planned(frog, checkpoint, tmp_path, name, options, ranks):
    source = checkpoint("minilm")
    found = plan(frog, source, "--for", name, "--ranks", ranks, "--threads", 1, *options)
    run, out = command(frog, name, source, tmp_path, *options, ranks=ranks)
    assert max(run["peak_anonymous_bytes"]) <= found["totals"]["peak_bytes_per_rank"]
    written = sum(run["journal_bytes"]) + sum(path.stat().st_size for path in out.iterdir() if path.is_file() and path.name != "run.json")
    assert written == pytest.approx(found["totals"]["bytes_written"], rel=0.3)


@pytest.mark.parametrize("name, options", [("analyze", ("--overlap", 8)), ("compare", ())])
@pytest.mark.parametrize("limited", [False, True])
def test_a_run_does_what_the_plan_says(frog, tmp_path, name, options, limited):
    """The same teams, each rank with the records of the matrices that the plan gives it."""
    generator, ranks = np.random.default_rng(3), 4
    sizes = {
        "q_proj": (300, 300),
        "k_proj": (200, 300),
        "o_proj": (300, 300),
        "up_proj": (1500, 1400),
        "down_proj": (1400, 1500),
        "gate_proj": (600, 300),
    }
    matrices = {
        f"model.layers.{layer}.{x}.weight": checkpoints.trained(generator, *size) for layer in range(2) for x, size in sizes.items()
    }
    source = checkpoints.write_checkpoint(tmp_path / "base", {x: checkpoints.encode(matrix, "F32") for x, matrix in matrices.items()})
    layout = ("--for", name, "--ranks", ranks, "--ranks-per-node", ranks, "--threads", 1, *options)
    memory = ()
    if limited:
        alone = plan(frog, source, *layout, "--memory", "1TB")
        memory = ("--memory", max(m["bytes_per_rank"] for m in alone["matrices"]) - 1)
    found = plan(frog, source, *layout, *memory)
    run, out = command(frog, name, source, tmp_path, *options, *memory, ranks=ranks)
    kept = records(out)
    assert {m["name"]: m["ranks"] for m in found["matrices"]} == {name: record["members"] for name, record in kept.items()}
    assert limited == any(m["ranks"] > 1 for m in found["matrices"])
    assert len({m["first_rank"] for m in found["matrices"]}) > 2
    owned = [sum(kept[m["name"]]["size"] for m in found["matrices"] if m["first_rank"] == rank) for rank in range(ranks)]
    assert run["journal_bytes"] == owned
    assert max(run["peak_anonymous_bytes"]) <= found["totals"]["peak_bytes_per_rank"]


@pytest.mark.parametrize("name", ["analyze", "compare", "factor"])
def test_planned_memory_is_enough_and_less_is_refused_by_both(frog, checkpoint, tmp_path, name):
    source = checkpoint("mixed")
    needed = plan(frog, source, "--for", name, "--ranks", 1, "--threads", 1)["totals"]["peak_bytes_per_rank"]
    asked = ("--threads", 1, "--memory", f"{needed - 1}B")
    assert_refused(frog("plan", source, "--for", name, "--ranks", 1, *asked), 64, "needs")
    others = [source] if name == "compare" else []
    assert_refused(frog(name, source, *others, "--out", tmp_path / "out", *asked), 64, "needs")
    assert not (tmp_path / "out").exists()
    result = frog(name, source, *others, "--out", tmp_path / "out", "--threads", 1, "--memory", f"{needed}B")
    assert result.status == 0, str(result)


@pytest.mark.parametrize("name", ["mask", "analyze", "compare", "factor"])
def test_refusals_name_the_command(frog, shapes, name):
    weight = ["a.weight", [512, 256], "F8_E4M3"]
    found = plan(frog, shapes({"tensors": [weight, ["b.weight", [256, 256], "BF16"]]}), "--for", name)
    assert len(found["warnings"]) == 1 and f"`{name}` refuses" in found["warnings"][0]
