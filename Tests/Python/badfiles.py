"""Safetensors files, good and bad, one rule each; most bad ones are a valid file with a single thing wrong.

`files()` gives name → bytes. No verdicts are kept here: the reference reader gives them. Only `duplicates()`, of which
the reference takes the last though the format forbids them, and `stricter()` are judged by us.
"""

import argparse
import json
import random
from pathlib import Path

DATA = bytes(range(16))
ENTRY = '{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]}'
VALID = '{"a":' + ENTRY + "}"
DTYPES = (
    "BOOL F4 F6_E2M3 F6_E3M2 U8 I8 F8_E5M2 F8_E4M3 F8_E8M0 F8_E4M3FNUZ F8_E5M2FNUZ I16 U16 F16 BF16 I32 U32 F32 C64 F64 I64 U64"
).split()


def file(header, data=DATA, length=None):
    """Length prefix (the true one, or `length`), header text, data."""
    header = header if isinstance(header, bytes) else header.encode()
    return (len(header) if length is None else length).to_bytes(8, "little") + header + data


def entry(dtype='"F32"', shape="[2,2]", offsets="[0,16]"):
    return f'{{"a":{{"dtype":{dtype},"shape":{shape},"data_offsets":{offsets}}}}}'


def layout(*tensors, data=DATA):
    """Tensors as (name, dtype, shape, begin, end)."""
    fields = [f'"{n}":{{"dtype":"{d}","shape":{s},"data_offsets":[{b},{e}]}}' for n, d, s, b, e in tensors]
    return file("{" + ",".join(fields) + "}", data)


def prefix_files():
    yield "empty", b""
    for size in (1, 7):
        yield f"{size}_bytes", b"\x02" + bytes(size - 1)
    yield "only_length", file("", b"")
    yield "header_beyond_file", file(VALID, length=len(VALID) + 17)
    yield "header_to_end_of_file", file(VALID, length=len(VALID) + 16)
    yield "header_cut_by_one", file(VALID, length=len(VALID) - 1)
    for name, length in (("2_63", 2**63), ("2_64_minus_1", 2**64 - 1), ("2_64_minus_8", 2**64 - 8), ("1e8_plus_1", 10**8 + 1)):
        yield f"header_of_{name}", file(VALID, length=length)
    yield "valid", file(VALID)
    yield "no_tensors", file("{}", b"")
    yield "no_tensors_but_data", file("{}")


