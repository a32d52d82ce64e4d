"""masks.match: where the kept weights lie in a loaded model.

Weights are random, so the pairs (weight, score) tell whether every score has found its weight.
"""

import json
import shutil

import numpy as np
import pytest
import torch
from torch import nn

import frogmask
import models
import oracle
import reference
from frogmask.errors import FormatError, MatchError

NAMES = ("--names", "transformers5")
CASES = {
    "llama": ("llama", None, ("--budget", "3%")),
    "llama without its head": ("llama", "LlamaModel", ("--budget", "3%", "--format", "bitmap")),
    "tied": ("tied", None, ("--budget", "3%", "--include", "*embed_tokens*")),
    "bert": ("bert", None, ("--budget", "3%")),
    "bert in another class": ("bert", "BertForSequenceClassification", ("--budget", "3%")),
    "bert without its head": ("bert", "BertModel", ("--budget", "3%")),
    "bert with a new head": ("bare bert", "BertForSequenceClassification", ("--budget", "3%")),
    "gpt2": ("gpt2", None, ("--budget", "3%")),
    "gpt2, split": ("gpt2", None, ("--budget", "3%", "--split-fused")),
    "gpt2 without its head": ("gpt2", "GPT2Model", ("--budget", "3%")),
    "neox, renamed and split": ("neox", None, ("--budget", "3%", "--split-fused", *NAMES)),
    "mixtral, stacked": ("mixtral", None, ("--budget", "3%", *NAMES)),
    "vit, renamed": ("vit", None, ("--budget", "3%", *NAMES)),
    "resnet, convolutions": ("resnet", None, ("--budget", "3%", "--conv")),
}
LOST = "cls.predictions.transform.dense.weight"


def pairs(weights, scores):
    """Weights with their scores, sorted by weight."""
    weights, scores = np.asarray(weights, np.float32), np.asarray(scores, np.float32)
    order = np.argsort(weights)
    return np.stack([weights[order], scores[order]])


@pytest.mark.parametrize("case", CASES)
def test_scores_and_noise_find_their_weights(checkpoint, masked, case):
    name, kind, options = CASES[case]
    folder = masked(name, *options)
    masks, model = frogmask.load(folder), models.load(name, checkpoint(name), kind=kind)
    match = masks.match(model)
    parameters = dict(model.named_parameters())
    stored = {t.name: t.read().reshape(-1) for t in reference.checkpoint_tensors(checkpoint(name))}
    wanted = oracle.dense(folder)
    seen = [tensor for placement in match.placements for tensor in placement.tensors]
    assert sorted(seen + [tensor.name for tensor in match.unmatched]) == sorted(masks)
    # Both classes lack the head that the checkpoint was saved with.
    assert [tensor.name for tensor in match.unmatched] == ([LOST] if name == "bert" and kind is not None else [])
    for placement in match.placements:
        weight = parameters[placement.parameter].detach()
        assert placement.shape == tuple(weight.shape)
        assert placement.indices.dtype == torch.int64 and bool((placement.indices[1:] > placement.indices[:-1]).all())
        # 1. Every kept weight has its own score.
        kept = [wanted[tensor].kept for tensor in placement.tensors]
        theirs = pairs(
            np.concatenate([stored[tensor][mine] for tensor, mine in zip(placement.tensors, kept)]),
            np.concatenate([wanted[tensor].scores[mine] for tensor, mine in zip(placement.tensors, kept)]),
        )
        assert np.array_equal(pairs(weight.reshape(-1)[placement.indices], placement.scores), theirs), placement.parameter
        # 2. Noise covers every weight once, with the factors of its own row and column.
        noise = torch.full_like(weight, torch.nan)
        for block in placement.noise:
            view = noise[block.region]
            assert bool(view.isnan().all()), "covered twice"
            view.copy_(block.scores())
            assert block.scores().dtype == torch.float32
            rows, columns = block.row.numel(), block.column.numel()
            assert tuple(view.reshape((view.shape[0], -1) if not block.transposed else (-1, view.shape[-1])).shape) == (
                (columns, rows) if block.transposed else (rows, columns)
            )
        theirs = pairs(
            np.concatenate([stored[tensor] for tensor in placement.tensors]),
            np.concatenate([wanted[tensor].noise for tensor in placement.tensors]),
        )
        assert np.array_equal(pairs(weight.reshape(-1), noise.reshape(-1)), theirs), placement.parameter
        # 3. What is known of its matrices.
        entries = [entry for entry in masks.matrices if entry["tensor"] in placement.tensors]
        assert placement.importance == pytest.approx(sum(entry["importance"] for entry in entries), rel=1e-12)
        assert (placement.stack, placement.depth) in {(entry["stack"], entry["depth"]) for entry in entries}
        assert placement.role in {entry["role"] for entry in entries}


