"""`frog-mpi factor`: U, σ and the transpose of V of every matrix, against NumPy in float64."""

import itertools
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

import checkpoints
import kinds
import layouts
import reference
import separated
from harness import assert_refused, final_files
from test_layouts import counted, fused_rows, made  # noqa: F401

INDEX = "factors.safetensors.index.json"
WORK = ".frog-mpi"
#: Half a unit in the last place of a stored number, relative to it.
ROUNDING = {"f32": 2.0**-24, "bf16": 2.0**-8}


def factor(frog, source, out, *options, ranks=None):
    result = frog("factor", source, "--out", out, "--threads", 1, *options, ranks=ranks)
    assert result.status == 0, str(result)
    return json.loads((out / "factors.json").read_text())


def contents(out):
    """Everything that must not differ between equal runs."""
    return {path.name: path.read_bytes() for path in sorted(out.iterdir()) if path.is_file() and path.name != "run.json"}


class Factors:
    """Stored factors by the name of the matrix."""

    def __init__(self, out):
        weight_map = json.loads((out / INDEX).read_text())["weight_map"]
        self.stored = {t.name: t for file in sorted(set(weight_map.values())) for t in reference.read_header(out / file)}
        assert self.stored.keys() == weight_map.keys()
        self.types = {name.rpartition(".")[2]: t.dtype for name, t in self.stored.items()}

    def of(self, part):
        arrays = [self.stored[f"{part.group}.{kind}"].read() for kind in ("u", "s", "vt")]
        return [np.asarray(a if part.expert is None else a[part.expert], np.float64) for a in arrays]


def assert_factors(weights, u, s, vt, entry, dtype="f32"):
    """Factors of `weights` are what the guide promises, and their record says so."""
    order, count = min(weights.shape), s.size
    norm = np.linalg.norm(weights)
    exact = np.linalg.svd(weights, compute_uv=False)
    assert u.shape == (weights.shape[0], count) and vt.shape == (count, weights.shape[1]), entry["name"]
    assert np.all(s >= 0) and np.all(np.diff(s) <= 0)
    assert np.abs(s - exact[:count]).max() <= 2e-8 * norm + ROUNDING["f32"] * exact[0], entry["name"]
    # Both sides are orthonormal to rounding, whatever σ is.
    disorder = [np.linalg.norm(a.T @ a - np.eye(count)) for a in (u, vt.T)]
    assert max(disorder) <= (1e-5 if dtype == "f32" else 2 * ROUNDING[dtype] * max(1, count**0.5))
    # What is missing is what was left out.
    missing = np.linalg.norm(weights - u * s @ vt)
    best = np.linalg.norm(exact[count:])
    assert missing <= np.hypot(best, 3 * ROUNDING[dtype] * norm) + 1e-8 * norm, entry["name"]
    assert entry["rank"] == count <= order
    # The record is an estimate from 32 vectors, and exact where there are no more columns.
    if norm > 0:
        close = 0.6 if weights.shape[1] > 32 else 1e-6
        assert entry["residual"] == pytest.approx(missing / norm, rel=close, abs=1e-12)
    for name, found in (("u_error", disorder[0]), ("v_error", disorder[1])):
        assert entry[name] == pytest.approx(found, rel=0.6 if count > 32 else 1e-6, abs=1e-12)
    # The component of largest magnitude of each right vector is positive. Rounding may blur which one it is.
    slack = 2e-6 if dtype == "f32" else 2 * ROUNDING["bf16"]
    for v in vt:
        assert v.max() >= (1 - slack) * np.abs(v).max()


def assert_all(parts, values, out, described, dtype="f32"):
    """The factors of all parts of a checkpoint; every stored tensor belongs to one of them."""
    factors = Factors(out)
    assert factors.types == {"u": dtype.upper(), "s": "F32", "vt": dtype.upper()}
    entries = {entry["name"]: entry for entry in described["matrices"]}
    assert entries.keys() == {part.name for part in parts}
    assert factors.stored.keys() == {f"{part.group}.{kind}" for part in parts for kind in ("u", "s", "vt")}
    for part in parts:
        weights = values[part.tensor].reshape(-1)[part.positions]
        assert entries[part.name]["norm"] == pytest.approx(np.linalg.norm(weights), rel=1e-12)
        assert_factors(weights, *factors.of(part), entries[part.name], dtype)


