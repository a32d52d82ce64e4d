#!/usr/bin/env python3
"""Measures a training step: dense AdamW, the kept weights alone (frogmask), LoRA and SHiRA (PEFT); prints Markdown tables.

  Benchmarks/bench_training.py [--size 4096] [--layers 8] [--share 0.01] [--rank 16] [--tokens 512] [--dtype bfloat16] [--device cpu]
                               [--steps 5] [--repeats 3] [--threads 0] [--methods frozen,dense,frogmask,lora,shira]

The model is a stack of square linear layers, each with a layer norm and a residual connection. frogmask and SHiRA train the same random
positions: as many of every matrix as SHiRA can hold, r·(m + n), next to `--share`. `frozen` is forward and backward with frozen weights,
as far as the input: what no method can do without.

Every run is a process of its own, by turns. A step is the median of `--steps` after two to warm up, and the fastest of all repeats counts.
Peak memory is from another process each, and above what it had before the model was made, all libraries loaded (of a GPU what PyTorch has
allocated). The last column has trained numbers, optimizer state, and what frogmask and SHiRA keep beside them (positions, pretrained
values). `--threads 0` leaves the number to PyTorch. The second table says whether what docs/guide/tune.md claims holds.
"""

import argparse
import json
import os
import statistics
import sys
import time
from pathlib import Path

import common

METHODS = ("frozen", "dense", "frogmask", "lora", "shira")
TITLES = {"frozen": "forward and backward alone", "dense": "dense AdamW", "frogmask": "frogmask", "lora": "LoRA", "shira": "SHiRA"}


def model(arguments):
    import torch
    from torch import nn

    class Layer(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = nn.LayerNorm(arguments.size)
            self.proj = nn.Linear(arguments.size, arguments.size, bias=False)

        def forward(self, x):
            return x + self.proj(self.norm(x))

    torch.manual_seed(0)
    with torch.device(arguments.device):
        torch.set_default_dtype(getattr(torch, arguments.dtype))
        found = nn.Sequential(*(Layer() for _ in range(arguments.layers)))
        torch.set_default_dtype(torch.float32)
    return found.requires_grad_(False)


def shira_rank(arguments):
    return max(1, round(arguments.share * arguments.size / 2))


def positions(arguments, layer):
    """Of one layer: flat, ascending, int64 [r·(m + n)]."""
    import torch

    draw = torch.Generator().manual_seed(layer)
    count = shira_rank(arguments) * 2 * arguments.size
    return torch.randperm(arguments.size**2, generator=draw)[:count].sort().values


def prepared(arguments, method, network):
    """The model to call, the optimizer, and the tensors that a method keeps beside trained numbers and optimizer state."""
    import torch

    if method == "frozen":
        return network, None, []
    extra = []
    if method == "dense":
        for layer in network:
            layer.proj.weight.requires_grad_(True)
        trained = [layer.proj.weight for layer in network]
        optimizer = torch.optim.AdamW(trained, lr=1e-4)
    elif method == "frogmask":
        from frogmask.placement import Placement
        from frogmask.tuning import SparseTuning

        placements = []
        for number, layer in enumerate(network):
            indices = positions(arguments, number)
            name = f"{number}.proj.weight"
            placements.append(
                Placement(
                    name, tuple(layer.proj.weight.shape), indices, torch.ones(indices.numel()), (), (name,), 1.0, None, number, "proj"
                )
            )
        tuning = SparseTuning(network, placements)
        trained = tuning.parameters()
        optimizer = torch.optim.AdamW(trained, lr=1e-4)
        tuning.attach(optimizer)
        for kept in tuning.kept.values():
            extra += [kept.indices, kept.origin, kept.placement.indices, kept.placement.scores]
    else:
        import peft

        if method == "lora":
            config = peft.LoraConfig(r=arguments.rank, lora_alpha=arguments.rank, target_modules=["proj"])
        else:
            config = peft.ShiraConfig(r=shira_rank(arguments), target_modules=["proj"], mask_type="random")
            layers = iter(range(arguments.layers))

            def mask(base, _rank, **_):
                found = torch.zeros(base.weight.numel(), device=base.weight.device, dtype=base.weight.dtype)
                found[positions(arguments, next(layers)).to(found.device)] = 1
                return found.view_as(base.weight)

            config.mask_fn = mask
        wrapped = peft.get_peft_model(network, config)
        trained = [one for one in wrapped.parameters() if one.requires_grad]
        for module in wrapped.modules():
            extra += getattr(module, "shira_indices", {}).values()
        optimizer = torch.optim.AdamW(trained, lr=1e-4)
        network = wrapped
    return network, optimizer, extra


def measure(arguments, method):
    """One run in this process, as a dictionary."""
    import torch

    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    on_gpu = arguments.device != "cpu"
    if not arguments.tiny:
        # Libraries load parts of themselves at the first step.
        measure(argparse.Namespace(**{**vars(arguments), "size": 64, "layers": 1, "tokens": 8, "tiny": True}), method)
    before = 0 if on_gpu else memory("VmRSS")
    network = model(arguments)
    kind = network[0].proj.weight.dtype
    used, optimizer, extra = prepared(arguments, method, network)
    x = torch.randn(arguments.tokens, arguments.size, dtype=kind, device=arguments.device, requires_grad=True)
    seconds = []
    for step in range(2 + arguments.steps):
        if step == 2:
            reset_peak(on_gpu)
        started = time.perf_counter()
        used(x).float().square().mean().backward()
        x.grad = None
        if optimizer is not None:
            optimizer.step()
            optimizer.zero_grad()
        if on_gpu:
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - started)
    found = {"seconds": statistics.median(seconds[2:]), "trained": 0, "state": 0}
    found["peak"] = torch.cuda.max_memory_allocated() if on_gpu else memory("VmHWM") - before
    found["layer"] = arguments.size**2 * kind.itemsize
    if optimizer is not None:
        trained = [one for group in optimizer.param_groups for one in group["params"]]
        state = [tensor for one in optimizer.state.values() for tensor in one.values() if torch.is_tensor(tensor)]
        found["trained"] = sum(one.numel() for one in trained)
        found["trainable and state"] = sum(one.numel() * one.element_size() for one in (*trained, *state))
        found["state"] = found["trainable and state"] + sum({one.data_ptr(): one.numel() * one.element_size() for one in extra}.values())
    return found


