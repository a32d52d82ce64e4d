"""frogmask.methods.smt: a SparseTuning of blocks changes these blocks, and nothing else."""

import pytest
import torch

import adapters
import frogmask
import models
from adapters import LLAMA
from frogmask import patch
from frogmask.errors import FormatError, UsageError
from frogmask.methods import smt
from frogmask.methods.folder import AdapterFolder
from training import one_thread as one_thread


def some_blocks(m, n, side=20):
    """Every other block, ragged ones at the edges included: 32 and 48 are no multiples of 20."""
    rows, columns = -(-m // side), -(-n // side)
    return [(i, j) for i in range(rows) for j in range(columns) if (i + j) % 2 == 0]


def reference(shape, side=20):
    """The same as a mask of bools, weight by weight."""
    chosen = set(some_blocks(*shape))
    return torch.tensor([[(i // side, j // side) in chosen for j in range(shape[1])] for i in range(shape[0])])


@pytest.fixture
def folder(checkpoint, tmp_path):
    return adapters.export(tmp_path / "smt", checkpoint("llama"), "smt", LLAMA, block=20, blocks=some_blocks)


def test_the_weights_of_blocks(folder):
    masks = smt.BlockMasks(AdapterFolder(folder, "smt"))
    assert len(masks) == 14
    for mask in masks.values():
        wanted = reference(mask.shape).flatten().nonzero().squeeze(1)
        assert torch.equal(mask.indices, wanted) and mask.kept == len(wanted)


def test_training_changes_the_blocks_alone_and_patches_bring_them_back(checkpoint, folder, tmp_path):
    model = models.load("llama", checkpoint("llama"))
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    tuning = smt.attach(model, folder)
    optimizer = torch.optim.AdamW(tuning.param_groups(lr=1e-2))
    tuning.attach(optimizer)
    ids = torch.randint(1, 60, (2, 12))
    for _ in range(3):
        model(input_ids=ids, labels=ids).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    for name, weight in model.named_parameters():
        moved = weight.detach() != before[name]
        chosen = reference(weight.shape) if name in tuning.kept else torch.zeros_like(moved)
        assert not bool((moved & ~chosen).any()) and int(moved.sum()) >= 0.9 * int(chosen.sum()), name

    tuning.save(tmp_path / "patch")
    tuning.detach()
    fresh = models.load("llama", checkpoint("llama"))
    frogmask.apply(fresh, tmp_path / "patch")
    assert torch.equal(models.logits("llama", fresh), models.logits("llama", model))
    frogmask.merge(checkpoint("llama"), tmp_path / "patch", tmp_path / "merged")
    merged = models.load("llama", tmp_path / "merged")
    assert torch.equal(models.logits("llama", merged), models.logits("llama", model))
    assert patch.Patch(tmp_path / "patch").fingerprint == AdapterFolder(folder, "smt").fingerprint


def test_tied_weights_have_one_set_of_blocks(checkpoint, tmp_path):
    model = models.load("tied", checkpoint("tied"))
    folder = adapters.export(tmp_path / "smt", checkpoint("tied"), "smt", ("q_proj", "embed_tokens"), block=20, blocks=some_blocks)
    tuning = smt.attach(model, folder)
    assert "model.embed_tokens.weight" in tuning.kept and model.lm_head.weight is model.model.embed_tokens.weight


@pytest.mark.parametrize("blocks, words", [
    (lambda m, n: [(0, 0), (0, 0)], "does not ascend"), (lambda m, n: [(1, 0), (0, 1)], "does not ascend"),
    (lambda m, n: [(0, 3)], "does not ascend within 2 × 2 blocks"), (lambda m, n: [(-1, 0)], "does not ascend"),
])  # fmt: skip
def test_bad_blocks(checkpoint, tmp_path, blocks, words):
    folder = adapters.export(tmp_path / "smt", checkpoint("llama"), "smt", ("q_proj",), block=20, blocks=blocks)
    with pytest.raises(FormatError, match=words):
        smt.attach(models.load("llama", checkpoint("llama")), folder)


def test_no_blocks_and_no_size(checkpoint, tmp_path):
    model = models.load("llama", checkpoint("llama"))
    folder = adapters.export(tmp_path / "smt", checkpoint("llama"), "smt", ("q_proj",), block=20, blocks=lambda m, n: [])
    with pytest.raises(UsageError, match="keeps no weight"):
        smt.attach(model, folder)
    adapters.change(folder, parameters={"block": 0})
    with pytest.raises(FormatError, match="parameters.block is 0"):
        smt.attach(model, folder)
