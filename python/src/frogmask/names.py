"""Finds the parameters of a loaded model by the names that a checkpoint gives them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Iterator

from torch import nn

# What FSDP, activation checkpointing and torch.compile put into names, wherever they wrap a module.
_WRAPPERS = ("_orig_mod.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module.")
_NUMBER = re.compile(r"\d+")


class ParameterNames:
    """The names of a model's parameters, and what else a checkpoint may call them.

    A name that a model does not have is tried with the base model's prefix in front, or without it, as transformers does when it loads a
    checkpoint into another class of the same model. Tied parameters are found by each of their names.

    Example:
        names = ParameterNames(torch.compile(BertModel(config)))
        names.find("bert.encoder.layer.0.output.dense.weight")    # "_orig_mod.encoder.layer.0.output.dense.weight"
    """

    def __init__(self, model: nn.Module) -> None:
        """Lists the names; looks at no weight."""
        self.parameters = dict(model.named_parameters())
        own = {id(parameter): name for name, parameter in self.parameters.items()}
        self._known: dict[str, str] = {}
        for name, parameter in model.named_parameters(remove_duplicate=False):
            self._known.setdefault(plain(name), own[id(parameter)])
        self._prefixes = prefixes(model)

    def find(self, name: str) -> str | None:
        """The parameter's name in `model.named_parameters()`; None if the model has none of this name."""
        for candidate in candidates(plain(name), self._prefixes):
            if candidate in self._known:
                return self._known[candidate]
        return None


class NearestNames:
    """Finds the name of a model that is most like one that it does not have.

    A renamed parameter is one that nothing else was matched with, so these are preferred.
    """

    def __init__(self, names: ParameterNames, taken: Collection[str]) -> None:
        """Sorts the names of a model.

        Args:
            names: The names.
            taken: The parameters that have a partner.
        """
        known = [plain(name) for name in names.parameters]
        self._stages = (
            (_Patterns(plain(name) for name in names.parameters if name not in taken), 0.75),
            (_Patterns(known), 0.5),
        )

    def find(self, name: str) -> str | None:
        """The most similar name; None if none is similar."""
        for patterns, least in self._stages:
            if (found := patterns.find(plain(name), least)) is not None:
                return found
        return None


class _Patterns:
    """Names by what is left of them without numbers: layers and experts differ by numbers alone, so few patterns stand for all."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names: dict[str, dict[tuple[str, ...], str]] = {}
        for name in names:
            self._names.setdefault(_NUMBER.sub("#", name), {})[tuple(_NUMBER.findall(name))] = name
        self._found: dict[str, str | None] = {}

    def find(self, name: str, least: float) -> str | None:
        pattern = _NUMBER.sub("#", name)
        if pattern not in self._found:
            close = difflib.get_close_matches(pattern, self._names, n=1, cutoff=least)
            self._found[pattern] = close[0] if close else None
        nearest = self._found[pattern]
        if nearest is None:
            return None
        names = self._names[nearest]
        return names.get(tuple(_NUMBER.findall(name))) or next(iter(names.values()))


def plain(name: str) -> str:
    """A name without what DistributedDataParallel, FSDP, activation checkpointing and torch.compile put into it."""
    for wrapper in _WRAPPERS:
        name = name.replace(wrapper, "")
    while name.startswith("module."):
        name = name[len("module.") :]
    return name


def candidates(name: str, prefixes: Iterable[str]) -> Iterator[str]:
    """A name, and what it is called with one of the prefixes in front, or without it."""
    yield name
    for prefix in prefixes:
        yield prefix + name
        if name.startswith(prefix):
            yield name[len(prefix) :]


def prefixes(model: nn.Module) -> tuple[str, ...]:
    """What names of the model have in front in one class of it and not in another, such as `bert.` and `model.`."""
    for module in model.modules():
        prefix = getattr(module, "base_model_prefix", None)
        if isinstance(prefix, str) and prefix:
            return tuple(dict.fromkeys((prefix + ".", "model.")))
    return ("model.",)
