"""Good and bad safetensors files get the verdict of the reference reader; duplicate keys, and little else, are refused on top."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors import safe_open

import badfiles
import differential
from harness import LONG, assert_refused

ROOT = Path(__file__).resolve().parents[2]


def reference_accepts(path):
    try:
        with safe_open(path, "np") as opened:
            opened.keys()
        return True
    except Exception as error:  # the reader has its own exception, and panics come as another
        assert "deserializ" in str(error), error
        return False


def wanted_verdict(accepted_by_reference, content):
    """Whether we must accept a file."""
    return accepted_by_reference and badfiles.documented_difference(content) is None


def check(frog, path, accepted):
    result = frog("inspect", path, "--json")
    if accepted:
        assert result.status == 0, str(result)
        json.loads(result.stdout)
    else:
        assert_refused(result, 65, path.name)
        # A hostile name may not fill the terminal or send it control characters.
        (line,) = result.error_lines
        assert len(line) < 2000 and line.isprintable()


@pytest.mark.parametrize("name, content", [pytest.param(n, c, id=n) for n, c in badfiles.files()])
def test_same_verdict_as_the_reference_reader(frog, tmp_path, name, content):
    path = tmp_path / "file.safetensors"
    path.write_bytes(content)
    check(frog, path, reference_accepts(path))


@pytest.mark.parametrize("name, content", [pytest.param(n, c, id=n) for n, c in (*badfiles.duplicates(), *badfiles.stricter())])
def test_refused_whatever_the_reference_says(frog, tmp_path, name, content):
    path = tmp_path / "file.safetensors"
    path.write_bytes(content)
    assert not reference_accepts(path) or badfiles.documented_difference(content) is not None
    check(frog, path, accepted=False)


def test_no_difference_is_seen_where_there_is_none():
    """What excuses a refusal must not excuse all."""
    for name, content in badfiles.files():
        try:
            difference = badfiles.documented_difference(content)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            continue  # neither reader accepts it
        assert difference is None or not name.startswith(("valid", "dtype_F", "metadata_", "name_", "empty_", "depth_1"))


def test_same_verdict_and_contents_on_mutations_by_the_thousand():
    """Without a process for each; scripts/fuzz --differential N is the long form."""
    judge = Path(os.environ.get("FROG_MPI_JUDGE", ROOT / "Fuzz/.build/release/judge"))
    if not os.access(judge, os.X_OK):
        pytest.skip(f"no program at {judge}: scripts/fuzz builds it")
    count = 100_000 if LONG else 3000
    counts, unexplained = differential.compare(judge, differential.mutated(count, seed=1))
    assert not unexplained, "\n\n".join(f"{what}\n{content!r}\n{line}" for what, content, line in unexplained[:5])
    # The comparison is worth something only if all kinds of file are there.
    assert counts["accepted by both"] > 300 and counts["refused by both"] > 300, counts
    assert len(counts) >= 6 and counts.total() == count, counts


def test_same_verdict_on_mutations(frog, tmp_path):
    differing = []
    for name, content in badfiles.mutations(3000 if LONG else 150):
        path = tmp_path / "file.safetensors"
        path.write_bytes(content)
        wanted = wanted_verdict(reference_accepts(path), content)
        result = frog("inspect", path)
        if result.status != (0 if wanted else 65) or len(result.error_lines) != (0 if wanted else 1):
            differing.append(f"{name}: wanted {'accept' if wanted else 'refuse'}: {content!r}\n{result}")
    assert not differing, "\n\n".join(differing[:10])


def test_corpus(frog):
    corpus = os.environ.get("FROG_MPI_CORPUS")
    if not corpus:
        pytest.skip("FROG_MPI_CORPUS names no folder with files and verdicts.json")
    corpus = Path(corpus)
    differing = []
    for case in json.loads((corpus / "verdicts.json").read_text()):
        path = corpus / case["file"]
        wanted = wanted_verdict(case["reference_accepts"], path.read_bytes())
        result = frog("inspect", path)
        if result.status != (0 if wanted else 65):
            differing.append(f"{case['file']} ({case['note']}): wanted {'accept' if wanted else 'refuse'}\n{result}")
    assert not differing, "\n\n".join(differing)


EMPTY_SHAPES = (
    [2**62, 0], [0, 2**62], [0, 0], [2**62, 0, 5], [0, 2**62, 2**62], [5, 0, 2**62], [0, 2**62 - 1, 2**62], [0, 2**62, 2**62, 2],
    [2**62, 0, 3, 3], [0] + [2**62] * 60,
)  # fmt: skip


@pytest.mark.parametrize("shape", EMPTY_SHAPES, ids=lambda shape: "x".join(f"{d:.2g}" for d in shape[:4]))
def test_dimensions_beside_a_zero_are_not_multiplied(frog, tmp_path, shape):
    """Sound headers, whatever the class of the tensor: partial products and sums of the dimensions pass 2⁶³."""
    options = ("--conv",) if "--conv" in frog("mask", "--help").stdout else ()
    tensors = (("w.weight", "F32"), ("w.weight", "F8_E4M3"), ("mlp.experts.gate_up_proj", "BF16"), ("self_attn.qkv_proj.weight", "F32"))
    for number, (name, dtype) in enumerate(tensors):
        path = tmp_path / f"{number}.safetensors"
        path.write_bytes(badfiles.layout(("ok.weight", "F32", [2, 2], 0, 16), (name, dtype, shape, 16, 16)))
        assert reference_accepts(path)
        assert frog("inspect", path).status == 0
        result = frog("mask", path, "--out", tmp_path / path.stem, *options)
        if result.status != 0:
            assert_refused(result, 65)


def test_the_table_of_verdicts_is_current(frog):
    """docs/reference/verdicts.md; with the corpus if there is one."""
    environment = os.environ | {"FROG_MPI": str(frog.binary)}
    run = subprocess.run([sys.executable, ROOT / "scripts/verdicts", "--check"], capture_output=True, text=True, env=environment)
    assert run.returncode == 0, run.stderr


def test_masking_a_bad_file_on_three_ranks(frog, tmp_path):
    """The same verdicts on the way that matters: one line from one rank, no rank left waiting."""
    for name, content in badfiles.files():
        if name in ("empty", "header_beyond_file", "name_ff", "shape_too_many", "hole", "overflow_bits_wrap", "claims_terabytes"):
            path = tmp_path / f"{name}.safetensors"
            path.write_bytes(content)
            assert_refused(frog("mask", path, "--out", tmp_path / "out", ranks=3), 65, path.name)
