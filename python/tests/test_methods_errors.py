"""What frogmask.methods refuses, each in one line; and that the model is as it was afterwards."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

import adapters
import frogmask
import models
from adapters import METHODS, Net
from frogmask.errors import FormatError, MatchError, MissingError, UsageError, WriteError
from frogmask.methods import lora_xs, smt, spectral, svft
from test_methods import MODULES
from training import one_thread as one_thread
from training import place

NAME = "first.weight"


@pytest.fixture
def folder(tmp_path):
    """Method → a folder for the two-layer network."""
    adapters.saved(adapters.net(), tmp_path / "model")

    def make(method="svft", **options):
        return adapters.export(tmp_path / method, tmp_path / "model", method, **options)

    return make


def refused(kind, words, method, folder, model=None, **options):
    """The error, which has to be one line; the model has to stay as it was."""
    model = adapters.net() if model is None else model
    before = [(name, parameter, parameter.requires_grad) for name, parameter in model.named_parameters()]
    with pytest.raises(kind, match=words) as caught:
        MODULES[method].attach(model, folder, **options)
    assert "\n" not in str(caught.value)
    after = [(name, parameter, parameter.requires_grad) for name, parameter in model.named_parameters()]
    assert len(before) == len(after) and all(a[0] == b[0] and a[1] is b[1] and a[2] == b[2] for a, b in zip(before, after))


def rewrite(folder, change):
    """Changes the tensors of the folder's first file."""
    path = folder / "adapter-00001-of-00002.safetensors"
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)
    document = json.loads((folder / "adapter.json").read_text())
    document["files"][path.name]["bytes"] = path.stat().st_size
    (folder / "adapter.json").write_text(json.dumps(document))


# MARK: Folders


def test_missing_folders_and_files(folder, tmp_path):
    refused(MissingError, "there is no folder", "svft", tmp_path / "nothing")
    made = folder()
    (made / "adapter.json").rename(made / "away")
    refused(FormatError, "no adapter.json: writing it did not finish", "svft", made)
    refused(FormatError, "is no adapter of frog-mpi export", "svft", tmp_path / "model")
    (made / "away").rename(made / "adapter.json")
    (made / "adapter-00002-of-00002.safetensors").rename(made / "away")
    refused(MissingError, "adapter-00002-of-00002.safetensors is missing", "svft", made)
    (made / "adapter.safetensors.index.json").unlink()
    refused(MissingError, "index.json", "svft", made)


@pytest.mark.parametrize(
    "key, entry, value", [("s_col", -1, 12), ("s_col", 0, -1), ("s_row", 0, -1), ("s_row", -1, 2**62), ("s_row", -1, 12)]
)
def test_entries_outside_of_the_matrix(folder, key, entry, value):
    made = folder(pattern="random", d=1)
    rewrite(made, lambda tensors: tensors[f"first.svft_layer.{key}"].index_fill_(0, torch.tensor(entry % 34), value))
    refused(FormatError, "no ascending entries of pattern 'random'", "svft", made)


@pytest.mark.parametrize("pattern, d", [("banded", 2), ("plain", 0)])
def test_entries_outside_of_the_band(folder, pattern, d):
    made = folder(pattern=pattern, d=d)
    row, column = adapters.scattered(12, 12 * (2 * d + 1) - d * (d + 1))
    rewrite(
        made, lambda tensors: tensors.update({"first.svft_layer.s_row": row.contiguous(), "first.svft_layer.s_col": column.contiguous()})
    )
    refused(FormatError, f"no ascending entries of pattern '{pattern}'", "svft", made)


BAND = {"pattern": "banded"}


