"""What tests of training share: a small model with every kind of weight, masks made by hand, and training by the textbook."""

import copy
from collections.abc import Callable, Iterable
from dataclasses import replace as replace  # for tests that damage a placement

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from frogmask.placement import NoiseBlock, Placement


@pytest.fixture(autouse=True)
def one_thread():
    """Threads that wait for each other take longer than these sizes take. A test module that imports this has it for all its tests."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Transposed(nn.Module):
    """The linear layer of GPT-2: its weight is [inputs, outputs]."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(inputs, outputs) / inputs**0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x @ self.weight


class Experts(nn.Module):
    """Experts stacked in one parameter, [E, outputs, inputs], as transformers 5 has them."""

    def __init__(self, experts: int, width: int) -> None:
        super().__init__()
        self.up = nn.Parameter(torch.randn(experts, width, width) / width**0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.einsum("btd,eod->bto", x, self.up).tanh()


MakeOptimizer = Callable[[Iterable[torch.Tensor]], torch.optim.Optimizer]


class Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.attention = nn.Linear(width, width)
        self.mlp = Transposed(width, width)
        self.experts = Experts(2, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.experts(self.mlp(self.attention(self.norm(x)).relu()))


class Model(nn.Module):
    """Embedding, convolution, and blocks with a linear layer, a transposed one and stacked experts. 17 rows: uneven on two ranks."""

    def __init__(self, width: int = 17, words: int = 19, layers: int = 2, reentrant: bool | None = None) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, width)
        self.convolution = nn.Conv2d(2, 3, 3, padding=1)
        self.layers = nn.ModuleList(Block(width) for _ in range(layers))
        self.head = nn.Linear(width, words, bias=False)
        self.reentrant = reentrant

    def forward(self, words: torch.Tensor) -> torch.Tensor:
        x = self.embedding(words)
        x = x + self.convolution(torch.stack([x, x.tanh()], 1)).mean(1)
        for layer in self.layers:
            x = layer(x) if self.reentrant is None else checkpoint(layer, x, use_reentrant=self.reentrant)
        return self.head(x)


def model(seed: int = 0, **options: object) -> Model:
    torch.manual_seed(seed)
    return Model(**options)  # type: ignore[arg-type]


def batch(seed: int, size: int = 4) -> torch.Tensor:
    return torch.randint(19, (size, 6), generator=torch.Generator().manual_seed(seed))


def loss_of(network: nn.Module, words: torch.Tensor) -> torch.Tensor:
    return nn.functional.cross_entropy(network(words).flatten(0, 1).float(), (words * 3 % 19).flatten())


def place(network: nn.Module, share: float = 0.1, seed: int = 0, names: tuple[str, ...] | None = None) -> list[Placement]:
    """A mask of random positions of every matrix, with random scores, and noise factors that cover every matrix."""
    draw = torch.Generator().manual_seed(seed)
    found = []
    for name, weight in network.named_parameters():
        if weight.dim() < 2 or (names is not None and name not in names):
            continue
        kept = max(1, round(share * weight.numel()))
        indices = torch.randperm(weight.numel(), generator=draw)[:kept].sort().values
        transposed = "mlp" in name
        blocks = []
        for region in [(e,) for e in range(weight.shape[0])] if weight.dim() == 3 else [(slice(None),)]:
            view = torch.empty(weight.shape)[region]
            m, n = view.shape[0], view[0].numel()
            row, column = (torch.rand(size, generator=draw) + 0.1 for size in ((n, m) if transposed else (m, n)))
            blocks.append(NoiseBlock(region, transposed, row, column, tuple(view.shape)))
        depth = int(name.split(".")[1]) if name.startswith("layers") else None
        stack = None if depth is None else "layers"
        scores = torch.rand(kept, generator=draw) + 0.1
        role, importance = name.split(".")[-2], 1.0 + (depth or 0)
        found.append(Placement(name, tuple(weight.shape), indices, scores, tuple(blocks), (name,), importance, stack, depth, role))
    return found


def weights(network: nn.Module) -> dict[str, torch.Tensor]:
    return {name: weight.detach().clone() for name, weight in network.named_parameters()}


def bits(tensor: torch.Tensor) -> torch.Tensor:
    """The bits of a tensor, so that -0 is not 0."""
    return tensor.contiguous().view({2: torch.int16, 4: torch.int32, 8: torch.int64}[tensor.element_size()])


def assert_only_kept_changed(before: dict[str, torch.Tensor], network: nn.Module, placements: list[Placement], least: float = 0.9) -> None:
    """Bit for bit; and most of the kept weights did change."""
    kept = {one.parameter: one.indices for one in placements}
    after, count = weights(network), 0
    for name, weight in before.items():
        changed = (bits(weight) != bits(after[name])).flatten().nonzero().squeeze(1)
        allowed = kept.get(name, torch.empty(0, dtype=torch.int64))
        assert torch.isin(changed, allowed).all(), f"{name}: weights outside of the mask have changed"
        count += changed.numel()
    total = sum(map(len, kept.values()))
    assert count >= least * total > 0, f"only {count} of {total} kept weights have changed"


class Dense:
    """Fine-tuning by the textbook: dense gradients times a mask, and a decay that moves weights towards the pretrained ones."""

    def __init__(self, network: nn.Module, placements: list[Placement], make: MakeOptimizer, decay: float = 0.0) -> None:
        self.network, self.decay = network, decay
        self.masks = {}
        named = dict(network.named_parameters())
        for one in placements:
            mask = torch.zeros(one.shape)
            mask.view(-1)[one.indices] = 1
            self.masks[one.parameter] = mask
        for name, weight in named.items():
            weight.requires_grad_(name in self.masks)
        self.weights = {name: named[name] for name in self.masks}
        self.pretrained = {name: weight.detach().clone() for name, weight in self.weights.items()}
        self.optimizer = make(self.weights.values())

    def mask_gradients(self) -> None:
        for name, weight in self.weights.items():
            assert weight.grad is not None
            weight.grad *= self.masks[name]

    def step(self) -> None:
        lr = self.optimizer.param_groups[0]["lr"]
        with torch.no_grad():
            for name, weight in self.weights.items():
                weight -= lr * self.decay * (weight - self.pretrained[name])
        self.optimizer.step()
        self.optimizer.zero_grad()


def dense_losses(
    network: nn.Module,
    placements: list[Placement],
    make: MakeOptimizer,
    steps: int,
    decay: float = 0.0,
    clip: float | None = None,
    size: int = 4,
) -> list[float]:
    """The losses of a training on a copy of the model."""
    dense, losses = Dense(copy.deepcopy(network), placements, make, decay), []
    for step in range(steps):
        loss = loss_of(dense.network, batch(step, size))
        loss.backward()
        dense.mask_gradients()
        if clip is not None:
            nn.utils.clip_grad_norm_(dense.weights.values(), clip)
        dense.step()
        losses.append(loss.item())
    return losses
