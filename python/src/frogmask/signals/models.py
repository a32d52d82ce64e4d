"""Loads a model with its head, as its checkpoint says, and finds out which loss it has."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from frogmask import documents
from frogmask.errors import FormatError, MatchError, MissingError, UsageError

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
_YOURSELF = "load the model yourself and call frogmask.signals.collect"


def load(folder: str | os.PathLike[str], dtype: torch.dtype, device: str) -> Any:
    """Loads the class of transformers that the checkpoint's config.json names. Runs no code of the checkpoint.

    Args:
        folder: A folder as Hugging Face stores it.
        dtype: The type to compute in.
        device: Where to, such as `cpu` or `cuda:0`.

    Raises:
        MissingError: There is no such folder, or no config.json in it.
        UsageError: transformers is not installed, or there is no such device.
        FormatError: transformers cannot load the model.
        MatchError: The checkpoint is quantized, or lacks weights of the model, which would be random numbers.
    """
    path = Path(folder)
    if not path.is_dir():
        raise MissingError(f"there is no folder {path}: give a checkpoint as Hugging Face stores it, with its config.json")
    config = documents.read(path / "config.json")
    try:
        import transformers
    except ImportError:
        raise UsageError("transformers is not installed: pip install 'frogmask[hf]'") from None
    kind = _class(transformers, config, path)
    if config.get("quantization_config") is not None:
        raise MatchError(f"{path} is quantized, and integers have no gradient: use the checkpoint that it was made from")
    transformers.utils.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    # Weights of other shapes are counted with those that are missing, as transformers would only say that there are some.
    how = {"local_files_only": True, "use_safetensors": True, "output_loading_info": True, "ignore_mismatched_sizes": True}
    try:
        model, found = kind.from_pretrained(path, dtype=dtype, **how)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RuntimeError) as error:
        raise FormatError(f"transformers cannot load {path}: {first_line(error)}") from None
    lost = sorted({*found["missing_keys"], *(name for name, *_ in found["mismatched_keys"])})
    if lost:
        raise MatchError(
            f"{path} does not have {len(lost)} of the weights of {kind.__name__}, or has them in other shapes, such as '{lost[0]}': "
            f"use a checkpoint with its head, or {_YOURSELF}"
        )
    try:
        return model.to(device).eval()
    except (RuntimeError, AssertionError) as error:
        raise UsageError(f"cannot move the model to --device {device}: {first_line(error)}") from None


def task(model: Any) -> str | None:
    """What the labels of a model are: `causal`, `masked`, `sequence classification`, or None if transformers' registry does not tell."""
    from transformers.models.auto import modeling_auto

    registers = {
        "causal": modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
        "masked": modeling_auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES,
        "sequence classification": modeling_auto.MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES,
    }
    for found, register in registers.items():
        if any(type(model).__name__ in ((names,) if isinstance(names, str) else names) for names in register.values()):
            return found
    return None


def arguments(model: Any) -> tuple[str, ...]:
    """The names that a model's `forward` takes."""
    return tuple(inspect.signature(type(model).forward).parameters)[1:]


def check_loss(model: Any) -> None:
    """Refuses a model that takes no labels, so has no loss.

    Raises:
        UsageError: It takes none.
    """
    if "labels" not in arguments(model):
        raise UsageError(
            f"{type(model).__name__} has no head, so no loss and no gradients: use --kind activation, or frogmask.signals.collect with "
            "a loss of your own"
        )


def first_line(error: BaseException) -> str:
    """The first line of an error's words."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _class(transformers: Any, config: Mapping[str, Any], path: Path) -> Any:
    named = config.get("architectures")
    if not isinstance(named, list) or len(named) != 1 or not isinstance(named[0], str):
        raise FormatError(
            f"{path / 'config.json'} does not name one class in 'architectures': load the model yourself and call frogmask.signals.collect"
        )
    kind = getattr(transformers, named[0], None)
    if not (isinstance(kind, type) and issubclass(kind, transformers.PreTrainedModel)):
        raise FormatError(
            f"transformers {transformers.__version__} has no model '{named[0]}', which {path / 'config.json'} names, and code of a "
            f"checkpoint is not run: {_YOURSELF}"
        )
    return kind
