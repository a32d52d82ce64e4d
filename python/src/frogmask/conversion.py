"""Writes patches and masks as the adapters of other libraries (SHiRA and Super-Tuning of PEFT, SFT), or as a smaller patch."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from frogmask import card, documents, patch
from frogmask.checkpoint import Checkpoint
from frogmask.deltas import Delta, base_values, deltas, listed
from frogmask.errors import ConversionError, FormatError, MissingError, UsageError, WriteError
from frogmask.fingerprint import check_fingerprint
from frogmask.masks import RECORD, Masks
from frogmask.merging import check_tensor
from frogmask.tensorfile import FLOATS

Tensors = dict[str, torch.Tensor]
Adapter = tuple[Tensors, dict[str, Any]]
"""The tensors of an adapter by name, and what its adapter_config.json says beside the base model."""


def convert(
    directory: str | os.PathLike[str],
    to: str,
    out: str | os.PathLike[str],
    *,
    checkpoint: str | os.PathLike[str],
    verify: bool = True,
) -> None:
    """Writes a patch, or masks that nothing has been trained with yet, in the format of another library.

    Args:
        directory: A patch; or masks, which give an adapter of zeros to train.
        to: `shira`, `supertuning`, `sft`, or `patch`: a patch in the checkpoint's own types, without values that are as before.
        out: The folder to write, which must not be there or be empty.
        checkpoint: The base model, of which the values of the kept weights are read.
        verify: Whether the checkpoint's fingerprint is compared first, which reads all of its weight matrices.

    Raises:
        ConversionError: The format cannot hold the kept weights; names the option of `mask` that makes masks which it can.
        MatchError: The checkpoint is another one.
        UsageError: There is no such format, or there is something in `out`.
    """
    if to not in ADAPTERS and to != "patch":
        raise UsageError(f"there is no format '{to}': {', '.join(ADAPTERS)}, patch")
    target = Path(out)
    documents.check_new(target)
    source, base = opened(directory), Checkpoint(checkpoint)
    if to == "patch" and isinstance(source, Masks):
        raise UsageError(f"{source.folder} holds masks, which have no values to make a patch of")
    if verify:
        check_fingerprint(source.matrices, source.fingerprint, base)
    if isinstance(source, patch.Patch) and to == "patch":
        _write_patch(source, base, target)
        return
    found = list(deltas(source, base, to))
    if not found:
        raise ConversionError(f"{source.folder} keeps no weights: make masks with a larger --budget")
    tensors, config = ADAPTERS[to](found)
    named = source.record.get("base_model") if isinstance(source, patch.Patch) else None
    _write_adapter(target, tensors, config | {"base_model_name_or_path": named or str(checkpoint)}, to, isinstance(source, Masks))


def opened(directory: str | os.PathLike[str]) -> patch.Patch | Masks:
    """The patch or the masks in a folder.

    Raises:
        MissingError: There is no such folder.
        FormatError: It holds neither.
    """
    folder = Path(directory)
    if not folder.is_dir():
        raise MissingError(f"there is no folder {folder}")
    return Masks(folder) if (folder / RECORD).exists() or (folder / "masks.json").exists() else patch.Patch(folder)


def shira(found: list[Delta]) -> Adapter:
    """PEFT's SHiRA: of every module r·(m + n) weights, with one r."""
    ranks = {delta.indices.numel() / sum(delta.shape) for delta in found}
    rank = min(ranks)
    if len(ranks) > 1 or rank != int(rank):
        wrong = [d.tensor for d in found if d.indices.numel() != max(1, round(rank)) * sum(d.shape)]
        raise ConversionError(
            f"SHiRA holds r·(m + n) weights of every m × n matrix, with one r, and {len(wrong)} matrices keep others ({listed(wrong)}): "
            "make masks with --budget lora:16 --select lora"
        )
    tensors: Tensors = {}
    for delta in found:
        rows = torch.div(delta.indices, delta.shape[1], rounding_mode="floor")
        tensors[f"{_key(delta)}.shira_indices"] = torch.stack([rows, delta.indices % delta.shape[1]]).to(torch.int32)
        tensors[f"{_key(delta)}.shira_weight"] = delta.values
    return tensors, {"peft_type": "SHIRA", "r": int(rank), "mask_type": "frog", "fan_in_fan_out": False, "init_weights": True} | _targets(
        found
    )


