"""The Python of docs/guide/tune.md runs as it stands."""

import pytest
import torch

import frogmask
import models
from test_guide import blocks, place

__all__ = ["place"]  # a fixture


def test_the_guide(place):
    pytest.importorskip("accelerate", reason="accelerate is not installed (scripts/setup --peers)")
    tune, noise, resume, trainer = blocks("docs/guide/tune.md")
    assert tune.count("\n") <= 25
    names = {}
    for block in (tune, noise, resume, trainer):
        exec(block, names)
        base = models.load("llama", "my-model")
        kept = {one.parameter: one.indices for one in frogmask.load("my-masks").match(base).placements}
        for (name, old), new in zip(base.named_parameters(), names["model"].parameters()):
            moved = (old != new).view(-1).nonzero().view(-1)
            assert torch.isin(moved, kept.get(name, moved[:0])).all(), name
    assert any((place / "out").rglob("patch.json")) and (place / "my-patch/patch.json").exists()
