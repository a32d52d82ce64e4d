"""Fine-tune the weights that a mask of frog-mpi selects.

    import frogmask

    masks = frogmask.load("my-masks")               # opens nothing but frog.json
    match = masks.match(model)                      # where the kept weights lie in a loaded model
    tuning = frogmask.SparseTuning(model, masks)    # trains these weights, and no others
    frogmask.apply(model, "my-patch")               # what a training has saved

Names are imported when they are first used, so that `import frogmask` needs no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from frogmask.conversion import convert as convert
    from frogmask.errors import FrogmaskError as FrogmaskError
    from frogmask.masks import Mask as Mask
    from frogmask.masks import Masks as Masks
    from frogmask.masks import load as load
    from frogmask.matching import Match as Match
    from frogmask.merging import merge as merge
    from frogmask.noise import FrozenNoise as FrozenNoise
    from frogmask.patch import Patch as Patch
    from frogmask.patch import apply as apply
    from frogmask.placement import NoiseBlock as NoiseBlock
    from frogmask.placement import Placement as Placement
    from frogmask.tuning import SparseTuning as SparseTuning

_MODULES = {
    "FrogmaskError": "errors",
    "FrozenNoise": "noise",
    "Mask": "masks",
    "Masks": "masks",
    "Match": "matching",
    "NoiseBlock": "placement",
    "Patch": "patch",
    "Placement": "placement",
    "SparseTuning": "tuning",
    "apply": "patch",
    "convert": "conversion",
    "load": "masks",
    "merge": "merging",
}
__all__ = sorted(_MODULES)


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module 'frogmask' has no attribute '{name}'")
    return getattr(import_module(f"frogmask.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
