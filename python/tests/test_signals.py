"""frogmask.signals.collect: activations and gradients of loaded models, under the names and shapes of their checkpoints."""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import models
import oracle
import reference
import signal_oracle as plain
from conftest import ROOT
from frogmask import signals
from frogmask.errors import FormatError, UsageError
from frogmask.signals.activations import UNREACHED, ActivationNorms
from training import one_thread as one_thread

BOUND = 1e-5
NAMES = ["llama", "tied", "bert", "gpt2", "neox", "mixtral", "vit", "resnet"]


def batches_for(name):
    """Two batches; the second has padding, where there can be some."""
    torch.manual_seed(3)
    if name in ("vit", "resnet"):
        return [{"pixel_values": torch.randn(3, 3, 16, 16), "labels": torch.tensor([0, 1, 1])} for _ in range(2)]
    return [texts(64, (7, 7, 7)), texts(64, (9, 4, 6))]


def texts(vocabulary, lengths, labels=None):
    ids = torch.randint(1, vocabulary, (len(lengths), max(lengths)))
    mask = (torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]).long()
    return {
        "input_ids": ids * mask, "attention_mask": mask, "labels": torch.where(mask == 1, ids, -100) if labels is None else labels,
    }  # fmt: skip


def check(found, wanted, shape):
    found = plain.whole(found, shape).astype(np.float64)
    assert found.shape == wanted.shape
    assert np.all(np.abs(found - wanted) <= BOUND * np.abs(wanted) + 1e-12 * np.abs(wanted).max())


# Values against plain PyTorch ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["gradient", "fisher"])
def test_gradients_are_those_of_plain_pytorch(checkpoint, tmp_path, name, kind):
    model, batches = models.load(name, checkpoint(name)), batches_for(name)
    wanted = plain.gradients(model, batches if kind == "gradient" else list(plain.examples(batches)), 1 if kind == "gradient" else 2)
    model.train()  # dropout and batch normalization are as in eval() all the same
    summary = signals.collect(model, batches, kind, tmp_path / "out", checkpoint=checkpoint(name))
    found, homes = plain.read(tmp_path / "out"), plain.homes(model, checkpoint(name))
    assert set(found) == set(homes) and summary.absent == {} and summary.newcomers == []
    for tensor, place in homes.items():
        check(found[tensor], plain.at(wanted, place), found[tensor].shape)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "mixtral"])
def test_norms_of_activations_are_those_of_plain_pytorch(checkpoint, tmp_path, name):
    model, batches = models.load(name, checkpoint(name)), batches_for(name)
    wanted = plain.norms(model, batches)
    homes = plain.homes(model, checkpoint(name))
    # lm_head and the word embeddings are one parameter here, which named_parameters calls by the latter.
    tied = {"tied": "model.embed_tokens.weight", "gpt2": "transformer.wte.weight", "bert": "bert.embeddings.word_embeddings.weight"}
    if name in tied:
        wanted[tied[name]] = wanted.pop("cls.predictions.decoder.weight" if name == "bert" else "lm_head.weight")
    summary = signals.collect(model, batches, "activation", tmp_path / "out", checkpoint=checkpoint(name))
    found = plain.read(tmp_path / "out")
    assert set(found) == {tensor for tensor, place in homes.items() if place in wanted}
    assert set(summary.absent) == set(homes) - set(found) and summary.unreached == []
    for tensor in found:
        place = homes[tensor]
        check(found[tensor], wanted[place], wanted[place].shape)
        # Stored inputs × outputs, the norms belong to rows, and --weight-by takes no vector for rows.
        assert (found[tensor].ndim == 1) != (name == "gpt2" and ".h." in tensor)


