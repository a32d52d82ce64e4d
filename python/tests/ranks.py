"""What two ranks do, for test_ranks.py: `python ranks.py RANK RANKS FOLDER`. Each check compares with one process that has all batches."""

import copy
import os
import sys
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn

import training
from frogmask.noise import FrozenNoise
from frogmask.tuning import SparseTuning

STEPS = 20


def adamw(values, **options):
    return torch.optim.AdamW(values, lr=1e-2, **options)


def momentum(values):
    return torch.optim.SGD(values, lr=0.1, momentum=0.9)


def my_part(words, rank, ranks):
    return words.chunk(ranks)[rank]


def losses(network, tuning, optimizer, rank, ranks, clip=None, accumulate=1):
    """Each rank has its share of every batch; the mean of their losses is that of the whole batch."""
    for step in range(STEPS):
        words = my_part(training.batch(step), rank, ranks)
        mean = torch.zeros(())
        for part in words.chunk(accumulate):
            loss = training.loss_of(network, part) / accumulate
            loss.backward()
            mean += loss.detach()
        if clip is not None:
            nn.utils.clip_grad_norm_(tuning.parameters(), clip)
        optimizer.step()
        optimizer.zero_grad()
        dist.all_reduce(mean)
        yield mean.item() / ranks


def compare(found, wanted):
    found, wanted = torch.tensor(list(found)), torch.tensor(list(wanted))
    assert wanted[-1] < 0.95 * wanted[0], "the reference has to learn something"
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-6)


def whole_weights(network):
    return {name: weight.full_tensor() if hasattr(weight, "full_tensor") else weight for name, weight in network.named_parameters()}


def check_plain(rank, ranks, folder):
    """Without any wrapper, gradients of kept weights are averaged."""
    network = training.model()
    placements, before = training.place(network), training.weights(network)
    wanted = training.dense_losses(network, placements, adamw_without_decay, STEPS, decay=0.1)
    sizes = count_elements_sent()
    tuning = SparseTuning(network, placements)
    optimizer = adamw(tuning.parameters(), weight_decay=0.1)
    tuning.attach(optimizer)
    compare(losses(network, tuning, optimizer, rank, ranks, accumulate=2), wanted)
    training.assert_only_kept_changed(before, network, placements)
    kept = sum(one.indices.numel() for one in placements)
    assert max(sizes) <= kept, f"{max(sizes)} numbers were sent at once, only {kept} are kept"


def adamw_without_decay(values):
    return adamw(values, weight_decay=0)


def count_elements_sent():
    """The sizes of the vectors that are summed over ranks from now on."""
    sizes, real = [], dist.all_reduce

    def all_reduce(tensor, *arguments, **options):
        sizes.append(tensor.numel())
        return real(tensor, *arguments, **options)

    dist.all_reduce = all_reduce
    return sizes


def check_no_sync(rank, ranks, folder):
    """Messages are saved, the result stays."""
    ends = []
    for saves in (False, True):
        network = training.model()
        tuning = SparseTuning(network, training.place(network))
        sizes = count_elements_sent()
        words = my_part(training.batch(0), rank, ranks).chunk(2)
        if saves:
            with tuning.no_sync():
                training.loss_of(network, words[0]).backward()
            assert not sizes and all(value.grad is None for value in tuning.parameters())
        else:
            training.loss_of(network, words[0]).backward()
        training.loss_of(network, words[1]).backward()
        ends.append(torch.cat([value.grad for value in tuning.parameters()]))
    torch.testing.assert_close(ends[0], ends[1], rtol=1e-6, atol=1e-8)