@pytest.mark.parametrize("change, words", [
    ({"method": "vera"}, "the method 'vera' is unknown; this frogmask knows svft, spectral-rotation"),
    ({"method": ["svft"]}, "is unknown"),
    ({"format": "frog-mask"}, "is no document of frog-mpi"), ({"format_version": 2}, "version 2"),
    ({"tensors": {}}, "names no tensor"), ({"tensors": []}, "garbles"), ({"checkpoint": None}, "garbles"),
    ({"files": {}}, "should be None"), ({"tensors": {"a.bias": {"shape": [3]}}}, "'a.bias', .3., is no weight of a linear layer"),
    ({"parameters": BAND}, "parameters.d is None"), ({"parameters": BAND | {"d": True}}, "parameters.d is True"),
    ({"parameters": BAND | {"d": 3}}, "should be 72 with"), ({"parameters": BAND | {"d": -1}}, "d = -1"),
    ({"parameters": {"pattern": "ring", "d": 2}}, "pattern 'ring'"), ({"parameters": {"pattern": "plain", "d": 2}}, "should be 12"),
])  # fmt: skip
def test_garbled_documents(folder, change, words):
    made = folder()
    adapters.change(made, **change)
    refused(FormatError, words, "svft", made)


def test_an_index_that_leads_out_of_the_folder(folder):
    made = folder()
    index = json.loads((made / "adapter.safetensors.index.json").read_text())
    index["weight_map"] = dict.fromkeys(index["weight_map"], "../other.safetensors")
    (made / "adapter.safetensors.index.json").write_text(json.dumps(index))
    refused(FormatError, "lies outside of the folder", "svft", made)


@pytest.mark.parametrize("key, value, words", [
    ("u", torch.zeros(12, 11), r"'first.svft_layer.u' is F32 \[12, 11\], should be F64 or F32 or F16 or BF16 \[12, 12\]"),
    ("u", torch.full((12, 12), torch.nan), "not finite"), ("v", torch.zeros(12, 20, dtype=torch.int32), "is I32"),
    ("v", None, "no tensor 'first.svft_layer.v'"), ("s_row", None, "no list 'first.svft_layer.s_row'"),
    ("s_row", torch.zeros(54, dtype=torch.int64), "no ascending entries of pattern 'banded'"),
    ("s_row", torch.zeros((), dtype=torch.int64), "no list"), ("s_row", torch.zeros(54), "is F32"),
    ("s_col", adapters.band(12, 2)[1] + 2, "no ascending entries"), ("s_col", adapters.band(12, 2)[1] - 1, "no ascending entries"),
    ("s_pre", torch.arange(12.0), "does not descend"), ("s_pre", -torch.arange(12.0), "does not descend"),
])  # fmt: skip
def test_garbled_tensors(folder, key, value, words):
    made = folder()

    def change(tensors):
        tensors.pop(f"first.svft_layer.{key}")
        if value is not None:
            tensors[f"first.svft_layer.{key}"] = value.contiguous()

    rewrite(made, change)
    if value is None:
        index = made / "adapter.safetensors.index.json"
        document = json.loads(index.read_text())
        del document["weight_map"][f"first.svft_layer.{key}"]
        index.write_text(json.dumps(document))
    refused(FormatError, words, "svft", made)


@pytest.mark.parametrize("rank", [0, 13, None, 2.0, True, 5])
@pytest.mark.parametrize("method", METHODS)
def test_another_rank(folder, method, rank):
    made = folder(method)
    adapters.change(made, NAME, rank=rank)
    refused(FormatError, "should be|no number from 1 to 12", method, made)


@pytest.mark.parametrize("alpha", [None, "8", True, float("nan"), float("inf")])
def test_another_alpha(folder, alpha):
    made = folder("lora-xs")
    adapters.change(made, parameters={"alpha": alpha})
    refused(FormatError, "parameters.alpha is", "lora-xs", made)


def test_a_truncated_file(folder):
    made = folder()
    path = made / "adapter-00001-of-00002.safetensors"
    path.write_bytes(path.read_bytes()[:-8])
    refused(FormatError, "truncated|bytes", "svft", made)


# MARK: Models


def test_another_model_of_the_same_shapes(folder):
    for method in METHODS:
        made = folder(method)
        torch.manual_seed(1)
        refused(MatchError, "not the weight that .* was made of", method, made, Net())


