"""Patches: saved after training, applied to a model in another process, merged into a checkpoint."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import frogmask
import models
import reference
from frogmask import patch
from frogmask.errors import FormatError, MatchError, MissingError, UsageError, WriteError

NAMES = ("--names", "transformers5")
CASES = {
    "llama": ("--budget", "3%"),
    "tied": ("--budget", "3%", "--include", "*embed_tokens*"),
    "bert": ("--budget", "3%"),
    "gpt2": ("--budget", "3%", "--split-fused"),
    "neox": ("--budget", "3%", "--split-fused", *NAMES),
    "mixtral": ("--budget", "3%", *NAMES),
    "vit": ("--budget", "3%", *NAMES),
    "resnet": ("--budget", "3%", "--conv"),
}


def trained(model, masks, dtype=None):
    """The model after a step that changes every kept weight and no other, and the values by tensor of the checkpoint."""
    match = masks.match(model)
    parameters = dict(model.named_parameters())
    generator = torch.Generator().manual_seed(2)
    values = {}
    with torch.no_grad():
        for placement in match.placements:
            weight = parameters[placement.parameter]
            steps = 0.05 * torch.randn(placement.indices.numel(), generator=generator)
            weight.view(-1)[placement.indices] += steps.to(weight.dtype)
            values[placement.parameter] = weight.view(-1)[placement.indices].clone()
    return match.to_checkpoint(values)


@pytest.fixture
def saved(checkpoint, masked, tmp_path):
    """Name of a model → its patch and the trained model."""

    def make(name, dtype=torch.float32, options=None):
        masks, model = frogmask.load(masked(name, *(options or CASES[name]))), models.load(name, checkpoint(name), dtype)
        values = trained(model, masks)
        patch.save(tmp_path / "patch", masks, values)
        return tmp_path / "patch", model

    return make


@pytest.mark.parametrize("name", CASES)
def test_a_patched_model_is_the_trained_one_bit_for_bit(checkpoint, saved, tmp_path, name):
    folder, model = saved(name)
    wanted = models.logits(name, model)
    fresh = models.load(name, checkpoint(name))
    assert not torch.equal(models.logits(name, fresh), wanted)
    frogmask.apply(fresh, folder)
    assert torch.equal(models.logits(name, fresh), wanted)
    for (parameter, mine), (_, theirs) in zip(fresh.named_parameters(), model.named_parameters()):
        assert torch.equal(mine, theirs), parameter


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_another_process_sees_the_same_logits(checkpoint, saved, tmp_path, dtype):
    folder, model = saved("mixtral", dtype)
    torch.save(models.logits("mixtral", model), tmp_path / "logits.pt")
    code = f"""
import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})
import torch, frogmask, models
model = models.load("mixtral", {str(checkpoint("mixtral"))!r}, {dtype})
frogmask.apply(model, {str(folder)!r})
assert torch.equal(models.logits("mixtral", model), torch.load({str(tmp_path / "logits.pt")!r}))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_what_a_patch_holds(checkpoint, masked, saved):
    folder, model = saved("llama", torch.bfloat16)
    masks, tensors = frogmask.load(masked("llama", *CASES["llama"])), load_file(folder / "patch.safetensors")
    assert set(tensors) == {f"{name}.{kind}" for name in masks for kind in ("indices", "values")}
    weights = dict(model.named_parameters())
    for name, mask in masks.items():
        assert tensors[f"{name}.indices"].dtype == torch.int32 and torch.equal(tensors[f"{name}.indices"].long(), mask.indices)
        assert tensors[f"{name}.values"].dtype == torch.bfloat16
        assert torch.equal(tensors[f"{name}.values"], weights[name].detach().view(-1)[mask.indices])
    record = json.loads((folder / "patch.json").read_text())
    assert record["checkpoint"] == json.loads((masks.folder / "frog.json").read_text())["checkpoint"]
    assert (record["format"], record["kept"]) == ("frog-patch", masks.kept)
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "patch.json", "patch.safetensors"]
    text = (folder / "README.md").read_text()
    assert text.startswith("---\nlibrary_name: frogmask\n") and masks.fingerprint in text and "frogmask.apply(model" in text