def parts_of(tensors):
    """Every tensor as one matrix."""
    return [part for name, (_, shape, _) in tensors.items() for part in separated.whole(name, shape)]


def test_a_real_model_on_any_number_of_ranks(frog, checkpoint, tmp_path):
    source = checkpoint("minilm")
    described = factor(frog, source, tmp_path / "1")
    for ranks in (2, 3):
        factor(frog, source, tmp_path / f"{ranks}", ranks=ranks)
        assert contents(tmp_path / "1") == contents(tmp_path / f"{ranks}")
    tensors = {t.name: t for t in reference.checkpoint_tensors(source)}
    parts = [part for m in described["matrices"] for part in separated.whole(m["name"], m["shape"])]
    values = {part.tensor: tensors[part.tensor].read().astype(np.float64) for part in parts}
    assert len(parts) == 37
    assert_all(parts, values, tmp_path / "1", described)
    assert frog("verify", tmp_path / "1", "--checkpoint", source, ranks=2).status == 0
    shown = frog("inspect", tmp_path / "1")
    assert shown.status == 0 and "pooler.dense.weight" in shown.stdout and "residual" in shown.stdout
    assert json.loads(frog("inspect", "--json", tmp_path / "1").stdout) == described


@pytest.mark.parametrize("rank", [1, 16, 1000])
def test_a_rank_and_bf16(frog, checkpoint, tmp_path, rank):
    """Leading triplets are those of the whole; BF16 is the F32 run rounded; a matrix of fewer triplets gives all, and says so."""
    source = checkpoint("bf16_sharded")
    result = frog("factor", source, "--out", tmp_path / "f32", "--rank", rank, "--threads", 1)
    assert result.status == 0, str(result)
    assert (f"--rank {rank} is more than" in result.stderr) == (rank == 1000)
    described = json.loads((tmp_path / "f32/factors.json").read_text())
    rounded = factor(frog, source, tmp_path / "bf16", "--rank", rank, "--dtype", "bf16", ranks=2)
    tensors = {t.name: t for t in reference.checkpoint_tensors(source)}
    parts = [part for m in described["matrices"] for part in separated.whole(m["name"], m["shape"])]
    values = {part.tensor: tensors[part.tensor].read().astype(np.float64) for part in parts}
    assert {m["rank"] for m in described["matrices"]} == ({rank} if rank < 1000 else {64, 256})
    assert_all(parts, values, tmp_path / "f32", described)
    assert_all(parts, values, tmp_path / "bf16", rounded, "bf16")
    fine, coarse = Factors(tmp_path / "f32"), Factors(tmp_path / "bf16")
    for part in parts:
        for a, b, dtype in zip(fine.of(part), coarse.of(part), ("BF16", "F32", "BF16"), strict=True):
            assert checkpoints.encode(a, dtype)[2] == checkpoints.encode(b, dtype)[2], part.name


@pytest.mark.parametrize(
    "name", ["DeepSeek-V3", "Llama per-tensor fp8", "gpt-oss (BF16)", "Mixtral-8x22B-Instruct-v0.1", "gpt2", "Llama-4-Scout-17B-16E (text)"]
)
def test_stacks_and_eight_bits(frog, made, tmp_path, name):  # noqa: F811
    folder, tensors = made(name)
    parts = counted(tensors, layouts.LAYOUTS[name].small_config())
    described = factor(frog, folder, tmp_path / "out", "--rank", 24, ranks=3)
    assert_all(parts, separated.stored_values(tensors), tmp_path / "out", described)
    factor(frog, folder, tmp_path / "alone", "--rank", 24)
    assert contents(tmp_path / "out") == contents(tmp_path / "alone")
    assert frog("verify", tmp_path / "out", "--checkpoint", folder).status == 0


