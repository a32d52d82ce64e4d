"""Importance by layer and role: sums of scores, layers.csv, and what `inspect --layers` shows of them."""

import csv
import itertools
import json
import math
import re

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


def pictured(frog, out, *options, columns=80, locale="C.UTF-8"):
    """What `inspect --layers` prints for people, after a look at its lines."""
    result = frog("inspect", out, "--layers", *options, prefix=("env", f"COLUMNS={columns}", f"LC_ALL={locale}"))
    assert result.status == 0 and not result.stderr, str(result)
    for line in result.stdout.splitlines():
        assert len(line) <= columns and line == line.rstrip() and line.isprintable(), repr(line)
        assert set(line) <= set("▁▂▃▄▅▆▇█│└─…") | set(map(chr, range(32, 127))), repr(line)
    if locale == "C":
        assert result.stdout.isascii()
    return result.stdout


def reported(frog, out, *options):
    return json.loads(frog("inspect", out, "--layers", "--json", *options).stdout)


@pytest.fixture(scope="module")
def stacks(frog, tmp_path_factory):
    """Masks of a model of two stacks: 300 layers, and 3 layers of many roles, one of them hostile; and one matrix outside."""
    generator = np.random.default_rng(3)
    long = [f"encoder.layers.{layer}.{role}.weight" for layer in range(300) for role in ("one", "two")]
    roles = [*(f"projection_number_{number}" for number in range(14)), "\x1b[2J\n\u202e\u6f22", "x" * 300]
    wide = [f"decoder.layers.{layer}.{role}.weight" for layer in range(3) for role in roles]
    tensors = {
        name: checkpoints.encode(checkpoints.trained(generator, 5, 7) * (1 + number % 31), "F32")
        for number, name in enumerate([*long, *wide, "head_\u6f22\x1b.weight"])
    }
    folder = tmp_path_factory.mktemp("stacks")
    frog.mask(checkpoints.write_checkpoint(folder / "in", tensors), folder / "out", "--budget", "20%")
    return folder / "out"


@pytest.mark.parametrize("by", ["importance", "selected", "scores", "kept"])
def test_the_report_is_the_table(frog, minilm, stacks, by):
    columns = {"importance": "importance", "selected": "selected_score_sum", "scores": "score_sum", "kept": "kept"}
    for out in (minilm[0], stacks):
        record, found = json.loads((out / "frog.json").read_text()), reported(frog, out, "--by", by)
        assert found["by"] == by
        whole = sum(layer[columns[by]] for layer in record["layers"])
        for kind in ("layers", "roles"):
            for entry, total in zip(found[kind], record[kind], strict=True):
                assert {**entry, **total} == entry
                assert entry["kept_share"] == total["kept"] / total["weights"]
                assert entry["share"] == pytest.approx(total[columns[by]] / whole, rel=1e-12)
        rows = table(out)
        assert [[entry[name] for name in TOTALS] for entry in found["table"]] == [[row[name] for name in TOTALS] for row in rows]
        ranked = sorted((e for e in found["layers"] if e["depth"] is not None), key=lambda e: -e["share"])
        assert [e["share"] for e in found["most_critical"]] == [e["share"] for e in ranked[:3]]
        assert [e["share"] for e in found["least_critical"]] == [e["share"] for e in ranked[:-4:-1]]


@pytest.mark.parametrize("locale", ["C.UTF-8", "C"])
@pytest.mark.parametrize("columns", [60, 80, 200])
def test_pictures_keep_to_the_screen(frog, minilm, stacks, columns, locale):
    assert "█" in pictured(frog, minilm[0], columns=columns, locale=locale) or locale == "C"
    text = pictured(frog, stacks, columns=columns, locale=locale)
    assert "decoder.layers" in text and "encoder.layers" in text and "others" in text and "outside of all layers" in text
    fold = re.search(r"mean of (\d+) layers", " ".join(text.split()))
    assert int(fold[1]) == math.ceil(300 / (columns - 9))


def test_the_picture_shows_the_report(frog, minilm):
    """The heights of bars, the cells of the table and the layers that are named."""
    out, described, rows = minilm
    lines = pictured(frog, out, "--by", "selected").splitlines()
    shares = [entry["share"] for entry in reported(frog, out, "--by", "selected")["layers"]][:6]
    graph = [line.partition("│")[2].ljust(36) for line in lines if "│" in line]
    assert len(graph) == 8
    for layer, share in enumerate(shares):
        column = [line[6 * layer] for line in graph]
        assert len({line[6 * layer : 6 * layer + 5] for line in graph} - {c * 5 for c in " ▁▂▃▄▅▆▇█"}) == 0
        eighths = sum(" ▁▂▃▄▅▆▇█".index(c) for c in column)
        assert eighths == max(1, round(64 * share / max(shares)))
    assert lines[1].split()[0] == f"{100 * max(shares):.1f}%"
    heading = next(number for number, line in enumerate(lines) if line.startswith("layer "))
    assert lines[heading].split() == ["layer", "down", "k", "o", "q", "up", "v", "all"]
    for layer in range(6):
        cells = lines[heading + 1 + layer].split()
        kept = [row["kept"] / row["weights"] for row in rows if row["depth"] == str(layer)]
        total = described["layers"][layer]
        assert cells[0] == str(layer)
        for cell, share in zip(cells[1:], [*kept, total["kept"] / total["weights"]], strict=True):
            assert cell == "<.001%" or float(cell.rstrip("%")) == pytest.approx(100 * share, rel=6e-3, abs=5.1e-4)
    order = sorted(range(6), key=lambda layer: -shares[layer])
    said = " ".join(lines)
    for title, layers in (("most", order[:3]), ("least", order[:-4:-1])):
        found = re.search(rf"{title} critical: (.*?)(?=  |least|$)", re.sub(r" +", " ", said))[1]
        assert re.findall(r"encoder\.layer (\d)", found) == [str(layer) for layer in layers]