def json_files():
    for name, root in {
        "array": "[]", "number": "1", "null": "null", "true": "true", "string": '"a"', "open": "{", "nothing": "   ",
        "trailing_comma": VALID[:-1] + ",}", "missing_comma": f'{{"a":{ENTRY} "b":{ENTRY}}}', "no_colon": f'{{"a" {ENTRY}}}',
        "single_quotes": VALID.replace('"', "'"), "bare_key": "{a:" + ENTRY + "}", "comment": "/**/" + VALID, "two_roots": VALID + "{}",
        "unclosed_string": '{"a', "garbage_after": VALID + "x",
    }.items():  # fmt: skip
        yield f"root_{name}", file(root)
    for name, padding in {"space": " ", "tab": "\t", "newlines": "\r\n", "nul": "\0", "form_feed": "\f", "nbsp": "\u00a0"}.items():
        yield f"after_{name}", file(VALID + padding)
        yield f"before_{name}", file(padding + VALID)
    yield "inside_spaces", file(' {\n"a" : {"dtype" : "F32" ,\t"shape":[ 2 , 2 ] , "data_offsets" : [0 , 16 ] } } ')
    yield "byte_order_mark", file(b"\xef\xbb\xbf" + VALID.encode())
    for name, text in {
        "empty": b"", "traversal": b"../../etc/passwd", "escaped_nul": b"\\u0000", "escapes": b'\\"\\\\\\/\\b\\f\\n\\r\\t',
        "emoji": "\U0001f438".encode(),
        "surrogate_pair": b"\\ud83d\\udc38", "high_surrogate": b"\\ud83d", "low_surrogate": b"\\udc38",
        "swapped_surrogates": b"\\udc38\\ud83d",
        "high_then_letter": b"\\ud83dx", "high_then_escape": b"\\ud83d\\u0041", "short_escape": b"\\u12", "hex_letters": b"\\u00Ff",
        "bad_hex": b"\\u00g0",
        "unknown_escape": b"\\x41", "raw_newline": b"\n", "raw_nul": b"\0", "raw_1f": b"\x1f", "raw_7f": b"\x7f", "overlong": b"\xc0\xaf",
        "encoded_surrogate": b"\xed\xa0\x80", "past_unicode": b"\xf4\x90\x80\x80", "lone_continuation": b"\x80",
        "cut_sequence": b"\xe2\x82", "ff": b"\xff",
        "noncharacter": b"\xef\xbf\xbf", "long": b"n" * 100_000,
    }.items():  # fmt: skip
        yield f"name_{name}", file(b'{"' + text + b'":' + ENTRY.encode() + b"}")
    for depth in (100, 124, 125, 126, 127, 128, 200_000):
        yield f"depth_{depth}", file(VALID[:-2] + ',"x":' + "[" * depth + "]" * depth + "}}")
        yield f"depth_of_objects_{depth}", file(VALID[:-2] + ',"x":' + '{"k":' * depth + "1" + "}" * depth + "}}")
    for name, value in {
        "object": '{"k":[1,{"l":null}]}', "exponent": "-1.5e+10", "huge": "1e999", "long": "1" * 400, "nan": "NaN", "infinity": "-Infinity",
        "no_digits": "1.", "plus": "+1",
        "leading_dot": ".5", "leading_zero": "00", "minus": "-", "minus_zero": "-0", "exponent_only": "1e", "true": "true",
        "cut_literal": "tru", "string": '"\\u00e9"',
        "bad_string": '"\\q"', "hex": "0x1",
    }.items():  # fmt: skip
        yield f"unknown_field_{name}", file(VALID[:-2] + f',"x":{value}}}}}')


def field_files():
    for name in ("dtype", "shape", "data_offsets"):
        fields = json.loads(VALID)
        del fields["a"][name]
        yield f"without_{name}", file(json.dumps(fields))
        yield f"misspelt_{name}", file(VALID.replace(name, name.upper()))
    for name, value in {"null": "null", "string": '"a"', "number": "1", "list": "[]", "empty": "{}"}.items():
        yield f"entry_{name}", file(f'{{"a":{value}}}')
    for name, value in {
        "unknown": '"F128"', "lower": '"f32"', "empty": '""', "spaced": '" F32"', "null": "null", "number": "32", "list": '["F32"]',
        "map_of_value": '{"F32":1}', "escaped": '"F\\u0033\\u0032"',
    }.items():  # fmt: skip
        yield f"dtype_{name}", file(entry(dtype=value))
    yield "escaped_field_name", file(VALID.replace("dtype", "\\u0064type"))
    for name, value in {
        "null": "null", "number": "4", "string": '"[2,2]"', "object": "{}", "nested": "[[2,2]]", "float": "[2.0,2]", "exponent": "[2e0,2]",
        "negative": "[-2,-2]",
        "minus_zero": "[-0,2]", "leading_zero": "[02,2]", "plus": "[+2,2]", "strings": '["2","2"]', "booleans": "[true,true]",
        "trailing_comma": "[2,2,]",
        "other_split": "[4]", "too_many": "[2,3]", "too_few": "[2]", "ones": "[1,2,1,2,1]", "scalar": "[]",
        "2_64": "[18446744073709551616]",
    }.items():  # fmt: skip
        yield f"shape_{name}", file(entry(shape=value))
    for name, value in {
        "null": "null", "one": "[16]", "three": "[0,16,16]", "float": "[0.0,16]", "negative": "[-16,0]", "object": '{"begin":0,"end":16}',
        "strings": '["0","16"]',
        "empty": "[]", "2_64": "[0,18446744073709551616]", "leading_zero": "[00,16]",
    }.items():  # fmt: skip
        yield f"offsets_{name}", file(entry(offsets=value))


