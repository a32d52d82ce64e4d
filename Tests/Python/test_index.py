"""Every check of a shard index, end to end: a status, one line that names file and tensor, or a warning.

`frog-mpi inspect` throughout; `mask` on two ranks at the end. Texts that are no index: badfiles.indexes(). What the parts
say word for word is in Tests/ShardIOTests/CheckpointTests.swift.
"""

import json
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest

import badfiles
import checkpoints
from harness import assert_refused

INDEX = "model.safetensors.index.json"
ONE, TWO = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
BYTES = 8 * 8 * 4  # of each tensor


def shard(*names):
    """A file of one 8 × 8 matrix for each name."""
    generator = np.random.default_rng(sum(map(len, names)))
    return checkpoints.safetensors_bytes({n: checkpoints.encode(generator.standard_normal((8, 8)), "F32") for n in names})


def index(weight_map, **metadata):
    return json.dumps({"metadata": metadata, "weight_map": weight_map})


GOOD = {"h.a.weight": ONE, "h.b.weight": ONE, "h.c.weight": TWO}


@pytest.fixture
def folder(tmp_path):
    """Two shards of two matrices and one, and their index."""
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / ONE).write_bytes(shard("h.a.weight", "h.b.weight"))
    (folder / TWO).write_bytes(shard("h.c.weight"))
    (folder / INDEX).write_text(index(GOOD, total_size=3 * BYTES))
    return folder


def warnings_of(result):
    return [line for line in result.stderr.splitlines() if "warning" in line.lower()]


def accepted(frog, path, tensors, *warnings):
    """Inspected without an error: these tensors, and as many warnings as given, each holding the words given."""
    result = frog("inspect", path)
    assert result.status == 0 and not result.error_lines, str(result)
    found = warnings_of(result)
    assert len(found) == len(warnings), str(result)
    for line, words in zip(found, warnings):
        for word in words:
            assert str(word) in line, f"'{word}' is missing\n{result}"
    listed = json.loads(frog("inspect", path, "--json").stdout)["tensors"]
    assert [tensor["name"] for tensor in listed] == sorted(tensors, key=str.encode)
    return listed


def refused(frog, path, status, *words):
    assert_refused(frog("inspect", path), status, *words)


def test_all_is_well(frog, folder):
    listed = accepted(frog, folder, GOOD)
    assert {tensor["name"]: tensor["shard"] for tensor in listed} == GOOD


# Tensors and shards


def test_a_mapped_tensor_that_no_shard_holds(frog, folder):
    (folder / INDEX).write_text(index(GOOD | {"h.x.weight": TWO}))
    refused(frog, folder, 65, INDEX, "h.x.weight", TWO)


def test_a_mapped_tensor_that_another_shard_holds(frog, folder):
    (folder / INDEX).write_text(index(GOOD | {"h.b.weight": TWO}))
    refused(frog, folder, 65, INDEX, "h.b.weight", ONE, TWO)


def test_a_tensor_that_is_not_mapped_is_kept_with_a_warning(frog, folder):
    weight_map = {name: file for name, file in GOOD.items() if name != "h.b.weight"}
    (folder / INDEX).write_text(index(weight_map, total_size=3 * BYTES))
    accepted(frog, folder, GOOD, (INDEX, "h.b.weight", ONE, 1))


@pytest.mark.parametrize("mapped_to", [ONE, TWO])
def test_a_tensor_in_two_shards(frog, folder, mapped_to):
    (folder / TWO).write_bytes(shard("h.a.weight", "h.c.weight"))
    (folder / INDEX).write_text(index(GOOD | {"h.a.weight": mapped_to}))
    refused(frog, folder, 65, folder, "h.a.weight", ONE, TWO)


def test_a_tensor_in_two_shards_that_the_index_does_not_map(frog, folder):
    (folder / ONE).write_bytes(shard("h.a.weight", "h.b.weight", "h.x.weight"))
    (folder / TWO).write_bytes(shard("h.c.weight", "h.x.weight"))
    refused(frog, folder, 65, "h.x.weight", ONE, TWO)


