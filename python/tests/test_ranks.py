"""Training on two ranks gives what one process with all batches gives. The checks themselves are in ranks.py."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch.distributed as dist

HERE = Path(__file__).parent
CHECKS = {
    "data parallel": ["plain", "no_sync", "ddp", "trainer"],
    "FSDP2": ["fsdp", "fsdp_decay", "hsdp", "fsdp_update", "scaler", "start", "noise", "empty_shards"],
}


def two_ranks(names, folder):
    """Runs checks of ranks.py on two ranks, which meet in a folder; all have to pass."""
    path = os.pathsep.join([str(HERE.parent / "src"), str(HERE), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    commands = [[sys.executable, str(HERE / "ranks.py"), str(rank), "2", str(folder), *names] for rank in range(2)]
    ranks = [subprocess.Popen(one, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment) for one in commands]
    try:
        said = [rank.communicate(timeout=240)[0] for rank in ranks]
    finally:
        for rank in ranks:
            rank.kill()
    for rank, text in zip(ranks, said):
        assert rank.returncode == 0, text
        assert [line for line in text.splitlines() if line in names] == names, text


@pytest.mark.skipif(not dist.is_available(), reason="this PyTorch has no torch.distributed")
@pytest.mark.parametrize("kind", CHECKS)
def test_two_ranks(kind, tmp_path):
    two_ranks(CHECKS[kind], tmp_path)
