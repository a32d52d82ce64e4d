"""FrozenNoise: what the forward sees, what gradients are, and that nothing else changes."""

import gc

import pytest
import torch
from torch import nn

import training
from frogmask.errors import UsageError
from frogmask.noise import FrozenNoise
from frogmask.tuning import SparseTuning
from training import one_thread as one_thread


class Seen(nn.Linear):
    """A linear layer that shows the weight which its forward uses."""

    def forward(self, x):
        self.used = self.weight.detach().clone()
        return super().forward(x)


def noisy_weights(dtype=torch.float32, draws=200, beta=0.5, sigma=2.0):
    torch.manual_seed(0)
    network = nn.Sequential(Seen(24, 16, bias=False)).to(dtype)
    placements = training.place(network, share=0.2)
    noise = FrozenNoise(network, placements, beta, sigma)
    found = []
    for _ in range(draws):
        network(torch.zeros(1, 24, dtype=dtype))
        found.append(network[0].used)
        noise.step()
    return network[0].weight.detach(), torch.stack(found), placements[0]


def test_noise_is_in_proportion_to_the_scores():
    weight, seen, placement = noisy_weights()
    kept = torch.zeros(weight.numel(), dtype=torch.bool)
    kept[placement.indices] = True
    noise = (seen - weight).view(len(seen), -1)
    assert not noise[:, kept].any(), "kept weights have exactly no noise"
    scaled = noise[:, ~kept] / (0.5 * 2.0 * placement.noise[0].scores().view(-1)[~kept])
    n = scaled.numel()
    assert n > 50_000
    assert abs(scaled.mean()) < 4 / n**0.5 and abs(scaled.std() - 1) < 4 / (2 * n) ** 0.5
    # Of every position by itself, and of neighbours and successive draws together.
    assert (scaled.mean(0).abs() < 5 / len(seen) ** 0.5).all()
    assert abs((scaled[:, 1:] * scaled[:, :-1]).mean()) < 4 / n**0.5
    assert abs((scaled[1:] * scaled[:-1]).mean()) < 4 / n**0.5


def test_noise_is_laid_out_as_every_kind_of_weight():
    """Linear, transposed, convolution, stacked: a factor that lies along the wrong side would make the spread too large."""
    network = training.model(width=23)
    placements = training.place(network, share=0.1)
    noise = FrozenNoise(network, placements, beta=0.3)
    drawn = {one.parameter: [] for one in placements}
    for _ in range(50):
        for one in placements:
            drawn[one.parameter].append(noise.noisy_weight(one.parameter) - network.get_parameter(one.parameter).detach())
        noise.step()
    for one in placements:
        scores = torch.zeros(one.shape)
        for block in one.noise:
            scores[block.region] = block.scores()
        frozen = torch.ones(scores.numel(), dtype=torch.bool)
        frozen[one.indices] = False
        scaled = torch.stack(drawn[one.parameter]).view(50, -1)[:, frozen] / (0.3 * scores.view(-1)[frozen])
        assert abs(scaled.std() - 1) < 4 / (2 * scaled.numel()) ** 0.5, one.parameter


def test_noise_below_a_bfloat16_ulp_is_rounded_without_bias():
    weight, seen, placement = noisy_weights(torch.bfloat16, beta=0.001, sigma=1.0)
    assert seen.dtype == torch.bfloat16
    kept = torch.zeros(weight.numel(), dtype=torch.bool)
    kept[placement.indices] = True
    assert torch.equal(seen.view(len(seen), -1)[:, kept], weight.view(-1)[kept].expand(len(seen), -1))
    assert (seen.view(len(seen), -1)[:, ~kept] != weight.view(-1)[~kept]).float().mean() > 0.2
    means = (seen.float() - weight.float()).view(len(seen), -1)[:, ~kept].mean()
    assert abs(means) < 1e-5


@pytest.mark.parametrize("reentrant", [None, False, True])
def test_gradients_are_those_of_explicit_noise(reentrant):
    """Of inputs and of weights, in every kind of module, in training mode; and with the whole block checkpointed too."""
    network = training.model(reentrant=reentrant)
    plain = training.model()
    placements = training.place(network)
    noise = FrozenNoise(network, placements, beta=0.05, seed=3)
    noise.step()
    for one in placements:
        plain.get_parameter(one.parameter).data.copy_(noise.noisy_weight(one.parameter))
    loss, wanted = (training.loss_of(model, training.batch(0)) for model in (network, plain))
    loss.backward()
    wanted.backward()
    torch.testing.assert_close(loss, wanted, rtol=1e-6, atol=0)
    assert loss != training.loss_of(training.model(), training.batch(0))
    for (name, weight), reference in zip(network.named_parameters(), plain.parameters()):
        torch.testing.assert_close(weight.grad, reference.grad, rtol=1e-5, atol=1e-7, msg=name)


def test_backward_sees_the_noise_of_its_forward():
    """Also if another step has begun in between."""
    network = training.model()
    noise = FrozenNoise(network, training.place(network), beta=0.05)
    training.loss_of(network, training.batch(0)).backward()
    wanted = [weight.grad.clone() for weight in network.parameters()]
    network.zero_grad()
    loss = training.loss_of(network, training.batch(0))
    noise.step()
    loss.backward()
    for weight, gradient in zip(network.parameters(), wanted):
        assert torch.equal(weight.grad, gradient)


