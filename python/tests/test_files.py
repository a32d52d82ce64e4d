"""Files that break one rule each, and which files of a folder are the checkpoint."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from frogmask.checkpoint import Checkpoint
from frogmask.errors import FormatError, MatchError, MissingError
from frogmask.tensorfile import TensorFile

GOOD = {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}, "b": {"dtype": "U8", "shape": [3], "data_offsets": [8, 11]}}


def write(path, header, data=bytes(11)):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


def changed(tensor, **entries):
    return GOOD | {tensor: GOOD[tensor] | entries}


def test_tensors_are_read_as_they_are_stored(tmp_path):
    tensors = {
        "half": torch.randn(3, 5).half(), "brain": torch.randn(7).bfloat16(), "bytes": torch.arange(3, dtype=torch.uint8),
        "wide": torch.tensor([[2**40]]), "empty": torch.zeros(0, 4), "scalar": torch.tensor(2.5),
    }  # fmt: skip
    save_file(tensors, tmp_path / "file", {"format": "pt"})
    file = TensorFile(tmp_path / "file")
    assert file.metadata == {"format": "pt"} and set(file.entries) == set(tensors)
    for name, tensor in tensors.items():
        found = file.tensor(name)
        assert found.dtype == tensor.dtype and torch.equal(found, tensor), name
    assert not file.array("brain").flags.writeable and file.array("brain").dtype == np.uint16


def test_unaligned_data_is_read(tmp_path):
    header = {"b": GOOD["b"] | {"data_offsets": [0, 3]}, "a": GOOD["a"] | {"data_offsets": [3, 11]}}
    data = bytes(3) + np.array([1.5, -2], np.float32).tobytes()
    file = TensorFile(write(tmp_path / "file", header, data))
    assert file.array("a").tolist() == [1.5, -2] and file.tensor("a").tolist() == [1.5, -2]


@pytest.mark.parametrize(
    ("header", "data", "words"),
    [
        (GOOD, bytes(10), "is truncated or too long: 140 bytes, its header describes 141"),
        (GOOD, bytes(12), "is truncated or too long"),
        (changed("b", data_offsets=[9, 12]), bytes(12), "has a hole or an overlap before tensor 'b'"),
        (changed("b", data_offsets=[7, 10]), bytes(10), "has a hole or an overlap before tensor 'b'"),
        (changed("a", shape=[3]), bytes(11), r"tensor 'a' has 8 bytes, which is not F32 \[3\]"),
        (changed("a", shape=[2**62, 2**62]), bytes(11), "tensor 'a' has 8 bytes"),
        (changed("a", shape=[-2]), bytes(11), "tensor 'a' is described in another way"),
        (changed("a", shape=[2.0]), bytes(11), "tensor 'a' is described in another way"),
        (changed("a", data_offsets=[8]), bytes(11), "tensor 'a' is described in another way"),
        (changed("a", more=1), bytes(11), "tensor 'a' is described in another way"),
        (GOOD | {"c": 3}, bytes(11), "tensor 'c' is described in another way"),
        (json.dumps(GOOD).encode().replace(b'"b"', b'"a"'), bytes(11), "a name comes twice"),
        (b"[]", b"", "has a header that cannot be read"),
        (b'{"\xff": 1}', b"", "has a header that cannot be read"),
        (b"[" * 100_000, b"", "has a header that cannot be read"),
    ],
)  # fmt: skip
def test_a_header_that_breaks_a_rule_is_refused(tmp_path, header, data, words):
    with pytest.raises(FormatError, match=words):
        TensorFile(write(tmp_path / "file", header, data))


@pytest.mark.parametrize("data", [b"", b"1234567", (2**40).to_bytes(8, "little") + b"{}", (99_999_999).to_bytes(8, "little") + b"{}"])
def test_what_is_no_safetensors_file(tmp_path, data):
    (tmp_path / "file").write_bytes(data)
    with pytest.raises(FormatError, match="file is no safetensors file, or not all of one"):
        TensorFile(tmp_path / "file")


def tensors(folder, **files):
    folder.mkdir(exist_ok=True)
    for file, names in files.items():
        save_file({name: torch.ones(2, 2) for name in names}, folder / f"{file.replace('_', '-')}.safetensors")
    return folder


def index(folder, name="model", **weight_map):
    (folder / f"{name}.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    return folder


def test_which_files_are_the_checkpoint(tmp_path):
    whole = tensors(tmp_path / "whole", model="ab", consolidated="ab")
    assert list(Checkpoint(whole).files) == ["model.safetensors"] and Checkpoint(whole).index is None
    assert list(Checkpoint(whole / "consolidated.safetensors").files) == ["consolidated.safetensors"]
    sharded = index(tensors(tmp_path / "sharded", one="a", two="b", model="ab"), a="one.safetensors", b="two.safetensors")
    assert list(Checkpoint(sharded).files) == ["one.safetensors", "two.safetensors"]
    assert Checkpoint(sharded).tensors == ["a", "b"] and "c" not in Checkpoint(sharded)
    only = index(tensors(tmp_path / "only", one="a", two="b"), "model.fp16", a="one.safetensors")
    assert Checkpoint(only).index == "model.fp16.safetensors.index.json" and Checkpoint(only).tensors == ["a"]
    assert list(Checkpoint(tensors(tmp_path / "single", unet="a")).files) == ["unet.safetensors"]
    with pytest.raises(MatchError, match="single has no tensor 'b': it is another checkpoint"):
        Checkpoint(tmp_path / "single").entry("b")


def test_what_is_no_checkpoint(tmp_path):
    with pytest.raises(MissingError, match="there is no checkpoint .*nothing"):
        Checkpoint(tmp_path / "nothing")
    with pytest.raises(MissingError, match="there are no safetensors files in"):
        Checkpoint(tmp_path)
    with pytest.raises(FormatError, match="has several safetensors files, and no index says which are the model"):
        Checkpoint(tensors(tmp_path / "several", one="a", two="b"))
    broken = tensors(tmp_path / "broken", one="ab", two="b")
    with pytest.raises(FormatError, match="has no weight_map"):
        Checkpoint(index(broken))
    with pytest.raises(MissingError, match="three.safetensors is missing, in which .* says tensor 'c' to be"):
        Checkpoint(index(broken, a="one.safetensors", c="three.safetensors"))
    with pytest.raises(FormatError, match="'../two.safetensors', the file of tensor 'b', lies outside of the folder"):
        Checkpoint(index(broken, b="../two.safetensors"))
    with pytest.raises(FormatError, match="tensor 'b' is in one.safetensors and in two.safetensors"):
        Checkpoint(index(broken, a="one.safetensors", b="two.safetensors"))
    with pytest.raises(FormatError, match="says that tensor 'c' is in one.safetensors, which does not have it"):
        Checkpoint(index(broken, a="one.safetensors", c="one.safetensors"))
