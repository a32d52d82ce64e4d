"""FrogTrainer: transformers' Trainer, with a SparseTuning in it."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from typing import Any, cast

import torch
from transformers import Trainer, TrainerCallback
from transformers.trainer_optimizer import is_optimizer_factory

from frogmask.errors import MissingError, UsageError
from frogmask.groups import By
from frogmask.noise import FrozenNoise
from frogmask.tuning import SparseTuning

STATE = "tuning.pt"


class FrogTrainer(Trainer):
    """Trains the kept weights of a model with all that `transformers.Trainer` offers.

        tuning = SparseTuning(model, masks)
        trainer = FrogTrainer(tuning, args=TrainingArguments("out", learning_rate=1e-4), train_dataset=data)
        trainer.train()

    The optimizer, learning rate, decay and clipping that `TrainingArguments` ask for act on the kept values.
    Parameters that were unfrozen after the SparseTuning, such as a new head, are trained too, in a group of their own.

    A checkpoint holds a patch, if the SparseTuning was made of masks, and `tuning.pt`, from which a run is resumed and the best model is
    loaded. It has no copy of the model. Parameters beside the kept weights are in `tuning.pt`.

    On several devices gradients of kept weights are averaged, and the model is not wrapped in DistributedDataParallel: start it with
    torchrun or accelerate as usual. Sharding by `fsdp` or DeepSpeed is refused: shard with `fully_shard` in a loop of your own.
    """

    def __init__(
        self,
        tuning: SparseTuning,
        *arguments: Any,
        by: By = "uniform",
        group_options: dict[str, Any] | None = None,
        noise: FrozenNoise | None = None,
        **options: Any,
    ) -> None:
        """Makes a trainer of `tuning.model`.

        Args:
            tuning: What is trained.
            arguments: Of `transformers.Trainer`, after the model.
            by: How learning rates differ, see `SparseTuning.param_groups`.
            group_options: Further options of `SparseTuning.param_groups`.
            noise: Noise of the frozen weights; it steps with the optimizer, and hears of `eval_loss`.
            options: Of `transformers.Trainer`.

        Raises:
            UsageError: The model is to be sharded by accelerate or DeepSpeed.
        """
        self.tuning, self.noise = tuning, noise
        self._by: By = by
        self._group_options = group_options or {}
        super().__init__(tuning.model, *arguments, **options)
        if self.is_fsdp_enabled or self.is_deepspeed_enabled:
            raise UsageError("FrogTrainer does not shard by fsdp or DeepSpeed; shard the model with fully_shard in a loop of your own")
        # Gradients of kept weights are averaged by the tuning; DistributedDataParallel would send dense ones, or refuse.
        if not self._others():
            self.accelerator.prepare_model = functools.partial(self.accelerator.prepare_model, evaluation_mode=True)
        self.add_callback(_AfterStep(self))

    # MARK: Optimizer

    def _others(self) -> list[torch.nn.Parameter]:
        tuned = {id(kept.parameter) for kept in self.tuning.kept.values()}
        return [one for one in self.tuning.model.parameters() if one.requires_grad and id(one) not in tuned]

    def create_optimizer(self, model: torch.nn.Module | None = None) -> torch.optim.Optimizer:
        """Makes the optimizer of the kept values, or attaches the one that was given."""
        if self.optimizer is None:
            kind, options = self.optimizer_cls_and_kwargs or self.get_optimizer_cls_and_kwargs(self.args, cast(Any, self.tuning.model))
            if is_optimizer_factory(kind) or {"params", "model", "optimizer_dict"} & options.keys():
                raise UsageError(f"optim='{self.args.optim}' chooses parameters of the model by itself; take another optimizer")
            groups = self.tuning.param_groups(self.args.learning_rate, by=self._by, **self._group_options)
            if self._others():
                groups.append({"params": self._others(), "lr": self.args.learning_rate, "name": "other parameters"})
            self.optimizer = kind([group | {"weight_decay": self.args.weight_decay} for group in groups], **options)
        if not self.tuning.is_attached(self.optimizer):
            self.tuning.attach(self.optimizer)
        return self.optimizer

    def _clip_grad_norm(self, model: torch.nn.Module) -> Any:
        return super()._clip_grad_norm(_Trained(self))  # type: ignore[no-untyped-call]

    def _get_grad_norm(self, model: torch.nn.Module, grad_norm: Any = None) -> Any:
        return super()._get_grad_norm(_Trained(self), grad_norm=grad_norm)  # type: ignore[no-untyped-call]

    # MARK: Checkpoints

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        """Writes what was trained. Collective: every rank calls it."""
        folder = str(output_dir if output_dir is not None else self.args.output_dir)
        if self.tuning.knows_checkpoint:
            self.tuning.save(folder)
        ids = {id(one) for one in self._others()}
        others = {name: one.detach().cpu() for name, one in self.tuning.model.named_parameters() if id(one) in ids}
        state = {"tuning": self.tuning.state_dict(), "noise": self.noise.state_dict() if self.noise else None, "others": others}
        if not self.args.should_save:
            return
        os.makedirs(folder, exist_ok=True)
        torch.save(state, os.path.join(folder, STATE))
        torch.save(self.args, os.path.join(folder, "training_args.bin"))
        if self.processing_class is not None:
            self.processing_class.save_pretrained(folder)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: torch.nn.Module | None = None) -> None:
        path = os.path.join(resume_from_checkpoint, STATE)
        if not os.path.exists(path):
            raise MissingError(f"{resume_from_checkpoint} has no {STATE}; resume from a checkpoint that FrogTrainer has written")
        state = torch.load(path, map_location="cpu", weights_only=True)
        self.tuning.load_state_dict(state["tuning"])
        if self.noise is not None and state["noise"] is not None:
            self.noise.load_state_dict(state["noise"])
        with torch.no_grad():
            for name, weights in state["others"].items():
                self.tuning.model.get_parameter(name).copy_(weights)

    def _load_best_model(self) -> None:
        self._load_from_checkpoint(str(self.state.best_model_checkpoint))


class _Trained:
    """Stands for a model whose parameters are those that the optimizer trains."""

    def __init__(self, trainer: FrogTrainer) -> None:
        self.trainer = trainer

    def parameters(self) -> Iterator[torch.nn.Parameter]:
        yield from self.trainer.tuning.parameters()
        yield from self.trainer._others()


class _AfterStep(TrainerCallback):
    """What follows a step: Trainer empties the gradients of the model, which are not those of the kept values."""

    def __init__(self, trainer: FrogTrainer) -> None:
        self.trainer = trainer

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        cast(torch.optim.Optimizer, self.trainer.optimizer).zero_grad()
        if self.trainer.noise is not None:
            self.trainer.noise.step()

    def on_evaluate(self, args: Any, state: Any, control: Any, **known: Any) -> None:
        if self.trainer.noise is not None and "eval_loss" in known["metrics"]:
            self.trainer.noise.observe(known["metrics"]["eval_loss"])
