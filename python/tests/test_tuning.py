"""SparseTuning: what it changes, and that it trains as a dense training with masked gradients does."""

import copy
import io
import weakref

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import training
from frogmask.errors import MatchError, UsageError
from frogmask.tuning import SparseTuning
from training import one_thread as one_thread

STEPS = 20


def adamw(values, decay=0.0):
    return torch.optim.AdamW(values, lr=1e-2, weight_decay=decay)


def momentum(values):
    return torch.optim.SGD(values, lr=0.1, momentum=0.9)


def train(network, tuning, optimizer, steps=STEPS, first=0, accumulate=1, autocast=None, scaler=None, clip=None):
    """The losses of a training loop as a user writes it."""
    losses = []
    for step in range(first, first + steps):
        total = 0.0
        for part in training.batch(step).chunk(accumulate):
            with torch.autocast("cpu", autocast or torch.bfloat16, enabled=autocast is not None):
                loss = training.loss_of(network, part) / accumulate
            (scaler.scale(loss) if scaler else loss).backward()
            total += loss.item()
        if scaler and clip:
            scaler.unscale_(optimizer)
        if clip:
            nn.utils.clip_grad_norm_(tuning.parameters(), clip)
        if scaler:
            scaler.step(optimizer)
            scaler.update()
        else:
            optimizer.step()
        optimizer.zero_grad()
        losses.append(total)
    return losses


def tuned(network, placements, make=adamw, **options):
    tuning = SparseTuning(network, placements, **options)
    optimizer = make(tuning.parameters())
    tuning.attach(optimizer)
    return tuning, optimizer


# MARK: The same losses as a dense reference


@pytest.mark.parametrize("make", [adamw, momentum])
@pytest.mark.parametrize("regime", ["plain", "accumulated", "checkpointed", "checkpointed, reentrant", "clipped"])
def test_losses_are_those_of_masked_dense_training(make, regime):
    network = training.model(reentrant={"checkpointed": False, "checkpointed, reentrant": True}.get(regime))
    placements, before = training.place(network), training.weights(network)
    clip = 0.2 if regime == "clipped" else None
    plain = copy.deepcopy(network)
    plain.reentrant = None
    wanted = training.dense_losses(plain, placements, make, STEPS, clip=clip)
    tuning, optimizer = tuned(network, placements, make)
    found = train(network, tuning, optimizer, accumulate=2 if regime == "accumulated" else 1, clip=clip)
    assert wanted[-1] < 0.95 * wanted[0]
    torch.testing.assert_close(torch.tensor(found), torch.tensor(wanted), rtol=0, atol=1e-6)
    training.assert_only_kept_changed(before, network, placements)


def test_a_compiled_model_trains_as_well():
    network = training.model(layers=1)
    placements, before = training.place(network), training.weights(network)
    wanted = training.dense_losses(network, placements, adamw, STEPS)
    tuning, optimizer = tuned(network, placements)
    found = train(torch.compile(network, backend="aot_eager"), tuning, optimizer)
    torch.testing.assert_close(torch.tensor(found), torch.tensor(wanted), rtol=0, atol=1e-6)
    training.assert_only_kept_changed(before, network, placements)


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
def test_autocast_and_scaler(kind):
    """The reference is a dense training under the same autocast."""
    network = training.model()
    placements, before = training.place(network), training.weights(network)
    dense = training.Dense(copy.deepcopy(network), placements, momentum)
    wanted = []
    for step in range(STEPS):
        with torch.autocast("cpu", kind):
            loss = training.loss_of(dense.network, training.batch(step))
        loss.backward()
        dense.mask_gradients()
        dense.step()
        wanted.append(loss.item())
    tuning, optimizer = tuned(network, placements, momentum)
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0, growth_interval=1000) if kind == torch.float16 else None
    found = train(network, tuning, optimizer, autocast=kind, scaler=scaler)
    # A scale of 4 moves FP16's subnormal numbers; the rest is the same arithmetic.
    torch.testing.assert_close(torch.tensor(found), torch.tensor(wanted), rtol=0, atol=1e-3 if scaler else 1e-6)
    training.assert_only_kept_changed(before, network, placements)


def test_an_overflow_skips_the_step():
    network = training.model()
    before = training.weights(network)
    tuning, optimizer = tuned(network, training.place(network))
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**100)
    (scaler.scale(training.loss_of(network, training.batch(0))) * 2.0**100).backward()
    scaler.step(optimizer)
    scaler.update()
    assert all(torch.equal(before[name], weight) for name, weight in training.weights(network).items())
    assert scaler.get_scale() == 2.0**99