@pytest.mark.parametrize("name", ["Phi-3-mini-4k", "gpt-neox-20b"])
def test_split_parts(frog, made, tmp_path, name):  # noqa: F811
    folder, tensors = made(name)
    cuts = fused_rows(name)
    parts = []
    for part in counted(tensors, layouts.LAYOUTS[name].small_config()):
        leaf = part.tensor.split(".")[-2]
        parts += separated.rows(part.tensor, tensors[part.tensor][1], cuts[leaf]) if leaf in cuts else [part]
    described = factor(frog, folder, tmp_path / "out", "--split-fused", "--rank", 8)
    assert_all(parts, separated.stored_values(tensors), tmp_path / "out", described)
    assert frog("verify", tmp_path / "out", "--checkpoint", folder).status == 0


def test_convolutions(frog, tmp_path):
    generator = np.random.default_rng(4)
    shapes = {"conv1": (48, 24, 3, 3), "conv2": (64, 32, 1, 1), "linear": (72, 96)}
    tensors = {f"block.{name}.weight": checkpoints.encode(layouts.realistic(generator, shape), "F32") for name, shape in shapes.items()}
    folder = layouts.write_tensors(tmp_path / "in", tensors, {}, shards=1)
    described = factor(frog, folder, tmp_path / "out", "--conv")
    assert_all(parts_of(tensors), separated.stored_values(tensors), tmp_path / "out", described)


def extremes():
    """Matrices whose Gram matrix tells little, or whose numbers are far from 1."""
    generator = np.random.default_rng(7)
    base = generator.standard_normal((60, 44))
    graded = np.linalg.qr(base)[0] * 0.6 ** np.arange(44) @ np.linalg.qr(generator.standard_normal((44, 44)))[0]
    return {
        "zero": np.zeros((40, 30)),
        "rank_one": np.outer(generator.standard_normal(50), generator.standard_normal(36)),
        "low": generator.standard_normal((64, 5)) @ generator.standard_normal((5, 48)),
        "low_wide": generator.standard_normal((40, 3)) @ generator.standard_normal((3, 90)),
        "graded": graded,
        "graded_wide": graded.T,
        "equal": np.linalg.qr(generator.standard_normal((40, 40)))[0],
        "repeated": np.repeat(generator.standard_normal((32, 8)), 4, axis=1),
        "tiny": base * 1e-30,
        "large": base * 1e30,
        "column": generator.standard_normal((50, 2)),
        "row": generator.standard_normal((2, 50)),
        "one_column_counts": np.hstack([generator.standard_normal((30, 1)), np.zeros((30, 7))]),
    }


def test_every_kind_of_spectrum(frog, tmp_path):
    tensors = {f"h.0.{name}.weight": checkpoints.encode(matrix, "F32") for name, matrix in extremes().items()}
    folder = checkpoints.write_checkpoint(tmp_path / "in", tensors)
    for options in ((), ("--rank", 4)):
        out = tmp_path / f"out{len(options)}"
        described = factor(frog, folder, out, *options)
        assert_all(parts_of(tensors), separated.stored_values(tensors), out, described)
        assert frog("verify", out).status == 0
    # The second way is taken where the first does not reach, and the record says where.
    solvers = {m["name"].split(".")[2]: m["solver"] for m in json.loads((tmp_path / "out0/factors.json").read_text())["matrices"]}
    assert solvers["graded"] == solvers["graded_wide"] == "local, QR" and solvers["equal"] == solvers["zero"] == "local"


def test_numbers_beyond_single_precision(frog, tmp_path):
    generator = np.random.default_rng(8)
    base = generator.standard_normal((30, 20))
    small = checkpoints.write_checkpoint(tmp_path / "small", {"h.0.weight": checkpoints.encode(base * 1e-120, "F64")})
    # Singular values vanish in single precision; the vectors are right all the same.
    factor(frog, small, tmp_path / "out")
    u, s, vt = Factors(tmp_path / "out").of(separated.whole("h.0.weight", (30, 20))[0])
    exact = np.linalg.svd(base, compute_uv=False)
    assert not s.any() and np.abs(np.diag(u.T @ base @ vt.T) - exact).max() < 1e-5
    large = checkpoints.write_checkpoint(tmp_path / "large", {"h.0.weight": checkpoints.encode(base * 1e60, "F64")})
    assert_refused(frog("factor", large, "--out", tmp_path / "none"), 65, "h.0.weight", "single precision", "--exclude")
    assert final_files(tmp_path / "none") == []


