"""One changed byte, wherever it is: in a shard after the norms pass (exit 74), in any file of an output (`verify`, exit 65).

The time of a shard's last write is put back, as a disk that decays, or rsync, would leave it.
"""

import json
import os
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest

import checkpoints
from harness import LONG, assert_refused, at_stage, final_files
from test_teams import largest_need

BLOCK = 1 << 22  # weights that have a hash of their own
WAYS = [("mmap", 1), ("pread", 3), ("mmap", 3), ("pread", 1)]


def span(path, name):
    """Where a tensor's bytes lie in its shard."""
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        begin, end = json.loads(file.read(length))[name]["data_offsets"]
    return 8 + length + begin, 8 + length + end


def flip(path, position, bits=1):
    """Changes a byte in place; size and times stay."""
    stat = os.stat(path)
    with open(path, "r+b") as file:
        file.seek(position)
        byte = file.read(1)[0]
        file.seek(position)
        file.write(bytes([byte ^ bits]))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def descendants(pid):
    """All processes below one that runs."""
    found = []
    for thread in Path(f"/proc/{pid}/task").iterdir():
        for child in (thread / "children").read_text().split():
            found += [int(child), *descendants(child)]
    return found


def stop(pid):
    os.kill(pid, signal.SIGSTOP)
    for _ in range(1000):
        if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T":
            return
        time.sleep(0.001)
    raise TimeoutError(f"{pid} does not stop")


def disturbed(frog, source, out, act, *options, ranks=1, io="auto", stage="scores"):
    """`mask`, from the start, stopped on every rank when `stage` begins, for as long as `act` takes."""
    done = False

    def halted(process):
        nonlocal done
        programs = descendants(process.pid) if ranks > 1 else [process.pid]
        assert len(programs) >= ranks
        try:
            for pid in programs:
                stop(pid)
            act()
            done = True
        finally:
            for pid in programs:
                os.kill(pid, signal.SIGCONT)

    arguments = (source, "--out", out, "--overwrite", "--threads", 1, "--io", io, *options)
    result = at_stage(frog, stage, halted, *arguments, ranks=ranks)
    assert done, f"never got to {stage}\n{result}"
    return result


def flipped(frog, source, out, path, position, *options, bits=1, **ways):
    """The result of a run during which one byte was changed; it is as before afterwards."""
    modified = os.stat(path).st_mtime_ns
    result = disturbed(frog, source, out, lambda: flip(path, position, bits), *options, **ways)
    flip(path, position, bits)
    assert os.stat(path).st_mtime_ns == modified
    assert final_files(out) == [] or result.status == 0, str(result)
    return result


# Shards


@pytest.fixture(scope="module")
def layered(tmp_path_factory):
    """Tall, wide, quantized and plain, of several blocks where it matters; the scales lie in a shard of their own."""
    generator = np.random.default_rng(40)

    def normal(rows, columns):
        return generator.standard_normal((rows, columns), np.float32) * np.linspace(0.5, 2, columns, dtype=np.float32)

    codes = generator.integers(0, 0x78, (1024, 768)) + 0x80 * generator.integers(0, 2, (1024, 768))
    folder = tmp_path_factory.mktemp("layered")
    shards = {
        "model-00001-of-00003.safetensors": {
            "h.0.tall.weight": checkpoints.encode(normal(32768, 320), "BF16"),
            "h.0.plain.weight": checkpoints.encode(normal(700, 900), "F32"),
        },
        "model-00002-of-00003.safetensors": {
            "h.1.wide.weight": checkpoints.encode(normal(320, 40960), "BF16"),
            "h.1.codes.weight": ("F8_E4M3", (1024, 768), codes.astype(np.uint8).tobytes()),
        },
        "model-00003-of-00003.safetensors": {
            "h.1.codes.weight_scale_inv": checkpoints.encode(generator.uniform(0.5, 2, (8, 6)), "F32"),
        },
    }
    weight_map = {}
    for file, tensors in shards.items():
        (folder / file).write_bytes(checkpoints.safetensors_bytes(tensors, {"format": "pt"}))
        weight_map |= dict.fromkeys(tensors, file)
    checkpoints.write_index(folder, weight_map)
    return folder


