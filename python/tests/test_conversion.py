"""frogmask.convert: adapters that PEFT itself loads, and patches in the checkpoint's own types."""

import json

import pytest
import torch
from safetensors.torch import load_file

import frogmask
import models
from frogmask import patch
from frogmask.errors import ConversionError, MatchError, UsageError
from test_patches import trained

peft = pytest.importorskip("peft", reason="peft is not installed (scripts/setup --peers)")

FITTING = {
    "shira": ("--budget", "lora:2", "--select", "lora"),
    "supertuning": ("--budget", "3.3%", "--select", "uniform"),
}


@pytest.fixture
def adapter(checkpoint, masked, tmp_path):
    """Format and model → the adapter of a trained patch, the patch, and the trained model."""

    def make(to, name="llama", options=None):
        masks = frogmask.load(masked(name, *(options or FITTING[to])))
        model = models.load(name, checkpoint(name))
        patch.save(tmp_path / "patch", masks, trained(model, masks))
        frogmask.convert(tmp_path / "patch", to, tmp_path / to, checkpoint=checkpoint(name))
        return tmp_path / to, tmp_path / "patch", model

    return make


@pytest.mark.parametrize("merged", [False, True], ids=["added", "merged"])
@pytest.mark.parametrize("name", ["llama", "bert", "vit"])
@pytest.mark.parametrize("to", FITTING)
def test_peft_gives_the_logits_of_the_patch(checkpoint, adapter, to, name, merged):
    # transformers renames the modules of ViT when it loads them.
    folder, patched, model = adapter(to, name, (*FITTING[to], "--names", "transformers5"))
    wanted, base = models.load(name, checkpoint(name)), models.load(name, checkpoint(name))
    frogmask.apply(wanted, patched)
    before = models.logits(name, base)
    loaded = peft.PeftModel.from_pretrained(base, folder).eval()
    found = models.logits(name, loaded.merge_and_unload() if merged else loaded)
    assert (before - models.logits(name, wanted)).abs().max() > 1e-3
    assert (found - models.logits(name, wanted)).abs().max() <= 1e-6 * max(1.0, float(found.abs().max()))


@pytest.mark.parametrize("to", FITTING)
def test_masks_become_an_adapter_of_zeros_that_trains_the_kept_weights(checkpoint, masked, tmp_path, to):
    masks = frogmask.load(masked("llama", *FITTING[to]))
    frogmask.convert(masks.folder, to, tmp_path / "adapter", checkpoint=checkpoint("llama"))
    base = models.load("llama", checkpoint("llama"))
    before, original = models.logits("llama", base), {name: weight.clone() for name, weight in base.state_dict().items()}
    model = peft.PeftModel.from_pretrained(base, tmp_path / "adapter", is_trainable=True)
    assert torch.equal(models.logits("llama", model), before)
    optimizer = torch.optim.SGD([weight for weight in model.parameters() if weight.requires_grad], lr=0.1)
    ids = torch.arange(1, 17).view(2, 8)
    model(input_ids=ids, labels=ids).loss.backward()
    optimizer.step()
    merged = model.merge_and_unload().state_dict()
    changed = 0
    for name, mask in masks.items():
        moved = torch.nonzero((merged[name] != original[name]).view(-1)).view(-1)
        extra = set(moved.tolist()) - set(mask.indices.tolist())
        assert len(extra) <= (to == "supertuning"), name
        changed += len(moved)
    assert changed > 0.9 * masks.kept


def test_what_a_shira_adapter_holds(masked, adapter):
    folder, _, _ = adapter("shira")
    tensors, config = load_file(folder / "adapter_model.safetensors"), json.loads((folder / "adapter_config.json").read_text())
    masks = frogmask.load(masked("llama", *FITTING["shira"]))
    assert (config["peft_type"], config["r"], config["mask_type"], config["inference_mode"]) == ("SHIRA", 2, "frog", True)
    assert sorted(config["target_modules"]) == sorted(name.removesuffix(".weight") for name in masks)
    for name, mask in masks.items():
        key = f"base_model.model.{name.removesuffix('.weight')}"
        rows, columns = tensors[f"{key}.shira_indices"].long()
        assert tensors[f"{key}.shira_indices"].dtype == torch.int32 and tensors[f"{key}.shira_weight"].dtype == torch.float32
        assert torch.equal(rows * mask.shape[1] + columns, mask.indices)
    card = (folder / "README.md").read_text()
    assert "PeftModel.from_pretrained(base" in card and "added to the weights" in card


