"""`frog-mpi analyze`: every metric against WeightWatcher itself, on a real model and on synthetic matrices; tables and refusals."""

import json
import math
import re

import numpy as np
import pytest

import checkpoints
import details
import reference
import weightwatcher_oracle
from harness import assert_refused

# Relative; integers are equal.
TOLERANCE = 1e-9
INTEGERS = {"M", "N", "rf", "num_evals", "num_pl_spikes", "matrix_rank", "rank_loss", "weak_rank_loss", "detX_num", "ERG_gap", "num_spikes"}
NUMBERS = [
    "D", "Q", "alpha", "alpha_weighted", "entropy", "lambda_max", "log_alpha_norm", "log_norm", "log_spectral_norm", "norm",
    "sigma", "spectral_norm", "stable_rank", "sv_max", "xmax", "xmin",
]  # fmt: skip
BULK = ["sigma_mp", "mp_softrank", "W_scale", "bulk_max", "bulk_min"]


def analyze(frog, checkpoint, out, *options, ranks=None):
    """The rows of details.csv by longname, and summary.json."""
    result = frog("analyze", checkpoint, "--out", out, "--threads", 1, *options, ranks=ranks, timeout=300)
    assert result.status == 0, str(result)
    return details.rows(out), json.loads((out / "summary.json").read_text())


def known_faults(row, theirs):
    """Columns of WeightWatcher's row that are wrong, by its known faults; ours must do better."""
    faulty = set()
    if theirs["status"] != "success":
        # Numbers made of the −1 that stands for a fit.
        faulty |= {"alpha_weighted", "log_alpha_norm", "xmax", "ERG_gap"}
        assert all(row[name] == "" and name in row["reasons"] for name in faulty), row
    elif theirs["sigma"] < 0 < theirs["alpha"] - 1:
        # It forgets σ of a fit to few eigenvalues.
        assert float(row["sigma"]) > 0
        faulty.add("sigma")
    if theirs["mp_softrank"] == pytest.approx(0.0025):
        # The lower end of the search is no fit.
        bulk = {*BULK, "num_spikes"}
        assert all(row[name] == "" and name in row["reasons"] for name in bulk), row
        faulty |= bulk
    if int(theirs["N"]) < int(theirs["M"]):
        # It exchanges the sides once for every position of a kernel, whose number may be even.
        faulty |= {"N", "M", "Q", "num_spikes", *BULK} - {"W_scale"}
    return faulty


def differences(row, theirs, numbers=NUMBERS, integers=INTEGERS):
    """What differs between our row and WeightWatcher's, in words."""
    found = []
    faulty = known_faults(row, theirs)
    for name in numbers:
        if name in faulty:
            continue
        ours = float(row[name]) if row[name] else None
        if ours is None or not math.isclose(ours, theirs[name], rel_tol=TOLERANCE, abs_tol=1e-12):
            found.append(f"{name}: {row[name]!r}, WeightWatcher {theirs[name]!r}")
    for name in (integers & theirs.keys() & row.keys()) - faulty:
        if row[name] == "" or int(row[name]) != int(theirs[name]):
            found.append(f"{name}: {row[name]!r}, WeightWatcher {theirs[name]!r}")
    return found


needs_weightwatcher = pytest.mark.skipif(not weightwatcher_oracle.available(), reason="needs weightwatcher 0.7.7")


@needs_weightwatcher
def test_a_real_model_is_measured_as_weightwatcher_does(frog, checkpoint, tmp_path):
    source = checkpoint("minilm")
    rows, summary = analyze(frog, source, tmp_path / "out", "--mp-fit", "--include", "*embeddings*")
    tensors = {t.name.removesuffix(".weight"): t for t in reference.checkpoint_tensors(source)}
    assert len(rows) == 40
    theirs = weightwatcher_oracle.details([np.asarray(tensors[name].read(), np.float32) for name in rows], mp_fit=True, detX=True)
    problems, means = {}, {}
    for (name, row), their in zip(rows.items(), theirs):
        if their is None:
            # It passes over matrices of fewer than eight eigenvalues.
            assert int(row["num_evals"]) < 8 and row["status"] == "failed" and "fewer than 8" in row["reasons"]
            continue
        found = differences(row, their, NUMBERS + BULK)
        if found:
            problems[name] = found
        for column in ("alpha", "log_alpha_norm"):
            means.setdefault(column, []).append(their[column])
    assert not problems, json.dumps(problems, indent=1)
    for column, values in means.items():
        assert summary["summary"][column] == pytest.approx(np.mean(values), rel=1e-9)


