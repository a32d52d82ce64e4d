#!/usr/bin/env python3
"""Masks as a user would make them with PyTorch on one machine, without frog-mpi: what bench_peers.py and bench_approximation.py time.

  torch_masks.py CHECKPOINT [--budget 1%] [--method svd|gram|lowrank] [--rank 128] [--threads 2] [--save FILE]

Every matrix is decomposed in single precision, one after another; all scores |U|·Σ·|V|ᵀ stay in memory, and one topk over them selects.

svd      torch.linalg.svd: the textbook way
gram     torch.linalg.eigh of the smaller Gram matrix, then products: what somebody careful would do
lowrank  torch.svd_lowrank with two power iterations: what most scripts do to large models; what is left out is not made up for

--save writes the flat positions of the kept weights as a safetensors file, by the name of the tensor. The last line of output is for
programs: matrices, weights, kept, threshold, seconds, the peak of memory in MiB.
"""

import argparse
import os
import re
import resource
import time
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file

NOT_TUNED = re.compile("embed|lm_head|position_ids|norm|bias")  # parts of the names of tensors that get no mask


def svd_scores(weight):
    """|U|·Σ·|V|ᵀ from a singular value decomposition.

    Accuracy: a score differs by at most 8·ε·σ₁/gap of the largest score, where ε = 2⁻²³ and gap is the smallest distance of two singular
    values, as vectors of close values turn into each other.
    """
    u, sigma, vt = torch.linalg.svd(weight, full_matrices=False)
    return torch.mm(u.abs() * sigma, vt.abs())


def gram_scores(weight):
    """The same from the eigenvectors of WᵀW, as |U|·Σ = |W·V|; of Wᵀ where that is the taller one.

    Accuracy: a score differs by at most 8·ε·σ₁²/gap of the largest score, where gap is the smallest distance of two squares of singular
    values.
    """
    if weight.shape[1] > weight.shape[0]:
        return gram_scores(weight.T).T
    vectors = torch.linalg.eigh(torch.mm(weight.T, weight)).eigenvectors
    return torch.mm(torch.mm(weight, vectors).abs(), vectors.abs().T)


def lowrank_scores(weight, rank):
    """The same from the `rank` leading singular vectors alone, found at random.

    Accuracy: that of `svd_scores` where `rank` is the smaller side; with fewer vectors scores are too small, by as much as is left out.
    """
    u, sigma, v = torch.svd_lowrank(weight, q=min(rank, *weight.shape), niter=2)
    return torch.mm(u.abs() * sigma, v.abs().T)


def matrices(checkpoint):
    """Names and values of the weight matrices, in single precision, by file and name."""
    for file in [checkpoint] if checkpoint.is_file() else sorted(checkpoint.glob("*.safetensors")):
        with safe_open(file, framework="pt") as shard:
            for name in sorted(shard.keys()):
                if len(shard.get_slice(name).get_shape()) == 2 and not NOT_TUNED.search(name):
                    yield name, shard.get_tensor(name).to(torch.float32)


def kept_positions(scores, kept):
    """name → ascending flat positions within the tensor, from positions within all scores side by side."""
    kept, _ = torch.sort(kept)
    ends = torch.tensor([score.numel() for score in scores.values()]).cumsum(0)
    borders = [0, *torch.searchsorted(kept, ends).tolist()]
    starts = [0, *ends.tolist()]
    return {name: kept[borders[i] : borders[i + 1]] - starts[i] for i, name in enumerate(scores)}


def share(text):
    """`1%` or `0.01` as a fraction."""
    return float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--budget", type=share, default="1%", help="how many weights are kept: a share of all")
    parser.add_argument("--method", choices=["svd", "gram", "lowrank"], default="svd")
    parser.add_argument("--rank", type=int, default=128, help="how many singular vectors lowrank takes")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--save", type=Path, metavar="FILE", help="where the masks go")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)  # lowrank begins with random numbers
    score = {"svd": svd_scores, "gram": gram_scores, "lowrank": lambda weight: lowrank_scores(weight, arguments.rank)}[arguments.method]

    start = time.perf_counter()
    scores = {name: score(weight).flatten() for name, weight in matrices(arguments.checkpoint)}
    scored = time.perf_counter()
    together = torch.cat(list(scores.values()))
    best = torch.topk(together, int(arguments.budget * together.numel() + 0.5))
    selected = time.perf_counter()
    if arguments.save:
        save_file(kept_positions(scores, best.indices), arguments.save)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(
        f"matrices={len(scores)} weights={together.numel()} kept={best.indices.numel()} threshold={best.values[-1].item():.9g} "
        f"scores_s={scored - start:.3f} selection_s={selected - scored:.3f} peak_mib={peak}"
    )


if __name__ == "__main__":
    main()