def test_a_hundred_steps_with_decay_and_momentum_in_bfloat16():
    network = training.model().bfloat16()
    placements, before = training.place(network), training.weights(network)
    tuning, optimizer = tuned(network, placements, lambda values: torch.optim.SGD(values, lr=0.5, momentum=0.9, weight_decay=0.01))
    losses = train(network, tuning, optimizer, steps=100, accumulate=2, clip=1.0)
    assert losses[-1] < losses[0]
    training.assert_only_kept_changed(before, network, placements)


def test_channels_last_and_tied_and_sparse_gradients():
    """Layouts other than row-major, a parameter in two modules, and the gradients of embeddings with sparse=True."""
    network = training.model()
    network.convolution.to(memory_format=torch.channels_last)
    assert not network.convolution.weight.is_contiguous()
    network.embedding.sparse = True
    network.experts_again = network.layers[0].experts
    placements, before = training.place(network), training.weights(network)
    reference = training.model()
    wanted = training.dense_losses(reference, placements, momentum, STEPS)
    tuning, optimizer = tuned(network, placements, momentum)
    found = train(network, tuning, optimizer)
    torch.testing.assert_close(torch.tensor(found), torch.tensor(wanted), rtol=0, atol=1e-6)
    training.assert_only_kept_changed(before, network, placements)


def test_a_tied_weight_adds_up_both_gradients():
    def tied():
        network = training.model()
        network.head.weight = network.embedding.weight
        return network

    placements = training.place(tied())
    assert [one.parameter for one in placements].count("embedding.weight") == 1
    wanted = training.dense_losses(tied(), placements, momentum, STEPS)
    network = tied()
    # Losses start at 28 here, so the bound is a relative one.
    torch.testing.assert_close(torch.tensor(train(network, *tuned(network, placements, momentum))), torch.tensor(wanted), rtol=1e-6, atol=0)


def test_all_weights_of_a_matrix_may_be_kept():
    network = training.model()
    placements = training.place(network, share=1.0, names=("layers.0.attention.weight",))
    wanted = training.dense_losses(network, placements, momentum, STEPS)
    found = train(network, *tuned(network, placements, momentum))
    torch.testing.assert_close(torch.tensor(found), torch.tensor(wanted), rtol=0, atol=1e-6)


def test_optimizers_that_call_back():
    """LBFGS evaluates the model several times in a step: each time it has to see the values that it tries."""
    network = training.model()
    placements = training.place(network, names=("head.weight",))
    tuning, optimizer = tuned(
        network, placements, lambda values: torch.optim.LBFGS(values, lr=1, max_iter=10, line_search_fn="strong_wolfe")
    )
    seen = []

    def closure():
        optimizer.zero_grad()
        loss = training.loss_of(network, training.batch(0))
        loss.backward()
        seen.append(loss.item())
        return loss

    optimizer.step(closure)
    assert len(set(seen)) > 5 and min(seen) < 0.97 * seen[0]
    assert training.loss_of(network, training.batch(0)).item() == pytest.approx(min(seen), rel=1e-3)


# MARK: Decay, precision, memory


@pytest.mark.parametrize("decay", ["pretrained", "zero"])
def test_what_weight_decay_pulls_towards(decay):
    network = training.model()
    placements, before = training.place(network), training.weights(network)
    tuning, optimizer = tuned(network, placements, lambda values: torch.optim.SGD(values, lr=0.1), decay=decay)
    train(network, tuning, optimizer, steps=3)
    moved = training.weights(network)
    pulling = torch.optim.SGD(tuning.parameters(), lr=1.0, weight_decay=0.25)
    tuning.attach(pulling)
    for value in tuning.parameters():
        value.grad = torch.zeros_like(value)
    pulling.step()
    for one in placements:
        was, now, start = (of[one.parameter].view(-1)[one.indices] for of in (moved, training.weights(network), before))
        towards = start if decay == "pretrained" else torch.zeros_like(start)
        torch.testing.assert_close(now, towards + 0.75 * (was - towards))
        assert (was != start).any() and (was - start).abs().max() < 0.1


