"""`frog-mpi compare`: every figure against float64 NumPy, planted harm and none, bad pairs, and runs that are interrupted."""

import json
import math
import os
import re
import shutil
import signal
import subprocess
import time

import numpy as np
import pytest

import checkpoints
import weightwatcher_oracle
from details import rows
from harness import Result, assert_refused

TOP = 4


def compare(frog, base, tuned, out, *options, ranks=None):
    """The rows of details.csv by longname, and summary.json."""
    result = frog("compare", base, tuned, "--out", out, "--threads", 1, *options, ranks=ranks, timeout=120)
    assert result.status == 0, str(result)
    return rows(out), json.loads((out / "summary.json").read_text())


def write(folder, matrices, dtype="F32", **options):
    return checkpoints.write_checkpoint(
        folder, {f"{name}.weight": checkpoints.encode(matrix, dtype) for name, matrix in matrices.items()}, **options
    )


def stored(matrix, dtype):
    """What a checkpoint holds of a matrix, in float64."""
    name, shape, raw = checkpoints.encode(matrix, dtype)
    if name == "BF16":
        return (np.frombuffer(raw, "<u2").astype(np.uint32) << 16).view("<f4").reshape(shape).astype(float)
    return np.frombuffer(raw, {"F32": "<f4", "F64": "<f8", "F16": "<f2"}[name]).reshape(shape).astype(float)


def model(generator, layers=4):
    """Trained-looking matrices, tall, wide and square."""
    shapes = {"q_proj": (64, 64), "k_proj": (32, 64), "up_proj": (160, 64), "down_proj": (64, 160)}
    return {
        f"model.layers.{layer}.{name}": checkpoints.trained(generator, *shape)
        for layer in range(layers) for name, shape in shapes.items()
    }  # fmt: skip


