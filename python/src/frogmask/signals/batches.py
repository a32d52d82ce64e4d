"""Batches: what a model is called with, as tensors by the names of its arguments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch

from frogmask.errors import UsageError

Batch = Mapping[str, torch.Tensor]


def examples(batch: Batch) -> Iterator[Batch]:
    """The examples of a batch, as batches of one."""
    for number in range(size(batch)):
        yield {name: tensor[number : number + 1] for name, tensor in batch.items()}


def size(batch: Batch) -> int:
    """The number of examples.

    Raises:
        UsageError: There are none, or tensors differ in their numbers.
    """
    sizes = {tensor.shape[0] if tensor.dim() else 0 for tensor in batch.values()}
    if len(sizes) != 1 or 0 in sizes:
        shapes = ", ".join(f"'{name}' {list(tensor.shape)}" for name, tensor in batch.items())
        raise UsageError(f"the tensors of a batch need a first dimension of examples, the same in all: {shapes or 'there are none'}")
    return sizes.pop()


def without_padding(batch: Batch) -> Iterator[Batch]:
    """The same examples without padded positions, grouped by length.

    What a model makes of an example does not depend on its padding, so nothing that is padded has to enter it.

    Args:
        batch: With `attention_mask` [examples, positions], 0 where an example is padded; as it is without one.

    Raises:
        UsageError: An attention mask has zeros between ones.
    """
    mask = batch.get("attention_mask")
    if mask is None or mask.dim() != 2 or bool(mask.all()):
        yield batch
        return
    is_real = mask != 0
    lengths = is_real.sum(1)
    starts = is_real.to(torch.int64).argmax(1)
    groups: dict[tuple[int, int], list[int]] = {}
    for number, (start, length) in enumerate(zip(starts.tolist(), lengths.tolist())):
        if length == 0 or not bool(is_real[number, start : start + length].all()):
            raise UsageError(f"the attention mask of example {number + 1} of a batch has zeros between ones, or no ones")
        groups.setdefault((start, length), []).append(number)
    for (start, length), numbers in groups.items():
        chosen = torch.tensor(numbers, device=mask.device)
        found = {}
        for name, tensor in batch.items():
            own = tensor[chosen.to(tensor.device)]
            found[name] = own[:, start : start + length] if tensor.shape[:2] == mask.shape else own
        yield found
