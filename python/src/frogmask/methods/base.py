"""What the methods share: finding the linear layers of a model, adapting them, and merging and saving what was trained."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar, Literal, TypeVar

import torch
from torch import nn
from torch.nn import functional

from frogmask.errors import FormatError, UsageError
from frogmask.methods.folder import AdapterFolder
from frogmask.methods.linears import check_origin, linear_layers
from frogmask.methods.values import TrainedValues, save_values
from frogmask.sources import refuse_wrapped

Init = Literal["random", "zeros"]
Kind = TypeVar("Kind", bound="Layer")


class Layer(nn.Module):
    """What a method adds to one linear layer: frozen factors, and the values that are trained, in float32.

    It becomes a part of the linear layer, whose forward it takes over.
    Factors are parameters, not buffers, because DistributedDataParallel sends all buffers in every step.

    Attributes:
        part: The name under which it hangs in the linear layer.
        keys: Of every trained value, where a folder has it; `{}` stands for the path of the module.
    """

    part: ClassVar[str]
    keys: ClassVar[dict[str, str]]

    @classmethod
    def read(cls: type[Kind], folder: AdapterFolder, tensor: str) -> Kind:
        """The layer of one weight, with the factors of a folder, and all values at zero or their start.

        Raises:
            FormatError: The folder lacks or garbles something.
        """
        raise NotImplementedError

    def forward(self, x: torch.Tensor, linear: nn.Linear) -> torch.Tensor:
        """What the adapted linear layer makes of x, [… , n] → [… , m]."""
        raise NotImplementedError

    def merged(self, linear: nn.Linear) -> torch.Tensor:
        """The weight that gives the same: [m, n], float32 or better."""
        raise NotImplementedError

    def leading(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The largest singular value σ₁, its left vector u₁, [m], and its right vector v₁, [n], as the factors have them."""
        raise NotImplementedError

    def start(self, tensor: str, init: Init, seed: int) -> None:
        """Gives the values their start. The numbers depend on the seed, the name of the tensor and the position alone.

        Raises:
            UsageError: There is no such start.
        """
        if init not in ("random", "zeros"):
            raise UsageError(f"init='{init}': say 'random' or 'zeros'")

    def values(self) -> dict[str, nn.Parameter]:
        """The values that are trained, by their names in `keys`."""
        return {name: getattr(self, name) for name in self.keys}

    def fit(self, weight: torch.Tensor) -> None:
        """Moves the factors to the device of the weight, and widens them to its type if that is the wider one."""
        for name, parameter in self.named_parameters():
            if name not in self.keys and parameter.is_floating_point():
                parameter.data = parameter.data.to(weight.device, torch.promote_types(parameter.dtype, weight.dtype))
        self.to(weight.device)


class Adapter:
    """A model whose linear layers a method has adapted. Nothing else of the model is trained.

    The model stays an ordinary one: optimizers, schedulers, autocast, activation checkpointing and DistributedDataParallel, if it wraps
    the model afterwards, work as they do without it.

        adapter = svft.attach(model, "my-svft")
        optimizer = torch.optim.AdamW(adapter.parameters(), lr=1e-3)
        ...
        adapter.save("trained")
        adapter.merge()

    Attributes:
        model: The model.
        folder: The folder of the factors.
        layers: What was added, by the names of the checkpoint's tensors.
    """

    def __init__(self, model: nn.Module, folder: AdapterFolder, kind: type[Kind], start: Callable[[Kind, str], None]) -> None:
        """Adapts a model; see `attach` of the methods. After an error the model is as it was."""
        # 1. Find the linear layers, read and check everything.
        refuse_wrapped(model)
        refuse_second(model)
        linears = linear_layers(model, folder)
        layers: dict[str, Kind] = {}
        for tensor, linear in linears.items():
            layer = kind.read(folder, tensor)
            start(layer, tensor)
            layer.fit(linear.weight)
            check_origin(tensor, linear.weight, layer.leading(), folder)
            layers[tensor] = layer

        # 2. Freeze the model, and the factors.
        for parameter in [*model.parameters(), *(parameter for layer in layers.values() for parameter in layer.parameters())]:
            parameter.requires_grad_(False)
            parameter.grad = None

        # 3. Let the layers take over.
        self.model, self.folder = model, folder
        self.layers: dict[str, Layer] = {**layers}
        self._linears = linears
        for tensor, layer in layers.items():
            for value in layer.values().values():
                value.requires_grad_(True)
            linear = linears[tensor]
            linear.add_module(layer.part, layer)
            linear.forward = functools.partial(_adapted, linear, layer.part)  # type: ignore[method-assign]

    def parameters(self) -> list[nn.Parameter]:
        """The values to train, for an optimizer."""
        return [value for layer in self.layers.values() for value in layer.values().values()]

    def named_parameters(self) -> list[tuple[str, nn.Parameter]]:
        """The same with the names that files give them."""
        return [(key, value) for tensor in self.layers for key, value in self._named(tensor)]

    def save(self, directory: str | os.PathLike[str]) -> None:
        """Saves the trained values, without the factors: `load` of the method takes them.

        Args:
            directory: A folder of its own, or that of the factors, which `load` then finds by itself.

        Raises:
            FormatError: A value is not finite.
            WriteError: A file could not be written.
        """
        values = {tensor: dict(self._named(tensor)) for tensor in self.layers}
        save_values(Path(directory), self.folder, values)

    @torch.no_grad()
    def merge(self) -> None:
        """Writes the trained weights to the model, rounded to its type, and detaches: what is left is an ordinary model.

        Raises:
            UsageError: The adapter is detached already, or training has diverged; then nothing has changed.
        """
        self._check_attached()
        for name, value in self.named_parameters():
            if not bool(torch.isfinite(value).all()):
                raise UsageError(f"'{name}' has values that are not finite: training has diverged; detach() brings the base model back")
        for tensor, layer in self.layers.items():
            linear = self._linears[tensor]
            linear.weight.copy_(layer.merged(linear))
        self.detach()

    def detach(self) -> None:
        """Takes the layers away: the model is what it was before, with all of its parameters frozen.

        Raises:
            UsageError: The adapter is detached already.
        """
        self._check_attached()
        for tensor, layer in self.layers.items():
            linear = self._linears[tensor]
            del linear.forward
            del linear._modules[layer.part]
        self._linears = {}

    def _check_attached(self) -> None:
        if not self._linears:
            raise UsageError("this adapter was merged or detached; attach it again")

    def _named(self, tensor: str) -> list[tuple[str, nn.Parameter]]:
        layer, module = self.layers[tensor], tensor.removesuffix(".weight")
        return [(layer.keys[name].format(module), value) for name, value in layer.values().items()]