def test_a_mask_of_nothing_has_no_bars(frog, checkpoint, tmp_path):
    frog.mask(checkpoint("bf16_sharded"), tmp_path / "out", "--budget", "0%")
    text = pictured(frog, tmp_path / "out", "--by", "selected")
    assert "none" in text and "█" not in text
    assert "█" in pictured(frog, tmp_path / "out")


def test_layers_of_what_is_no_mask(frog, checkpoint, tmp_path):
    assert_refused(frog("inspect", checkpoint("twins"), "--layers"), 65, "not an output directory of frog-mpi mask")
    assert_refused(frog("inspect", tmp_path / "nowhere", "--layers"), 66, "nowhere")
    assert_refused(frog("inspect", checkpoint("twins"), "--by", "kept"), 64, "--layers")
    assert_refused(frog("inspect", checkpoint("twins"), "--layers", "--by", "size"), 64, "size")


def keys(values):
    """The order-preserving 32-bit keys of values in single precision."""
    found = np.asarray(values, np.float32).view(np.uint32)
    return np.where(found >> 31, ~found, found ^ np.uint32(1 << 31))


def histograms(ranked):
    """The tensors of histograms.safetensors, of the values of each matrix, which are their scores too."""
    bins, counts, sums, offsets = [], [], [], [0]
    for values in ranked:
        coarse = keys(values) >> 20
        numbers, places = np.unique(coarse, return_inverse=True)
        bins.append(numbers)
        counts.append(np.bincount(places))
        sums.append(np.bincount(places, weights=np.float32(values).astype(np.float64)))
        offsets.append(offsets[-1] + numbers.size)
    return {
        "offsets": ("I64", np.array(offsets, "<i8")), "bins": ("U16", np.concatenate(bins).astype("<u2")),
        "counts": ("I32", np.concatenate(counts).astype("<i4")), "sums": ("F64", np.concatenate(sums).astype("<f8")),
        "exponents": ("I32", np.zeros(len(ranked), "<i4")),
    }  # fmt: skip


def write_histograms(out, tensors):
    content = {name: (dtype, array.shape, array.tobytes()) for name, (dtype, array) in tensors.items()}
    (out / "histograms.safetensors").write_bytes(checkpoints.safetensors_bytes(content))


@pytest.mark.parametrize("select", ["global", "matrix", "uniform", "lora"])
def test_a_sweep_estimates_the_masks_of_other_budgets(frog, exact, checkpoint, tmp_path, select):
    """Estimates are compared with runs; what each layer keeps is right to within its bound, exactly with budgets of its own."""
    frog.mask(checkpoint("bf16_sharded"), tmp_path / "swept", "--select", select)
    write_histograms(tmp_path / "swept", histograms([matrix.scores for matrix in exact("bf16_sharded").matrices]))
    budgets = ["0.1%", "1%", "20%", "lora:2", "100%", "0"]
    sweep = reported(frog, tmp_path / "swept", "--budget-sweep", ",".join(budgets))["sweep"]
    assert [step["budget"] for step in sweep] == budgets
    for number, step in enumerate(sweep):
        out = tmp_path / str(number)
        described = frog.mask(checkpoint("bf16_sharded"), out, "--budget", step["budget"], "--select", select)
        assert step["K"] == described["K"] == sum(layer["kept"] for layer in step["layers"])
        whole = sum(layer["selected_score_sum"] for layer in step["layers"])
        for estimate, layer in zip(step["layers"], described["layers"], strict=True):
            assert (estimate["stack"], estimate["depth"]) == (layer["stack"], layer["depth"])
            off = abs(estimate["kept"] - layer["kept"])
            if select == "global":
                # A score at the edge of a bin may round to the other side of it.
                assert off <= estimate["kept_bound"] + 2
                assert off <= 0.03 * described["K"] and estimate["kept_bound"] <= 0.25 * described["K"]
            else:
                assert off == estimate["kept_bound"] == 0
            assert estimate["selected_score_sum"] == pytest.approx(layer["selected_score_sum"], rel=0.03 + off / max(layer["kept"], 1))
            assert estimate["kept_share"] == pytest.approx(estimate["kept"] / layer["weights"])
            assert estimate["share_of_kept"] == pytest.approx(estimate["kept"] / max(step["K"], 1))
            assert estimate["share_of_scores"] == pytest.approx(estimate["selected_score_sum"] / whole if whole else 0)


