"""Other people's libraries read what the program writes, and it reads what they write."""

import json

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

import reference


@pytest.mark.parametrize("form", ["indices", "bitmap", "auto"])
@pytest.mark.parametrize("name", ["mixed", "bf16_sharded"])
def test_safetensors_loads_every_output_file(frog, checkpoint, tmp_path, name, form):
    described = frog.mask(checkpoint(name), tmp_path, "--overwrite", "--budget", "2%", "--format", form, ranks=2)
    weight_map = json.loads((tmp_path / "masks.safetensors.index.json").read_text())["weight_map"]
    matrices = {m["name"]: m for m in described["matrices"]}
    seen = set()
    for file in sorted(tmp_path.glob("*.safetensors")):
        with safe_open(file, "np") as opened:
            assert opened.metadata()["format"] == "pt"
        if file.name == "histograms.safetensors":
            assert len(load_file(file)["offsets"]) == len(matrices) + 1
            continue
        for key, array in load_file(file).items():
            assert weight_map[key] == file.name
            matrix, _, part = key.rpartition(".")
            rows, columns = matrices[matrix]["shape"]
            kept = matrices[matrix]["kept"]
            dtype, shape = {
                "indices": (np.int32, (kept,)),
                "mask": (np.uint8, (rows, -(-columns // 8))),
                "scores": (np.float32, (kept,)),
                "noise_row": (np.float32, (rows,)),
                "noise_col": (np.float32, (columns,)),
            }[part]
            assert (array.dtype, array.shape) == (dtype, shape), key
            assert file.name == matrices[matrix]["file"]
            if part == "indices":
                assert np.all(np.diff(array) > 0) and (kept == 0 or (array[0] >= 0 and array[-1] < rows * columns))
            if part == "mask":
                assert np.unpackbits(array).sum() == kept
            seen.add(key)
    assert seen == weight_map.keys()
    assert len(seen) == 4 * len(matrices)


def test_output_files_are_aligned(frog, checkpoint, tmp_path):
    frog.mask(checkpoint("mixed"), tmp_path)
    for file in tmp_path.glob("*.safetensors"):
        for tensor in reference.read_header(file):
            assert tensor.start % np.dtype(reference.DTYPES[tensor.dtype]).itemsize == 0, tensor.name


def test_reads_what_safetensors_writes(frog, tmp_path):
    generator = np.random.default_rng(8)
    tensors = {
        "a.weight": generator.standard_normal((40, 30)).astype(np.float32),
        "b.weight": generator.standard_normal((20, 50)).astype(np.float16),
        "c.weight": generator.standard_normal((33, 17)),
        "c.bias": generator.standard_normal(33),
        "ids": np.arange(6).reshape(2, 3),
        "flags": np.ones((3, 3), bool),
    }
    (tmp_path / "in").mkdir()
    save_file(tensors, tmp_path / "in/model.safetensors", {"note": "Grüße"})
    for path in (tmp_path / "in", tmp_path / "in/model.safetensors"):
        described = frog.mask(path, tmp_path / "out", "--budget", "10%", "--overwrite", ranks=2)
        assert [m["name"] for m in described["matrices"]] == ["a.weight", "b.weight", "c.weight"]
    ours = reference.Reference(tmp_path / "in")
    found = reference.compare(
        ours, ours.select("global", described["K"]), reference.read_output(tmp_path / "out", {m.name: m.shape for m in ours.matrices})
    )
    assert found.common == found.kept == found.wanted


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_reads_what_transformers_saves(frog, tmp_path, dtype):
    torch = pytest.importorskip("torch", reason="torch is not installed (scripts/setup --peers)")
    transformers = pytest.importorskip("transformers", reason="transformers is not installed (scripts/setup --peers)")
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        hidden_size=64, intermediate_size=160, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2, vocab_size=120
    )
    model = transformers.LlamaForCausalLM(config).to(getattr(torch, dtype))
    model.save_pretrained(tmp_path / "in", max_shard_size="100KB")
    assert len(list((tmp_path / "in").glob("model-*.safetensors"))) > 1

    result = frog("inspect", tmp_path / "in", "--json")
    assert result.status == 0, str(result)
    json.loads(result.stdout)
    for name in model.state_dict():
        assert name in result.stdout
    described = frog.mask(tmp_path / "in", tmp_path / "out", "--budget", "5%", ranks=2)
    linear = {f"{n}.weight" for n, m in model.model.named_modules(prefix="model") if isinstance(m, torch.nn.Linear)}
    assert {m["name"] for m in described["matrices"]} == linear
    ours = reference.Reference(tmp_path / "in")
    found = reference.compare(
        ours, ours.select("global", described["K"]), reference.read_output(tmp_path / "out", {m.name: m.shape for m in ours.matrices})
    )
    assert found.kept == found.wanted and found.overlap >= 0.999


def test_inspect_lists_every_tensor_and_why_it_is_skipped(frog, checkpoint):
    text = frog("inspect", checkpoint("mixed"))
    assert text.status == 0, str(text)
    parsed = frog("inspect", checkpoint("mixed"), "--json")
    assert parsed.status == 0, str(parsed)
    json.loads(parsed.stdout)
    for tensor in reference.checkpoint_tensors(checkpoint("mixed")):
        assert tensor.name in text.stdout and tensor.name in parsed.stdout


def test_inspect_shows_an_output_directory(frog, checkpoint, tmp_path):
    described = frog.mask(checkpoint("mixed"), tmp_path / "out")
    for options in ((), ("--json",)):
        result = frog("inspect", tmp_path / "out", *options)
        assert result.status == 0, str(result)
        for matrix in described["matrices"]:
            assert matrix["name"] in result.stdout
