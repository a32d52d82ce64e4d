"""What `frog-mpi export` writes for frogmask: attached, trained and merged on a small model and on a real one."""

import json

import pytest
import torch
from transformers import AutoModel

import adapters
import models
from adapters import METHODS
from frogmask.errors import MatchError
from test_guide import blocks
from test_methods import MODULES, bits, shake
from training import one_thread as one_thread

RANK = 6


@pytest.fixture(scope="module")
def exported(frog, checkpoint, tmp_path_factory):
    """Options → the folder of an export of the small model by all methods, made once."""
    made = {}

    def make(*options, methods=METHODS):
        if (options, methods) not in made:
            made[options, methods] = tmp_path_factory.mktemp("export") / "out"
            frog("export", ",".join(methods), checkpoint("llama"), "--out", made[options, methods], "--threads", 1, *options)
        return made[options, methods]

    return make


def start(method):
    """The start that leaves the model as it is."""
    return {} if method == "spectral-rotation" else {"init": "zeros"}


def trained(model, adapter):
    """One step of training, which only the adapter's values feel."""
    frozen = {name: bits(one) for name, one in model.named_parameters() if not one.requires_grad}
    before = [bits(value) for value in adapter.parameters()]
    ids = torch.arange(1, 25).view(2, 12)
    found = model(input_ids=ids)
    loss = found.logits.square().mean() if hasattr(found, "logits") else found[0].square().mean() + found.pooler_output.square().mean()
    loss.backward()
    torch.optim.SGD(adapter.parameters(), lr=0.1).step()
    assert all(torch.equal(bits(one), frozen[name]) for name, one in model.named_parameters() if name in frozen)
    # SVFT's gate has no gradient where all values are 0.
    assert sum(not torch.equal(bits(value), old) for value, old in zip(adapter.parameters(), before)) >= len(adapter.layers)


@pytest.mark.parametrize("dtype", ["f32", "bf16"])
@pytest.mark.parametrize("method", METHODS)
def test_a_small_model(checkpoint, exported, method, dtype):
    folder = exported("--rank", RANK, "--diagonals", 3, "--dtype", dtype) / method
    model = models.load("llama", checkpoint("llama"))
    weights = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    before = models.logits("llama", model)
    adapter = MODULES[method].attach(model, folder, checkpoint=checkpoint("llama"), **start(method))
    assert len(adapter.layers) == 14
    if method == "svft":
        # Its factors are the weights, so their rounding shows.
        tolerance = 1e-4 if dtype == "f32" else 5e-2
        torch.testing.assert_close(models.logits("llama", model), before, rtol=tolerance, atol=tolerance * float(before.abs().max()))
    else:
        assert torch.equal(models.logits("llama", model), before)
    trained(model, adapter)

    shake(adapter)
    values = {name: layer.values() for name, layer in adapter.layers.items()}
    patterns = {name: (one.pattern.row.long(), one.pattern.column.long()) for name, one in adapter.layers.items() if method == "svft"}
    parts = {name: adapters.stored(method, folder, name) for name in adapter.layers}
    wanted = {
        name: adapters.dense(method, weights[name].double(), values[name], None, RANK, patterns.get(name), parts[name])
        for name in adapter.layers
    }
    adapter.merge()
    merged = dict(model.named_parameters())
    slack = 2e-5 if dtype == "f32" else 2e-2
    for name, weight in wanted.items():
        torch.testing.assert_close(merged[name].detach().double(), weight.detach(), rtol=0, atol=slack * float(weight.abs().max()))
    assert all(torch.equal(merged[name].detach(), weights[name]) for name in weights.keys() - wanted.keys())


def test_a_real_model(frog, minilm, tmp_path):
    frog("export", ",".join(METHODS), minilm, "--out", tmp_path / "out", "--rank", 8, "--target-modules", "query,dense")
    ids = torch.arange(1000, 1032).view(2, 16)
    for method in METHODS:
        model = AutoModel.from_pretrained(minilm).eval()
        with torch.no_grad():
            before = model(input_ids=ids).last_hidden_state
        adapter = MODULES[method].attach(model, tmp_path / "out" / method, **start(method))
        assert len(adapter.layers) == 25
        with torch.no_grad():
            found = model(input_ids=ids).last_hidden_state
        torch.testing.assert_close(found, before, rtol=0, atol=1e-4 if method == "svft" else 0)
        trained(model, adapter)
        with torch.no_grad():
            adapted = model(input_ids=ids).last_hidden_state
            adapter.merge()
            torch.testing.assert_close(model(input_ids=ids).last_hidden_state, adapted, rtol=0, atol=1e-4)
        assert not torch.equal(adapted, before)


@pytest.mark.parametrize("options, alpha", [((), None), (("--alpha", 40), 40)])
def test_ranks_by_spectrum_have_one_scale(checkpoint, exported, options, alpha):
    folder = exported("--rank-by", "energy:0.9", *options, methods=("lora-xs",)) / "lora-xs"
    record = json.loads((folder / "adapter.json").read_text())
    ranks = {name: entry["rank"] for name, entry in record["tensors"].items()}
    assert len(set(ranks.values())) > 1 and record["parameters"]["alpha"] == (alpha or max(ranks.values()))
    model = models.load("llama", checkpoint("llama"))
    weights = {name: weight.detach().double() for name, weight in model.named_parameters()}
    adapter = MODULES["lora-xs"].attach(model, folder)
    shake(adapter)
    scale = (alpha or max(ranks.values())) / max(ranks.values())
    wanted = {
        name: adapters.dense(
            "lora-xs", weights[name], layer.values(), None, scale * ranks[name], None, adapters.stored("lora-xs", folder, name)
        )
        for name, layer in adapter.layers.items()
    }
    adapter.merge()
    for name, weight in wanted.items():
        torch.testing.assert_close(model.get_parameter(name).detach().double(), weight.detach(), rtol=0, atol=1e-4)


def test_entries_of_every_pattern(checkpoint, exported):
    for pattern in (("plain",), ("banded", "--diagonals", 2), ("random", "--seed", 5), ("top-k", "--top-k-rule", "repo", "--diagonals", 4)):
        folder = exported("--pattern", *pattern, methods=("svft",)) / "svft"
        model = models.load("llama", checkpoint("llama"))
        adapter = MODULES["svft"].attach(model, folder, init="zeros")
        trained(model, adapter)


def test_factors_of_another_model(checkpoint, exported):
    folder = exported("--rank", RANK, "--diagonals", 3, "--dtype", "f32") / "lora-xs"
    model = models.load("llama", checkpoint("llama"))
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(torch.randn(weight.shape) * 0.1)
    with pytest.raises(MatchError, match="load the model that was exported"):
        MODULES["lora-xs"].attach(model, folder)


def test_the_guide(frog, checkpoint, tmp_path, monkeypatch):
    """The Python of docs/guide/export.md runs as it stands."""
    pytest.importorskip("peft", reason="peft is not installed (scripts/setup --peers)")
    frog("export", "pissa,svft", checkpoint("llama"), "--out", tmp_path / "my-adapters", "--rank", 8)
    (tmp_path / "my-model").symlink_to(checkpoint("llama"))
    monkeypatch.chdir(tmp_path)
    names = {}
    for block in blocks("docs/guide/export.md"):
        exec(block, names)
    base = models.logits("llama", models.load("llama", "my-model"))
    assert not torch.equal(models.logits("llama", names["model"]), base)
    assert (tmp_path / "trained/adapter_model.safetensors").exists()
