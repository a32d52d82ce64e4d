"""The Python of docs/guide/adapters.md runs as it stands."""

import pytest
import torch

import adapters
import models
from adapters import LLAMA
from frogmask.patch import Patch
from test_guide import blocks


@pytest.fixture
def place(frog, checkpoint, tmp_path, monkeypatch):
    """A folder with a model and its exports under the names that the guide uses."""
    (tmp_path / "my-model").symlink_to(checkpoint("llama"))
    frog("export", "svft,spectral-rotation,lora-xs", checkpoint("llama"), "--out", tmp_path / "my-export", "--rank", 8)
    adapters.export(tmp_path / "my-export/smt", checkpoint("llama"), "smt", LLAMA, blocks=lambda m, n: [(0, 1)])
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_guide(place):
    names = {}
    base = models.logits("llama", models.load("llama", "my-model"))
    for block in blocks("docs/guide/adapters.md"):
        exec(block, names)
        assert not torch.equal(models.logits("llama", names["model"]), base)
    assert not torch.equal(models.logits("llama", models.load("llama", "merged")), base)
    assert sum(tensor.kept for tensor in Patch("my-patch").values()) == 14 * 64
