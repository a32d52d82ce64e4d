"""Importance by layer and role: sums of scores, layers.csv."""

import csv
import itertools
import json
import math

import numpy as np
import pytest

import checkpoints
import reference
from harness import assert_refused

TOTALS = ["matrices", "weights", "kept", "importance", "score_sum", "selected_score_sum"]


def table(out):
    """The lines of layers.csv, with numbers as numbers."""
    with open(out / "layers.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        assert list(row) == ["stack", "depth", "role", *TOTALS]
        for column in TOTALS:
            row[column] = None if row[column] == "" else float(row[column]) if column in TOTALS[3:] else int(row[column])
    return rows


def added(rows):
    """What rows add up to; None where one of them has no value."""
    columns = {name: [row[name] for row in rows] for name in TOTALS}
    return {name: None if None in values or not math.isfinite(sum(values)) else math.fsum(values) for name, values in columns.items()}


def assert_sums(described, rows):
    """Matrices → lines → layers and roles: each level adds up to the next."""
    for kind, key in [
        ("layers", lambda m: ("" if m["stack"] is None else m["stack"], "" if m["depth"] is None else str(m["depth"]))),
        ("roles", lambda m: m["role"]),
    ]:
        listed = {key(total): total for total in described[kind]}
        assert len(listed) == len(described[kind])
        lines, matrices = {}, {}
        for row in rows:
            lines.setdefault((row["stack"], row["depth"]) if kind == "layers" else row["role"].removeprefix("'"), []).append(row)
        for matrix in described["matrices"]:
            one = {**matrix, "matrices": 1, "weights": math.prod(matrix["shape"])}
            matrices.setdefault(key(matrix), []).append(one)
        assert lines.keys() == matrices.keys() == listed.keys()
        for name, total in listed.items():
            for parts in (lines[name], matrices[name]):
                known, sums = {n: total[n] for n in TOTALS}, added(parts)
                assert {n for n in TOTALS if known[n] is None} == {n for n in TOTALS if sums[n] is None}, name
                numbers = [n for n in TOTALS if known[n] is not None]
                assert [known[n] for n in numbers] == pytest.approx([sums[n] for n in numbers], rel=1e-13), name


@pytest.fixture(scope="module")
def minilm(frog, checkpoint, tmp_path_factory):
    """A mask of MiniLM, its record and its table."""
    out = tmp_path_factory.mktemp("layers") / "out"
    return out, frog.mask(checkpoint("minilm"), out, "--budget", "1%", ranks=2), table(out)


def test_sums_of_scores_are_those_of_numpy(exact, checkpoint, minilm):
    out, described, _ = minilm
    output = reference.read_output(out, {m["name"]: tuple(m["shape"]) for m in described["matrices"]})
    for matrix, entry in zip(exact("minilm").matrices, described["matrices"], strict=True):
        assert matrix.name == entry["name"]
        assert entry["score_sum"] == pytest.approx(matrix.scores.sum(), rel=1e-6)
        assert entry["selected_score_sum"] == pytest.approx(matrix.scores[output[matrix.name].indices].sum(), rel=1e-6)


def test_layers_and_roles_are_sums_of_matrices(minilm):
    _, described, rows = minilm
    assert_sums(described, rows)
    assert [(layer["stack"], layer["depth"]) for layer in described["layers"]] == [
        *(("encoder.layer", depth) for depth in range(6)), (None, None)
    ]  # fmt: skip
    assert [role["role"] for role in described["roles"]] == ["dense", "down", "k", "o", "q", "up", "v"]
    for kind in ("layers", "roles"):
        assert math.fsum(total["importance"] for total in described[kind]) == pytest.approx(1, abs=1e-12)
        assert sum(total["kept"] for total in described[kind]) == described["K"]


def test_sums_do_not_depend_on_the_number_of_ranks(frog, checkpoint, tmp_path):
    found = []
    for ranks in (1, 3):
        out = tmp_path / str(ranks)
        frog.mask(checkpoint("bf16_sharded"), out, "--budget", "5%", ranks=ranks)
        found.append([(out / name).read_bytes() for name in ("frog.json", "layers.csv")])
    assert found[0] == found[1]


def test_names_that_are_not_plain_words(frog, tmp_path):
    """Two names that Unicode calls equal stay apart, quotes stay in their cells, and no cell is a formula."""
    random = np.random.default_rng(0).standard_normal((8, 6))
    kinds = ['"a,\n"', "=cmd()", "\u00e9", "e\u0301"]
    names = [f"=x.{layer}.{kind}.weight" for layer, kind in itertools.product(range(2), kinds)]
    tensors = {name: checkpoints.encode(random, "F32") for name in names}
    described = frog.mask(checkpoints.write_checkpoint(tmp_path / "in", tensors), tmp_path / "out", "--budget", "50%")
    rows = table(tmp_path / "out")
    assert len(rows) == 8 and {row["stack"] for row in rows} == {"'=x"}
    assert {row["role"].removeprefix("'") for row in rows} == set(kinds)
    assert not any(cell[:1] in "=+-@" for row in rows for cell in (row["stack"] or " ", row["role"]))
    for row in rows:
        row["stack"] = row["stack"].removeprefix("'")
    assert_sums(described, rows)


def test_sums_that_double_does_not_hold(frog, tmp_path):
    def folder(name, values):
        names = [f"h.{layer}.{part}.weight" for layer in range(2) for part in "ab"]
        tensors = {n: checkpoints.encode(np.full((8, 8), values[int(n[2])]), "F64") for n in names}
        return checkpoints.write_checkpoint(tmp_path / name, tensors)

    weights, signals = folder("weights", [1.5e153, 1.0]), folder("signals", [1.5e153, 1.0])
    described = frog.mask(weights, tmp_path / "out", "--select", "uniform", "--weight-by", signals)
    assert [m["score_sum"] for m in described["matrices"]] == pytest.approx([1.44e308, 1.44e308, 64, 64], rel=1e-6)
    assert [layer["score_sum"] for layer in described["layers"]] == [None, pytest.approx(128)]
    assert [role["score_sum"] for role in described["roles"]] == pytest.approx([1.44e308, 1.44e308], rel=1e-6)
    assert_sums(described, table(tmp_path / "out"))
    assert frog("verify", tmp_path / "out").status == 0


def test_verify_notices_other_layers(frog, checkpoint, tmp_path):
    out = tmp_path / "out"
    frog.mask(checkpoint("bf16_sharded"), out)
    text = (out / "layers.csv").read_text()
    (out / "layers.csv").write_text(text.replace("model.layers", "model.layerz", 1))
    assert_refused(frog("verify", out), 65, "layers.csv")
    (out / "layers.csv").write_text(text)
    # A record that says so consistently of a file that is none of the program's.
    record = json.loads((out / "frog.json").read_text())
    record["documents"]["../layers.csv"] = record["documents"]["layers.csv"]
    (out / "frog.json").write_text(json.dumps(record))
    assert_refused(frog("verify", out), 65, "../layers.csv")
    del record["documents"]["../layers.csv"]
    record["layers"][0]["kept"] += 1
    (out / "frog.json").write_text(json.dumps(record))
    result = frog("verify", out)
    assert result.status == 65 and "its layers and roles are not the sums of its matrices" in result.stdout + result.stderr
