"""Several hosts on one machine, with a Slurm over them, for what only shows between hosts.

A host is a process with a host name, a network and a `/dev/shm` of its own; everything else it shares with the machine.
All hosts hang on two switches: `control`, over which Slurm talks, and `data`, over which MPI does, so that MPI alone can lose a host.
The switches stand in the namespace of the first host. Everything is gone when the processes have ended.

Needs root, unshare, ip, and Debian's slurmctld, slurmd, slurm-client and munge, which scripts/setup --checks installs.
"""

import contextlib
import os
import secrets
import shutil
import subprocess
import time
from pathlib import Path

TOOLS = ("unshare", "nsenter", "ip", "munged", "slurmctld", "slurmd", "srun", "sinfo")
CPUS = 2


def missing():
    """Why there can be no cluster here, in words; empty if there can be one."""
    if os.geteuid() != 0:
        return "only root can make hosts on this machine"
    absent = [tool for tool in TOOLS if shutil.which(tool, path=search_path()) is None]
    if absent:
        return f"no {', '.join(absent)}: scripts/setup --checks"
    tried = subprocess.run(["unshare", "--net", "--uts", "--mount", "true"], capture_output=True, text=True)
    return f"no namespaces: {tried.stderr.strip()}" if tried.returncode else ""


def search_path():
    return os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin"


