"""What goes wrong on three ranks: one clear line from one rank, the documented status, no deadlock, nothing half-written."""

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pytest

import checkpoints
from harness import assert_refused, final_files

RANKS = 3


@pytest.fixture
def work(checkpoint, tmp_path):
    """A private copy of the sharded checkpoint, to be damaged."""
    return Path(shutil.copytree(checkpoint("bf16_sharded"), tmp_path / "in"))


def shards(folder):
    return sorted(folder.glob("model-*.safetensors"))


def change_index(folder, change):
    path = folder / "model.safetensors.index.json"
    index = json.loads(path.read_text())
    change(index["weight_map"])
    path.write_text(json.dumps(index))


def refused(frog, folder, status, *words, out=None, options=()):
    out = folder.parent / "out" if out is None else out
    before = final_files(out)
    result = frog("mask", folder, "--out", out, "--threads", 1, *options, ranks=RANKS)
    assert_refused(result, status, *words)
    assert final_files(out) == before, str(result)
    return result


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf], ids=["nan", "inf", "minus_inf"])
@pytest.mark.parametrize("dtype", ["F64", "F32", "F16", "BF16"])
def test_a_weight_that_is_not_finite(frog, tmp_path, dtype, value):
    generator = np.random.default_rng(9)
    bad = checkpoints.trained(generator, 90, 70)
    bad[57, 31] = value
    tensors = {
        "a.weight": checkpoints.encode(checkpoints.trained(generator, 64, 64), dtype),
        "b.weight": checkpoints.encode(bad, dtype),
        "c.weight": checkpoints.encode(checkpoints.trained(generator, 64, 64), dtype),
    }
    folder = checkpoints.write_checkpoint(tmp_path / "in", tensors, shard_size=20_000)
    refused(frog, folder, 65, "b.weight", 57, 31)


def test_the_first_of_several_bad_weights_is_named(frog, tmp_path):
    """First by tensor, then by position; on any number of ranks."""
    generator = np.random.default_rng(10)
    tensors = {}
    for name in "abcdef":
        matrix = checkpoints.trained(generator, 80, 60)
        if name in "bdf":
            matrix[41, 17] = matrix[63, 5] = np.nan
        tensors[f"{name}.weight"] = checkpoints.encode(matrix, "F32")
    folder = checkpoints.write_checkpoint(tmp_path / "in", tensors, shard_size=20_000)
    for ranks in (1, 2, 5):
        result = frog("mask", folder, "--out", tmp_path / "out", ranks=ranks)
        assert_refused(result, 65, "b.weight", 41, 17)


def test_not_finite_where_it_does_not_matter(frog, tmp_path):
    generator = np.random.default_rng(11)
    tensors = {
        "a.weight": checkpoints.encode(checkpoints.trained(generator, 64, 64), "F32"),
        "a.bias": checkpoints.encode(np.full(64, np.nan), "F32"),
        "wte.weight": checkpoints.encode(np.full((64, 64), np.inf), "F32"),
    }
    folder = checkpoints.write_checkpoint(tmp_path / "in", tensors)
    frog.mask(folder, tmp_path / "out", ranks=RANKS)


def test_a_missing_shard(frog, work):
    shards(work)[2].unlink()
    refused(frog, work, 66, shards(work)[1].name.replace("00002", "00003"))


def test_a_truncated_shard(frog, work):
    path = shards(work)[1]
    os.truncate(path, path.stat().st_size - 1)
    refused(frog, work, 65, path.name)


def test_a_mapped_tensor_that_its_shard_does_not_hold(frog, work):
    change_index(work, lambda m: m.update({"model.layers.9.absent.weight": shards(work)[0].name}))
    refused(frog, work, 65, "model.layers.9.absent.weight")


def test_a_tensor_that_is_not_mapped_is_a_warning(frog, work, tmp_path):
    name = "model.layers.0.self_attn.o_proj.weight"
    change_index(work, lambda m: m.pop(name))
    result = frog("mask", work, "--out", tmp_path / "out", ranks=RANKS)
    assert result.status == 0, str(result)
    assert name in result.stderr + result.stdout
    assert not result.error_lines


def test_a_tensor_in_two_shards(frog, work):
    name = "model.layers.0.mlp.down_proj.weight"
    matrix = checkpoints.encode(np.ones((4, 4)), "F32")
    (work / "model-extra.safetensors").write_bytes(checkpoints.safetensors_bytes({name: matrix, "x.weight": matrix}))
    change_index(work, lambda m: m.update({"x.weight": "model-extra.safetensors"}))
    refused(frog, work, 65, name)


def test_a_tensor_in_two_files_without_an_index(frog, tmp_path):
    matrix = checkpoints.encode(np.random.default_rng(0).standard_normal((8, 8)), "F32")
    (tmp_path / "in").mkdir()
    for file in ("one", "two"):
        (tmp_path / f"in/{file}.safetensors").write_bytes(checkpoints.safetensors_bytes({"same.weight": matrix}))
    refused(frog, tmp_path / "in", 65, "same.weight")


