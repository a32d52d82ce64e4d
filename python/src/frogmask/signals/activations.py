"""The size of the inputs that meet the weights of a model, feature by feature.

Products are watched where PyTorch computes them, not at modules: whatever multiplies a parameter, or a part of it, is seen, such as one
expert of a stack, the parts of a fused projection, and layers that are no `nn.Linear`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from frogmask.errors import FormatError

UNREACHED = -1.0
"""What stands for a weight that no input has met."""
_PIECE = 1 << 20  # elements of a copy in double precision

# Where the factors of a product stand among the arguments.
_PRODUCTS = {
    "aten::mm": 0, "aten::bmm": 0, "aten::mv": 0, "aten::addmm": 1, "aten::baddbmm": 1, "aten::addmv": 1, "aten::_addmm_activation": 1,
}  # fmt: skip
_GROUPED = ("aten::_grouped_mm", "transformers::grouped_mm_fallback")


@dataclass(frozen=True)
class Region:
    """A part of a parameter: `sizes` elements along each axis from `start` on."""

    start: tuple[int, ...]
    sizes: tuple[int, ...]


@dataclass(eq=False)
class _Sums:
    """Sums of squares of the inputs that meet the weights of a region, and how many these are.

    Both are float64, with the region's axes; an axis has size 1 if all its positions have the same.
    """

    squares: torch.Tensor
    counts: torch.Tensor


@dataclass(eq=False)
class _View:
    """A tensor that shows elements of a parameter.

    Attributes:
        name: The name of the parameter.
        region: Which elements.
        axes: The axes of the parameter that each dimension of the tensor goes through, the outer first; none for a dimension of one
            element, or of repetitions.
    """

    name: str
    region: Region
    axes: tuple[tuple[int, ...], ...]


class ActivationNorms(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Watches products with parameters while it is active.

    Example:
        norms = ActivationNorms({"weight": layer.weight})
        with torch.no_grad(), norms:
            layer(inputs)
        norms.of("weight")    # the root of the mean square of every input feature, [m, n]
    """

    def __init__(self, parameters: Mapping[str, nn.Parameter]) -> None:
        """Args:
        parameters: What to watch, by name. Their memory must stay where it is.
        """
        super().__init__()  # type: ignore[no-untyped-call]
        self._parameters = parameters
        self._holders: dict[int, list[str]] = {}
        for name, parameter in parameters.items():
            self._holders.setdefault(parameter.untyped_storage().data_ptr(), []).append(name)
        self._sums: dict[str, dict[tuple[Region, torch.Size], _Sums]] = {}
        self._others: dict[str, set[str]] = {}
        self._convolved: set[str] = set()

    def of(self, name: str) -> torch.Tensor:
        """The root of the mean square of the inputs that have met each weight of a parameter.

        Returns:
            float32, of the parameter's shape; axes on which nothing depends are expanded. Weights that nothing has met are `UNREACHED`, or
            NaN if the parameter was used in a way that cannot be followed.
        """
        parameter, regions = self._parameters[name], self._sums.get(name, {})
        missing = math.nan if self._others.get(name) else UNREACHED
        sizes = list(parameter.shape)
        for axis, size in enumerate(parameter.shape):
            if all(shape[axis] == 1 and region.sizes[axis] == size for region, shape in regions):
                sizes[axis] = 1
        squares, counts = torch.zeros(sizes, dtype=torch.float64), torch.zeros(sizes, dtype=torch.float64)
        for (region, _), sums in regions.items():
            part = tuple(
                slice(first, first + length) if size > 1 else slice(0, 1) for first, length, size in zip(region.start, region.sizes, sizes)
            )
            squares[part] += sums.squares.cpu()
            counts[part] += sums.counts.cpu()
        found = (squares / counts).sqrt().to(torch.float32)
        return found.masked_fill_(counts == 0, missing).expand(parameter.shape)

    def is_convolved(self, name: str) -> bool:
        """Whether a parameter is the kernel of a convolution."""
        return name in self._convolved

    def others(self, name: str) -> str:
        """What else was done with a parameter, for people."""
        return ", ".join(sorted(self._others.get(name, ())))

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        used = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor) and self._may_be_watched(leaf)]
        found = func(*args, **(kwargs or {}))
        if used and not _are_views(found, used):
            self._look(func.name().partition(".")[0], args, kwargs or {}, used, found)
        return found

    def _may_be_watched(self, tensor: torch.Tensor) -> bool:
        return tensor.layout == torch.strided and tensor.untyped_storage().data_ptr() in self._holders

    def _look(self, op: str, args: Any, kwargs: Any, used: list[torch.Tensor], found: Any) -> None:
        """Counts the inputs of an operation, if it is one that is understood."""
        seen: list[torch.Tensor] = []
        if op in _PRODUCTS:
            left, right = args[_PRODUCTS[op] : _PRODUCTS[op] + 2]
            columns = right.unsqueeze(-1) if right.dim() == 1 else right
            if self._may_be_watched(right):
                seen += self._product(left, columns, right)
            if self._may_be_watched(left):
                seen += self._product(columns.transpose(-1, -2), left.transpose(-1, -2), left)
        elif op == "aten::linear" and self._may_be_watched(args[1]):
            seen += self._product(args[0].reshape(-1, args[0].shape[-1]), args[1].transpose(-1, -2), args[1])
        elif op in _GROUPED and self._may_be_watched(args[1]) and args[0].dim() == 2 and args[1].dim() == 3:
            ends = kwargs["offs"] if "offs" in kwargs else args[2]
            seen += self._grouped(args[0], args[1], ends.tolist())
        elif op == "aten::convolution" and self._may_be_watched(args[1]):
            seen += self._convolution(found, *args)
        for tensor in used:
            if not any(tensor is other for other in seen):
                for name in self._holders[tensor.untyped_storage().data_ptr()]:
                    if self._offset(tensor, name) is not None:
                        self._others.setdefault(name, set()).add(op.removeprefix("aten::"))

    def _product(self, inputs: torch.Tensor, weights: torch.Tensor, used: torch.Tensor) -> list[torch.Tensor]:
        """Inputs [R, K] or [B, R, K] meet weights [K, M] or [B, K, M]."""
        squares = _squares(inputs, -2).unsqueeze(-1)
        return self._add(weights, squares, torch.full_like(squares, inputs.shape[-2]), used)

    def _grouped(self, inputs: torch.Tensor, weights: torch.Tensor, ends: list[int]) -> list[torch.Tensor]:
        """Consecutive inputs of [S, K] meet one of the weights [E, K, M] each: the first `ends[0]` the first, and so on."""
        starts = [0, *ends[:-1]]
        squares = torch.stack([_squares(inputs[start:end], 0) for start, end in zip(starts, ends)]).unsqueeze(-1)
        counts = torch.tensor([end - start for start, end in zip(starts, ends)], dtype=torch.float64, device=squares.device)
        return self._add(weights, squares, counts.view(-1, 1, 1).expand_as(squares), weights)

    def _convolution(
        self, outputs: torch.Tensor, inputs: torch.Tensor, kernel: torch.Tensor, bias: Any, stride: Any, padding: Any, dilation: Any,
        transposed: bool, output_padding: Any, groups: int,
    ) -> list[torch.Tensor]:  # fmt: skip
        """Sums of x² over all positions: the derivative of a convolution of x² by its kernel, as every output is a sum of kernel · input.

        One output a group is enough, since all of them read the same inputs.
        """
        outer = 1 if transposed else 0
        repeats = kernel.shape[outer] if transposed else kernel.shape[0] // groups
        narrow = [1 if axis == 1 else size for axis, size in enumerate(kernel.shape)] if transposed else [groups, *kernel.shape[1:]]
        weights = torch.zeros(narrow, dtype=torch.float64, device=kernel.device)
        squares = torch.zeros_like(weights)
        ones = torch.ones(1, 1, *(1 for _ in outputs.shape[2:]), dtype=torch.float64, device=kernel.device)
        for example in torch.split(inputs, 1):
            given = (
                ones.expand(1, groups, *outputs.shape[2:]), example.to(torch.float64).square(), weights, None, stride, padding, dilation,
                transposed, output_padding, groups, [False, True, False],
            )  # fmt: skip
            squares += torch.ops.aten.convolution_backward(*given)[1]
        if groups > 1:
            squares = squares.repeat_interleave(repeats, dim=outer)
        positions = math.prod((inputs if transposed else outputs).shape[2:]) * inputs.shape[0]
        seen = self._add(kernel, squares, torch.full_like(squares, positions), kernel)
        for name in self._holders[kernel.untyped_storage().data_ptr()] if seen else ():
            self._convolved.add(name)
        return seen

    def _add(self, weights: torch.Tensor, squares: torch.Tensor, counts: torch.Tensor, used: torch.Tensor) -> list[torch.Tensor]:
        """Adds sums that have the dimensions of `weights`, or 1, to those of the parameter.

        Returns:
            `used`, if `weights` shows elements of a parameter.
        """
        is_seen = False
        for name in self._holders[weights.untyped_storage().data_ptr()]:
            view = self._view(weights, name)
            if view is None:
                continue
            is_seen = True
            if not bool(torch.isfinite(squares).all()):
                raise FormatError(f"the inputs of parameter '{name}' are not finite: use --dtype float32, or leave the example out")
            own_squares, own_counts = _turned(squares, weights, view), _turned(counts, weights, view)
            sums = self._sums.setdefault(name, {})
            key = view.region, own_squares.shape
            if key in sums:
                sums[key].squares += own_squares
                sums[key].counts += own_counts
            else:
                sums[key] = _Sums(own_squares.clone(), own_counts.clone())
        return [used] if is_seen else []

    def _view(self, tensor: torch.Tensor, name: str) -> _View | None:
        """Which elements of a parameter a tensor of its storage shows; None if none of it, or in an order that is not that of its axes."""
        parameter, rest = self._parameters[name], self._offset(tensor, name)
        if rest is None:
            return None
        strides = [0 if size == 1 else stride for size, stride in zip(parameter.shape, parameter.stride())]
        start = [0] * len(strides)
        for axis in sorted(range(len(strides)), key=lambda axis: -strides[axis]):
            if strides[axis]:
                start[axis], rest = divmod(rest, strides[axis])
        sizes = [1] * len(strides)
        axes: list[tuple[int, ...]] = []
        for size, stride in zip(tensor.shape, tensor.stride()):
            run: tuple[int, ...] = ()
            # A dimension of a reshaped parameter goes through several axes, all of each but the outermost.
            while size > 1 and stride > 0:
                if stride not in strides or strides.index(stride) in run or sizes[strides.index(stride)] != 1:
                    return None
                axis = strides.index(stride)
                sizes[axis] = min(size, parameter.shape[axis])
                run = (axis, *run)
                if size % sizes[axis] or (size > sizes[axis] and start[axis]):
                    return None
                size, stride = size // sizes[axis], stride * sizes[axis]
            axes.append(run)
        if rest or any(first + size > whole for first, size, whole in zip(start, sizes, parameter.shape)):
            return None
        return _View(name, Region(tuple(start), tuple(sizes)), tuple(axes))

    def _offset(self, tensor: torch.Tensor, name: str) -> int | None:
        """Where in a parameter's memory a tensor of its storage begins; None if it does not begin there."""
        parameter = self._parameters[name]
        offset = int(tensor.storage_offset() - parameter.storage_offset())
        return offset if 0 <= offset < parameter.numel() else None


