"""FrogTrainer: transformers' Trainer trains the kept weights, and its checkpoints go on."""

import json

import pytest
import torch

import training
from frogmask.errors import MissingError, UsageError
from frogmask.noise import FrozenNoise
from frogmask.tuning import SparseTuning
from training import one_thread as one_thread

transformers = pytest.importorskip("transformers", reason="transformers is not installed (scripts/setup --peers)")
pytest.importorskip("accelerate", reason="accelerate is not installed (scripts/setup --peers)")

from frogmask.transformers import FrogTrainer  # noqa: E402


def llama():
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=19, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        max_position_embeddings=16, tie_word_embeddings=False,
    )  # fmt: skip
    return transformers.LlamaForCausalLM(config)


# Every word is the one before plus one, which a model can learn.
WORDS = (training.batch(0, 32)[:, :1] + torch.arange(6)) % 19
DATA = [{"input_ids": words, "labels": words} for words in WORDS]


def arguments(folder, **options):
    chosen = dict(
        per_device_train_batch_size=4, max_steps=8, learning_rate=0.05, lr_scheduler_type="linear", weight_decay=0.1, logging_steps=1,
        save_strategy="no", report_to=[], use_cpu=True, disable_tqdm=True, optim="adamw_torch",
    )  # fmt: skip
    return transformers.TrainingArguments(str(folder), **chosen | options)


def trained(folder, network=None, placements=None, resume=None, **options):
    network = network or llama()
    tuning = SparseTuning(network, placements or training.place(network, share=0.2))
    own = {name: options.pop(name) for name in ("by", "group_options", "noise") if name in options}
    trainer = FrogTrainer(tuning, args=arguments(folder, **options), train_dataset=DATA, eval_dataset=DATA[:8], **own)
    trainer.train(resume_from_checkpoint=resume)
    return trainer


def losses(trainer):
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


@pytest.mark.parametrize("options", [dict(), dict(gradient_accumulation_steps=2, per_device_train_batch_size=2), dict(bf16=True)], ids=str)
def test_losses_are_those_of_a_dense_trainer_with_masked_gradients(tmp_path, options):
    options |= dict(optim="sgd", optim_args="momentum=0.9", weight_decay=0.0, max_grad_norm=0.5, learning_rate=0.5)
    network = llama()
    placements, before = training.place(network, share=0.2), training.weights(network)
    trainer = trained(tmp_path / "sparse", network, placements, **options)
    training.assert_only_kept_changed(before, network, placements)

    dense = llama()
    for weight in dense.parameters():
        weight.requires_grad_(False)
    for one in placements:
        mask = torch.zeros(one.shape)
        mask.view(-1)[one.indices] = 1
        dense.get_parameter(one.parameter).requires_grad_(True).register_hook(lambda gradient, mask=mask: gradient * mask)
    reference = transformers.Trainer(dense, arguments(tmp_path / "dense", **options), train_dataset=DATA)
    reference.train()
    wanted = losses(reference)
    assert wanted[-1] < 0.95 * wanted[0]
    torch.testing.assert_close(torch.tensor(losses(trainer)), torch.tensor(wanted), rtol=2e-6, atol=0)
    norms = [[entry["grad_norm"] for entry in of.state.log_history if "grad_norm" in entry] for of in (trainer, reference)]
    torch.testing.assert_close(torch.tensor(norms[0]), torch.tensor(norms[1]), rtol=1e-4, atol=0)
    assert min(norms[0]) > 0.5, "gradients are clipped here"


@pytest.mark.parametrize("reentrant", [False, True])
def test_gradient_checkpointing(tmp_path, reentrant):
    plain = trained(tmp_path / "plain")
    kwargs = {"use_reentrant": reentrant}
    saving = trained(tmp_path / "saving", gradient_checkpointing=True, gradient_checkpointing_kwargs=kwargs)
    torch.testing.assert_close(torch.tensor(losses(saving)), torch.tensor(losses(plain)), rtol=1e-6, atol=0)


def test_reentrant_checkpointing_below_a_frozen_embedding(tmp_path):
    network = llama()
    placements = training.place(network, share=0.2, names=("model.layers.0.mlp.up_proj.weight",))
    before = training.weights(network)
    trained(tmp_path, network, placements, gradient_checkpointing=True, gradient_checkpointing_kwargs={"use_reentrant": True})
    training.assert_only_kept_changed(before, network, placements)