def test_a_shard_that_is_missing(frog, folder):
    (folder / TWO).unlink()
    refused(frog, folder, 66, TWO, "h.c.weight")


def test_a_shard_that_is_damaged(frog, folder):
    os.truncate(folder / TWO, 100)
    refused(frog, folder, 65, TWO)


# Names of shards


@pytest.mark.parametrize(
    "name",
    [
        "../outside.safetensors",
        "sub/model.safetensors",
        "/etc/passwd",
        "..",
        ".",
        "",
        "a..b",
        "..\\x",
        "sub\\x",
        "a\0b",
        f"./{ONE}",
        "...",
        "~/../x",
    ],
)
def test_a_name_that_leaves_the_folder(frog, folder, name):
    shutil.copy(folder / ONE, folder.parent / "outside.safetensors")
    (folder / "sub").mkdir()
    shutil.copy(folder / ONE, folder / "sub/model.safetensors")
    (folder / INDEX).write_text(index(GOOD | {"h.x.weight": name}))
    refused(frog, folder, 65, INDEX, "h.x.weight", "beside the index")


@pytest.mark.parametrize(
    "name",
    ["model-00163-of-000163.safetensors", "x", "weights with spaces", ".hidden", "😀.safetensors", "~", "%2e%2e", "model.safetensors"],
)
def test_a_name_of_a_file_beside_the_index(frog, folder, name):
    (folder / TWO).rename(folder / name)
    (folder / INDEX).write_text(index(GOOD | {"h.c.weight": name}, total_size=3 * BYTES))
    accepted(frog, folder, GOOD)


# Symbolic links


def as_in_the_cache(folder, cache):
    """Hugging Face's layout: snapshots/REVISION/NAME → ../../blobs/HASH."""
    (cache / "blobs").mkdir(parents=True)
    snapshot = cache / "snapshots/0123abcd"
    snapshot.mkdir(parents=True)
    for number, file in enumerate(sorted(folder.iterdir())):
        shutil.copy(file, cache / f"blobs/{number:040x}")
        (snapshot / file.name).symlink_to(f"../../blobs/{number:040x}")
    return snapshot


def test_links_out_of_the_folder(frog, folder, tmp_path):
    accepted(frog, as_in_the_cache(folder, tmp_path / "models--a--b"), GOOD)


def test_a_link_to_the_folder_and_to_one_file(frog, folder, tmp_path):
    (tmp_path / "link").symlink_to("in", target_is_directory=True)
    accepted(frog, tmp_path / "link", GOOD)
    (tmp_path / "file").symlink_to(f"in/{TWO}")
    accepted(frog, tmp_path / "file", ["h.c.weight"])


def test_a_link_whose_blob_is_gone(frog, folder, tmp_path):
    snapshot = as_in_the_cache(folder, tmp_path / "models--a--b")
    (snapshot / TWO).resolve().unlink()
    refused(frog, snapshot, 66, TWO, "h.c.weight")


def test_a_link_to_itself(frog, folder):
    (folder / TWO).unlink()
    (folder / TWO).symlink_to(TWO)
    refused(frog, folder, 66, TWO)


def test_an_index_whose_link_is_dangling(frog, folder):
    """Not taken for a folder without an index."""
    (folder / INDEX).unlink()
    (folder / INDEX).symlink_to("gone")
    refused(frog, folder, 66, INDEX)


# What lies beside


def test_an_index_wins_over_model_safetensors(frog, folder):
    (folder / "model.safetensors").write_bytes(shard("h.a.weight", "h.b.weight", "h.c.weight"))
    accepted(frog, folder, GOOD, ("model.safetensors", INDEX))


