#!/usr/bin/env python3
"""Spectral metrics as a user of WeightWatcher would get them, without `frog-mpi analyze`: what bench_peers.py --spectra times.

  weightwatcher_metrics.py CHECKPOINT [--threads 2]

Every matrix of the checkpoint becomes the weight of a torch layer, in single precision, and one call of `analyze` measures them all. The
last line of output is for programs: matrices, the mean of alpha, the peak of memory in MiB.
"""

import argparse
import contextlib
import io
import logging
import os
import resource
from pathlib import Path

os.environ.setdefault("MPLBACKEND", "Agg")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    # The libraries look for it when they are imported.
    os.environ["OPENBLAS_NUM_THREADS"] = str(arguments.threads)
    import torch
    import weightwatcher
    from safetensors import safe_open

    torch.set_num_threads(arguments.threads)
    logging.disable(logging.CRITICAL)
    model = torch.nn.Module()
    for file in sorted(arguments.checkpoint.glob("*.safetensors")):
        with safe_open(file, "pt") as shard:
            for name in list(shard.keys()):
                tensor = shard.get_tensor(name)
                if tensor.ndim == 2:
                    layer = torch.nn.Linear(tensor.shape[1], tensor.shape[0], bias=False, device="meta")
                    layer.weight = torch.nn.Parameter(tensor.float(), requires_grad=False)
                    model.add_module(name.replace(".", "_"), layer)
    with contextlib.redirect_stdout(io.StringIO()):
        details = weightwatcher.WeightWatcher(model=model).analyze()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"matrices={len(details)} mean_alpha={details.alpha.mean():.6f} peak_mib={peak // 1024}")


if __name__ == "__main__":
    main()
