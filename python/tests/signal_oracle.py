"""Signals the plain way: hooks on modules and gradients held in memory; shares no code with the package."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from transformers.pytorch_utils import Conv1D

import reference


def homes(model, folder):
    """Tensor of the checkpoint → (parameter, the part of it), found by equal values: all weights are random.

    Parts are the whole parameter, the experts of a stack, and the halves of their rows.
    """
    found = {}
    stored = [tensor for tensor in reference.checkpoint_tensors(folder) if len(tensor.shape) > 1 and tensor.dtype in reference.FLOATS]
    parts = {}
    for name, parameter in model.named_parameters():
        if parameter.dim() == 3 and "experts" in name:
            half = parameter.shape[1] // 2
            for expert in range(parameter.shape[0]):
                for rows in (slice(None), slice(0, half), slice(half, None)):
                    parts[name, expert, rows.start, rows.stop] = parameter[expert, rows].detach().numpy()
        if parameter.dim() > 1:
            parts[name] = parameter.detach().numpy()
    for tensor in stored:
        values = tensor.read()
        (found[tensor.name],) = [place for place, part in parts.items() if part.shape == values.shape and np.array_equal(part, values)]
    return found


def at(arrays, place):
    """The part of a parameter's array."""
    if isinstance(place, str):
        return arrays[place]
    name, expert, start, stop = place
    return arrays[name][expert, start:stop]


def norms(model, batches):
    """Parameter → root of the mean square of the inputs of each weight, of the modules that have one weight; padding does not count."""
    sums, counts, mask = {}, {}, None

    def watch(name):
        def hook(module, inputs):
            x = inputs[0].detach().to(torch.float64)
            if isinstance(module, nn.Conv2d):
                patches = functional.unfold(x, module.kernel_size, module.dilation, module.padding, module.stride)
                rows = patches.transpose(1, 2).reshape(-1, patches.shape[1])
            else:
                rows = x[mask.bool()] if mask is not None and x.shape[:2] == mask.shape else x.reshape(-1, x.shape[-1])
            sums[name] = sums.get(name, 0) + rows.square().sum(0)
            counts[name] = counts.get(name, 0) + len(rows)

        return hook

    modules = {name: module for name, module in model.named_modules() if isinstance(module, nn.Linear | nn.Conv2d | Conv1D)}
    hooks = [module.register_forward_pre_hook(watch(name)) for name, module in modules.items()]
    for batch in batches:
        mask = batch.get("attention_mask")
        with torch.no_grad():
            model(**batch)
    for hook in hooks:
        hook.remove()
    found = {}
    for name, module in modules.items():
        root = (sums[name] / counts[name]).sqrt()
        root = root[:, None] if isinstance(module, Conv1D) else root.reshape(1, *module.weight.shape[1:])
        found[f"{name}.weight"] = root.expand(module.weight.shape).numpy()
    return found


def gradients(model, batches, power):
    """Parameter → the mean over batches of |G|^power, in double precision."""
    found = {}
    for batch in batches:
        model.zero_grad()
        model(**batch).loss.backward()
        for name, parameter in model.named_parameters():
            if parameter.grad is not None:
                found[name] = found.get(name, 0) + parameter.grad.double().abs() ** power / len(batches)
    model.zero_grad()
    return {name: values.numpy() for name, values in found.items()}


def examples(batches):
    """Every example alone and without its padding at the end."""
    for batch in batches:
        for number in range(len(next(iter(batch.values())))):
            example = {name: tensor[number : number + 1] for name, tensor in batch.items()}
            if "attention_mask" in batch:
                length = int(example["attention_mask"].sum())
                example = {name: tensor[:, :length] if tensor.dim() > 1 else tensor for name, tensor in example.items()}
            yield example


def read(folder):
    """Tensor → values, of a folder of signals."""
    return {tensor.name: tensor.read() for file in sorted(folder.glob("*.safetensors")) for tensor in reference.read_header(file)}


def whole(values, shape):
    """A signal with a value for every weight of a matrix or a convolution."""
    if values.shape == shape:
        return values
    assert values.shape == (int(np.prod(shape[1:])),), (values.shape, shape)
    return np.broadcast_to(values.reshape(shape[1:]), shape)