@pytest.mark.parametrize("implementation", ["grouped_mm", "eager"])
def test_every_expert_has_the_norms_of_the_tokens_that_are_sent_to_it(checkpoint, tmp_path, implementation):
    """Mixtral is stored expert by expert, and transformers 5 computes with one parameter for all of them."""
    model, batches = models.load("mixtral", checkpoint("mixtral")), batches_for("mixtral")
    model.set_experts_implementation(implementation)
    blocks = {name: module for name, module in model.named_modules() if name.endswith(".mlp")}
    tokens = {name: [] for name in blocks}
    hooks = [
        block.register_forward_pre_hook(lambda _, inputs, name=name: tokens[name].append(inputs[0].reshape(-1, inputs[0].shape[-1])))
        for name, block in blocks.items()
    ]
    with torch.no_grad():
        for example in plain.examples(batches):
            model(**example)
    for hook in hooks:
        hook.remove()
    signals.collect(model, batches, "activation", tmp_path / "out", checkpoint=checkpoint("mixtral"))
    found = plain.read(tmp_path / "out")
    stored = {t.name: torch.from_numpy(t.read()).double() for t in reference.checkpoint_tensors(checkpoint("mixtral"))}
    for layer, name in enumerate(blocks):
        x = torch.cat(tokens[name]).double()
        prefix = f"model.layers.{layer}.block_sparse_moe"
        chosen = (x @ stored[f"{prefix}.gate.weight"].T).topk(2, dim=1).indices
        for expert in range(3):
            mine = x[(chosen == expert).any(1)]
            assert 0 < len(mine) < len(x)
            w1, w3 = (mine @ stored[f"{prefix}.experts.{expert}.{part}.weight"].T for part in ("w1", "w3"))
            inner = nn.functional.silu(w1) * w3
            for part, met in (("w1", mine), ("w3", mine), ("w2", inner)):
                check(found[f"{prefix}.experts.{expert}.{part}.weight"], met.square().mean(0).sqrt().numpy(), met.shape[1:])


def minilm():
    named = os.environ.get("FROG_MPI_MINILM")
    fetched = None if named else subprocess.run([ROOT / "scripts/fetch-minilm"], capture_output=True, text=True)
    if fetched is not None and fetched.returncode != 0:
        pytest.skip(f"MiniLM could not be fetched: {fetched.stderr.strip()}")
    return Path(named or fetched.stdout.strip())


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    """MiniLM with a new head for three classes, as transformers saves it."""
    import transformers

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("minilm") / "classifier"
    transformers.BertForSequenceClassification.from_pretrained(minilm(), num_labels=3, dtype=torch.float32).save_pretrained(folder)
    return folder, transformers.BertForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()


def test_minilm(classifier, tmp_path):
    folder, model = classifier
    torch.manual_seed(5)
    batches = [texts(30000, lengths, torch.tensor([0, 2])) for lengths in ((12, 12), (16, 5))]
    wanted = {"activation": plain.norms(model, batches), "gradient": plain.gradients(model, batches, 1)}
    for kind, values in wanted.items():
        signals.collect(model, batches, kind, tmp_path / kind, checkpoint=folder)
        found = plain.read(tmp_path / kind)
        assert len(found) == {"activation": 38, "gradient": 41}[kind]
        for tensor in found:
            check(found[tensor], values[tensor], values[tensor].shape)


# Masks by signals ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "kind", "options"),
    [
        ("mixtral", "activation", ()), ("mixtral", "gradient", ()), ("gpt2", "activation", ("--split-fused",)),
        ("resnet", "activation", ()), ("resnet", "fisher", ()), ("vit", "gradient", ("--names", "transformers5")),
    ],
)  # fmt: skip
def test_masks_keep_the_weights_with_the_largest_products(frog, checkpoint, tmp_path, name, kind, options):
    folder, out = checkpoint(name), tmp_path / "masks"
    signals.collect(models.load(name, folder), batches_for(name), kind, tmp_path / "signals", checkpoint=folder)
    found = plain.read(tmp_path / "signals")
    for score in ("magnitude", "one") if kind != "activation" else ("magnitude",):  # equal norms of a column would tie by the thousand
        frog("mask", folder, "--score", score, "--weight-by", tmp_path / "signals", "--keep", "500", "--out", out / score, *options)
        kept = {tensor: dense.kept for tensor, dense in oracle.dense(out / score).items()}
        products = {}
        for tensor in reference.checkpoint_tensors(folder):
            if tensor.name in kept:
                weights = np.abs(tensor.read()) if score == "magnitude" else 1
                products[tensor.name] = (weights * plain.whole(found[tensor.name], tensor.shape)).reshape(-1)
        everything = np.concatenate([products[tensor] for tensor in sorted(products)])
        best = np.zeros(everything.size, bool)
        best[np.argsort(-everything, kind="stable")[:500]] = True
        assert np.array_equal(np.concatenate([kept[tensor] for tensor in sorted(products)]), best), score


