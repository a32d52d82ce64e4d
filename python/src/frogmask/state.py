"""What a training is resumed from, and what becomes of an optimizer's state when the mask changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from frogmask.distributed import joined, like_parameter, local_part
from frogmask.errors import UsageError
from frogmask.values import KeptValues, scatter

FORMAT = "frogmask-tuning"
VERSION = 1


def state_of(kept: Mapping[str, KeptValues], decay: str) -> dict[str, Any]:
    """The state of some values, as plain tensors and words. Collective where they are sharded.

    Returns:
        `parameters` has for each name `indices` [K], `values` [K] (float32, as the optimizer sees them) and `origin` [K] (pretrained).
        `left` has the positions that earlier masks alone kept, with their weights and pretrained weights, [k] each.
    """
    parameters, left = {}, {}
    for name, one in kept.items():
        parameters[name] = {
            "indices": one.placement.indices.clone(),
            "values": one.whole(one.numbers()).cpu(),
            "origin": one.whole(one.origin).cpu(),
        }
        positions, origin = one.left
        mine = {"indices": one.shard.outside(positions), "weights": one.weights_left(), "origin": origin}
        every = {key: joined(numbers, one.parameter) for key, numbers in mine.items()}
        if every["indices"].numel():
            left[name] = every
    return {"format": FORMAT, "version": VERSION, "decay": decay, "parameters": parameters, "left": left}


@torch.no_grad()
def load_state(kept: Mapping[str, KeptValues], decay: str, state: Mapping[str, Any]) -> None:
    """Puts a state into values of the same mask, and writes them to the model."""
    if state.get("format") != FORMAT or state.get("version") != VERSION:
        raise UsageError("this is no state of a SparseTuning of this version; give what its state_dict() returned")
    if state["decay"] != decay:
        raise UsageError(f"the state has decay='{state['decay']}', this SparseTuning '{decay}'; make it with the same")
    saved = state["parameters"]
    for name in kept.keys() ^ saved.keys():
        raise UsageError(f"'{name}': the state is of another mask; make SparseTuning with the masks of the last update")
    for name, one in kept.items():
        if not torch.equal(one.placement.indices.cpu(), saved[name]["indices"]):
            raise UsageError(f"'{name}': the state is of another mask; make SparseTuning with the masks of the last update")
    for name, one in kept.items():
        one.numbers().copy_(one.mine(saved[name]["values"]))
        one.origin.copy_(one.mine(saved[name]["origin"]))
        if name in state["left"]:
            left = {key: numbers.to(one.origin.device) for key, numbers in state["left"][name].items()}
            order, positions = one.shard.select(left["indices"])
            weights, origin = (left[key] if order is None else left[key][order] for key in ("weights", "origin"))
            one.left = (positions, origin)
            scatter(local_part(one.parameter).detach(), positions, weights)
        one.write()


def optimizer_state_moved(
    optimizers: Sequence[torch.optim.Optimizer], old: KeptValues, new: KeptValues, new_at: torch.Tensor, old_at: torch.Tensor
) -> None:
    """Gives optimizers the values of another mask in place of the old ones, with their state of the weights in both.

    The old `value` stays the same object, so that whoever holds it trains the new one.

    Args:
        new_at: The numbers of the weights in both masks among the new ones, int64.
        old_at: Their numbers among the old ones, int64.
    """
    room = local_part(old.value).numel()
    for optimizer in optimizers:
        for key, tensor in optimizer.state.get(old.value, {}).items():
            # Whatever has the size of the old values belongs to weights one by one; step counts and the like do not.
            if isinstance(tensor, torch.Tensor) and tensor.shape == old.value.shape and local_part(tensor).numel() == room:
                moved = torch.zeros(local_part(new.value).numel(), dtype=tensor.dtype, device=local_part(tensor).device)
                moved[new_at] = local_part(tensor)[old_at]
                optimizer.state[old.value][key] = like_parameter(moved, old.parameter)
    old.value.grad = None
    replacement = new.value
    torch.utils.swap_tensors(old.value, replacement)  # type: ignore[no-untyped-call]
    new.value = old.value