@pytest.mark.parametrize("decay", ["pretrained", "zero"])
def test_updates_below_a_bfloat16_ulp_add_up(decay):
    """1,000 steps of a hundredth of an ulp each: in BF16 arithmetic every one of them is lost."""
    layer = nn.Linear(4, 4, bias=False).bfloat16()
    with torch.no_grad():
        layer.weight.fill_(1.0)
    placements = training.place(nn.Sequential(layer), share=1.0)
    network = nn.Sequential(layer)
    tuning, optimizer = tuned(network, placements, lambda values: torch.optim.SGD(values, lr=1.0), decay=decay)
    ulp = 2.0**-7
    for _ in range(1000):
        for value in tuning.parameters():
            value.grad = torch.full_like(value, -ulp / 100)
        optimizer.step()
    assert torch.bfloat16 == layer.weight.dtype and layer.weight.unique().tolist() == [1 + 10 * ulp]
    lost = torch.ones((), dtype=torch.bfloat16)
    for _ in range(1000):
        lost += ulp / 100
    assert lost == 1


def test_values_are_small_and_dense_gradients_do_not_stay():
    network = training.model()
    placements = training.place(network, share=0.05)
    tuning, optimizer = tuned(network, placements)
    alive = []

    def look(_module, _inputs, _outputs):
        alive.append(sum(weight.grad is not None for weight in network.parameters()))

    for module in network.modules():
        module.register_full_backward_hook(look)
    train(network, tuning, optimizer, steps=2)
    assert len(alive) > 10 and max(alive) <= 1
    assert all(value.dtype == torch.float32 and value.dim() == 1 for value in tuning.parameters())
    trained = sum(value.numel() for value in tuning.parameters())
    assert trained == sum(one.indices.numel() for one in placements)
    state = [tensor for state in optimizer.state.values() for tensor in state.values() if tensor.dim()]
    assert sum(tensor.numel() for tensor in state) == 2 * trained


class Memory(TorchDispatchMode):
    """Bytes of all tensors that operations have made and something still holds; and the most there ever were."""

    def __init__(self):
        super().__init__()
        self.sizes, self.bytes, self.peak = {}, 0, 0

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        found = function(*arguments, **(options or {}))
        for tensor in tree_leaves(found):
            if isinstance(tensor, torch.Tensor):
                storage = tensor.untyped_storage()
                if id(storage) not in self.sizes:
                    self.sizes[id(storage)] = storage.nbytes()
                    self.bytes += storage.nbytes()
                    weakref.finalize(storage, self.forget, id(storage))
        self.peak = max(self.peak, self.bytes)
        return found

    def forget(self, key):
        self.bytes -= self.sizes.pop(key)


def test_peak_memory_is_that_of_a_frozen_model_and_one_gradient():
    """Forward and backward of frozen weights, 5% more, a gradient of one layer, and the values; a dense training has all gradients."""
    width, layers = 512, 8
    gradient = 2 * width**2

    def peak(kind):
        torch.manual_seed(0)
        network = nn.Sequential(*(nn.Linear(width, width, bias=False) for _ in range(layers))).bfloat16()
        network.requires_grad_(kind == "dense")
        values = 0
        if kind == "kept":
            tuning, optimizer = tuned(network, training.place(network, share=0.01))
            values = 3 * 4 * sum(value.numel() for value in tuning.parameters())
        elif kind == "dense":
            optimizer = adamw(network.parameters())
        x = torch.randn(16, width, dtype=torch.bfloat16, requires_grad=True)
        with Memory() as memory:
            network(x).float().square().mean().backward()
            if kind != "frozen":
                optimizer.step()
        return memory.peak, values

    (frozen, _), (kept, values), (dense, _) = (peak(kind) for kind in ("frozen", "kept", "dense"))
    # The values have a gradient and two moments, and writing them takes as much again for a moment.
    assert kept <= 1.05 * frozen + gradient + 2 * values, (frozen, kept, dense)
    assert dense > layers * gradient, "the measure sees what a dense training needs"


# MARK: FROG's start


@pytest.mark.parametrize("init", ["frog", "frog-add"])
@pytest.mark.parametrize("decay", ["pretrained", "zero"])
def test_frogs_start(init, decay):
    network = training.model(width=64)
    placements, before = training.place(network, share=0.5), training.weights(network)
    SparseTuning(network, placements, init=init, alpha=0.01, seed=5, decay=decay)
    drawn = []
    for one in placements:
        now, start = (of[one.parameter].view(-1)[one.indices] for of in (training.weights(network), before))
        drawn.append((now - start if init == "frog-add" else now) / (0.01 * one.scores))
    drawn = torch.cat(drawn)
    error = 4 / drawn.numel() ** 0.5
    assert abs(drawn.mean()) < error and abs(drawn.std() - 1) < error and drawn.numel() > 10_000
    training.assert_only_kept_changed(before, network, placements)