def check_ddp(rank, ranks, folder):
    """DistributedDataParallel trains what else is trained, and leaves the tuned parameters alone."""
    network = training.model()
    placements = training.place(network)
    reference = copy.deepcopy(network)
    dense = training.Dense(reference, placements, lambda values: momentum([*values, reference.layers[0].attention.bias]))
    reference.layers[0].attention.bias.requires_grad_(True)
    tuning = SparseTuning(network, placements)
    bias = network.layers[0].attention.bias.requires_grad_(True)
    wrapped = nn.parallel.DistributedDataParallel(network)
    optimizer = momentum([*tuning.parameters(), bias])
    tuning.attach(optimizer)

    def wanted():
        for step in range(STEPS):
            loss = training.loss_of(reference, training.batch(step))
            loss.backward()
            dense.mask_gradients()
            dense.step()
            yield loss.item()

    compare(losses(wrapped, tuning, optimizer, rank, ranks), wanted())
    sent = wrapped._get_ddp_logging_data()["total_parameter_size_bytes"]
    assert sent == bias.numel() * 4, "gradients of the bias alone are sent by it"


def fully(network):
    from torch.distributed.fsdp import fully_shard

    return fully_shard(network)


def sharded(network):
    from torch.distributed.fsdp import fully_shard

    for layer in network.layers:
        fully_shard(layer)
    return fully_shard(network)


def check_fsdp(rank, ranks, folder):
    """Uneven rows, a norm over all ranks that is clipped, accumulation, and a state that one process can go on with."""
    network = training.model()
    placements, before = training.place(network), training.weights(network)
    wanted = training.dense_losses(network, placements, momentum, STEPS, clip=0.2)
    sharded(network)
    tuning = SparseTuning(network, placements)
    optimizer = momentum(tuning.parameters())
    tuning.attach(optimizer)
    compare(losses(network, tuning, optimizer, rank, ranks, clip=0.2, accumulate=2), wanted)
    after = training.model()
    with torch.no_grad():
        for name, weight in whole_weights(network).items():
            after.get_parameter(name).copy_(weight)
    training.assert_only_kept_changed(before, after, placements)
    for one in placements:
        assert torch.equal(tuning.values()[one.parameter], after.get_parameter(one.parameter).view(-1)[one.indices])
    for value in tuning.parameters():
        sizes = torch.tensor([value.to_local().numel(), -value.to_local().numel()])
        dist.all_reduce(sizes, dist.ReduceOp.MAX)
        assert sizes[0] == -sizes[1], "DTensors have parts of one size, as PyTorch's own tools expect"
    mine = sum(kept.count for kept in tuning.kept.values())
    assert 0 < mine < sum(one.indices.numel() for one in placements), "a rank holds the values of its own rows"

    # The state of two ranks goes on in one process.
    state = tuning.state_dict()
    alone = training.model()
    resumed = SparseTuning(alone, placements)
    resumed.load_state_dict(state)
    for name, weight in alone.named_parameters():
        assert torch.equal(training.bits(weight.detach()), training.bits(after.get_parameter(name).detach())), name


def check_fsdp_decay(rank, ranks, folder):
    """Adam with decay."""
    network = training.model()
    placements = training.place(network)
    wanted = training.dense_losses(network, placements, adamw_without_decay, STEPS, decay=0.1)
    sharded(network)
    tuning = SparseTuning(network, placements)
    optimizer = adamw(tuning.parameters(), weight_decay=0.1)
    tuning.attach(optimizer)
    compare(losses(network, tuning, optimizer, rank, ranks), wanted)

    # A rank goes on from its own file.
    torch.save([tuning.state_dict(), optimizer.state_dict()], folder / f"state-{rank}.pt")
    wanted = list(losses(network, tuning, optimizer, rank, ranks))
    network = sharded(training.model())
    tuning = SparseTuning(network, placements)
    optimizer = adamw(tuning.parameters(), weight_decay=0.1)
    tuning.attach(optimizer)
    for part, state in zip((tuning, optimizer), torch.load(folder / f"state-{rank}.pt", weights_only=False)):
        part.load_state_dict(state)
    assert list(losses(network, tuning, optimizer, rank, ranks)) == wanted