def test_a_team_where_memory_needs_it(frog, tmp_path):
    generator = np.random.default_rng(9)
    left, right = (np.linalg.qr(generator.standard_normal((2048, 6)))[0] for _ in range(2))
    weights = left * np.arange(9, 3, -1) @ right.T + 1e-3 * generator.standard_normal((2048, 2048))
    tensors = {"h.0.weight": checkpoints.encode(weights, "F32")}
    folder = checkpoints.write_checkpoint(tmp_path / "in", tensors)
    described = factor(frog, folder, tmp_path / "alone", "--rank", 4)
    plan = json.loads(frog("plan", folder, "--for", "factor", "--rank", 4, "--ranks", 1, "--json").stdout)
    teams = factor(frog, folder, tmp_path / "teams", "--rank", 4, "--memory", plan["matrices"][0]["bytes_per_rank"] - 1, ranks=3)
    assert [m["solver"] for m in described["matrices"]] == ["local"]
    assert teams["matrices"][0]["solver"].startswith("team of ") and teams["matrices"][0]["u_error"] < 1e-5
    (part,) = parts_of(tensors)
    for ours, theirs in zip(Factors(tmp_path / "alone").of(part), Factors(tmp_path / "teams").of(part), strict=True):
        assert np.abs(ours - theirs).max() <= 1e-6 * max(1, ours.max())


# Interrupted runs -------------------------------------------------------------------------------------------------------------------


def killed(frog, source, out, records, ranks=2, *, command=("factor",), options=(), how=signal.SIGKILL):
    """Ends all ranks of a run when it has so many records. Returns how many there are."""
    command = [frog.binary, *command, source, "--out", out, "--threads", 1, "--quiet", *options]
    command = ["mpirun", "-n", ranks, "--oversubscribe", "--mca", "mpi_yield_when_idle", "1", *command]
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    process = subprocess.Popen(
        [str(part) for part in command], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env=environment, start_new_session=True)  # fmt: skip
    deadline = time.monotonic() + 60
    while process.poll() is None and len(list((out / WORK).glob("*.frogrec"))) < records:
        assert time.monotonic() < deadline
        time.sleep(0.002)
    for entry in os.listdir("/proc"):
        try:
            fields = Path("/proc", entry, "stat").read_text().rpartition(")")[2].split() if entry.isdigit() else []
        except OSError:
            continue
        if fields and int(fields[3]) == process.pid:
            os.kill(int(entry), how)
    process.wait()
    return len(list((out / WORK).glob("*.frogrec")))


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_a_killed_run_goes_on(frog, checkpoint, tmp_path, ranks):
    source = checkpoint("minilm")
    factor(frog, source, tmp_path / "whole")
    out = tmp_path / "out"
    left = killed(frog, source, out, 10)
    assert 10 <= left < 37 and final_files(out) == []
    assert_refused(frog("factor", source, "--out", out, "--threads", 1), 64, "--resume")
    described = factor(frog, source, out, "--resume", ranks=ranks)
    assert contents(out) == contents(tmp_path / "whole") and len(described["matrices"]) == 37
    assert json.loads((out / "run.json").read_text())["resumed_matrices"] == left
    assert not (out / WORK).exists()


def test_bytes_that_changed_since_are_done_again(frog, checkpoint, tmp_path):
    source = checkpoint("minilm")
    factor(frog, source, tmp_path / "whole")
    out = tmp_path / "out"
    left = killed(frog, source, out, 10, ranks=1)
    file = out / WORK / "factors-00001-of-00001.safetensors"
    ordinals = sorted(int(path.name.split("-")[1].split(".")[0]) for path in (out / WORK).glob("*.frogrec"))
    matrix = json.loads((tmp_path / "whole/factors.json").read_text())["matrices"][ordinals[0]]
    (tensor,) = (t for t in reference.read_header(file) if t.name == matrix["name"] + ".vt")
    with open(file, "r+b") as stream:
        stream.seek(tensor.start + 5)
        byte = stream.read(1)
        stream.seek(tensor.start + 5)
        stream.write(bytes([byte[0] ^ 1]))
    result = frog("factor", source, "--out", out, "--threads", 1, "--resume")
    assert result.status == 0 and "was damaged" in result.stderr and matrix["name"] in result.stderr, str(result)
    assert contents(out) == contents(tmp_path / "whole")
    assert json.loads((out / "run.json").read_text())["resumed_matrices"] == left - 1


