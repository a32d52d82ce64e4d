"""Checkpoints as Hugging Face lays them out, written piece by piece: safetensors files, their index, config.json."""

import json
import math
import os
from pathlib import Path

BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F16": 16, "BF16": 16, "I16": 16, "U16": 16,
    "F32": 32, "I32": 32, "U32": 32, "F64": 64, "I64": 64, "U64": 64,
}  # fmt: skip


def size(tensor):
    """Bytes of a tensor's data."""
    return math.prod(tensor.shape) * BITS[tensor.dtype] // 8


def write_file(path, header, data, length):
    """One safetensors file.

    Args:
        header: Its JSON.
        data: Pieces of bytes that add up to `length`; None leaves a hole, which takes no room on most file systems.
    """
    text = header.encode()
    end = 8 + len(text) + length
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for piece in data or ():
            file.write(piece)
        if data is not None and file.tell() != end:
            raise ValueError(f"{path}: {file.tell()} bytes were made, not {end}")
        file.truncate(end)


def header_of(tensors):
    """The JSON of a file that holds `tensors` one after another, padded to whole words, and the bytes of their data."""
    entries, end = {"__metadata__": {"format": "pt"}}, 0
    for tensor in tensors:
        begin, end = end, end + size(tensor)
        entries[tensor.name] = {"dtype": tensor.dtype, "shape": list(tensor.shape), "data_offsets": [begin, end]}
    text = json.dumps(entries, separators=(",", ":"))
    return text + " " * (-len(text.encode()) % 8), end


def write_repeated(path, tensors, content):
    """One file whose tensors, all of one size, have the same bytes `content`; it is on the disk when this returns.

    So nothing of it is still being written when somebody begins to time how it is read.

    Returns:
        The bytes of all data.
    """
    header, length = header_of(tensors)
    write_file(path, header, (content for _ in tensors), length)
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)
    return length


def split(tensors, count):
    """`tensors`, in their order, as `count` parts of about as many bytes; fewer where there are fewer tensors."""
    count = max(1, min(count, len(tensors)))
    total, filled, parts = sum(map(size, tensors)), 0, [[]]
    for number, tensor in enumerate(tensors):
        left = count - len(parts)  # parts that have not begun
        is_full = filled * count >= len(parts) * total
        if parts[-1] and left > 0 and (is_full or len(tensors) - number == left):
            parts.append([])
        parts[-1].append(tensor)
        filled += size(tensor)
    return parts


def write_checkpoint(folder, tensors, count, data=None, config=None):
    """Writes `count` shards with an index, or one file without, into a folder that exists.

    Args:
        data: Function of a tensor to the pieces of its bytes; None leaves holes.
        config: The object in config.json; without one the file is not written.
    """
    folder, parts, weight_map = Path(folder), split(tensors, count), {}
    for number, part in enumerate(parts, 1):
        file = "model.safetensors" if len(parts) == 1 else f"model-{number:05}-of-{len(parts):05}.safetensors"
        header, length = header_of(part)
        pieces = data and (piece for tensor in part for piece in data(tensor))
        write_file(folder / file, header, pieces, length)
        weight_map |= {tensor.name: file for tensor in part}
    if len(parts) > 1:
        index = {"metadata": {"total_size": sum(map(size, tensors))}, "weight_map": weight_map}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2))
    if config:
        (folder / "config.json").write_text(json.dumps(config, indent=2))
