"""Calibration data in files: texts a line, texts with labels in JSONL, or tensors in a safetensors file."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from frogmask.errors import FormatError, MissingError, UsageError
from frogmask.rng import key_of, uniforms
from frogmask.signals.batches import Batch
from frogmask.signals.models import arguments, check_loss, first_line, task
from frogmask.tensorfile import TensorFile

IGNORED = -100
"""The label of a position that does not count; every loss of transformers leaves it out."""
_MASKED = 0.15
_LONGEST = 512


@dataclass(frozen=True)
class Text:
    """One example of a file of texts.

    Attributes:
        line: The number of its line, from 1.
        text: The text.
        label: What stands in `label`; None if nothing does.
    """

    line: int
    text: str
    label: Any = None


def tensor_batches(path: Path, model: Any, size: int, most: int, *, with_labels: bool) -> Iterator[Batch]:
    """Batches of the tensors in a safetensors file: any arguments of the model, such as `input_ids` or `pixel_values`.

    Args:
        path: The file. The first dimension of every tensor is that of examples.
        model: The model that will be called.
        size: Examples in a batch.
        most: The most examples.
        with_labels: Whether the model is to return a loss.
    """
    file, known = TensorFile(path), arguments(model)
    for name in file.entries:
        if name not in known:
            raise UsageError(f"{path}: {type(model).__name__} has no argument '{name}', but {', '.join(known)}")
    names = [name for name in file.entries if with_labels or name != "labels" or model.config.is_encoder_decoder]
    shapes = {name: file.entries[name].shape for name in names}
    counts = {shape[0] if shape else 0 for shape in shapes.values()}
    if len(counts) != 1:
        described = ", ".join(f"'{name}' {list(shape)}" for name, shape in shapes.items())
        raise FormatError(
            f"{path}: the first dimension of all tensors is that of examples, and must be the same: {described or 'no tensors'}"
        )
    is_causal = with_labels and "labels" not in names
    if is_causal:
        check_loss(model)
        if task(model) != "causal" or "input_ids" not in names:
            raise UsageError(f"{path} has no tensor 'labels', which {type(model).__name__} needs for its loss")
    total = min(counts.pop(), most)
    tensors = {name: file.array(name) for name in names}
    for start in range(0, total, size):
        batch = {name: _tensor(array[start : min(start + size, total)], file.entry(name).dtype) for name, array in tensors.items()}
        for name, tensor in batch.items():
            if tensor.is_floating_point() and name != "labels":
                batch[name] = tensor.to(model.dtype)
        if is_causal:
            batch["labels"] = batch["input_ids"].clone()
            if "attention_mask" in batch:
                batch["labels"][batch["attention_mask"] == 0] = IGNORED
        yield batch


def texts(path: Path) -> Iterator[Text]:
    """The texts of a file: a line each, or a line of JSONL each if its name ends in `.jsonl`. Empty lines are no examples.

    Raises:
        MissingError: There is no such file.
        FormatError: It is no UTF-8, or a line is no JSON object with a `text`.
    """
    is_json = path.suffix.lower() in (".jsonl", ".ndjson")
    try:
        with open(path, encoding="utf-8") as stream:
            for number, line in enumerate(stream, 1):
                if not line.strip():
                    continue
                if not is_json:
                    yield Text(number, line.rstrip("\r\n"))
                    continue
                try:
                    found = json.loads(line)
                except (ValueError, RecursionError) as error:
                    raise FormatError(f"{path}, line {number} is no JSON ({error})") from None
                if not isinstance(found, dict) or not isinstance(found.get("text"), str):
                    raise FormatError(f"{path}, line {number} is no JSON object with a string 'text'")
                yield Text(number, found["text"], found.get("label"))
    except FileNotFoundError:
        raise MissingError(f"there is no file {path}") from None
    except UnicodeDecodeError as error:
        raise FormatError(f"{path} is no text in UTF-8 ({error})") from None
    except OSError as error:
        raise FormatError(f"cannot read {path}: {error.strerror}") from None


class TextBatches:
    """Makes batches of texts for a model, with the labels that its loss needs.

    A causal model predicts the next token. A classifier has the labels of the data. A masked model predicts 15% of the tokens, of which
    80% are replaced by the mask token, 10% by random tokens, and 10% stay; which ones depends on the seed and the number of the example.
    """

    def __init__(
        self, path: Path, model: Any, tokenizer: str | os.PathLike[str], *, longest: int | None, seed: int, with_labels: bool
    ) -> None:
        """Args:
        path: The file of texts.
        model: The model that will be called.
        tokenizer: The folder of the tokenizer.
        longest: The most tokens of an example; by default as many as model and tokenizer take, at most 512.
        seed: Of masking.
        with_labels: Whether the model is to return a loss.
        """
        if model.config.is_encoder_decoder:
            raise UsageError(f"{type(model).__name__} needs inputs and outputs: give --data as .safetensors with input_ids and labels")
        if "input_ids" not in arguments(model):
            raise UsageError(f"{type(model).__name__} takes no text: give --data as .safetensors with {arguments(model)[0]}")
        self._path, self._model, self._seed = path, model, seed
        self._task: str | None = None
        if with_labels:
            check_loss(model)
            self._task = task(model)
            if self._task is None:
                raise UsageError(f"the labels of {type(model).__name__} do not follow from texts: give --data as .safetensors with labels")
        self._tokenizer = _tokenizer(tokenizer, model)
        if self._task == "masked" and self._tokenizer.mask_token_id is None:
            raise UsageError(f"the tokenizer in {tokenizer} has no mask token: give --data as .safetensors with labels")
        positions = getattr(model.config.get_text_config(), "max_position_embeddings", None)
        limits = [self._tokenizer.model_max_length, _LONGEST, *([positions] if isinstance(positions, int) and positions > 0 else [])]
        self._longest = min(limits) if longest is None else longest

    def batches(self, size: int, most: int) -> Iterator[Batch]:
        """Batches of `size` examples, the last may have fewer; of the first `most` examples of the file."""
        found = (self._example(number, text) for number, text in enumerate(islice(texts(self._path), most)))
        while examples := list(islice(found, size)):
            yield self._padded(examples)

    def _example(self, number: int, text: Text) -> dict[str, Any]:
        encoded = self._tokenizer(text.text, truncation=True, max_length=self._longest)
        example: dict[str, Any] = {name: list(values) for name, values in encoded.items() if name in arguments(self._model)}
        tokens = example["input_ids"]
        if len(tokens) > self._longest:
            raise UsageError(
                f"the tokenizer adds tokens of its own and cannot cut a text to {self._longest} tokens: give a larger --max-length"
            )
        if len(tokens) < (2 if self._task == "causal" else 1):
            wanted = "one token, and no next one to predict" if tokens else "no tokens"
            raise FormatError(f"{self._path}, line {text.line} has {wanted}: leave it out")
        if self._task == "causal":
            example["labels"] = list(tokens)
        elif self._task == "masked":
            example["input_ids"], example["labels"] = self._masked(number, text, tokens)
        elif self._task is not None:
            example["labels"] = self._label(text)
        return example

    def _masked(self, number: int, text: Text, tokens: list[int]) -> tuple[list[int], list[int]]:
        special = np.array(self._tokenizer.get_special_tokens_mask(tokens, already_has_special_tokens=True), bool)
        if special.all():
            raise FormatError(f"{self._path}, line {text.line} has no token to mask: leave it out")
        positions = np.arange(3 * len(tokens), dtype=np.int64)
        chance, change, other = uniforms(key_of(self._seed, "masked", number), positions).reshape(3, -1)
        chance[special] = 1
        chosen = chance < max(_MASKED, np.nextafter(chance.min(), 1))  # at least one
        given = np.array(tokens)
        labels = np.where(chosen, given, IGNORED)
        random = (other * min(len(self._tokenizer), self._model.config.get_text_config().vocab_size)).astype(np.int64)
        given = np.where(chosen & (change < 0.8), self._tokenizer.mask_token_id, np.where(chosen & (change >= 0.9), random, given))
        return given.tolist(), labels.tolist()

    def _label(self, text: Text) -> int | float:
        config, label = self._model.config, text.label
        if label is None:
            raise UsageError(
                f"{self._path}, line {text.line} has no label: {type(self._model).__name__} needs .jsonl with 'text' and 'label'"
            )
        if config.num_labels == 1 and type(label) in (int, float):
            return float(label)
        if isinstance(label, str) and label in config.label2id:
            return int(config.label2id[label])
        if type(label) is int and 0 <= label < config.num_labels:
            return label
        raise FormatError(f"{self._path}, line {text.line}: {label!r} is none of the {config.num_labels} labels of config.json")

    def _padded(self, examples: list[dict[str, Any]]) -> Batch:
        longest = max(len(example["input_ids"]) for example in examples)
        padding = {"input_ids": self._tokenizer.pad_token_id, "labels": IGNORED}
        batch: dict[str, torch.Tensor] = {}
        for name, first in examples[0].items():
            if isinstance(first, list):
                fill = padding.get(name) or 0
                rows = [example[name] + [fill] * (longest - len(example[name])) for example in examples]
            else:
                rows = [example[name] for example in examples]
            batch[name] = torch.tensor(rows)
        if "attention_mask" not in batch and any(len(example["input_ids"]) < longest for example in examples):
            raise UsageError(f"{type(self._model).__name__} takes no attention mask, so texts of different lengths need --batch-size 1")
        return batch


def _tensor(array: Any, dtype: str) -> torch.Tensor:
    found = torch.from_numpy(np.array(array))
    return found.view(torch.bfloat16) if dtype == "BF16" else found.to(torch.bool) if dtype == "BOOL" else found


def _tokenizer(folder: str | os.PathLike[str], model: Any) -> Any:
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # whatever a tokenizer's own code raises, as there are hundreds of kinds
        raise UsageError(f"there is no tokenizer in {folder} ({first_line(error)}): give its folder to --tokenizer") from None
    # Without its files, transformers makes a tokenizer that knows hardly more than special tokens.
    files = [Path(folder) / name for name in tokenizer.vocab_files_names.values()]
    if not any(file.is_file() for file in files) and 2 * len(tokenizer) < model.config.get_text_config().vocab_size:
        raise UsageError(f"there is no tokenizer in {folder}: give its folder to --tokenizer, or --data as .safetensors with input_ids")
    return tokenizer
