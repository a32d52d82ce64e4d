"""Which files of a folder are the model where no index says it, and what is said of files that are none.

`frog-mpi inspect` throughout; `mask` on two ranks at the end. Folders with `model.safetensors.index.json`: test_index.py.
"""

import json
import os
import shutil

import numpy as np
import pytest

import badfiles
import checkpoints
from harness import assert_refused
from test_index import accepted, refused

SHAPES = {"down": (24, 40), "up": (40, 24), "side": (40, 24)}


def weights(seed):
    """The weights of one small model."""
    generator = np.random.default_rng(seed)
    return {name: generator.standard_normal(shape) for name, shape in SHAPES.items()}


def shard(prefix="h.", seed=1, dtype="F32", names=tuple(SHAPES)):
    """A file of some of the weights of a model, under names of its own."""
    return checkpoints.safetensors_bytes({prefix + n: checkpoints.encode(w, dtype) for n, w in weights(seed).items() if n in names})


def tensors(*prefixes, names=tuple(SHAPES)):
    return [prefix + name for prefix in prefixes for name in names]


def fill(folder, files):
    """Files by name: their content, or for a string the target of a link."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(content) if isinstance(content, str) else path.write_bytes(content)
    return folder


INDEX = "model.safetensors.index.json"
BROKEN = b"\x00\x01 no safetensors file"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"4" * 64 + b"\nsize 9876543210\n"


def index_of(files):
    return json.dumps({"weight_map": files}).encode()


# Sets of numbered files


@pytest.mark.parametrize(
    "names",
    [
        ["model-00001-of-00002", "model-00002-of-00002"],
        ["model-00001-of-000002", "model-00002-of-000002"],
        ["00001-of-00002", "00002-of-00002"],
        ["part_1_of_2", "part_2_of_2"],
        ["weights.1-of-2.bf16", "weights.2-of-2.bf16"],
        ["stage-1-of-1-tp-0-of-2", "stage-1-of-1-tp-1-of-2"],
        [f"m-{number}-of-11" for number in range(1, 12)],
    ],
)  # fmt: skip
def test_a_complete_set(frog, tmp_path, names):
    """Numbers from 0 or 1, of any width. Without the last file it is no longer complete."""
    fill(tmp_path, {f"{name}.safetensors": shard(f"{number}.", seed=number) for number, name in enumerate(names)})
    accepted(frog, tmp_path, tensors(*(f"{number}." for number in range(len(names)))))
    (tmp_path / f"{names[-1]}.safetensors").unlink()
    refused(frog, tmp_path, 66, f"1 of {len(names)} files", *([f"'{names[-1]}.safetensors'"] if "-0-" not in names[0] else []))


@pytest.mark.parametrize(
    "present, total, missing, more",
    [
        (["00001", "00003"], "00003", ["00002"], None),
        (["00002"], "00003", ["00001", "00003"], None),
        (["0", "2"], "4", ["1", "3"], None),
        (["00163"], "000163", ["00001", "00002", "00003"], 159),
        (["1", "999999999"], "1000000000", ["2", "3", "4"], 999_999_995),
        (["1099511627776"], "1099511627776", ["1", "2", "3"], 1_099_511_627_772),
    ],
)  # fmt: skip
@pytest.mark.parametrize("stem", ["model", "other"])
def test_a_set_with_gaps(frog, tmp_path, stem, present, total, missing, more):
    fill(tmp_path, {f"{stem}-{number}-of-{total}.safetensors": shard(f"{number}.") for number in present})
    words = [f"'{stem}-{number}-of-{total}.safetensors'" for number in missing]
    refused(frog, tmp_path, 66, tmp_path, *words, *([f"and {more} more"] if more else []), "download")


@pytest.mark.parametrize(
    "first, second", [("00001-of-00002", "1-of-2"), ("1-of-2", "1_of_2"), ("0-of-2", "2-of-2"), ("1-of-2", "0001-of-02")]
)
def test_two_files_that_cannot_both_be_of_one_set(frog, tmp_path, first, second):
    files = {f"x-{name}.safetensors": shard(f"{name}.", seed=number) for number, name in enumerate([first, second, "2-of-2"])}
    if "2-of-2" in (first, second):
        files["x-1-of-2.safetensors"] = shard("more.", seed=9)
    refused(frog, fill(tmp_path, files), 65, f"'x-{first}.safetensors'", f"'x-{second}.safetensors'", "remove one")


@pytest.mark.parametrize(
    "name",
    ["m-99999999999999999999-of-3", "m-1-of-99999999999999999999", "m-1-of-9223372036854775807", "m-4-of-3", "m-0-of-0", "m-of-3", "1of3"],
)
def test_a_name_without_a_number_of_a_set(frog, tmp_path, name):
    accepted(frog, fill(tmp_path, {f"{name}.safetensors": shard()}), tensors("h."))


def test_one_file_of_a_set_on_its_own(frog, tmp_path):
    name = "model-00002-of-00003.safetensors"
    fill(tmp_path, {name: shard(), "model-00001-of-00001.safetensors": shard("whole.")})
    accepted(frog, tmp_path / name, tensors("h."), (name, "one of 3"))
    accepted(frog, tmp_path / "model-00001-of-00001.safetensors", tensors("whole."))


# The files that Hugging Face loads


@pytest.mark.parametrize("stem", ["model", "diffusion_pytorch_model"])
@pytest.mark.parametrize("kind", ["single", "numbered", "index"])
def test_what_hugging_face_loads_wins(frog, tmp_path, stem, kind):
    """Whatever lies beside it, which is not even opened."""
    parts = [f"{stem}-{number}-of-2.safetensors" for number in (1, 2)]
    model = {"single": [f"{stem}.safetensors"], "numbered": parts, "index": ["a.safetensors", "b.safetensors"]}[kind]
    files = {name: shard(f"{number}.", seed=number) for number, name in enumerate(model)}
    others = ["consolidated.safetensors", "adapter_model.safetensors", f"{stem}.fp16.safetensors", "optimizer.safetensors", "x.safetensors"]
    others += {"single": parts, "index": [f"{stem}.safetensors", *parts], "numbered": [f"{stem}-1-of-3.safetensors"]}[kind]
    if kind == "index":
        files[f"{stem}.safetensors.index.json"] = index_of({f"{n}.{t}": name for n, name in enumerate(model) for t in SHAPES})
    fill(tmp_path, files | dict.fromkeys(others, BROKEN))
    accepted(frog, tmp_path, tensors(*(f"{n}." for n in range(len(model)))), *((f"'{name}'", "ignored") for name in sorted(others)))


def test_a_model_with_an_adapter(frog, tmp_path):
    fill(tmp_path, {"model.safetensors": shard(), "adapter_model.safetensors": shard("l.lora_A."), "adapter_config.json": b"{}"})
    accepted(frog, tmp_path, tensors("h."), ("'adapter_model.safetensors'", "ignored"))


@pytest.mark.parametrize(
    "one, other",
    [
        (["model.safetensors"], ["diffusion_pytorch_model.safetensors"]),
        (["model-1-of-1.safetensors"], ["model-1-of-2.safetensors", "model-2-of-2.safetensors"]),
        (["a.safetensors.index.json", "a.safetensors"], ["b.safetensors.index.json", "b.safetensors"]),
    ],
)
def test_two_models_in_one_folder(frog, tmp_path, one, other):
    fill(tmp_path, {name: shard(f"{number}.", seed=number) for number, name in enumerate(one + other)})
    refused(frog, tmp_path, 65, tmp_path, f"'{one[0]}'", f"'{other[0]}'", "may each be the model")


def test_many_files_that_are_ignored_are_counted(frog, tmp_path):
    fill(tmp_path, {"model.safetensors": shard()} | {f"{number:04}.safetensors": b"" for number in range(1000)})
    result = frog("inspect", tmp_path)
    assert result.status == 0 and result.stderr.count("\n") == 51 and "950 more files are ignored" in result.stderr, str(result)


# Indexes of other names


@pytest.mark.parametrize("index", ["unet.safetensors.index.json", "model.fp16.safetensors.index.json", "model.safetensors.index.fp16.json"])
def test_the_only_index(frog, tmp_path, index):
    """It decides, and is checked as any other."""
    weight_map = dict.fromkeys(tensors("h."), "a.safetensors")
    fill(tmp_path, {index: index_of(weight_map), "a.safetensors": shard(), "b.safetensors": BROKEN})
    accepted(frog, tmp_path, tensors("h."), ("'b.safetensors'", index))
    (tmp_path / index).write_bytes(index_of(weight_map | {"h.none": "a.safetensors"}))
    refused(frog, tmp_path, 65, tmp_path / index, "h.none")
    refused(frog, tmp_path / index, 66, "folder")


def test_an_index_of_another_name_beside_what_hugging_face_loads(frog, tmp_path):
    fill(tmp_path, {"consolidated.safetensors.index.json": BROKEN, "model.safetensors": shard()})
    accepted(frog, tmp_path, tensors("h."), ("'consolidated.safetensors.index.json'", "ignored"))


def test_the_index_of_a_variant_beside_the_plain_one(frog, tmp_path):
    plain, variant = "unet.safetensors.index.json", "unet.safetensors.index.fp16.json"
    fill(tmp_path, {plain: index_of(dict.fromkeys(tensors("h."), "a.safetensors")), variant: BROKEN, "a.safetensors": shard()})
    accepted(frog, tmp_path, tensors("h."))


# Files of other names


def test_files_of_a_layer_each(frog, tmp_path):
    """Equal shapes, other weights."""
    fill(tmp_path, {f"layer_{number}.safetensors": shard(f"{number}.", seed=number) for number in range(30)})
    accepted(frog, tmp_path, tensors(*(f"{number}." for number in range(30))))


def test_equal_zeros_and_norms_are_no_copies(frog, tmp_path):
    for number in range(3):
        constants = {"norm": np.ones(512), "zero": np.zeros((32, 32)), "mask": np.arange(1024.0).reshape(32, 32)}
        arrays = constants | {"w": np.random.default_rng(number).standard_normal((20, 20))}
        contents = {f"{number}.{name}": checkpoints.encode(array, "F32") for name, array in arrays.items()}
        fill(tmp_path, {f"block{number}.safetensors": checkpoints.safetensors_bytes(contents)})
    accepted(frog, tmp_path, [f"{number}.{name}" for number in range(3) for name in ("norm", "zero", "mask", "w")])


def test_a_tied_matrix_in_two_parts_is_no_copy(frog, tmp_path):
    fill(tmp_path, {"body.safetensors": shard("body."), "head.safetensors": shard("head.", names=["down"])})
    accepted(frog, tmp_path, [*tensors("body."), "head.down"])


@pytest.mark.parametrize("dtype", ["F32", "F64", "BF16", "F16"])
@pytest.mark.parametrize("reordered", [False, True])
def test_a_model_twice_under_other_names(frog, tmp_path, dtype, reordered):
    copied = {f"t{9 - n if reordered else n}": w for n, w in enumerate(weights(1).values())}
    copy = checkpoints.safetensors_bytes({name: checkpoints.encode(w, dtype) for name, w in copied.items()})
    fill(tmp_path, {"one.safetensors": shard(), "other.safetensors": shard("z.", seed=2), "two.safetensors": copy})
    refused(frog, tmp_path, 65, tmp_path, "'one.safetensors'", "'two.safetensors'", "give the path of one file")
    (tmp_path / "two.safetensors").unlink()
    accepted(frog, tmp_path, tensors("h.", "z."))


def test_a_model_whole_and_in_parts(frog, tmp_path):
    """As Meta and Mistral name it, beside a set that is complete."""
    parts = {f"part-{n}-of-3.safetensors": shard("h.", names=[name]) for n, name in enumerate(SHAPES, 1)}
    fill(tmp_path, parts | {"whole.safetensors": shard("layers.")})
    refused(frog, tmp_path, 65, "'part-1-of-3.safetensors' … (3 files)", "'whole.safetensors'")


def test_a_variant_beside_the_plain_file(frog, tmp_path):
    """Left out if it holds the same tensors; a name alone makes no variant."""
    fill(
        tmp_path, {"unet.safetensors": shard(), "unet.fp16.safetensors": shard(dtype="F16"), "unet.mid.safetensors": shard("mid.", seed=3)}
    )
    accepted(frog, tmp_path, tensors("h.", "mid."), ("'unet.fp16.safetensors'", "ignored"))


def test_adapters_and_training_states_beside_a_model_of_any_name(frog, tmp_path):
    others = ["adapter_model.safetensors", "consolidated.safetensors", "optimizer.safetensors"]
    fill(tmp_path, {"mine.safetensors": shard()} | dict.fromkeys(others, BROKEN))
    accepted(frog, tmp_path, tensors("h."), *((f"'{name}'", "ignored") for name in others))


def test_a_copy_of_another_format_alone(frog, tmp_path):
    accepted(frog, fill(tmp_path, {"consolidated.safetensors": shard()}), tensors("h."))


def test_thousands_of_files(frog, tmp_path):
    fill(tmp_path, {f"m{number}.safetensors": shard(f"{number}.", seed=number % 7, names=["down"]) for number in range(7)})
    fill(tmp_path, {f"e{number}.safetensors": badfiles.file("{}", b"") for number in range(3000)})
    accepted(frog, tmp_path, tensors(*(f"{number}." for number in range(7)), names=["down"]))


# Names that no text holds


def test_a_name_with_a_line_break(frog, tmp_path):
    fill(tmp_path, {"a\nb.safetensors": shard(), "model.safetensors": shard("m.")})
    accepted(frog, tmp_path, tensors("m."), (r"'a\u{a}b.safetensors'", "ignored"))


def test_a_name_that_is_not_utf8(frog, tmp_path):
    try:
        with open(os.fsencode(tmp_path) + b"/\xff.safetensors", "wb") as file:
            file.write(shard())
    except OSError:
        pytest.skip("this file system has no such names")
    refused(frog, tmp_path, 66, "not UTF-8", "rename")


# Files that are something else


FOREIGN = {
    "lfs": (POINTER, "git-lfs pointer", "git lfs pull"),
    "html": (b"\n<!DOCTYPE html>\n<html><head><title>403 Forbidden</title>" + b" " * 300, "HTML or XML", "download"),
    "xml": (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "HTML or XML", "download"),
    "json": (b'\xef\xbb\xbf{"error":"Repository not found"}', "JSON", "Repository not found", "download"),
    "text": (b"Entry not found", "text", "Entry not found", "download"),
    "other_text": ("Accès refusé à ce dépôt. ".encode() * 20, "text", "Accès refusé", "download"),
    "zip": (b"PK\x03\x04\x00\x00\x08\x08\x00\x00archive/data.pkl", "zip archive", "torch.save", "convert"),
    "pickle": (b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.", "pickle", "convert"),
    "gguf": (b"GGUF\x03\x00\x00\x00" + bytes(40), "GGUF", "convert"),
    "hdf5": (b"\x89HDF\r\n\x1a\n" + bytes(40), "HDF5", "convert"),
    "numpy": (b"\x93NUMPY\x01\x00v\x00{'descr': '<f4'}", "NumPy", "convert"),
    "gzip": (b"\x1f\x8b\x08\x08\x50\x60\x70\x65\x00\x03model", "gzip", "unpack"),
    "gzip_without_a_time": (b"\x1f\x8b\x08\x00" + bytes(5) + b"\x03" + b"\x55" * 600_000, "gzip", "unpack"),
    "zstandard": (b"\x28\xb5\x2f\xfd\x04\x58" + bytes(40), "Zstandard", "unpack"),
}


@pytest.mark.parametrize("content, words", [pytest.param(c, words, id=name) for name, (c, *words) in FOREIGN.items()])
def test_another_file_in_place_of_a_shard(frog, tmp_path, content, words):
    refused(frog, fill(tmp_path, {"model.safetensors": content}), 65, tmp_path / "model.safetensors", *words)


def test_a_damaged_shard_is_taken_for_nothing_else(frog, tmp_path):
    """Lengths whose bytes begin as other formats do, before a header that is no JSON."""
    for start in (b"\x80\x02\x01", b"\x1f\x8b"):
        length = int.from_bytes(start, "little")
        path = tmp_path / f"{length}.safetensors"
        path.write_bytes(badfiles.file(b'{"a":' + b" " * (length - 5), b""))
        result = frog("inspect", path)
        assert_refused(result, 65, *(["JSON"] if start[0] == 0x80 else ["gzip"]))


@pytest.mark.parametrize("kind", ["lfs", "html", "text", "gzip"])
def test_another_file_in_place_of_the_index(frog, tmp_path, kind):
    content, *words = FOREIGN[kind]
    refused(frog, fill(tmp_path, {INDEX: content, "model.safetensors": shard()}), 65, tmp_path / INDEX, *words)


@pytest.mark.parametrize("kind", ["lfs", "html", "text", "gzip"])
def test_another_file_in_place_of_the_configuration(frog, tmp_path, kind):
    content, *words = FOREIGN[kind]
    fill(tmp_path, {"config.json": content, "model.safetensors": shard()})
    accepted(frog, tmp_path, tensors("h."), (tmp_path / "config.json", "ignored", *words))


def test_a_byte_order_mark(frog, tmp_path):
    """Refused in a header and an index, where every reader refuses it; named in config.json, which is read."""
    mark, text = b"\xef\xbb\xbf", index_of(dict.fromkeys(tensors("h."), "a.safetensors"))
    fill(tmp_path, {INDEX: text.replace(b", ", b",\r\n"), "a.safetensors": shard(), "config.json": mark + b'{"model_type":"x"}'})
    accepted(frog, tmp_path, tensors("h."), (tmp_path / "config.json", "byte order mark"))
    (tmp_path / INDEX).write_bytes(mark + text)
    refused(frog, tmp_path, 65, tmp_path / INDEX, "byte order mark")
    (tmp_path / "a.safetensors").write_bytes(badfiles.file(mark + badfiles.VALID.encode()))
    refused(frog, tmp_path / "a.safetensors", 65, "a.safetensors", "byte order mark")


# Links that lead nowhere


@pytest.mark.parametrize("name", ["model.safetensors", INDEX, "model-1-of-2.safetensors"])
def test_a_link_whose_target_is_gone(frog, tmp_path, name):
    files = {"model-1-of-2.safetensors": shard(), "model-2-of-2.safetensors": shard("2.", seed=2)} | {name: "../blobs/12ab"}
    refused(frog, fill(tmp_path, files), 66, tmp_path / name, "is a link to ../blobs/12ab, which does not exist", "download")


def test_links_on_the_way(frog, tmp_path):
    """A link to a link, one above the file, the folder itself, and one that an index names."""
    fill(tmp_path, {"chain.safetensors": "next", "next": "end/of/the/chain", "above": "nowhere", "loop": "loop"})
    refused(frog, tmp_path / "chain.safetensors", 66, "it is a link to end/of/the/chain, which")
    refused(frog, tmp_path / "above", 66, "it is a link to nowhere, which")
    refused(frog, tmp_path / "above/model.safetensors", 66, tmp_path / "above is a link to nowhere, which")
    refused(frog, tmp_path / "loop", 66, "symbolic links")
    refused(frog, tmp_path / "none/model.safetensors", 66, "No such file")
    fill(tmp_path, {INDEX: index_of({"h.w": "x.safetensors"}), "x.safetensors": "../blobs/34cd"})
    refused(frog, tmp_path, 66, tmp_path / "x.safetensors", "is a link to ../blobs/34cd, which does not exist", "h.w", "download")


def test_a_configuration_whose_target_is_gone(frog, tmp_path):
    fill(tmp_path, {"model.safetensors": shard(), "config.json": "../blobs/56ef"})
    accepted(frog, tmp_path, tensors("h."), (tmp_path / "config.json", "is a link to ../blobs/56ef"))


# An index that was left behind


@pytest.mark.parametrize("names", [["model.safetensors"], ["x-1-of-2.safetensors", "x-2-of-2.safetensors"]])
def test_an_index_whose_shards_are_gone_beside_a_model(frog, tmp_path, names):
    gone = "model-00001-of-00004.safetensors"
    fill(tmp_path, {INDEX: index_of({"h.up": gone})} | {name: shard(name, seed=n) for n, name in enumerate(names)})
    refused(frog, tmp_path, 66, tmp_path / gone, "h.up", f"remove {INDEX} if '{names[0]}'")
    (tmp_path / names[0]).rename(tmp_path / "adapter_model.safetensors")
    result = frog("inspect", tmp_path)
    assert_refused(result, 66, gone, "download")
    assert "remove" not in result.stderr, str(result)


# Folders without weights


def test_weights_in_folders_below(frog, tmp_path):
    names = [f"{name}/diffusion_pytorch_model.safetensors" for name in ("vae", "unet", "a/b/deep", "a/b/c/too_deep", ".cache")]
    fill(tmp_path, dict.fromkeys(names, BROKEN) | {"model_index.json": b"{}"})
    result = frog("inspect", tmp_path)
    assert_refused(result, 66, tmp_path, "(unet, vae, a/b/deep)")
    fill(tmp_path, {f"expert{number}/x.safetensors": BROKEN for number in range(6)})
    refused(frog, tmp_path, 66, "(expert0, expert1, expert2, expert3 and others)")


def test_a_repository_in_the_cache(frog, tmp_path):
    snapshot = "snapshots/0123456789abcdef"
    fill(tmp_path, {"blobs/12ab": shard(), f"{snapshot}/model.safetensors": "../../blobs/12ab", "refs/main": b"0123456789abcdef"})
    refused(frog, tmp_path, 66, f"({snapshot})")
    accepted(frog, tmp_path / snapshot, tensors("h."))


@pytest.mark.parametrize(
    "name", ["pytorch_model.bin", "consolidated.00.pth", "ckpt.pt", "model-q4.gguf", "weights.npz", "flax_model.msgpack", "tf_model.h5"]
)
def test_weights_in_another_format(frog, tmp_path, name):
    """The largest file is named."""
    fill(tmp_path, {name: bytes(5000), "training_args.bin": bytes(50), "z.bin": bytes(500), "notes.txt": bytes(9000)})
    refused(frog, tmp_path, 66, tmp_path, f"'{name}'", "convert")


def test_thousands_of_folders_below(frog, tmp_path):
    for number in range(300):
        fill(tmp_path, {f"{number:03}/{file:02}.txt": b"" for file in range(40)})
    fill(tmp_path, {"999/model.safetensors": BROKEN})
    refused(frog, tmp_path, 66, tmp_path)


# Shards of a training run


@pytest.mark.parametrize("name, length, flattened", [("part", 200_000, True), ("_flat_param", 9_000, True), ("part", 16_000, False)])
def test_flattened_parameters(frog, tmp_path, name, length, flattened):
    """Vectors longer than any width of a model, or of a name that says so."""
    arrays = {f"0.{name}": np.ones(length), f"1.{name}": np.ones(length), "step": np.ones(()), "router": np.ones((2, 3))}
    contents = {name: checkpoints.encode(array, "BF16") for name, array in arrays.items()}
    fill(tmp_path, {"model.safetensors": checkpoints.safetensors_bytes(contents)})
    result = frog("mask", tmp_path, "--out", tmp_path / "out", "--exclude", "router")
    assert_refused(result, 65, tmp_path, "holds no weight matrix", *(["FSDP", "consolidate"] if flattened else []))
    assert flattened or "FSDP" not in result.stderr


# The way that matters


def test_mask_on_two_ranks(frog, tmp_path):
    """Warnings once, refusals once, and the mask of the model alone."""
    folder = fill(tmp_path / "in", {"model.safetensors": shard(), "consolidated.safetensors": shard("layers.")})
    result = frog("mask", folder, "--out", tmp_path / "out", "--threads", 1, ranks=2)
    assert result.status == 0 and result.stderr.count("is ignored") == 1, str(result)
    matrices = json.loads((tmp_path / "out/frog.json").read_text())["matrices"]
    assert [matrix["name"] for matrix in matrices] == sorted(tensors("h."))

    shutil.move(folder / "model.safetensors", folder / "model-1-of-2.safetensors")
    assert_refused(frog("mask", folder, "--out", tmp_path / "out2", ranks=2), 66, "'model-2-of-2.safetensors'")
    assert not (tmp_path / "out2").exists()