def test_another_checkpoint(folder, tmp_path):
    made = folder()
    torch.manual_seed(1)
    other = adapters.saved(Net(), tmp_path / "other")
    refused(MatchError, "is another checkpoint", "svft", made, checkpoint=other)
    svft.attach(adapters.net(), made, checkpoint=tmp_path / "model")


def test_other_shapes_and_names(folder):
    made = folder()
    network = adapters.net()
    network.first = nn.Linear(20, 13)
    refused(MatchError, r"'first.weight' is \[12, 20\] .* and parameter 'first.weight' is \[13, 20\]", "svft", made, network)
    network = adapters.net()
    network.uno = network.first
    del network.first
    refused(MatchError, "no parameter for 'first.weight'", "svft", made, network)


class Own(nn.Linear):
    def forward(self, x):
        return super().forward(2 * x)


def test_modules_that_are_no_plain_linear_layers(folder):
    made = folder()
    for kind in (nn.Embedding, Own):
        network = adapters.net()
        network.first = kind(20, 12) if kind is Own else kind(12, 20)
        error, words = (UsageError, "forward of another library") if kind is Own else (MatchError, "of a Embedding, not the weight")
        refused(error, words, "svft", made, network)
    network = adapters.net()
    network.first.forward = lambda x: x
    refused(UsageError, "forward of another library", "svft", made, network)
    refused(MatchError, "meta device", "svft", made, adapters.net().to("meta"))
    network = adapters.net()
    network.first.weight = nn.Parameter(torch.zeros(12, 20, dtype=torch.int8), requires_grad=False)
    refused(MatchError, "load the model in BF16 or F32", "svft", made, network)


def test_two_names_of_one_weight(folder):
    made = folder("lora-xs", rank=3)
    document = json.loads((made / "adapter.json").read_text())
    adapters.change(made, tensors=document["tensors"] | {"model.first.weight": document["tensors"][NAME]})
    refused(MatchError, "'model.first.weight' and another tensor .* are one parameter, 'first.weight'", "lora-xs", made)


def test_sharded_weights(folder, monkeypatch):
    monkeypatch.setattr("frogmask.methods.linears.is_sharded", lambda parameter: True)
    refused(UsageError, "parameter 'first.weight' is sharded", "svft", folder())


def test_attention_that_never_calls_its_linear_layer(tmp_path):
    network = nn.ModuleDict({"attention": nn.MultiheadAttention(8, 2)})
    adapters.saved(network, tmp_path / "model")
    made = adapters.export(tmp_path / "made", tmp_path / "model", "svft", ("out_proj",))
    refused(UsageError, "not called by the module above it", "svft", made, network)


def test_conv1d_of_gpt2_and_tied_heads(checkpoint, tmp_path):
    made = adapters.export(tmp_path / "gpt2", checkpoint("gpt2"), "spectral-rotation", ("c_attn",), rank=2)
    refused(MatchError, "of a Conv1D, not the weight of a linear layer", "spectral-rotation", made, models.load("gpt2", checkpoint("gpt2")))
    made = adapters.export(tmp_path / "tied", checkpoint("tied"), "spectral-rotation", ("embed_tokens",), rank=2)
    refused(MatchError, "of a Embedding", "spectral-rotation", made, models.load("tied", checkpoint("tied")))
    network = adapters.net()
    network.third = nn.Linear(20, 12)
    network.third.weight = network.first.weight
    adapters.saved(adapters.net(), tmp_path / "net")
    made = adapters.export(tmp_path / "made", tmp_path / "net", "svft")
    refused(MatchError, "'first.weight' is tied: 2 modules share", "svft", made, network)


# MARK: Use