def test_any_number_of_processes_makes_the_same_masks(checkpoint, tmp_path):
    program = os.environ.get("FROG_MPI") or str(ROOT / ".build/release/frog-mpi")
    if not os.access(program, os.X_OK):
        (pytest.fail if "FROG_MPI" in os.environ else pytest.skip)(f"no program at {program}: swift build -c release, or set FROG_MPI")
    launch = ["mpirun", "--oversubscribe", "--mca", "mpi_yield_when_idle", "1", "-n"]
    allowed = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"} if os.geteuid() == 0 else {}
    folder = checkpoint("mixtral")
    for kind in ("activation", "gradient"):
        signals.collect(models.load("mixtral", folder), batches_for("mixtral"), kind, tmp_path / kind, checkpoint=folder)
        for ranks in ("1", "3"):
            options = ["--score", "magnitude", "--weight-by", str(tmp_path / kind), "--out", str(tmp_path / f"{kind}-{ranks}")]
            command = [*launch, ranks, program, "mask", str(folder), "--threads", "1", *options]
            done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=os.environ | allowed)
            assert done.returncode == 0, done.stderr
        one, three = tmp_path / f"{kind}-1", tmp_path / f"{kind}-3"
        names = {path.name for path in one.iterdir()}
        assert names == {path.name for path in three.iterdir()} and "frog.json" in names
        for name in names - {"run.json"}:
            assert (one / name).read_bytes() == (three / name).read_bytes(), name


# Which products are seen ----------------------------------------------------------------------------------------------------------


def derivative(compute, weight, *inputs):
    """Sums of x² by weight: every product is a sum of x · w, so the derivative by w of the sum of all products of x² is the sum of x²."""
    w = torch.zeros(weight.shape, dtype=torch.float64, requires_grad=True)
    (found,) = torch.autograd.grad(compute(w, *(x.double().square() for x in inputs)).sum(), w)
    return found


F = nn.functional
PRODUCTS = {
    "linear": (lambda w, x: F.linear(x, w), (5, 4), (2, 3, 4), 6),
    "inputs by outputs": (lambda w, x: x @ w, (4, 5), (2, 3, 4), 6),
    "weights first": (lambda w, x: w @ x, (5, 4), (4, 6), 6),
    "one vector": (lambda w, x: w @ x, (5, 4), (4,), 1),
    "einsum": (lambda w, x: torch.einsum("bti,oi->bto", x, w), (5, 4), (2, 3, 4), 6),
    "einsum over heads": (lambda w, x: torch.einsum("bti,ihd->bthd", x, w), (4, 2, 3), (2, 5, 4), 10),
    "kernel as a matrix": (lambda w, x: F.linear(x, w.reshape(5, -1)), (5, 3, 2, 2), (6, 12), 6),
    "some of the rows of all experts": (lambda w, x: F.linear(x, w[:, 1:3].transpose(0, 1)[0]), (3, 5, 4), (6, 4), 6),
    "experts side by side": (lambda w, x: torch.bmm(x, w), (3, 4, 5), (3, 6, 4), 6),
    "one expert": (lambda w, x: F.linear(x, w[1]), (3, 5, 4), (6, 4), 6),
    "parts of rows": (lambda w, x: torch.cat([F.linear(x, part) for part in w.chunk(3)], -1), (6, 4), (7, 4), 7),
    "conv1d": (lambda w, x: F.conv1d(x, w, padding=1), (5, 4, 3), (2, 4, 7), 14),
    "conv2d in groups": (lambda w, x: F.conv2d(x, w, stride=2, groups=2), (6, 2, 3, 3), (2, 4, 7, 7), 18),
    "conv2d of every channel": (lambda w, x: F.conv2d(x, w, padding=1, groups=4), (4, 1, 3, 3), (2, 4, 5, 5), 50),
    "conv3d": (lambda w, x: F.conv3d(x, w, stride=2, dilation=1), (5, 2, 2, 2, 2), (1, 2, 4, 4, 4), 8),
    "conv_transpose2d": (lambda w, x: F.conv_transpose2d(x, w, stride=2, padding=1), (4, 5, 3, 3), (2, 4, 3, 3), 18),
}


@pytest.mark.parametrize("case", PRODUCTS)
def test_products_are_seen_wherever_pytorch_computes_them(case):
    compute, weight_shape, input_shape, positions = PRODUCTS[case]
    torch.manual_seed(0)
    weight, inputs = nn.Parameter(torch.randn(weight_shape)), torch.randn(input_shape)
    norms = ActivationNorms({"weight": weight})
    with torch.no_grad(), norms:
        compute(weight, inputs)
        compute(weight, 2 * inputs)
    squares, found = derivative(compute, weight, inputs), norms.of("weight")
    assert norms.others("weight") == ""
    assert bool((found[squares == 0] == UNREACHED).all())
    reached = squares > 0
    torch.testing.assert_close(found[reached].double(), (squares[reached] * 5 / (2 * positions)).sqrt(), rtol=1e-6, atol=0)