def test_evaluation_is_bit_identical_and_training_is_not():
    network = training.model().eval()
    wanted = network(training.batch(0))
    noise = FrozenNoise(network, training.place(network), beta=0.05)
    assert torch.equal(network(training.batch(0)), wanted)
    network.train()
    assert not torch.equal(network(training.batch(0)), wanted)
    noise.remove()
    assert torch.equal(network(training.batch(0)), wanted)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_after_training_frozen_weights_are_bit_identical(dtype):
    network = training.model().to(dtype)
    placements, before = training.place(network), training.weights(network)
    tuning = SparseTuning(network, placements)
    optimizer = torch.optim.SGD(tuning.parameters(), lr=1.0, momentum=0.9)
    tuning.attach(optimizer)
    noise = FrozenNoise(network, placements, beta=0.02, schedule="cosine", steps=20)
    losses = []
    for step in range(20):
        loss = training.loss_of(network, training.batch(step))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        noise.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    training.assert_only_kept_changed(before, network, placements, least=0.8)
    assert list(before) == [name for name, _ in network.named_parameters()]


def test_no_noisy_weight_outlives_its_layer():
    """Between forward and backward autograd holds the weights themselves and activations, nothing of a weight's size."""
    network = nn.Sequential(*(nn.Linear(64, 64, bias=False) for _ in range(4)))
    noise = FrozenNoise(network, training.place(network), beta=0.05)
    own = {weight.data_ptr() for weight in network.parameters()}
    held = []

    def pack(tensor):
        if tensor.numel() == 64 * 64 and tensor.data_ptr() not in own:
            held.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        out = network(torch.randn(2, 64, requires_grad=True))
    gc.collect()
    noisy = [one for one in gc.get_objects() if type(one) is torch.Tensor and one.shape == (64, 64) and one.data_ptr() not in own]
    assert not noisy and not held
    out.sum().backward()
    assert noise.scale == 0.05


def test_autocast_sees_noise_too():
    network = training.model()
    placements = training.place(network)
    with torch.autocast("cpu", torch.bfloat16):
        quiet = training.loss_of(network, training.batch(0))
    FrozenNoise(network, placements, beta=0.1)
    with torch.autocast("cpu", torch.bfloat16):
        loss = training.loss_of(network, training.batch(0))
    loss.backward()
    assert loss != quiet and all(weight.grad is not None for weight in network.parameters() if weight.dim() > 1)


def test_a_compiled_model_sees_the_same_noise():
    network = training.model(layers=1)
    FrozenNoise(network, training.place(network), beta=0.05)
    loss = training.loss_of(network, training.batch(0))
    loss.backward()
    wanted = [weight.grad.clone() for weight in network.parameters()]
    network.zero_grad()
    compiled = training.loss_of(torch.compile(network, backend="aot_eager"), training.batch(0))
    compiled.backward()
    torch.testing.assert_close(compiled, loss, rtol=1e-6, atol=0)
    for weight, gradient in zip(network.parameters(), wanted):
        torch.testing.assert_close(weight.grad, gradient, rtol=1e-5, atol=1e-7)


def test_noise_is_drawn_anew_every_n_steps():
    network = training.model()
    noise = FrozenNoise(network, training.place(network), beta=0.05, every=2, seed=1)
    losses = []
    for _ in range(6):
        losses.append(training.loss_of(network, training.batch(0)).item())
        assert training.loss_of(network, training.batch(0)).item() == losses[-1], "one step, one noise"
        noise.step()
    assert losses[0] == losses[1] != losses[2] == losses[3] != losses[4] == losses[5] != losses[0]


def test_schedules():
    network = training.model()
    placements = training.place(network)

    def scales(schedule, steps=None, losses=()):
        noise = FrozenNoise(network, placements, beta=2.0, sigma=0.5, schedule=schedule, steps=steps)
        found = []
        for step in range(6):
            found.append(round(noise.scale, 4))
            if step < len(losses):
                noise.observe(losses[step])
            noise.step()
        noise.remove()
        return found

    assert scales("constant") == [1, 1, 1, 1, 1, 1]
    assert scales("linear", 4) == [1, 0.75, 0.5, 0.25, 0, 0]
    assert scales("cosine", 4) == [1, 0.8536, 0.5, 0.1464, 0, 0]
    assert scales("adaptive", losses=[4.0, 3.0, 5.0, 1.0, 2.0]) == [1, 1, 0.75, 1, 0.25, 0.5]


def test_state_goes_on():
    network = training.model()
    placements = training.place(network)
    noise = FrozenNoise(network, placements, beta=0.05, schedule="adaptive", seed=2)
    for loss in (4.0, 3.0):
        noise.observe(loss)
        noise.step()
    state, wanted = noise.state_dict(), training.loss_of(network, training.batch(0))
    noise.remove()
    again = FrozenNoise(network, placements, beta=0.05, schedule="adaptive", seed=2)
    assert training.loss_of(network, training.batch(0)) != wanted
    again.load_state_dict(state)
    assert training.loss_of(network, training.batch(0)) == wanted


def test_bad_input_is_one_clear_error():
    network = training.model()
    placements = training.place(network)
    without = [training.replace(one, noise=()) for one in placements]
    for words, given, options in (
        ("no noise factors", without, dict(beta=1.0)),
        ("beta=-1", placements, dict(beta=-1.0)),
        ("finite", placements, dict(beta=float("nan"))),
        ("every=0", placements, dict(beta=1.0, every=0)),
        ("needs steps", placements, dict(beta=1.0, schedule="linear")),
        ("no use for steps", placements, dict(beta=1.0, steps=3)),
        ("schedule='sine'", placements, dict(beta=1.0, schedule="sine")),
    ):
        with pytest.raises(UsageError, match=words) as caught:
            FrozenNoise(network, given, **options)
        assert "\n" not in str(caught.value)
    FrozenNoise(network, placements, 1.0)
    with pytest.raises(UsageError, match="noise already"):
        FrozenNoise(network, placements, 1.0)