def test_the_card_names_the_model(checkpoint, masked, tmp_path):
    masks = frogmask.load(masked("llama", *CASES["llama"]))
    values = trained(models.load("llama", checkpoint("llama")), masks)
    patch.save(tmp_path, masks, values, base_model="some/model: 1")
    text = (tmp_path / "README.md").read_text()
    assert 'base_model: "some/model: 1"' in text and 'from_pretrained("some/model: 1")' in text


def test_values_may_be_pieces_of_one_vector(checkpoint, masked, tmp_path):
    masks = frogmask.load(masked("llama", *CASES["llama"]))
    vector = torch.randn(masks.kept)
    values = dict(zip(masks, vector.split([mask.kept for mask in masks.values()])))
    patch.save(tmp_path, masks, values)
    assert torch.equal(torch.cat([tensor.values for tensor in frogmask.Patch(tmp_path).values()]), vector)


def test_a_patch_can_be_replaced_and_is_never_half_there(checkpoint, masked, tmp_path, monkeypatch):
    masks = frogmask.load(masked("llama", *CASES["llama"]))
    values = trained(models.load("llama", checkpoint("llama")), masks)
    patch.save(tmp_path, masks, values)
    patch.save(tmp_path, masks, {name: 2 * value for name, value in values.items()})
    name = next(name for name in values if values[name].numel())
    assert torch.equal(frogmask.Patch(tmp_path)[name].values, 2 * values[name])

    def full(tensors, path, metadata):
        Path(path).write_bytes(b"half of a file")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(patch, "save_file", full)
    with pytest.raises(WriteError, match="cannot write .*patch.safetensors: No space left on device"):
        patch.save(tmp_path, masks, values)
    with pytest.raises(FormatError, match="has no patch.json: saving it did not finish"):
        frogmask.Patch(tmp_path)
    assert not any(path.name.endswith(".tmp") for path in tmp_path.iterdir())


# Merging ---------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CASES)
def test_a_merged_checkpoint_is_the_trained_model(checkpoint, saved, tmp_path, name):
    folder, model = saved(name)
    frogmask.merge(checkpoint(name), folder, tmp_path / "merged")
    assert torch.equal(models.logits(name, models.load(name, tmp_path / "merged")), models.logits(name, model))


def test_shards_keep_their_names_order_types_and_metadata(masked, frog, tmp_path):
    base = models.save("llama", tmp_path / "base", torch.bfloat16, max_shard_size="10KB")
    (base / "tokenizer.json").write_text("{}")
    (base / "pytorch_model.bin").write_text("other weights")
    (base / "1_Pooling").mkdir()
    (base / "1_Pooling/config.json").write_text("{}")
    (base / "onnx").mkdir()
    (base / "onnx/model.onnx").write_text("other weights")
    frog("mask", base, "--out", tmp_path / "masks", "--budget", "3%", "--threads", 1)
    masks, model = frogmask.load(tmp_path / "masks"), models.load("llama", base, torch.bfloat16)
    patch.save(tmp_path / "patch", masks, trained(model, masks))
    frogmask.merge(base, tmp_path / "patch", tmp_path / "merged")

    kept = {path.name for path in base.iterdir()} - {"pytorch_model.bin", "onnx"}
    assert {path.name for path in (tmp_path / "merged").iterdir()} == kept and len(list(base.glob("*.safetensors"))) > 3
    assert (tmp_path / "merged/1_Pooling/config.json").read_text() == "{}"
    for path in filter(Path.is_file, base.iterdir()):
        merged = tmp_path / "merged" / path.name
        if path.suffix != ".safetensors":
            assert path.name == "pytorch_model.bin" or merged.read_bytes() == path.read_bytes()
            continue
        before, after = path.read_bytes(), merged.read_bytes()
        length = 8 + int.from_bytes(before[:8], "little")
        assert before[:length] == after[:length] and len(before) == len(after)
        with safe_open(merged, "pt") as found, safe_open(path, "pt") as original:
            for name in original.keys():  # noqa: SIM118
                wanted = original.get_tensor(name).clone()
                if name in masks:
                    wanted.view(-1)[masks[name].indices] = model.get_parameter(name).detach().view(-1)[masks[name].indices]
                assert torch.equal(found.get_tensor(name), wanted), name
    assert torch.equal(models.logits("llama", models.load("llama", tmp_path / "merged", torch.bfloat16)), models.logits("llama", model))


