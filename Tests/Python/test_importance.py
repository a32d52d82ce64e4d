"""What the budgets of `--select matrix` are in proportion to."""

import math

import numpy as np
import pytest

import checkpoints
import reference
from harness import assert_refused

METRICS = {
    "frobenius": lambda sigma, scale: scale * np.linalg.norm(sigma),
    "spectral": lambda sigma, scale: scale * sigma.max(),
    "nuclear": lambda sigma, scale: scale * sigma.sum(),
    "stable-rank": lambda sigma, scale: (sigma**2).sum() / sigma.max() ** 2,
    "log-norm": lambda sigma, scale: np.log1p(scale * np.linalg.norm(sigma)),
}


def weights():
    """Spectra of all kinds: trained, of low rank, of rank one, of equal values, of zeros."""
    generator = np.random.default_rng(8)
    return {
        "h.0.a.weight": checkpoints.trained(generator, 40, 30),
        "h.0.b.weight": generator.standard_normal((50, 3)) @ generator.standard_normal((3, 20)),
        "h.0.c.weight": np.zeros((16, 16)),
        "h.1.a.weight": 3 * np.linalg.qr(generator.standard_normal((25, 25)))[0],
        "h.1.b.weight": np.outer(generator.standard_normal(8), generator.standard_normal(100)),
        "h.1.c.weight": 40 * generator.standard_normal((3, 4)),
    }


def folder(path, tensors, scale=1.0):
    return checkpoints.write_checkpoint(path, {n: checkpoints.encode(w * scale, "F64") for n, w in tensors.items()})


def shares(tensors, metric, scale=1.0):
    values = [
        METRICS[metric](np.linalg.svd(w, compute_uv=False), scale) if w.any() else 0.0 for _, w in sorted(tensors.items())
    ]  # fmt: skip
    return np.array(values) / sum(values)


@pytest.mark.parametrize("scale", [1e-140, 1.0, 1e150], ids=["tiny", "ordinary", "huge"])
@pytest.mark.parametrize("metric", METRICS)
def test_budgets_follow_the_metric(frog, tmp_path, metric, scale):
    tensors = weights()
    source = folder(tmp_path / "in", tensors, scale)
    options = ("--select", "matrix", "--importance", metric, "--budget", "12.5%")
    described = frog.mask(source, tmp_path / "out", *options, ranks=2)
    wanted = shares(tensors, metric, scale)
    assert described["parameters"]["importance"] == metric
    found = [m["importance"] for m in described["matrices"]]
    assert found == pytest.approx(wanted, rel=1e-9, abs=1e-300) and math.fsum(found) == pytest.approx(1, abs=1e-14)
    assert found[2] == 0 and [m["norm"] for m in described["matrices"]] == pytest.approx(
        [scale * np.linalg.norm(w) for _, w in sorted(tensors.items())], rel=1e-12
    )
    sizes = [w.size for _, w in sorted(tensors.items())]
    counts = reference.matrix_counts(wanted, sizes, described["K"])
    assert [m["kept"] for m in described["matrices"]] == counts
    assert math.fsum(layer["importance"] for layer in described["layers"]) == pytest.approx(1, abs=1e-14)
    assert frog("verify", tmp_path / "out", "--checkpoint", source).status == 0


def test_metrics_give_different_budgets():
    """So that the test above can tell one from another."""
    found = [tuple(np.round(shares(weights(), metric), 3)) for metric in METRICS]
    assert len(set(found)) == len(METRICS)


@pytest.mark.parametrize("metric", METRICS)
def test_a_model_of_zeros_is_shared_equally(frog, tmp_path, metric):
    source = folder(tmp_path / "in", {f"h.{i}.weight": np.zeros((6, 8)) for i in range(4)})
    described = frog.mask(source, tmp_path / "out", "--select", "matrix", "--importance", metric, "--budget", "25%")
    assert [m["importance"] for m in described["matrices"]] == [0.25] * 4
    assert [m["kept"] for m in described["matrices"]] == [12] * 4


@pytest.mark.parametrize(
    "options",
    [("--score", "magnitude"), ("--rank", "4"), ("--precision", "f32"), ("--quality-weight", "alpha"), ("--analyze",)],
    ids=lambda options: options[0],
)
def test_with_other_options(frog, tmp_path, options):
    """Spectra are measured in a stage of their own, which approximate scores and other options do not change."""
    tensors = weights()
    source = folder(tmp_path / "in", tensors)
    described = frog.mask(source, tmp_path / "out", "--select", "matrix", "--importance", "nuclear", *options)
    assert [m["importance"] for m in described["matrices"]] == pytest.approx(shares(tensors, "nuclear"), rel=1e-9)
    # The tables of the spectra come with them.
    assert set(described["documents"]) == {"layers.csv", "histograms.safetensors", "details.csv", "spectra.safetensors", "summary.json"}
    assert all((m["quality_weight"] is None) == (options[0] != "--quality-weight") for m in described["matrices"])


def test_budgets_do_not_depend_on_the_number_of_ranks(frog, checkpoint, tmp_path):
    found = []
    for ranks in (1, 3):
        out = tmp_path / str(ranks)
        frog.mask(checkpoint("bf16_sharded"), out, "--select", "matrix", "--importance", "stable-rank", ranks=ranks)
        found.append({p.name: p.read_bytes() for p in out.iterdir() if p.is_file() and p.name != "run.json"})
    assert found[0] == found[1]


def test_only_budgets_of_matrices_have_a_metric(frog, checkpoint, tmp_path):
    for select in ("global", "uniform", "lora"):
        options = ("--out", tmp_path / "out", "--select", select, "--importance", "spectral")
        assert_refused(frog("mask", checkpoint("twins"), *options), 64, "--select matrix")
    options = ("--out", tmp_path / "out", "--select", "matrix", "--importance", "size")
    assert_refused(frog("mask", checkpoint("twins"), *options), 64, "size")
