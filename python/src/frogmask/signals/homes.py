"""The tensors of a checkpoint that the parameters of a loaded model come from.

transformers 5 renames, stacks and fuses tensors when it loads a model. What it does for `save_pretrained` brings signals of parameters back
to the names and shapes of the checkpoint.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from frogmask.checkpoint import Checkpoint
from frogmask.errors import MatchError
from frogmask.names import candidates, plain, prefixes
from frogmask.places import check_weights
from frogmask.tensorfile import FLOATS

_EIGHT_BIT = ("F8_E4M3", "F8_E5M2")

Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Group:
    """Parameters and the tensors that they were made of; neither has partners outside of the group.

    Attributes:
        parameters: The names in `model.named_parameters()`.
        tensors: The names in the checkpoint.
    """

    parameters: tuple[str, ...]
    tensors: tuple[str, ...]


class Homes:
    """Where signals of parameters go in a checkpoint.

    Only tensors of floating point with two or more dimensions are looked at: these are the ones that can be weight matrices.

    Attributes:
        parameters: The parameters whose signals have a place in the checkpoint, by name.
        groups: The same parameters with their tensors, in the order of `model.named_parameters()`.
        shapes: The shape of each of these tensors.
        strays: The tensors of the checkpoint that the model has no parameter for.
        newcomers: The parameters with two or more dimensions that are in no tensor of the checkpoint.
    """

    parameters: dict[str, nn.Parameter]
    groups: tuple[Group, ...]
    shapes: dict[str, tuple[int, ...]]
    strays: tuple[str, ...]
    newcomers: tuple[str, ...]

    def __init__(self, model: nn.Module, checkpoint: Checkpoint, exclude: Sequence[str] = ()) -> None:
        """Matches names and shapes; reads no weight.

        Args:
            model: The loaded model.
            checkpoint: What it was loaded from.
            exclude: Patterns of names in the checkpoint, such as `*embed*`, of tensors to leave out.

        Raises:
            MatchError: The model has none of the tensors, shapes differ, or weights are quantized or not loaded.
        """
        own = dict(model.named_parameters())
        canonical = {id(parameter): name for name, parameter in own.items()}
        self._all = {plain(name): canonical[id(p)] for name, p in model.named_parameters(remove_duplicate=False)}
        self._sizes = {name: own[target].shape for name, target in self._all.items()}
        self._revert = _reverter(model)
        blank = self._blank()
        with _Origins(blank) as origins:
            reverted = self._reverted(blank)
        known = _matched(checkpoint, {name: tensor for name, tensor in reverted.items() if origins.of(tensor)}, prefixes(model))
        is_used = {self._all[source] for name in known.values() if name is not None for source in origins.of(reverted[name])}
        self.newcomers = tuple(name for name, parameter in own.items() if parameter.dim() > 1 and name not in is_used)
        known = {tensor: name for tensor, name in known.items() if not any(fnmatchcase(tensor, pattern) for pattern in exclude)}
        self.strays = tuple(tensor for tensor, name in known.items() if name is None)
        self._names = {tensor: name for tensor, name in known.items() if name is not None}
        if not self._names:
            problem = "that have two dimensions or more and are not excluded"
            if self.strays:
                problem = f"such as '{self.strays[0]}': it belongs to another checkpoint, or its modules were renamed"
            raise MatchError(f"the model has none of the tensors of {checkpoint.path}, {problem}")
        self.shapes = {tensor: checkpoint.entry(tensor).shape for tensor in self._names}
        whole = {id(tensor): self._all[name] for name, tensor in blank.items()}
        self._whole: dict[str, str] = {}  # tensors that are a parameter as it is
        sources: dict[str, tuple[str, ...]] = {}
        for tensor, name in self._names.items():
            found, shape = reverted[name], self.shapes[tensor]
            if tuple(found.shape) != shape:
                raise MatchError(
                    f"'{tensor}' is {list(shape)} in {checkpoint.path}, and {list(found.shape)} in the model: "
                    "they belong to different models"
                )
            sources[tensor] = tuple(dict.fromkeys(self._all[source] for source in origins.of(found)))
            if id(found) in whole:
                self._whole[tensor] = whole[id(found)]
        self.groups = _groups(sources, list(own))
        self.parameters = {name: own[name] for group in self.groups for name in group.parameters}
        for name, parameter in self.parameters.items():
            check_weights(name, parameter)

    def to_checkpoint(self, group: Group, values: Mapping[str, torch.Tensor]) -> Iterator[tuple[str, torch.Tensor]]:
        """Brings something that parameters have for each weight to the tensors of the checkpoint.

        Args:
            group: The parameters and tensors.
            values: By parameter, with the parameter's shape.

        Yields:
            A tensor's name, and the same for each of its weights. The result may share memory with `values`.
        """
        reverted: Tensors = {}
        if any(tensor not in self._whole for tensor in group.tensors):
            # Names depend on what else there is, so all other parameters take part, without memory.
            given = {name: values[target] for name, target in self._all.items() if target in group.parameters}
            reverted = self._reverted(self._blank() | given)
        for tensor in group.tensors:
            yield tensor, values[self._whole[tensor]] if tensor in self._whole else reverted[self._names[tensor]]

    def _blank(self) -> Tensors:
        """Tensors of the parameters' names and shapes that have no memory."""
        return {name: torch.empty(size, device="meta") for name, size in self._sizes.items()}

    def _reverted(self, tensors: Tensors) -> Tensors:
        try:
            return self._revert(tensors)
        except (ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
            raise MatchError(
                f"transformers does not say how the checkpoint stores this model ({error}): load it without quantization"
            ) from None


class _Origins(TorchFunctionMode):
    """Remembers which tensors every result was made of."""

    def __init__(self, tensors: Tensors) -> None:
        super().__init__()
        self._of: dict[int, tuple[str, ...]] = {id(tensor): (name,) for name, tensor in tensors.items()}
        self._alive: list[torch.Tensor] = []  # so that no other tensor gets the id of one that is gone

    def of(self, tensor: torch.Tensor) -> tuple[str, ...]:
        """The names of the tensors that a result was made of."""
        return self._of.get(id(tensor), ())

    def __torch_function__(self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        names: dict[str, None] = {}
        for given in tree_leaves((args, kwargs)):
            if isinstance(given, torch.Tensor):
                names |= dict.fromkeys(self.of(given))
        for made in tree_leaves(found):
            if isinstance(made, torch.Tensor) and names:
                self._of[id(made)] = tuple(names)
                self._alive.append(made)
        return found


def _reverter(model: nn.Module) -> Callable[[Tensors], Tensors]:
    """What brings parameters to the names and shapes in which transformers stores them; nothing for other models."""
    transformers = sys.modules.get("transformers")
    if transformers is None:
        return dict
    for path, module in model.named_modules():
        if isinstance(module, transformers.PreTrainedModel):
            prefix, root = plain(path + ".") if path else "", module
            break
    else:
        return dict
    from transformers.core_model_loading import revert_weight_conversion

    def revert(tensors: Tensors) -> Tensors:
        inner = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
        outer = {name: tensor for name, tensor in tensors.items() if not name.startswith(prefix)}
        return outer | dict(revert_weight_conversion(root, inner))

    return revert


def _matched(checkpoint: Checkpoint, reverted: Tensors, fronts: Sequence[str]) -> dict[str, str | None]:
    """The name of each tensor of the checkpoint among those that the model would be stored with; None if it has none."""
    found: dict[str, str | None] = {}
    for tensor in checkpoint.tensors:
        entry = checkpoint.entry(tensor)
        if len(entry.shape) > 1 and (entry.dtype in FLOATS or entry.dtype in _EIGHT_BIT):
            found[tensor] = next((name for name in candidates(tensor, fronts) if name in reverted), None)
    return found


def _groups(sources: Mapping[str, tuple[str, ...]], order: Sequence[str]) -> tuple[Group, ...]:
    """Joins tensors that share parameters, and parameters that share tensors."""
    leader = {name: name for names in sources.values() for name in names}

    def find(name: str) -> str:
        while leader[name] != name:
            name = leader[name]
        return name

    for names in sources.values():
        for name in names[1:]:
            leader[find(name)] = find(names[0])
    tensors: dict[str, list[str]] = {}
    for tensor, names in sources.items():
        tensors.setdefault(find(names[0]), []).append(tensor)
    parameters: dict[str, list[str]] = {}
    for name in order:
        if name in leader:
            parameters.setdefault(find(name), []).append(name)
    return tuple(Group(tuple(names), tuple(tensors[first])) for first, names in parameters.items())