def test_what_the_index_does_not_mention_is_not_even_opened(frog, folder):
    (folder / "model.safetensors").write_bytes(b"no safetensors file")
    (folder / "model-00003-of-00002.safetensors").mkdir()
    accepted(frog, folder, GOOD, ("model-00003",), ("model.safetensors",))


def test_shards_without_an_index(frog, folder):
    (folder / INDEX).unlink()
    accepted(frog, folder, GOOD)


def test_a_tensor_in_two_shards_without_an_index(frog, folder):
    (folder / INDEX).unlink()
    (folder / TWO).write_bytes(shard("h.a.weight"))
    refused(frog, folder, 65, folder, "h.a.weight", ONE, TWO)


def test_an_index_of_another_name(frog, folder):
    """The numbers of the files say enough; test_folders.py has folders where they do not."""
    (folder / INDEX).rename(folder / "pytorch.safetensors.index.json")
    accepted(frog, folder, GOOD, ("pytorch.safetensors.index.json",))


def test_hidden_files(frog, folder):
    (folder / f"._{ONE}").write_bytes(b"as macOS leaves them")
    accepted(frog, folder, GOOD)
    (folder / INDEX).unlink()
    accepted(frog, folder, GOOD)


def test_one_file(frog, folder):
    accepted(frog, folder / ONE, ["h.a.weight", "h.b.weight"], (ONE, "one of 2"))


def test_the_index_in_place_of_its_folder(frog, folder):
    refused(frog, folder / INDEX, 66, INDEX, "folder")


# total_size


@pytest.mark.parametrize(
    "size, warns",
    [
        (f"{3 * BYTES}", False), ("null", False), ('"768"', False), ("[]", False),
        (f"{3 * BYTES}.0", True), ("7.68e2", True), ("0", True), ("-768", True), (f"{3 * BYTES + 1}", True), ("18446744073709551616", True),
        ("1e308", True),
    ],
)  # fmt: skip
def test_total_size(frog, folder, size, warns):
    (folder / INDEX).write_text(f'{{"metadata":{{"total_size":{size}}},"weight_map":{json.dumps(GOOD)}}}')
    accepted(frog, folder, GOOD, *([(INDEX, size, 3 * BYTES)] if warns else []))


@pytest.mark.parametrize("metadata", [None, "null", "{}", "[]", '"x"', "7"])
def test_no_total_size(frog, folder, metadata):
    field = "" if metadata is None else f'"metadata":{metadata},'
    (folder / INDEX).write_text(f'{{{field}"weight_map":{json.dumps(GOOD)}}}')
    accepted(frog, folder, GOOD)


# The index as a file


def test_an_index_that_is_a_folder(frog, folder):
    (folder / INDEX).unlink()
    (folder / INDEX).mkdir()
    refused(frog, folder, 66, INDEX)


def test_an_index_that_is_a_pipe(frog, folder):
    (folder / INDEX).unlink()
    os.mkfifo(folder / INDEX)
    refused(frog, folder, 66, INDEX)


def test_an_index_that_is_huge(frog, folder):
    """Two terabytes without a byte in them: refused for its size, before any of it is read."""
    os.truncate(folder / INDEX, 2 << 40)
    refused(frog, folder, 65, INDEX, 2 << 40)


TEXTS = dict(badfiles.indexes())


@pytest.mark.parametrize(
    "name, problem",
    [
        ("empty", "ends"), ("space", "ends"), ("byte_order_mark", "order mark"), ("not_utf8", "UTF-8"), ("utf16", "UTF-8"),
        ("open", "ends"),
        ("list", "object"), ("null", "object"),
        ("no_map", "weight_map"), ("map_list", "weight_map"), ("map_null", "weight_map"), ("file_number", "'a'"), ("file_null", "'a'"),
        ("twice", "'a'"),
        ("twice_escaped", "'a'"), ("two_maps", "weight_map"), ("trailing", "goes on"), ("trailing_comma", "comma"), ("deep", "nested"),
        ("escaped_separator", "'a'"), ("lone_surrogate", "surrogate"),
    ],
)  # fmt: skip
def test_an_index_that_is_none(frog, folder, name, problem):
    (folder / INDEX).write_bytes(TEXTS[name])
    refused(frog, folder, 65, INDEX, problem)