# Tensor, position in it as a share of its bytes, the shard that holds it.
PLACES = [
    ("h.0.tall.weight", 0, 1), ("h.0.tall.weight", 0.5, 1), ("h.0.tall.weight", 1, 1),
    ("h.1.wide.weight", 0, 2), ("h.1.wide.weight", 0.5, 2), ("h.1.wide.weight", 1, 2),
    ("h.0.plain.weight", 0.7, 1), ("h.1.codes.weight", 0.3, 2), ("h.1.codes.weight_scale_inv", 0.5, 3),
]  # fmt: skip


def place(folder, name, share, number):
    """Shard, and the position of the low byte of a weight in it: the last bits of a mantissa."""
    path = folder / f"model-0000{number}-of-00003.safetensors"
    begin, end = span(path, name)
    return path, begin + min(int((end - begin) * share) // 4 * 4, end - begin - 4)


CASES = [(*where, *way) for where in PLACES for way in WAYS] if LONG else [
    (*where, *WAYS[number % len(WAYS)]) for number, where in enumerate(PLACES)
]  # fmt: skip


@pytest.mark.parametrize("name, share, number, io, ranks", CASES)
def test_the_last_bit_of_a_weight(frog, layered, tmp_path, name, share, number, io, ranks):
    path, position = place(layered, name, share, number)
    result = flipped(frog, layered, tmp_path / "out", path, position, io=io, ranks=ranks)
    # Of a scale the weights are named, and the scales beside them.
    assert_refused(result, 74, path.name, name.removesuffix("_scale_inv"), "has changed since the run began")
    if name.endswith("_scale_inv"):
        assert name in result.error_lines[0]


@pytest.mark.parametrize("ranks", [1, 3])
def test_bits_that_make_nonsense_of_the_weights(frog, layered, tmp_path, ranks):
    """What the eigensolver, the check of Σσ² or the scores complain about is the checkpoint's fault, and said to be."""
    for name, number, offset, bits in [("h.0.tall.weight", 1, 1, 0x40), ("h.1.wide.weight", 2, 1, 0x7F),
                                       ("h.1.codes.weight_scale_inv", 3, 3, 0xFF), ("h.1.codes.weight", 2, 0, 0x7F)]:  # fmt: skip
        path, position = place(layered, name, 0.4, number)
        result = flipped(frog, layered, tmp_path / "out", path, position + offset, bits=bits, ranks=ranks)
        assert_refused(result, 74, name.removesuffix("_scale_inv"), "has changed since the run began")


@pytest.mark.parametrize("ranks", [1, 3])
def test_a_run_that_is_only_stopped_for_a_moment(frog, layered, tmp_path, ranks):
    frog.mask(layered, tmp_path / "left alone", ranks=ranks)
    result = disturbed(frog, layered, tmp_path / "out", lambda: None, ranks=ranks)
    assert result.status == 0, str(result)
    for name in final_files(tmp_path / "out"):
        if name != "run.json":
            assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "left alone" / name).read_bytes(), name


@pytest.mark.parametrize("options", [("--rank", "16"), ("--score", "lift"), ("--normalize", "rowcol", "--select", "uniform")], ids=" ".join)
def test_whatever_is_scored(frog, layered, tmp_path, options):
    path, position = place(layered, "h.1.wide.weight", 0.8, 2)
    stage = "audit" if "--rank" in options else "scores"
    result = flipped(frog, layered, tmp_path / "out", path, position, *options, ranks=3, stage=stage)
    assert_refused(result, 74, path.name, "h.1.wide.weight", "has changed since the run began")