@pytest.mark.parametrize("name", ["../outside.safetensors", "/etc/passwd", "sub/model.safetensors", "..", "", "a\0b", ".", "..\\x/y"])
def test_an_index_that_leaves_its_folder(frog, work, name):
    shutil.copy(shards(work)[0], work.parent / "outside.safetensors")
    change_index(work, lambda m: m.update({"x.weight": name}))
    refused(frog, work, 65, "model.safetensors.index.json")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"weight_map":[]}',
        '{"weight_map":{"a":1}}',
        '{"weight_map":{"a":"x","a":"x"}}',
        "\ufeff{}",
        '{"weight_map":{}}',
    ],
)
def test_an_index_that_is_none(frog, work, text):
    (work / "model.safetensors.index.json").write_text(text)
    refused(frog, work, 65)


def test_symbolic_links_are_followed(frog, work, tmp_path):
    """As the Hugging Face cache lays out its snapshots."""
    snapshot = tmp_path / "snapshot"
    snapshot.mkdir()
    for file in work.iterdir():
        (snapshot / file.name).symlink_to(file)
    frog.mask(snapshot, tmp_path / "out", ranks=RANKS)


def test_no_matrices(frog, tmp_path):
    tensors = {
        "wte.weight": checkpoints.encode(np.ones((8, 8)), "F32"),
        "a.bias": checkpoints.encode(np.ones(8), "F32"),
        "ids": checkpoints.encode(np.ones((8, 8)), "I64"),
    }
    refused(frog, checkpoints.write_checkpoint(tmp_path / "in", tensors), 65)


def test_everything_excluded(frog, work):
    refused(frog, work, 65, options=("--exclude", "*"))


def test_an_empty_folder_and_one_with_other_formats(frog, tmp_path):
    (tmp_path / "in").mkdir()
    refused(frog, tmp_path / "in", 66, tmp_path / "in")
    (tmp_path / "in/pytorch_model.bin").write_bytes(b"PK")
    refused(frog, tmp_path / "in", 66, "safetensors")


def test_a_checkpoint_that_does_not_exist(frog, tmp_path):
    refused(frog, tmp_path / "nowhere", 66, "nowhere")


@pytest.mark.parametrize("kind", ["dangling_link", "folder", "fifo"])
def test_a_shard_that_is_no_file(frog, work, kind):
    path = shards(work)[1]
    path.unlink()
    if kind == "dangling_link":
        path.symlink_to(work / "gone")
    elif kind == "folder":
        path.mkdir()
    else:
        os.mkfifo(path)
    refused(frog, work, 66, path.name)


def test_a_file_that_may_not_be_read(frog, checkpoint):
    """As another user where the tests run as root, to whom everything is readable."""
    prefix = ()
    if os.geteuid() == 0:
        prefix = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
        probe = subprocess.run([*prefix, frog.binary, "--version"], capture_output=True)
        if shutil.which("setpriv") is None or probe.returncode != 0:
            pytest.skip("no other user can run the program here")
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        work = Path(shutil.copytree(checkpoint("bf16_sharded"), Path(folder) / "in"))
        work.chmod(0o755)
        shards(work)[1].chmod(0)
        result = frog("mask", work, "--out", Path(folder) / "out", prefix=prefix)
        assert_refused(result, 66, shards(work)[1].name)
        assert not final_files(Path(folder) / "out")


def test_an_output_whose_parent_is_a_file(frog, work, tmp_path):
    (tmp_path / "file").write_text("")
    refused(frog, work, 74, out=tmp_path / "file/out")
    refused(frog, work, 74, out=tmp_path / "file")


def test_an_output_that_cannot_be_made(frog, work):
    if not Path("/proc/self").exists():
        pytest.skip("no /proc")
    refused(frog, work, 74, out=Path("/proc/frog-mpi-out"))


def test_a_full_disk(frog, work, tmp_path):
    """From room for nothing to room for everything: fails while scores are spilled, while masks are written, or not at all."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", disk]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("a small file system cannot be mounted here")
    try:
        filler = disk / "filler"
        filler.write_bytes(bytes(4 * 2**20))
        outcomes = []
        for kilobytes in (0, 4, 40, *range(100, 4000, 300)):
            os.truncate(filler, (4096 - kilobytes) * 1024)
            result = frog("mask", work, "--out", disk / "out", "--budget", "5%", "--threads", 1, ranks=RANKS)
            outcomes.append(result.status)
            if result.status == 0:
                break
            assert_refused(result, 74, "space")
            assert not final_files(disk / "out"), str(result)
            shutil.rmtree(disk / "out", ignore_errors=True)
        assert outcomes[-1] == 0 and len(outcomes) > 2, outcomes
        assert frog("verify", disk / "out").status == 0
    finally:
        subprocess.run(["umount", disk], check=True)


def test_an_output_directory_that_holds_something(frog, work, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    refused(frog, work, 64, "--overwrite", out=out)
    assert (out / "notes.txt").read_text() == "mine"
    frog.mask(work, out, "--overwrite", ranks=RANKS)


def test_a_failed_overwrite_leaves_no_mixture(frog, work, tmp_path):
    """Either the former output still verifies, or the directory is visibly incomplete."""
    out = tmp_path / "out"
    frog.mask(work, out, ranks=RANKS)
    path = shards(work)[3]
    os.truncate(path, path.stat().st_size - 2)
    assert_refused(frog("mask", work, "--out", out, "--overwrite", ranks=RANKS), 65)
    if (out / "frog.json").exists():
        assert frog("verify", out).status == 0