@pytest.mark.parametrize("case", CASES)
def test_values_go_back_to_the_tensors_that_they_came_from(checkpoint, masked, case):
    name, kind, options = CASES[case]
    masks, model = frogmask.load(masked(name, *options)), models.load(name, checkpoint(name), kind=kind)
    match = masks.match(model)
    parameters = dict(model.named_parameters())
    values = match.to_checkpoint({p.parameter: parameters[p.parameter].detach().reshape(-1)[p.indices] for p in match.placements})
    stored = {t.name: torch.from_numpy(t.read()).reshape(-1) for t in reference.checkpoint_tensors(checkpoint(name))}
    assert set(values) == set(masks) - {tensor.name for tensor in match.unmatched}
    for tensor, found in values.items():
        assert torch.equal(found, stored[tensor][masks[tensor].indices]), tensor


def test_experts_that_are_stored_transposed(frog, tmp_path):
    """names.json of a family whose stacks transformers turns: [E, in, out] becomes [E, out, in]."""
    torch.manual_seed(0)
    stored = torch.randn(3, 12, 20)
    from safetensors.torch import save_file

    save_file({"mlp.experts.up": stored}, tmp_path / "model.safetensors")
    frog("mask", tmp_path, "--out", tmp_path / "out", "--budget", "9%", "--include", "*up", "--threads", 1)
    place = {"parameter": "mlp.experts.up", "shape": [3, 20, 12], "start": [0, 0, 0], "axes": [0, 2, 1]}
    record = json.loads((tmp_path / "out/frog.json").read_text())
    record["documents"]["names.json"] = {}
    (tmp_path / "out/frog.json").write_text(json.dumps(record))
    names = {"format": "frog-names", "format_version": 1, "tensors": {"mlp.experts.up": place}}
    (tmp_path / "out/names.json").write_text(json.dumps(names))

    model = nn.Module()
    model.mlp = nn.Module()
    model.mlp.experts = nn.Module()
    model.mlp.experts.up = nn.Parameter(stored.transpose(1, 2).contiguous())
    (placement,) = frogmask.load(tmp_path / "out").match(model).placements
    wanted = oracle.dense(tmp_path / "out")["mlp.experts.up"]
    weight = model.mlp.experts.up.detach()
    found = pairs(weight.reshape(-1)[placement.indices], placement.scores)
    assert np.array_equal(found, pairs(stored.reshape(-1)[torch.from_numpy(wanted.kept)], wanted.scores[wanted.kept]))
    noise = torch.zeros_like(weight)
    for block in placement.noise:
        assert block.transposed
        noise[block.region] = block.scores()
    assert np.array_equal(pairs(weight.reshape(-1), noise.reshape(-1)), pairs(stored.reshape(-1), wanted.noise))