def synthetic(generator):
    """Thirty matrices of every kind, float32, by name; convolutions have four dimensions."""

    def normal(*shape):
        return generator.standard_normal(shape).astype(np.float32)

    def pareto(exponent, *shape):
        signs = generator.choice([-1.0, 1.0], shape)
        return (signs * generator.pareto(exponent, shape)).astype(np.float32)

    made = {}
    for number, shape in enumerate([(200, 200), (300, 100), (64, 500), (128, 129), (40, 1000), (17, 400)]):
        made[f"gaussian{number}"] = normal(*shape) / np.float32(np.sqrt(max(shape)))
    for number, (exponent, shape) in enumerate(
        [(1.5, (200, 100)), (2.5, (150, 150)), (3.5, (100, 300)), (1.1, (64, 64)), (5.0, (256, 32))]
    ):
        made[f"pareto{number}"] = pareto(exponent, *shape)
    for number, (rank, shape) in enumerate([(5, (100, 80)), (20, (64, 200)), (1, (50, 40)), (63, (64, 64))]):
        made[f"low{number}"] = (normal(shape[0], rank) @ normal(rank, shape[1])).astype(np.float32)
    for number, shape in enumerate([(8, 8), (9, 30), (19, 19), (25, 10), (10, 11)]):
        made[f"tiny{number}"] = normal(*shape)
    for number, shape in enumerate([(32, 16, 3, 3), (64, 48, 1, 1), (20, 40, 1, 3), (16, 16, 5, 5), (12, 24, 2, 2)]):
        made[f"conv{number}"] = normal(*shape) / np.float32(10)
    # Spectra as trained layers have: a bulk and a tail of power-law spikes.
    for number, shape in enumerate([(256, 128), (200, 300), (96, 96), (384, 64), (100, 101)]):
        order = min(shape)
        u, _ = np.linalg.qr(generator.standard_normal((shape[0], order)))
        v, _ = np.linalg.qr(generator.standard_normal((shape[1], order)))
        made[f"trained{number}"] = ((u * (generator.pareto(2 + number / 2, order) + 0.1)) @ v.T).astype(np.float32)
    return made


def write(folder, matrices):
    return checkpoints.write_checkpoint(
        folder, {f"h.{name}.weight": checkpoints.encode(matrix, "F32") for name, matrix in matrices.items()}
    )


@needs_weightwatcher
def test_synthetic_matrices_are_measured_as_weightwatcher_does(frog, tmp_path):
    matrices = synthetic(np.random.default_rng(60))
    assert len(matrices) == 30
    rows, _ = analyze(frog, write(tmp_path / "in", matrices), tmp_path / "out", "--mp-fit", "--conv", ranks=2)
    theirs = weightwatcher_oracle.details(list(matrices.values()), mp_fit=True, detX=True)
    problems = {}
    for name, their in zip(matrices, theirs):
        assert their is not None, name
        found = differences(rows[f"h.{name}"], their, NUMBERS + BULK)
        if found:
            problems[name] = found
    assert not problems, json.dumps(problems, indent=1)


@pytest.fixture(scope="module")
def layers(tmp_path_factory):
    """Three layers of a small model whose matrices read and write a residual stream of width 96."""
    generator = np.random.default_rng(61)
    folder = tmp_path_factory.mktemp("layers")
    tensors = {}
    for layer in range(3):
        for name, shape in {
            "self_attn.q_proj": (96, 96), "self_attn.k_proj": (48, 96), "self_attn.v_proj": (48, 96), "self_attn.o_proj": (96, 96),
            "mlp.gate_proj": (160, 96), "mlp.up_proj": (160, 96), "mlp.down_proj": (96, 160),
        }.items():  # fmt: skip
            order = min(shape)
            u, _ = np.linalg.qr(generator.standard_normal((shape[0], order)))
            v, _ = np.linalg.qr(generator.standard_normal((shape[1], order)))
            tensors[f"model.layers.{layer}.{name}.weight"] = ((u * (generator.pareto(2.5, order) + 0.2)) @ v.T).astype(np.float32)
    checkpoints.write_checkpoint(folder, {name: checkpoints.encode(matrix, "F32") for name, matrix in tensors.items()}, shard_size=400_000)
    return folder, tensors


