"""What WeightWatcher 0.7.7 itself says of matrices, for comparison with ours.

    details(matrices, **options) → one dict per matrix, column → value; None where WeightWatcher skips it

Each matrix is a float32 array: two-dimensional for a linear layer, four-dimensional (out, in, height, width) for a convolution. It becomes
the weight of a torch module and goes through `WeightWatcher.analyze`, with the size limits of its users' defaults lifted; `options`
are those of `analyze` (mp_fit, randomize, vectors, detX, fix_fingers, min_evals, …). WeightWatcher rounds weights to float32, so
other types are refused rather than compared with something else.
"""

import contextlib
import io
import logging
import os
import warnings

import numpy as np

os.environ.setdefault("MPLBACKEND", "Agg")


def available():
    """Whether WeightWatcher 0.7.7 and torch can be imported."""
    import importlib.metadata
    import importlib.util

    try:
        return importlib.metadata.version("weightwatcher") == "0.7.7" and importlib.util.find_spec("torch") is not None
    except importlib.metadata.PackageNotFoundError:
        return False


def _watcher(model):
    import weightwatcher

    logging.getLogger("weightwatcher").setLevel(logging.CRITICAL)
    watcher = weightwatcher.WeightWatcher(model=model)
    logging.getLogger("weightwatcher").setLevel(logging.CRITICAL)
    return watcher


def _module(matrices):
    import torch

    layers = []
    for matrix in matrices:
        if matrix.dtype != np.float32 or matrix.ndim not in (2, 4):
            raise ValueError(f"float32 in 2 or 4 dimensions wanted, not {matrix.dtype} in {matrix.ndim}")
        if matrix.ndim == 2:
            layer = torch.nn.Linear(matrix.shape[1], matrix.shape[0], bias=False, device="meta")
        else:
            layer = torch.nn.Conv2d(matrix.shape[1], matrix.shape[0], matrix.shape[2:], bias=False, device="meta")
        layer.weight = torch.nn.Parameter(torch.from_numpy(np.ascontiguousarray(matrix)), requires_grad=False)
        layers.append(layer)
    # Names m0, m1, …: WeightWatcher leaves layers out silently, and the names tell which.
    model = torch.nn.Module()
    for index, layer in enumerate(layers):
        model.add_module(f"m{index}", layer)
    return model


def details(matrices, replicas=None, **options):
    """`replicas`, a dict, receives index → list of the shuffled matrices' eigenvalues, one array per call WeightWatcher made for it
    (with `randomize`): first those of the Marchenko–Pastur fit, then those of the distances."""
    options = {"max_evals": 10**9, "max_N": 10**9 + 1, **options}
    found = [None] * len(matrices)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for index, matrix in enumerate(matrices):
            # One model per matrix: a failure in one costs that one.
            watcher = _watcher(_module([matrix]))
            if replicas is not None:
                original, calls = watcher.random_eigenvalues, replicas.setdefault(index, [])
                watcher.random_eigenvalues = lambda *args, _f=original, _c=calls: (_c.append(_f(*args)), _c[-1])[1]
            table = watcher.analyze(**options)
            if len(table):
                found[index] = {name: table[name].iloc[0] for name in table.columns}
    return found
