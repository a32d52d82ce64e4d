#!/usr/bin/env python3
"""What a user of WeightWatcher would run instead of `frog-mpi analyze`: every matrix of a checkpoint as a torch layer.

  scripts/peer-weightwatcher CHECKPOINT [--threads 2]

Prints the peak of its memory; scripts/bench-peers times it.
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
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    os.environ["OPENBLAS_NUM_THREADS"] = str(arguments.threads)
    import torch
    import weightwatcher
    from safetensors import safe_open

    torch.set_num_threads(arguments.threads)
    logging.disable(logging.CRITICAL)
    model = torch.nn.Module()
    for file in sorted(arguments.checkpoint.glob("*.safetensors")):
        with safe_open(file, "pt") as shard:
            for name in shard.keys():
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