EVERYTHING = ("--mp-fit", "--randomize", "--vectors", "--fix-fingers", "--truncated", "--p-value", "20", "--overlap", "8", "--seed", "3")


def contents(out):
    return {path.name: path.read_bytes() for path in out.iterdir() if path.is_file() and path.name != "run.json"}


def test_bytes_do_not_depend_on_the_number_of_ranks(frog, layers, tmp_path):
    found = []
    for ranks in (None, 2, 5):
        rows, _ = analyze(frog, layers[0], tmp_path / str(ranks), *EVERYTHING, ranks=ranks)
        assert len(rows) == 21
        found.append(contents(tmp_path / str(ranks)))
    assert set(found[0]) == {"details.csv", "spectra.safetensors", "summary.json"}
    assert found[0] == found[1] == found[2]


def test_a_run_goes_on_where_it_was_interrupted(frog, layers, tmp_path):
    source, out = layers[0], tmp_path / "out"
    analyze(frog, source, tmp_path / "whole", *EVERYTHING)
    analyze(frog, source, out, *EVERYTHING, "--keep-work", ranks=2)
    # What a run leaves that was killed before it had measured everything.
    for name in [*contents(out), "run.json"]:
        (out / name).unlink()
    records = sorted((out / ".frog-mpi").glob("spectra-*.frogrec"))
    assert len(records) == 21
    (out / ".frog-mpi/commit.json").unlink()
    for record in records[::3]:
        record.unlink()
    damaged = bytearray(records[1].read_bytes())
    damaged[100] ^= 1
    records[1].write_bytes(damaged)
    refused = frog("analyze", source, "--out", out, "--threads", 1, *EVERYTHING[1:], "--resume")
    assert_refused(refused, 64, "--mp-fit was yes, is no")
    result = frog("analyze", source, "--out", out, "--threads", 1, *EVERYTHING, "--resume", ranks=3)
    assert result.status == 0 and "resuming with 13 of 21" in result.stderr and "was damaged" in result.stderr, str(result)
    assert contents(out) == contents(tmp_path / "whole")
    assert not (out / ".frog-mpi").exists()
    again = frog("analyze", source, "--out", out, "--threads", 1, *EVERYTHING, "--resume")
    assert again.status == 0 and "finished earlier" in again.stdout, str(again)


@needs_weightwatcher
def test_vectors_are_as_localized_as_weightwatcher_finds(frog, layers, tmp_path):
    from weightwatcher.RMT_Util import discrete_entropy, localization_ratio, participation_ratio

    source, tensors = layers
    rows, _ = analyze(frog, source, tmp_path / "out", "--vectors")
    for name, matrix in tensors.items():
        row = rows[name.removesuffix(".weight")]
        wide = matrix.astype(np.float64) if matrix.shape[0] < matrix.shape[1] else matrix.T.astype(np.float64)
        eigenvalues, vectors = np.linalg.eigh(wide @ wide.T)
        # Its own split compares eigenvalues of two algorithms, so that the one at xmin falls on either side.
        tail = eigenvalues >= float(row["xmin"]) * (1 - 1e-9)
        for metric, function in [("vec_entropy", discrete_entropy), ("loc_ratio", localization_ratio), ("part_ratio", participation_ratio)]:
            values = np.array([function(vector) for vector in vectors.T])
            for part, chosen in [("bulk", values[~tail]), ("tail", values[tail])]:
                assert float(row[f"{part}_mean_{metric}"]) == pytest.approx(chosen.mean(), rel=1e-6), (name, part, metric)
                assert float(row[f"{part}_var_{metric}"]) == pytest.approx(chosen.var(), rel=1e-5, abs=1e-12), (name, part, metric)