@pytest.fixture(scope="module", params=["wide", "tall"])
def sparse(request, tmp_path_factory):
    """256 MiB of zeros that take no space, but for 1024 weights: long enough to be met before it is scored."""
    folder = tmp_path_factory.mktemp(request.param)
    shape = (1024, 1 << 17) if request.param == "wide" else (1 << 17, 1024)
    size = 2 * shape[0] * shape[1]
    header = json.dumps({"h.weight": {"dtype": "BF16", "shape": shape, "data_offsets": [0, size]}}).encode()
    header += b" " * (-len(header) % 8)
    with open(folder / "model.safetensors", "wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.seek(size - 2048, os.SEEK_CUR)
        file.write(checkpoints.encode(np.random.default_rng(41).standard_normal(1024), "BF16")[2])
    return folder


@pytest.mark.parametrize("io, ranks", WAYS)
def test_magnitudes(frog, sparse, tmp_path, io, ranks):
    """A zero that becomes the smallest number there is: no mask would show it."""
    path = sparse / "model.safetensors"
    begin, end = span(path, "h.weight")
    blocks = (end - begin) // (2 * BLOCK)
    chosen = [0, blocks // 2, blocks - 1] if LONG or ranks == 3 and io == "mmap" else [blocks - 1]
    for block in chosen:
        result = flipped(
            frog,
            sparse,
            tmp_path / "out",
            path,
            begin + 2 * BLOCK * block + 4096,
            "--score",
            "magnitude",
            "--keep",
            1000,
            io=io,
            ranks=ranks,
        )
        assert_refused(result, 74, path, "h.weight", "has changed since the run began")


@pytest.mark.parametrize("score", ["frog", "random"])
def test_a_signal(frog, layered, tmp_path, score):
    """What scores are multiplied by is as much an input as the weights."""
    generator = np.random.default_rng(44)
    shapes = {"h.0.tall.weight": (320,), "h.0.plain.weight": (700, 900), "h.1.wide.weight": (40960,), "h.1.codes.weight": (768,)}
    tensors = {name: checkpoints.encode(generator.uniform(0.5, 2, shape), "F32") for name, shape in shapes.items()}
    path = checkpoints.write_checkpoint(tmp_path / "signals", tensors) / "model.safetensors"
    for name in ("h.0.plain.weight", "h.1.wide.weight"):
        options = ("--weight-by", path.parent, "--score", score)
        result = flipped(frog, layered, tmp_path / "out", path, span(path, name)[0], *options)
        assert_refused(result, 74, path, name, "has changed since the run began")


@pytest.mark.parametrize("io", ["mmap", "pread"])
def test_teams(frog, checkpoint, tmp_path, io):
    """The members share the blocks among them; the matrix is too large for one of them."""
    source = Path(shutil.copytree(checkpoint("minilm"), tmp_path / "in"))
    path = source / "model.safetensors"
    options = ("--exclude", "*.attention.*", "--exclude", "*.layer.[2-5].*", "--memory", largest_need(frog, source) - 1)
    for name, share in [("encoder.layer.0.intermediate.dense.weight", 0), ("encoder.layer.1.output.dense.weight", 0.99)]:
        begin, end = span(path, name)
        position = begin + int((end - begin) * share) // 4 * 4
        result = flipped(frog, source, tmp_path / "out", path, position, *options, ranks=3, io=io)
        assert_refused(result, 74, path, name, "has changed since the run began")
    result = disturbed(frog, source, tmp_path / "out", lambda: None, *options, ranks=3, io=io)
    assert result.status == 0, str(result)
    solvers = {m["solver"] for m in json.loads((tmp_path / "out/frog.json").read_text())["matrices"]}
    assert any(solver.startswith("team of") for solver in solvers)


@pytest.mark.parametrize("io", ["mmap", "pread"])
def test_shards_that_others_take_the_place_of(frog, tmp_path, io):
    """By rename, with the same size and times; whoever has the old one open does not notice, and need not."""
    generator = np.random.default_rng(42)
    tensors = {f"h.{i}.weight": checkpoints.encode(generator.standard_normal((700, 900)), "F32") for i in range(15)}
    folder = checkpoints.write_checkpoint(tmp_path / "in", tensors, shard_size=1)

    def replace():
        for path in sorted(folder.glob("*.safetensors")):
            stat, content = path.stat(), bytearray(path.read_bytes())
            content[-100] ^= 1
            new = path.with_suffix(".new")
            new.write_bytes(content)
            os.utime(new, ns=(stat.st_atime_ns, stat.st_mtime_ns))
            new.rename(path)

    result = disturbed(frog, folder, tmp_path / "out", replace, io=io, ranks=3)
    assert_refused(result, 74, "h.", "has changed since the run began")


# Outputs


@pytest.fixture(scope="module")
def written(frog, tmp_path_factory):
    """Indices, a bit map with padding in its rows, and names.json."""
    generator = np.random.default_rng(43)
    tensors = {
        "model.layers.0.self_attn.q_proj.weight": checkpoints.encode(3 * generator.standard_normal((20, 13)), "F32"),
        "model.layers.0.self_attn.k_proj.weight": checkpoints.encode(0.1 * generator.standard_normal((30, 40)), "BF16"),
        "model.layers.0.self_attn.v_proj.weight": checkpoints.encode(0.4 * generator.standard_normal((40, 30)), "BF16"),
    }
    folder = checkpoints.write_checkpoint(tmp_path_factory.mktemp("small"), tensors, shard_size=3500)
    (folder / "config.json").write_text(json.dumps({"model_type": "llama"}))
    out = tmp_path_factory.mktemp("written") / "out"
    record = frog.mask(folder, out, "--budget", "3%", "--names", "transformers5")
    assert {m["format"] for m in record["matrices"]} == {"bitmap", "indices"}
    assert len(record["files"]) == 2 and (out / "names.json").exists()
    return out


def sampled(content, steps):
    return {len(content) * i // steps for i in range(steps)} | {0, len(content) - 1}


def mask_positions(content):
    """Prefix, both ends of the header and of every tensor; data lies without gaps."""
    length = int.from_bytes(content[:8], "little")
    positions = {0, 7, 8, 7 + length}  # the last is padding, if there is any
    for name, entry in json.loads(content[8 : 8 + length]).items():
        if name != "__metadata__":
            begin, end = entry["data_offsets"]
            positions |= {8 + length + begin, 8 + length + end - 1}
    return {at for at in positions if at < len(content)} | sampled(content, 32 if LONG else 4)


@pytest.mark.parametrize("bits", [0x01, 0x80] if not LONG else [1 << i for i in range(8)])
def test_a_byte_of_an_output(frog, written, tmp_path, bits):
    out = Path(shutil.copytree(written, tmp_path / "out"))
    missed, count = [], 0
    for path in sorted(out.iterdir()):
        if path.name == "run.json":
            continue
        content = path.read_bytes()
        positions = mask_positions(content) if path.suffix == ".safetensors" else sampled(content, 32 if LONG else 5)
        for at in sorted(range(len(content)) if LONG and bits == 1 else positions):
            changed = bytearray(content)
            changed[at] ^= bits
            path.write_bytes(changed)
            result = frog("verify", out)
            count += 1
            if result.status != 65 or len(result.error_lines) != 1 or path.name not in result.error_lines[0]:
                missed.append(f"{path.name} byte {at} ({content[max(0, at - 20) : at + 20]!r})\n{result}")
        path.write_bytes(content)
    assert frog("verify", out).status == 0
    assert not missed, f"{len(missed)} of {count}:\n" + "\n".join(missed)


def test_an_output_that_was_interrupted(frog, written, tmp_path):
    out = Path(shutil.copytree(written, tmp_path / "out"))
    (out / "masks.safetensors.index.json").unlink()
    (out / ".frog-mpi").mkdir()
    assert "--resume" not in frog("verify", out).stderr
    (out / ".frog-mpi/identity.json").write_text("{}")
    expected = ["has no masks.safetensors.index.json", "did not finish; go on with the same command and --resume"]
    assert_refused(frog("verify", out), 65, *expected)
    (out / "frog.json").unlink()
    assert_refused(frog("verify", out), 65, *expected)