@pytest.mark.parametrize("wrap", ["compile", "parallel", "both", "checkpointing"])
def test_wrapped_models_have_their_own_names(checkpoint, masked, wrap):
    model = models.load("llama", checkpoint("llama"))
    if wrap == "compile":
        wrapped = torch.compile(model)
    elif wrap == "parallel":
        wrapped = nn.DataParallel(model)
    elif wrap == "both":
        wrapped = torch.compile(nn.DataParallel(torch.compile(model)))
    else:
        from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import apply_activation_checkpointing

        wrapped = model
        apply_activation_checkpointing(wrapped, check_fn=lambda module: isinstance(module, nn.Linear))
    match = frogmask.load(masked("llama", "--budget", "3%")).match(wrapped)
    assert match.unmatched == () and len(match.placements) == 14
    own = dict(wrapped.named_parameters())
    assert all(own[placement.parameter].shape == placement.shape for placement in match.placements)


def test_a_shard_of_a_parameter_has_its_own_rows(checkpoint, masked):
    match = frogmask.load(masked("mixtral", "--budget", "3%", *NAMES)).match(models.load("mixtral", checkpoint("mixtral")))
    for placement in match.placements:
        width = int(np.prod(placement.shape[1:]))
        parts = [placement.rows(start, start + 1) for start in range(placement.shape[0])]
        assert torch.equal(torch.cat([indices + row * width for row, (indices, _) in enumerate(parts)]), placement.indices)
        assert torch.equal(torch.cat([scores for _, scores in parts]), placement.scores)


# What has no partner, and what is refused --------------------------------------------------------------------------------------


def test_a_renamed_module_is_reported_with_the_nearest_name(checkpoint, masked):
    model = models.load("llama", checkpoint("llama"))
    for layer in model.model.layers:
        layer.self_attn.query_proj = layer.self_attn.q_proj
        del layer.self_attn.q_proj
    match = frogmask.load(masked("llama", "--budget", "3%")).match(model)
    assert [(tensor.name, tensor.nearest) for tensor in match.unmatched] == [
        (f"model.layers.{layer}.self_attn.q_proj.weight", f"model.layers.{layer}.self_attn.query_proj.weight") for layer in (0, 1)
    ]
    with pytest.raises(MatchError, match=r"2 of the tensors .* have no partner .*'model.layers.0.self_attn.q_proj.weight' \(nearest: 'mod"):
        match.check()


def test_layers_that_a_model_does_not_have_are_reported(checkpoint, masked):
    model = models.load("llama", checkpoint("llama"))
    del model.model.layers[1]
    match = frogmask.load(masked("llama", "--budget", "3%")).match(model)
    assert {tensor.name.split(".")[2] for tensor in match.unmatched} == {"1"} and len(match.placements) == 7


def test_masks_of_another_model_are_refused(checkpoint, masked):
    with pytest.raises(MatchError, match="the model has none of its 14 tensors, such as .*another model"):
        frogmask.load(masked("llama", "--budget", "3%")).match(models.load("bert", checkpoint("bert")))


def test_masks_of_another_checkpoint_are_refused_by_shapes(masked):
    import transformers

    other = transformers.LlamaForCausalLM(transformers.LlamaConfig(**models.TEXT | dict(intermediate_size=40)))
    with pytest.raises(MatchError, match=r"down_proj.weight' is \[32, 48\] in .*frog.json, and parameter .* is \[32, 40\]"):
        frogmask.load(masked("llama", "--budget", "3%")).match(other)


def test_fused_experts_without_names_say_which_option_helps(checkpoint, masked):
    match = frogmask.load(masked("mixtral", "--budget", "3%")).match(models.load("mixtral", checkpoint("mixtral")))
    assert {tensor.name.split(".")[-2] for tensor in match.unmatched} == {"w1", "w2", "w3"}


def test_masks_that_keep_nothing_are_refused(checkpoint, masked):
    masks = frogmask.load(masked("llama", "--keep", "0"))
    with pytest.raises(MatchError, match="keep no weights: make them with a larger --budget"):
        masks.match(models.load("llama", checkpoint("llama")))