def supertuning(found: list[Delta]) -> Adapter:
    """PEFT's Super-Tuning: the same share of every module. A matrix that keeps one weight less than the share gets one of delta zero."""
    _check_narrow(found, "Super-Tuning")
    share = max(delta.indices.numel() / math.prod(delta.shape) for delta in found)
    # PEFT counts int(numel · (1 − sparsity)), so the share must not fall below that of any matrix by rounding.
    sparsity = max(0.0, 1 - share)
    while sparsity > 0 and any(_count(delta, sparsity) < delta.indices.numel() for delta in found):
        sparsity = math.nextafter(sparsity, 0)
    wrong = [delta.tensor for delta in found if not 0 <= _count(delta, sparsity) - delta.indices.numel() <= 1]
    if wrong:
        raise ConversionError(
            f"Super-Tuning holds the same share of every matrix, and {len(wrong)} matrices keep others ({listed(wrong)}): "
            "make masks with --select uniform"
        )
    tensors: Tensors = {}
    for delta in found:
        indices, values = delta.indices, delta.values
        if _count(delta, sparsity) > indices.numel():
            position = _free_position(indices)
            indices, values = torch.cat([indices, torch.tensor([position])]), torch.cat([values, torch.zeros(1)])
        tensors[f"{_key(delta)}.supertuning_indices"] = indices.to(torch.int32)
        tensors[f"{_key(delta)}.supertuning_values"] = values
    return tensors, {"peft_type": "SUPERTUNING", "sparsity": sparsity, "save_precomputed_indices": True} | _targets(found)


def sft(found: list[Delta]) -> Adapter:
    """SFT of AlanAnsell's fork of PEFT: any number of weights of every module."""
    _check_narrow(found, "SFT")
    tensors: Tensors = {}
    for delta in found:
        tensors[f"{_key(delta)}.sft_delta.indices"] = delta.indices.to(torch.int32)
        tensors[f"{_key(delta)}.sft_delta.values"] = delta.values
    counts = {delta.module: delta.indices.numel() for delta in found}
    config = {"peft_type": "SFT", "num_deltas": counts, "num_tunable_weights": sum(counts.values()), "dtype": "float32"}
    return tensors, config | _targets(found)


ADAPTERS: dict[str, Callable[[list[Delta]], Adapter]] = {"shira": shira, "supertuning": supertuning, "sft": sft}
"""What makes the tensors and the configuration of an adapter, by its format."""


def _key(delta: Delta) -> str:
    return f"base_model.model.{delta.module}"


def _targets(found: list[Delta]) -> dict[str, Any]:
    return {"target_modules": [delta.module for delta in found], "inference_mode": True}


def _count(delta: Delta, sparsity: float) -> int:
    return int(math.prod(delta.shape) * (1 - sparsity))


def _check_narrow(found: list[Delta], name: str) -> None:
    wide = [delta.tensor for delta in found if math.prod(delta.shape) > 2**31 - 1]
    if wide:
        raise ConversionError(f"{name} has indices of 32 bits, and {listed(wide)} have more elements; leave them out with --exclude")


def _free_position(indices: torch.Tensor) -> int:
    """The first position that is not among ascending positions."""
    gaps = torch.nonzero(indices != torch.arange(indices.numel()))
    return int(gaps[0]) if gaps.numel() else indices.numel()


def _write_adapter(folder: Path, tensors: Tensors, config: dict[str, Any], to: str, is_untrained: bool) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WriteError(f"cannot write to {folder}: {error.strerror}") from None
    with documents.written(folder / "adapter_model.safetensors") as temporary:
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, temporary, metadata={"format": "pt"})
    with documents.written(folder / "README.md") as temporary:
        temporary.write_text(card.adapter_card(config["base_model_name_or_path"], to, is_untrained), encoding="utf-8")
    # PEFT looks for the configuration first, so it comes last.
    documents.write(folder / "adapter_config.json", config)


def _write_patch(source: patch.Patch, checkpoint: Checkpoint, folder: Path) -> None:
    """Writes a patch in the checkpoint's types and full shapes, without values that are what they were."""
    stored: Tensors = {}
    described: dict[str, Any] = {}
    for name, tensor in source.items():
        entry = check_tensor(tensor, checkpoint)
        values = tensor.values.to(getattr(torch, FLOATS[entry.dtype]))
        if not bool(torch.isfinite(values).all()):
            raise FormatError(f"values of '{name}' are too large for {entry.dtype}, in which the checkpoint stores it")
        indices = tensor.indices
        changed = values != base_values(checkpoint, name, indices)
        wide = entry.size > 2**31 - 1
        stored[f"{name}.indices"] = indices[changed].to(torch.int64 if wide else torch.int32)
        stored[f"{name}.values"] = values[changed]
        described[name] = {"dtype": entry.dtype, "is_whole": False, "kept": int(changed.sum()), "shape": list(entry.shape)}
    record = {key: source.record.get(key) for key in ("base_model", "checkpoint", "matrices", "names")}
    patch.write(folder, stored, record | {"tensors": described})