COPIES = [lambda w, x: F.linear(x, w * 2), lambda w, x: F.linear(x, w.double().float()), lambda w, x: F.linear(x, w[[0, 2]])]


@pytest.mark.parametrize("compute", COPIES)
def test_products_with_copies_of_weights_are_told_apart(compute):
    weight = nn.Parameter(torch.randn(5, 4))
    norms = ActivationNorms({"weight": weight})
    with torch.no_grad(), norms:
        compute(weight, torch.randn(6, 4))
    assert bool(norms.of("weight").isnan().all()) and norms.others("weight") in ("mul", "_to_copy", "index")


# What else may be in a model --------------------------------------------------------------------------------------------------------


def test_what_nothing_reaches_is_zero_and_named(checkpoint, tmp_path):
    model = models.load("mixtral", checkpoint("mixtral"))
    with torch.no_grad():
        for layer in model.model.layers:
            layer.mlp.gate.weight[1] = 0
            layer.mlp.gate.weight[0], layer.mlp.gate.weight[2] = layer.mlp.gate.weight[0] * 0 + 1, layer.mlp.gate.weight[2] * 0 + 1
        model.model.layers[0].mlp.gate.register_forward_hook(lambda module, inputs, out: (out[0], out[1], out[2] * 0))
    summary = signals.collect(model, batches_for("mixtral"), "activation", tmp_path / "out", checkpoint=checkpoint("mixtral"))
    unreached = [f"model.layers.0.block_sparse_moe.experts.{e}.{w}.weight" for e in (1, 2) for w in ("w1", "w2", "w3")]
    assert set(unreached) <= set(summary.unreached)
    found = plain.read(tmp_path / "out")
    assert all(not found[tensor].any() for tensor in summary.unreached)
    assert json.loads((tmp_path / "out/signals.json").read_text())["unreached"] == summary.unreached


def test_stacks_that_are_stored_as_stacks_keep_a_row_for_each_expert(tmp_path):
    """A checkpoint that stores what the model has: one tensor [E, m, n]."""
    from safetensors.torch import save_file

    model = nn.Module()
    model.experts = nn.Parameter(torch.randn(3, 5, 4))
    save_file({"experts": model.experts.detach()}, tmp_path / "model.safetensors")
    x = torch.randn(7, 4)

    def run(module, batch):
        return sum((batch["x"][0] @ module.experts[e].T).square().sum() for e in (0, 2))

    batch = [{"x": x[None]}]
    summary = signals.collect(model, batch, "activation", tmp_path / "out", checkpoint=tmp_path / "model.safetensors", run=run)
    assert summary.unreached == ["experts[1]"]
    found = plain.read(tmp_path / "out")["experts"]
    root = x.square().mean(0).sqrt().numpy()
    np.testing.assert_allclose(found, np.stack([root, 0 * root, root]), rtol=1e-6)


def test_a_loss_of_ones_own_and_a_head_that_the_checkpoint_does_not_have(checkpoint, tmp_path):
    torch.manual_seed(0)
    model = nn.Module()
    model.encoder, model.head = models.load("bert", checkpoint("bare bert"), kind="BertModel"), nn.Linear(32, 2)
    batch = {name: tensor for name, tensor in batches_for("bert")[1].items() if name != "labels"}

    def run(module, given):
        return module.head(module.encoder(**given).pooler_output).square().sum()

    folder = checkpoint("bare bert")
    summary = signals.collect(model, [batch], "gradient", tmp_path / "out", checkpoint=folder, run=run)
    assert summary.newcomers == ["head.weight"]
    run(model, batch).backward()
    wanted = {name: parameter.grad.abs().double().numpy() for name, parameter in model.encoder.named_parameters()}
    found = plain.read(tmp_path / "out")
    assert set(found) == {tensor.name for tensor in reference.checkpoint_tensors(folder) if len(tensor.shape) > 1}
    for tensor, values in found.items():
        check(values, wanted[tensor], values.shape)


