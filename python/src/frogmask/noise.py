"""FrozenNoise: while a model trains, its frozen weights are seen with noise in proportion to their scores."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from frogmask.distributed import is_sharded
from frogmask.errors import UsageError
from frogmask.placement import NoiseBlock, Placement
from frogmask.rng import key_of
from frogmask.schedules import Name, Schedule, schedule_named
from frogmask.sources import MasksOrPlacements, parameters_of, placements_of

_CHUNK = 1 << 22  # elements of noise in float32 at a time
_ONE_OPERATION = (nn.Linear, nn.Embedding, nn.modules.conv._ConvNd)  # draw no random numbers of their own


class FrozenNoise:
    """Noise on frozen weights (FROG, section 7).

    In training mode, every forward of a layer that a mask knows uses W + beta·S·N(0, sigma) in place of W.
    S comes from the noise factors.
    Kept weights have no noise, and neither has a model in evaluation mode: its forward is the original one.
    The weights in memory are never changed.

        noise = FrozenNoise(model, masks, beta=0.01, schedule="cosine", steps=1000)
        for batch in batches:
            model(**batch).loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            noise.step()

    Noise is the same in all passes until `step` is called, so accumulation and checkpointing see one function.
    Nothing keeps the noisy weights between forward and backward: a layer is evaluated again in backward, from its input, with noise that is
    drawn again from the same seed. A layer of one operation, such as `nn.Linear`, stops there before it computes anything.
    While a layer runs, its noisy weights and 16 MiB are needed beside the weights.

    A module that takes a weight out of another one, as `nn.MultiheadAttention` takes that of its `out_proj`, sees it without noise.

    The noise is drawn by PyTorch on the device of the weights, so another kind of device draws other numbers.
    All ranks draw the same. FSDP2: make it before or after `fully_shard`, and call the model, not parts of it.
    """

    def __init__(
        self,
        model: nn.Module,
        masks: MasksOrPlacements,
        beta: float,
        sigma: float = 1.0,
        schedule: Name | Schedule = "constant",
        *,
        steps: int | None = None,
        every: int = 1,
        seed: int = 0,
    ) -> None:
        """Adds noise to the forward of the modules that hold the masks' parameters.

        Args:
            model: The model; a SparseTuning may train it.
            masks: What `frogmask.load` gives, or placements.
            beta: The size of the noise.
            sigma: The standard deviation of the normal numbers.
            schedule: `"constant"`, `"linear"`, `"cosine"` or `"adaptive"` (see `frogmask.schedules`), or a schedule of your own.
            steps: Of `"linear"` and `"cosine"`: after so many steps the noise is gone.
            every: Noise is drawn anew after so many steps.
            seed: Of the normal numbers.

        Raises:
            UsageError: Options that make no sense, masks without noise factors, or a model that has noise already.
            MatchError: The masks do not fit the model.
        """
        if not (math.isfinite(beta) and math.isfinite(sigma) and beta >= 0 and sigma >= 0):
            raise UsageError(f"beta={beta}, sigma={sigma}: the noise needs finite sizes of at least 0")
        if every < 1:
            raise UsageError(f"every={every}: noise is drawn anew after at least one step")
        self.model, self.beta, self.sigma, self.every, self.seed = model, beta, sigma, every, seed
        self.schedule: Schedule = schedule_named(schedule, steps) if isinstance(schedule, str) else schedule
        self.number = 0
        self._layers: list[_NoisyLayer] = []

        placements = {one.parameter: one for one in placements_of(model, masks)[0] if one.noise}
        if not placements:
            raise UsageError("the masks have no noise factors for this model; make them with frog-mpi mask")
        parameters = parameters_of(model, list(placements.values()))
        for module in model.modules():
            mine = {}
            for name, parameter in module.named_parameters(recurse=False, remove_duplicate=False):
                owner = next((one for one in placements.values() if parameters[one.parameter] is parameter), None)
                if owner is not None:
                    mine[name] = owner
            if mine:
                self._layers.append(_NoisyLayer(self, module, mine))
        for layer in self._layers:
            layer.install()

    def step(self) -> None:
        """Ends a step of the optimizer: the next forward sees other noise, if it is time for it."""
        self.number += 1

    def observe(self, validation_loss: float) -> None:
        """Tells the schedule a validation loss; `"adaptive"` follows it."""
        self.schedule.observe(float(validation_loss))

    @property
    def scale(self) -> float:
        """What S·N(0,1) is multiplied by in this step."""
        return self.beta * self.sigma * self.schedule.factor(self.number)

    @property
    def draw(self) -> int:
        """The number of this step's noise."""
        return self.number // self.every

    @torch.no_grad()
    def noisy_weight(self, parameter: str) -> torch.Tensor:
        """What a forward in training mode uses in this step in place of a parameter, which has to be whole here."""
        for layer in self._layers:
            for name, placement in layer.placements.items():
                if placement.parameter == parameter:
                    return layer.noisy(name, self.scale, self.draw)
        raise UsageError(f"'{parameter}' has no noise")

    def remove(self) -> None:
        """Gives all modules their original forward back."""
        for layer in self._layers:
            layer.remove()
        self._layers = []

    def state_dict(self) -> dict[str, Any]:
        """The step, and the losses that an adaptive schedule has seen."""
        return {"number": self.number, "schedule": dict(vars(self.schedule))}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Puts back what `state_dict` has given."""
        self.number = state["number"]
        vars(self.schedule).update(state["schedule"])


class _NoisyLayer:
    """A module whose forward sees noise on some of its own parameters."""

    def __init__(self, noise: FrozenNoise, module: nn.Module, placements: dict[str, Placement]) -> None:
        self.noise, self.module, self.placements = noise, module, placements
        self.kept = {name: one.indices.to(torch.int32 if math.prod(one.shape) < 2**31 else torch.int64) for name, one in placements.items()}
        self.forward: Callable[..., Any] = module.forward

    def install(self) -> None:
        if hasattr(self.module.forward, "_frogmask_noise"):
            raise UsageError("the model has noise already; call remove() of the other FrozenNoise first")

        @functools.wraps(self.forward)
        def forward(*arguments: Any, **options: Any) -> Any:
            scale = self.noise.scale
            if not self.module.training or scale == 0:
                return self.forward(*arguments, **options)
            # Values of this moment: backward may come after another step has begun.
            run = functools.partial(self.run, scale, self.noise.draw)
            if not torch.is_grad_enabled():
                return run(*arguments, **options)
            random = not isinstance(self.module, _ONE_OPERATION)
            return checkpoint(run, *arguments, use_reentrant=False, preserve_rng_state=random, **options)

        forward._frogmask_noise = True  # type: ignore[attr-defined]
        self.module.forward = torch.compiler.disable(forward)  # type: ignore[no-untyped-call]
        self.module.forward._frogmask_noise = True  # type: ignore[attr-defined]

    def remove(self) -> None:
        del self.module.forward

    def run(self, scale: float, draw: int, /, *arguments: Any, **options: Any) -> Any:
        with _shadowed(self.module, {name: self.noisy(name, scale, draw) for name in self.placements}):
            return self.forward(*arguments, **options)

    def noisy(self, name: str, scale: float, draw: int) -> torch.Tensor:
        weight, placement = getattr(self.module, name), self.placements[name]
        if is_sharded(weight):
            raise UsageError(f"'{placement.parameter}': a forward sees a shard of the weight; call the model that FSDP2 has sharded")
        if self.kept[name].device != weight.device:
            self.kept[name] = self.kept[name].to(weight.device)
        seed = key_of(self.noise.seed, "noise", draw, *placement.tensors)
        noisy: torch.Tensor = _Noisy.apply(weight, placement.noise, self.kept[name], scale, seed)
        return noisy


@contextmanager
def _shadowed(module: nn.Module, tensors: dict[str, torch.Tensor]) -> Iterator[None]:
    """Has attributes of a module be other tensors; its parameters stay registered, in their order."""
    vars(module).update(tensors)
    try:
        yield
    finally:
        for name in tensors:
            del vars(module)[name]


class _Noisy(torch.autograd.Function):
    """W + noise. The noise is a constant to autograd, so the gradient of W is that of the sum; nothing is kept for it."""

    @staticmethod
    def forward(ctx: Any, weight: torch.Tensor, blocks: Sequence[NoiseBlock], kept: torch.Tensor, scale: float, seed: int) -> torch.Tensor:
        noisy = weight.detach().clone(memory_format=torch.contiguous_format)
        add_noise(noisy, blocks, scale, seed)
        flat = noisy.view(-1)
        # As they were, bit for bit: adding a zero would make 0 of -0.
        original = weight.detach().reshape(-1) if weight.is_contiguous() else weight.detach().contiguous().view(-1)
        flat.index_put_((kept,), original.index_select(0, kept))
        return noisy

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None, None, None, None]:
        return gradients[0], None, None, None, None


def add_noise(tensor: torch.Tensor, blocks: Sequence[NoiseBlock], scale: float, seed: int) -> None:
    """Adds scale·S·N(0,1) to a tensor, in float32 before it is rounded to the tensor's type.

    Args:
        tensor: The whole parameter; changed in place.
        blocks: Where S is known; elsewhere nothing is added.
        scale: The factor.
        seed: 64 bits. Equal seeds add equal noise on equal devices.
    """
    generator = torch.Generator(tensor.device)
    generator.manual_seed(seed)
    for block in blocks:
        view = tensor[block.region]
        first, second = (block.column, block.row) if block.transposed else (block.row, block.column)
        first, second = first.to(tensor.device) * scale, second.to(tensor.device)
        lines = max(1, _CHUNK // max(1, second.numel()))
        flat = view.reshape(first.numel(), second.numel())
        for start in range(0, first.numel(), lines):
            part = first[start : start + lines]
            noise = torch.randn(part.numel(), second.numel(), generator=generator, device=tensor.device)
            noise *= part.unsqueeze(1)
            noise *= second
            noise += flat[start : start + lines]
            flat[start : start + lines] = noise.to(tensor.dtype)
        if flat.data_ptr() != view.data_ptr():
            view.copy_(flat.view(view.shape))
