"""Finds the linear layers of a model that a folder is for, and checks that their weights are those that it was made of."""

from __future__ import annotations

import torch
from torch import nn

from frogmask.distributed import is_sharded
from frogmask.errors import MatchError, UsageError
from frogmask.methods.folder import AdapterFolder
from frogmask.places import Wanted, locate

# How far W·v₁ may be from σ₁·u₁, over σ₁: weights and factors in BF16 give 2⁻⁷.
_FIT = 2**-6
# Modules that read the weights of some of their linear layers without calling them.
_BYPASSING = (nn.MultiheadAttention, nn.TransformerEncoderLayer)


def linear_layers(model: nn.Module, folder: AdapterFolder) -> dict[str, nn.Linear]:
    """The linear layers of a model whose weights are the tensors of a folder, in the model's order.

    Raises:
        MatchError: A tensor has no parameter, another shape, or is no weight of a linear layer of its own.
        UsageError: The layer cannot be adapted.
    """
    wanted = [Wanted(name, shape, False, 1) for name, shape in folder.shapes.items()]
    places, unmatched = locate(wanted, folder.names, model, str(folder.path))
    if unmatched:
        raise MatchError(f"{folder.path}: the model has no parameter for {unmatched[0]}; a module was renamed, or it is another model")
    parameters = dict(model.named_parameters())
    holders: dict[int, list[tuple[nn.Module, nn.Module]]] = {}
    for path, module in model.named_modules():
        for parameter in module._parameters.values():
            above = model.get_submodule(path.rpartition(".")[0])
            holders.setdefault(id(parameter), []).append((module, above))
    order = {name: number for number, name in enumerate(parameters)}
    found: dict[str, nn.Linear] = {}
    seen: set[str] = set()
    for place in sorted(places, key=lambda place: order[place.parameter]):
        parameter = parameters[place.parameter]
        of = holders[id(parameter)]
        module, above = of[0]
        if not isinstance(module, nn.Linear) or not place.is_whole:
            kind = type(module).__name__
            raise MatchError(
                f"'{place.tensor}' is parameter '{place.parameter}' of a {kind}, not the weight of a linear layer: leave it out"
            )
        if len(of) > 1:
            raise MatchError(f"'{place.tensor}' is tied: {len(of)} modules share parameter '{place.parameter}'; leave it out")
        if place.parameter in seen:
            raise MatchError(f"'{place.tensor}' and another tensor of {folder.path} are one parameter, '{place.parameter}'; leave one out")
        if is_sharded(parameter):
            raise UsageError(f"parameter '{place.parameter}' is sharded, which adapters are not made for: load the model whole")
        if isinstance(above, _BYPASSING) or type(module).forward is not nn.Linear.forward or "forward" in vars(module):
            raise UsageError(f"'{place.tensor}': its module has a forward of another library or is not called by the module above it")
        found[place.tensor] = module
        seen.add(place.parameter)
    return found


def check_origin(tensor: str, weight: torch.Tensor, leading: tuple[torch.Tensor, ...], folder: AdapterFolder) -> None:
    """Refuses a weight that the factors were not made of: W·v₁ has to be σ₁·u₁.

    Args:
        tensor: Its name in the checkpoint.
        weight: W, [m, n].
        leading: σ₁, u₁, [m], and v₁, [n].
        folder: The folder of the factors.

    Raises:
        MatchError: They do not fit.
    """
    value, left, right = (one.detach() for one in leading)
    weight = weight.detach()
    image = (weight @ right.to(weight.dtype)).to(torch.promote_types(left.dtype, torch.float32))
    error = float((image - value * left).norm())
    if not error <= _FIT * float(value):
        raise MatchError(
            f"'{tensor}' of the model is not the weight that {folder.folder} was made of: its leading singular value is "
            f"{float(image.norm()):.4g} there, with an error of {error:.2g}, should be {float(value):.4g}; load the model that was exported"
        )
