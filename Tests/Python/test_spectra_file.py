"""`spectra.safetensors`: the singular values that the power laws were fitted to, against NumPy and against details.csv."""

import json

import numpy as np
import pytest
from safetensors.numpy import load_file

import checkpoints
import details
import reference

NAME = "spectra.safetensors"
#: λ = σ² of values that are rounded to 24 bits may lie this far from what the fit saw.
CLOSE = 1 + 2.0**-22


def spectra(out):
    """The singular values of every matrix, in float64, in the order of details.csv; the file is of the documented form."""
    tensors = load_file(out / NAME)
    offsets, values, exponents = tensors["offsets"], tensors["singular_values"], tensors["exponents"]
    assert tensors.keys() == {"offsets", "singular_values", "exponents"}
    assert (offsets.dtype, values.dtype, exponents.dtype) == (np.int64, np.float32, np.int32)
    assert offsets[0] == 0 and offsets[-1] == values.size and offsets.size == exponents.size + 1
    found = [np.ldexp(values[a:b].astype(np.float64), e) for a, b, e in zip(offsets, offsets[1:], exponents, strict=False)]
    assert all(np.all(np.diff(v) <= 0) and np.all(v >= 0) for v in found)
    return found, exponents


def assert_fits(row, sigma):
    """The values give the numbers of a row of details.csv: as many as the fit counts, and its α."""
    eigenvalues = sigma**2
    assert eigenvalues.size == int(row["num_evals"])
    assert sigma[0] == pytest.approx(float(row["sv_max"]), rel=2.0**-24)
    if row["status"] != "success":
        return
    xmin, xmax = float(row["xmin"]), float(row["xmax"])
    assert np.count_nonzero(eigenvalues * CLOSE >= xmin) == int(row["num_pl_spikes"])
    tail = eigenvalues[(eigenvalues * CLOSE >= xmin) & (eigenvalues <= xmax * CLOSE)]
    # Small spectra have another estimate, as in WeightWatcher.
    count = tail.size - (1 if np.count_nonzero(eigenvalues > 1e-5) < 20 else 0)
    assert 1 + count / np.log(tail / xmin).sum() == pytest.approx(float(row["alpha"]), rel=1e-5)


def analyze(frog, source, out, *options, ranks=None):
    result = frog("analyze", source, "--out", out, "--threads", 1, *options, ranks=ranks)
    assert result.status == 0, str(result)
    return list(details.rows(out).values()), *spectra(out)


def test_a_real_model(frog, checkpoint, tmp_path):
    source = checkpoint("minilm")
    rows, found, exponents = analyze(frog, source, tmp_path / "out", ranks=2)
    tensors = {t.name.removesuffix(".weight"): t for t in reference.checkpoint_tensors(source)}
    assert len(found) == len(rows) == 37 and not exponents.any()
    assert sum(row["status"] == "success" for row in rows) == 37
    for row, values in zip(rows, found, strict=True):
        assert_fits(row, values)
        exact = np.linalg.svd(tensors[row["longname"]].read().astype(np.float64), compute_uv=False)
        assert np.abs(values - exact).max() <= 1e-12 * exact[0] + 2.0**-24 * exact[0]
        assert np.all(np.abs(values - exact)[exact > 1e-6 * exact[0]] <= 2.0**-23 * exact[exact > 1e-6 * exact[0]])
    recorded = json.loads((tmp_path / "out" / "summary.json").read_text())["files"]
    assert recorded.keys() == {"details.csv", NAME} and recorded[NAME]["bytes"] == (tmp_path / "out" / NAME).stat().st_size


@pytest.mark.parametrize(
    "options", [(), ("--fix-fingers", "--metrics", "alpha,xmin,xmax,num_evals,num_pl_spikes,sv_max,status,num_fingers")]
)
def test_kernels_are_pooled_and_fingers_lie_beyond_the_tail(frog, tmp_path, options):
    generator = np.random.default_rng(31)
    shapes = {"conv": (24, 16, 3, 3), "point": (32, 24, 1, 1), "h.0.fc": (60, 40)}
    weights = {name: generator.standard_normal(shape) * generator.pareto(2, shape) for name, shape in shapes.items()}
    # Half-normal singular values, the largest three times as large: some of these have fingers.
    for seed in range(6):
        values = np.abs(np.random.default_rng(seed).standard_normal(60))
        values[:2] *= 3
        u, _ = np.linalg.qr(generator.standard_normal((80, 60)))
        v, _ = np.linalg.qr(generator.standard_normal((60, 60)))
        weights[f"h.{seed}.fc"] = (u * values) @ v.T
    tensors = {f"{name}.weight": checkpoints.encode(values, "F64") for name, values in weights.items()}
    source = checkpoints.write_checkpoint(tmp_path / "in", tensors)
    rows, found, _ = analyze(frog, source, tmp_path / "out", "--conv", *options, ranks=3)
    assert [row["longname"] for row in rows] == sorted(weights)
    for row, values in zip(rows, found, strict=True):
        assert_fits(row, values)
        matrix = weights[row["longname"]]
        if matrix.ndim == 4:
            positions = [matrix[:, :, i, j] for i in range(matrix.shape[2]) for j in range(matrix.shape[3])]
            exact = np.sort(np.concatenate([np.linalg.svd(p, compute_uv=False) for p in positions]))[::-1] / np.sqrt(2)
        else:
            exact = np.linalg.svd(matrix, compute_uv=False)
        assert values == pytest.approx(exact, rel=1e-6)
    if options:
        assert any(int(row["num_fingers"]) > 0 for row in rows)