def layout_files():
    bits = {"BOOL": 8, "F4": 4, "F6": 6, "F8": 8, "U8": 8, "I8": 8, "C64": 64, "BF16": 16}
    for dtype in DTYPES:
        width = bits.get(dtype.split("_")[0]) or int(dtype.lstrip("IUF"))
        yield f"dtype_{dtype}", layout(("a", dtype, [8], 0, width), data=bytes(width))
    yield "f4_odd", layout(("a", "F4", [3], 0, 2), data=bytes(2))
    yield "f6_odd", layout(("a", "F6_E2M3", [3], 0, 3), data=bytes(3))
    yield "f4_odd_rounded_down", layout(("a", "F4", [3], 0, 1), data=bytes(1))
    yield "f6_odd_rounded_down", layout(("a", "F6_E2M3", [3], 0, 2), data=bytes(2))
    yield "reversed_range", layout(("a", "F32", [4], 16, 0))
    yield "reversed_empty", layout(("a", "F32", [0], 16, 0))
    yield "starts_late", layout(("a", "F32", [3], 4, 16))
    yield "hole", layout(("a", "F32", [1], 0, 4), ("b", "F32", [2], 8, 16))
    yield "overlap", layout(("a", "F32", [3], 0, 12), ("b", "F32", [2], 8, 16))
    yield "same_range", layout(("a", "F32", [4], 0, 16), ("b", "F32", [4], 0, 16))
    yield "trailing_byte", layout(("a", "F32", [4], 0, 16), data=DATA + b"x")
    yield "missing_byte", layout(("a", "F32", [4], 0, 16), data=DATA[:-1])
    yield "no_data", layout(("a", "F32", [4], 0, 16), data=b"")
    yield "claims_terabytes", layout(("a", "F32", [2**40], 0, 2**42))
    yield "range_larger", layout(("a", "F32", [3], 0, 16))
    yield "range_smaller", layout(("a", "F32", [5], 0, 16))
    yield "unordered", layout(("b", "F32", [2], 8, 16), ("a", "F32", [2], 0, 8))
    yield "empty_at_start", layout(("z", "F32", [0], 0, 0), ("a", "F32", [4], 0, 16))
    yield "empty_at_border", layout(("a", "F32", [2], 0, 8), ("z", "F32", [0, 3], 8, 8), ("b", "F32", [2], 8, 16))
    yield "empty_at_end", layout(("a", "F32", [4], 0, 16), ("z", "F32", [2, 0], 16, 16))
    yield "empty_inside", layout(("a", "F32", [4], 0, 16), ("z", "F32", [0], 8, 8))
    yield "empty_past_end", layout(("a", "F32", [4], 0, 16), ("z", "F32", [0], 20, 20))
    yield "empty_with_range", layout(("a", "F32", [0], 0, 16))
    yield "scalar", layout(("a", "F64", [], 0, 8), data=bytes(8))
    yield "unaligned", file(VALID + " " * (-len(VALID) % 8 + 3))
    for name, shape in {
        "2_64_wraps_to_4": [2**62 + 1, 4], "bytes_wrap": [2**62 + 4], "bits_wrap": [2**61 + 4], "2_63": [2**63],
        "2_64_minus_1": [2**64 - 1],
        "zero_then_huge": [0, 2**62, 2**62], "huge_then_zero": [2**63, 2**63, 0],
    }.items():  # fmt: skip
        yield f"overflow_{name}", layout(("a", "F32", shape, 0, 0 if 0 in shape else 16), data=b"" if 0 in shape else DATA)
    yield "overflow_offsets", layout(("a", "F32", [4], 2**64 - 17, 2**64 - 1))
    yield "overflow_end", layout(("a", "F32", [4], 0, 16), ("b", "F32", [4], 16, 2**64 - 1))


