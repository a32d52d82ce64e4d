#!/usr/bin/env python3
"""Our verdicts on mutated safetensors files against those of the reference reader (Rust, through Python's safetensors).

    Tests/Python/differential.py --judge PROGRAM COUNT [--seed N]      scripts/fuzz --differential COUNT builds the judge

Both must accept or both refuse; where both accept, they must find the same tensors, types, shapes, data and metadata.
The only differences allowed are those that `badfiles.documented_difference` tells from the bytes, and there ours must
refuse. Prints how many of each, exit 1 if there is another.
"""

import argparse
import itertools
import json
import os
import random
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import safetensors
from safetensors import safe_open

import badfiles

BATCH = 2000
LARGEST = 200_000  # bytes; more would only be slower
NAMES = (
    "a b c w.weight model.layers.0.mlp.up_proj.weight __metadata__ dtype shape data_offsets x e\u0301 \u00e9 \u212b \u00c5 \U0001f438 "
    '\u0000 " \\ ../a ' + "n" * 200
).split(" ") + ["", "\x7f", "\ufeff", " "]  # fmt: skip
NUMBERS = [
    0, 1, 2, 3, 4, 7, 8, 16, 100, 2**31, 2**32, 2**53 + 1, 2**61, 2**62, 2**63 - 1, 2**63, 2**64 - 8, 2**64 - 1, 2**64, 10**30, -1, -16,
]  # fmt: skip
RAW = (
    "1.0 0.0 16.0 1e0 1E+1 1e-1 -0 -0.0 -1 01 00 0x10 1. .5 1e 1e999 -1e999 1e308 1e309 NaN Infinity -Infinity tru true false null nul "
    '"\\u0061" "\\ud83d" "\\udc38" "\\ud83d\\udc38" "\\x" "\\u12" "a "" \' {} [] {"F32":null} {"F32":1} {"F32":null,"F32":null} '
    '["F32",[],[0,4]] [[]] [null]'
).split(" ")  # fmt: skip


class Raw(str):
    """Text that goes into the file as it is."""


class Members(list):
    """A JSON object as [key, value] pairs, so that keys can repeat."""


# Texts


def string_text(dice, text, messy):
    if isinstance(text, Raw):
        return text
    plain = json.dumps(text, ensure_ascii=dice.random() < 0.3)
    if messy and text and dice.random() < 0.1:
        at = dice.randrange(len(text))
        if ord(text[at]) < 0x10000:
            escape = f"\\u{ord(text[at]):04x}"
            if dice.random() < 0.5:
                escape = "\\u" + escape[2:].upper()
            return json.dumps(text[:at])[:-1] + escape + json.dumps(text[at + 1 :])[1:]
    return plain


