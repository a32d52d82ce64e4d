"""Signals for `frog-mpi mask --weight-by`: how large the activations are that meet each weight, or how large its gradient is.

    from frogmask import signals

    signals.collect(model, batches, "gradient", "my-signals", checkpoint="my-model")
    signals.write("my-own-signals", {"layer.weight": values}, {"kind": "my own"})

Names are imported when they are first used, so that the program needs no torch to say what it can do.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from frogmask.signals.collecting import Summary as Summary
    from frogmask.signals.collecting import collect as collect
    from frogmask.signals.folder import write as write

_MODULES = {"Summary": "collecting", "collect": "collecting", "write": "folder"}
__all__ = sorted(_MODULES)


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module 'frogmask.signals' has no attribute '{name}'")
    return getattr(import_module(f"frogmask.signals.{_MODULES[name]}"), name)
