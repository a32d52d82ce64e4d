"""What `inspect` prints: a line a tensor, as it comes, to whoever still reads."""

import json
import signal
import subprocess

import numpy as np
import pytest
from safetensors.numpy import save_file


@pytest.fixture
def large(tmp_path):
    """More lines than fit in a pipe."""
    path = tmp_path / "large.safetensors"
    save_file({f"layers.{i}.weight": np.zeros((2, 2 + i % 3), np.float16) for i in range(5000)}, path)
    return path


def test_the_table_and_the_json_say_the_same(frog, large):
    document = json.loads(frog("inspect", large, "--json").stdout)
    assert [t["name"] for t in document["tensors"]] == sorted(f"layers.{i}.weight" for i in range(5000))
    lines = frog("inspect", large).stdout.splitlines()
    assert lines[0].split() == ["tensor", "dtype", "shape", "size", "class", "shard"]
    for tensor, line in zip(document["tensors"], lines[1:5001], strict=True):
        name, dtype, rest = line.split(maxsplit=2)
        assert (name, dtype) == (tensor["name"], tensor["dtype"])
        assert rest.split() == [*str(tensor["shape"]).split(), str(tensor["bytes"]), "B", tensor["class"], tensor["shard"]]
    starts = {line.index("large.safetensors") for line in lines[1:5001]}
    assert len(starts) == 1, "the last column is not aligned"
    (total,) = [t for t in document["totals"] if t["tensors"]]
    assert (total["class"], total["tensors"]) == ("matrix", 5000)
    assert total["bytes"] == sum(t["bytes"] for t in document["tensors"]) == 2 * total["weights"]


@pytest.mark.parametrize("options", [(), ("--json",)], ids=["table", "json"])
@pytest.mark.parametrize("handler", [signal.SIG_DFL, signal.SIG_IGN], ids=["SIGPIPE", "EPIPE"])
def test_ends_quietly_when_nobody_reads_on(frog, large, options, handler):
    process = subprocess.Popen(
        [frog.binary, "inspect", large, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, restore_signals=False,
        preexec_fn=lambda: signal.signal(signal.SIGPIPE, handler),
    )  # fmt: skip
    assert process.stdout.readline()
    process.stdout.close()
    complaint = process.stderr.read()
    process.stderr.close()
    assert process.wait(60) == 0
    assert complaint == b""


def test_hostile_names_stay_in_their_cells(frog, tmp_path):
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    save_file({"a\x1b[2J\nb": np.zeros((2, 2), np.float16)}, folder / "\x1b[2J\n.safetensors")
    result = frog("inspect", folder)
    assert result.status == 0, str(result)
    lines = result.stdout.splitlines()
    assert "'a\\u{1b}[2J\\u{a}b'" in lines[1] and "'\\u{1b}[2J\\u{a}.safetensors'" in lines[1]
    assert all(line.isprintable() for line in lines)
    document = json.loads(frog("inspect", folder, "--json").stdout)
    assert document["tensors"][0]["name"] == "a\x1b[2J\nb" and document["tensors"][0]["shard"] == "\x1b[2J\n.safetensors"
