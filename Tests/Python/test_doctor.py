"""`frog-mpi doctor`: each problem is produced and named, a healthy place is one line, and runs say the same words."""

import json
import os
import shutil
import signal
import subprocess
import sys

import pytest

from groups import memory_group
from harness import Result

YIELD = ("--oversubscribe", "--mca", "mpi_yield_when_idle", "1")


@pytest.fixture
def doctor(frog):
    """Runs `frog-mpi doctor ARGUMENTS`, under mpirun if `ranks` is given, all of it inside `wrapper`."""

    def run(*arguments, ranks=None, options=YIELD, wrapper=(), command="doctor", environment=()):
        line = [frog.binary, command, *arguments]
        if ranks:
            line = ["mpirun", "-n", ranks, *options, *line]
        line = [str(part) for part in (*wrapper, *line)]
        variables = os.environ | {"SWIFT_BACKTRACE": "enable=no", "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
        done = subprocess.run(line, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, env=variables | dict(environment))
        return Result(line, done.returncode, done.stdout, done.stderr)

    return run


def assert_named(result, status, severity, topic, *words):
    """There is a line of this topic that has the words; a problem is one line on standard error too."""
    assert result.status == status, str(result)
    lines = [line for line in result.stdout.splitlines() if line.startswith(severity) and f"  {topic}  " in line]
    assert len(lines) == 1, str(result)
    for word in words:
        assert word in lines[0], f"'{word}' is missing\n{result}"
    assert len(result.error_lines) == (1 if status else 0), str(result)


def in_mounts(script):
    """A command line whose program sees mounts of its own."""
    if os.geteuid() != 0 or not shutil.which("unshare") or subprocess.run(["unshare", "--mount", "true"]).returncode:
        pytest.skip("only root can mount, and needs unshare")
    return ("unshare", "--mount", "sh", "-c", script + ' && exec "$0" "$@"')


def test_a_healthy_place_is_one_line(doctor, checkpoint, tmp_path):
    out = tmp_path / "new/out"
    result = doctor(checkpoint("bf16_sharded"), "--out", out, "--threads", 1, ranks=2)
    assert result.status == 0 and result.stderr == "", str(result)
    (line,) = result.stdout.splitlines()
    assert line.startswith("healthy: 2 processes on host "), line
    for word in ("1 thread a process", "the plan wants up to", "Open MPI", "PMIx", "OpenBLAS", "kernels", f"{out} (", "seen by all"):
        assert word in line, f"'{word}' is missing: {line}"
    assert list(tmp_path.iterdir()) == []


def test_json_has_every_finding(doctor):
    found = json.loads(doctor("--json", "--threads", 1).stdout)
    assert found["healthy"] is True and found["exit_status"] == 0
    topics = [finding["topic"] for finding in found["findings"]]
    assert topics == ["launch", "answers", "cores", "memory", "shared memory", "temporary files", "libraries"]
    assert all(finding["severity"] == "fine" and finding["remedy"] is None for finding in found["findings"])


@pytest.mark.parametrize("command", ["doctor", "mask"])
def test_ranks_on_one_core(doctor, checkpoint, tmp_path, command):
    if os.cpu_count() < 2:
        pytest.skip("one core is all there is")
    options = ("--oversubscribe", "--cpu-set", "0", "--bind-to", "core")
    arguments = () if command == "doctor" else (checkpoint("bf16_sharded"), "--out", tmp_path / "out")
    result = doctor(*arguments, ranks=2, options=options, command=command)
    words = ("2 processes on host", "may run on core 0 alone", "--bind-to none")
    if command == "doctor":
        assert_named(result, 64, "problem", "cores", *words)
    else:
        (line,) = [line for line in result.stderr.splitlines() if "warning:" in line and "core 0" in line]
        assert result.status == 0 and all(word in line for word in words), str(result)


def test_more_threads_than_cores(doctor):
    result = doctor("--threads", os.cpu_count() + 1, ranks=1, options=("--bind-to", "none"))
    assert_named(result, 0, "warning", "cores", f"{os.cpu_count() + 1} threads of 1 process", "mpi_yield_when_idle")


@pytest.mark.parametrize("command", ["doctor", "mask"])
def test_little_shared_memory(doctor, checkpoint, tmp_path, command):
    arguments = () if command == "doctor" else (checkpoint("bf16_sharded"), "--out", tmp_path / "out")
    # Open MPI itself finds that there is no room for its segments, and does without shared memory.
    result = doctor(*arguments, "--threads", 1, ranks=2, wrapper=in_mounts("mount -t tmpfs -o size=1m tmpfs /dev/shm"), command=command)
    words = ("/dev/shm of host", "1.0 MB free of 1.0 MB", "--shm-size")
    if command == "doctor":
        assert_named(result, 64, "problem", "shared memory", *words)
    else:
        (line,) = [line for line in result.stderr.splitlines() if "warning:" in line and "/dev/shm" in line]
        assert result.status == 0 and all(word in line for word in words), str(result)


@pytest.mark.parametrize("command", ["doctor", "mask"])
def test_temporary_files_cannot_be_written(doctor, checkpoint, tmp_path, command):
    """Alone, MPI would end the process with words of its own."""
    arguments = () if command == "doctor" else (checkpoint("bf16_sharded"), "--out", tmp_path / "out")
    result = doctor(*arguments, command=command, environment={"TMPDIR": "/dev/null/folder"})
    assert result.status == 74 and result.stdout == "", str(result)
    (line,) = result.stderr.splitlines()
    for word in ("/dev/null/folder", "Not a directory", "set TMPDIR"):
        assert word in line, str(result)


def test_temporary_files_cannot_be_written_under_mpirun(doctor):
    """MPI has the folder of mpirun then."""
    result = doctor(ranks=2, options=(*YIELD, "-x", "TMPDIR=/dev/null/folder"))
    assert_named(result, 0, "warning", "temporary files", "/dev/null/folder", "set TMPDIR")


def test_a_read_only_folder_for_temporary_files(doctor, tmp_path):
    result = doctor(wrapper=in_mounts(f"mount -t tmpfs -o ro tmpfs {tmp_path}"), environment={"TMPDIR": str(tmp_path)})
    assert result.status == 74 and "Read-only file system" in result.stderr, str(result)


def test_an_output_folder_that_is_nearly_full(doctor, tmp_path):
    wrapper = in_mounts(f"mount -t tmpfs -o size=9m tmpfs {tmp_path}")
    result = doctor("--out", tmp_path / "out", "--threads", 1, ranks=2, wrapper=wrapper)
    assert_named(result, 74, "problem", "output", f"{tmp_path}/out (tmpfs) has 9.4 MB free", "choose another --out")


def test_an_output_folder_that_cannot_be_written(doctor):
    result = doctor("--out", "/dev/null/out", ranks=2)
    assert_named(result, 74, "problem", "output", "cannot write to /dev/null/out (Not a directory)")


def test_a_checkpoint_that_is_missing(doctor, tmp_path):
    assert_named(doctor(tmp_path / "none", ranks=2), 66, "problem", "checkpoint", str(tmp_path / "none"))


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A checkpoint whose matrix needs several hundred megabytes. It has a header alone, since nothing else is read."""
    folder = tmp_path_factory.mktemp("large")
    header = json.dumps({"h.0.weight": {"dtype": "F32", "shape": [3000, 6000], "data_offsets": [0, 72_000_000]}}).encode()
    with open(folder / "model.safetensors", "wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + 72_000_000)
    return folder / "model.safetensors"


@pytest.mark.parametrize("command", ["doctor", "mask"])
def test_a_control_group_with_less_than_the_plan_wants(doctor, large, tmp_path, command):
    arguments = (large, "--memory", "2GB", "--threads", 1) + (("--out", tmp_path / "out") if command == "mask" else ())
    with memory_group(256 << 20) as group:
        result = doctor(*arguments, wrapper=group.prefix, command=command)
    words = ("the plan wants up to", f"control group {group.name} allows 268.4 MB", "--mem")
    if command == "doctor":
        assert_named(result, 64, "problem", "memory", *words)
    else:
        (line,) = [line for line in result.stderr.splitlines() if "warning:" in line and "control group" in line]
        assert all(word in line for word in words), str(result)


def test_a_control_group_in_which_the_plan_is_refused(doctor, large):
    """Without --memory the plan keeps within the limit, and nothing fits."""
    with memory_group(256 << 20) as group:
        result = doctor(large, "--threads", 1, wrapper=group.prefix)
    assert_named(result, 64, "problem", "memory", "h.0.weight", "--memory")


def test_tasks_that_do_not_find_each_other(doctor, checkpoint, tmp_path):
    """What each task of a plain srun sees. One of them speaks."""
    step = {"SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "4"}
    for command, arguments in (("doctor", ()), ("mask", (checkpoint("bf16_sharded"), "--out", tmp_path / "out"))):
        first = doctor(*arguments, command=command, environment=step | {"SLURM_PROCID": "0"})
        assert first.status == 64 and first.stdout == "", str(first)
        (line,) = first.stderr.splitlines()
        assert "4 separate processes, not one run of 4" in line and "--mpi=pmix" in line
        other = doctor(*arguments, command=command, environment=step | {"SLURM_PROCID": "3"})
        assert (other.status, other.stdout, other.stderr) == (64, "", "")
    assert not (tmp_path / "out").exists()


def test_processes_of_another_mpi(doctor):
    """MPI starts, and sees one rank in each of them."""
    result = doctor("--threads", 1, environment={"PMI_SIZE": "2", "PMI_RANK": "0"})
    assert_named(result, 64, "problem", "launch", "2 separate processes, not one run of 2", "mpirun")
    other = doctor("--threads", 1, environment={"PMI_SIZE": "2", "PMI_RANK": "1"})
    assert (other.status, other.stdout, other.stderr) == (64, "", "")


def test_a_process_that_does_not_answer(doctor):
    """Rank 1 is stopped before it comes to the others."""
    script = 'if [ $OMPI_COMM_WORLD_RANK = 1 ]; then kill -STOP $$; fi; exec "$0" "$@"'
    result = doctor("--timeout", "2s", ranks=2, options=(*YIELD, "sh", "-c", script))
    assert result.status == 70, str(result)
    assert len(result.error_lines) == 1 and "rank 0 on host" in result.error_lines[0], str(result)
    assert "has waited 2 s for MPI_Init" in result.error_lines[0], str(result)


@pytest.mark.parametrize("limit", ["-v 150000", "-s 512"])
def test_limits_of_the_process(doctor, limit):
    """They are found before a timer, which would wait for a thread that is not to be had."""
    wrapper = ("sh", "-c", f'ulimit -S {limit}; OPENBLAS_NUM_THREADS=1 exec "$0" "$@"')
    result = doctor("--threads", 1, wrapper=wrapper)
    assert result.status == 64 and len(result.error_lines) == 1 and f"ulimit {limit[:2]}" in result.stderr, str(result)


def test_options_need_a_checkpoint(doctor):
    for arguments, word in ((("--for", "analyze"), "--for needs a checkpoint"), (("--timeout", "soon"), "--timeout")):
        result = doctor(*arguments)
        assert result.status == 64 and len(result.error_lines) == 1 and word in result.stderr, str(result)


def test_a_run_that_the_memory_limit_has_ended(frog, checkpoint, tmp_path):
    """The kernel kills the process of the group that is most willing, for a neighbour who takes too much."""
    line = [str(part) for part in (frog.binary, "mask", checkpoint("bf16_sharded"), "--out", tmp_path / "out", "--threads", "1")]
    with memory_group(500 << 20) as group:
        with subprocess.Popen([*group.prefix, *line], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as run:
            assert any(text == "frog-mpi: scores\n" for text in run.stderr)
            run.send_signal(signal.SIGSTOP)
            with open(f"/proc/{run.pid}/oom_score_adj", "w") as file:
                file.write("1000")
            # The neighbour takes more and more until the run is gone, and is not to be killed itself.
            hog = """if True:
                import os, sys
                open("/proc/self/oom_score_adj", "w").write("-900")
                kept = []
                while not open(f"/proc/{sys.argv[1]}/stat").read().rsplit(")", 1)[1].split()[0] in "ZX":
                    kept.append(bytearray(os.urandom(1) * (4 << 20)))
                """
            subprocess.run([*group.prefix, sys.executable, "-c", hog, str(run.pid)], timeout=30)
            assert run.wait(10) == -signal.SIGKILL
        first = frog(*line[1:], "--resume")
        assert first.status == 0, str(first)
    (told,) = [text for text in first.stderr.splitlines() if "warning:" in text and "control group" in text]
    for word in (f"memory limit of 524.3 MB of control group {group.name}", "probably of this run", "the plan wanted up to", "--memory"):
        assert word in told, told
