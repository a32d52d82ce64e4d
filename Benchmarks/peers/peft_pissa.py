#!/usr/bin/env python3
"""PiSSA as PEFT begins it: what bench_factor.py times `export pissa` beside.

  peft_pissa.py CHECKPOINT OUT [--init pissa|pissa_niter_16] [--rank 128] [--threads 2]

All matrices of the checkpoint become linear layers of one model in single precision, and get_peft_model decomposes them. The adapter and
the residual base are written to OUT, as for training on another machine. The last line of output is for programs: layers, seconds in
get_peft_model alone, the peak of memory in MiB.
"""

import argparse
import resource
import time
from pathlib import Path

import peft
import torch
from safetensors.torch import save_file
from torch_factors import matrices


def model_of(checkpoint):
    """A module with a linear layer for each matrix, under the name that the checkpoint gives it."""
    root = torch.nn.Module()
    shards = sorted(checkpoint.glob("*.safetensors"))
    for name, weight in (matrix for shard in shards for matrix in matrices(shard)):
        *path, last = name.removesuffix(".weight").split(".")
        module = root
        for part in path:
            if not hasattr(module, part):
                module.add_module(part, torch.nn.Module())
            module = getattr(module, part)
        layer = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=False, device="meta")
        layer.weight = torch.nn.Parameter(weight, requires_grad=False)
        module.add_module(last, layer)
    return root


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--init", default="pissa")
    parser.add_argument("--rank", type=int, default=128)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    model = model_of(arguments.checkpoint)
    names = [name for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)]
    config = peft.LoraConfig(
        init_lora_weights=arguments.init, r=arguments.rank, lora_alpha=arguments.rank, lora_dropout=0, target_modules=names
    )
    start = time.perf_counter()
    adapted = peft.get_peft_model(model, config)
    seconds = time.perf_counter() - start
    adapted.save_pretrained(arguments.out)
    save_file(
        {f"{name}.weight": adapted.get_submodule(f"base_model.model.{name}.base_layer").weight.data.to(torch.bfloat16) for name in names},
        arguments.out / "residual.safetensors",
    )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"layers={len(names)} init_s={seconds:.3f} peak_mib={peak}")


if __name__ == "__main__":
    main()
