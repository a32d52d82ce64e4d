"""Layers by importance: which are trained, and how fast."""

import pytest
import torch

import training
from frogmask.errors import UsageError
from frogmask.tuning import SparseTuning
from training import one_thread as one_thread


def layers(importances):
    """A model with one kept matrix a layer, and the head; the layers have these importances."""
    network = training.model(layers=len(importances))
    names = [f"layers.{depth}.attention.weight" for depth in range(len(importances))]
    placements = training.place(network, names=(*names, "head.weight"))
    return network, [training.replace(one, importance=importances[one.depth]) if one.depth is not None else one for one in placements]


def rates(importances, **options):
    network, placements = layers(importances)
    groups = SparseTuning(network, placements).param_groups(1.0, **options)
    torch.optim.AdamW(groups)  # takes them as they are
    assert sum(len(group["params"]) for group in groups) == len(importances) + 1
    return {group["name"]: pytest.approx(group["lr"]) for group in groups}


def test_learning_rates():
    assert rates([4, 1, 2], by="uniform") == {"kept weights": 1.0}
    assert rates([4, 1, 2]) == {"layers.0": 1.0, "layers.1": 0.25, "layers.2": 0.5, "outside of layers": 0.25}
    assert rates([4, 1, 2], power=0.5)["layers.1"] == 0.5
    assert rates([40, 1, 2])["layers.1"] == 0.1 and rates([40, 1, 2], floor=0.0)["layers.1"] == 1 / 40
    assert rates([1, 1, 1], by="layer-decay", decay=0.5) == {"layers.0": 0.25, "layers.1": 0.5, "layers.2": 1.0, "outside of layers": 0.25}
    assert rates([1, 1], by="role", roles={"attention": 0.5}) == {"attention": 0.5, "head": 1.0}


@pytest.mark.parametrize(
    "choice, trained",
    [
        (dict(freeze_layers="least:1"), {0, 2, None}),
        (dict(freeze_layers="most:2"), {1, None}),
        (dict(only_layers="most:2"), {0, 2}),
        (dict(only_layers="least:1"), {1}),
        (dict(freeze_layers=[0, 1]), {2, None}),
        (dict(only_layers=1), {1}),
        (dict(only_layers=[("layers", 0)]), {0}),
    ],
    ids=str,
)
def test_layers_that_are_left_out(choice, trained):
    network, placements = layers([4, 1, 2])
    before = training.weights(network)
    tuning = SparseTuning(network, placements, **choice)
    assert {kept.placement.depth for kept in tuning.kept.values()} == trained
    optimizer = torch.optim.AdamW(tuning.parameters(), lr=0.01)
    tuning.attach(optimizer)
    training.loss_of(network, training.batch(0)).backward()
    optimizer.step()
    training.assert_only_kept_changed(before, network, [one for one in placements if one.depth in trained])


def test_bad_input_is_one_clear_error():
    network, placements = layers([4, 1, 2])
    for words, options in (
        ("exclude each other", dict(freeze_layers=[0], only_layers=[1])),
        ("no layer 7 in the mask; it has layers.0, layers.1, layers.2", dict(freeze_layers=[7])),
        ("'top:1' chooses no layers", dict(only_layers="top:1")),
        ("has 3 layers", dict(only_layers="most:4")),
    ):
        with pytest.raises(UsageError, match=words):
            SparseTuning(network, placements, **options)
    some = [one for one in placements if one.depth is not None]
    with pytest.raises(UsageError, match="leaves nothing to train"):
        SparseTuning(network, some, freeze_layers="least:3")
    tuning = SparseTuning(network, placements)
    for words, options in (
        ("by='size'", dict(by="size")),
        ("no use for decay", dict(by="importance", decay=0.5)),
        ("floor lies between", dict(floor=2.0)),
        ("no role nose", dict(by="role", roles={"nose": 1.0})),
    ):
        with pytest.raises(UsageError, match=words):
            tuning.param_groups(1.0, **options)