@needs_weightwatcher
def test_fingers_are_clipped_as_weightwatcher_does(frog, tmp_path):
    matrices = {}
    for seed in range(12):
        # Half-normal singular values, the largest three times as large: some of these have fingers.
        generator = np.random.default_rng(seed)
        values = np.abs(generator.standard_normal(60))
        values[:2] *= 3
        u, _ = np.linalg.qr(generator.standard_normal((80, 60)))
        v, _ = np.linalg.qr(generator.standard_normal((60, 60)))
        matrices[f"m{seed}"] = ((u * values) @ v.T).astype(np.float32)
    rows, _ = analyze(frog, write(tmp_path / "in", matrices), tmp_path / "out", "--fix-fingers")
    clipped = 0
    for name, their in zip(matrices, weightwatcher_oracle.details(list(matrices.values()), fix_fingers="clip_xmax")):
        row = rows[f"h.{name}"]
        assert int(row["num_fingers"]) == their["num_fingers"]
        for column in ("alpha", "raw_alpha", "D", "xmin", "xmax"):
            assert float(row[column]) == pytest.approx(their[column], rel=1e-9), (name, column)
        clipped += their["num_fingers"] > 0
    assert 0 < clipped < len(matrices)


def test_overlaps_are_those_of_the_leading_subspaces(frog, layers, tmp_path):
    source, tensors = layers
    _, summary = analyze(frog, source, tmp_path / "out", "--overlap", 8, ranks=2)

    def basis(name, side):
        u, _, vt = np.linalg.svd(tensors[name].astype(np.float64), full_matrices=False)
        return u[:, :8] if side == "left" else vt[:8].T

    pairs = {(o["writer"], o["reader"]): o for o in summary["overlaps"]}
    # Attention → gate and up of its layer, down → q, k and v of the next.
    assert len(pairs) == 3 * 2 + 2 * 3
    for (writer, reader), found in pairs.items():
        cosines = np.linalg.svd(basis(writer, "left").T @ basis(reader, "right"), compute_uv=False)
        assert found["overlap"] == pytest.approx(np.mean(cosines**2), rel=1e-8)
        assert np.cos(found["angles"]) == pytest.approx(cosines, abs=1e-9)
        assert found["chance"] == pytest.approx(8 / 96)
    roles = {(found["writer"], found["reader"]): found for found in summary["role_overlaps"]}
    assert list(roles) == [("down", "k"), ("down", "q"), ("down", "v"), ("o", "gate"), ("o", "up")]
    for (writer, reader), found in roles.items():
        values = [o["overlap"] for (first, second), o in pairs.items() if f".{writer}_proj" in first and f".{reader}_proj" in second]
        assert found["pairs"] == len(values) == (2 if writer == "down" else 3)
        assert (found["median"], found["least"]) == (pytest.approx(np.median(values)), min(values)) and found["chance"] == pytest.approx(
            8 / 96
        )
    assert_printed(frog, source, tmp_path / "out", summary["role_overlaps"])


def test_what_an_encoder_writes_its_decoder_does_not_read_next(frog, tmp_path):
    """T5's names: both stacks have layers of the same numbers and widths."""
    generator = np.random.default_rng(69)
    parts = {"0.SelfAttention.q": (40, 40), "0.SelfAttention.o": (40, 40), "1.DenseReluDense.wi": (80, 40), "1.DenseReluDense.wo": (40, 80)}
    matrices = {
        f"{stack}.block.{layer}.layer.{name}": generator.standard_normal(shape).astype(np.float32)
        for stack in ("encoder", "decoder") for layer in range(2) for name, shape in parts.items()
    }  # fmt: skip
    folder = checkpoints.write_checkpoint(
        tmp_path / "in", {f"{name}.weight": checkpoints.encode(matrix, "F32") for name, matrix in matrices.items()}
    )
    _, summary = analyze(frog, folder, tmp_path / "out", "--overlap", 4)
    expected = set()
    for stack in ("encoder", "decoder"):
        expected |= {
            (f"{stack}.block.{n}.layer.0.SelfAttention.o.weight", f"{stack}.block.{n}.layer.1.DenseReluDense.wi.weight") for n in range(2)
        }
        expected.add((f"{stack}.block.0.layer.1.DenseReluDense.wo.weight", f"{stack}.block.1.layer.0.SelfAttention.q.weight"))
    assert {(o["writer"], o["reader"]) for o in summary["overlaps"]} == expected


