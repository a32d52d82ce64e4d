"""Layers by their importance: which are trained at all, and how fast (FROG, section 9)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from frogmask.errors import UsageError
from frogmask.placement import Placement
from frogmask.values import KeptValues

Layer = tuple[str | None, int | None]
LayerChoice = str | int | Iterable[int | tuple[str, int]]
By = Literal["uniform", "importance", "layer-decay", "role"]


def importance_of_layers(placements: Sequence[Placement]) -> dict[Layer, float]:
    """What the matrices of each layer add up to: (stack, depth) → ΣR, in the order of the model.

    What lies outside of all layers counts as the layer (None, None).
    """
    found: dict[Layer, float] = {}
    for placement in placements:
        layer = layer_of(placement)
        found[layer] = found.get(layer, 0.0) + placement.importance
    return found


def layer_of(placement: Placement) -> Layer:
    """The layer of a parameter; (None, None) outside of all layers."""
    return (None, None) if placement.depth is None else (placement.stack, placement.depth)


def choose_layers(placements: Sequence[Placement], choice: LayerChoice) -> set[Layer]:
    """The layers that a choice names.

    Args:
        placements: Of the whole mask.
        choice: `"least:3"` or `"most:3"`, by importance; or numbers of layers, or pairs of stack and number.

    Raises:
        UsageError: There is no such layer, or the choice is none.
    """
    importance = importance_of_layers(placements)
    importance.pop((None, None), None)
    if isinstance(choice, str):
        words = re.fullmatch(r"(least|most):([1-9]\d*)", choice)
        if not words:
            raise UsageError(f"'{choice}' chooses no layers; say 'least:3', 'most:3', or give their numbers")
        if int(words[2]) > len(importance):
            raise UsageError(f"'{choice}': the mask has {len(importance)} layers")
        # Equal importance: the earlier layer counts as the less important, so that a choice is never ambiguous.
        ranked = sorted(importance, key=importance.__getitem__)
        return set(ranked[: int(words[2])] if words[1] == "least" else ranked[-int(words[2]) :])
    chosen: set[Layer] = set()
    for one in [choice] if isinstance(choice, int) else choice:
        found = {layer for layer in importance if one in (layer, layer[1])}
        if not found:
            raise UsageError(f"there is no layer {one} in the mask; it has {', '.join(f'{stack}.{depth}' for stack, depth in importance)}")
        chosen |= found
    return chosen


def trained(placements: Sequence[Placement], freeze: LayerChoice | None, only: LayerChoice | None) -> list[Placement]:
    """The placements that stay, in their order.

    Args:
        freeze: Layers that are left out.
        only: Layers that alone are trained; what lies outside of all layers is left out too.

    Raises:
        UsageError: Both are given, or nothing is left.
    """
    if freeze is not None and only is not None:
        raise UsageError("freeze_layers and only_layers exclude each other; give one of them")
    found = list(placements)
    if freeze is not None:
        frozen = choose_layers(placements, freeze)
        found = [one for one in placements if layer_of(one) not in frozen]
    if only is not None:
        chosen = choose_layers(placements, only)
        found = [one for one in placements if layer_of(one) in chosen]
    if not found:
        raise UsageError("freeze_layers leaves nothing to train; name fewer layers")
    return found


def param_groups(
    kept: Sequence[KeptValues],
    lr: float,
    by: By = "uniform",
    *,
    power: float = 1.0,
    floor: float = 0.1,
    decay: float = 0.9,
    roles: dict[str, float] | None = None,
) -> list[dict[str, Any]]:
    """Groups for an optimizer, each with its learning rate.

    Args:
        kept: The values of all parameters.
        lr: The largest learning rate.
        by: `"uniform"`: one group. `"importance"`: a layer of importance R has lr·(R / the largest R)^power.
            `"layer-decay"`: the last layer of a stack has lr, and each earlier one that of the next times `decay`.
            `"role"`: each role has lr times its factor in `roles`, 1 if it is not there.
        power: Of `"importance"`; 0.5 narrows the differences.
        floor: Of `"importance"`: no layer has less than lr times this.
        decay: Of `"layer-decay"`.
        roles: Of `"role"`.

    Returns:
        Groups with `params`, `lr` and `name`. With `"importance"`, what lies outside of all layers is a group of its own;
        with `"layer-decay"` it has the learning rate of the first layer.

    Raises:
        UsageError: An option that plays no part, or a value that makes no sense.
    """
    known = {"power": power != 1.0, "floor": floor != 0.1, "decay": decay != 0.9, "roles": roles is not None}
    used = {"uniform": set[str](), "importance": {"power", "floor"}, "layer-decay": {"decay"}, "role": {"roles"}}
    if by not in used:
        raise UsageError(f"param_groups(by='{by}'): say one of {', '.join(used)}")
    for option in known:
        if known[option] and option not in used[by]:
            raise UsageError(f"param_groups(by='{by}') has no use for {option}; leave it out")
    if not (0 <= floor <= 1 and 0 < decay <= 1 and power >= 0):
        raise UsageError("param_groups: floor lies between 0 and 1, decay above 0 and up to 1, power is not negative")

    placements = [one.placement for one in kept]
    if by == "uniform":
        return [{"params": [one.value for one in kept], "lr": lr, "name": "kept weights"}]
    if by == "role":
        factors = dict(roles or {})
        unknown = factors.keys() - {placement.role for placement in placements}
        if unknown:
            raise UsageError(f"there is no role {', '.join(sorted(unknown))} in the mask")
        return _grouped(kept, {one.role: (one.role, lr * factors.get(one.role, 1.0)) for one in placements}, lambda one: one.role)

    layers = importance_of_layers(placements)
    rates: dict[Layer, tuple[str, float]] = {}
    if by == "importance":
        largest = max(layers.values())
        for layer, importance in layers.items():
            factor = (importance / largest) ** power if largest > 0 else 1.0
            rates[layer] = (_name(layer), lr * max(floor, factor))
    else:
        last: dict[str | None, int] = {}
        for stack, depth in layers:
            if depth is not None:
                last[stack] = max(depth, last.get(stack, 0))
        for stack, depth in layers:
            steps = max(last.values(), default=0) if depth is None else last[stack] - depth
            rates[stack, depth] = (_name((stack, depth)), lr * decay**steps)
    return _grouped(kept, rates, layer_of)


def _grouped(kept: Sequence[KeptValues], rates: dict[Any, tuple[str, float]], key: Any) -> list[dict[str, Any]]:
    groups: dict[Any, dict[str, Any]] = {}
    for one in kept:
        name, rate = rates[key(one.placement)]
        groups.setdefault(key(one.placement), {"params": [], "lr": rate, "name": name})["params"].append(one.value)
    return list(groups.values())


def _name(layer: Layer) -> str:
    return "outside of layers" if layer[1] is None else f"{layer[0]}.{layer[1]}"