def test_every_weight_may_be_kept(checkpoint, masked):
    match = frogmask.load(masked("llama", "--budget", "100%")).match(models.load("llama", checkpoint("llama")))
    assert all(placement.indices.tolist() == list(range(int(np.prod(placement.shape)))) for placement in match.placements)


def test_quantized_and_unloaded_weights_are_refused(checkpoint, masked):
    masks, model = frogmask.load(masked("llama", "--budget", "3%")), models.load("llama", checkpoint("llama"))
    layer = model.model.layers[0].mlp
    layer.down_proj.weight = nn.Parameter(layer.down_proj.weight.detach().to(torch.int8), requires_grad=False)
    with pytest.raises(MatchError, match="'model.layers.0.mlp.down_proj.weight' is int8.*: load the model in BF16 or F32"):
        masks.match(model)
    with pytest.raises(MatchError, match="is on the meta device: load the weights of the model first"):
        masks.match(models.load("llama", checkpoint("llama")).to("meta"))


def test_tied_tensors_with_two_masks_are_refused(checkpoint, masked, tmp_path):
    """A checkpoint that stores both, as older programs do, and a model that ties them."""
    folder = shutil.copytree(masked("llama", "--budget", "9%", "--include", "*embed_tokens*", "--include", "lm_head*"), tmp_path / "copy")
    with pytest.raises(MatchError, match="are one parameter of the model, 'model.embed_tokens.weight', and .*--exclude"):
        frogmask.load(folder).match(models.load("tied", checkpoint("tied")))


@pytest.mark.parametrize("change", [{"axes": [0, 0]}, {"shape": [-1, 2]}, {"start": [0]}, {"axes": None}])
def test_a_garbled_place_is_refused(checkpoint, masked, tmp_path, change):
    folder = shutil.copytree(masked("vit", "--budget", "3%", *NAMES), tmp_path / "copy")
    names = json.loads((folder / "names.json").read_text())
    tensor = sorted(set(frogmask.load(folder)) & set(names["tensors"]))[0]
    names["tensors"][tensor].update(change)
    (folder / "names.json").write_text(json.dumps(names))
    with pytest.raises(FormatError, match=f"the place of '{tensor}' is garbled"):
        frogmask.load(folder).match(models.load("vit", checkpoint("vit")))


def test_a_place_outside_of_the_parameter_is_refused(checkpoint, masked, tmp_path):
    folder = shutil.copytree(masked("mixtral", "--budget", "3%", *NAMES), tmp_path / "copy")
    names = json.loads((folder / "names.json").read_text())
    tensor = "model.layers.0.block_sparse_moe.experts.0.w1.weight"
    names["tensors"][tensor]["start"][1] += 60
    (folder / "names.json").write_text(json.dumps(names))
    with pytest.raises(MatchError, match=f"'{tensor}' is"):
        frogmask.load(folder).match(models.load("mixtral", checkpoint("mixtral")))


# Fingerprints ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", ["llama", "tied", "gpt2, split", "neox, renamed and split", "resnet, convolutions"])
def test_the_checkpoint_is_told_by_its_fingerprint(checkpoint, masked, tmp_path, case):
    name, _, options = CASES[case]
    folder = masked(name, *options)
    frogmask.load(folder, checkpoint=checkpoint(name))
    other = shutil.copytree(checkpoint(name), tmp_path / "other")
    tensor = json.loads((folder / "frog.json").read_text())["matrices"][-1]["tensor"]
    (entry,) = (t for t in reference.checkpoint_tensors(other) if t.name == tensor)
    weights = np.memmap(entry.file, np.float32, "r+", entry.start, entry.shape)
    weights.reshape(-1)[-1] += 1
    weights.flush()
    with pytest.raises(MatchError, match="is another checkpoint: its fingerprint is sha256-xxh3:.*, the masks were made from sha256-xxh3:"):
        frogmask.load(folder, checkpoint=other)
