"""Control groups that a test makes: `with memory_group(300 << 20) as group: run([*group.prefix, program])`."""

import contextlib
import os
import time
from pathlib import Path

import pytest

ROOT = Path("/sys/fs/cgroup")


class MemoryGroup:
    """A group with a memory limit, of whichever version the system has."""

    def __init__(self, folder, version):
        self.folder, self.version = folder, version

    @property
    def name(self):
        """The name as /proc/self/cgroup has it."""
        return "/" + str(self.folder.relative_to(ROOT / "memory" if self.version == 1 else ROOT))

    @property
    def prefix(self):
        """Puts a program into the group, and then becomes it."""
        return ("sh", "-c", f'echo $$ > {self.folder}/cgroup.procs && exec "$0" "$@"')

    def limit(self, size):
        (self.folder / ("memory.limit_in_bytes" if self.version == 1 else "memory.max")).write_text(str(size))


@contextlib.contextmanager
def memory_group(size):
    """A new group with this limit in bytes; the test is skipped where none can be made."""
    group = _made()
    try:
        group.limit(size)
        yield group
    finally:
        for _ in range(100):
            # The kernel lets go of a group shortly after its last process.
            with contextlib.suppress(OSError):
                group.folder.rmdir()
                break
            time.sleep(0.05)


def _made():
    lines = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()]
    name, reasons = f"frog-mpi-test-{os.getpid()}", []
    places = [(1, ROOT / "memory" / path.lstrip("/")) for _, controllers, path in lines if "memory" in controllers.split(",")]
    if places:
        places.append((1, ROOT / "memory"))
    elif (ROOT / "cgroup.controllers").exists():
        places = [(2, ROOT / path.lstrip("/")) for _, controllers, path in lines if not controllers] + [(2, ROOT)]
    for version, parent in places:
        folder = parent / name
        try:
            folder.mkdir()
        except OSError as error:
            reasons.append(str(error))
            continue
        if (folder / ("memory.limit_in_bytes" if version == 1 else "memory.max")).exists():
            return MemoryGroup(folder, version)
        folder.rmdir()
        reasons.append(f"{parent} has no memory controller for groups below it")
    pytest.skip(f"no control group can be made: {'; '.join(reasons) or 'there are none'}")