@pytest.mark.parametrize("noisy", [False, True])
def test_a_resumed_run_ends_with_the_same_bits(tmp_path, noisy):
    def run(folder, resume=None):
        network = llama()
        placements = training.place(network, share=0.2)
        noise = FrozenNoise(network, placements, beta=0.01, schedule="linear", steps=8) if noisy else None
        return trained(folder, network, placements, resume, save_strategy="steps", save_steps=3, noise=noise)

    whole = run(tmp_path / "whole")
    resumed = run(tmp_path / "resumed", tmp_path / "whole/checkpoint-3")
    assert losses(resumed) == losses(whole)
    for name, weight in training.weights(whole.model).items():
        assert torch.equal(training.bits(weight), training.bits(training.weights(resumed.model)[name])), name
    assert not list((tmp_path / "whole").rglob("model*.safetensors")), "a checkpoint has no copy of the model"


def test_the_best_model_is_loaded_at_the_end(tmp_path):
    """The best one is that of the largest loss here, an early one."""
    trainer = trained(
        tmp_path, save_strategy="steps", save_steps=1, eval_strategy="steps", eval_steps=1,
        load_best_model_at_end=True, metric_for_best_model="eval_loss", greater_is_better=True,
    )  # fmt: skip
    evaluated = [entry["eval_loss"] for entry in trainer.state.log_history if "eval_loss" in entry]
    assert max(evaluated) > 1.01 * evaluated[-1]
    assert trainer.evaluate()["eval_loss"] == pytest.approx(max(evaluated), rel=1e-6)


def test_learning_rates_by_importance_and_another_head(tmp_path):
    network = llama()
    placements = training.place(network, share=0.2, names=tuple(name for name, _ in network.named_parameters() if "layers" in name))
    placements = [training.replace(one, stack="layers", depth=int(one.parameter.split(".")[2])) for one in placements]
    placements = [training.replace(one, importance=1.0 + one.depth) for one in placements]
    before = training.weights(network)
    tuning = SparseTuning(network, placements)
    network.lm_head.weight.requires_grad_(True)
    trainer = FrogTrainer(tuning, args=arguments(tmp_path, max_steps=2, lr_scheduler_type="constant"), train_dataset=DATA, by="importance")
    trainer.train()
    rates = {group["name"]: group["lr"] for group in trainer.optimizer.param_groups}
    assert rates == {"layers.0": pytest.approx(0.025), "layers.1": 0.05, "other parameters": 0.05}
    assert not torch.equal(before["lm_head.weight"], network.lm_head.weight)
    trainer.save_model(tmp_path / "saved")
    wanted = training.weights(network)
    again = llama()
    other = SparseTuning(again, placements)
    again.lm_head.weight.requires_grad_(True)
    FrogTrainer(other, args=arguments(tmp_path), train_dataset=DATA)._load_from_checkpoint(str(tmp_path / "saved"))
    assert all(torch.equal(wanted[name], weight) for name, weight in training.weights(again).items())


def test_noise_steps_with_the_optimizer_and_follows_the_validation_loss(tmp_path):
    network = llama()
    placements = training.place(network, share=0.2)
    noise = FrozenNoise(network, placements, beta=0.01, schedule="adaptive")
    trainer = trained(tmp_path, network, placements, noise=noise, eval_strategy="steps", eval_steps=2)
    evaluated = [entry["eval_loss"] for entry in trainer.state.log_history if "eval_loss" in entry]
    assert noise.number == 8 and noise.scale == pytest.approx(0.01 * min(1, evaluated[-1] / evaluated[0]))


def test_what_is_refused(tmp_path):
    network = llama()
    tuning = SparseTuning(network, training.place(network))
    with pytest.raises(UsageError, match="chooses parameters of the model"):
        own = (torch.optim.SGD, {"params": list(network.parameters()), "lr": 1.0})
        FrogTrainer(tuning, args=arguments(tmp_path), train_dataset=DATA, optimizer_cls_and_kwargs=own).train()
    (tmp_path / "checkpoint-1").mkdir()
    (tmp_path / "checkpoint-1/trainer_state.json").write_text(json.dumps(transformers.TrainerState().__dict__, default=str))
    with pytest.raises(MissingError, match="has no tuning.pt"):
        FrogTrainer(tuning, args=arguments(tmp_path), train_dataset=DATA).train(resume_from_checkpoint=str(tmp_path / "checkpoint-1"))