def test_frogs_start_depends_on_seed_name_and_position_alone():
    def start(seed, share=0.5, names=None):
        network = training.model()
        placements = training.place(network, names=names, share=1.0)
        SparseTuning(network, placements, init="frog", alpha=1.0, seed=seed)
        return {one.parameter: dict(network.named_parameters())[one.parameter].detach() / one.scores.view(one.shape) for one in placements}

    first, again, other = start(1), start(1, names=("head.weight",)), start(2)
    torch.testing.assert_close(first["head.weight"], again["head.weight"], rtol=1e-5, atol=1e-5)
    assert not torch.allclose(first["head.weight"], other["head.weight"])
    assert not torch.allclose(first["layers.0.attention.weight"], first["layers.1.attention.weight"])


# MARK: Another mask


def test_update_keeps_state_of_weights_in_both_masks():
    network = training.model()
    first, second = training.place(network, 0.3), training.place(network, 0.3, seed=1)
    tuning, optimizer = tuned(network, first)
    train(network, tuning, optimizer, steps=5)
    old = {
        name: (kept.placement.indices, kept.master(), optimizer.state[kept.value]["exp_avg"].clone()) for name, kept in tuning.kept.items()
    }
    before = training.weights(network)
    held = tuning.parameters()
    tuning.update(second)
    assert [id(one) for one in held] == [id(one) for one in tuning.parameters()], "whoever holds the values goes on with the new ones"
    for one in second:
        indices, master, moment = old[one.parameter]
        kept = tuning.kept[one.parameter]
        state = optimizer.state[kept.value]
        both = torch.isin(one.indices, indices)
        was = torch.isin(indices, one.indices)
        assert both.any() and not both.all()
        assert torch.equal(kept.master()[both], master[was])
        assert torch.equal(state["exp_avg"][both], moment[was]) and moment[was].any()
        assert not state["exp_avg"][~both].any() and not state["exp_avg_sq"][~both].any()
        assert state["step"] == 5
    for name, weight in training.weights(network).items():
        assert torch.equal(before[name], weight), "the model itself does not change"
    losses = train(network, tuning, optimizer, steps=5, first=5)
    training.assert_only_kept_changed(before, network, second)
    assert losses[-1] < losses[0]


def test_update_back_and_forth_knows_the_pretrained_weights():
    network = training.model()
    first, second = training.place(network, 0.3), training.place(network, 0.3, seed=1)
    before = training.weights(network)
    tuning, optimizer = tuned(network, first)
    for masks in (second, first, second):
        train(network, tuning, optimizer, steps=2)
        tuning.update(masks)
    after = training.weights(network)
    for one in second:
        kept = tuning.kept[one.parameter]
        pretrained = before[one.parameter].view(-1)
        assert torch.equal(kept.origin, pretrained[one.indices])
        positions, origin = kept.left
        assert torch.equal(origin, pretrained[positions.long()])
        changed = (after[one.parameter].view(-1) != pretrained).nonzero().squeeze(1)
        assert torch.isin(changed, torch.cat([one.indices, positions])).all(), "no change is forgotten"


def test_update_to_other_parameters():
    """A parameter that keeps nothing is not trained; one that is new joins the group of its layer."""
    network = training.model()
    tuning = SparseTuning(network, training.place(network, names=("layers.0.attention.weight", "layers.1.attention.weight")))
    optimizer = torch.optim.AdamW(tuning.param_groups(1e-2, by="layer-decay"))
    tuning.attach(optimizer)
    train(network, tuning, optimizer, steps=2)
    before = training.weights(network)
    placements = training.place(network, names=("layers.1.attention.weight", "layers.1.mlp.weight"))
    tuning.update(placements)
    last = next(group for group in optimizer.param_groups if group["name"] == "layers.1")
    assert any(value is tuning.kept["layers.1.mlp.weight"].value for value in last["params"])
    train(network, tuning, optimizer, steps=2)
    training.assert_only_kept_changed(before, network, placements)


# MARK: State


@pytest.mark.parametrize("refreshed", [False, True])
def test_a_resumed_training_is_the_same_bit_for_bit(refreshed):
    masks = training.place(training.model()), training.place(training.model(), seed=1)

    def start(placements):
        network = training.model()
        tuning, optimizer = tuned(network, placements)
        return network, tuning, optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 / (1 + step))

    network, tuning, optimizer, scheduler = start(masks[0])
    train(network, tuning, optimizer, steps=3)
    if refreshed:
        tuning.update(masks[1])
        train(network, tuning, optimizer, steps=3)
    scheduler.step()
    file = io.BytesIO()
    torch.save([tuning.state_dict(), optimizer.state_dict(), scheduler.state_dict()], file)
    wanted = train(network, tuning, optimizer, steps=3)

    file.seek(0)
    states = torch.load(file, weights_only=True)
    again, tuning, optimizer, scheduler = start(masks[refreshed])
    for one, state in zip((tuning, optimizer, scheduler), states):
        one.load_state_dict(state)
    assert train(again, tuning, optimizer, steps=3) == wanted
    for name, weight in training.weights(network).items():
        assert torch.equal(training.bits(weight), training.bits(training.weights(again)[name])), name