def metadata_files():
    for name, value in {
        "empty": "{}", "null": "null", "strings": '{"format":"pt","":""}', "number": '{"a":1}', "null_value": '{"a":null}',
        "nested": '{"a":{}}', "list": '["a"]',
        "string": '"pt"', "tensor": ENTRY, "true": "true",
    }.items():  # fmt: skip
        yield f"metadata_{name}", file(f'{{"__metadata__":{value},"a":{ENTRY}}}')
    yield "metadata_last", file(f'{{"a":{ENTRY},"__metadata__":{{"format":"pt"}}}}')
    yield "metadata_canonically_equal", file(f'{{"__metadata__":{{"\u00e9":"1","e\u0301":"2"}},"a":{ENTRY}}}')
    yield "metadata_only", file('{"__metadata__":{"format":"pt"}}', b"")


def duplicates():
    """Refused by us, whatever the reference says."""
    yield "duplicate_tensor", file(f'{{"a":{ENTRY},"a":{ENTRY}}}')
    yield "duplicate_tensor_escaped", file(f'{{"a":{ENTRY},"\\u0061":{ENTRY}}}')
    yield "duplicate_tensor_first_wrong", file(f'{{"a":{ENTRY.replace("F32", "F64")},"a":{ENTRY}}}')
    yield "duplicate_dtype", file(VALID.replace('"dtype":"F32",', '"dtype":"F32","dtype":"F32",'))
    yield "duplicate_shape", file(VALID.replace('"shape":[2,2],', '"shape":[2,2],"shape":[2,2],'))
    yield "duplicate_offsets", file(VALID.replace("}}", ',"data_offsets":[0,16]}}'))
    yield "duplicate_metadata", file(f'{{"__metadata__":{{}},"__metadata__":{{}},"a":{ENTRY}}}')
    yield "duplicate_metadata_key", file(f'{{"__metadata__":{{"k":"1","k":"2"}},"a":{ENTRY}}}')


def stricter():
    """Refused by us where the reference is more lenient than the format: lists for objects, and sizes past 2⁶³ − 1."""
    yield "entry_as_list", file('{"a":["F32",[2,2],[0,16]]}')
    yield "dtype_as_map", file(entry(dtype='{"F32":null}'))
    yield "empty_with_2_63", layout(("a", "F32", [0, 2**63], 0, 0), data=b"")


def files():
    for group in (prefix_files, json_files, field_files, layout_files, metadata_files):
        yield from group()


def mutations(count, seed=0):
    """A valid file of three tensors with one to three bytes of its header changed, removed or doubled."""
    valid = layout(("a.weight", "F32", [1, 2], 0, 8), ("b.weight", "BF16", [2, 1], 8, 12), ("c", "I8", [4], 12, 16))
    end = len(valid) - len(DATA)
    dice = random.Random(seed)
    interesting = b'{}[]",:0123456789eE+-. \\u\x00\x7f\x80\xff'
    for number in range(count):
        header = bytearray(valid[8:end])
        for _ in range(dice.randint(1, 3)):
            at = dice.randrange(len(header))
            action = dice.randrange(4)
            if action == 0:
                header[at] ^= 1 << dice.randrange(8)
            elif action == 1:
                header[at] = dice.choice(interesting)
            elif action == 2:
                del header[at]
            else:
                header[at:at] = header[at : at + dice.randint(1, 8)]
        yield f"mutation_{number}", file(bytes(header))


class Pairs(list):
    """A JSON object as its members, in order, none lost."""


def documented_difference(content):
    """The rule by which we refuse what the reference reader accepts, or None. Only for files that it accepts.

    Read from the bytes alone, so that no other difference hides behind it.
    """
    header = content[8 : 8 + int.from_bytes(content[:8], "little")].decode()
    root = json.loads(header, object_pairs_hook=Pairs)
    keys = [key for key, _ in root]
    if len(set(keys)) != len(keys):
        return "duplicate name"
    entries = []
    for key, value in root:
        if key != "__metadata__":
            entries.append(value)
        elif value is not None and len({k for k, _ in value}) != len(value):
            return "duplicate name"
    for value in entries:
        if not isinstance(value, Pairs):
            return "entry as a list"
        fields = [key for key, _ in value if key in ("dtype", "shape", "data_offsets")]
        if len(set(fields)) != len(fields):
            return "duplicate name"
        fields = dict(value)
        if isinstance(fields["dtype"], Pairs):
            return "dtype as a map"
        if any(dimension >= 2**63 for dimension in fields["shape"]):
            return "dimension of 2^63 or more"
    return None