def test_a_lost_file_is_made_again(frog, checkpoint, tmp_path):
    source = checkpoint("bf16_sharded")
    factor(frog, source, tmp_path / "whole")
    out = tmp_path / "out"
    killed(frog, source, out, 4, ranks=1)
    for file in sorted((out / WORK).glob("factors-0000[1-3]-*")):
        file.unlink()
    factor(frog, source, out, "--resume")
    assert contents(out) == contents(tmp_path / "whole")


def test_a_finished_run_has_nothing_to_do(frog, checkpoint, tmp_path):
    source = checkpoint("mixed")
    factor(frog, source, tmp_path / "out")
    before = contents(tmp_path / "out")
    factor(frog, source, tmp_path / "out", "--resume")
    assert contents(tmp_path / "out") == before
    assert_refused(frog("factor", source, "--out", tmp_path / "out", "--resume", "--rank", 2, "--threads", 1), 64, "--rank was none, is 2")
    factor(frog, source, tmp_path / "out", "--rank", 2, "--overwrite")
    assert frog("verify", tmp_path / "out").status == 0


def test_files_of_an_older_run_go(frog, checkpoint, tmp_path):
    """Eight shards, then one: no file of the first is left."""
    factor(frog, checkpoint("bf16_sharded"), tmp_path / "out")
    assert len(list((tmp_path / "out").glob("factors-*"))) > 1
    factor(frog, checkpoint("equal_scores"), tmp_path / "out", "--overwrite")
    assert [path.name for path in (tmp_path / "out").glob("factors-*")] == ["factors-00001-of-00001.safetensors"]
    assert frog("verify", tmp_path / "out", "--checkpoint", checkpoint("equal_scores")).status == 0


# Verification -----------------------------------------------------------------------------------------------------------------------


def spoil(path, old, new):
    text = path.read_bytes()
    assert old in text
    path.write_bytes(text.replace(old, new, 1))


def test_verify_refuses_what_has_changed(frog, checkpoint, tmp_path):
    source = checkpoint("bf16_sharded")
    whole = tmp_path / "whole"
    factor(frog, source, whole, "--rank", 4)
    name = sorted(path.name for path in whole.glob("factors-0*"))[0]

    def changed(number, change):
        out = tmp_path / str(number)
        out.mkdir()
        for path in whole.iterdir():
            (out / path.name).write_bytes(path.read_bytes())
        change(out)
        return frog("verify", out)

    def flip(out):
        content = bytearray((out / name).read_bytes())
        content[-1] ^= 1
        (out / name).write_bytes(content)

    assert_refused(changed(1, flip), 65, name, "SHA-256")
    assert_refused(changed(2, lambda out: (out / name).write_bytes((out / name).read_bytes()[:-1])), 65, name, "bytes")
    assert_refused(changed(3, lambda out: (out / name).unlink()), 65, name)
    assert_refused(changed(4, lambda out: (out / "factors-09.safetensors").write_bytes(b"")), 65, "not a file of this run")
    assert_refused(changed(5, lambda out: spoil(out / "factors.json", b'"rank" : 4', b'"rank" : 5')), 65, "not those of the matrices")
    assert_refused(changed(6, lambda out: spoil(out / "factors.json", b'"residual" : 0', b'"residual" : 1')), 65, INDEX)
    assert_refused(changed(7, lambda out: spoil(out / INDEX, b".u", b".w")), 65, INDEX)
    assert_refused(changed(8, lambda out: (out / INDEX).unlink()), 65, INDEX)
    assert_refused(changed(9, lambda out: spoil(out / "factors.json", b'"format_version" : 1', b'"format_version" : 9')), 65, "version 9")
    assert_refused(changed(10, lambda out: (out / "factors.json").write_bytes(b"{}")), 65, "factors.json")
    other = frog("verify", whole, "--checkpoint", checkpoint("mixed"))
    assert_refused(other, 65, "fingerprint")