def check_hsdp(rank, ranks, folder):
    """Sharded within a group, and the same in all groups."""
    from torch.distributed.fsdp import fully_shard

    network = training.model()
    placements = training.place(network)
    wanted = training.dense_losses(network, placements, momentum, STEPS, clip=0.2)
    fully_shard(network, mesh=dist.init_device_mesh("cpu", (ranks, 1), mesh_dim_names=("replicate", "shard")))
    tuning = SparseTuning(network, placements)
    optimizer = momentum(tuning.parameters())
    tuning.attach(optimizer)
    compare(losses(network, tuning, optimizer, rank, ranks, clip=0.2), wanted)


def check_fsdp_update(rank, ranks, folder):
    """Another mask of a sharded model keeps moments of weights in both."""
    network = training.model()
    first, second = training.place(network), training.place(network, 0.2, seed=1)
    alone = copy.deepcopy(network)
    ends = []
    for model in (alone, sharded(network)):
        tuning = SparseTuning(model, first)
        optimizer = momentum(tuning.parameters())
        tuning.attach(optimizer)
        for step in range(4):
            if step == 2:
                tuning.update(second)
            # All ranks have the same batch here, so that averages are what one process has.
            training.loss_of(model, training.batch(step)).backward()
            optimizer.step()
            optimizer.zero_grad()
        ends.append(whole_weights(model))
    for name, weight in ends[0].items():
        torch.testing.assert_close(ends[1][name], weight, rtol=0, atol=1e-6)

    # The state has what only the first mask kept, too: in one process, and on two ranks again.
    state = tuning.state_dict()
    assert state["left"]
    for fresh in (training.model(), sharded(training.model())):
        resumed = SparseTuning(fresh, second)
        resumed.load_state_dict(state)
        for name, weight in whole_weights(fresh).items():
            assert torch.equal(training.bits(weight.detach()), training.bits(ends[1][name].detach())), name
        again = resumed.state_dict()["left"]
        for name, left in state["left"].items():
            for key in left:
                assert torch.equal(left[key].sort().values, again[name][key].sort().values), (name, key)


def check_patch(rank, ranks, folder):
    """Saves a patch of a sharded model after its mask was changed; test_training_with_masks.py has put masks and a model there."""
    import models
    from frogmask import load

    network = models.load("mixtral", folder / "model").train()
    fully(network)
    tuning = SparseTuning(network, load(folder / "first"))
    optimizer = momentum(tuning.parameters())
    tuning.attach(optimizer)
    for step in range(4):
        if step == 2:
            tuning.update(load(folder / "second"))
        words = training.batch(step)
        network(input_ids=words, labels=words).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    tuning.save(folder / "patch")
    weights = {name: weight.detach().clone() for name, weight in whole_weights(network).items()}
    if rank == 0:
        torch.save(weights, folder / "weights.pt")


def check_scaler(rank, ranks, folder):
    """An overflow on one rank skips the step on all."""
    network = sharded(training.model())
    tuning = SparseTuning(network, training.place(network))
    optimizer = momentum(tuning.parameters())
    tuning.attach(optimizer)
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    before = {name: value.to_local().clone() for name, value in tuning.named_parameters()}
    scaler.scale(training.loss_of(network, training.batch(0))).backward()
    if rank == 1:
        next(value for value in tuning.parameters() if value.to_local().numel()).grad.to_local()[0] = float("inf")
    scaler.step(optimizer)
    scaler.update()
    for name, value in tuning.named_parameters():
        assert torch.equal(before[name], value.to_local()), name


def check_start(rank, ranks, folder):
    """FROG's start is that of one process, also for the rows of a shard."""
    alone = training.model()
    SparseTuning(alone, training.place(alone), init="frog", alpha=0.1, seed=3)
    network = sharded(training.model())
    SparseTuning(network, training.place(network), init="frog", alpha=0.1, seed=3)
    for name, weight in whole_weights(network).items():
        assert torch.equal(training.bits(weight.detach()), training.bits(alone.get_parameter(name).detach())), name


