"""Limits of a process: memory, stack and threads that do not suffice are refused in one line, and nothing hangs or dies without a word."""

import json
import os
import shutil
import signal
import subprocess

import numpy as np
import pytest

import checkpoints
from harness import assert_refused, final_files
from test_solver_faults import interposer  # noqa: F401

# Long enough for a loaded machine, and far from for ever.
SOON = 40


def limited(*limits):
    """A prefix under which the program has these limits, in kilobytes, and BLAS starts no threads of its own accord."""
    return ("sh", "-c", "".join(f"ulimit -S {limit}; " for limit in limits) + 'OPENBLAS_NUM_THREADS=1 exec "$0" "$@"')


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    generator = np.random.default_rng(11)
    tensors = {f"h.{i}.weight": checkpoints.encode(checkpoints.trained(generator, 160, 96), "F32") for i in range(6)}
    return checkpoints.write_checkpoint(tmp_path_factory.mktemp("limits"), tensors, shard_size=100_000)


@pytest.fixture(scope="module")
def reference(frog, source, tmp_path_factory):
    out = tmp_path_factory.mktemp("limits-reference") / "out"
    frog.mask(source, out)
    return results(out)


def results(out):
    return {path.name: path.read_bytes() for path in out.iterdir() if path.is_file() and path.name != "run.json"}


@pytest.mark.parametrize("ranks", [None, 2])
@pytest.mark.parametrize(
    "limit", [f"-v {size}" for size in (150_000, 450_000, 650_000, 700_000, 760_000, 900_000)] + ["-d 200000", "-d 420000", "-s 512"]
)
def test_a_run_ends_well_or_says_what_it_lacks(frog, source, reference, tmp_path, limit, ranks):
    result = frog("mask", source, "--out", tmp_path / "out", "--threads", 1, prefix=limited(limit), ranks=ranks, timeout=SOON)
    if result.status == 0:
        assert results(tmp_path / "out") == reference
    else:
        assert_refused(result, 64, f"ulimit {limit[:2]}")
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("limit", ["-v 150000", "-d 100000", "-s 512"])
def test_what_cannot_work_is_refused(frog, source, tmp_path, limit):
    result = frog("mask", source, "--out", tmp_path / "out", "--threads", 1, prefix=limited(limit), timeout=SOON)
    assert_refused(result, 64, f"ulimit {limit[:2]}")


@pytest.mark.parametrize("threads", [1, 8])
def test_enough_is_enough(frog, source, tmp_path, threads):
    """Also for threads of BLAS, each of which takes a buffer."""
    limits = limited(f"-v {900_000 + 200_000 * threads}", "-s 4096")
    result = frog("mask", source, "--out", tmp_path / "out", "--threads", threads, prefix=limits, timeout=SOON)
    assert result.status == 0, str(result)
    assert json.loads((tmp_path / "out/frog.json").read_text())["parameters"]["threads"] == threads


def test_too_many_threads_for_the_memory_are_refused(frog, source, tmp_path):
    result = frog("analyze", source, "--out", tmp_path / "out", "--threads", 16, prefix=limited("-v 1500000"), timeout=SOON)
    assert_refused(result, 64, "ulimit -v (1500000 kB)", "threads")


@pytest.mark.parametrize("memory", [(), ("--memory", "20GB")])
def test_a_matrix_that_the_limit_leaves_no_room_for(frog, tmp_path, memory):
    """No weight is read, so the file has none."""
    header = json.dumps({"h.0.weight": {"dtype": "F32", "shape": [6000, 6000], "data_offsets": [0, 144_000_000]}}).encode()
    with open(tmp_path / "model.safetensors", "wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + 144_000_000)
    line = ("mask", tmp_path / "model.safetensors", "--out", tmp_path / "out", "--threads", 1, *memory)
    assert_refused(frog(*line, prefix=limited("-v 1100000"), timeout=SOON), 64, "h.0.weight", "ulimit -v")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", ["--version", "inspect", "plan"])
def test_commands_without_mpi_need_little(frog, source, command):
    """OpenBLAS has threads that wait for memory then: the program must not wait for them at its end."""
    prefix = ("sh", "-c", 'ulimit -S -v 200000; exec "$0" "$@"')
    result = frog(command, *([] if command == "--version" else [source]), prefix=prefix, timeout=SOON)
    assert result.status == 0, str(result)


@pytest.mark.parametrize("processes", [1, 2, 8, 12])
def test_too_few_processes_are_refused(frog, source, tmp_path, processes):
    """The limit counts all processes of a user, and not for root: another user, who has none."""
    user = str(50_000 + os.getpid() % 10_000)
    prefix = ["setpriv", "--reuid", user, "--regid", user, "--clear-groups"]
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        pytest.skip("only root can become a user without processes")
    if subprocess.run([*prefix, frog.binary, "--version"], capture_output=True).returncode != 0:
        pytest.skip("the program cannot be run by another user")
    prefix += ["bash", "-c", f'ulimit -S -u {processes}; exec "$0" "$@"']
    result = frog("mask", source, "--out", tmp_path / "out", "--threads", 1, prefix=prefix, timeout=SOON)
    # With 1, OpenBLAS is refused a thread when it is loaded, if the machine has several cores.
    assert_refused(result, 70 if processes == 1 and "OpenBLAS cannot start" in result.stderr else 64, "ulimit -u", "--threads 1")


@pytest.mark.parametrize("ignored", [False, True], ids=["", "SIGINT ignored"])
def test_a_signal_that_openblas_raises_is_no_wish_to_stop(frog, interposer, checkpoint, tmp_path, ignored):  # noqa: F811
    """With status 75 a scheduler would start the same run again for ever."""
    out = tmp_path / "out"
    line = ("mask", checkpoint("bf16_sharded"), "--out", out, "--threads", 1)
    shell = ("sh", "-c", ("trap '' INT; " if ignored else "") + 'exec env "$0" "$@"')
    result = frog(*line, prefix=(*shell, f"LD_PRELOAD={interposer}", "FROG_LAPACK_FAULT=dstedc:raise:3"), timeout=SOON)
    assert_refused(result, 70, "OpenBLAS cannot start its threads", "--threads 1", "ulimit -u")
    assert final_files(out) == [] and "stopping" not in result.stderr
    assert frog(*line, "--resume").status == 0


def test_an_interrupt_before_the_run_ends_the_process(frog, tmp_path):
    """A user's SIGINT is what it always was, also in commands that do not watch for it."""
    checkpoints.write_checkpoint(tmp_path, {f"layers.{i}.weight": ("U8", (1,), b"0") for i in range(5000)})
    with subprocess.Popen(
        [frog.binary, "inspect", tmp_path], preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL), stdout=subprocess.PIPE
    ) as process:
        # It has begun to print more than fits in a pipe, and waits for a reader.
        assert process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(SOON) == -signal.SIGINT
