"""The Python of docs/guide/train.md, docs/guide/signals.md and of the README runs as it stands."""

import re

import pytest
import torch

import frogmask
import models
from conftest import ROOT
from frogmask import patch
from test_patches import trained


def blocks(page):
    return re.findall(r"^```python\n(.*?)^```$", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)


@pytest.fixture
def place(checkpoint, masked, tmp_path, monkeypatch):
    """A folder with a model and its masks under the names that the guide uses."""
    (tmp_path / "my-model").symlink_to(checkpoint("llama"))
    (tmp_path / "my-masks").symlink_to(masked("llama", "--budget", "3%"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def save_patch():
    masks, model = frogmask.load("my-masks"), models.load("llama", "my-model")
    patch.save("my-patch", masks, trained(model, masks))


def test_the_guide(place, capsys):
    read, match, train, save, use, hand_on = blocks("docs/guide/train.md")
    names = {}
    exec(read, names)
    exec(match, names)
    assert "model.layers.0.mlp.up_proj.weight" in capsys.readouterr().out
    if hasattr(frogmask, "SparseTuning"):
        exec(train, names)
    else:
        trained(names["model"], names["masks"])
    exec(save, names)
    exec(use, names)
    exec(hand_on, names)
    assert "model.layers.0.mlp.up_proj.weight" in capsys.readouterr().out
    base, fresh = models.load("llama", "my-model"), names["fresh"]
    masks = frogmask.load("my-masks")
    for (name, old), new in zip(base.named_parameters(), fresh.parameters()):
        moved = torch.nonzero((old != new).view(-1)).view(-1).tolist()
        assert set(moved) <= set(masks[name].indices.tolist() if name in masks else [])
    assert not torch.equal(models.logits("llama", base), models.logits("llama", fresh))


def test_the_guide_to_signals(place, capsys):
    names = {}
    for block in blocks("docs/guide/signals.md"):
        exec(block, names)
    assert capsys.readouterr().out == "16 [] {}\n"
    assert (place / "my-signals/signals.json").exists() and (place / "my-own-signals/signals.json").exists()


def test_the_readme_of_the_package(place):
    save_patch()
    (block,) = blocks("python/README.md")
    exec(block, {})