def test_roles_and_depth_come_from_the_structure_of_the_model(frog, tmp_path):
    """A decoder behind a number in front, from which layers 1 and 2 were pruned, and whose last layer has a stack of experts."""
    generator = np.random.default_rng(70)
    own, cross, last = "layer.0.SelfAttention", "layer.1.EncDecAttention", "layer.2"
    shapes = {f"{own}.q": (24, 24), f"{own}.k": (24, 24), f"{own}.o": (24, 24)}
    shapes |= {f"{cross}.q": (24, 24), f"{cross}.k": (24, 24), f"{cross}.o": (24, 24)}
    dense = {f"{last}.DenseReluDense.wi": (40, 24), f"{last}.DenseReluDense.wo": (24, 40)}
    roles = {f"{part}.{role}": role for part in (own, cross) for role in "qko"}
    roles |= {f"{last}.DenseReluDense.wi": "up", f"{last}.DenseReluDense.wo": "down"}
    matrices = {"0.pooler.dense.weight": (24, 24)}
    matrices |= {f"0.decoder.block.0.{name}.weight": shape for name, shape in (shapes | dense).items()}
    matrices |= {f"0.decoder.block.3.{name}.weight": shape for name, shape in shapes.items()}
    matrices[f"0.decoder.block.3.{last}.mlp.experts.gate_up_proj"] = (2, 80, 24)
    matrices[f"0.decoder.block.3.{last}.mlp.experts.down_proj"] = (2, 24, 40)
    folder = checkpoints.write_checkpoint(
        tmp_path / "in", {name: checkpoints.encode(generator.standard_normal(shape), "F32") for name, shape in matrices.items()}
    )
    rows, summary = analyze(frog, folder, tmp_path / "out", "--overlap", 4)
    expected = {"0.pooler.dense": ("dense", "")}
    expected |= {f"0.decoder.block.0.{name}": (role, "0") for name, role in roles.items()}
    expected |= {f"0.decoder.block.3.{name}": (role, "3") for name, role in roles.items() if "Dense" not in name}
    for expert in range(2):
        for name, role in (("gate_up_proj", "gate_up"), ("down_proj", "down")):
            expected[f"0.decoder.block.3.{last}.mlp.experts.{name}[{expert}]"] = (role, "3")
    assert {name: (row["role"], row["depth"]) for name, row in rows.items()} == expected
    assert {depth["depth"]: depth["matrices"] for depth in summary["depths"]} == {0: 8, 3: 10}

    def pair(writer, reader):
        return f"0.decoder.block.{writer}.weight", f"0.decoder.block.{reader}.weight"

    assert {(o["writer"], o["reader"]) for o in summary["overlaps"]} == {
        pair(f"0.{own}.o", f"0.{cross}.q"), pair(f"0.{cross}.o", f"0.{last}.DenseReluDense.wi"),
        pair(f"0.{last}.DenseReluDense.wo", f"3.{own}.q"), pair(f"0.{last}.DenseReluDense.wo", f"3.{own}.k"),
        pair(f"3.{own}.o", f"3.{cross}.q"),
    }  # fmt: skip


def assert_printed(frog, source, out, overlaps):
    """A run that had been finished prints what its tables hold."""
    text = frog("analyze", source, "--out", out, "--threads", 1, "--overlap", 8, "--resume").stdout
    table = text[text.index("writes ") :].splitlines()
    for found, line in zip(overlaps, table[1:]):
        cells = [found["writer"], found["reader"], str(found["pairs"]), f"{found['median']:.3f}", f"{found['least']:.3f}", "0.083"]
        assert line.split() == [*cells, f"{found['median'] / found['chance']:.1f}"], text
    assert "8 leading directions" in table[len(overlaps) + 1]


def test_shuffled_entries_tell_correlations_and_traps(frog, tmp_path):
    generator = np.random.default_rng(62)
    noise = generator.standard_normal((300, 200)).astype(np.float32)
    trapped = noise.copy()
    trapped[7, 11] = trapped[200, 150] = 60
    correlated = noise + 3 * np.outer(generator.standard_normal(300), generator.standard_normal(200)).astype(np.float32)
    source = write(tmp_path / "in", {"noise": noise, "trapped": trapped, "correlated": correlated})
    rows, _ = analyze(frog, source, tmp_path / "out", "--randomize")
    assert [int(rows[f"h.{name}"]["num_traps"]) for name in ("noise", "trapped")] == [0, 2]
    assert 0.9 < float(rows["h.noise"]["ww_softrank"]) < 1.1
    assert float(rows["h.correlated"]["ww_softrank"]) < 0.1
    assert float(rows["h.noise"]["rand_distance"]) < 0.01 < float(rows["h.correlated"]["rand_distance"])
    other, _ = analyze(frog, source, tmp_path / "other", "--randomize", "--seed", 1)
    assert other["h.noise"]["max_rand_eval"] != rows["h.noise"]["max_rand_eval"]


