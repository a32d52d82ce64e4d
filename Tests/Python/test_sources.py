"""Files that change while ranks read them: exit 74 and one line that names the file, or the masks of the run left alone.

`cp` over a checkpoint, a download that starts again, a quota that cuts a file short: the run must neither die of SIGBUS nor
leave wrong masks.
"""

import functools
import json
import os
import random
import shutil
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

import checkpoints
from harness import LONG, assert_refused, at_stage, final_files

RANKS = 3
FILE = "model.safetensors"
# 2 GiB of zeros that take no space: long enough to read for the norms pass to be met in the middle.
LARGE = (1024, 1 << 20)


@pytest.fixture(scope="module")
def dense(tmp_path_factory):
    """Seven matrices that take a second or two to score."""
    generator = np.random.default_rng(30)
    tensors = {f"h.{i}.weight": checkpoints.encode(checkpoints.trained(generator, 1024, 1024), "F32") for i in range(7)}
    return checkpoints.write_checkpoint(tmp_path_factory.mktemp("dense"), tensors)


@pytest.fixture(scope="module")
def sparse(tmp_path_factory):
    """One large matrix of zeros but for its last row."""
    folder = tmp_path_factory.mktemp("sparse")
    rows, columns = LARGE
    size = 2 * rows * columns
    header = json.dumps({"h.weight": {"dtype": "BF16", "shape": LARGE, "data_offsets": [0, size]}}).encode()
    header += b" " * (-len(header) % 8)
    with open(folder / FILE, "wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.seek(size - 2 * columns, os.SEEK_CUR)
        file.write(checkpoints.encode(np.random.default_rng(31).standard_normal(columns), "BF16")[2])
    return folder


def private_copy(source, folder):
    """A copy to be damaged, holes and all."""
    folder.mkdir(parents=True)
    subprocess.run(["cp", "--sparse=always", source / FILE, folder / FILE], check=True)
    return folder / FILE


def files(out):
    return {path.name: path.read_bytes() for path in sorted(Path(out).iterdir()) if path.name != "run.json"}


def start(frog, arguments, stage, delay, act):
    """Runs `mask`, calls `act` `delay` seconds after `stage` has begun, and waits for the end."""

    def wait_and_act(process):
        time.sleep(delay)
        act()

    return at_stage(frog, stage, wait_and_act, *arguments, ranks=RANKS)


def cut(path):
    os.truncate(path, path.stat().st_size // 3)


def grow(path):
    with open(path, "ab") as file:
        file.write(b"more")


def copy_over(path):
    """What `cp` does: the same size, other bytes, and for a moment nothing."""
    size = path.stat().st_size
    with open(path, "rb") as file:
        head = file.read(1 << 12)
    with open(path, "wb") as file:
        file.write(head)
        if size < 1 << 28:
            file.write(np.random.default_rng(0).standard_normal((size - len(head)) // 4).astype("<f4").tobytes())
        file.truncate(size)


def write_into(path):
    """The same size at every moment, other bytes: a few weights near the end."""
    with open(path, "r+b") as file:
        file.seek(-4096, os.SEEK_END)
        file.write(np.full(1024, 0.5, "<f4").tobytes())


def replace(path):
    """A new file of the same name and size; those who have the old one open keep it."""
    whole = path.read_bytes()
    path.unlink()
    changed = np.frombuffer(whole, "<f4").copy()
    changed[-1024:] = 0.5
    path.write_bytes(changed.tobytes())


def moments(count, first, last):
    """`count` delays in seconds, from one end to the other; with FROG_MPI_LONG ten times as many, at random."""
    if not LONG:
        return [first + (last - first) * i / max(1, count - 1) for i in range(count)]
    generator = random.Random(int(time.time()))
    return [generator.uniform(first, last) for _ in range(10 * count)]


def hold(result, path, out, undisturbed):
    """Either an error with all its manners, or the result of a run left alone."""
    if result.status == 0:
        assert files(out) == undisturbed, f"wrong masks\n{result}"
    else:
        assert_refused(result, 74, path)
        assert final_files(out) == [], str(result)
    return result.status


def sweep(frog, folder, source, io, act, stage, delays, options, undisturbed):
    """The statuses of runs that are disturbed at each of `delays`."""
    statuses = []
    for number, delay in enumerate(delays):
        path = private_copy(source, folder / f"in{number}")
        out = folder / f"out{number}"
        arguments = [path.parent, "--out", out, "--threads", 1, "--io", io, *options]
        result = start(frog, arguments, stage, delay, functools.partial(act, path))
        statuses.append(hold(result, path, out, undisturbed))
        shutil.rmtree(path.parent)
        shutil.rmtree(out, ignore_errors=True)
    return statuses


@pytest.fixture(scope="module")
def dense_masks(frog, dense, tmp_path_factory):
    out = tmp_path_factory.mktemp("dense-out")
    frog.mask(dense, out, ranks=RANKS)
    return files(out)


@pytest.fixture(scope="module")
def sparse_masks(frog, sparse, tmp_path_factory):
    out = tmp_path_factory.mktemp("sparse-out")
    frog.mask(sparse, out, "--score", "magnitude", "--keep", 1000, ranks=RANKS, timeout=120)
    return files(out)


@pytest.mark.parametrize("act", [cut, grow, copy_over, write_into], ids=lambda act: act.__name__)
@pytest.mark.parametrize("io", ["mmap", "pread"])
def test_a_file_that_changes_while_scores_are_made(frog, dense, dense_masks, tmp_path, io, act):
    statuses = sweep(frog, tmp_path, dense, io, act, "scores", moments(3, 0, 0.6), [], dense_masks)
    assert statuses[0] == 74


@pytest.mark.parametrize("act", [cut, grow, copy_over, write_into], ids=lambda act: act.__name__)
@pytest.mark.parametrize("io", ["mmap", "pread"])
def test_a_file_that_changes_while_norms_are_measured(frog, sparse, sparse_masks, tmp_path, io, act):
    options = ["--score", "magnitude", "--keep", 1000]
    statuses = sweep(frog, tmp_path, sparse, io, act, "norms", moments(2, 0, 0.1), options, sparse_masks)
    assert 74 in statuses


@pytest.mark.parametrize("io", ["mmap", "pread"])
def test_a_file_that_is_cut_at_any_other_moment(frog, dense, dense_masks, tmp_path, io):
    """From the start of the catalog, when rank 0 is about to read the headers: then the file may also be refused as broken."""
    for number, delay in enumerate(moments(4, 0, 0.1)):
        path = private_copy(dense, tmp_path / f"in{number}")
        out = tmp_path / f"out{number}"
        arguments = [path.parent, "--out", out, "--threads", 1, "--io", io]
        result = start(frog, arguments, "catalog", delay, functools.partial(cut, path))
        if result.status == 65:
            assert_refused(result, 65, path)
        else:
            hold(result, path, out, dense_masks)


@pytest.mark.parametrize("io", ["mmap", "pread"])
def test_a_file_that_is_replaced(frog, dense, dense_masks, tmp_path, io):
    """Ranks that have the old file open end with the old masks; mixtures are found out by the norms."""
    for number, delay in enumerate(moments(2, 0, 0.3)):
        path = private_copy(dense, tmp_path / f"in{number}")
        out = tmp_path / f"out{number}"
        arguments = [path.parent, "--out", out, "--threads", 1, "--io", io]
        result = start(frog, arguments, "norms" if number == 0 else "scores", delay, functools.partial(replace, path))
        if result.status == 70:
            assert_refused(result, 70, "the checkpoint changed during the run")
            assert final_files(out) == []
        else:
            hold(result, path, out, dense_masks)


@pytest.mark.parametrize("io", ["auto", "mmap", "pread"])
def test_verify_reads_in_every_way(frog, checkpoint, tmp_path, io):
    frog.mask(checkpoint("mixed"), tmp_path / "out", "--io", io)
    result = frog("verify", tmp_path / "out", "--checkpoint", checkpoint("mixed"), "--io", io)
    assert result.status == 0, str(result)


def test_a_way_of_reading_that_does_not_exist(frog, checkpoint, tmp_path):
    assert_refused(frog("mask", checkpoint("mixed"), "--out", tmp_path / "out", "--io", "telepathy"), 64, "telepathy")
