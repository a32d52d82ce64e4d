"""Signals of a loaded model: how large activations and gradients are over calibration batches."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from frogmask.checkpoint import Checkpoint
from frogmask.errors import FormatError, UsageError
from frogmask.signals.activations import UNREACHED, ActivationNorms
from frogmask.signals.batches import Batch, examples, size, without_padding
from frogmask.signals.folder import SignalFolder
from frogmask.signals.gradients import GradientMeans
from frogmask.signals.homes import Group, Homes

KINDS = ("activation", "gradient", "fisher")


@dataclass
class Summary:
    """What was collected.

    Attributes:
        tensors: The number of tensors that have a signal.
        batches: How many batches there were.
        examples: How many examples there were.
        unreached: The tensors, and experts such as `T[3]`, that no input or gradient has reached: their signal is 0.
        absent: The tensors of the checkpoint that have no signal, with the reason.
        newcomers: The parameters of the model that are in no tensor of the checkpoint.
    """

    tensors: int = 0
    batches: int = 0
    examples: int = 0
    unreached: list[str] = field(default_factory=list)
    absent: dict[str, str] = field(default_factory=dict)
    newcomers: list[str] = field(default_factory=list)


def collect(
    model: nn.Module,
    batches: Iterable[Batch],
    kind: str,
    out: str | os.PathLike[str],
    *,
    checkpoint: str | os.PathLike[str],
    run: Callable[[nn.Module, Batch], torch.Tensor | None] | None = None,
    exclude: Sequence[str] = (),
    about: Mapping[str, Any] | None = None,
) -> Summary:
    """Collects a signal for every tensor of a checkpoint that may be a weight matrix, and writes the signals under their names.

    The model is in `eval()` meanwhile, and is as it was afterwards.

    Args:
        model: The loaded model.
        batches: What the model is called with: tensors by argument, [examples, …]. They are moved to the model's device.
        kind: `activation`: the root of the mean square of the inputs that meet each weight, over all positions that are not padding.
            `gradient`: the mean over batches of |G|, G the gradient of a batch's loss. `fisher`: the mean over examples of G², G the
            gradient of one example's loss.
        out: The folder to write, new or empty.
        checkpoint: What the model was loaded from: a folder as Hugging Face stores it, or one safetensors file.
        run: Calls the model with a batch and returns the loss, which is not needed for activations. By default it is `model(**batch).loss`.
        exclude: Patterns of tensors to leave out, such as `*embed*`.
        about: What signals.json says beside what this function knows.

    Raises:
        UsageError: There is something in `out`, there are no batches, or the model returns no loss.
        MatchError: The model has none of the checkpoint's tensors, or other shapes.
        FormatError: A loss, gradient or activation is not finite.
        WriteError: The disk is full, or fails.
    """
    if kind not in KINDS:
        raise UsageError(f"there is no signal '{kind}': {', '.join(KINDS)}")
    homes = Homes(model, Checkpoint(checkpoint), exclude)
    summary = Summary(newcomers=list(homes.newcomers))
    summary.absent = dict.fromkeys(homes.strays, "the model has no parameter for it")
    with SignalFolder(out, homes.shapes) as folder, _evaluating(model):
        if kind == "activation":
            norms = ActivationNorms(homes.parameters)
            with torch.no_grad():
                for batch in _counted(model, batches, summary):
                    for part in _unpadded(model, batch):
                        with norms:
                            (run or _call)(model, part)
            _check_any(summary)
            for group in homes.groups:
                _write_norms(folder, homes, group, norms, summary)
        else:
            with GradientMeans(model, homes.parameters, folder.work, squared=kind == "fisher") as means, torch.enable_grad():
                for batch in _counted(model, batches, summary):
                    for part in _alone(model, batch) if kind == "fisher" else [batch]:
                        _backward((run or _loss)(model, part), summary)
                        means.step()
            _check_any(summary)
            for group in homes.groups:
                _write_means(folder, homes, group, means, summary)
        if summary.tensors == 0:
            raise UsageError(f"no tensor has a signal: {next(iter(summary.absent.values()), 'all are excluded')}")
        counts = {"batches": summary.batches, "examples": summary.examples}
        named = {"absent": summary.absent, "newcomers": summary.newcomers, "unreached": summary.unreached}
        folder.finish(dict(about or {}) | counts | named | {"exclude": list(exclude), "kind": kind})
    return summary


def _write_norms(folder: SignalFolder, homes: Homes, group: Group, norms: ActivationNorms, summary: Summary) -> None:
    """Writes the norms of a group.

    A matrix whose rows all meet the same inputs has [n], a stack of such experts [E, n]; anything else has a value for each weight.
    """
    others = ", ".join(dict.fromkeys(norms.others(name) for name in group.parameters if norms.others(name)))
    is_kernel = any(norms.is_convolved(name) for name in group.parameters)
    for tensor, values in homes.to_checkpoint(group, {name: norms.of(name) for name in group.parameters}):
        if bool(values.isnan().any()):
            summary.absent[tensor] = f"its inputs cannot be seen: the model uses it in {others}"
            continue
        if values.dim() == 2 or is_kernel:
            rows = values.flatten(1)
            compact = rows[0] if _is_repeated(rows, 0) else values
        else:
            compact = values[:, 0] if values.dim() == 3 and _is_repeated(values, 1) else values
        summary.unreached += _unreached(tensor, compact, values, is_kernel, UNREACHED)
        folder.add(tensor, compact.clamp(min=0))
        summary.tensors += 1


def _write_means(folder: SignalFolder, homes: Homes, group: Group, means: GradientMeans, summary: Summary) -> None:
    for tensor, values in homes.to_checkpoint(group, {name: means.of(name) for name in group.parameters}):
        summary.unreached += _unreached(tensor, values, values, False, 0)
        folder.add(tensor, values, means.steps)
        summary.tensors += 1
    for name in group.parameters:
        means.forget(name)


def _unreached(tensor: str, compact: torch.Tensor, values: torch.Tensor, is_kernel: bool, nothing: float) -> list[str]:
    """The name of the tensor if nothing has reached it, or the names of such experts in a stack."""
    if values.dim() == 3 and not is_kernel:
        return [f"{tensor}[{expert}]" for expert, part in enumerate(compact) if bool((part == nothing).all())]
    return [tensor] if bool((compact == nothing).all()) else []


def _is_repeated(values: torch.Tensor, axis: int) -> bool:
    """Whether all positions along an axis hold the same."""
    if values.stride(axis) == 0:
        return True
    first = values.narrow(axis, 0, 1)
    return all(bool((values.narrow(axis, position, 1) == first).all()) for position in range(values.shape[axis]))


def _counted(model: nn.Module, batches: Iterable[Batch], summary: Summary) -> Iterator[Batch]:
    """Batches on the device of the model, counted."""
    device = next(model.parameters()).device
    for batch in batches:
        summary.examples += size(batch)
        summary.batches += 1
        yield {name: tensor.to(device) for name, tensor in batch.items()}


def _unpadded(model: nn.Module, batch: Batch) -> Iterator[Batch]:
    """The examples of a batch without padding, by length."""
    if not _has_two_sequences(model):
        yield from without_padding(batch)
        return
    masks = [batch[name] != 0 for name in ("attention_mask", "decoder_attention_mask") if name in batch]
    if "labels" in batch:
        masks.append(batch["labels"] >= 0)
    if not all(bool(mask.all()) for mask in masks):
        raise UsageError(
            "the activations of an encoder-decoder model need batches without padding: give it examples of one length at a time"
        )
    yield batch


def _alone(model: nn.Module, batch: Batch) -> Iterator[Batch]:
    """The examples of a batch one by one; without padding, where it is known which tensors are padded."""
    for example in examples(batch):
        yield example if _has_two_sequences(model) else next(without_padding(example))


def _has_two_sequences(model: nn.Module) -> bool:
    return bool(getattr(getattr(model, "config", None), "is_encoder_decoder", False))


def _check_any(summary: Summary) -> None:
    if summary.batches == 0:
        raise UsageError("there are no batches: the data is empty")


def _call(model: nn.Module, batch: Batch) -> None:
    model(**batch)


def _loss(model: nn.Module, batch: Batch) -> torch.Tensor | None:
    loss = getattr(model(**batch), "loss", None)
    return loss if isinstance(loss, torch.Tensor) else None


def _backward(loss: torch.Tensor | None, summary: Summary) -> None:
    if loss is None:
        raise UsageError(
            "the model returns no loss: give it labels, give collect a function `run` that returns a loss, or collect activations"
        )
    value = float(loss.detach()) if loss.numel() == 1 else None
    if value is None or not math.isfinite(value):
        problem = f"has the shape {list(loss.shape)}, not that of one number" if value is None else f"is {value}"
        raise FormatError(f"the loss of batch {summary.batches} {problem}; an example without labels, or numbers too large for the dtype")
    if not loss.requires_grad:
        raise UsageError("the loss does not depend on the weights that have a place in the checkpoint")
    loss.backward()  # type: ignore[no-untyped-call]


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode
