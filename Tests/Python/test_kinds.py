"""What counts as a weight in checkpoints that no list of names foresees (kinds.py): every tensor has the class it should have."""

import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import checkpoints
import kinds
import layouts
import separated
import test_layouts

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("kind", kinds.KINDS)
def test_every_tensor_has_its_class(frog, tmp_path, kind):
    folder = kinds.KINDS[kind].write(tmp_path)
    result = frog("inspect", "--json", folder)
    assert result.status == 0, str(result)
    found = {tensor["name"]: tensor for tensor in json.loads(result.stdout)["tensors"]}
    wrong = []
    for name, dtype, shape, wanted in kinds.KINDS[kind].tensors:
        tensor = found[name]
        reason = tensor.get("reason", "")
        name_of_class, _, detail = wanted.partition(":")
        right = tensor["class"] == name_of_class
        if name_of_class == "stack":
            right = right and tensor["matrices"] == int(detail)
        elif name_of_class == "skipped":
            right = right and detail == reason
        elif name_of_class == "refused":
            right = right and re.search(detail, reason) is not None
        else:
            right = right and tensor["matrices"] == 1
        if not right:
            wrong.append(f"{name} {dtype} {list(shape)}: {tensor['class']} ({reason or tensor['matrices']}), not {wanted}")
    assert not wrong, "\n".join(wrong[:20])


# Weights ----------------------------------------------------------------------------------------------------------------------------


def matrices(generator, shapes, dtype="F32"):
    return {name: checkpoints.encode(layouts.realistic(generator, shape), dtype) for name, shape in shapes.items()}


def test_experts_one_below_the_other_are_as_many_matrices(frog, tmp_path):
    """The same masks as the float64 reference on the four blocks of rows."""
    experts, inner, width = 4, 40, 24
    generator = np.random.default_rng(11)
    shapes = {
        "h.0.ffn.experts.w1": (experts * inner, width),
        "h.0.ffn.router.weight": (experts, width),
        "h.0.attn.q.weight": (width, width),
    }
    tensors = matrices(generator, shapes)
    folder = layouts.write_tensors(tmp_path / "in", tensors, {"moe_num_experts": experts, "d_model": width}, shards=1)
    parts = separated.stack("h.0.ffn.experts.w1", (experts, inner, width)) + separated.whole("h.0.attn.q.weight", (width, width))
    test_layouts.assert_masks(frog, folder, tensors, parts, tmp_path, ranks=(1, 3))
    described = json.loads((tmp_path / "ranks-1" / "frog.json").read_text())
    slices = [matrix["slice"] for matrix in described["matrices"] if matrix["slice"]]
    assert [s["shape"] for s in slices] == [[experts * inner, width]] * experts
    assert [(s["expert"], s["rows"]["first"], s["rows"]["length"]) for s in slices] == [(e, e * inner, inner) for e in range(experts)]


def test_kernels_over_time_and_space_are_matrices(frog, tmp_path):
    generator = np.random.default_rng(12)
    tensors = matrices(generator, {"up.weight": (24, 16, 7), "down.weight": (20, 8, 3, 3, 2), "mix.weight": (24, 24)})
    folder = layouts.write_tensors(tmp_path / "in", tensors, shards=1)
    parts = [part for name, (_, shape, _) in tensors.items() for part in separated.whole(name, shape)]
    test_layouts.assert_masks(frog, folder, tensors, parts, tmp_path, ranks=(1, 2))
    analyzed = frog("analyze", folder, "--out", tmp_path / "spectra", "--threads", "1")
    assert analyzed.status == 0, str(analyzed)
    with (tmp_path / "spectra" / "details.csv").open() as stream:
        rows = {row["longname"]: row for row in csv.DictReader(stream)}
    # Each of 7 or 18 positions is a matrix of its own.
    assert [int(rows[name]["num_evals"]) for name in ("up", "down", "mix")] == [7 * 16, 18 * 8, 24]
    assert [rows[name]["layer_type"] for name in ("up", "down", "mix")] == ["conv1d", "conv3d", "dense"]