class Cluster:
    """`with Cluster(folder, 3) as cluster: cluster.srun("-n", 3, "hostname")`"""

    def __init__(self, folder, count):
        self.folder = Path(folder)
        self.names = [f"node{number}" for number in range(count)]
        self.hosts = []
        self.private = self.folder / "private"
        self.stack = contextlib.ExitStack()

    def __enter__(self):
        try:
            self._start_hosts()
            self._connect()
            self._start_slurm()
        except BaseException:
            self.stack.close()
            raise
        return self

    def __exit__(self, *_):
        self.stack.close()

    # ---- Hosts ----

    def _start_hosts(self):
        self.private.mkdir()
        names = "".join(f"{self._address(number, 'control')} {name}\n" for number, name in enumerate(self.names))
        (self.folder / "hosts").write_text(f"127.0.0.1 localhost\n{names}")
        for name in self.names:
            script = f"""set -e
                hostname {name}
                mount --bind '{self.folder}/hosts' /etc/hosts
                mount -t tmpfs -o size=64m tmpfs /dev/shm
                mount -t tmpfs -o size=64m tmpfs '{self.private}'
                ip link set lo up
                echo ready
                exec sleep infinity"""
            host = self._daemon(["unshare", "--net", "--uts", "--mount", "sh", "-c", script], f"host-{name}", output=subprocess.PIPE)
            self.hosts.append(host)
        for name, host in zip(self.names, self.hosts):
            if host.stdout.readline() != b"ready\n":
                raise RuntimeError(f"{name} does not start: {(self.folder / f'host-{name}.log').read_text()}")

    def _connect(self):
        first = self.hosts[0].pid
        for network in ("control", "data"):
            self.on(0, "ip", "link", "add", network, "type", "bridge")
            self.on(0, "ip", "address", "add", f"{self._address(0, network)}/24", "dev", network)
            self.on(0, "ip", "link", "set", network, "up")
            for number in range(1, len(self.hosts)):
                port = f"{network}{number}"
                self.on(number, "ip", "link", "add", network, "type", "veth", "peer", "name", port, "netns", first)
                self.on(number, "ip", "address", "add", f"{self._address(number, network)}/24", "dev", network)
                self.on(number, "ip", "link", "set", network, "up")
                self.on(0, "ip", "link", "set", port, "master", network, "up")

    @staticmethod
    def _address(number, network):
        return f"10.83.{0 if network == 'control' else 1}.{number + 1}"

    def inside(self, number):
        """The beginning of a command line that runs on a host."""
        return ["nsenter", "--target", str(self.hosts[number].pid), "--net", "--uts", "--mount", f"--wd={self.folder}"]

    def on(self, number, *command):
        """Runs a command on a host, which has to succeed."""
        result = subprocess.run([*self.inside(number), *map(str, command)], capture_output=True, text=True, timeout=30)
        if result.returncode:
            raise RuntimeError(f"{' '.join(map(str, command))}: {result.stderr}")
        return result.stdout

    @contextlib.contextmanager
    def unplugged(self, number):
        """MPI does not reach the host meanwhile, and gets no error either. Slurm does reach it."""
        self.on(0, "ip", "link", "set", f"data{number}", "down")
        try:
            yield
        finally:
            self.on(0, "ip", "link", "set", f"data{number}", "up")

    # ---- Slurm ----

    def _start_slurm(self):
        for name in ("state", *(f"spool-{name}" for name in self.names)):
            (self.folder / name).mkdir()
        # Munge and Slurm want folders that others cannot write to.
        self.folder.chmod(0o755)
        key = self.folder / "munge.key"
        key.write_bytes(secrets.token_bytes(128))
        key.chmod(0o400)
        nodes = "\n".join(
            f"NodeName={name} NodeAddr={self._address(number, 'control')} CPUs={CPUS} RealMemory=100"
            for number, name in enumerate(self.names)
        )
        (self.folder / "slurm.conf").write_text(f"""ClusterName=test
            SlurmctldHost={self.names[0]}({self._address(0, "control")})
            SlurmUser=root
            SlurmdUser=root
            AuthType=auth/munge
            AuthInfo=socket={self.folder}/munge.socket
            CredType=cred/munge
            StateSaveLocation={self.folder}/state
            SlurmdSpoolDir={self.folder}/spool-%n
            TmpFS={self.private}
            SlurmctldPidFile={self.folder}/slurmctld.pid
            SlurmdPidFile={self.folder}/slurmd-%n.pid
            ProctrackType=proctrack/linuxproc
            TaskPlugin=task/none
            JobAcctGatherType=jobacct_gather/none
            SelectType=select/cons_tres
            SelectTypeParameters=CR_Core
            SlurmdParameters=config_overrides
            MpiDefault=none
            ReturnToService=2
            {nodes}
            PartitionName=all Nodes=ALL Default=YES OverSubscribe=FORCE:4
            """)
        if not Path("/sys/fs/cgroup/cgroup.controllers").exists():
            (self.folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")
        munge = ["munged", "--foreground", "--force", f"--socket={self.folder}/munge.socket", f"--key-file={key}"]
        self._daemon([*munge, *(f"--{kind}-file={self.folder}/munge.{kind}" for kind in ("pid", "log", "seed"))], "munged")
        self._await("munged", lambda: (self.folder / "munge.socket").exists())
        self._daemon([*self.inside(0), "slurmctld", "-D", "-c"], "slurmctld")
        for number, name in enumerate(self.names):
            self._daemon([*self.inside(number), "slurmd", "-D", "-N", name], f"slurmd-{name}")
        self._await("slurmctld", lambda: self._idle() == str(len(self.names)))

    def _idle(self):
        command = [*self.inside(0), "sinfo", "--noheader", "--states=idle", "--format=%D"]
        return subprocess.run(command, capture_output=True, text=True, env=self.environment, timeout=30).stdout.strip()

    @property
    def environment(self):
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM_", "OMPI_", "PMI"))}
        network = self._address(0, "data").rsplit(".", 1)[0] + ".0/24"
        return kept | {
            "PATH": search_path(),
            "SLURM_CONF": f"{self.folder}/slurm.conf",
            "OMPI_MCA_btl": "self,vader,tcp",
            "OMPI_MCA_pml": "ob1",
            "OMPI_MCA_btl_tcp_if_include": network,
            "OMPI_MCA_mpi_yield_when_idle": "1",
            "SWIFT_BACKTRACE": "enable=no",
        }

    def srun(self, *arguments, timeout=60):
        """A completed `srun`, started on the first host."""
        command = [*self.inside(0), "srun", *map(str, arguments)]
        with subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=self.environment
        ) as process:
            try:
                out, err = process.communicate(timeout=timeout)
            except subprocess.TimeoutExpired:
                process.kill()
                out, err = process.communicate()
                raise RuntimeError(f"no end after {timeout} s: {' '.join(command)}\n{out}\n{err}") from None
        return subprocess.CompletedProcess(command, process.returncode, out, err)

    # ---- Processes ----

    def _daemon(self, command, name, output=None):
        """Starts a process that ends with the cluster."""
        log = self.stack.enter_context((self.folder / f"{name}.log").open("wb"))
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output or log, stderr=log, env=self.environment, start_new_session=True
        )
        self.stack.callback(self._end, process)
        return process

    @staticmethod
    def _end(process):
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout:
            process.stdout.close()

    def _await(self, name, is_ready, seconds=20):
        end = time.monotonic() + seconds
        while not is_ready():
            if time.monotonic() > end:
                logs = "\n".join(f"{path.name}: {path.read_text()[-1000:]}" for path in sorted(self.folder.glob("*.log")))
                raise RuntimeError(f"{name} is not ready after {seconds} s\n{logs}")
            time.sleep(0.1)