def test_padding_of_encoder_decoder_models_is_told_apart(tmp_path):
    import transformers

    torch.manual_seed(0)
    sizes = dict(vocab_size=64, d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4)
    model = transformers.T5ForConditionalGeneration(transformers.T5Config(**sizes, decoder_start_token_id=0, pad_token_id=0)).eval()
    model.save_pretrained(tmp_path / "t5")
    even = texts(64, (7, 7))
    padded = even | {"labels": torch.where(torch.arange(7) < 5, even["labels"], -100)}
    for kind in ("gradient", "fisher"):
        signals.collect(model, [padded], kind, tmp_path / kind, checkpoint=tmp_path / "t5")
        batches = [padded] if kind == "gradient" else [{name: tensor[n : n + 1] for name, tensor in padded.items()} for n in range(2)]
        wanted = plain.gradients(model, batches, 1 if kind == "gradient" else 2)
        for tensor, values in plain.read(tmp_path / kind).items():
            check(values, wanted[tensor], values.shape)
    with pytest.raises(UsageError, match="the activations of an encoder-decoder model need batches without padding"):
        signals.collect(model, [padded], "activation", tmp_path / "out", checkpoint=tmp_path / "t5")
    signals.collect(model, [even], "activation", tmp_path / "out", checkpoint=tmp_path / "t5")
    # The embedding is the output head too here, which multiplies it.
    assert {name for name in plain.norms(model, [even]) if "lm_head" not in name} <= set(plain.read(tmp_path / "out"))


def test_excluded_tensors_are_left_out(checkpoint, tmp_path):
    model = models.load("llama", checkpoint("llama"))
    signals.collect(
        model, batches_for("llama"), "gradient", tmp_path / "out", checkpoint=checkpoint("llama"), exclude=["*embed*", "lm_head*"]
    )
    assert len(plain.read(tmp_path / "out")) == 14


def test_a_model_is_afterwards_what_it_was(checkpoint, tmp_path):
    model = models.load("llama", checkpoint("llama")).train()
    model.model.norm.eval()
    model.model.layers[0].mlp.up_proj.weight.requires_grad_(False)
    gradient = torch.ones(64, 32)
    model.model.embed_tokens.weight.grad = gradient
    before = [(p.requires_grad, p.grad, p.detach().clone()) for p in model.parameters()]
    modes = [module.training for module in model.modules()]
    signals.collect(model, batches_for("llama"), "gradient", tmp_path / "out", checkpoint=checkpoint("llama"))
    for parameter, (needs, grad, values) in zip(model.parameters(), before):
        assert parameter.requires_grad == needs and parameter.grad is grad and torch.equal(parameter, values)
    assert [module.training for module in model.modules()] == modes


# Files ------------------------------------------------------------------------------------------------------------------------------


def test_shards_and_index_are_those_of_a_checkpoint(frog, checkpoint, tmp_path):
    from safetensors import safe_open

    values = {tensor.name: torch.from_numpy(tensor.read()).abs() for tensor in reference.checkpoint_tensors(checkpoint("llama"))}
    values["model.layers.0.mlp.up_proj.weight"] = values["model.layers.0.mlp.up_proj.weight"].T.contiguous().T
    signals.write(tmp_path / "out", values, {"kind": "magnitudes"}, shard_bytes=20_000)
    index = json.loads((tmp_path / "out/signals.safetensors.index.json").read_text())
    record = json.loads((tmp_path / "out/signals.json").read_text())
    assert record["kind"] == "magnitudes" and set(record["files"]) == set(index["weight_map"].values()) and len(record["files"]) > 3
    assert index["metadata"]["total_size"] == sum(4 * tensor.numel() for tensor in values.values())
    for name, file in index["weight_map"].items():
        with safe_open(tmp_path / "out" / file, "pt") as shard:
            assert torch.equal(shard.get_tensor(name), values[name])
    assert {path.name for path in (tmp_path / "out").iterdir()} == {*record["files"], "signals.json", "signals.safetensors.index.json"}
    frog("mask", checkpoint("llama"), "--score", "magnitude", "--weight-by", tmp_path / "out", "--out", tmp_path / "masks")


def test_signals_that_are_no_numbers_leave_nothing(tmp_path):
    for value in (torch.nan, torch.inf, -1.0):
        with pytest.raises(FormatError, match="the signal of 'b' has values that are negative or not finite"):
            signals.write(tmp_path / "out", {"a": torch.ones(3), "b": torch.tensor([1.0, value])}, {})
        assert not (tmp_path / "out").exists()
    with pytest.raises(UsageError, match="no signals to write"):
        signals.write(tmp_path / "out", {}, {})