def test_a_sweep_over_a_range(frog, exact, checkpoint, tmp_path):
    out = tmp_path / "out"
    frog.mask(checkpoint("bf16_sharded"), out)
    write_histograms(out, histograms([matrix.scores for matrix in exact("bf16_sharded").matrices]))

    def swept(text):
        return [step["budget"] for step in reported(frog, out, "--budget-sweep", text)["sweep"]]

    assert swept("0.1%..20%") == ["0.1%", "0.2%", "0.5%", "1%", "2%", "5%", "10%", "20%"]
    assert swept("0.003..0.021") == ["0.003", "0.5%", "1%", "2%", "0.021"]
    assert swept("99%..100%") == ["99%", "100%"]
    steps = reported(frog, out, "--budget-sweep", "0.1%..20%")["sweep"]
    for columns in (60, 200):
        lines = pictured(frog, out, "--budget-sweep", "0.1%..20%", columns=columns).splitlines()
        headings = [number for number, line in enumerate(lines) if line.startswith("layer ") and "0.1%" in line]
        assert len(headings) == 2
        for heading, kind in zip(headings, ["share_of_kept", "share_of_scores"], strict=True):
            for layer in range(2):
                cells = lines[heading + 1 + layer].split()
                wanted = [100 * step["layers"][layer][kind] for step in steps][: len(cells) - 1]
                assert [float(cell.rstrip("%")) for cell in cells[1:]] == pytest.approx(wanted, rel=6e-3)
        assert any(line.startswith("within") for line in lines)
    for text in ("", "0%..1%", "2%..1%", "1%..1%", "lora:1..lora:2", "1%..2%..3%", "1%,,2%", "101%", ",".join(["1%"] * 101)):
        assert_refused(frog("inspect", out, "--layers", "--budget-sweep", text), 64, "--budget-sweep")
    assert_refused(frog("inspect", out, "--budget-sweep", "1%"), 64, "--layers")


def spoiled(name, change):
    def apply(tensors):
        dtype, array = tensors[name]
        tensors[name] = change(dtype, array.copy())

    return apply


def put(at, value):
    def change(dtype, array):
        array[at] = value
        return dtype, array

    return change


SPOILED = {
    "no bins": lambda tensors: tensors.pop("bins"),
    "offsets of another model": spoiled("offsets", lambda dtype, array: (dtype, array[:-1])),
    "offsets that go back": spoiled("offsets", put(1, 2**40)),
    "negative offsets": spoiled("offsets", put(1, -1)),
    "offsets that begin late": spoiled("offsets", put(0, 1)),
    "bins that do not ascend": spoiled("bins", put(1, 0)),
    "a bin that cannot be": spoiled("bins", put(-1, 4096)),
    "bins of another type": spoiled("bins", lambda dtype, array: ("I16", array)),
    "bins of rank 2": spoiled("bins", lambda dtype, array: (dtype, array[None])),
    "fewer counts": spoiled("counts", lambda dtype, array: (dtype, array[:-1])),
    "a count of 0": spoiled("counts", put(0, 0)),
    "a negative count": spoiled("counts", put(0, -(2**31))),
    "a count too many": spoiled("counts", lambda dtype, array: (dtype, array + 1)),
    "a count beyond all": spoiled("counts", lambda dtype, array: ("I64", array.astype("<i8") + 2**62)),
    "a sum that is no number": spoiled("sums", put(0, math.nan)),
    "a negative sum": spoiled("sums", put(0, -1.0)),
    "different units": spoiled("exponents", put(0, 1)),
}


def test_histograms_that_are_not_of_the_masks(frog, exact, checkpoint, tmp_path):
    out = tmp_path / "out"
    frog.mask(checkpoint("bf16_sharded"), out, "--no-histograms")
    options = ("--layers", "--budget-sweep", "1%")
    assert_refused(frog("inspect", out, *options), 66, "histograms.safetensors")
    whole = histograms([matrix.scores for matrix in exact("bf16_sharded").matrices])
    for name, spoil in SPOILED.items():
        tensors = dict(whole)
        spoil(tensors)
        write_histograms(out, tensors)
        result = frog("inspect", out, *options)
        assert result.status == 65 and len(result.error_lines) == 1 and "histograms.safetensors" in result.stderr, (name, str(result))
    write_histograms(out, whole)
    content = (out / "histograms.safetensors").read_bytes()
    (out / "histograms.safetensors").write_bytes(content[:-1])
    assert_refused(frog("inspect", out, *options), 65, "histograms.safetensors")
    wide = {**whole, "counts": ("I64", whole["counts"][1].astype("<i8")), "sums": ("F32", whole["sums"][1].astype("<f4"))}
    write_histograms(out, wide)
    assert frog("inspect", out, *options).status == 0