def indexes():
    """Texts of `model.safetensors.index.json`, good and bad, by name."""
    shard = "model-00001-of-00002.safetensors"
    good = {"metadata": {"total_size": 32}, "weight_map": {"a.weight": shard, "b.weight": shard.replace("1-", "2-")}}
    yield "good", json.dumps(good).encode()
    yield "indented", json.dumps(good, indent=2).encode()
    yield "five_of_six", json.dumps({"weight_map": {"a": "model-00163-of-000163.safetensors"}}).encode()
    yield "empty", b""
    yield "space", b" \n\t\r"
    yield "byte_order_mark", b"\xef\xbb\xbf" + json.dumps(good).encode()
    yield "not_utf8", b'{"weight_map":{"\xff":"a"}}'
    yield "utf16", json.dumps(good).encode("utf-16")
    for name, text in {
        "open": "{", "list": "[]", "null": "null", "no_map": "{}", "map_list": '{"weight_map":[]}', "map_null": '{"weight_map":null}',
        "empty_map": '{"weight_map":{}}',
        "file_number": '{"weight_map":{"a":1}}', "file_null": '{"weight_map":{"a":null}}', "twice": '{"weight_map":{"a":"x","a":"x"}}',
        "twice_escaped": '{"weight_map":{"a":"x","\\u0061":"x"}}', "two_maps": '{"weight_map":{},"weight_map":{}}',
        "trailing": '{"weight_map":{}}x',
        "trailing_comma": '{"weight_map":{"a":"x",}}', "metadata_null": '{"metadata":null,"weight_map":{}}',
        "metadata_list": '{"metadata":[1],"weight_map":{}}',
        "canonically_equal": '{"weight_map":{"\u00e9":"x","e\u0301":"x"}}', "unknown_keys": '{"x":[{"y":[]}],"weight_map":{},"z":1e5}',
        "deep": '{"x":' + "[" * 128,
    }.items():  # fmt: skip
        yield name, text.encode()
    yield "escaped_separator", b'{"weight_map":{"a":"a\\u002fb"}}'
    yield "lone_surrogate", b'{"weight_map":{"a":"\\ud83d"}}'
    for name in ("", ".", "..", "../a", "a/../b", "/etc/passwd", "a/b", "a\\\\b", "a\\u0000b", "a..b", "...", "\\ud83d\\udc38", "\\x"):
        yield f"file_{name.encode().hex()}", b'{"weight_map":{"a":"%s"}}' % name.encode()
    for size in ("0", "32", "32.0", "3.2e1", "-1", "1e999", "18446744073709551616", '"32"', "null", "01", "-", "[]"):
        yield f"size_{size.encode().hex()}", b'{"metadata":{"total_size":%s},"weight_map":{"a":"x"}}' % size.encode()


def write(folder, corpus=None):
    """Seeds for Fuzz/ below `folder`: header/ and index/. The name of a seed is the rule; nothing reads it."""
    groups = {"header": [*files(), *duplicates(), *stricter(), *mutations(200)], "index": [*indexes()]}
    if corpus:
        groups["header"] += [(p.name, p.read_bytes()) for p in sorted(Path(corpus).glob("*.safetensors"))]
    for group, seeds in groups.items():
        (Path(folder) / group).mkdir(parents=True, exist_ok=True)
        for name, content in seeds:
            if len(content) <= 1 << 20:
                (Path(folder) / group / name).write_bytes(content)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=write.__doc__)
    parser.add_argument("folder")
    parser.add_argument("--corpus", help="further safetensors files")
    arguments = parser.parse_args()
    write(arguments.folder, arguments.corpus)