def _turned(sums: torch.Tensor, weights: torch.Tensor, view: _View) -> torch.Tensor:
    """Sums with the dimensions of a view, added up over repetitions, with the axes of the parameter."""
    shape: list[int] = []
    for dimension, run in enumerate(view.axes):
        if not run:
            # What is repeated without being listed meets as many inputs each time.
            repeats = weights.shape[dimension] if sums.shape[dimension] == 1 else 1
            sums = sums.sum(dimension, keepdim=True) * repeats
        shape += [view.region.sizes[axis] if sums.shape[dimension] > 1 else 1 for axis in run]
    order = [axis for run in view.axes for axis in run]
    split = sums.reshape(shape).permute(*sorted(range(len(order)), key=order.__getitem__))
    found = [1] * len(view.region.sizes)
    for axis, size in zip(sorted(order), split.shape):
        found[axis] = size
    return split.reshape(found)


def _squares(inputs: torch.Tensor, dimension: int) -> torch.Tensor:
    """Sums of squares along a dimension, in double precision: float64, [K] of [R, K], [B, K] of [B, R, K]."""
    shape = list(inputs.shape)
    del shape[dimension]
    step = max(1, _PIECE // max(1, math.prod(shape)))
    found = torch.zeros(shape, dtype=torch.float64, device=inputs.device)
    for piece in torch.split(inputs, step, dimension):
        found += piece.to(torch.float64).square().sum(dimension)
    return found


def _are_views(found: Any, used: list[torch.Tensor]) -> bool:
    """Whether an operation has only made views of what was given."""
    storages = {tensor.untyped_storage().data_ptr() for tensor in used}
    made = [leaf for leaf in tree_leaves(found) if isinstance(leaf, torch.Tensor)]
    return all(tensor.untyped_storage().data_ptr() in storages for tensor in made)