@pytest.mark.parametrize("exponent", [0, 39, 41, -39, -41, -150, 200, -400, 480])
def test_scales_beyond_single_precision(frog, tmp_path, exponent):
    """A power of two takes them up: as documented 0 for norms of 2^±40, and else that of the largest value."""
    generator = np.random.default_rng(32)
    weights = {"a.weight": np.ldexp(generator.standard_normal((30, 20)), exponent), "zero.weight": np.zeros((8, 6))}
    # Values down to 2⁻⁴⁵ of the largest are right to 24 bits.
    u, _ = np.linalg.qr(generator.standard_normal((40, 40)))
    weights["steep.weight"] = np.ldexp(u * np.exp2(-np.arange(40)), exponent)
    source = checkpoints.write_checkpoint(tmp_path / "in", {name: checkpoints.encode(w, "F64") for name, w in weights.items()})
    rows, found, exponents = analyze(frog, source, tmp_path / "out")
    for row, values, stored in zip(rows, found, exponents, strict=True):
        exact = np.linalg.svd(np.ldexp(weights[row["longname"] + ".weight"], -exponent), compute_uv=False)
        assert np.ldexp(values, -exponent) == pytest.approx(exact, rel=2e-6)
        largest = np.frexp(exact[0])[1] - 1 + exponent
        assert stored == (0 if exact[0] == 0 or -40 <= largest < 40 else largest), (stored, largest)


def test_masks_come_with_the_spectra_of_analyze(frog, checkpoint, tmp_path):
    """Those that scoring finds, and those that are measured before it; the same bytes on any number of ranks."""
    source = checkpoint("bf16_sharded")
    _, alone, _ = analyze(frog, source, tmp_path / "alone")
    for options in (("--analyze",), ("--quality-weight", "alpha"), ("--select", "matrix", "--importance", "nuclear")):
        wanted = None
        for ranks in (1, 3):
            out = tmp_path / f"{options[0]}{ranks}"
            described = frog.mask(source, out, *options, ranks=ranks)
            assert described["documents"][NAME]["bytes"] == (out / NAME).stat().st_size
            assert json.loads((out / "summary.json").read_text())["files"][NAME] == described["documents"][NAME]
            assert (out / NAME).read_bytes() == (wanted := wanted or (out / NAME).read_bytes())
            found, _ = spectra(out)
            for row, mine, theirs in zip(details.rows(out).values(), found, alone, strict=True):
                assert_fits(row, mine)
                # The Gram matrix of scoring does not resolve the smallest ones.
                assert np.abs(mine - theirs).max() <= 1e-4 * theirs[0] and mine[:10] == pytest.approx(theirs[:10], rel=1e-6)
        assert options[0] == "--analyze" or wanted == (tmp_path / "alone" / NAME).read_bytes()
    # Without spectra the file goes.
    frog.mask(checkpoint("bf16_sharded"), tmp_path / "--analyze1", "--overwrite")
    assert not (tmp_path / "--analyze1" / NAME).exists() and frog("verify", tmp_path / "--analyze1").status == 0


def test_every_mask_of_several_has_its_own(frog, checkpoint, tmp_path):
    source = checkpoint("mixed")
    frog.mask(source, tmp_path / "one", "--analyze", "--budget", "1%")
    result = frog("mask", source, "--out", tmp_path / "out", "--threads", 1, "--analyze", "--budget", "1%,2%", "--normalize", "none,matrix")
    assert result.status == 0, str(result)
    folders = [mask["folder"] for mask in json.loads((tmp_path / "out" / "masks.json").read_text())["masks"]]
    assert len(folders) == 4
    for folder in folders:
        assert (tmp_path / "out" / folder / NAME).read_bytes() == (tmp_path / "one" / NAME).read_bytes()
    assert frog("verify", tmp_path / "out").status == 0
    changed = tmp_path / "out" / folders[2] / NAME
    changed.write_bytes(changed.read_bytes()[:-1] + b"\x01")
    result = frog("verify", tmp_path / "out")
    assert result.status == 65 and f"{folders[2]}/{NAME}" in result.stdout + result.stderr


@pytest.mark.parametrize(
    "command, options", [("analyze", ("--overlap", 4)), ("mask", ("--analyze",)), ("mask", ("--analyze", "--budget", "1%,2%"))]
)
def test_a_run_that_was_killed_while_it_wrote_them_goes_on(frog, checkpoint, tmp_path, command, options):
    """The journal is whole, and a part of the file lies in the work folder."""
    source, out = checkpoint("bf16_sharded"), tmp_path / "out"
    line = (command, source, "--out", out, "--threads", 1, *options)
    assert frog(*line, "--keep-work").status == 0
    whole = {path.relative_to(out): path.read_bytes() for path in out.rglob("*") if path.is_file() and ".frog-mpi" not in path.parts}
    assert sum(path.name == NAME for path in whole) == (2 if "1%,2%" in options else 1)
    for path in whole:
        if path.name == NAME:
            (out / ".frog-mpi" / "-".join(path.parts)).write_bytes(whole[path][:1000])
        (out / path).unlink()
    (out / ".frog-mpi" / "commit.json").unlink()
    result = frog(*line, "--resume", ranks=3)
    assert result.status == 0, str(result)
    found = {path.relative_to(out): path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert found.keys() == whole.keys()
    assert all(found[path] == whole[path] for path in whole if path.name != "run.json")