def tuned(generator, matrices, size=1e-3):
    """A fine-tune: small random changes everywhere."""
    return {
        name: matrix + size * np.linalg.norm(matrix) / matrix.size**0.5 * generator.standard_normal(matrix.shape)
        for name, matrix in matrices.items()
    }


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Matrices, and the two checkpoints that hold them: BF16 in shards, F32 in one file."""
    generator = np.random.default_rng(1)
    base = model(generator)
    after = tuned(generator, base, 0.05)
    folder = tmp_path_factory.mktemp("pair")
    write(folder / "base", base, "BF16", shard_size=40_000)
    write(folder / "tuned", after)
    return (
        {name: stored(matrix, "BF16") for name, matrix in base.items()},
        {name: stored(matrix, "F32") for name, matrix in after.items()},
        folder / "base", folder / "tuned",
    )  # fmt: skip


def close(found, expected, tolerance=1e-9):
    return math.isclose(float(found), expected, rel_tol=tolerance, abs_tol=1e-12)


def angles(a, b):
    """Principal angles of the spaces of two orthonormal sets, ascending."""
    cosines = np.linalg.svd(a.T @ b, compute_uv=False)
    sines = np.linalg.svd(b - a @ (a.T @ b), compute_uv=False)[::-1]
    return np.arctan2(sines, cosines)


def test_every_figure_is_that_of_numpy(frog, pair, tmp_path):
    before, after, base, other = pair
    found, summary = compare(frog, base, other, tmp_path / "one", "--top", TOP, "--delta-spectrum")
    assert len(found) == len(before) == summary["pairs"]
    for name, a in before.items():
        b, row = after[name], found[name]
        u, s, vt = np.linalg.svd(a)
        x, t, yt = np.linalg.svd(b)
        d = np.linalg.svd(b - a, compute_uv=False)
        expected = {
            "base_log_norm": np.log10(np.sum(s**2)), "tuned_log_norm": np.log10(np.sum(t**2)),
            "delta_log_norm": np.log10(np.sum(t**2) / np.sum(s**2)),
            "delta_log_spectral_norm": 2 * np.log10(t[0] / s[0]), "base_stable_rank": np.sum(s**2) / s[0] ** 2,
            "delta_stable_rank": np.sum(t**2) / t[0] ** 2 - np.sum(s**2) / s[0] ** 2,
            "update_norm": np.linalg.norm(b - a), "update_relative_norm": np.linalg.norm(b - a) / np.linalg.norm(a),
            "cka": np.linalg.norm(a.T @ b) / np.sqrt(np.linalg.norm(a.T @ a) * np.linalg.norm(b @ b.T)),
            "left_overlap": np.mean(np.cos(angles(u[:, :TOP], x[:, :TOP])) ** 2),
            "left_largest_angle": angles(u[:, :TOP], x[:, :TOP])[-1],
            "right_overlap": np.mean(np.cos(angles(vt[:TOP].T, yt[:TOP].T)) ** 2),
            "right_largest_angle": angles(vt[:TOP].T, yt[:TOP].T)[-1],
            "update_sv_max": d[0], "update_stable_rank": np.sum(d**2) / d[0] ** 2,
            "update_effective_rank": np.exp(-np.sum(d / d.sum() * np.log(d / d.sum()))),
        }  # fmt: skip
        for column, value in expected.items():
            assert close(row[column], value), (name, column, row[column], value)
        share = np.cumsum(d**2) / np.sum(d**2)
        assert int(row["update_rank_90"]) == 1 + np.sum(share < 0.9)
        assert int(row["update_rank_99"]) == 1 + np.sum(share < 0.99)
        assert int(row["base_rank_99"]) == 1 + np.sum(np.cumsum(s**2) / np.sum(s**2) < 0.99)
        assert (row["base_dtype"], row["tuned_dtype"]) == ("BF16", "F32")
        assert int(row["subspace_dimensions"]) == TOP
    means = {key: np.mean([float(row[f"base_{key}"]) for row in found.values()]) for key in ("alpha", "log_norm")}
    for key, mean in means.items():
        assert close(summary["metrics"][key]["base"]["mean"], mean)
    change = np.median([float(row["delta_alpha"]) for row in found.values()])
    assert close(summary["metrics"]["alpha"]["change"]["median"], change)
    moved = sum(np.linalg.norm(after[name] - a) ** 2 for name, a in before.items()) ** 0.5
    assert close(summary["update"]["norm"], moved)
    assert close(summary["update"]["relative_norm"], moved / sum(np.linalg.norm(a) ** 2 for a in before.values()) ** 0.5)


@pytest.mark.skipif(not weightwatcher_oracle.available(), reason="needs weightwatcher 0.7.7")
def test_distances_are_those_of_weightwatcher(frog, pair, tmp_path):
    import weightwatcher

    before, after, base, other = pair
    watcher = weightwatcher.WeightWatcher()
    found, _ = compare(frog, base, other, tmp_path / "out")
    for name, matrix in before.items():
        assert close(found[name]["cka"], watcher.matrix_distance(matrix, after[name], "cka"))
        assert close(found[name]["update_norm"], watcher.matrix_distance(matrix, after[name], "euclidean"))


def test_a_memory_limit_makes_teams_and_the_same_figures(frog, tmp_path):
    generator = np.random.default_rng(11)
    base = {"h.0.large": checkpoints.trained(generator, 1500, 1500), "h.1.small": checkpoints.trained(generator, 90, 60)}
    write(tmp_path / "base", base)
    write(tmp_path / "tuned", tuned(generator, base), "BF16")
    arguments = ("compare", tmp_path / "base", tmp_path / "tuned", "--out", tmp_path / "out", "--memory", "150MB")
    refusal = frog(*arguments)
    assert_refused(refusal, 64, "h.0.large", "on each of 2", "give --memory")
    limit = re.search(r"give --memory (\S+)", refusal.stderr)[1]
    alone, _ = compare(frog, tmp_path / "base", tmp_path / "tuned", tmp_path / "alone")
    teams, _ = compare(frog, tmp_path / "base", tmp_path / "tuned", tmp_path / "teams", "--memory", limit, "--keep-work", ranks=2)
    assert b'"members":2' in (tmp_path / "teams" / WORK / "pairs-00000000.frogrec").read_bytes()
    assert b'"members":1' in (tmp_path / "teams" / WORK / "pairs-00000001.frogrec").read_bytes()
    for name, row in alone.items():
        for column, value in row.items():
            found = teams[name][column]
            # Products are the same bits; so is what one rank has done.
            if name == "h.1.small" or column in ("update_norm", "update_relative_norm", "cka"):
                assert found == value or column.endswith("_excess"), column
            elif "delta" in column or "excess" in column or "angle" in column:
                assert math.isclose(float(found), float(value), abs_tol=1e-9), column
            else:
                assert found == value or math.isclose(float(found), float(value), rel_tol=1e-9), column
    run = json.loads((tmp_path / "teams/run.json").read_text())
    assert max(run["peak_anonymous_bytes"]) <= float(limit.removesuffix("MB")) * 1e6


def test_ranks_do_not_matter(frog, pair, tmp_path):
    *_, base, other = pair
    for ranks in (1, 3):
        compare(frog, base, other, tmp_path / f"{ranks}", "--delta-spectrum", ranks=ranks)
    for name in ("details.csv", "summary.json"):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "3" / name).read_bytes()


def test_the_spectra_are_those_of_analyze(frog, pair, tmp_path):
    *_, base, other = pair
    found, _ = compare(frog, base, other, tmp_path / "out", ranks=2)
    for side, folder in (("base", base), ("tuned", other)):
        result = frog("analyze", folder, "--out", tmp_path / side, "--threads", 1)
        assert result.status == 0, str(result)
        for longname, row in rows(tmp_path / side).items():
            for name in ("alpha", "alpha_weighted", "log_norm", "log_spectral_norm", "stable_rank", "warning"):
                assert found[longname][f"{side}_{name}"] == row[name]
        summary = json.loads((tmp_path / side / "summary.json").read_text())
        assert summary["checkpoint"] == json.loads((tmp_path / "out/summary.json").read_text())[side]


def flagged(summary):
    return {flag["matrix"].removesuffix(".weight"): flag["kinds"] for flag in summary["flags"]}


def test_an_unharmed_fine_tune_is_not_flagged(frog, tmp_path):
    generator = np.random.default_rng(2)
    base = model(generator)
    write(tmp_path / "base", base)
    for size in (1e-4, 1e-2, 0.1):
        write(tmp_path / f"tuned{size}", tuned(generator, base, size))
        _, summary = compare(frog, tmp_path / "base", tmp_path / f"tuned{size}", tmp_path / f"out{size}")
        assert summary["flags"] == [] and summary["verdict"]["status"] == "unharmed", summary["verdict"]
        assert summary["update"]["relative_norm"] == pytest.approx(size, rel=0.05)


def test_a_scaled_layer_is_flagged_and_only_that(frog, tmp_path):
    generator = np.random.default_rng(3)
    base = model(generator)
    write(tmp_path / "base", base)
    for factor in (8, 1 / 8):
        after = tuned(generator, base)
        harmed = [name for name in base if ".2." in name]
        for name in harmed:
            after[name] *= factor
        write(tmp_path / f"tuned{factor}", after)
        _, summary = compare(frog, tmp_path / "base", tmp_path / f"tuned{factor}", tmp_path / f"out{factor}", ranks=2)
        assert flagged(summary) == {name: ["spectral", "frobenius"] for name in sorted(harmed)}
        assert summary["verdict"]["status"] == "harmed"
        assert "4 of 16 matrices changed their scale" in summary["verdict"]["reasons"][0]


def test_a_distilled_copy_is_flagged(frog, tmp_path):
    """Some layers far smaller, others cut to a few directions."""
    generator = np.random.default_rng(4)
    base = model(generator)
    after = tuned(generator, base)
    small = [name for name in base if ".1." in name]
    cut = [name for name in base if ".3." in name]
    for name in small:
        after[name] *= 0.2
    for name in cut:
        u, s, vt = np.linalg.svd(after[name], full_matrices=False)
        after[name] = (u[:, :4] * s[:4]) @ vt[:4]
    write(tmp_path / "base", base)
    write(tmp_path / "tuned", after, "BF16")
    result = frog("compare", tmp_path / "base", tmp_path / "tuned", "--out", tmp_path / "out", "--threads", 1)
    assert result.status == 0 and "verdict: the tuned model looks harmed" in result.stdout, str(result)
    found = flagged(json.loads((tmp_path / "out/summary.json").read_text()))
    assert set(found) == {*small, *cut}
    assert all("spectral" in found[name] for name in small) and all("rank" in found[name] for name in cut)


def test_trends_are_those_of_alpha(frog, tmp_path):
    """A flat spectrum becomes one of a power law, and the other way round; the rest moves less than its fits are uncertain."""
    generator = np.random.default_rng(14)

    def matrix(exponent):
        u, _ = np.linalg.qr(generator.standard_normal((120, 100)))
        v, _ = np.linalg.qr(generator.standard_normal((100, 100)))
        quantiles = (np.arange(100) + 0.5) / 100
        return u * (1 - quantiles) ** (-0.5 / (exponent - 1)) @ v.T

    noise, fits = [matrix(20) for _ in range(4)], [matrix(3) for _ in range(4)]
    base = {"h.0.better": noise[0], "h.1.better": noise[1], "h.0.worse": fits[2], "h.1.worse": fits[3], **model(generator, layers=1)}
    after = tuned(generator, base) | {
        "h.0.better": fits[0], "h.1.better": fits[1], "h.0.worse": noise[2], "h.1.worse": noise[3], "h.2.new": noise[0],
    }  # fmt: skip
    write(tmp_path / "base", base)
    write(tmp_path / "tuned", after)
    found, summary = compare(frog, tmp_path / "base", tmp_path / "tuned", tmp_path / "out")
    counts = {"improved": 0, "worsened": 0, "unchanged": 0}
    for name, row in found.items():
        before, now = (max(2 - alpha, alpha - 6, 0) for alpha in (float(row["base_alpha"]), float(row["tuned_alpha"])))
        error = max(float(row["base_sigma"]), float(row["tuned_sigma"]))
        trend = "unchanged" if abs(now - before) <= error else "improved" if now < before else "worsened"
        assert row["trend"] == trend, row
        counts[trend] += 1
        for word, expected in (("better", "improved"), ("worse", "worsened"), ("layers", "unchanged")):
            assert word not in name or trend == expected, row
    assert {key: summary["trends"][key] for key in counts} == counts


def test_scales_that_come_apart_are_harm(frog, tmp_path):
    """So many matrices change that none of them is odd."""
    base = model(np.random.default_rng(12))
    write(tmp_path / "base", base)
    write(tmp_path / "tuned", {name: matrix * (0.45 if number % 2 else 1) for number, (name, matrix) in enumerate(base.items())})
    _, summary = compare(frog, tmp_path / "base", tmp_path / "tuned", tmp_path / "out")
    assert summary["flags"] == [] and summary["verdict"]["status"] == "harmed"
    assert all("come apart" in reason for reason in summary["verdict"]["reasons"])


def test_roles_say_where_the_tuning_went(frog, tmp_path):
    generator = np.random.default_rng(13)
    base = model(generator)
    after = base | tuned(generator, {name: matrix for name, matrix in base.items() if "q_proj" in name}, 0.01)
    write(tmp_path / "base", base)
    write(tmp_path / "tuned", after)
    found, summary = compare(frog, tmp_path / "base", tmp_path / "tuned", tmp_path / "out", ranks=2)
    roles = {role["role"]: role for role in summary["roles"]}
    assert {name: role["equal"] for name, role in roles.items()} == {"down": 4, "k": 4, "q": 0, "up": 4}
    own = [row for row in found.values() if row["role"] == "q"]
    for key, column in (("median_relative_norm", "update_relative_norm"), ("median_cka", "cka"), ("median_delta_alpha", "delta_alpha"),
                        ("median_left_overlap", "left_overlap"), ("median_base_alpha", "base_alpha")):  # fmt: skip
        assert close(roles["q"][key], np.median([float(row[column]) for row in own]))
    assert roles["q"]["median_relative_norm"] == pytest.approx(0.01, rel=0.1) and roles["up"]["median_relative_norm"] == 0


def test_a_model_scaled_as_a_whole_is_harmed(frog, tmp_path):
    base = model(np.random.default_rng(5), layers=2)
    write(tmp_path / "base", base)
    write(tmp_path / "tuned", {name: matrix / 16 for name, matrix in base.items()})
    found, summary = compare(frog, tmp_path / "base", tmp_path / "tuned", tmp_path / "out")
    assert summary["flags"] == [] and summary["verdict"]["status"] == "harmed"
    assert all("the whole model" in reason for reason in summary["verdict"]["reasons"])
    for row in found.values():
        assert close(row["cka"], 1) and close(row["update_relative_norm"], 15 / 16)
        assert float(row["left_largest_angle"]) < 1e-7 and float(row["right_largest_angle"]) < 1e-7


@pytest.mark.parametrize("dtype", ["BF16", "F64"])
def test_equal_checkpoints(frog, pair, tmp_path, dtype):
    """The same bytes, and the same values of another type."""
    before, _, base, _ = pair
    write(tmp_path / "same", before, dtype)
    found, summary = compare(frog, base, tmp_path / "same", tmp_path / "out", "--delta-spectrum", ranks=2)
    assert summary["verdict"] == {"status": "equal", "compared": "equal", "reasons": ["no weight has changed"]}
    assert summary["update"]["equal"] == len(before) and summary["trends"]["unchanged"] == len(before)
    for row in found.values():
        for column, value in row.items():
            if column.startswith("delta_") or column.endswith(("_angle", "_excess")) or column in ("update_norm", "update_relative_norm"):
                assert value in ("0.0", ""), (column, value)
        assert row["cka"] == row["left_overlap"] == row["right_overlap"] == "1.0"
        assert "update_sv_max" in row["reasons"]


def test_matrices_without_much_to_compare(frog, tmp_path):
    generator = np.random.default_rng(6)
    rank_one = np.outer(generator.standard_normal(40), generator.standard_normal(30))
    normal = {f"h.{number}.fine": generator.standard_normal((40, 30)) for number in range(5)}
    base = normal | {
        "h.0.one": rank_one, "h.0.zero": np.zeros((20, 30)), "h.1.three": generator.standard_normal((3, 50)),
        "h.1.vanishes": generator.standard_normal((30, 20)), "h.2.appears": np.zeros((30, 20)),
        "h.2.row": generator.standard_normal((1, 30)),
    }  # fmt: skip
    after = tuned(generator, base) | {
        "h.0.one": 1.1 * rank_one, "h.1.vanishes": np.zeros((30, 20)), "h.2.appears": generator.standard_normal((30, 20)),
    }  # fmt: skip
    write(tmp_path / "base", base)
    write(tmp_path / "tuned", after)
    found, summary = compare(frog, tmp_path / "base", tmp_path / "tuned", tmp_path / "out", "--delta-spectrum", ranks=2)
    assert found["h.0.one"]["subspace_dimensions"] == "1" and float(found["h.0.one"]["cka"]) == pytest.approx(1)
    assert "fewer than 8 eigenvalues" in found["h.1.three"]["reasons"]
    assert found["h.1.three"]["subspace_dimensions"] == "3" and found["h.1.three"]["delta_log_norm"]
    assert "all zeros" in found["h.0.zero"]["reasons"] and found["h.0.zero"]["update_norm"] == "0.0"
    assert flagged(summary) == {"h.1.vanishes": ["vanished"], "h.2.appears": ["appeared"]}
    assert summary["trends"]["unfitted"] >= 4


def test_convolutions(frog, tmp_path):
    generator = np.random.default_rng(7)
    base = {f"c.{number}.conv": generator.standard_normal((16, 12, 3, 3)) for number in range(3)}
    base["c.3.conv"] = generator.standard_normal((16, 12, 1, 1))
    after = {name: stored(kernel, "F32") for name, kernel in tuned(generator, base, 0.1).items()}
    base = {name: stored(kernel, "F32") for name, kernel in base.items()}
    write(tmp_path / "base", base)
    write(tmp_path / "tuned", after)
    found, _ = compare(frog, tmp_path / "base", tmp_path / "tuned", tmp_path / "out", "--conv", "--delta-spectrum")
    for name, a in base.items():
        b = after[name]
        kernels = [(a[:, :, i, j], b[:, :, i, j]) for i in range(a.shape[2]) for j in range(a.shape[3])]
        alignments = [np.linalg.norm(x.T @ y) / np.sqrt(np.linalg.norm(x.T @ x) * np.linalg.norm(y @ y.T)) for x, y in kernels]
        values = np.concatenate([np.linalg.svd(y - x, compute_uv=False) for x, y in kernels])
        assert close(found[name]["cka"], np.mean(alignments))
        assert close(found[name]["update_norm"], np.linalg.norm(b - a))
        assert close(found[name]["update_sv_max"], values.max())
        assert "kernel" in found[name]["reasons"] and found[name]["layer_type"] == "conv2d"
    result = frog("analyze", tmp_path / "tuned", "--out", tmp_path / "analysis", "--threads", 1, "--conv")
    assert result.status == 0, str(result)
    for longname, row in rows(tmp_path / "analysis").items():
        for column in ("alpha", "log_norm", "log_spectral_norm"):
            assert found[longname][f"tuned_{column}"] == row[column]


def test_scales_far_apart(frog, tmp_path):
    """Weights in units that single precision does not hold, and changes far below them."""
    generator = np.random.default_rng(8)
    base = {f"h.{number}.fine": generator.standard_normal((40, 30)) for number in range(4)}
    base |= {"h.4.tiny": 1e-90 * generator.standard_normal((40, 30)), "h.5.huge": 1e90 * generator.standard_normal((40, 30))}
    change = np.outer(generator.standard_normal(40), generator.standard_normal(30))
    # Where the base is zero a change can be as small as it likes: its eigenvalues are no normal numbers.
    base["h.6.sparse"] = 1e-100 * generator.standard_normal((40, 30)) * (np.arange(30) < 15)
    sparse = 1e-170 * np.outer(change[:, 0], np.arange(30) >= 15)
    base["h.7.grown"] = 1e-140 * generator.standard_normal((40, 30))
    after = base | {
        "h.7.grown": 1e280 * base["h.7.grown"], "h.4.tiny": base["h.4.tiny"] + 1e-98 * change, "h.5.huge": base["h.5.huge"] * 1e-60,
        "h.6.sparse": base["h.6.sparse"] + sparse,
    }  # fmt: skip
    write(tmp_path / "base", base, "F64")
    write(tmp_path / "tuned", after, "F64")
    found, _ = compare(frog, tmp_path / "base", tmp_path / "tuned", tmp_path / "out", "--delta-spectrum")
    row = found["h.4.tiny"]
    assert float(row["update_sv_max"]) == pytest.approx(1e-98 * np.linalg.norm(change, 2), rel=1e-6, abs=0)
    assert row["update_rank_99"] == "1" and float(row["cka"]) == pytest.approx(1)
    row = found["h.6.sparse"]
    assert float(row["update_sv_max"]) == pytest.approx(1e-170 * np.linalg.norm(sparse * 1e170), rel=1e-6, abs=0)
    assert float(row["update_norm"]) == pytest.approx(float(row["update_sv_max"]), rel=1e-6, abs=0) and row["update_rank_99"] == "1"
    assert close(found["h.5.huge"]["cka"], 1) and close(found["h.5.huge"]["update_relative_norm"], 1)
    assert found["h.5.huge"]["flags"] == found["h.7.grown"]["flags"] == "spectral frobenius"
    assert float(found["h.7.grown"]["update_relative_norm"]) == pytest.approx(1e280) and close(found["h.7.grown"]["cka"], 1)


def test_mismatches_are_listed(frog, tmp_path):
    generator = np.random.default_rng(9)
    base = model(generator, layers=2)
    after = dict(base)
    after["model.layers.0.q_proj"] = generator.standard_normal((48, 64))
    after["model.layers.7.q_proj"] = after.pop("model.layers.1.q_proj")
    write(tmp_path / "base", base)
    write(tmp_path / "tuned", after)
    result = frog("compare", tmp_path / "base", tmp_path / "tuned", "--out", tmp_path / "out", "--threads", 1, ranks=2)
    assert result.status == 0 and "3 matrices are not compared" in result.stderr, str(result)
    summary = json.loads((tmp_path / "out/summary.json").read_text())
    assert summary["mismatches"] == [
        {"matrix": "model.layers.0.q_proj.weight", "reason": "it is 64 × 64 in the base, 48 × 64 in the tuned model"},
        {"matrix": "model.layers.1.q_proj.weight", "reason": "only the base has it"},
        {"matrix": "model.layers.7.q_proj.weight", "reason": "only the tuned model has it"},
    ]
    assert summary["pairs"] == len(rows(tmp_path / "out")) == 6
    for mismatch in summary["mismatches"]:
        assert mismatch["matrix"] in result.stdout and mismatch["reason"] in result.stdout


def test_a_verdict_covers_what_was_compared(frog, tmp_path):
    """A tuned model that has lost most of its weights: what is left of it is equal, or harmed, and neither is said of the model."""
    generator = np.random.default_rng(21)
    base = model(generator)
    left = {name: matrix for name, matrix in base.items() if "q_proj" in name or "k_proj" in name}
    scaled = left | {"model.layers.2.q_proj": 8 * left["model.layers.2.q_proj"]}
    write(tmp_path / "base", base)
    weights = sum(matrix.size for matrix in base.values())
    share = sum(matrix.size for matrix in left.values()) / weights
    for name, after, status in (("left", left, "equal"), ("scaled", scaled, "harmed")):
        write(tmp_path / name, after)
        result = frog("compare", tmp_path / "base", tmp_path / name, "--out", tmp_path / f"out-{name}", "--threads", 1)
        assert result.status == 0, str(result)
        summary = json.loads((tmp_path / f"out-{name}/summary.json").read_text())
        assert summary["compared"] == {"base": pytest.approx(share, abs=1e-12), "tuned": 1}
        assert (summary["verdict"]["status"], summary["verdict"]["compared"]) == ("partial", status)
        assert f"{100 * share:.2f}% of the weights of the base" in summary["verdict"]["reasons"][0]
        verdict = result.stdout[result.stdout.index("verdict:") :]
        assert verdict.startswith("verdict: only a part of the models was compared: ") and f"what was compared: {status};" in verdict
        assert "models are equal" not in result.stdout and "unharmed" not in verdict


def mixture(generator, layers=2, experts=3):
    """A mixture of experts as a list of what it holds: layer, kind, expert, matrix."""
    shapes = {"q": (32, 24), "k": (8, 24), "v": (8, 24), "o": (24, 32)}
    inner = {"gate": (20, 24), "up": (20, 24), "down": (24, 20)}
    return {
        (layer, kind, expert): generator.standard_normal(shape) / 8
        for layer in range(layers)
        for kind, shape, expert in [(kind, shape, None) for kind, shape in shapes.items()]
        + [(kind, shape, expert) for kind, shape in inner.items() for expert in range(experts)]
    }


def apart(matrices):
    """Every matrix a tensor of its own, under the names of an older library."""
    leaf = {"gate": "w1", "up": "w3", "down": "w2"}
    return {
        f"model.layers.{layer}.self_attn.{kind}_proj.weight" if expert is None
        else f"model.layers.{layer}.block_sparse_moe.experts.{expert}.{leaf[kind]}.weight": checkpoints.encode(matrix, "F32")
        for (layer, kind, expert), matrix in matrices.items()
    }  # fmt: skip


def fused(matrices):
    """Stacks of experts, with gate and up as one, and one projection of query, key and value; under a longer prefix."""
    tensors = {}
    for layer in sorted({layer for layer, _, _ in matrices}):
        module = f"model.text.layers.{layer}"
        count = 1 + max(expert for _, _, expert in matrices if expert is not None)
        stack = {kind: np.stack([matrices[layer, kind, expert] for expert in range(count)]) for kind in ("gate", "up", "down")}
        tensors[f"{module}.self_attn.qkv_proj.weight"] = np.concatenate([matrices[layer, kind, None] for kind in "qkv"])
        tensors[f"{module}.self_attn.o_proj.weight"] = matrices[layer, "o", None]
        tensors[f"{module}.mlp.experts.gate_up_proj"] = np.concatenate([stack["gate"], stack["up"]], axis=1)
        tensors[f"{module}.mlp.experts.down_proj"] = stack["down"]
    return {name: checkpoints.encode(tensor, "F32") for name, tensor in tensors.items()}


@pytest.fixture(scope="module")
def forms(tmp_path_factory):
    """A mixture of experts before tuning, with every matrix apart, and after it, in both forms."""
    generator = np.random.default_rng(22)
    before = mixture(generator)
    after = {key: matrix + 0.01 * generator.standard_normal(matrix.shape) for key, matrix in before.items()}
    folder = tmp_path_factory.mktemp("forms")
    for name, tensors in (("before", apart(before)), ("after", apart(after)), ("fused", fused(after))):
        checkpoints.write_checkpoint(folder / name, tensors)
    return folder


def test_other_names_and_forms_of_storage_give_the_same_figures(frog, forms, tmp_path):
    """The table of a fine-tune that was saved in another form is that of the same fine-tune in the form of its base."""
    plain, expected = compare(frog, forms / "before", forms / "after", tmp_path / "plain")
    found, summary = compare(frog, forms / "before", forms / "fused", tmp_path / "out", ranks=3)
    expert = "model.layers.1.block_sparse_moe.experts.2"
    for name, partner in {
        f"{expert}.w1": "model.text.layers.1.mlp.experts.gate_up_proj[2][gate]",
        f"{expert}.w3": "model.text.layers.1.mlp.experts.gate_up_proj[2][up]",
        f"{expert}.w2": "model.text.layers.1.mlp.experts.down_proj[2]",
        "model.layers.0.self_attn.k_proj": "model.text.layers.0.self_attn.qkv_proj.weight[k]",
        "model.layers.0.self_attn.o_proj": "model.text.layers.0.self_attn.o_proj",
    }.items():
        assert found[name]["tuned_longname"] == partner
    assert all(row["tuned_longname"] == "" for row in plain.values())
    assert plain == {name: row | {"tuned_longname": ""} for name, row in found.items()}
    assert summary["compared"] == {"base": 1, "tuned": 1} and summary["mismatches"] == []
    assert summary["renamings"] == [
        {"base": "model", "tuned": "model.text", "matrices": 2},
        {"base": "model.layers.*.block_sparse_moe", "tuned": "model.text.layers.*.mlp", "matrices": 18},
    ]
    for key in ("pairs", "weights", "metrics", "update", "trends", "roles", "flags", "verdict", "base"):
        assert summary[key] == expected[key], key
    again = frog("compare", forms / "before", forms / "fused", "--out", tmp_path / "out", "--resume", "--threads", 1)
    assert "model.layers.*.block_sparse_moe: model.text.layers.*.mlp in the tuned model, 18 matrices" in again.stdout
    assert "100.00% of the base, 100.00% of the tuned model" in again.stdout
    # The other way round the same pairs are found, and the same distances.
    back, summary = compare(frog, forms / "fused", forms / "before", tmp_path / "back")
    partners = {row["tuned_longname"]: row for row in back.values()}
    assert partners.keys() == found.keys() and summary["compared"] == {"base": 1, "tuned": 1}
    for name, row in found.items():
        for column in ("update_norm", "cka"):
            assert close(row[column], float(partners[name][column]))


def test_other_forms_of_storage_resume(frog, forms, tmp_path):
    out, expected, left = interrupted(frog, forms / "before", forms / "fused", tmp_path)
    compare(frog, forms / "before", forms / "fused", out, "--resume")
    assert contents(out) == expected
    assert json.loads((out / "run.json").read_text())["resumed_matrices"] == left


def test_names_do_not_break_tables(frog, tmp_path):
    """Commas, quotes, an accent on a quote, ends of lines, and what a spreadsheet would run."""
    names = ['a,b"c', 'a"\u0301,x', "two\nlines\r\n", '=HYPERLINK("//e")', "-1+1", "@sum", "+x", "e=x", "\tt", "é", '"', "x; y: z"]
    generator = np.random.default_rng(15)
    matrices = {name: generator.standard_normal((12, 9)) for name in names}
    write(tmp_path / "base", matrices)
    write(tmp_path / "tuned", tuned(generator, matrices))
    shown = {f"'{name}" if name[0] in "=+-@\t" else name for name in names}
    found, _ = compare(frog, tmp_path / "base", tmp_path / "tuned", tmp_path / "out")
    assert found.keys() == shown
    result = frog("analyze", tmp_path / "base", "--out", tmp_path / "analysis", "--threads", 1)
    assert result.status == 0, str(result)
    found = rows(tmp_path / "analysis")
    assert found.keys() == shown and all(row["name"] == longname for longname, row in found.items())
    assert {row["alpha"] for row in found.values() if row["status"] == "success"}


def test_nothing_in_common(frog, tmp_path):
    write(tmp_path / "base", {"h.0.one": np.ones((9, 8)), "h.0.shape": np.ones((9, 8))})
    write(tmp_path / "tuned", {"g.0.one": np.ones((9, 8)), "h.0.shape": np.ones((8, 9))})
    result = frog("compare", tmp_path / "base", tmp_path / "tuned", "--out", tmp_path / "out", ranks=2)
    assert_refused(result, 65, "nothing to compare", tmp_path / "base", tmp_path / "tuned", "h.0.one", "g.0.one")
    assert not (tmp_path / "out").exists()


def test_bad_command_lines(frog, pair, tmp_path):
    *_, base, other = pair
    assert_refused(frog("compare", base, other, "--out", tmp_path / "out", "--top", 0), 64, "--top")
    for checkpoint in (base, other):
        assert_refused(frog("compare", base, other, "--out", checkpoint), 64, "the output directory is the checkpoint")
    assert_refused(frog("compare", base, tmp_path / "none", "--out", tmp_path / "out"), 66, "none")


def test_a_pattern_has_to_match_in_one_of_the_models(frog, pair, tmp_path):
    before, after, base, other = pair
    write(tmp_path / "more", after | {"model.head": np.ones((9, 8))})
    found, summary = compare(frog, base, tmp_path / "more", tmp_path / "out", "--exclude", "*head*", "--include", "*q_proj*", ranks=2)
    assert found.keys() == before.keys() and summary["mismatches"] == []
    assert compare(frog, tmp_path / "more", base, tmp_path / "back", "--exclude", "*head*")[1]["mismatches"] == []
    neither = frog("compare", base, tmp_path / "more", "--out", tmp_path / "none", "--exclude", "*haed*", ranks=2)
    assert_refused(neither, 64, "'*haed*' matches no tensor", base, tmp_path / "more")
    # Alone, each of them needs it.
    assert_refused(frog("analyze", base, "--out", tmp_path / "none", "--exclude", "*head*"), 64, "'*head*' matches no tensor", base)
    assert_refused(frog("mask", base, "--out", tmp_path / "none", "--exclude", "*head*"), 64, "'*head*' matches no tensor", base)


@pytest.mark.parametrize("side", ["base", "tuned"])
def test_a_failure_says_which_model_is_wrong(frog, pair, tmp_path, side):
    before, after, base, other = pair
    models = {"base": before, "tuned": after}
    name = list(before)[3]
    spoilt = models[side] | {name: np.where(np.arange(before[name].size).reshape(before[name].shape) == 70, np.nan, models[side][name])}
    write(tmp_path / "spoilt", spoilt)
    paths = {"base": base, "tuned": other}
    healthy = paths["tuned" if side == "base" else "base"]
    paths[side] = tmp_path / "spoilt"
    result = frog("compare", paths["base"], paths["tuned"], "--out", tmp_path / "out", ranks=2)
    assert_refused(result, 65, tmp_path / "spoilt", f"{name}.weight", "NaN")
    assert str(healthy) not in result.error_lines[0]
    path = tmp_path / "spoilt/model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    result = frog("compare", paths["base"], paths["tuned"], "--out", tmp_path / "out", ranks=2)
    assert_refused(result, 65, path)
    assert str(healthy) not in result.error_lines[0]


WORK = ".frog-mpi"


def contents(out):
    return {name: (out / name).read_bytes() for name in ("details.csv", "summary.json")}


def interrupted(frog, base, other, folder):
    """An output folder as a killed run leaves it, and what it would have become."""
    compare(frog, base, other, folder / "whole", ranks=2)
    compare(frog, base, other, folder / "out", "--keep-work", ranks=2)
    for name in ("details.csv", "summary.json", "run.json"):
        (folder / "out" / name).unlink()
    (folder / "out" / WORK / "commit.json").unlink()
    records = sorted((folder / "out" / WORK).glob("*.frogrec"))
    for path in records[1::2]:
        path.unlink()
    return folder / "out", contents(folder / "whole"), len(records[::2])


def test_resumed_runs_end_the_same(frog, pair, tmp_path):
    *_, base, other = pair
    out, expected, left = interrupted(frog, base, other, tmp_path)
    compare(frog, base, other, out, "--resume", ranks=3)
    assert contents(out) == expected and not (out / WORK).exists()
    assert json.loads((out / "run.json").read_text())["resumed_matrices"] == left
    # Finished: nothing is left to do.
    result = frog("compare", base, other, "--out", out, "--resume", "--threads", 1)
    assert result.status == 0 and "finished earlier" in result.stdout and contents(out) == expected


@pytest.mark.parametrize("state", ["unfinished", "finished"])
def test_another_checkpoint_is_refused_by_name(frog, pair, tmp_path, state):
    before, after, base, other = pair
    if state == "finished":
        out = tmp_path / "out"
        compare(frog, base, other, out)
    else:
        out, *_ = interrupted(frog, base, other, tmp_path)
    name = next(iter(before))
    write(tmp_path / "base2", before | {name: before[name] * 1.5}, "BF16", shard_size=40_000)
    write(tmp_path / "tuned2", after | {name: after[name] * 1.5})
    options = ("--out", out, "--resume", "--threads", 1)
    assert_refused(frog("compare", tmp_path / "base2", other, *options), 64, "the base checkpoint was")
    assert_refused(frog("compare", base, tmp_path / "tuned2", *options), 64, "the tuned checkpoint was")
    assert_refused(frog("compare", other, base, *options), 64, "the base checkpoint was", "the tuned checkpoint was")
    assert_refused(frog("compare", base, other, *options, "--top", 3), 64, "--top was 16, is 3")


@pytest.fixture(scope="module")
def larger(frog, tmp_path_factory):
    """Two checkpoints that take a second, and what comes of them."""
    generator = np.random.default_rng(10)
    base = {f"h.{number}.fine": generator.standard_normal((320, 320)) for number in range(24)}
    folder = tmp_path_factory.mktemp("larger")
    write(folder / "base", base)
    write(folder / "tuned", tuned(generator, base))
    compare(frog, folder / "base", folder / "tuned", folder / "whole")
    return folder


def interrupt(frog, folder, out, act):
    """`compare` alone, with `act(process)` called when some pairs are done; the process's end."""
    command = [frog.binary, "compare", folder / "base", folder / "tuned", "--out", out, "--threads", "1"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        end = time.monotonic() + 60
        while len(list((out / WORK).glob("*.frogrec"))) < 3:
            assert process.poll() is None and time.monotonic() < end
            time.sleep(0.005)
        act(process)
        errors = process.communicate(timeout=60)[1]
    assert not (out / "summary.json").exists()
    return Result(command, process.returncode, "", errors)


def test_killed_run_goes_on(frog, larger, tmp_path):
    out = tmp_path / "out"
    interrupt(frog, larger, out, lambda process: process.send_signal(signal.SIGKILL))
    compare(frog, larger / "base", larger / "tuned", out, "--resume", ranks=2)
    assert contents(out) == contents(larger / "whole")
    assert json.loads((out / "run.json").read_text())["resumed_matrices"] >= 3


def test_a_stopped_run_goes_on(frog, larger, tmp_path):
    out = tmp_path / "out"
    result = interrupt(frog, larger, out, lambda process: process.send_signal(signal.SIGTERM))
    assert result.status == 75 and "--resume" in result.stderr, str(result)
    compare(frog, larger / "base", larger / "tuned", out, "--resume")
    assert contents(out) == contents(larger / "whole")


@pytest.mark.parametrize("side", ["base", "tuned"])
def test_weights_that_change_during_the_run(frog, larger, tmp_path, side):
    """One bit of every matrix that is not done, in one of the checkpoints."""
    folder = tmp_path / "in"
    shutil.copytree(larger, folder)
    path, out = folder / side / "model.safetensors", tmp_path / "out"

    def flip(process):
        os.kill(process.pid, signal.SIGSTOP)
        times = os.stat(path)
        done = {int(record.stem.split("-")[1]) for record in (out / WORK).glob("*.frogrec")}
        with open(path, "r+b") as file:
            length = int.from_bytes(file.read(8), "little")
            tensors = sorted((name, entry) for name, entry in json.loads(file.read(length)).items() if name != "__metadata__")
            for ordinal, (_, entry) in enumerate(tensors):
                if ordinal not in done:
                    file.seek(8 + length + entry["data_offsets"][1] - 4)
                    byte = file.read(1)[0]
                    file.seek(-1, os.SEEK_CUR)
                    file.write(bytes([byte ^ 1]))
        # As a disk that decays would leave it.
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        os.kill(process.pid, signal.SIGCONT)

    assert_refused(interrupt(frog, folder, out, flip), 74, path, "has changed since the run began", "--resume")


def test_minilm_with_one_layer_scaled(frog, checkpoint, tmp_path):
    source = checkpoint("minilm") / "model.safetensors"
    raw = bytearray(source.read_bytes())
    length = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + length])
    harmed = set()
    for name, tensor in header.items():
        if name == "__metadata__" or tensor["dtype"] != "F32":
            continue
        begin, end = (8 + length + offset for offset in tensor["data_offsets"])
        if "layer.3." in name and len(tensor["shape"]) == 2:
            harmed.add(name)
            raw[begin:end] = (8 * np.frombuffer(raw[begin:end], "<f4")).tobytes()
    (tmp_path / "tuned.safetensors").write_bytes(raw)
    found, summary = compare(frog, source, tmp_path / "tuned.safetensors", tmp_path / "out", ranks=2)
    assert {flag["matrix"] for flag in summary["flags"]} == harmed and len(harmed) == 6
    assert summary["update"]["equal"] == len(found) - 6 and summary["pairs"] == len(found) == 37
    for name, row in found.items():
        scaled = f"{name}.weight" in harmed
        assert float(row["delta_log_norm"]) == pytest.approx(2 * math.log10(8) if scaled else 0)
        assert float(row["update_relative_norm"]) == pytest.approx(7 if scaled else 0)