def test_matrices_that_have_no_power_law_say_why(frog, tmp_path):
    generator = np.random.default_rng(63)
    matrices = {
        "zero": np.zeros((40, 30), np.float32), "one": np.outer(np.ones(40), np.ones(30)).astype(np.float32),
        "three": generator.standard_normal((3, 50)).astype(np.float32), "identity": np.eye(32, dtype=np.float32),
        "small": 1e-9 * generator.standard_normal((40, 30)).astype(np.float32),
    }  # fmt: skip
    rows, summary = analyze(frog, write(tmp_path / "in", matrices), tmp_path / "out", *EVERYTHING[:-4], ranks=2)
    for name in matrices:
        row = rows[f"h.{name}"]
        assert row["status"] == "failed" and row["warning"] == "", name
    assert rows["h.zero"]["matrix_rank"] == "0" and rows["h.one"]["matrix_rank"] == "1"
    assert summary["failed_fits"] == len(matrices)
    assert {warning["matrix"] for warning in summary["warnings"]} == {f"h.{name}.weight" for name in matrices}


def test_a_collapsed_layer_is_seen_in_one_model(frog, tmp_path):
    generator = np.random.default_rng(64)
    matrices = {
        f"{layer}.fc1": generator.standard_normal((60, 40)).astype(np.float32) * np.float32(1 + 0.02 * layer) for layer in range(12)
    }
    matrices["5.fc1"] /= 8
    _, summary = analyze(frog, write(tmp_path / "in", matrices), tmp_path / "out")
    collapsed = [warning["matrix"] for warning in summary["warnings"] if "collapsed" in warning["message"]]
    assert collapsed == ["h.5.fc1.weight"]


def test_masks_come_with_the_same_numbers(frog, layers, tmp_path):
    alone, _ = analyze(frog, layers[0], tmp_path / "alone")
    out = tmp_path / "out"
    described = frog.mask(layers[0], out, "--analyze", ranks=2)
    rows = details.rows(out)
    assert rows.keys() == alone.keys()
    for name, row in rows.items():
        for column in NUMBERS:
            assert float(row[column]) == pytest.approx(float(alone[name][column]), rel=1e-9)
    assert [m["alpha"] for m in described["matrices"]] == pytest.approx([float(row["alpha"]) for row in rows.values()])
    assert set(described["documents"]) == {"details.csv", "histograms.safetensors", "layers.csv", "spectra.safetensors", "summary.json"}
    assert frog("verify", out).status == 0
    changed = bytearray((out / "details.csv").read_bytes())
    changed[-3] ^= 1
    (out / "details.csv").write_bytes(changed)
    result = frog("verify", out)
    assert result.status == 65 and "details.csv" in result.stdout + result.stderr, str(result)
    # Without spectra their files go.
    frog.mask(layers[0], out, "--overwrite")
    assert "details.csv" not in contents(out) and frog("verify", out).status == 0


def test_a_folder_belongs_to_one_command(frog, layers, tmp_path):
    commands = {
        "mask": ("mask", layers[0], "--analyze"), "analyze": ("analyze", layers[0]), "compare": ("compare", layers[0], layers[0]),
    }  # fmt: skip
    for owner, command in commands.items():
        out = tmp_path / owner
        assert frog(*command, "--out", out, "--threads", 1).status == 0
        before = contents(out)
        for other in commands.keys() - {owner}:
            for ranks, options in ((None, ["--overwrite"]), (2, ["--resume", "--overwrite"])):
                result = frog(*commands[other], "--out", out, "--threads", 1, *options, ranks=ranks)
                assert_refused(result, 64, f"holds results of frog-mpi {owner}", "--out")
        assert contents(out) == before
        assert frog(*command, "--out", out, "--threads", 1, "--overwrite").status == 0