def test_a_state_knows_the_pretrained_weights():
    """It may be loaded into a model that is trained already."""
    network = training.model()
    placements = training.place(network)
    tuning, optimizer = tuned(network, placements)
    train(network, tuning, optimizer, steps=2)
    state = tuning.state_dict()
    trained = copy.deepcopy(network)
    again = SparseTuning(trained, placements)
    again.load_state_dict(state)
    for name, kept in again.kept.items():
        assert torch.equal(kept.origin, tuning.kept[name].origin) and torch.equal(kept.numbers(), tuning.kept[name].numbers())
        assert torch.equal(trained.get_parameter(name), network.get_parameter(name))


def test_states_of_something_else_are_refused():
    network = training.model()
    tuning = SparseTuning(network, training.place(network))
    others = training.model()
    for words, state in (
        ("no state of a SparseTuning", {}),
        ("decay='zero'", SparseTuning(others, training.place(others), decay="zero").state_dict()),
        ("another mask", SparseTuning(training.model(), training.place(others, seed=1)).state_dict()),
        ("another mask", SparseTuning(training.model(), training.place(others, names=("head.weight",))).state_dict()),
    ):
        with pytest.raises(UsageError, match=words):
            tuning.load_state_dict(state)


# MARK: What is refused


def refused(error, words, network, placements, **options):
    with pytest.raises(error, match=words) as caught:
        SparseTuning(network, placements, **options)
    assert "\n" not in str(caught.value)


def test_bad_input_is_one_clear_error():
    network = training.model()
    placements = training.place(network)
    some = placements[3]
    refused(UsageError, "needs alpha", network, placements, init="frog")
    refused(UsageError, "no use for alpha", network, placements, alpha=1.0)
    refused(UsageError, "init='svd'", network, placements, init="svd")
    refused(UsageError, "decay='none'", network, placements, decay="none")
    refused(UsageError, r"K = 0", network, [])
    refused(UsageError, "two placements", network, [some, some])
    refused(MatchError, "no such parameter", nn.Linear(3, 3), placements)
    refused(MatchError, r"shape \[17, 17\].*\[34, 34\]", training.model(width=34), [some])
    integers = training.model()
    layer = integers.layers[0].attention
    layer.weight = nn.Parameter(layer.weight.detach().to(torch.int8), requires_grad=False)
    refused(
        UsageError, "torch.int8 cannot be trained", integers, [one for one in placements if one.parameter == "layers.0.attention.weight"]
    )
    with torch.device("meta"):
        empty = training.Model()
    refused(UsageError, "meta device", empty, placements)
    damaged = training.replace(some, indices=some.indices.flip(0))
    refused(MatchError, "ascend", network, [damaged])
    refused(UsageError, "'least:9': the mask has 2 layers", network, placements, freeze_layers="least:9")
    assert all(weight.requires_grad for weight in network.parameters()), "a refused model is left as it was"


def test_attach_once_and_to_the_right_optimizer():
    network = training.model()
    tuning, optimizer = tuned(network, training.place(network))
    with pytest.raises(UsageError, match="attached already"):
        tuning.attach(optimizer)
    with pytest.raises(UsageError, match="none of the kept weights"):
        tuning.attach(momentum(network.parameters()))
    with pytest.raises(UsageError, match="another SparseTuning"):
        SparseTuning(network, training.place(network))
    tuning.detach()
    SparseTuning(network, training.place(network))


def test_a_forgotten_attach_is_noticed():
    network = training.model()
    tuning = SparseTuning(network, training.place(network))
    optimizer = momentum(tuning.parameters())
    training.loss_of(network, training.batch(0)).backward()
    optimizer.step()
    with pytest.raises(UsageError, match=r"call tuning.attach\(optimizer\)"):
        training.loss_of(network, training.batch(0)).backward()


def test_a_model_that_was_rebuilt_after_construction_is_refused():
    network = training.model()
    tuning = SparseTuning(network, training.place(network))
    network.head = nn.Linear(17, 19, bias=False)
    with pytest.raises(UsageError, match="'head.weight': the model has another parameter"):
        tuning.attach(momentum(tuning.parameters()))
