"""frogmask.load: masks read lazily, and as the files say."""

import json
import math
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import frogmask
import oracle
from frogmask.errors import FormatError, MatchError, MissingError, UsageError

# Makers of checkpoints that the program's own tests use.
PROGRAM_TESTS = str(Path(__file__).parents[2] / "Tests/Python")
MASKS = {
    "indices": ("llama", "--budget", "2%", "--format", "indices"),
    "bitmaps": ("llama", "--budget", "5%", "--format", "bitmap"),
    "all kept": ("llama", "--budget", "100%"),
    "parts of columns": ("gpt2", "--budget", "3%", "--split-fused", "--format", "indices"),
    "parts of columns as bitmaps": ("gpt2", "--budget", "9%", "--split-fused", "--format", "bitmap"),
    "interleaved heads": ("neox", "--budget", "3%", "--split-fused"),
    "interleaved heads as bitmaps": ("neox", "--budget", "9%", "--split-fused", "--format", "bitmap"),
    "single experts": ("mixtral", "--budget", "3%"),
    "convolutions": ("resnet", "--budget", "3%", "--conv"),
    "convolutions as bitmaps": ("resnet", "--budget", "9%", "--conv", "--format", "bitmap"),
}


def assert_as_the_files_say(folder):
    masks, wanted = frogmask.load(folder), oracle.dense(folder)
    assert set(masks) == set(wanted)
    for name, mask in masks.items():
        kept = np.flatnonzero(wanted[name].kept)
        assert mask.indices.dtype == torch.int64 and mask.scores.dtype == torch.float32
        assert np.array_equal(mask.indices.numpy(), kept), name
        assert np.array_equal(mask.scores.numpy(), wanted[name].scores[kept]), name
        assert mask.kept == kept.size
    assert sum(mask.kept for mask in masks.values()) == masks.kept > 0


@pytest.mark.parametrize("kind", MASKS)
def test_positions_and_scores_are_those_of_the_files(masked, kind):
    assert_as_the_files_say(masked(*MASKS[kind]))


@pytest.mark.parametrize("stored", ["indices", "bitmap"])
@pytest.mark.parametrize("options", [(), ("--split-fused",)], ids=["whole", "split"])
@pytest.mark.parametrize("layout", ["Llama-4-Scout-17B-16E (text)", "gpt-oss (BF16)"])
def test_stacks_and_their_parts(frog, tmp_path, monkeypatch, layout, options, stored):
    monkeypatch.syspath_prepend(PROGRAM_TESTS)
    import layouts

    layouts.write_layout(tmp_path / "in", layout)
    frog("mask", tmp_path / "in", "--out", tmp_path / "out", "--budget", "4%", "--format", stored, "--threads", 1, *options)
    masks = frogmask.load(tmp_path / "out")
    assert any(len(mask.shape) == 3 for mask in masks.values())
    assert_as_the_files_say(tmp_path / "out")


@pytest.mark.parametrize("stored", ["indices", "bitmap"])
def test_experts_that_lie_one_below_the_other(frog, tmp_path, monkeypatch, stored):
    monkeypatch.syspath_prepend(PROGRAM_TESTS)
    import kinds
    import layouts

    kind = kinds.KINDS["experts one below the other"]
    tensors = layouts.stored_tensors([(name, dtype, shape) for name, dtype, shape, _ in kind.tensors])
    layouts.write_tensors(tmp_path / "in", tensors, kind.config, shards=1)
    frog("mask", tmp_path / "in", "--out", tmp_path / "out", "--budget", "4%", "--format", stored, "--threads", 1)
    masks = frogmask.load(tmp_path / "out")
    assert any(len(mask.matrices) > 1 and len(mask.shape) == 2 for mask in masks.values())
    assert_as_the_files_say(tmp_path / "out")
    # A module of the same shape has noise factors for all experts.
    for name, mask in masks.items():
        if len(mask.matrices) > 1:
            (placement,) = masks.match(module_with(name, mask.shape)).placements
            noise = torch.full(mask.shape, torch.nan)
            for block in placement.noise:
                noise[block.region] = block.scores()
            assert np.array_equal(noise.numpy().reshape(-1), oracle.dense(tmp_path / "out")[name].noise)