@pytest.mark.parametrize("select, weight, policy", [
    ("global", "alpha", "keep"), ("global", "alpha-hat", "boost"), ("global", "none", "exclude"), ("matrix", "alpha", "keep"),
    ("matrix", "alpha-hat", "exclude"),
])  # fmt: skip
def test_quality_shapes_what_is_kept(frog, checkpoint, exact, tmp_path, select, weight, policy):
    source, ours = checkpoint("minilm"), exact("minilm")
    options = ("--select", select, "--quality-weight", weight, "--overparameterized", policy, "--budget", "2%")
    described = frog.mask(source, tmp_path / "out", *options, ranks=3)
    weights = {m["name"]: m["quality_weight"] for m in described["matrices"]}
    for m in described["matrices"]:
        expected = quality_weight(m["alpha"]) if weight == "alpha" else 1.0 if weight == "none" else m["quality_weight"]
        if m["alpha"] > 6:
            expected = {"keep": expected, "boost": 2**0.5, "exclude": 0.0}[policy]
        assert m["quality_weight"] == pytest.approx(expected), m
    assert len(set(weights.values())) > 1 and all(w == 0 or 2**-0.5 <= w <= 2**0.5 for w in weights.values())
    if select == "global":
        ranked = np.concatenate([matrix.scores * weights[matrix.name] for matrix in ours.matrices])
        kept = reference.top(ranked, described["K"])
        ends = np.cumsum([matrix.size for matrix in ours.matrices])
        wanted = np.diff([0, *np.searchsorted(kept, ends)])
    else:
        sizes = [matrix.size for matrix in ours.matrices]
        wanted = reference.matrix_counts([matrix.norm * weights[matrix.name] for matrix in ours.matrices], sizes, described["K"])
    found = np.array([m["kept"] for m in described["matrices"]])
    assert found.sum() == described["K"]
    assert np.abs(found - wanted).max() <= (2 if select == "global" else 0)
    # Scores are stored as they are.
    output = reference.read_output(tmp_path / "out", {matrix.name: matrix.shape for matrix in ours.matrices})
    for matrix in ours.matrices:
        stored = output[matrix.name]
        assert stored.scores == pytest.approx(matrix.scores[stored.indices], rel=1e-5)
    assert frog("verify", tmp_path / "out", "--checkpoint", source).status == 0


def quality_weight(alpha):
    """docs/method/selection.md: 2^t, t linear through (1, 0), (2, ½), (4, ½), (6, −½)."""
    return 2 ** float(np.interp(alpha, [1, 2, 4, 6], [0, 0.5, 0.5, -0.5]))


def test_a_matrix_that_needs_a_team_says_what_it_lacks(frog, tmp_path):
    generator = np.random.default_rng(67)
    matrices = {"0.large": checkpoints.trained(generator, 6000, 1000), "1.small": checkpoints.trained(generator, 90, 60)}
    source = write(tmp_path / "in", {name: matrix.astype(np.float32) for name, matrix in matrices.items()})
    options = ("--randomize", "--vectors")
    refusal = frog("analyze", source, "--out", tmp_path / "out", *options, "--memory", "100MB")
    assert_refused(refusal, 64, "h.0.large", "on each of 2", "give --memory")
    limit = re.search(r"give --memory (\S+)", refusal.stderr)[1]
    alone, _ = analyze(frog, source, tmp_path / "alone", *options)
    teams, _ = analyze(frog, source, tmp_path / "teams", *options, "--memory", limit, "--keep-work", ranks=2)
    assert b'"members":2' in (tmp_path / "teams/.frog-mpi/spectra-00000000.frogrec").read_bytes()
    assert alone["h.1.small"] == teams["h.1.small"]
    one, team = alone["h.0.large"], teams["h.0.large"]
    assert one["reasons"] == "" and one.keys() == team.keys()
    # Nothing but what shuffled entries would tell.
    shuffled = {
        "max_rand_eval",
        "rand_distance",
        "ww_softrank",
        "ww_maxdist",
        "num_traps",
        "rand_num_spikes",
        *(f"rand_{name}" for name in BULK),
    }
    assert details.explained(team) == shuffled and "too large for one process" in team["reasons"]
    for column, value in one.items():
        if column not in shuffled | {"reasons"} and team[column] != value:
            assert math.isclose(float(team[column]), float(value), rel_tol=1e-6), column
    # The columns are there also if no matrix has them.
    analyze(frog, source, tmp_path / "only", *options, "--memory", limit, "--include", "*large*", "--exclude", "*small*", ranks=2)
    only = details.rows(tmp_path / "only")["h.0.large"]
    assert {column: value for column, value in only.items() if column != "layer_id"} == {
        column: value for column, value in team.items() if column != "layer_id"
    }


