"""`verify` notices every change to what was written."""

import json
import os
import shutil
from pathlib import Path

import pytest

import checkpoints
from harness import LONG, assert_refused


@pytest.fixture(scope="module")
def written(frog, checkpoint, tmp_path_factory):
    """Indices and bit maps in several shards."""
    out = tmp_path_factory.mktemp("written") / "out"
    frog.mask(checkpoint("mixed"), out, "--budget", "4%")
    return out


@pytest.fixture
def out(written, tmp_path):
    return Path(shutil.copytree(written, tmp_path / "out"))


def files(out):
    return sorted(p for p in out.iterdir() if p.name != "run.json")


def test_accepts_what_was_written(frog, checkpoint, out):
    assert frog("verify", out).status == 0
    result = frog("verify", out, "--checkpoint", checkpoint("mixed"))
    assert result.status == 0, str(result)


def test_run_json_is_not_part_of_it(frog, out):
    run = json.loads((out / "run.json").read_text())
    (out / "run.json").write_text(json.dumps(run | {"note": "edited"}))
    assert frog("verify", out).status == 0


def test_one_changed_byte(frog, out):
    missed = []
    for path in files(out):
        content = path.read_bytes()
        steps = 64 if LONG else 6
        for at in sorted({0, 8, len(content) - 1, *(len(content) * i // steps for i in range(steps))}):
            changed = bytearray(content)
            changed[at] ^= 1
            path.write_bytes(changed)
            result = frog("verify", out)
            if result.status != 65 or len(result.error_lines) != 1:
                near = content[max(0, at - 20) : at + 20]
                missed.append(f"{path.name} byte {at} ({near!r}): status {result.status}, {result.stderr!r}")
        path.write_bytes(content)
    assert frog("verify", out).status == 0
    assert not missed, "\n".join(missed)


def test_a_missing_file(frog, out):
    for path in files(out):
        content = path.read_bytes()
        path.unlink()
        result = frog("verify", out)
        assert result.status in (65, 66) and len(result.error_lines) == 1, str(result)
        assert path.name in result.error_lines[0], str(result)
        path.write_bytes(content)


def test_a_shorter_or_longer_file(frog, out):
    for path in files(out):
        content = path.read_bytes()
        for changed in (content[:-1], content[: len(content) // 2], b"", content + b"\0"):
            path.write_bytes(changed)
            assert_refused(frog("verify", out), 65, path.name)
        path.write_bytes(content)


def test_an_index_without_one_tensor(frog, out):
    path = out / "masks.safetensors.index.json"
    index = json.loads(path.read_text())
    index["weight_map"].popitem()
    path.write_text(json.dumps(index))
    assert_refused(frog("verify", out), 65, path.name)


def test_a_changed_weight_in_the_checkpoint(frog, checkpoint, out, tmp_path):
    """One bit of one weight, whose matrix keeps all its other weights."""
    copy = Path(shutil.copytree(checkpoint("mixed"), tmp_path / "copy"))
    result = frog("verify", out, "--checkpoint", copy)
    assert result.status == 0, str(result)
    shard = sorted(copy.glob("*.safetensors"))[0]
    content = bytearray(shard.read_bytes())
    start = 8 + int.from_bytes(content[:8], "little")
    content[start + 256] ^= 1
    shard.write_bytes(content)
    assert_refused(frog("verify", out, "--checkpoint", copy), 65)


def test_another_checkpoint(frog, checkpoint, out):
    assert_refused(frog("verify", out, "--checkpoint", checkpoint("twins")), 65)


def test_a_moved_checkpoint_is_the_same(frog, checkpoint, out, tmp_path):
    moved = Path(shutil.copytree(checkpoint("mixed"), tmp_path / "elsewhere"))
    assert frog("verify", out, "--checkpoint", moved).status == 0


def test_nothing_to_verify(frog, tmp_path):
    result = frog("verify", tmp_path / "nowhere")
    assert result.status == 66 and len(result.error_lines) == 1, str(result)
    (tmp_path / "empty").mkdir()
    result = frog("verify", tmp_path / "empty")
    assert result.status in (65, 66) and len(result.error_lines) == 1, str(result)
    folder = checkpoints.write_checkpoint(tmp_path / "checkpoint", {"a": checkpoints.encode([[1.0, 2], [3, 4]], "F32")})
    assert frog("verify", folder).status in (65, 66)


def test_leftovers_beside_the_output_are_no_error(frog, out):
    (out / "README.md").write_text("notes")
    os.mkdir(out / "sub")
    assert frog("verify", out).status == 0


@pytest.mark.parametrize("name", ["masks.safetensors.index.json", "frog.json"])
def test_ranks_agree_on_what_one_of_them_has_found(frog, checkpoint, out, name):
    """Only rank 0 reads the small files. A fault in them must keep all ranks from going on to the checkpoint."""
    path = out / name
    path.write_text(path.read_text().replace("h.0.odd_bf16", "h.0.odd_bf61", 1))
    result = frog("verify", out, "--checkpoint", checkpoint("mixed"), ranks=3)
    assert_refused(result, 65, name)
