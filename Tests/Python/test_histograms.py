"""histograms.safetensors: exact counts of what ranks the weights, and what other budgets keep, within the stated bounds."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

import reference
from harness import LONG
from test_several import several

BUDGETS = ("0.1%", "0.5%", "1%", "2%", "5%", "10%", "20%")


def keys(values):
    """The order-preserving 32-bit keys of floats."""
    bits = np.asarray(values, np.float32).view(np.uint32)
    return np.where(bits >> 31, ~bits, bits | np.uint32(1 << 31)).astype(np.uint32)


def bins(out, described):
    """Matrix → its bins, counts, sums and exponent."""
    found = load_file(out / "histograms.safetensors")
    offsets = found["offsets"]
    assert offsets[0] == 0 and len(offsets) == len(found["exponents"]) + 1 == len(described["matrices"]) + 1
    assert found["bins"].dtype == np.uint16 and found["counts"].dtype == np.int32 and found["sums"].dtype == np.float32
    return {
        matrix["name"]: (*(found[part][start:end] for part in ("bins", "counts", "sums")), int(exponent))
        for matrix, start, end, exponent in zip(described["matrices"], offsets, offsets[1:], found["exponents"])
    }


def ranked(scores, noise_row, noise_column, normalize):
    """What ranks a matrix's weights, as docs/method/selection.md says."""
    scores = scores.astype(np.float32)
    if normalize == "matrix":
        return scores / np.float32(noise_row.astype(np.float64).mean())
    if normalize == "rowcol":
        return scores / (noise_row[:, None] * noise_column[None, :])
    return scores


@pytest.mark.parametrize("ranks", [1, 3])
@pytest.mark.parametrize(
    "name, options",
    [
        ("mixed", ()),
        ("equal_scores", ()),
        ("mixed", ("--normalize", "rowcol")),
        ("bf16_sharded", ("--score", "magnitude", "--select", "uniform")),
    ],
)
def test_counts_and_sums_are_those_of_all_weights(frog, checkpoint, tmp_path, name, options, ranks):
    # A mask of all weights holds every score.
    described = frog.mask(checkpoint(name), tmp_path / "out", "--budget", "100%", *options, ranks=ranks)
    output = reference.read_output(tmp_path / "out", {m["name"]: tuple(m["shape"]) for m in described["matrices"]})
    found = bins(tmp_path / "out", described)
    for matrix in described["matrices"]:
        mask = output[matrix["name"]]
        order = np.argsort(mask.indices)
        scores = mask.scores[order].reshape(matrix["shape"])
        values = ranked(scores, mask.noise_row, mask.noise_col, described["parameters"]["normalize"])
        numbers, counts, sums, exponent = found[matrix["name"]]
        coarse = (keys(values) >> 20).ravel()
        wanted = np.bincount(coarse, minlength=1 << 12)
        assert exponent == 0 and np.array_equal(numbers, np.flatnonzero(wanted))
        # Means that are rounded twice may put a weight on the other side of a border.
        slack = 0 if described["parameters"]["normalize"] == "none" else 1
        assert np.abs(counts - wanted[numbers]).max() <= slack
        assert counts.sum() == scores.size
        exact = np.bincount(coarse, scores.ravel().astype(np.float64), minlength=1 << 12)[numbers]
        if slack == 0:
            assert np.allclose(sums, exact, rtol=2**-23, atol=0)
        assert matrix["score_sum"] == pytest.approx(scores.sum(dtype=np.float64), rel=1e-12)
        assert matrix["selected_score_sum"] == pytest.approx(scores.sum(dtype=np.float64), rel=1e-12)


def test_bytes_are_the_same_on_any_number_of_ranks_and_small(frog, checkpoint, tmp_path):
    for ranks in (1, 2, 5):
        frog.mask(checkpoint("minilm"), tmp_path / f"{ranks}", ranks=ranks)
    texts = {(tmp_path / f"{ranks}" / "histograms.safetensors").read_bytes() for ranks in (1, 2, 5)}
    assert len(texts) == 1 and len(texts.pop()) <= 37 * 2000
    frog.mask(checkpoint("minilm"), tmp_path / "without", "--no-histograms")
    assert not (tmp_path / "without" / "histograms.safetensors").exists()
    assert frog("verify", tmp_path / "without").status == 0
    (tmp_path / "without" / "histograms.safetensors").write_bytes((tmp_path / "1" / "histograms.safetensors").read_bytes())
    assert frog("verify", tmp_path / "without").status == 65
    damaged = bytearray((tmp_path / "2" / "histograms.safetensors").read_bytes())
    damaged[-1] ^= 1
    (tmp_path / "2" / "histograms.safetensors").write_bytes(damaged)
    assert frog("verify", tmp_path / "2").status == 65


@pytest.fixture(scope="module")
def model(checkpoint, tmp_path_factory):
    """Name → folder of a model of real size."""
    made = {"minilm": checkpoint("minilm")}
    if LONG:
        made["llama-1b, 2 layers"] = tmp_path_factory.mktemp("llama") / "model"
        maker = Path(__file__).resolve().parents[2] / "Benchmarks/checkpoints/make_checkpoint.py"
        command = [sys.executable, maker, made["llama-1b, 2 layers"], "--model", "llama-1b", "--layers", "2"]
        subprocess.run(command, check=True)
    return made


@pytest.mark.parametrize("select", ["global", "matrix", "uniform", "lora"])
@pytest.mark.parametrize("name", ["minilm"] + ["llama-1b, 2 layers"] * LONG)
def test_what_other_budgets_keep_is_within_the_bound(frog, model, tmp_path, name, select):
    out = tmp_path / "out"
    several(frog, model[name], out, "--budget", ",".join(BUDGETS), "--select", select, ranks=2, timeout=900)
    # The estimate of all budgets comes from the mask of one.
    result = frog("inspect", out / f"{select}-1%", "--layers", "--budget-sweep", ",".join(BUDGETS), "--json")
    assert result.status == 0, str(result)
    for step in json.loads(result.stdout)["sweep"]:
        real = json.loads((out / f"{select}-{step['budget']}" / "frog.json").read_text())
        assert step["K"] == real["K"] == sum(layer["kept"] for layer in step["layers"])
        for mine, layer in zip(step["layers"], real["layers"], strict=True):
            assert (mine["stack"], mine["depth"]) == (layer["stack"], layer["depth"])
            assert abs(mine["kept"] - layer["kept"]) <= mine["kept_bound"]
            if select != "global":
                # What is kept follows from the budget. Of the border bin all scores lie within an eighth of a power of two.
                assert mine["kept_bound"] == 0
                assert mine["selected_score_sum"] == pytest.approx(layer["selected_score_sum"], rel=0.13)