def text_of(dice, value, messy=False):
    def space():
        return dice.choice(["", "", "", " ", "\n", "\t", "\r\n  "]) if messy else ""

    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, Members):
        inner = ",".join(f"{space()}{string_text(dice, k, messy)}{space()}:{space()}{text_of(dice, v, messy)}{space()}" for k, v in value)
        return "{" + (inner or space()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(space() + text_of(dice, v, messy) + space() for v in value) + "]"
    if isinstance(value, str):
        return string_text(dice, value, messy)
    return json.dumps(value)


def parsed(header):
    """A header as nested Members and lists, or None."""
    try:
        root = json.loads(header.decode(), object_pairs_hook=lambda pairs: Members([k, v] for k, v in pairs))
    except (ValueError, RecursionError):
        return None
    return root if isinstance(root, Members) else None


# Valid headers


def a_shape(dice, bits):
    if dice.random() < 0.15:  # nothing in it, whatever the other dimensions are
        others = [dice.choice([1, 3, 2**31, 2**40, 2**62, 2**63 - 1, 2**63, 2**64 - 1]) for _ in range(dice.choice([0, 0, 1, 1, 1, 2]))]
        others.insert(dice.randint(0, len(others)), 0)
        return others, 0
    shape = [dice.choice([1, 1, 2, 3, 4, 5, 8]) for _ in range(dice.randrange(5))]
    size = bits
    for dimension in shape:
        size *= dimension
    if size % 8 and dice.random() < 0.7:  # else it ends inside a byte, which nobody may accept
        shape.append(8)
        size *= 8
    return shape, size // 8


def a_header(dice):
    """Members of a valid header, mostly, and the number of bytes of its data."""
    end, members = 0, []
    names = dice.sample(NAMES, dice.choice([0, 1, 1, 2, 3, 4, 6]))
    for name in names:
        if name == "__metadata__":
            continue
        dtype = dice.choice(badfiles.DTYPES)
        bits = {"F4": 4, "F6_E2M3": 6, "F6_E3M2": 6}.get(dtype) or int("".join(c for c in dtype.split("_")[0] if c.isdigit()) or 8)
        shape, size = a_shape(dice, bits)
        fields = [["dtype", dtype], ["shape", shape], ["data_offsets", [end, end + size]]]
        end += size
        if dice.random() < 0.1:
            fields.append([dice.choice(NAMES[-6:] + ["Dtype", "extra"]), a_value(dice)])
        if dice.random() < 0.4:
            dice.shuffle(fields)
        members.append([name, Members(fields)])
    if dice.random() < 0.4:
        dice.shuffle(members)
    if dice.random() < 0.3:
        texts = Members([name, dice.choice(NAMES)] for name in dice.sample(NAMES, dice.randrange(4)))
        members.insert(dice.randint(0, len(members)), ["__metadata__", dice.choice([texts, texts, texts, None])])
    return Members(members), end


# Mutations


def a_value(dice):
    kind = dice.randrange(6)
    if kind == 0:
        return dice.choice(NUMBERS)
    if kind == 1:
        return dice.choice(NAMES + badfiles.DTYPES)
    if kind == 2:
        return [dice.choice(NUMBERS) for _ in range(dice.randrange(4))]
    if kind == 3:
        return Members([dice.choice(NAMES), dice.choice(NUMBERS)] for _ in range(dice.randrange(3)))
    if kind == 4:
        depth = dice.choice([1, 5, 100, 123, 124, 125, 126, 127, 128])
        return Raw("[" * depth + "]" * depth if dice.random() < 0.5 else '{"a":' * depth + "0" + "}" * depth)
    return Raw(dice.choice(RAW))


def places(value):
    """Every (container, position) in the tree."""
    if isinstance(value, list):
        for at in range(len(value)):
            yield value, at
            yield from places(value[at][1] if isinstance(value, Members) else value[at])


def mutate_tree(dice, root):
    """One change somewhere in the tree, in place."""
    found = list(places(root))
    if not found:
        root.append([dice.choice(NAMES), a_value(dice)])
        return
    container, at = dice.choice(found)
    is_object = isinstance(container, Members)
    value = container[at][1] if is_object else container[at]
    action = dice.randrange(10)
    if action == 0:
        del container[at]
    elif action == 1:  # doubled, as it is or under the same name with another value
        twin = ([container[at][0], value if dice.random() < 0.6 else a_value(dice)]) if is_object else value
        container.insert(dice.randint(0, len(container)), twin)
    elif action == 2:
        other = dice.randrange(len(container))
        container[at], container[other] = container[other], container[at]
    elif action == 3 and is_object:
        container[at][0] = dice.choice(NAMES)
    elif action == 4 and isinstance(value, Members):  # a struct as the list of its fields
        value = [member[1] for member in value]
        set_value(container, at, value)
    elif action == 5 and isinstance(value, str):
        set_value(container, at, Members([[value, dice.choice([None, None, 1, {}])]]))
    elif action in (6, 7) and isinstance(value, int):
        changed = dice.choice([value + 1, value - 1, value * 2, value // 2, value + 2**32, value + 2**64, -value, *NUMBERS])
        set_value(container, at, Raw(f"{value}.0") if dice.random() < 0.1 else changed)
    elif action == 8 and is_object:
        container.insert(dice.randint(0, len(container)), [dice.choice(NAMES), a_value(dice)])
    else:
        set_value(container, at, a_value(dice))


def set_value(container, at, value):
    if isinstance(container, Members):
        container[at] = [container[at][0], value]
    else:
        container[at] = value


def mutate_bytes(dice, content):
    """One change somewhere in the bytes."""
    content = bytearray(content)
    at = dice.randrange(len(content)) if content else 0
    action = dice.randrange(5)
    if action == 0 and content:
        content[at] ^= 1 << dice.randrange(8)
    elif action == 1 and content:
        content[at] = dice.choice(b'{}[]",:0123456789eE+-. \\u\x00\x1f\x7f\x80\xc0\xed\xf4\xff')
    elif action == 2:
        del content[at : at + dice.choice([1, 1, 2, 8])]
    elif action == 3:
        content[at:at] = content[at : at + dice.randint(1, 16)]
    else:
        content[at:at] = dice.choice([b"\xef\xbb\xbf", b"\0", b" ", b"\xff\xfe", b"\n", b"\xe2\x82", b"/**/", b","])
    return bytes(content)


def assembled(dice, header, data):
    """A file, its length and its end wrong now and then."""
    length = len(header)
    if dice.random() < 0.08:
        length = dice.choice(
            [0, 1, length - 1, length + 1, length + len(data), length + len(data) + 1, 10**8, 10**8 + 1, 2**63, 2**64 - 8, 2**64 - 1]
        )
    content = max(length, 0).to_bytes(8, "little") + header + data
    if dice.random() < 0.06:
        content = content[: len(content) - dice.choice([1, 2, 8, len(data), len(content) // 2, len(content) - 3])] if content else content
    if dice.random() < 0.04:
        content += bytes(dice.choice([1, 8]))
    return content


def a_file(dice, seeds):
    """A mutated file: of a seed, or of a header made up here. A third of them is valid, or nearly."""
    if dice.random() < 0.25:
        content = dice.choice(seeds)
        length = int.from_bytes(content[:8], "little")
        header, data = content[8 : 8 + length], content[8 + length :]
        root = parsed(header) if len(header) < 20_000 else None
    else:
        root, size = a_header(dice)
        data = dice.randbytes(size) if size < 100_000 else b""
    changes = dice.choice([0, 0, 0, 1, 1, 1, 2, 3])
    if root is not None:
        for _ in range(changes):
            mutate_tree(dice, root)
        header = text_of(dice, root, messy=dice.random() < 0.3).encode("utf-8", "surrogatepass")
        header += b" " * dice.choice([0, 0, 0, 1, -len(header) % 8])
    if dice.random() < 0.15 or (root is None and changes):
        for _ in range(dice.randint(1, 3)):
            header = mutate_bytes(dice, header)
    return assembled(dice, header, data)[:LARGEST]


# Verdicts


def reference_verdict(path, content):
    """None for a refusal, else what the file holds: tensors by name, and the metadata."""
    try:
        with safe_open(path, "np") as opened:
            metadata = opened.metadata()
        tensors = {name: (t["dtype"], t["shape"], bytes(t["data"])) for name, t in safetensors.deserialize(content)}
        return tensors, metadata or {}
    except safetensors.SafetensorError:
        return None


def our_verdict(line, content):
    """The same from a line of the judge."""
    verdict, text = line.split("\t", 1)
    if verdict == "refuse":
        return None
    start = 8 + int.from_bytes(content[:8], "little")
    tensors, metadata = {}, {}
    for item in text.split(";")[:-1]:
        if "=" in item:
            key, value = item.split("=")
            metadata[bytes.fromhex(key).decode()] = bytes.fromhex(value).decode()
        else:
            name, dtype, shape, begin, end = item.split(" ")
            dimensions = [int(d) for d in shape[1:-1].split(",")] if shape != "[]" else []
            data = content[start + int(begin) : start + int(end)]
            tensors[bytes.fromhex(name).decode()] = (dtype, dimensions, data)
    return tensors, metadata


def compare(judge, contents):
    """Judges the files; returns how many of each kind, and those that no documented difference explains."""
    counts, unexplained = Counter(), []
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        while batch := list(itertools.islice(contents, BATCH)):
            paths = [Path(folder) / f"{number}.safetensors" for number in range(len(batch))]
            for path, content in zip(paths, batch):
                path.write_bytes(content)
            run = subprocess.run(
                [judge],
                input="".join(f"{path}\n" for path in paths),
                capture_output=True,
                text=True,
                env=os.environ | {"SWIFT_BACKTRACE": "enable=no"},
            )
            lines = run.stdout.splitlines()
            if run.returncode != 0 or len(lines) != len(batch):
                content = batch[min(len(lines), len(batch) - 1)]
                raise SystemExit(f"the judge ended with {run.returncode} on {content!r}\n{run.stderr[-3000:]}")
            for path, content, line in zip(paths, batch, lines):
                reference, ours = reference_verdict(path, content), our_verdict(line, content)
                difference = badfiles.documented_difference(content) if reference is not None else None
                if difference is not None:
                    counts[f"refused by us alone: {difference}"] += 1
                    if ours is not None:
                        unexplained.append((f"accepted in spite of: {difference}", content, line))
                elif reference == ours:
                    counts["refused by both" if ours is None else "accepted by both"] += 1
                else:
                    said = "refuses" if reference is None else f"finds {reference}"
                    unexplained.append((f"the reference {said}", content, line))
    return counts, unexplained


def mutated(count, seed, corpus=None):
    seeds = [content for _, content in (*badfiles.files(), *badfiles.duplicates(), *badfiles.stricter())]
    seeds += [path.read_bytes() for path in sorted(Path(corpus).glob("*.safetensors"))] if corpus else []
    seeds = [content for content in seeds if len(content) <= LARGEST]
    dice = random.Random(seed)
    for _ in range(count):
        yield a_file(dice, seeds)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("count", type=int)
    parser.add_argument("--judge", required=True)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    counts, unexplained = compare(arguments.judge, mutated(arguments.count, arguments.seed, os.environ.get("FROG_MPI_CORPUS")))
    for what, content, line in unexplained[:20]:
        print(f"DIFFERENT: {what[:300]}\n  file: {content[:2000]!r}\n  ours: {line[:300]}")
    for kind, count in sorted(counts.items()):
        print(f"{count:8} {kind}")
    print(f"{len(unexplained):8} not explained")
    sys.exit(1 if unexplained else 0)


if __name__ == "__main__":
    main()
