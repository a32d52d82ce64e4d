#!/usr/bin/env python3
"""Factors as a user would make them with PyTorch on one machine, without frog-mpi: what bench_factor.py times.

  torch_factors.py CHECKPOINT OUT [--threads 2] [--lean]

Every matrix is decomposed by torch.linalg.svd in single precision, one after another. T.u, T.s and T.vt of a shard are written to a file
of OUT, in F32. With --lean the factors of each matrix go to a file of their own at once, so that no others are in memory. The last line of
output is for programs: matrices, seconds in torch.linalg.svd alone, the peak of memory in MiB.
"""

import argparse
import resource
import time
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file


def matrices(file):
    """The name and the weights of every matrix of a shard, in single precision."""
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
    parser.add_argument("--lean", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    arguments.out.mkdir(parents=True, exist_ok=True)
    count, seconds = 0, 0.0
    for shard in sorted(arguments.checkpoint.glob("*.safetensors")):
        factors = {}
        for name, weight in matrices(shard):
            start = time.perf_counter()
            u, s, vt = torch.linalg.svd(weight, full_matrices=False)
            seconds += time.perf_counter() - start
            count += 1
            factors |= {f"{name}.u": u.contiguous(), f"{name}.s": s, f"{name}.vt": vt.contiguous()}
            del u, s, vt
            if arguments.lean:
                save_file(factors, arguments.out / f"{name}.safetensors")
                factors = {}
        if factors:
            save_file(factors, arguments.out / shard.name)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"matrices={count} svd_s={seconds:.3f} peak_mib={peak}")


if __name__ == "__main__":
    main()