def test_an_index_of_nothing(frog, folder, tmp_path):
    (folder / INDEX).write_bytes(TEXTS["empty_map"])
    accepted(frog, folder, [], (ONE,), (TWO,))
    assert_refused(frog("mask", folder, "--out", tmp_path / "out"), 65, folder)


def test_a_name_twice_among_a_thousand(frog, folder):
    text = json.dumps(GOOD)[:-1] + "".join(f', "h.{i}.weight": "{ONE}"' for i in range(1000)) + f', "h.500.weight": "{TWO}"}}'
    (folder / INDEX).write_text(f'{{"weight_map": {text}}}')
    refused(frog, folder, 65, INDEX, "h.500.weight")


@pytest.mark.parametrize("dtype, columns", [("BF16", 2**30), ("U8", 2**31)])
@pytest.mark.parametrize("has_index", [True, False])
def test_more_bytes_than_64_bits_count(frog, dtype, columns, has_index):
    """Five sparse files of almost 2⁶¹ bytes each: every one is sound, their sum is 10¹⁹."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        rows, weight_map = 2**30 - 1, {}
        size = rows * columns * (2 if dtype == "BF16" else 1)
        for number in range(5):
            name, file = f"h.{number}.weight", f"{number}.safetensors"
            weight_map[name] = file
            header = json.dumps({name: {"dtype": dtype, "shape": [rows, columns], "data_offsets": [0, size]}}).encode()
            (Path(folder) / file).write_bytes(len(header).to_bytes(8, "little") + header)
            try:
                os.truncate(Path(folder) / file, 8 + len(header) + size)
            except OSError:
                pytest.skip("this file system has no files of 2⁶¹ bytes")
        if has_index:
            (Path(folder) / INDEX).write_text(index(weight_map, total_size=5 * size))
        for command in (("inspect",), ("inspect", "--json"), ("plan",)):
            result = frog(*command, folder)
            if result.status != 0:  # no trap, no crash: one line
                assert_refused(result, result.status)
                assert result.status in (64, 65), str(result)


def test_names_that_only_unicode_holds_equal(frog, tmp_path):
    """é and e + ◌́, in two shards: two tensors, and two files."""
    names = ["\u00e9", "e\u0301"]
    for name in names:
        (tmp_path / f"{name}.safetensors").write_bytes(shard(name))
    (tmp_path / INDEX).write_text(index({name: f"{name}.safetensors" for name in names}))
    listed = accepted(frog, tmp_path, names)
    assert [tensor["shard"] for tensor in listed] == [f"{name}.safetensors" for name in sorted(names, key=str.encode)]


# The way that matters


def test_mask_on_two_ranks(frog, folder, tmp_path):
    """Warnings once, refusals once, the mask of the index's tensors."""
    (folder / "model.safetensors").write_bytes(b"no safetensors file")
    (folder / INDEX).write_text(index(GOOD, total_size=1))
    result = frog("mask", folder, "--out", tmp_path / "out", "--threads", 1, ranks=2)
    assert result.status == 0, str(result)
    assert result.stderr.count("total_size") == 1 and result.stderr.count("is ignored") == 1, str(result)
    matrices = json.loads((tmp_path / "out/frog.json").read_text())["matrices"]
    assert [matrix["name"] for matrix in matrices] == sorted(GOOD)

    (folder / INDEX).write_text(index(GOOD | {"h.x.weight": TWO}))
    result = frog("mask", folder, "--out", tmp_path / "out2", "--threads", 1, ranks=2)
    assert_refused(result, 65, INDEX, "h.x.weight", TWO)
    assert not Path(tmp_path / "out2/frog.json").exists()