def test_a_second_adapter_and_another_method(folder):
    first, second = folder("svft"), folder("lora-xs", rank=3)
    refused(UsageError, "for the method lora-xs: use frogmask.methods.lora_xs", "svft", second)
    network = adapters.net()
    adapter = svft.attach(network, first)
    with pytest.raises(UsageError, match="has an adapter already"):
        lora_xs.attach(network, second)
    adapter.detach()
    for _ in range(2):
        with pytest.raises(UsageError, match="was merged or detached"):
            adapter.merge()
    lora_xs.attach(network, second).merge()
    tuning = frogmask.SparseTuning(network, place(network))
    with pytest.raises(UsageError, match="a SparseTuning trains this model"):
        svft.attach(network, first)
    tuning.detach()
    # The first merge has moved the weights by 10⁻⁵ alone.
    svft.attach(network, first)


def test_smt_on_an_adapted_model_and_a_wrapped_model(folder, tmp_path):
    network, made = adapters.net(), folder()
    blocks = folder("smt", blocks=lambda m, n: [(0, 0)])
    svft.attach(network, made)
    with pytest.raises(UsageError, match="has an adapter already"):
        smt.attach(network, blocks)
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path / 'meet'}", rank=0, world_size=1)
    try:
        refused(UsageError, "before DistributedDataParallel wraps it", "svft", made, nn.parallel.DistributedDataParallel(adapters.net()))
    finally:
        torch.distributed.destroy_process_group()


def test_another_start(folder):
    refused(UsageError, "init='ones': say 'random' or 'zeros'", "svft", folder(), init="ones")


def test_training_that_has_diverged(folder, tmp_path):
    network = adapters.net()
    before = network.first.weight.detach().clone()
    adapter = spectral.attach(network, folder("spectral-rotation", rank=3))
    with torch.no_grad():
        adapter.parameters()[0].fill_(torch.nan)
    with pytest.raises(UsageError, match="not finite: training has diverged"):
        adapter.merge()
    with pytest.raises(FormatError, match="not finite: training has diverged"):
        adapter.save(tmp_path / "trained")
    adapter.detach()
    assert torch.equal(network.first.weight, before)


def test_saved_values_that_do_not_fit(folder, tmp_path):
    made, trained = folder("svft"), tmp_path / "trained"
    svft.attach(adapters.net(), made).save(trained)
    cases = [
        (UsageError, "has values alone: give the folder of their factors too, factors='svft'", svft, trained, None),
        (UsageError, "values of the method svft, not lora-xs", lora_xs, trained, made),
        (MissingError, "nothing was saved there; use attach", svft, made, None),
        (MissingError, "there is no folder", svft, tmp_path / "nothing", made),
    ]
    for kind, words, module, values, factors in cases:
        with pytest.raises(kind, match=words):
            module.load(adapters.net(), values, factors)
    shutil.copytree(made, tmp_path / "other")
    adapters.change(tmp_path / "other", version="0.2.0")
    with pytest.raises(MatchError, match="trained with the factors of svft, not"):
        svft.load(adapters.net(), trained, tmp_path / "other")
    data = bytearray((trained / "values.safetensors").read_bytes())
    data[-1] ^= 1
    (trained / "values.safetensors").write_bytes(data)
    with pytest.raises(FormatError, match="is not the file that values.json describes"):
        svft.load(adapters.net(), trained, made)
    (trained / "values.json").unlink()
    with pytest.raises(MissingError, match="saving them did not finish"):
        svft.load(adapters.net(), trained, made)


def test_a_save_that_fails_leaves_no_values(folder, tmp_path, monkeypatch):
    made, trained = folder("svft"), tmp_path / "trained"
    adapter = svft.attach(adapters.net(), made)
    adapter.save(trained)

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("frogmask.methods.values.save_file", full)
    with pytest.raises(WriteError, match="cannot write .*values.safetensors: No space left on device"):
        adapter.save(trained)
    with pytest.raises(MissingError, match="saving them did not finish"):
        svft.load(adapters.net(), trained, made)
    (tmp_path / "file").write_text("")
    with pytest.raises(WriteError, match="cannot write to"):
        adapter.save(tmp_path / "file")