# Bad input --------------------------------------------------------------------------------------------------------------------------


def test_bad_input(frog, checkpoint, tmp_path):
    source = checkpoint("mixed")
    assert frog("factor", source, "--out", tmp_path / "out", "--rank", 0).status == 64
    assert frog("factor", source, "--out", tmp_path / "out", "--dtype", "f16").status == 64
    assert_refused(frog("factor", tmp_path / "nowhere", "--out", tmp_path / "out"), 66, "nowhere")
    assert_refused(frog("factor", source, "--out", source), 64, "checkpoint")
    assert_refused(frog("factor", source, "--out", tmp_path / "out", "--include", "*.nothing"), 64, "*.nothing")
    frog.mask(source, tmp_path / "masks", "--budget", "1%")
    assert_refused(frog("factor", source, "--out", tmp_path / "masks", "--overwrite"), 64, "frog-mpi mask")
    factor(frog, source, tmp_path / "factors", "--rank", 1)
    assert_refused(frog("mask", source, "--out", tmp_path / "factors", "--overwrite"), 64, "frog-mpi factor")


def test_a_disk_that_is_too_small_is_found_before_work_begins(frog, tmp_path):
    tensors = [(f"h.{i}.weight", "F32", (2048, 2048)) for i in range(40_000)]
    (tmp_path / "in").mkdir()
    kinds.write_sparse(tmp_path / "in/model.safetensors", tensors)
    needed = 40_000 * 4 * (2 * 2048 * 2048 + 2048)
    status = os.statvfs(tmp_path)
    if status.f_bavail * status.f_frsize > needed:
        pytest.skip("the disk is large")
    started = time.monotonic()
    result = frog("factor", tmp_path / "in", "--out", tmp_path / "out", ranks=2)
    assert_refused(result, 74, "free", "--rank", "bf16")
    assert time.monotonic() - started < 30 and not (tmp_path / "out").exists()


@pytest.mark.parametrize("options", [(), ("--rank", 8), ("--dtype", "bf16")])
def test_a_plan_foretells_what_is_written(frog, checkpoint, tmp_path, options):
    source = checkpoint("bf16_sharded")
    factor(frog, source, tmp_path / "out", *options)
    plan = json.loads(frog("plan", source, "--for", "factor", "--json", *options).stdout)
    written = sum(path.stat().st_size for path in (tmp_path / "out").glob("factors-*"))
    matrices = json.loads((tmp_path / "out/factors.json").read_text())["matrices"]
    assert 0 <= plan["totals"]["bytes_written"] - written <= 2048 * len(matrices)


@pytest.mark.skipif(not os.path.exists("/proc/self/io"), reason="needs the kernel's count of bytes read")
@pytest.mark.parametrize("shape", [(1600, 700), (700, 1600), (1000, 1000)], ids=str)
def test_a_plan_foretells_what_is_read(frog, tmp_path, shape):
    """One matrix of one norm block: nothing is read ahead."""
    weights = checkpoints.trained(np.random.default_rng(10), *shape)
    source = checkpoints.write_checkpoint(tmp_path / "in", {"h.0.weight": checkpoints.encode(weights, "F32")})
    found = json.loads(frog("plan", source, "--for", "factor", "--ranks", 1, "--json").stdout)
    script = '"$@" >&2 || exit; cat /proc/$$/io'
    line = [frog.binary, "factor", source, "--out", tmp_path / "out", "--threads", 1, "--io", "pread"]
    done = subprocess.run(["bash", "-c", script, "bash", *map(str, line)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split("rchar:")[1].split()[0]) == pytest.approx(found["totals"]["bytes_read"], rel=0.02)


def test_a_plan_has_options_of_one_command(frog, checkpoint):
    source = checkpoint("mixed")
    assert frog("plan", source, "--dtype", "bf16").status == 64
    assert frog("plan", source, "--for", "analyze", "--rank", 4).status == 64
    for options in itertools.product(((), ("--rank", 4)), ((), ("--dtype", "bf16"))):
        assert frog("plan", source, "--for", "factor", *sum(options, ())).status == 0