def check_noise(rank, ranks, folder):
    """All ranks see the noise of one process, and so do gradients of a sharded model."""
    network = training.model()
    placements = training.place(network)
    alone = copy.deepcopy(network)
    ends = []
    for model in (alone, sharded(network)):
        tuning = SparseTuning(model, placements)
        noise = FrozenNoise(model, placements, beta=0.05)
        optimizer = momentum(tuning.parameters())
        tuning.attach(optimizer)
        for step in range(3):
            training.loss_of(model, training.batch(step)).backward()
            optimizer.step()
            optimizer.zero_grad()
            noise.step()
        ends.append(whole_weights(model))
    for name, weight in ends[0].items():
        torch.testing.assert_close(ends[1][name], weight, rtol=0, atol=1e-6)


def check_empty_shards(rank, ranks, folder):
    """A parameter of one row: the second rank holds nothing of it."""
    network = nn.Sequential(nn.Linear(6, 1, bias=False), nn.Linear(1, 6, bias=False))
    placements = training.place(network, share=0.5)
    alone = copy.deepcopy(network)
    ends = []
    for model in (alone, fully(network)):
        tuning = SparseTuning(model, placements)
        optimizer = adamw(tuning.parameters())
        tuning.attach(optimizer)
        for _ in range(3):
            model(torch.ones(2, 6)).square().mean().backward()
            nn.utils.clip_grad_norm_(tuning.parameters(), 0.1)
            optimizer.step()
            optimizer.zero_grad()
        ends.append(tuning.values())
        tuning.load_state_dict(tuning.state_dict())
    assert tuning.kept["0.weight"].count == (3 if rank == 0 else 0)
    for name, values in ends[0].items():
        torch.testing.assert_close(ends[1][name], values, rtol=0, atol=1e-6)


def check_trainer(rank, ranks, folder):
    """FrogTrainer on two ranks: the weights are those of one rank with batches of twice the size."""
    import transformers

    from frogmask.transformers import FrogTrainer

    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(ranks), "MASTER_ADDR": "localhost", "MASTER_PORT": "1"}
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=19, hidden_size=32, intermediate_size=48, num_hidden_layers=1, num_attention_heads=4, num_key_value_heads=4
    )
    network = transformers.LlamaForCausalLM(config)
    placements, before = training.place(network, share=0.2), training.weights(network)
    alone = copy.deepcopy(network)
    data = [{"input_ids": words, "labels": words} for words in training.batch(0, 16)]
    arguments = transformers.TrainingArguments(
        str(folder / "trainer"), per_device_train_batch_size=2, max_steps=4, learning_rate=0.1, report_to=[], use_cpu=True, optim="sgd",
        disable_tqdm=True, train_sampling_strategy="sequential", save_strategy="steps", save_steps=2, logging_steps=1,
    )  # fmt: skip
    assert arguments.world_size == ranks
    tuning = SparseTuning(network, placements)
    trainer = FrogTrainer(tuning, args=arguments, train_dataset=data)
    trainer.train()
    assert trainer.model_wrapped is network, "DistributedDataParallel is not there"
    training.assert_only_kept_changed(before, network, placements)

    # Every rank does all of it by itself.
    groups = [dist.new_group([one]) for one in range(ranks)]
    tuned = SparseTuning(alone, placements, process_group=groups[rank])
    optimizer = torch.optim.SGD(tuned.parameters(), lr=0.1)
    tuned.attach(optimizer)
    for step in range(4):
        # Batches are dealt to the ranks by turns.
        words = torch.stack([one["input_ids"] for one in data[4 * step : 4 * step + 4]])
        optimizer.param_groups[0]["lr"] = 0.1 * (1 - step / 4)
        alone(input_ids=words, labels=words).loss.backward()
        nn.utils.clip_grad_norm_(tuned.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    for (name, weight), reference in zip(network.named_parameters(), alone.parameters()):
        torch.testing.assert_close(weight, reference, rtol=0, atol=1e-6, msg=name)


def main():
    rank, ranks, folder, *names = sys.argv[1:]
    rank, ranks = int(rank), int(ranks)
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/ranks", rank=rank, world_size=ranks)
    real = dist.all_reduce
    for name in names:
        dist.all_reduce = real
        globals()[f"check_{name}"](rank, ranks, Path(folder))
        print(name, flush=True)
        dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
