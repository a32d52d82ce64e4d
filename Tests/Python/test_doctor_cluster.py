"""`frog-mpi doctor` and `mask` on several hosts under Slurm: what is wrong between hosts is named."""

import pytest

import cluster as clusters

HOSTS = 3


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    reason = clusters.missing()
    if reason:
        pytest.skip(reason)
    with clusters.Cluster(tmp_path_factory.mktemp("cluster"), HOSTS) as cluster:
        yield cluster


@pytest.fixture
def srun(cluster, frog):
    """Runs the program on every host."""

    def run(*arguments, mpi="pmix", ranks=HOSTS):
        return cluster.srun("-N", HOSTS, "-n", ranks, f"--mpi={mpi}", frog.binary, *arguments)

    return run


def errors(done):
    return [line for line in done.stderr.splitlines() if line.startswith("frog-mpi: error:")]


def test_healthy_hosts_are_one_line(srun, cluster):
    done = srun("doctor", "--out", cluster.folder / "out", ranks=2 * HOSTS)
    assert done.returncode == 0 and errors(done) == [], done
    (line,) = done.stdout.splitlines()
    assert line.startswith("healthy: 6 processes on 3 hosts, started by srun; 1 thread a process, on "), line
    assert "seen by all processes" in line


@pytest.mark.parametrize("command", ["doctor", "mask"])
def test_tasks_without_pmix(srun, cluster, checkpoint, command):
    out = cluster.folder / "out-without-pmix"
    done = srun(command, *([] if command == "doctor" else [checkpoint("bf16_sharded"), "--out", out]), mpi="none")
    assert done.returncode == 64, done
    (line,) = errors(done)
    assert "3 separate processes, not one run of 3 (srun started 3 tasks, without PMIx)" in line and "`srun --mpi=pmix`" in line
    assert not out.exists()


@pytest.mark.parametrize("command", ["doctor", "mask"])
def test_an_output_folder_that_one_host_has_for_itself(srun, cluster, checkpoint, command):
    out = cluster.private / command
    done = srun(command, *([] if command == "doctor" else [checkpoint("bf16_sharded")]), "--out", out)
    assert done.returncode == 74, done
    (line,) = errors(done)
    hosts = "hosts node1, node2 do" if command == "doctor" else "host node1 does"
    assert f"{hosts} not see what rank 0 has made in the folder {cluster.private}" in line, done
    assert "a file system that all nodes share" in line
    assert cluster.on(0, "ls", "-A", cluster.private).split() == [], "something was left behind"


def test_a_host_with_little_shared_memory(srun, cluster):
    cluster.on(1, "mount", "-o", "remount,size=1m", "/dev/shm")
    try:
        done = srun("doctor", ranks=2 * HOSTS)
    finally:
        cluster.on(1, "mount", "-o", "remount,size=64m", "/dev/shm")
    (line,) = errors(done)
    assert done.returncode == 64 and "/dev/shm of host node1 has 1.0 MB free" in line, done


def test_a_host_that_the_network_has_lost(srun, cluster):
    with cluster.unplugged(2):
        done = srun("doctor", "--timeout", "2s")
    assert done.returncode == 70, done
    assert "rank 2 does not answer rank 0 on host node0 within 2 s" in done.stdout, done
    assert any("rank 0 does not answer rank 2 on host node2" in line for line in errors(done)), done
