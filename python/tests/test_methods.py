"""frogmask.methods: SVFT, the rotation of Spectral Adapter and LoRA-XS, against their formulas in dense matrices."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.functional import linear

import adapters
import models
from adapters import BERT, LLAMA, METHODS
from frogmask.methods import lora_xs, spectral, svft
from training import one_thread as one_thread

MODULES = {"svft": svft, "spectral-rotation": spectral, "lora-xs": lora_xs}


@pytest.fixture
def exported(checkpoint, tmp_path):
    """Folder of a method for a small model: the checkpoint, and the folder."""

    def make(method, name="llama", **options):
        wanted = LLAMA if name == "llama" else BERT
        return adapters.export(tmp_path / f"{name}-{method}", checkpoint(name), method, wanted, **options)

    return make


@pytest.fixture
def small(tmp_path):
    """A method and a type → the two-layer network, adapted, with random values; with it the network as it was."""

    def make(method, dtype=torch.float32, stored=None, **options):
        network = adapters.net(dtype)
        base = copy.deepcopy(network)
        adapters.saved(network, tmp_path / "model")
        folder = adapters.export(tmp_path / method, tmp_path / "model", method, dtype=stored or dtype, **options)
        adapter = MODULES[method].attach(network, folder)
        shake(adapter)
        return network, base, adapter

    return make


def shake(adapter, seed=0):
    """Gives all values other numbers."""
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in adapter.parameters():
            value.add_(torch.randn(value.shape, generator=draw) * 0.3)


def logits(model, name="llama"):
    return models.logits(name, model)


def bits(tensor):
    return tensor.detach().clone().view(torch.uint8)


# MARK: Formulas


@pytest.mark.parametrize("dtype, tolerance", [(torch.float64, 1e-6), (torch.float32, 1e-5)])
@pytest.mark.parametrize("method, options", [
    ("svft", {"pattern": "banded", "d": 2}), ("svft", {"pattern": "plain", "d": 0}), ("svft", {"pattern": "random", "d": 1}),
    ("svft", {"pattern": "top-k", "d": 50}), ("spectral-rotation", {"rank": 5}), ("lora-xs", {"rank": 4}), ("lora-xs", {"rank": 12}),
])  # fmt: skip
def test_forward_and_backward_are_those_of_the_dense_formula(small, method, options, dtype, tolerance):
    network, base, adapter = small(method, dtype, **options)
    x = torch.randn(3, 5, 20, dtype=dtype, requires_grad=True)
    target = torch.randn(3, 5, 28, dtype=dtype)
    (network(x) - target).square().sum().backward()

    plain = x.detach().clone().requires_grad_()
    values = {tensor: {name: v.detach().to(dtype).requires_grad_() for name, v in layer.values().items()} for tensor, layer in
              adapter.layers.items()}  # fmt: skip
    weights = {}
    for name, layer in adapter.layers.items():
        weight = base.get_parameter(name).detach()
        pattern = (layer.pattern.row.long(), layer.pattern.column.long()) if method == "svft" else None
        weights[name] = adapters.dense(method, weight, values[name], options.get("rank"), pattern=pattern)
    y = linear(linear(plain, weights["first.weight"], base.first.bias).tanh(), weights["second.weight"])
    (y - target).square().sum().backward()

    torch.testing.assert_close(network(x), y, rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(x.grad, plain.grad, rtol=10 * tolerance, atol=10 * tolerance)
    for tensor, layer in adapter.layers.items():
        for name, value in layer.values().items():
            wanted = values[tensor][name].grad.float()
            torch.testing.assert_close(value.grad, wanted, rtol=1e-4, atol=1e-4 * float(wanted.abs().max()), msg=f"{tensor} {name}")
    adapter.merge()
    for name, weight in weights.items():
        torch.testing.assert_close(network.get_parameter(name).detach(), weight.detach(), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("rows", [1, 5, 12, 256])
@pytest.mark.parametrize("d", [0, 1, 3, 11])
def test_blocks_of_any_height_give_the_product(rows, d, monkeypatch):
    monkeypatch.setattr("frogmask.methods.sparse.ROWS", rows)
    from frogmask.methods.sparse import SparseMatrix

    row, column = adapters.scattered(12, 12 * (2 * d + 1) - d * (d + 1))
    matrix = SparseMatrix(row, column, 12)
    values, x = torch.randn(len(row), dtype=torch.float64, requires_grad=True), torch.randn(4, 12, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda values, x: matrix.product(values, x), (values, x))
    M = torch.zeros(12, 12, dtype=torch.float64)
    M[row, column] = values.detach()
    torch.testing.assert_close(matrix.product(values, x).detach(), x.detach() @ M.T)
    torch.testing.assert_close(matrix.transposed_product(values.detach(), x.detach()), x.detach() @ M)


@pytest.mark.parametrize("p, d", [(12, 0), (12, 3), (12, 11), (1, 0), (7, 100)])
def test_counts_of_the_band(p, d):
    assert svft.entries("banded", p, d) == len(adapters.band(p, d)[0])
    assert svft.entries("plain", p, d) == p


# MARK: The start


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", ["llama", "bert"])
def test_the_start_is_the_model(checkpoint, exported, name, dtype):
    for method, options in [("spectral-rotation", {"rank": 6}), ("lora-xs", {"rank": 6}), ("svft", {})]:
        model = models.load(name, checkpoint(name), dtype)
        before = logits(model, name)
        folder = exported(method, name, **options)
        adapter = MODULES[method].attach(model, folder, **({} if method == "spectral-rotation" else {"init": "zeros"}))
        if method == "svft":
            # Its factors are those of the stored weights, so BF16 rounds only in another place.
            tolerance = 1e-4 if dtype == torch.float32 else 3e-2
            torch.testing.assert_close(logits(model, name), before, rtol=tolerance, atol=tolerance * float(before.abs().max()))
        else:
            assert torch.equal(logits(model, name), before), method
        adapter.detach()
        assert torch.equal(logits(model, name), before), method


@pytest.mark.parametrize("method", ["spectral-rotation", "lora-xs"])
def test_the_start_is_the_model_under_autocast(checkpoint, exported, method):
    model = models.load("llama", checkpoint("llama"))
    with torch.autocast("cpu", torch.bfloat16):
        before = logits(model)
        MODULES[method].attach(model, exported(method, rank=6), **({} if method == "spectral-rotation" else {"init": "zeros"}))
        assert torch.equal(logits(model), before)


def test_published_starts(checkpoint, exported):
    for method, deviation in [("svft", None), ("lora-xs", 1e-5)]:
        folder = exported(method)
        drawn = []
        for seed in (0, 0, 1):
            model = models.load("llama", checkpoint("llama"))
            before = logits(model)
            adapter = MODULES[method].attach(model, folder, seed=seed)
            drawn.append(dict(adapter.named_parameters()))
            assert not torch.equal(logits(model), before)
        assert all(torch.equal(drawn[0][name], drawn[1][name]) for name in drawn[0])
        parts = {name: value for name, value in drawn[0].items() if not name.endswith("gate")}
        assert not any(torch.equal(value, drawn[2][name]) for name, value in parts.items())
        scaled = [value.detach().flatten() / (deviation or (2 / value.numel()) ** 0.5) for value in parts.values()]
        everything = torch.cat(scaled)
        assert abs(float(everything.std()) - 1) < 0.05 and abs(float(everything.mean())) < 0.05
        # Layers do not share their numbers.
        assert torch.cat([one[:20] for one in scaled]).unique().numel() == 20 * len(scaled)
        assert all(float(value.detach()) == 0 for name, value in drawn[0].items() if name.endswith("gate"))


# MARK: Training


def train(model, adapter, steps=15, autocast=False):
    torch.manual_seed(0)
    ids = torch.randint(1, 60, (2, 12))
    optimizer, losses = torch.optim.AdamW(adapter.parameters(), lr=0.2), []
    for _ in range(steps):
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            loss = model(input_ids=ids, labels=ids).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("dtype, autocast", [(torch.float32, False), (torch.float32, True), (torch.bfloat16, False)])
@pytest.mark.parametrize("method", METHODS)
def test_training_changes_the_values_alone_and_merging_the_weights_of_the_folder(checkpoint, exported, method, dtype, autocast):
    model = models.load("llama", checkpoint("llama"), dtype)
    before = {name: bits(weight) for name, weight in model.named_parameters()}
    adapter = MODULES[method].attach(model, exported(method, rank=None if method == "svft" else 8))
    frozen = {name: bits(one) for name, one in model.named_parameters() if not one.requires_grad}
    values = {name: bits(value) for name, value in adapter.named_parameters()}
    assert {id(one) for one in model.parameters() if one.requires_grad} == {id(value) for value in adapter.parameters()}
    assert all(value.dtype == torch.float32 for value in adapter.parameters())

    losses = train(model, adapter, autocast=autocast)
    assert losses[-1] < losses[0] - 0.03
    after = dict(model.named_parameters())
    assert all(torch.equal(bits(after[name]), old) for name, old in frozen.items())
    assert not any(torch.equal(bits(value), values[name]) for name, value in adapter.named_parameters())

    adapted = logits(model)
    adapter.merge()
    assert list(dict(model.named_parameters())) == list(before)
    changed = {name for name, weight in model.named_parameters() if not torch.equal(bits(weight), before[name])}
    assert changed == set(adapter.layers)
    tolerance = 1e-4 if dtype == torch.float32 else 5e-2
    torch.testing.assert_close(logits(model), adapted, rtol=tolerance, atol=tolerance * float(adapted.abs().max()))


@pytest.mark.parametrize("method", METHODS)
def test_checkpointed_activations_give_the_same_gradients(checkpoint, exported, method):
    folder, found = exported(method), []
    for checkpointed in (False, True):
        model = models.load("llama", checkpoint("llama")).train()
        if checkpointed:
            model.activation_checkpointing_enable()
        adapter = MODULES[method].attach(model, folder)
        ids = torch.arange(1, 13).view(1, -1)
        model(input_ids=ids, labels=ids).loss.backward()
        found.append({name: value.grad for name, value in adapter.named_parameters()})
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])
    assert any(float(gradient.abs().max()) > 0 for gradient in found[1].values())


def test_data_parallel_training_and_copies_see_an_ordinary_model(small, tmp_path):
    network, _, adapter = small("svft")
    x = torch.randn(4, 20)
    copied = copy.deepcopy(network)
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path / 'meet'}", rank=0, world_size=1)
    try:
        nn.parallel.DistributedDataParallel(network)(x).square().sum().backward()
    finally:
        torch.distributed.destroy_process_group()
    assert all(value.grad is not None for value in adapter.parameters())
    with torch.no_grad():
        before = network(x)
        assert torch.equal(copied(x), before)
        shake(adapter, 1)
        # A copy has values of its own.
        assert torch.equal(copied(x), before) and not torch.equal(network(x), before)


@pytest.mark.parametrize("method", ["svft", "spectral-rotation"])
def test_a_compiled_model_trains_as_well(small, method):
    network, _, adapter = small(method)
    x, found = torch.randn(4, 20), []
    for one in (network, torch.compile(network, backend="aot_eager", fullgraph=True)):
        y = one(x)
        gradients = torch.autograd.grad(y.square().sum(), adapter.parameters())
        found.append([y.detach(), *gradients])
    for plain, compiled in zip(*found):
        torch.testing.assert_close(compiled, plain)


def test_transformers_trains_it_and_saves_the_merged_model(checkpoint, exported, tmp_path):
    pytest.importorskip("accelerate", reason="accelerate is not installed (scripts/setup --peers)")
    from transformers import Trainer, TrainingArguments

    model = models.load("llama", checkpoint("llama"))
    adapter = spectral.attach(model, exported("spectral-rotation", rank=4))
    before = {name: bits(weight) for name, weight in model.named_parameters()}
    data = [{"input_ids": ids, "labels": ids} for ids in torch.randint(1, 60, (8, 16))]
    arguments = TrainingArguments(str(tmp_path / "out"), max_steps=3, learning_rate=0.1, use_cpu=True, report_to=[], save_strategy="no")
    Trainer(model, args=arguments, train_dataset=data).train()
    changed = {name for name, weight in model.named_parameters() if not torch.equal(bits(weight), before[name])}
    assert changed == {name for name, weight in model.named_parameters() if weight.requires_grad} and len(changed) == 42
    adapter.merge()
    model.save_pretrained(tmp_path / "merged")
    assert torch.equal(logits(models.load("llama", tmp_path / "merged")), logits(model.eval()))


def test_renamed_modules_are_found_by_the_names_of_the_folder(tmp_path):
    network = adapters.net()
    adapters.saved(network, tmp_path / "model")
    folder = adapters.export(tmp_path / "made", tmp_path / "model", "lora-xs", rank=3)
    entry = {"parameter": "uno.weight", "shape": [12, 20], "start": [0, 0], "axes": [0, 1]}
    adapters.change(folder, names={"first.weight": entry})
    network.uno = network.first
    del network.first
    adapter = lora_xs.attach(network, folder)
    assert isinstance(network.uno.lora_xs, lora_xs.LoRAXSLayer) and list(adapter.layers) == ["second.weight", "first.weight"]


# MARK: Types


@pytest.mark.parametrize("stored", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("method", METHODS)
def test_bf16(small, method, stored):
    """Against the same in float64 from the same rounded weights."""
    options = {} if method == "svft" else {"rank": 4}
    network, base, adapter = small(method, torch.bfloat16, stored=stored, **options)
    exact = copy.deepcopy(base).double()
    for name, layer in adapter.layers.items():
        pattern = (layer.pattern.row.long(), layer.pattern.column.long()) if method == "svft" else None
        weight = exact.get_parameter(name)
        with torch.no_grad():
            weight.copy_(adapters.dense(method, weight.detach(), layer.values(), options.get("rank"), pattern=pattern))
    x = torch.randn(6, 20, dtype=torch.bfloat16)
    with torch.no_grad():
        wanted, found = exact(x.double()), network(x)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.double(), wanted, rtol=0.05, atol=0.05 * float(wanted.abs().max()))
    adapter.merge()
    assert all(weight.dtype == torch.bfloat16 for weight in network.parameters())
    for name, weight in network.named_parameters():
        size = float(exact.get_parameter(name).detach().abs().max())
        rounding = 2**-8 if stored == torch.float32 else 2**-5
        torch.testing.assert_close(weight.double(), exact.get_parameter(name).double(), rtol=rounding, atol=rounding * size)


def test_16_bit_factors_of_a_wider_model_are_widened_once(small):
    _, _, adapter = small("lora-xs", stored=torch.bfloat16, rank=4)
    assert {layer.A.dtype for layer in adapter.layers.values()} == {torch.float32}


# MARK: Saving


@pytest.mark.parametrize("apart", [True, False])
@pytest.mark.parametrize("method", METHODS)
def test_saved_values_give_the_same_bits(checkpoint, exported, tmp_path, method, apart):
    model, folder = models.load("llama", checkpoint("llama")), exported(method)
    adapter = MODULES[method].attach(model, folder)
    train(model, adapter, 3)
    place = tmp_path / "trained" if apart else folder
    adapter.save(place)
    fresh = models.load("llama", checkpoint("llama"))
    again = MODULES[method].load(fresh, place, folder) if apart else MODULES[method].load(fresh, place)
    assert torch.equal(logits(fresh), logits(model))
    assert [name for name, _ in again.named_parameters()] == [name for name, _ in adapter.named_parameters()]
    assert all(torch.equal(bits(a), bits(b)) for a, b in zip(again.parameters(), adapter.parameters()))
    # Another training goes on from there.
    assert train(fresh, again, 2) == train(model, adapter, 2)
