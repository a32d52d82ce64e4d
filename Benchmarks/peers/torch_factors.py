#!/usr/bin/env python3
"""Factors as a user would make them with PyTorch on one machine, without frog-mpi: what bench_factor.py times.

  torch_factors.py CHECKPOINT OUT [--threads 2]

Every matrix is decomposed by torch.linalg.svd in single precision, one after another, and written to a file of its own: T.u, T.s and
T.vt in F32. Nothing is kept in memory. The last line of output is for programs: matrices, seconds in torch.linalg.svd alone, the peak of
memory in MiB.
"""

import argparse
import resource
import time
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file


def matrices(checkpoint):
    """The name and the weights of every matrix of a checkpoint, in single precision."""
    for file in sorted(Path(checkpoint).glob("*.safetensors")):
        with safe_open(file, "pt") as shard:
            for name in sorted(shard.keys()):
                tensor = shard.get_tensor(name)
                if tensor.ndim == 2:
                    yield name, tensor.float()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    arguments.out.mkdir(parents=True, exist_ok=True)
    count, seconds = 0, 0.0
    for name, weight in matrices(arguments.checkpoint):
        start = time.perf_counter()
        u, s, vt = torch.linalg.svd(weight, full_matrices=False)
        seconds += time.perf_counter() - start
        file = arguments.out / f"{name}.safetensors"
        save_file({f"{name}.u": u.contiguous(), f"{name}.s": s, f"{name}.vt": vt.contiguous()}, file)
        count += 1
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"matrices={count} svd_s={seconds:.3f} peak_mib={peak}")


if __name__ == "__main__":
    main()