@pytest.mark.parametrize(
    ("name", "dtype", "shape"),
    [
        ("scale_weight", "F32", ()), ("scale", "F32", (1, 1)), ("weight_scales", "F32", (160,)), ("_scale", "BF16", (160, 1)),
        ("scale", "F8_E8M0", (2, 1)), ("weight_scale", "F8_E8M0", (160, 2)), ("weight_scale_inv", "F8_E8M0", (2, 1)),
    ],
)  # fmt: skip
def test_scales_of_other_names_and_powers_of_two_are_applied(frog, tmp_path, name, dtype, shape):
    """Norms are those of codes times scales, block by block."""
    generator = np.random.default_rng(13)
    codes = layouts.eight_bit_codes(layouts.realistic(generator, (160, 64)) * 100, "F8_E4M3")
    if dtype == "F8_E8M0":
        stored = generator.integers(110, 135, shape).astype(np.uint8)
        scale, raw = 2.0 ** (stored.astype(np.float64) - 127), (dtype, shape, stored.tobytes())
    else:
        raw = checkpoints.encode(np.abs(generator.standard_normal(shape)) + 0.1, dtype)
        scale = layouts.decoded(*raw)
    tensors = {"h.0.up.weight": ("F8_E4M3", (160, 64), codes.tobytes()), f"h.0.up.{name}": raw}
    folder = layouts.write_tensors(tmp_path / "in", tensors, shards=1)
    rows, columns = (1, 1) if scale.size == 1 else (160, 1) if scale.ndim == 1 else scale.shape
    # A block of 128 rows, and one of the 32 that are left; or a value for each 32 columns of a row.
    grid = np.repeat(np.repeat(scale.reshape(rows, columns), {1: 160, 2: 128, 160: 1}[rows], axis=0)[:160], 64 // columns, axis=1)
    weights = layouts.decoded("F8_E4M3", (160, 64), codes.tobytes()) * grid
    described = frog.mask(folder, tmp_path / "out", "--budget", "5%")
    assert described["matrices"][0]["norm"] == pytest.approx(np.linalg.norm(weights), rel=1e-6)


def test_a_power_of_two_that_is_no_number_is_refused(frog, tmp_path):
    codes = layouts.eight_bit_codes(layouts.realistic(np.random.default_rng(14), (40, 24)) * 100, "F8_E4M3")
    tensors = {"up.weight": ("F8_E4M3", (40, 24), codes.tobytes()), "up.scale": ("F8_E8M0", (1,), b"\xff")}
    result = frog("mask", layouts.write_tensors(tmp_path / "in", tensors, shards=1), "--out", tmp_path / "out")
    assert result.status == 65 and "'up.scale' is NaN" in result.error_lines[0], str(result)


# What is left out -------------------------------------------------------------------------------------------------------------------


def test_every_result_says_what_was_left_out(frog, tmp_path):
    """Shares of all floating-point weights, counted by hand: 64·64 + 300·64 + 64 + 4·8·8 are 23,616."""
    generator = np.random.default_rng(15)
    shapes = {"net.embed_tokens.weight": (300, 64), "net.layers.0.q.weight": (64, 64), "net.norm.weight": (64,), "net.fields": (4, 8, 8)}
    folder = layouts.write_tensors(tmp_path / "in", matrices(generator, shapes), shards=1)
    listed = json.loads(frog("inspect", folder, "--json").stdout)
    result = frog("mask", folder, "--out", tmp_path / "masks", "--budget", "5%")
    analyzed = frog("analyze", folder, "--out", tmp_path / "spectra")
    for done in (result, analyzed):
        assert done.status == 0 and re.search(r"left out +82\.7% of 23,616 .*embedding 81\.3%, rank 3 1\.1%, vector 0\.3%", done.stdout), (
            str(done)
        )
        (warning,) = [line for line in done.stderr.splitlines() if "for their shape" in line]
        assert "1.0% of the floating-point weights" in warning and "'net.fields'" in warning
    documents = [json.loads((tmp_path / name).read_text()) for name in ("masks/frog.json", "spectra/summary.json")]
    for coverage in [listed["coverage"], *(document["coverage"] for document in documents)]:
        assert coverage["floating_point_weights"] == 23616 and coverage["counted"] == pytest.approx(4096 / 23616)
        assert [(part["reason"], part["tensors"], part["weights"], part["largest"]) for part in coverage["left_out"]] == [
            ("embedding", 1, 19200, "net.embed_tokens.weight"), ("rank 3", 1, 256, "net.fields"), ("vector", 1, 64, "net.norm.weight"),
        ]  # fmt: skip
        assert sum(part["share"] for part in coverage["left_out"]) + coverage["counted"] == pytest.approx(1)
    assert any("for their shape" in warning for warning in listed["warnings"])


def test_what_a_user_leaves_out_is_no_reason_for_a_warning(frog, tmp_path):
    shapes = {"net.layers.0.q.weight": (64, 64), "net.fields": (8, 16, 16)}
    folder = layouts.write_tensors(tmp_path / "in", matrices(np.random.default_rng(16), shapes), shards=1)
    for options, count in (((), 1), (("--exclude", "net.fields"), 0), (("--include", "net.fields"), 0)):
        found = json.loads(frog("inspect", folder, "--json", *options).stdout)
        assert len(found["warnings"]) == count, found["warnings"]


def test_the_page_of_what_counts_is_current(frog):
    """docs/guide/what-counts.md: real models at full size, and the kinds."""
    environment = os.environ | {"FROG_MPI": str(frog.binary)}
    run = subprocess.run([sys.executable, ROOT / "scripts/what-counts", "--check"], capture_output=True, text=True, env=environment)
    assert run.returncode == 0, run.stderr