def module_with(name, shape):
    """A model with one parameter."""
    *path, leaf = name.split(".")
    model = module = torch.nn.Module()
    for part in path:
        module.add_module(part, torch.nn.Module())
        module = getattr(module, part)
    module.register_parameter(leaf, torch.nn.Parameter(torch.zeros(shape)))
    return model


def test_8_bit_weights_are_left_to_the_program(frog, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(PROGRAM_TESTS)
    import layouts

    layouts.write_layout(tmp_path / "in", "Llama per-tensor fp8")
    frog("mask", tmp_path / "in", "--out", tmp_path / "out", "--budget", "4%", "--threads", 1)
    assert_as_the_files_say(tmp_path / "out")
    with pytest.raises(MatchError, match="is F8_E4M3 in .*: use frog-mpi verify --checkpoint"):
        frogmask.load(tmp_path / "out", checkpoint=tmp_path / "in")


def test_scores_outside_of_single_precision_come_in_units_of_weights(frog, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(PROGRAM_TESTS)
    import checkpoints

    weights = checkpoints.trained(np.random.default_rng(0), 40, 24) * 2.0**-90
    checkpoints.write_checkpoint(tmp_path / "in", {"h.0.up.weight": checkpoints.encode(weights, "F64")})
    frog("mask", tmp_path / "in", "--out", tmp_path / "out", "--budget", "9%", "--threads", 1)
    assert frogmask.load(tmp_path / "out").matrices[0]["score_exponent"] != 0
    assert_as_the_files_say(tmp_path / "out")
    mask = frogmask.load(tmp_path / "out")["h.0.up.weight"]
    # A score is the size of a weight here, and so is the noise.
    assert 2**-100 < mask.scores.min() <= mask.scores.max() < 2**-80
    assert 2**-110 < mask.matrices[0].noise()[0].min() < 2**-80


@pytest.mark.parametrize("kind", MASKS)
def test_rows_of_shards_put_together_are_the_mask(masked, kind):
    for name, mask in frogmask.load(masked(*MASKS[kind])).items():
        width = math.prod(mask.shape[1:])
        indices, scores = [], []
        for start in range(0, mask.shape[0], 7):
            stop = min(start + 7, mask.shape[0])
            some, theirs = mask.rows(start, stop)
            assert some.numel() == 0 or (some.min() >= 0 and some.max() < (stop - start) * width), name
            indices.append(some + start * width)
            scores.append(theirs)
        assert torch.equal(torch.cat(indices), mask.indices) and torch.equal(torch.cat(scores), mask.scores), name


def test_rows_outside_of_the_tensor_are_refused(masked):
    mask = frogmask.load(masked(*MASKS["indices"]))["model.layers.0.mlp.up_proj.weight"]
    with pytest.raises(UsageError, match="has the rows 0 to 48, not 40 to 49"):
        mask.rows(40, 49)


def test_load_opens_nothing_but_the_record(masked, tmp_path):
    folder = tmp_path / "masks"
    shutil.copytree(masked(*MASKS["indices"]), folder)
    for file in folder.glob("masks-*"):
        file.write_bytes(b"")
    masks = frogmask.load(folder)
    assert "model.layers.0.mlp.up_proj.weight" in masks and len(masks) == 14
    with pytest.raises(FormatError, match="is truncated or another file: 0 bytes"):
        _ = masks["model.layers.0.mlp.up_proj.weight"].indices


def test_importing_the_package_does_not_import_torch():
    code = "import sys, frogmask; dir(frogmask); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


# What is refused -----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def copy(masked, tmp_path):
    """A copy of a mask folder that can be spoiled."""
    return shutil.copytree(masked(*MASKS["indices"]), tmp_path / "copy")


def spoil(folder, change, name="frog.json"):
    record = json.loads((folder / name).read_text())
    change(record)
    (folder / name).write_text(json.dumps(record))


def test_what_is_no_output_of_the_program(tmp_path, copy):
    with pytest.raises(MissingError, match="there is no folder .*/nothing"):
        frogmask.load(tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FormatError, match="has no frog.json: it is no output of frog-mpi mask"):
        frogmask.load(tmp_path / "empty")
    (copy / "masks.safetensors.index.json").unlink()
    with pytest.raises(FormatError, match="has no masks.safetensors.index.json: .* did not finish: repeat it with --resume"):
        frogmask.load(copy)


def test_a_folder_of_several_masks_names_its_folders(masked):
    folder = masked("llama", "--budget", "1%,2%", "--select", "global,uniform")
    with pytest.raises(UsageError, match=r"holds several masks: give the folder of one \(global-1%, .*uniform-2%\)"):
        frogmask.load(folder)
    assert frogmask.load(folder / "uniform-2%").kept > 0


def test_another_version_is_refused(copy):
    spoil(copy, lambda record: record.update(format_version=4))
    with pytest.raises(FormatError, match="frog-mask version 4; this frogmask reads version 5"):
        frogmask.load(copy)


def first_kept(folder):
    return next(name for name, mask in frogmask.load(folder).items() if mask.kept > 1)


def overwrite(folder, tensor, change):
    """Changes the elements of one tensor of the mask files in place."""
    import reference

    for file in folder.glob("masks-*.safetensors"):
        for entry in reference.read_header(file):
            if entry.name == tensor:
                change(np.memmap(file, reference.DTYPES[entry.dtype], "r+", entry.start, entry.shape))


@pytest.mark.parametrize("change", ["order", "twice", "negative", "beyond"])
def test_positions_must_ascend_in_their_tensor(copy, change):
    name = first_kept(copy)
    size = math.prod(frogmask.load(copy)[name].shape)

    def spoiled(indices):
        if change == "order":
            indices[:2] = indices[1::-1].copy()
        elif change == "twice":
            indices[1] = indices[0]
        else:
            indices[0 if change == "negative" else -1] = -1 if change == "negative" else size

    overwrite(copy, f"{name}.indices", spoiled)
    with pytest.raises(FormatError, match=rf"masks-00001-.*: tensor '{name}.indices' does not ascend from 0 to {size - 1}"):
        _ = frogmask.load(copy)[name].indices


def test_positions_must_lie_in_their_part(masked, tmp_path):
    folder = shutil.copytree(masked(*MASKS["interleaved heads"]), tmp_path / "copy")
    name = "gpt_neox.layers.0.attention.query_key_value.weight"

    def spoiled(indices):
        indices[-1] = 96 * 32 - 1

    overwrite(folder, f"{name}[q].indices", spoiled)
    with pytest.raises(FormatError, match=r"\[q\].indices' has positions outside of its matrix"):
        _ = frogmask.load(folder)[name].indices


@pytest.mark.parametrize("number", [np.nan, np.inf, -1])
@pytest.mark.parametrize("kind", ["scores", "noise_row", "noise_col"])
def test_numbers_must_be_finite_and_not_negative(copy, kind, number):
    name = first_kept(copy)

    def spoiled(values):
        values[0] = number

    overwrite(copy, f"{name}.{kind}", spoiled)
    mask = frogmask.load(copy)[name]
    with pytest.raises(FormatError, match=f"'{name}.{kind}' has numbers that are negative or not finite"):
        _ = mask.scores if kind == "scores" else mask.matrices[0].noise()


@pytest.mark.parametrize("change", ["one more", "one less"])
def test_bits_must_be_as_many_as_weights_are_kept(masked, tmp_path, change):
    folder = shutil.copytree(masked(*MASKS["bitmaps"]), tmp_path / "copy")
    name = first_kept(folder)

    def spoiled(bits):
        row, column = np.argwhere(bits != (255 if change == "one more" else 0))[0]
        bits[row, column] = (
            bits[row, column] | (bits[row, column] + 1) if change == "one more" else bits[row, column] & (bits[row, column] - 1)
        )

    overwrite(folder, f"{name}.mask", spoiled)
    with pytest.raises(FormatError, match=f"'{name}.mask' has .* bits set, should be"):
        _ = frogmask.load(folder)[name].indices


def test_bits_beyond_the_last_column_are_refused(frog, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(PROGRAM_TESTS)
    import checkpoints

    weights = checkpoints.trained(np.random.default_rng(0), 40, 21)
    checkpoints.write_checkpoint(tmp_path / "in", {"h.0.up.weight": checkpoints.encode(weights, "F32")})
    frog("mask", tmp_path / "in", "--out", tmp_path / "out", "--budget", "9%", "--format", "bitmap", "--threads", 1)

    def spoiled(bits):
        bits[3, -1] |= 128

    overwrite(tmp_path / "out", "h.0.up.weight.mask", spoiled)
    with pytest.raises(FormatError, match=r"has bits beyond column 20"):
        _ = frogmask.load(tmp_path / "out")["h.0.up.weight"].indices


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("kept", -1), ("kept", 10**9), ("kept", "1"), ("shape", [3]), ("shape", [1 << 40, 1 << 40]), ("format", "zip"),
        ("score_exponent", 10**6), ("slice", {"shape": [4, 4]}), ("slice", 3),
    ],
)  # fmt: skip
def test_an_entry_that_contradicts_itself_is_refused(copy, key, value):
    spoil(copy, lambda record: record["matrices"][0].update({key: value}))
    name = json.loads((copy / "frog.json").read_text())["matrices"][0]["tensor"]
    with pytest.raises(FormatError, match=f"the entry of '{name}' contradicts itself"):
        _ = frogmask.load(copy)[name]


@pytest.mark.parametrize("change", [("rows", "first", 97), ("rows", "stride", 1), ("columns", "count", 2), ("columns", "length", 31)])
def test_a_part_outside_of_its_tensor_is_refused(masked, tmp_path, change):
    folder = shutil.copytree(masked(*MASKS["interleaved heads"]), tmp_path / "copy")
    axis, key, value = change
    name = "gpt_neox.layers.0.attention.query_key_value.weight"

    def spoiled(record):
        for matrix in record["matrices"]:
            if matrix["name"] == f"{name}[k]":
                matrix["slice"][axis][key] = value

    spoil(folder, spoiled)
    with pytest.raises(FormatError, match="the entry of .* contradicts itself"):
        _ = frogmask.load(folder)[name]


@pytest.mark.parametrize("file", ["../elsewhere.safetensors", "no-such-file"])
def test_a_mask_file_of_another_name_is_refused(copy, file):
    def spoiled(record):
        for matrix in record["matrices"]:
            matrix["file"] = file
        if file.startswith(".."):
            # Also a file that the record vouches for must lie in the folder.
            (name,) = record["files"]
            shutil.copy(copy / name, copy / file)
            record["files"][file] = record["files"][name]

    spoil(copy, spoiled)
    with pytest.raises(FormatError, match="is no name of a mask file"):
        _ = frogmask.load(copy)[first_kept(copy)].indices


def test_a_missing_file_is_named(copy):
    (copy / "masks-00001-of-00001.safetensors").unlink()
    with pytest.raises(MissingError, match="there is no file .*masks-00001-of-00001.safetensors"):
        _ = frogmask.load(copy)[first_kept(copy)].indices


# Large and hostile -----------------------------------------------------------------------------------------------------------------


def by_hand(folder, tensors, **entry):
    """A mask folder of one tensor, `T`, that no program of this size can make quickly."""
    from safetensors.numpy import save_file

    folder.mkdir()
    save_file({f"T.{kind}": array for kind, array in tensors.items()}, folder / "masks-00001-of-00001.safetensors")
    size = (folder / "masks-00001-of-00001.safetensors").stat().st_size
    matrix = {
        "name": "T", "tensor": "T", "slice": None, "dtype": "F32", "file": "masks-00001-of-00001.safetensors", "format": "indices",
        "kept": len(tensors["scores"]), "score_exponent": 0, "importance": 1.0, "role": "T", "stack": None, "depth": None,
    }  # fmt: skip
    record = {
        "format": "frog-mask", "format_version": 5, "kept": matrix["kept"], "checkpoint": {"fingerprint": "sha256-xxh3:0"},
        "matrices": [matrix | entry], "files": {matrix["file"]: {"bytes": size}}, "documents": {},
    }  # fmt: skip
    (folder / "frog.json").write_text(json.dumps(record))
    (folder / "masks.safetensors.index.json").write_text("{}")
    return frogmask.load(folder)


def test_tensors_of_more_than_2_to_the_31_elements(tmp_path):
    rows, columns = 50_000, 49_999
    indices = np.array([7, 2**31 + 5, rows * columns - 1])
    tensors = {
        "indices": indices, "scores": np.array([1, 2, 3], np.float32),
        "noise_row": np.ones(rows, np.float32), "noise_col": np.ones(columns, np.float32),
    }  # fmt: skip
    masks = by_hand(tmp_path / "masks", tensors, shape=[rows, columns])
    mask = masks["T"]
    assert mask.indices.tolist() == indices.tolist()
    position, score = mask.rows((2**31 + 5) // columns, (2**31 + 5) // columns + 1)
    assert (position.tolist(), score.tolist()) == ([(2**31 + 5) % columns], [2.0])
    from frogmask import patch

    patch.save(tmp_path / "patch", masks, {"T": torch.ones(3)})
    assert frogmask.Patch(tmp_path / "patch")["T"].indices.tolist() == indices.tolist()
    narrow = tensors | {"indices": indices.astype(np.int32)}
    with pytest.raises(FormatError, match=r"'T.indices' is I32 \[3\], should be I64 \[3\]"):
        _ = by_hand(tmp_path / "narrow", narrow, shape=[rows, columns])["T"].indices


def mutated(data, random):
    """Some bytes changed, a piece cut out, or the end cut off."""
    data, kind = bytearray(data), random.integers(4)
    at = int(random.integers(len(data)))
    if kind == 0:
        data[at] = random.integers(256)
    elif kind == 1:
        del data[at : at + int(random.integers(1, 9))]
    elif kind == 2:
        del data[at:]
    else:
        # Digits become other digits, so that documents can still be read and say something else.
        digits = [i for i, byte in enumerate(data[:100_000]) if 48 <= byte < 58]
        for i in random.choice(digits, 3):
            data[i] = random.integers(48, 58)
    return bytes(data)


@pytest.mark.parametrize("file", ["frog.json", "masks-00001-of-00001.safetensors", "names.json"])
def test_spoiled_files_give_the_errors_of_the_package_and_no_others(checkpoint, masked, tmp_path, file):
    """Whatever can be read of them is in range: nothing could write outside of a parameter."""
    import models

    folder = shutil.copytree(masked("mixtral", "--budget", "3%", "--names", "transformers5"), tmp_path / "copy")
    model, whole = models.load("mixtral", checkpoint("mixtral")), (folder / file).read_bytes()
    random, refused = np.random.default_rng(3), 0
    for _ in range(150):
        (folder / file).write_bytes(mutated(whole, random))
        try:
            masks = frogmask.load(folder)
            for mask in masks.values():
                indices, scores = mask.read()
                assert indices.shape == scores.shape == (mask.kept,)
                assert mask.kept == 0 or 0 <= indices.min() <= indices.max() < math.prod(mask.shape)
            for placement in masks.match(model).placements:
                assert placement.indices.numel() == 0 or placement.indices.max() < math.prod(placement.shape)
        except frogmask.FrogmaskError as error:
            assert "\n" not in str(error)
            refused += 1
    assert refused > 30
