"""SparseTuning: training that changes the kept weights of a mask, and nothing else."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.distributed as dist

from frogmask import groups, saving
from frogmask.distributed import average, is_sharded, largest_counts, local_part
from frogmask.errors import UsageError
from frogmask.placement import Placement
from frogmask.sources import MasksOrPlacements, MatchLike, parameters_of, placements_of
from frogmask.state import load_state, optimizer_state_moved, state_of
from frogmask.values import Decay, Init, KeptValues, gather


class SparseTuning:
    """Trains the kept weights of a model.

    The model's forward is untouched.
    In backward, as soon as the gradient of a parameter is complete, its entries at the kept positions are taken, and it is freed.
    So there are never more dense gradients than those that autograd is working on.
    After each optimizer step the new values are written to the model's weights.

        tuning = SparseTuning(model, masks)
        optimizer = torch.optim.AdamW(tuning.parameters(), lr=1e-4)
        tuning.attach(optimizer)
        for batch in batches:
            model(**batch).loss.backward()
            optimizer.step()
            optimizer.zero_grad()

    What an optimizer trains are float32 vectors, also where the model has 16-bit weights: small steps add up in them.
    With `decay="pretrained"` they hold distances from the pretrained weights, so that weight decay pulls towards those.
    Optimizers that scale steps by the size of a parameter (Adafactor's `scale_parameter`, LAMB) need `decay="zero"`.

    Data parallel training: every rank makes a SparseTuning of the same model, and gradients of kept weights are averaged over all ranks
    at the end of each backward. `DistributedDataParallel` is not needed. Other parameters that are to be trained, such as a new head, may
    have it: it leaves the tuned ones alone, if it is made after the SparseTuning.
    FSDP2: call `fully_shard` first. Each rank then holds the values of its own rows, and constructing is collective.

    Reentrant checkpointing sends a message for each segment, so the other kind is to be preferred.
    A compiled model gives all gradients of a graph at once, so all of them are alive at the end of its backward.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        masks: MasksOrPlacements,
        *,
        init: Init = "pretrained",
        alpha: float | None = None,
        seed: int = 0,
        decay: Decay = "pretrained",
        freeze_layers: groups.LayerChoice | None = None,
        only_layers: groups.LayerChoice | None = None,
        strict: bool = True,
        process_group: dist.ProcessGroup | None = None,
    ) -> None:
        """Freezes the model, but for the kept weights.

        Args:
            model: On its device, in its type, sharded if it is to be.
            masks: What `frogmask.load` gives, or placements.
            init: `"pretrained"` starts from the model. `"frog"` starts with w = alpha·S·N(0,1), `"frog-add"` with w + that.
            alpha: Of `"frog"` and `"frog-add"`.
            seed: Of `"frog"` and `"frog-add"`. The numbers depend on it, on the tensor's name and on the position, not on ranks.
            decay: What weight decay pulls towards: the `"pretrained"` weights, or `"zero"`.
            freeze_layers: Layers to leave out: `"least:3"`, `"most:3"`, or their numbers (see `groups.choose_layers`).
            only_layers: Layers that alone are trained, in the same words.
            strict: Whether masks that have no parameter in the model are an error; otherwise they are ignored.
            process_group: The ranks that average gradients, if the model is not sharded; by default all.

        Raises:
            UsageError: Options that do not go together, or a parameter that cannot be trained.
            MatchError: The masks do not fit the model.
        """
        if init not in ("pretrained", "frog", "frog-add"):
            raise UsageError(f"init='{init}': say 'pretrained', 'frog' or 'frog-add'")
        if decay not in ("pretrained", "zero"):
            raise UsageError(f"decay='{decay}': say 'pretrained' or 'zero'")
        if (alpha is None) != (init == "pretrained"):
            problem = "needs alpha, the size of its noise" if alpha is None else "has no use for alpha; leave it out"
            raise UsageError(f"init='{init}' {problem}")
        self.model = model
        self.decay: Decay = decay
        self._process_group = process_group
        self.sources: list[tuple[MasksOrPlacements, MatchLike | None]] = []
        self._choice = (freeze_layers, only_layers, strict)
        self._optimizers: list[torch.optim.Optimizer] = []
        self._handles: list[Any] = []
        self._hooks: dict[str, Any] = {}
        self._pending: dict[str, torch.Tensor] = {}
        self._is_queued = False
        self._sends = True

        # 1. Find the parameters, and refuse what cannot be tuned.
        placements = self._placements(masks)
        parameters = dict(model.named_parameters())

        # 2. Freeze all of the model. Running statistics are no parameters: a patch cannot have them.
        self.statistics = saving.running_statistics(model)
        for parameter in model.parameters():
            parameter.requires_grad_(False)
            parameter.grad = None

        # 3. Make the values, and listen for gradients.
        self.kept: dict[str, KeptValues] = {}
        self._add([KeptValues(one, parameters[one.parameter], decay) for one in placements])
        _ignored_by_ddp(model).update(self.kept)

        # 4. Start somewhere else, if that is wanted.
        if alpha is not None:
            for kept in self.kept.values():
                kept.start(init, alpha, seed)
            self.write()

    # MARK: What optimizers need

    def parameters(self) -> list[torch.nn.Parameter]:
        """The values to train: float32, one vector for each parameter of the model that keeps weights."""
        self._follow()
        return [kept.value for kept in self.kept.values()]

    def named_parameters(self) -> list[tuple[str, torch.nn.Parameter]]:
        """The same with the names of the model's parameters."""
        self._follow()
        return [(name, kept.value) for name, kept in self.kept.items()]

    def param_groups(self, lr: float, by: groups.By = "importance", **options: Any) -> list[dict[str, Any]]:
        """Groups for an optimizer, with a learning rate for each layer; see `groups.param_groups` for the options."""
        self._follow()
        return groups.param_groups(list(self.kept.values()), lr, by, **options)

    def attach(self, optimizer: torch.optim.Optimizer) -> None:
        """Has the values written to the model after each step of an optimizer, and before each closure that it calls.

        Raises:
            UsageError: The optimizer is attached already, or trains none of the values.
        """
        if self.is_attached(optimizer):
            raise UsageError("this optimizer is attached already; call attach once")
        optimizer = _inner(optimizer)
        self._follow()
        _same_parameters(self.model, self.kept)
        trains = {id(value) for group in optimizer.param_groups for value in group["params"]}
        if not any(id(kept.value) in trains for kept in self.kept.values()):
            raise UsageError("the optimizer trains none of the kept weights; make it with tuning.parameters() or tuning.param_groups(lr)")

        def before(_: object, arguments: tuple[Any, ...], options: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
            closure = arguments[1] if len(arguments) > 1 else options.get("closure")  # the first argument is the optimizer
            if closure is None:
                return arguments, options

            def written() -> Any:
                self.write()
                return closure()

            return (arguments[0], written), {name: option for name, option in options.items() if name != "closure"}

        self._handles.append(optimizer.register_step_pre_hook(before))
        self._handles.append(optimizer.register_step_post_hook(lambda *_: self.write()))
        self._optimizers.append(optimizer)

    def is_attached(self, optimizer: torch.optim.Optimizer) -> bool:
        """Whether an optimizer, or the one that accelerate has wrapped in it, writes its steps to the model."""
        return any(_inner(optimizer) is one for one in self._optimizers)

    def write(self) -> None:
        """Writes the values to the model's weights. An attached optimizer does so by itself."""
        for kept in self.kept.values():
            if not kept.is_written():
                kept.write()

    def detach(self) -> None:
        """Ends the tuning: hooks go, all of the model is frozen, and another SparseTuning may be made of it."""
        for handle in (*self._handles, *self._hooks.values()):
            handle.remove()
        for name, kept in self.kept.items():
            kept.parameter.requires_grad_(False)
            _ignored_by_ddp(self.model).discard(name)
            del kept.parameter._frogmask_tuning  # type: ignore[attr-defined]
        self._handles, self._hooks, self._optimizers = [], {}, []

    # MARK: Gradients

    @contextlib.contextmanager
    def no_sync(self) -> Iterator[None]:
        """Backward passes in here send nothing to other ranks; the next one outside sends what they have added up.

        Saves messages while gradients are accumulated. The result is the same without it.
        """
        self._sends, before = False, self._sends
        try:
            yield
        finally:
            self._sends = before

    def _listened(self, kept: KeptValues) -> Any:
        """Has the gradient of a parameter taken as soon as it is complete; what it returns ends that."""
        name = kept.placement.parameter

        def on_gradient(_: torch.Tensor) -> None:
            if not kept.is_written():
                raise UsageError(f"'{name}': an optimizer has changed the values, but not the model; call tuning.attach(optimizer)")
            part = kept.take_gradient()
            if part is None:
                return
            if not self._averages(kept):
                kept.add_gradient(part)
                return
            before = self._pending.get(name)
            self._pending[name] = part if before is None else before.add_(part)
            if not self._is_queued and self._sends:
                self._is_queued = True
                torch.autograd.Variable._execution_engine.queue_callback(self._send)

        return kept.parameter.register_post_accumulate_grad_hook(on_gradient)  # type: ignore[no-untyped-call]

    def _averages(self, kept: KeptValues) -> bool:
        """Whether gradients have to be averaged here: FSDP2 has done so with a sharded parameter's."""
        if is_sharded(kept.parameter) or not (dist.is_available() and dist.is_initialized()):
            return False
        return dist.get_world_size(self._process_group) > 1

    def _send(self) -> None:
        """At the end of backward: averages the gradients of kept weights over ranks.

        All of them are sent, also those of layers that this rank's batch has not reached, so that ranks never disagree on the message.
        """
        self._is_queued = False
        pending, self._pending = self._pending, {}
        parts = {}
        for name, kept in self.kept.items():
            part = pending.get(name)
            parts[name] = torch.zeros(kept.count, device=kept.indices.device) if part is None else part
        average(parts.values(), self._process_group)
        for name, part in parts.items():
            self.kept[name].add_gradient(part)

    # MARK: Masks that change

    def update(self, masks: MasksOrPlacements) -> None:
        """Goes on with another mask of the same model.

        Weights in both masks keep their values and what optimizers know of them.
        Weights that are new start as they are, with an empty optimizer state.
        Weights that leave the mask stay as training has left them, and `values` still has them.

        Call it between `optimizer.zero_grad()` and the next backward: gradients are dropped.

        Raises:
            UsageError: A parameter cannot be trained.
            MatchError: The masks do not fit the model.
        """
        self.write()
        placements = self._placements(masks)
        parameters = dict(self.model.named_parameters())
        wanted = {one.parameter: one for one in placements}

        # 1. The values of parameters that had some; of those that keep nothing now, empty ones, so that optimizers lose none.
        moves: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
        successors: list[KeptValues] = []
        for name, old in self.kept.items():
            new, new_at, old_at = old.successor(wanted.pop(name, old.nothing()))
            moves[name] = (new_at, old_at)
            successors.append(new)
        rooms = largest_counts([one.parameter for one in successors], [one.count for one in successors])
        for new, room in zip(successors, rooms):
            name = new.placement.parameter
            old = self.kept[name]
            new.make_value(room)
            new.set_master(gather(local_part(new.parameter).detach(), new.indices))
            new.numbers()[moves[name][0]] = old.numbers()[moves[name][1]]
            optimizer_state_moved(self._optimizers, old, new, *moves[name])
            new.write()
            self._hooks.pop(name).remove()
            self.kept[name] = new
            self._hooks[name] = self._listened(new)

        # 2. The values of parameters that had none; they join the group of their layer, or the first.
        fresh = [KeptValues(one, parameters[name], self.decay) for name, one in wanted.items()]
        self._add(fresh)
        _ignored_by_ddp(self.model).update(wanted)
        for new in fresh:
            for optimizer in self._optimizers:
                self._group_for(optimizer, new)["params"].append(new.value)

    def _group_for(self, optimizer: torch.optim.Optimizer, new: KeptValues) -> dict[str, Any]:
        layer = groups.layer_of(new.placement)
        mates = {id(kept.value) for kept in self.kept.values() if groups.layer_of(kept.placement) == layer}
        found: list[dict[str, Any]] = optimizer.param_groups
        return next((group for group in found if any(id(value) in mates for value in group["params"])), found[0])

    # MARK: Saving

    def values(self) -> dict[str, torch.Tensor]:
        """The kept weights as they are in the model: parameter → [K], in its type, in the order of the placement's indices.

        Collective where the model is sharded.
        """
        return {name: kept.whole(kept.master().to(kept.origin.dtype)) for name, kept in self.kept.items()}

    @property
    def knows_checkpoint(self) -> bool:
        """Whether it was made of masks, which know the checkpoint's tensors; `save` needs that."""
        return all(match is not None for _, match in self.sources)

    def save(self, directory: str | os.PathLike[str], base_model: str | None = None) -> None:
        """Saves the kept weights as a patch: `frogmask.apply` and `frogmask merge` take it.

        A patch has weights only. Keep modules with running statistics, such as `nn.BatchNorm2d`, in evaluation mode; there is a warning
        if theirs have changed.
        After `update` a patch has the weights of the earlier masks too, whose folders have to be there still.
        Collective where ranks train together; the first of them writes.

        Args:
            directory: The folder of the patch.
            base_model: The name of the model for the card of the patch.

        Raises:
            UsageError: The tuning was made of placements, which know no checkpoint.
        """
        saving.save(self, directory, base_model)

    def state_dict(self) -> dict[str, Any]:
        """All that a resumed training needs beside the optimizer's own state; for `torch.save`. Collective where sharded."""
        return state_of(self.kept, self.decay)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Puts back what `state_dict` has given, and writes it to the model. The number of ranks may be another.

        Raises:
            UsageError: The state is of another mask, or of another kind of decay.
        """
        self._follow()
        load_state(self.kept, self.decay, state)

    # MARK: Inside

    def _placements(self, masks: MasksOrPlacements) -> list[Placement]:
        freeze, only, strict = self._choice
        placements, match = placements_of(self.model, masks, strict)
        kept = [one for one in placements if one.indices.numel() > 0]
        if not kept:
            raise UsageError("the mask keeps no weight of this model (K = 0); make one with a larger budget")
        chosen = groups.trained(kept, freeze, only)
        for name, parameter in parameters_of(self.model, chosen).items():
            if getattr(parameter, "_frogmask_tuning", self) is not self:
                raise UsageError(f"'{name}': another SparseTuning trains this model; call its detach() first")
        self.sources.append((masks, match))
        return chosen

    def _add(self, several: Sequence[KeptValues]) -> None:
        rooms = largest_counts([one.parameter for one in several], [one.count for one in several])
        for kept, room in zip(several, rooms):
            kept.make_value(room)
            name = kept.placement.parameter
            self.kept[name] = kept
            kept.parameter.requires_grad_(True)
            kept.parameter._frogmask_tuning = self  # type: ignore[attr-defined]
            self._hooks[name] = self._listened(kept)

    def _follow(self) -> None:
        for kept in self.kept.values():
            kept.follow()


def _inner(optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
    inner: torch.optim.Optimizer = getattr(optimizer, "optimizer", optimizer)
    return inner


def _same_parameters(model: torch.nn.Module, kept: dict[str, KeptValues]) -> None:
    known = dict(model.named_parameters())
    for name, one in kept.items():
        if known.get(name) is not one.parameter:
            raise UsageError(f"'{name}': the model has another parameter than when SparseTuning was made; shard it before that")


def _ignored_by_ddp(model: torch.nn.Module) -> set[str]:
    """The names of the parameters whose gradients DistributedDataParallel leaves alone."""
    names = set(getattr(model, "_ddp_params_and_buffers_to_ignore", ()))
    model._ddp_params_and_buffers_to_ignore = names  # type: ignore[assignment]
    return names