def test_values_of_float32_training_are_rounded_to_the_checkpoint(frog, tmp_path):
    base = models.save("llama", tmp_path / "base", torch.bfloat16)
    frog("mask", base, "--out", tmp_path / "masks", "--budget", "3%", "--threads", 1)
    masks, model = frogmask.load(tmp_path / "masks"), models.load("llama", base)
    values = trained(model, masks)
    patch.save(tmp_path / "patch", masks, values)
    frogmask.merge(base, tmp_path / "patch", tmp_path / "merged")
    merged = load_file(tmp_path / "merged/model.safetensors")
    for name, value in values.items():
        assert merged[name].dtype == torch.bfloat16
        assert torch.equal(merged[name].view(-1)[masks[name].indices], value.bfloat16())


def test_pieces_of_a_large_tensor_are_put_together(checkpoint, saved, tmp_path, monkeypatch):
    from frogmask import merging

    monkeypatch.setattr(merging, "_PIECE", 64)
    folder, model = saved("gpt2")
    frogmask.merge(checkpoint("gpt2"), folder, tmp_path / "merged")
    assert torch.equal(models.logits("gpt2", models.load("gpt2", tmp_path / "merged")), models.logits("gpt2", model))


def test_a_single_file_can_be_merged(checkpoint, saved, tmp_path):
    folder, model = saved("bert")
    frogmask.merge(checkpoint("bert") / "model.safetensors", folder, tmp_path / "merged")
    assert [path.name for path in (tmp_path / "merged").iterdir()] == ["model.safetensors"]
    merged = load_file(tmp_path / "merged/model.safetensors")
    assert all(torch.equal(merged[name], value) for name, value in model.state_dict().items() if name in merged)


