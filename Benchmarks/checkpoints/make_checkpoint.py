#!/usr/bin/env python3
"""Writes a synthetic checkpoint whose matrices look trained, in the shapes of a real model.

  make_checkpoint.py FOLDER --model llama-1b --layers 2
  make_checkpoint.py FOLDER --model deepseek-v3 --layers 4 --dtype BF16 --shards 8
  make_checkpoint.py FOLDER --list shapes.json.gz --model Mixtral-8x22B-v0.1 --layers 1

--list takes a list of shapes as `frog-mpi plan` reads it; without it the model is one of the built-in table (models.py). The same
model, options and seed give the same bytes; weights.py says which numbers. A panel of a matrix is in memory at a time, never more.
Exit: 0 done, 1 no such model, or the folder is there already.
"""

import argparse
import functools
import shutil
import sys
from pathlib import Path

import models
import shards
import weights

SHARD = 500_000_000  # bytes; without --shards there is one for each that is begun


def make(folder, model, count=None, seed=0, holes=False):
    """Writes `model` into `folder`, which appears when it is whole; returns the number of shards."""
    folder = Path(folder)
    count = count or -(-sum(map(shards.size, model.tensors)) // SHARD)
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    data = None if holes else functools.partial(weights.data, seed=seed)
    shards.write_checkpoint(partial, model.tensors, count, data, model.config)
    partial.rename(folder)
    return len(shards.split(model.tensors, count))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the checkpoint goes; must not exist")
    parser.add_argument("--model", help="its name; may be left out with a list of one")
    parser.add_argument("--list", type=Path, metavar="FILE", help="take the model from this list of shapes")
    parser.add_argument(
        "--layers", type=int, metavar="N", help="the first N layers alone, nothing outside of layers (default: the whole model)"
    )
    parser.add_argument("--dtype", choices=sorted(models.FLOATS), help="of all floating-point tensors (default: the model's own)")
    parser.add_argument("--shards", type=int, metavar="N", help="how many files (default: one for each 500 MB that is begun)")
    parser.add_argument("--seed", type=int, default=0, help="the seed of all random numbers")
    parser.add_argument("--holes", action="store_true", help="leave holes instead of data: right sizes, hardly any room on disk")
    arguments = parser.parse_args()
    if arguments.folder.exists():
        sys.exit(f"make_checkpoint: error: {arguments.folder} is there already")
    if not arguments.list and not arguments.model:
        parser.error("--model or --list is needed")
    try:
        model = models.listed(arguments.list, arguments.model) if arguments.list else models.built_in(arguments.model)
        if arguments.layers is not None:
            model = models.first_layers(model, arguments.layers)
        if arguments.dtype:
            model = models.converted(model, arguments.dtype)
        count = make(arguments.folder, model, arguments.shards, arguments.seed, arguments.holes)
    except models.ModelError as error:
        sys.exit(f"make_checkpoint: error: {error}")
    total = sum(map(shards.size, model.tensors))
    print(f"{arguments.folder}: {len(model.tensors):,} tensors, {total / 1e6:,.1f} MB, {count} file{'s' * (count > 1)}")


if __name__ == "__main__":
    main()