def attach(
    model: nn.Module,
    directory: str | os.PathLike[str],
    method: str,
    kind: type[Layer],
    checkpoint: str | os.PathLike[str] | None,
    init: Init = "zeros",
    seed: int = 0,
) -> Adapter:
    """Adapts the linear layers of a model.

    Args:
        model: On its device, in its type. All of its parameters are frozen.
        directory: What `frog-mpi export` has written.
        method: The method that it must be of.
        kind: The layers of the method.
        checkpoint: The checkpoint of the model: its fingerprint is compared, which reads all of its weight matrices.
        init: How the values start, in the words of the method.
        seed: Of random starts. The numbers depend on it, on the tensor's name and on the position.

    Raises:
        MatchError: The folder does not fit the model, or belongs to another checkpoint.
        FormatError: The folder lacks or garbles something.
        UsageError: The model has an adapter already, the folder is of another method, or there is no such start.
    """
    return Adapter(model, AdapterFolder(directory, method, checkpoint), kind, lambda layer, tensor: layer.start(tensor, init, seed))


def load(
    model: nn.Module,
    directory: str | os.PathLike[str],
    factors: str | os.PathLike[str] | None,
    method: str,
    kind: type[Layer],
    checkpoint: str | os.PathLike[str] | None,
) -> Adapter:
    """Adapts the linear layers of a model with values that `Adapter.save` has written.

    Args:
        model: As in `attach`, and so are `method`, `kind` and `checkpoint`.
        directory: The folder of the values.
        factors: The folder that `attach` was given; None if it is `directory` itself.

    Raises:
        MatchError: As in `attach`, or the values were trained with other factors.
        FormatError: A folder lacks or garbles something.
        UsageError: As in `attach`, or `factors` has to be given.
    """
    saved = TrainedValues(directory)
    folder = saved.folder_of_factors(method, factors, checkpoint)

    def start(layer: Layer, tensor: str) -> None:
        module = tensor.removesuffix(".weight")
        for name, value in layer.values().items():
            value.data = saved.read(layer.keys[name].format(module), tuple(value.shape))

    return Adapter(model, folder, kind, start)


def through(x: torch.Tensor, right: torch.Tensor, core: torch.Tensor, left: torch.Tensor) -> torch.Tensor:
    """left · core · right · x for every x, without a product of the size of the weight.

    Args:
        x: [… , n].
        right: [r, n], in the type of `left`.
        core: [r, r]; it and what it is applied to are float32 or better, unless autocast says otherwise.
        left: [m, r].
    """
    inner = functional.linear(x.to(right.dtype), right)
    wide = torch.promote_types(inner.dtype, core.dtype)
    inner = functional.linear(inner.to(wide), core.to(wide))
    return functional.linear(inner.to(left.dtype), left)


def added(y: torch.Tensor, change: torch.Tensor) -> torch.Tensor:
    """y + change, in the type of y."""
    return y + change.to(y.dtype)


def _adapted(linear: nn.Linear, part: str, input: torch.Tensor) -> torch.Tensor:
    found: torch.Tensor = linear._modules[part](input, linear)  # type: ignore[misc]
    return found


def refuse_second(model: nn.Module) -> None:
    """Refuses a model that is adapted or tuned already: the first training would be frozen.

    Raises:
        UsageError: It is.
    """
    if any(isinstance(module, Layer) for module in model.modules()):
        raise UsageError("the model has an adapter already: call its merge() or detach() first")
    for name, parameter in model.named_parameters():
        if hasattr(parameter, "_frogmask_tuning"):
            raise UsageError(f"'{name}': a SparseTuning trains this model; call its detach() first")


def descending(folder: AdapterFolder, name: str, values: torch.Tensor) -> torch.Tensor:
    """Singular values, float32 or better, which must descend and not be negative.

    Raises:
        FormatError: They do not.
    """
    wide = values.to(torch.promote_types(values.dtype, torch.float32))
    if bool((wide < 0).any()) or bool((wide[1:] > wide[:-1]).any()):
        raise FormatError(f"{folder.folder}: '{name}' does not descend to 0 or more; export it again")
    return wide


def frozen(tensors: Sequence[torch.Tensor]) -> list[nn.Parameter]:
    """Parameters that are not trained."""
    return [nn.Parameter(tensor, requires_grad=False) for tensor in tensors]