def test_merging_needs_little_memory(frog, tmp_path):
    """A tensor of 96 MB, merged by a process that may only take a part of that beyond what it has after its imports."""
    torch.manual_seed(0)
    (tmp_path / "base").mkdir()
    save_file({"h.0.up.weight": torch.randn(3 << 13, 1 << 10)}, tmp_path / "base/model.safetensors", {"format": "pt"})
    frog("mask", tmp_path / "base", "--out", tmp_path / "masks", "--keep", "1000", "--score", "magnitude", "--threads", 1)
    masks = frogmask.load(tmp_path / "masks")
    patch.save(tmp_path / "patch", masks, {name: torch.zeros(mask.kept) for name, mask in masks.items()})
    code = f"""
import frogmask.merging, frogmask.fingerprint, xxhash
def anonymous(): return next(int(l.split()[1]) for l in open("/proc/self/smaps_rollup") if l.startswith("Anonymous"))
before = anonymous()
peak = []
merging = frogmask.merging
put = merging._Changes.put
merging._Changes.put = lambda *given: (put(*given), peak.append(anonymous()))[0]
frogmask.merge({str(tmp_path / "base")!r}, {str(tmp_path / "patch")!r}, {str(tmp_path / "merged")!r})
assert len(peak) == 6, peak
assert max(peak) - before < 60_000, (before, peak)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    merged = load_file(tmp_path / "merged/model.safetensors")["h.0.up.weight"]
    assert int((merged == 0).sum()) == 1000


# What is refused ------------------------------------------------------------------------------------------------------------------


def test_values_that_are_not_those_of_the_masks(checkpoint, masked, tmp_path):
    masks = frogmask.load(masked("llama", *CASES["llama"]))
    values = trained(models.load("llama", checkpoint("llama")), masks)
    name = next(name for name in values if values[name].numel() > 1)
    with pytest.raises(MatchError, match="have no tensor 'no.such.weight'"):
        patch.save(tmp_path, masks, {"no.such.weight": torch.zeros(1)})
    with pytest.raises(MatchError, match=f"'{name}' has {len(values[name])} kept weights"):
        patch.save(tmp_path, masks, {name: values[name][1:]})
    with pytest.raises(MatchError, match="are torch.int64, not weights"):
        patch.save(tmp_path, masks, {name: values[name].long()})
    with pytest.raises(FormatError, match="are not all finite: training has diverged"):
        patch.save(tmp_path, masks, {name: values[name] * torch.nan})
    with pytest.raises(UsageError, match="there are no values to save"):
        patch.save(tmp_path, masks, {})
    assert list(tmp_path.iterdir()) == []


def test_a_model_without_the_tensor_is_left_as_it_is(checkpoint, saved):
    folder, _ = saved("llama")
    model = models.load("llama", checkpoint("llama"))
    before = models.logits("llama", model)
    model.model.layers[1].mlp.last = model.model.layers[1].mlp.down_proj
    renamed, forward = model.model.layers[1].mlp.last, model.model.layers[1].mlp.forward
    del model.model.layers[1].mlp.down_proj
    with pytest.raises(MatchError, match="no parameter for '.*1.mlp.down_proj.weight' .nearest: 'model.layers.1.mlp.last.weight'"):
        frogmask.apply(model, folder)
    model.model.layers[1].mlp.down_proj, model.model.layers[1].mlp.forward = renamed, forward
    assert torch.equal(models.logits("llama", model), before)


def test_sharded_parameters_are_refused(checkpoint, masked, saved, tmp_path):
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    folder, _ = saved("llama")
    model = models.load("llama", checkpoint("llama"))
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1)
    try:
        fully_shard(model, mesh=init_device_mesh("cpu", (1,)))
        with pytest.raises(MatchError, match="is sharded or not contiguous: apply the patch before the model is wrapped"):
            frogmask.apply(model, folder)
        # Masks can be matched all the same: shapes are those of the whole parameters.
        assert len(frogmask.load(masked("llama", *CASES["llama"])).match(model).placements) == 14
    finally:
        torch.distributed.destroy_process_group()


def test_another_checkpoint_is_not_merged(checkpoint, saved, tmp_path):
    folder, _ = saved("llama")
    with pytest.raises(MatchError, match="has no tensor '.*': it is another checkpoint"):
        frogmask.merge(checkpoint("bert"), folder, tmp_path / "merged")
    assert not (tmp_path / "merged").exists()
    tuned = shutil.copytree(checkpoint("llama"), tmp_path / "tuned")
    tensors = load_file(tuned / "model.safetensors")
    tensors["model.layers.1.mlp.up_proj.weight"][3, 3] += 1
    save_file(tensors, tuned / "model.safetensors", {"format": "pt"})
    with pytest.raises(MatchError, match="is another checkpoint: its fingerprint is"):
        frogmask.merge(tuned, folder, tmp_path / "merged")
    frogmask.merge(tuned, folder, tmp_path / "merged", verify=False)


def test_a_folder_with_something_in_it_is_not_overwritten(checkpoint, saved, tmp_path):
    folder, _ = saved("llama")
    with pytest.raises(UsageError, match="is not empty: give a new folder to --out"):
        frogmask.merge(checkpoint("llama"), folder, checkpoint("llama"))


def test_values_that_the_checkpoint_cannot_hold(frog, tmp_path):
    base = models.save("llama", tmp_path / "base", torch.float16)
    frog("mask", base, "--out", tmp_path / "masks", "--budget", "3%", "--threads", 1)
    masks, model = frogmask.load(tmp_path / "masks"), models.load("llama", base)
    patch.save(tmp_path / "patch", masks, {name: value + 1e6 for name, value in trained(model, masks).items()})
    with pytest.raises(MatchError, match="are too large for F16, in which the checkpoint stores it"):
        frogmask.merge(base, tmp_path / "patch", tmp_path / "merged")
    assert not (tmp_path / "merged").exists()


def test_values_that_the_model_cannot_hold(checkpoint, masked, tmp_path):
    masks, model = frogmask.load(masked("llama", *CASES["llama"])), models.load("llama", checkpoint("llama"))
    patch.save(tmp_path, masks, {name: value + 1e6 for name, value in trained(model, masks).items()})
    half = models.load("llama", checkpoint("llama"), torch.float16)
    before = {name: weight.clone() for name, weight in half.state_dict().items()}
    with pytest.raises(MatchError, match="values of '.*' are too large for torch.float16, the type of parameter"):
        frogmask.apply(half, tmp_path)
    assert all(torch.equal(weight, before[name]) for name, weight in half.state_dict().items())


def test_nothing_is_applied_of_a_patch_with_one_spoiled_tensor(checkpoint, saved):
    folder, _ = saved("llama")
    *_, last = (name for name, tensor in frogmask.Patch(folder).items() if tensor.kept > 1)
    entry = next(entry for entry in reference.read_header(folder / "patch.safetensors") if entry.name == f"{last}.indices")
    indices = np.memmap(folder / "patch.safetensors", np.int32, "r+", entry.start, entry.shape)
    indices[-1] = 1 << 20
    indices.flush()
    model = models.load("llama", checkpoint("llama"))
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    with pytest.raises(FormatError, match=f"'{last}.indices' does not ascend"):
        frogmask.apply(model, folder)
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())


def test_a_spoiled_patch_is_refused(saved):
    folder, _ = saved("llama")
    name = next(name for name, tensor in frogmask.Patch(folder).items() if tensor.kept > 1)
    entries = {entry.name: entry for entry in reference.read_header(folder / "patch.safetensors")}
    entry = entries[f"{name}.indices"]
    indices = np.memmap(folder / "patch.safetensors", np.int32, "r+", entry.start, entry.shape)
    indices[-1] = 1 << 20
    indices.flush()
    with pytest.raises(FormatError, match=f"'{name}.indices' does not ascend from 0 to"):
        _ = frogmask.Patch(folder)[name].indices
    entry = entries[f"{name}.values"]
    values = np.memmap(folder / "patch.safetensors", np.float32, "r+", entry.start, entry.shape)
    values[0] = np.nan
    values.flush()
    with pytest.raises(FormatError, match=f"'{name}.values' has numbers that are not finite"):
        _ = frogmask.Patch(folder)[name].values
    whole = (folder / "patch.safetensors").read_bytes()
    (folder / "patch.safetensors").write_bytes(whole[:-1])
    with pytest.raises(FormatError, match="patch.safetensors is truncated or too long"):
        frogmask.Patch(folder)
    (folder / "patch.safetensors").write_bytes(whole + b" ")
    with pytest.raises(FormatError, match="patch.safetensors is truncated or too long"):
        frogmask.Patch(folder)
    (folder / "patch.safetensors").unlink()
    with pytest.raises(MissingError, match="there is no file .*patch.safetensors"):
        frogmask.Patch(folder)


@pytest.mark.parametrize("change", [{"tensors": 3}, {"tensors": {"a": {}}}, {"file": None}, {"checkpoint": {}}])
def test_a_spoiled_record_is_refused(saved, change):
    folder, _ = saved("llama")
    record = json.loads((folder / "patch.json").read_text())
    (folder / "patch.json").write_text(json.dumps(record | change))
    with pytest.raises(FormatError, match="patch.json lacks or garbles"):
        frogmask.Patch(folder)
