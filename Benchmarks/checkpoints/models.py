"""The models that synthetic checkpoints are made of: names, shapes and dtypes of their tensors.

The built-in table is that of Tests/Python/layouts.py, which holds published models at their full size, under their own names and
a few short ones. A list of shapes in the format that `frog-mpi plan` reads holds any other.
"""

import gzip
import json
import sys
from pathlib import Path
from typing import NamedTuple

sys.path.append(str(Path(__file__).resolve().parents[2] / "Tests/Python"))

import layouts

SHORT_NAMES = {
    "llama-1b": "Llama-3.2-1B (tied)",
    "llama-8b": "Llama-3.1-8B",
    "llama-70b": "Llama-3-70B",
    "llama-405b": "Llama-3.1-405B",
    "mixtral-8x22b": "Mixtral-8x22B-v0.1",
    "deepseek-v3": "DeepSeek-V3",
}
# A Llama that a laptop masks in a second.
TINY = layouts.Layout(layouts.llama, layouts.dims(4, 256, 688, 4, 1, 1000), layouts.SMALL_LLAMA, layouts.LLAMA)
TABLE = {"tiny": TINY} | {name: layout for name, layout in layouts.LAYOUTS.items() if layout.full}

FLOATS = {"F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2"}
SCALES = ("_scale", "_scale_inv")  # ends of names: what 8-bit weights are multiplied by


class ModelError(Exception):
    """There is no such model; the message says which there are."""


class Tensor(NamedTuple):
    """A tensor without its data; `dtype` is named as safetensors names it."""

    name: str
    shape: tuple[int, ...]
    dtype: str


class Model(NamedTuple):
    """What a checkpoint holds, and its config.json as far as frog-mpi reads that."""

    tensors: list[Tensor]
    config: dict


def built_in(name):
    """A model of the table, whole.

    Raises:
        ModelError: The table does not have it.
    """
    layout = TABLE.get(SHORT_NAMES.get(name, name))
    if layout is None:
        raise ModelError(f"there is no model {name!r}; there are {', '.join([*SHORT_NAMES, *TABLE])}")
    sizes = {theirs: layout.full[ours] for ours, theirs in layouts.CONFIG_KEYS.items() if ours in layout.full}
    # Numbers in a layout's own configuration are those of its small form.
    words = {key: value for key, value in layout.config.items() if isinstance(value, bool) or not isinstance(value, int)}
    return Model([Tensor(tensor, shape, dtype) for tensor, dtype, shape in layout.tensors(layout.full)], sizes | words)


def listed(file, name=None):
    """A model of a list of shapes, in JSON or gzip of it; `name` may be left out where the list holds only one.

    Raises:
        ModelError: The list does not have it, or holds several and none was named.
    """
    content = Path(file).read_bytes()
    models = json.loads(gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content)
    if "tensors" in models:
        models = {name: models}
    elif name is None and len(models) == 1:
        (name,) = models
    if name not in models:
        raise ModelError(f"{file} has no model {name!r}; it has {', '.join(models)}")
    tensors = [Tensor(tensor, tuple(shape), dtype) for tensor, shape, dtype in models[name]["tensors"]]
    return Model(tensors, models[name].get("config", {}))


def first_layers(model, count):
    """The tensors of the first `count` layers alone: no embedding, no head, nothing else outside of layers."""
    tensors = [tensor for tensor in model.tensors if layer_number(tensor.name) in range(count)]
    layers = {"num_hidden_layers": count} if "num_hidden_layers" in model.config else {}
    return Model(tensors, model.config | layers)


def layer_number(name):
    """The first part of a name that is a number: `model.layers.3.mlp.experts.7.w1.weight` belongs to layer 3."""
    return next((int(part) for part in name.split(".") if part.isdecimal()), None)


def converted(model, dtype):
    """The model with all its floating-point tensors in one dtype; scales of 8-bit weights go."""
    tensors = [
        Tensor(tensor.name, tensor.shape, dtype) if tensor.dtype in FLOATS else tensor
        for tensor in model.tensors
        if not tensor.name.endswith(SCALES)
    ]
    return Model(tensors, {key: value for key, value in model.config.items() if key != "quantization_config"})