def memory(name):
    """Bytes of this process (Linux)."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024


def reset_peak(on_gpu):
    if on_gpu:
        import torch

        torch.cuda.reset_peak_memory_stats()
    else:
        Path("/proc/self/clear_refs").write_text("5")


def claims(arguments, found):
    """Whether the documented bounds hold."""
    table = common.Table("bound", "limit", "found", "holds")

    def row(text, limit, value):
        table.row(text, f"{limit:.3g}", f"{value:.3g}", common.verdict(value <= limit))

    frog = found["frogmask"]
    if "dense" in found:
        dense = found["dense"]
        row(
            "trained numbers and optimizer state, to dense AdamW's",
            0.03 * arguments.share / 0.01,
            frog["trainable and state"] / dense["trainable and state"],
        )
        row("step time, to dense AdamW's", 1.1, frog["seconds"] / dense["seconds"])
    if "lora" in found:
        row("step time, to LoRA's", 1.6, frog["seconds"] / found["lora"]["seconds"])
    if "frozen" in found:
        limit = found["frozen"]["peak"] * 1.05 + frog["layer"] + frog["state"]
        row("peak MiB: forward and backward alone + 5%, a layer's gradient, and the state", limit / 2**20, frog["peak"] / 2**20)


def main():
    parser = common.parser(__doc__)
    parser.add_argument("--size", type=int, default=4096, help="rows and columns of each matrix")
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--share", type=float, default=0.01, help="kept weights, as a share of all")
    parser.add_argument("--rank", type=int, default=16, help="of LoRA")
    parser.add_argument("--tokens", type=int, default=512, help="rows of the input")
    parser.add_argument("--dtype", default="bfloat16", choices=("bfloat16", "float32"))
    parser.add_argument("--device", default="cpu", help="cpu, or cuda")
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--methods", default=",".join(METHODS), help="with commas between")
    parser.add_argument("--run", choices=METHODS, help="one run in this process, printed as JSON")
    arguments = parser.parse_args()
    arguments.tiny = False
    if arguments.run:
        sys.path.insert(0, str(common.ROOT / "python/src"))
        print(json.dumps(measure(arguments, arguments.run)))
        return

    methods = [method for method in arguments.methods.split(",") if method]
    for method in methods:
        if method not in METHODS:
            parser.error(f"there is no method '{method}'")
    options = []
    for name in ("size", "layers", "share", "rank", "tokens", "dtype", "device", "steps", "threads"):
        options += [f"--{name}", getattr(arguments, name)]
    script = Path(__file__).resolve()
    found = {}
    for method, done in common.by_turns(
        arguments.repeats, {method: [common.peer_python(), script, *options, "--run", method] for method in methods}
    ):
        one = json.loads(done.output.splitlines()[-1])
        if method not in found or one["seconds"] < found[method]["seconds"]:
            found[method] = one

    # Memory that is given back to the system at once is counted exactly, but costs time.
    os.environ["MALLOC_MMAP_THRESHOLD_"] = "65536"
    for method in methods:
        done = common.run([common.peer_python(), script, *options, "--run", method])
        found[method]["peak"] = json.loads(done.output.splitlines()[-1])["peak"]

    print(f"{common.command_line()}: fastest of {arguments.repeats}\n")
    table = common.Table("method", "trained numbers", "step, ms", "to dense", "to LoRA", "peak, MiB", "trained numbers and state, MiB")
    for method in methods:
        one = found[method]
        ratios = [f"{one['seconds'] / found[other]['seconds']:.2f}" if other in found else "" for other in ("dense", "lora")]
        title = (
            f"{TITLES[method]} r = {arguments.rank if method == 'lora' else shira_rank(arguments)}"
            if method in ("lora", "shira")
            else TITLES[method]
        )
        table.row(
            title,
            f"{one['trained']:,}",
            f"{1000 * one['seconds']:.1f}",
            *ratios,
            f"{one['peak'] / 2**20:.1f}",
            f"{one['state'] / 2**20:.1f}",
        )
    if "frogmask" in found:
        print()
        claims(arguments, found)


if __name__ == "__main__":
    main()
