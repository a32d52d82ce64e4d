#!/usr/bin/env python3
"""Writes the shapes of published models, in the format that `frog-mpi plan` reads.

  make_shapes.py shapes.json.gz
  make_shapes.py FILE --models Llama-3-70B deepseek-v3

Without --models the file holds the whole built-in table (models.py). A name that ends in .gz is written as gzip.
"""

import argparse
import gzip
import json
import sys
from pathlib import Path

import models


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--models", nargs="+", metavar="NAME", default=list(models.TABLE))
    arguments = parser.parse_args()
    try:
        found = {name: models.built_in(name) for name in arguments.models}
    except models.ModelError as error:
        sys.exit(f"make_shapes: error: {error}")
    document = {name: {"tensors": model.tensors} for name, model in found.items()}
    text = json.dumps(document, separators=(",", ":")).encode()
    # Without a time in it, the same models give the same bytes.
    arguments.file.write_bytes(gzip.compress(text, mtime=0) if arguments.file.suffix == ".gz" else text)
    for name, model in found.items():
        print(f"{name}: {len(model.tensors):,} tensors")


if __name__ == "__main__":
    main()
