"""What adapters hold: for every linear module the positions of its trained weights, and how far they are from the base model's."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from frogmask import documents
from frogmask.checkpoint import Checkpoint
from frogmask.errors import ConversionError
from frogmask.masks import Masks
from frogmask.merging import check_tensor
from frogmask.patch import Patch
from frogmask.tensorfile import FLOATS

# Models whose attention and feed-forward modules are Conv1D, which adapters for torch.nn.Linear refuse.
_CONV1D_MODELS = {"gpt2", "openai-gpt", "imagegpt", "decision_transformer"}
_CONV1D_MODULES = ("c_attn", "q_attn", "c_proj", "c_fc")


@dataclass(frozen=True, eq=False)
class Delta:
    """The trained weights of one linear module.

    Attributes:
        tensor: The name of its weight in the checkpoint.
        module: The path of the module in the loaded model.
        shape: The shape of the weight, [m, n].
        indices: Flat row-major positions, ascending, int64 [k].
        values: New minus old weights, float32 [k].
    """

    tensor: str
    module: str
    shape: tuple[int, int]
    indices: torch.Tensor
    values: torch.Tensor


def deltas(source: Patch | Masks, checkpoint: Checkpoint, target: str) -> Iterator[Delta]:
    """The linear modules that have trained weights, one after the other.

    Args:
        source: A patch, or masks, which give deltas of zero.
        checkpoint: The base model.
        target: The name of the library's method, for errors.

    Raises:
        ConversionError: A tensor is not the weight of a linear module.
        MatchError: The checkpoint is another one.
    """
    conv1d = _model_type(checkpoint) in _CONV1D_MODELS
    for name in source:
        tensor = source[name]
        if tensor.kept == 0:
            continue
        entry = checkpoint.entry(name)
        if len(entry.shape) != 2:
            raise ConversionError(f"'{name}' is {list(entry.shape)}: {target} holds linear modules alone; leave it out with --exclude")
        module = _module(name, entry.shape, source.names, target)
        if conv1d and module.rpartition(".")[2] in _CONV1D_MODULES:
            raise ConversionError(f"'{name}' belongs to a Conv1D, and {target} holds torch.nn.Linear alone; use the patch itself")
        indices = tensor.indices
        values = torch.zeros(indices.numel())
        if isinstance(source, Patch):
            patched = source[name]
            check_tensor(patched, checkpoint)
            values = (patched.values.double() - base_values(checkpoint, name, indices).double()).float()
        yield Delta(name, module, (entry.shape[0], entry.shape[1]), indices, values)


def base_values(checkpoint: Checkpoint, name: str, indices: torch.Tensor) -> torch.Tensor:
    """The checkpoint's own values at flat positions, [k], in its own type. Reads no more of the tensor than pages with such values."""
    found = np.ascontiguousarray(checkpoint.array(name).reshape(-1)[indices.numpy()])
    dtype = getattr(torch, FLOATS[checkpoint.entry(name).dtype])
    return torch.from_numpy(found).view(dtype) if dtype == torch.bfloat16 else torch.from_numpy(found)


def _module(name: str, shape: tuple[int, ...], names: Mapping[str, Any], target: str) -> str:
    """The path of the module whose weight a tensor is in the loaded model."""
    place = names.get(name)
    parameter = name
    if place is not None:
        is_whole = place["parameter"] is not None and tuple(place["shape"]) == shape and list(place["axes"]) == [0, 1]
        if not is_whole:
            raise ConversionError(
                f"'{name}' is no module of its own in the loaded model (names.json), and {target} holds modules; use the patch itself"
            )
        parameter = str(place["parameter"])
    module, _, leaf = parameter.rpartition(".")
    if leaf != "weight" or not module:
        raise ConversionError(f"'{name}' is not the weight of a module, and {target} holds nothing else; use the patch itself")
    return module


def _model_type(checkpoint: Checkpoint) -> object:
    path = checkpoint.folder / "config.json"
    return documents.read(path).get("model_type") if path.is_file() else None


def listed(names: list[str]) -> str:
    """A few names of many, for an error."""
    return ", ".join(json.dumps(name) for name in names[:3]) + (" and others" if len(names) > 3 else "")
