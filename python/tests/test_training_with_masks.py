"""From masks that the real program makes, through training, to a patch that a fresh model takes."""

import pytest
import torch

import models
import training
from frogmask import apply, load
from frogmask.errors import MatchError, UsageError
from frogmask.noise import FrozenNoise
from frogmask.tuning import SparseTuning
from test_ranks import two_ranks
from training import one_thread as one_thread


def batch_of(name, dtype):
    torch.manual_seed(2)
    if name in ("vit", "resnet"):
        return {"pixel_values": torch.randn(2, 3, 16, 16, dtype=dtype), "labels": torch.tensor([0, 1])}
    words = torch.randint(1, 64, (2, 9))
    return {"input_ids": words, "labels": words}


def train(network, tuning, steps=3, name="llama", optimizer=None, noise=None):
    if optimizer is None:
        optimizer = torch.optim.AdamW(tuning.parameters(), lr=0.01, weight_decay=0.1)
        tuning.attach(optimizer)
    network.train()
    for module in network.modules():
        # A patch has weights only, so running statistics stay those of the checkpoint.
        module.train(not isinstance(module, torch.nn.BatchNorm2d))
    for _ in range(steps):
        found = network(**batch_of(name, network.dtype))
        loss = found.loss if "loss" in found else found[0].float().square().mean()  # a model without a head has none
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        if noise is not None:
            noise.step()
    network.eval()
    return optimizer


@pytest.mark.parametrize("name", sorted(models.MODELS))
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_train_save_apply(masked, checkpoint, tmp_path, name, dtype):
    """Every kind of weight: fused and stacked experts, Conv1D, convolutions, tied embeddings. Noise is on meanwhile."""
    options = ("--conv",) if name in ("vit", "resnet") else ()
    masks = load(masked(name, "--budget", "5%", "--names", "transformers5", *options))
    network = models.load(name, checkpoint(name), dtype)
    match = masks.match(network)
    before = training.weights(network)
    tuning = SparseTuning(network, masks)
    noise = FrozenNoise(network, masks, beta=0.01)
    train(network, tuning, name=name, noise=noise)
    training.assert_only_kept_changed(before, network, [one for one in match.placements if one.indices.numel()], least=0.15)
    tuning.save(tmp_path / "patch")
    fresh = models.load(name, checkpoint(name), dtype)
    apply(fresh, tmp_path / "patch")
    for parameter, weight in training.weights(network).items():
        assert torch.equal(training.bits(weight), training.bits(training.weights(fresh)[parameter])), parameter
    has_logits = name != "bare bert" and (name != "resnet" or dtype == torch.float32)  # its images are in float32
    if has_logits:
        assert torch.equal(models.logits(name, fresh), models.logits(name, network))


def test_a_patch_after_another_mask_has_the_weights_of_both(masked, checkpoint, tmp_path):
    first = load(masked("mixtral", "--budget", "5%", "--names", "transformers5"))
    second = load(masked("mixtral", "--budget", "5%", "--names", "transformers5", "--score", "random"))
    network = models.load("mixtral", checkpoint("mixtral"))
    tuning = SparseTuning(network, first)
    optimizer = train(network, tuning)
    tuning.update(second)
    train(network, tuning, optimizer=optimizer)
    tuning.save(tmp_path / "patch")
    fresh = models.load("mixtral", checkpoint("mixtral"))
    apply(fresh, tmp_path / "patch")
    for parameter, weight in training.weights(network).items():
        assert torch.equal(training.bits(weight), training.bits(training.weights(fresh)[parameter])), parameter


def test_a_patch_of_a_sharded_model(masked, checkpoint, tmp_path):
    for name, options in (("first", ()), ("second", ("--score", "random"))):
        (tmp_path / name).symlink_to(masked("mixtral", "--budget", "5%", "--names", "transformers5", *options))
    (tmp_path / "model").symlink_to(checkpoint("mixtral"))
    two_ranks(["patch"], tmp_path)
    fresh = models.load("mixtral", checkpoint("mixtral"))
    before = training.weights(fresh)
    apply(fresh, tmp_path / "patch")
    wanted = torch.load(tmp_path / "weights.pt", weights_only=True)
    assert any(not torch.equal(before[name], weight) for name, weight in wanted.items())
    for name, weight in training.weights(fresh).items():
        assert torch.equal(training.bits(weight), training.bits(wanted[name])), name


def test_running_statistics_that_a_patch_does_not_have_are_reported(masked, checkpoint, tmp_path):
    network = models.load("resnet", checkpoint("resnet")).train()
    tuning = SparseTuning(network, load(masked("resnet", "--budget", "5%", "--names", "transformers5", "--conv")))
    network(**batch_of("resnet", torch.float32))
    with pytest.warns(UserWarning, match="running statistics of 'resnet.embedder.embedder.normalization' have changed"):
        tuning.save(tmp_path / "patch")


def test_layers_and_noise_come_from_the_masks(masked, checkpoint):
    masks = load(masked("llama", "--budget", "5%", "--names", "transformers5"))
    network = models.load("llama", checkpoint("llama"))
    tuning = SparseTuning(network, masks, freeze_layers="least:1")
    depths = {kept.placement.depth for kept in tuning.kept.values()}
    assert len(depths - {None}) == 1
    groups = tuning.param_groups(1.0)
    assert max(group["lr"] for group in groups) == 1.0 and sum(len(group["params"]) for group in groups) == len(tuning.kept)


def test_what_is_refused(masked, checkpoint, tmp_path):
    masks = load(masked("llama", "--budget", "5%", "--names", "transformers5"))
    with pytest.raises(MatchError):
        SparseTuning(models.load("gpt2", checkpoint("gpt2")), masks)
    network = models.load("llama", checkpoint("llama"))
    mlp = network.model.layers[1].mlp
    mlp.renamed, mlp.up_proj = mlp.up_proj, None
    with pytest.raises(MatchError, match="layers.1.mlp.up_proj"):
        SparseTuning(network, masks)
    assert "model.layers.1.mlp.renamed.weight" not in SparseTuning(network, masks, strict=False).kept
    network = models.load("llama", checkpoint("llama"))
    tuning = SparseTuning(network, masks.match(network).placements)
    with pytest.raises(UsageError, match="made of placements"):
        tuning.save(tmp_path / "patch")