def test_convolutions_say_what_they_lack(frog, tmp_path):
    generator = np.random.default_rng(66)
    matrices = {
        "conv": generator.standard_normal((24, 12, 3, 3)).astype(np.float32),
        "plain": generator.standard_normal((24, 40)).astype(np.float32),
    }
    rows, _ = analyze(frog, write(tmp_path / "in", matrices), tmp_path / "out", "--conv", "--vectors", "--randomize", ranks=2)
    conv = rows["h.conv"]
    assert conv["layer_type"] == "conv2d" and conv["rf"] == "9" and int(conv["num_evals"]) == 108
    assert conv["tail_mean_vec_entropy"] == "" and "not measured of convolutions" in conv["reasons"]
    assert float(conv["max_rand_eval"]) > 0 and rows["h.plain"]["reasons"] == "" and float(rows["h.plain"]["tail_mean_vec_entropy"]) > 0


def test_a_large_matrix_has_the_singular_values_it_was_made_of(frog, tmp_path):
    """Beyond order 3072, where the way to a tridiagonal form is another one; too many for NumPy to find in a test."""
    rows, order = 3300, 3100
    values = np.concatenate([np.logspace(0, -2, order - 8), np.logspace(-4.7, -7, 8)])
    u, v = (np.sin(np.arange(1, size + 1) * seed) for size, seed in ((rows, 1.7), (order, 2.3)))
    u, v = u / np.linalg.norm(u), v / np.linalg.norm(v)
    matrix = np.zeros((rows, order))
    matrix[np.arange(order), np.arange(order)] = values
    matrix -= 2 * np.outer(u, u @ matrix)
    matrix -= 2 * np.outer(matrix @ v, v)
    checkpoints.write_checkpoint(tmp_path / "model", {"h.0.fc.weight": checkpoints.encode(matrix, "F64")})
    (row,) = analyze(frog, tmp_path / "model", tmp_path / "out")[0].values()
    assert json.loads((tmp_path / "out/run.json").read_text())["rescued"] == {}
    share = values**2 / np.sum(values**2) + 1e-10
    expected = {
        "sv_max": 1, "sv_min": 1e-7, "lambda_max": 1, "norm": np.sum(values**2), "stable_rank": np.sum(values**2),
        "entropy": -np.sum(share * np.log(share)) / np.log(order + 1e-10),
    }  # fmt: skip
    for name, value in expected.items():
        assert math.isclose(float(row[name]), value, rel_tol=1e-6 if name == "sv_min" else 1e-9), (name, row[name], value)
    assert (row["matrix_rank"], row["rank_loss"], row["weak_rank_loss"]) == (str(order), "0", "8")


def test_metrics_may_be_chosen(frog, layers, tmp_path):
    rows, _ = analyze(frog, layers[0], tmp_path / "out", "--metrics", "alpha,stable_rank")
    assert list(next(iter(rows.values()))) == [
        "layer_id", "name", "alpha", "layer_type", "longname", "stable_rank", "role", "depth", "rows", "columns", "reasons",
    ]  # fmt: skip
    for options, message in [
        (("--metrics", "alfa"), "no 'alfa' among"),
        (("--metrics", "num_traps"), "no 'num_traps' among"),
        (("--p-value=-1",), "--p-value must be"),
        (("--overlap", "5000"), "--overlap must be"),
    ]:
        assert_refused(frog("analyze", layers[0], "--out", tmp_path / "other", *options), 64, message)
    assert_refused(frog("analyze", tmp_path / "nowhere", "--out", tmp_path / "other"), 66, "nowhere")


@pytest.mark.parametrize("options, message", [
    (("--analyze", "--precision", "f32"), "every singular value"), (("--analyze", "--score", "magnitude"), "every singular value"),
    (("--analyze", "--rank", "8"), "every singular value"), (("--quality-weight", "alpha", "--select", "uniform"), "global or matrix"),
])  # fmt: skip
def test_what_does_not_go_together_is_refused(frog, layers, tmp_path, options, message):
    assert_refused(frog("mask", layers[0], "--out", tmp_path / "out", *options), 64, message)