def test_what_an_sft_adapter_holds(checkpoint, masked, adapter):
    """Any number of weights; the fork that loads it needs compiled code, so the file itself is checked."""
    folder, patched, model = adapter("sft", options=("--budget", "3%"))
    tensors, config = load_file(folder / "adapter_model.safetensors"), json.loads((folder / "adapter_config.json").read_text())
    base = models.load("llama", checkpoint("llama")).state_dict()
    counts = {}
    for name, tensor in frogmask.Patch(patched).items():
        module = name.removesuffix(".weight")
        if tensor.kept == 0:
            assert not any(module in key for key in tensors)
            continue
        indices, values = (tensors[f"base_model.model.{module}.sft_delta.{kind}"] for kind in ("indices", "values"))
        assert indices.dtype == torch.int32 and torch.equal(indices.long(), tensor.indices)
        assert torch.equal(values, tensor.values - base[name].view(-1)[tensor.indices])
        counts[module] = tensor.kept
    assert (config["peft_type"], config["num_deltas"], config["num_tunable_weights"]) == ("SFT", counts, sum(counts.values()))


def test_a_patch_in_the_types_of_the_checkpoint(frog, tmp_path):
    base = models.save("llama", tmp_path / "base", torch.bfloat16)
    frog("mask", base, "--out", tmp_path / "masks", "--budget", "3%", "--threads", 1)
    masks, model = frogmask.load(tmp_path / "masks"), models.load("llama", base)
    values = trained(model, masks)
    stored = load_file(base / "model.safetensors")
    for name in values:  # every second value moves by less than BF16 can tell
        values[name] = stored[name].view(-1)[masks[name].indices].float() * (1 + 2**-12)
        values[name][1::2] *= 1.5
    patch.save(tmp_path / "patch", masks, values)
    frogmask.convert(tmp_path / "patch", "patch", tmp_path / "small", checkpoint=base)
    small = frogmask.Patch(tmp_path / "small")
    for name, tensor in small.items():
        assert tensor.values.dtype == torch.bfloat16 and tensor.shape == tuple(stored[name].shape)
        assert torch.equal(tensor.indices, masks[name].indices[1::2]) and torch.equal(tensor.values, values[name][1::2].bfloat16())
    frogmask.merge(base, tmp_path / "patch", tmp_path / "one")
    frogmask.merge(base, tmp_path / "small", tmp_path / "two")
    assert (tmp_path / "one/model.safetensors").read_bytes() == (tmp_path / "two/model.safetensors").read_bytes()


# What is refused -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("to", "options", "words"),
    [
        ("shira", ("--budget", "3%"), "SHiRA holds r·.*make masks with --budget lora:16 --select lora"),
        ("shira", ("--budget", "3%", "--select", "uniform"), "SHiRA holds r·"),
        ("supertuning", ("--budget", "3%"), "Super-Tuning holds the same share .*make masks with --select uniform"),
        ("supertuning", FITTING["shira"], "Super-Tuning holds the same share"),
    ],
)
def test_counts_that_do_not_fit_name_the_option_that_helps(checkpoint, masked, tmp_path, to, options, words):
    with pytest.raises(ConversionError, match=words):
        frogmask.convert(masked("llama", *options), to, tmp_path / "adapter", checkpoint=checkpoint("llama"))
    assert not (tmp_path / "adapter").exists()


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("mixtral", ("--names", "transformers5"), "is no module of its own in the loaded model .*use the patch itself"),
        ("gpt2", (), "belongs to a Conv1D, and .* holds torch.nn.Linear alone"),
        ("resnet", ("--conv",), r"is \[.*\]: .* holds linear modules alone; leave it out with --exclude"),
        ("llama", ("--keep", "0"), "keeps no weights: make masks with a larger --budget"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("to", ["shira", "supertuning", "sft"])
def test_weights_that_are_no_linear_modules(checkpoint, masked, tmp_path, to, name, options, words):
    budget = () if "--keep" in options else ("--budget", "100%")
    with pytest.raises(ConversionError, match=words):
        frogmask.convert(masked(name, *budget, *options), to, tmp_path / "adapter", checkpoint=checkpoint(name))


def test_what_does_not_go_together(checkpoint, masked, tmp_path):
    folder = masked("llama", *FITTING["shira"])
    with pytest.raises(UsageError, match="there is no format 'lora': shira, supertuning, sft, patch"):
        frogmask.convert(folder, "lora", tmp_path / "adapter", checkpoint=checkpoint("llama"))
    with pytest.raises(UsageError, match="holds masks, which have no values to make a patch of"):
        frogmask.convert(folder, "patch", tmp_path / "adapter", checkpoint=checkpoint("llama"))
    with pytest.raises(UsageError, match="is not empty: give a new folder to --out"):
        frogmask.convert(folder, "shira", folder, checkpoint=checkpoint("llama"))
    with pytest.raises(MatchError, match="it is another checkpoint"):
        frogmask.convert(folder, "shira", tmp_path / "adapter", checkpoint=checkpoint("bert"))
