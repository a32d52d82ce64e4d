"""Small checkpoints of the layouts of real models: the class of every tensor, and masks against the float64 reference.

The names and dtypes are those of the real models (layouts.py), the classes those of the documented rule (classes.py).
"""

import itertools
import json
import re

import numpy as np
import pytest

import checkpoints
import classes
import layouts
import reference
import separated
from harness import LONG, final_files

OVERLAP = 0.999
LARGEST_SCORE_ERROR = 5e-6


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """Layout → folder and tensors of its small checkpoint, made once."""
    cache = {}

    def make(name):
        if name not in cache:
            folder = tmp_path_factory.mktemp("layout")
            cache[name] = folder, layouts.write_layout(folder, name)
        return cache[name]

    return make


# Classes ----------------------------------------------------------------------------------------------------------------------------


def inspected(frog, folder, *options):
    result = frog("inspect", "--json", folder, *options)
    assert result.status == 0, str(result)
    return {tensor["name"]: tensor for tensor in json.loads(result.stdout)["tensors"]}


def assert_classes(found, tensors, config, shard_of, conv=None):
    assert found.keys() == tensors.keys()
    wrong = []
    for name, (dtype, shape, raw) in tensors.items():
        tensor = found[name]
        assert (tensor["dtype"], tuple(tensor["shape"]), tensor["bytes"]) == (dtype, tuple(shape), len(raw)), name
        assert tensor["shard"] == shard_of[name]
        rule = classes.expected(name, dtype, shape, tensors, config, conv)
        if tensor["class"] not in rule.classes or tensor["matrices"] != rule.matrices:
            wrong.append(f"{name} {dtype} {shape}: {tensor['class']} with {tensor['matrices']}, not {rule}")
        # What plays no part says why.
        assert (tensor.get("reason") or "") != "" or tensor["class"] not in {"skipped", "refused"}, name
    assert not wrong, "\n".join(wrong[:20])


def shard_names(folder):
    return {t.name: file.name for file in folder.glob("*.safetensors") for t in reference.read_header(file)}


@pytest.mark.parametrize("name", layouts.LAYOUTS)
def test_every_tensor_has_the_class_of_the_rule(frog, made, name):
    folder, tensors = made(name)
    config = layouts.LAYOUTS[name].small_config()
    assert_classes(inspected(frog, folder), tensors, config, shard_names(folder))


@pytest.mark.parametrize("name", ["stable-diffusion-v1-5 unet", "vit-base-patch16-224", "clip-vit-large-patch14", "gpt2"])
@pytest.mark.parametrize("conv", [True, False])
def test_convolutions_are_matrices_if_asked_for(frog, made, name, conv):
    folder, tensors = made(name)
    found = inspected(frog, folder, "--conv" if conv else "--no-conv")
    assert_classes(found, tensors, layouts.LAYOUTS[name].small_config(), shard_names(folder), conv)
    kernels = [n for n, tensor in found.items() if tensor["class"] == "conv"]
    assert len(kernels) == (98 if conv and "unet" in name else 0)


@pytest.mark.parametrize(
    ("config", "outputs", "conv", "counts"),
    [
        ({"image_size": 64}, 8, None, True), ({"image_size": 64}, 8, False, False),
        # Kernels hold 288 of 352 weights, and 288 of 4384: no config.json is needed to tell a model that is made of them.
        ({}, 8, None, True), ({}, 8, False, False), ({"model_type": "new"}, 64, None, False), ({"model_type": "new"}, 64, True, True),
    ],
)  # fmt: skip
def test_convolutions_count_in_models_of_images_and_where_they_hold_most(frog, tmp_path, config, outputs, conv, counts):
    generator = np.random.default_rng(1)
    tensors = {
        "encoder.stages.0.layer.0.weight": checkpoints.encode(layouts.realistic(generator, (8, 4, 3, 3)), "F32"),
        "encoder.stages.0.layer.1.weight": checkpoints.encode(layouts.realistic(generator, (outputs, outputs)), "F32"),
    }
    folder = layouts.write_tensors(tmp_path, tensors, config, shards=1)
    found = inspected(frog, folder, *(() if conv is None else ("--conv",) if conv else ("--no-conv",)))
    assert_classes(found, tensors, config, shard_names(folder), conv)
    assert (found["encoder.stages.0.layer.0.weight"]["class"] == "conv") == counts


def test_the_sums_of_the_classes_are_those_of_the_tensors(frog, made):
    folder, _ = made("DeepSeek-V3")
    result = json.loads(frog("inspect", "--json", folder).stdout)
    for total in result["totals"]:
        mine = [t for t in result["tensors"] if t["class"] == total["class"]]
        assert (total["tensors"], total["bytes"]) == (len(mine), sum(t["bytes"] for t in mine))
    assert {t["class"] for t in result["tensors"]} <= {t["class"] for t in result["totals"]}


# Refusals ---------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name, layout in layouts.LAYOUTS.items() if layout.refused])
@pytest.mark.parametrize("command", ["mask", "mask on 2 ranks"])
def test_packed_weights_and_adapters_are_refused_by_name(frog, made, tmp_path, name, command):
    folder, tensors = made(name)
    ranks = 2 if "2 ranks" in command else None
    result = frog("mask", folder, "--out", tmp_path / "out", ranks=ranks)
    assert result.status == 65 and len(result.error_lines) == 1, str(result)
    (line,) = result.error_lines
    assert re.search(layouts.LAYOUTS[name].refused, line, re.IGNORECASE), line
    config = layouts.LAYOUTS[name].small_config()
    refused = [n for n, (dtype, shape, _) in tensors.items() if "refused" in classes.expected(n, dtype, shape, tensors, config).classes]
    assert any(n in line for n in refused), line
    assert final_files(tmp_path / "out") == []


def test_an_8_bit_weight_without_its_scale_is_refused(frog, tmp_path):
    weights = layouts.realistic(np.random.default_rng(2), (40, 24))
    codes = layouts.eight_bit_codes(weights * 100, "F8_E4M3").tobytes()
    folder = layouts.write_tensors(tmp_path / "in", {"h.0.weight": ("F8_E4M3", (40, 24), codes)}, {}, shards=1)
    result = frog("mask", folder, "--out", tmp_path / "out")
    assert result.status == 65 and "h.0.weight" in result.error_lines[0] and "scale" in result.error_lines[0], str(result)


@pytest.mark.parametrize("shape", [(3,), (2, 1), (1, 24), (2, 2), (40, 24)])
def test_a_scale_of_another_shape_is_refused(frog, tmp_path, shape):
    """40 × 24 has one block, so one number, 40 × 1 or 1 × 1 would do."""
    weights = layouts.realistic(np.random.default_rng(3), (40, 24))
    tensors = {
        "h.0.weight": ("F8_E4M3", (40, 24), layouts.eight_bit_codes(weights * 100, "F8_E4M3").tobytes()),
        "h.0.weight_scale_inv": checkpoints.encode(np.ones(shape), "F32"),
    }
    folder = layouts.write_tensors(tmp_path / "in", tensors, {}, shards=1)
    result = frog("mask", folder, "--out", tmp_path / "out")
    assert result.status == 65 and "h.0.weight" in result.error_lines[0], str(result)


# Masks ------------------------------------------------------------------------------------------------------------------------------


def counted(tensors, config, conv=None):
    """Every matrix as stored, by the rule."""
    parts = []
    for name, (dtype, shape, _) in tensors.items():
        rule = classes.expected(name, dtype, shape, tensors, config, conv)
        if rule.classes <= {"matrix", "dequantized", "conv"}:
            parts += separated.whole(name, shape)
        elif rule.classes == {"stack"}:
            parts += separated.stack(name, shape)
    return parts


def assert_masks(frog, folder, tensors, parts, out, *options, ranks=(1, 3)):
    """The reference on `parts` keeps the same weights: the same K, exact counts, the same files on any number of ranks."""
    ours = separated.Separated(parts, separated.stored_values(tensors))
    count = reference.kept_count(reference.parse_budget("1%"), ours.total)
    selection = ours.select("global", count)
    files = {}
    for number in ranks:
        here = out / f"ranks-{number}"
        described = frog.mask(folder, here, "--budget", "1%", "--precision", "f64", *options, ranks=number)
        files[number] = {file: (here / file).read_bytes() for file in final_files(here) if file != "run.json"}
    assert all(content == files[ranks[0]] for content in files.values())

    assert described["K"] == described["kept"] == count
    assert described["checkpoint"]["weights"] == ours.total
    listed = {m["name"]: (tuple(m["shape"]), m["kept"], m["norm"]) for m in described["matrices"]}
    assert listed.keys() == ours.parts.keys()
    found = ours.read(here)
    for matrix in ours.matrices:
        shape, kept, norm = listed[matrix.name]
        assert shape == matrix.shape and kept == found[matrix.name].indices.size, matrix.name
        assert norm == pytest.approx(matrix.norm, rel=1e-6)
    agreement = reference.compare(ours, selection, found)
    print(agreement)
    assert agreement.kept == agreement.wanted == count
    assert agreement.overlap >= OVERLAP
    assert agreement.score_error <= LARGEST_SCORE_ERROR and agreement.noise_error <= LARGEST_SCORE_ERROR
    assert frog("verify", here, "--checkpoint", folder).status == 0
    # The same weights as a bit map.
    frog.mask(folder, out / "bits", "--budget", "1%", "--format", "bitmap", *options)
    for name, as_bits in ours.read(out / "bits").items():
        assert np.array_equal(as_bits.indices, found[name].indices), name
        assert np.array_equal(as_bits.scores, found[name].scores), name
    return ours, found


AS_STORED = [
    "DeepSeek-V3", "Llama per-tensor fp8", "Llama per-tensor fp8 e5m2", "Llama-3.1-8B ct_fp8", "Llama-4-Scout-17B-16E (text)",
    "gpt-oss (BF16)", "gpt2", "Mixtral-8x22B-Instruct-v0.1", "vit-base-patch16-224",
    *(["bert-base-uncased", "clip-vit-large-patch14", "Phi-3-mini-4k", "falcon-7b", "gpt-neox-20b", "gemma-2-9b"] if LONG else []),
]  # fmt: skip


@pytest.mark.parametrize("name", AS_STORED)
def test_masks_agree_with_the_reference(frog, made, tmp_path, name):
    folder, tensors = made(name)
    assert_masks(frog, folder, tensors, counted(tensors, layouts.LAYOUTS[name].small_config()), tmp_path)


def test_scales_lie_beside_their_weights_and_elsewhere(made):
    """The checkpoint that the others rely on: both kinds, and ragged blocks."""
    folder, tensors = made("DeepSeek-V3")
    shards = shard_names(folder)
    beside = {shards[n] == shards[n + "_scale_inv"] for n in tensors if n + "_scale_inv" in tensors}
    assert beside == {True, False}
    assert tensors["model.layers.0.self_attn.kv_a_proj_with_mqa.weight"][1] == (160, 192)
    assert tensors["model.layers.0.self_attn.kv_a_proj_with_mqa.weight_scale_inv"][1] == (2, 2)


def test_convolutions_agree_with_the_reference(frog, tmp_path):
    generator = np.random.default_rng(4)
    shapes = {"conv1": (48, 24, 3, 3), "conv2": (64, 32, 1, 1), "conv3": (40, 8, 5, 3), "linear": (72, 96)}
    tensors = {f"block.{name}.weight": checkpoints.encode(layouts.realistic(generator, shape), "F32") for name, shape in shapes.items()}
    folder = layouts.write_tensors(tmp_path / "in", tensors, {}, shards=1)
    assert_masks(frog, folder, tensors, counted(tensors, {}, conv=True), tmp_path, "--conv")
    described = frog.mask(folder, tmp_path / "without", "--budget", "1%", "--no-conv")
    assert [m["name"] for m in described["matrices"]] == ["block.linear.weight"]


def test_transposition_does_not_change_which_weights_are_kept(frog, made, tmp_path):
    """GPT-2 stores inputs × outputs; stored the other way round, the same weights are chosen."""
    folder, tensors = made("gpt2")
    turned = {}
    for name, (dtype, shape, raw) in tensors.items():
        values = layouts.decoded(dtype, shape, raw)
        is_matrix = "matrix" in classes.expected(name, dtype, shape, tensors, {}).classes
        turned[name] = checkpoints.encode(values.T if is_matrix else values, dtype)
    layouts.write_tensors(tmp_path / "in", turned, {"model_type": "gpt2"})
    kept = {}
    for way, (checkpoint, stored) in {"as stored": (folder, tensors), "turned": (tmp_path / "in", turned)}.items():
        parts = counted(stored, {})
        frog.mask(checkpoint, tmp_path / way, "--budget", "1%")
        found = separated.Separated(parts, separated.stored_values(stored)).read(tmp_path / way)
        kept[way] = set()
        for part in parts:
            row, column = np.divmod(found[part.name].indices, part.positions.shape[1])
            pairs = zip(row.tolist(), column.tolist()) if way == "as stored" else zip(column.tolist(), row.tolist())
            kept[way] |= {(part.name, *pair) for pair in pairs}
    assert len(kept["as stored"]) == len(kept["turned"])
    assert len(kept["as stored"] & kept["turned"]) >= OVERLAP * len(kept["turned"])


# Fused tensors ----------------------------------------------------------------------------------------------------------------------


def in_order(**counts):
    """Consecutive rows: part → how many."""
    ends = np.cumsum(list(counts.values()))
    return {part: np.arange(end - count, end) for (part, count), end in zip(counts.items(), ends)}


def interleaved(groups, head, **heads):
    """`groups` times: that many heads of each part in a row, each of `head` rows."""
    numbers = np.arange(groups * sum(heads.values()) * head).reshape(groups, -1, head)
    cuts = in_order(**heads)
    return {part: numbers[:, slots].reshape(-1) for part, slots in cuts.items()}


def fused_rows(name):
    """Leaf of a fused tensor → its cuts, from the dimensions of the small layout."""
    d = layouts.LAYOUTS[name].small
    head = d["hidden"] // d["heads"]
    if name == "Phi-3-mini-4k":
        return {
            "qkv_proj": in_order(q=d["heads"] * head, k=d["kv_heads"] * head, v=d["kv_heads"] * head),
            "gate_up_proj": in_order(gate=d["inner"], up=d["inner"]),
        }
    if name == "gpt-neox-20b":
        return {"query_key_value": interleaved(d["heads"], head, q=1, k=1, v=1)}
    if name == "falcon-7b":
        return {"query_key_value": in_order(q=d["heads"] * head, k=head, v=head)}
    if name == "falcon-40b":
        return {"query_key_value": interleaved(d["kv_heads"], head, q=d["heads"] // d["kv_heads"], k=1, v=1)}
    raise ValueError(name)


@pytest.mark.parametrize("name", ["Phi-3-mini-4k", "gpt-neox-20b", "falcon-7b", "falcon-40b"])
def test_fused_rows_are_split(frog, made, tmp_path, name):
    folder, tensors = made(name)
    cuts = fused_rows(name)
    parts = []
    for part in counted(tensors, layouts.LAYOUTS[name].small_config()):
        leaf = part.tensor.split(".")[-2]
        parts += separated.rows(part.tensor, tensors[part.tensor][1], cuts[leaf]) if leaf in cuts else [part]
    found = inspected(frog, folder, "--split-fused")
    assert sum(tensor["matrices"] for tensor in found.values()) == len(parts)
    assert_masks(frog, folder, tensors, parts, tmp_path, "--split-fused")


@pytest.mark.parametrize("name", ["Llama-4-Scout-17B-16E (text)", "gpt-oss (BF16)"])
def test_fused_stacks_are_split(frog, made, tmp_path, name):
    """Inputs × outputs, so by columns: gate, then up for Llama 4; in turns for gpt-oss."""
    folder, tensors = made(name)
    inner = layouts.LAYOUTS[name].small["inner"]
    cuts = in_order(gate=inner, up=inner)
    if name.startswith("gpt-oss"):
        cuts = {"gate": np.arange(0, 2 * inner, 2), "up": np.arange(1, 2 * inner, 2)}
    parts = []
    for tensor, group in itertools.groupby(counted(tensors, layouts.LAYOUTS[name].small_config()), lambda part: part.tensor):
        fused = tensor.endswith("gate_up_proj")
        parts += separated.stack_columns(tensor, tensors[tensor][1], cuts) if fused else group
    assert_masks(frog, folder, tensors, parts, tmp_path, "--split-fused")


@pytest.mark.parametrize("name", ["Llama-4-Scout-17B-16E (text)", "Phi-3-mini-4k"])
@pytest.mark.parametrize("options", [(), ("--split-fused",)])
def test_signals_are_cut_as_the_weights_are(frog, made, tmp_path, name, options):
    """A value for each column, in a stack for each expert, does what the same value for each weight does, and not what 1 does."""
    folder, tensors = made(name)
    generator = np.random.default_rng(5)
    vectors, full, ones = {}, {}, {}
    for part in counted(tensors, layouts.LAYOUTS[name].small_config()):
        shape = tensors[part.tensor][1]
        if part.tensor not in vectors:
            vector = generator.uniform(0.1, 10, (*shape[:-2], shape[-1])).astype(np.float32)
            vectors[part.tensor] = checkpoints.encode(vector, "F32")
            full[part.tensor] = checkpoints.encode(np.broadcast_to(vector[..., None, :], shape), "F32")
            ones[part.tensor] = checkpoints.encode(np.ones_like(vector), "F32")
    masks = {}
    for kind, signals in {"vectors": vectors, "full": full, "ones": ones}.items():
        layouts.write_tensors(tmp_path / kind, signals, {}, shards=2)
        frog.mask(folder, tmp_path / f"out-{kind}", "--weight-by", tmp_path / kind, *options, ranks=2)
        masks[kind] = {file.name: file.read_bytes() for file in (tmp_path / f"out-{kind}").glob("masks-*.safetensors")}
    frog.mask(folder, tmp_path / "plain", *options)
    plain = {file.name: file.read_bytes() for file in (tmp_path / "plain").glob("masks-*.safetensors")}
    assert masks["vectors"] == masks["full"] != masks["ones"] == plain


def test_without_fused_tensors_splitting_changes_nothing(frog, made, tmp_path):
    folder, tensors = made("Llama-3.1-8B")
    for options in ((), ("--split-fused",)):
        frog.mask(folder, tmp_path / str(len(options)), "--budget", "1%", *options)
    for file in (tmp_path / "0").glob("masks-*.safetensors"):
        assert file.read_bytes() == (tmp_path / "1" / file.name).read_bytes()


# Tied tensors -----------------------------------------------------------------------------------------------------------------------


def test_tied_tensors_count_once(frog, made, tmp_path):
    _, tensors = made("Llama-3.2-1B (tied)")
    embedding = "model.embed_tokens.weight"
    both = tensors | {"lm_head.weight": tensors[embedding]}
    plain = sum(np.prod(tensors[part.tensor][1]) for part in counted(tensors, {}))
    once = int(np.prod(tensors[embedding][1]))
    for tied, include, weights in (
        (True, ["*"], plain + once), (True, ["*embed_tokens*", "lm_head*"], plain + once), (True, [], plain),
        (False, ["*embed_tokens*", "lm_head*"], plain + 2 * once),
    ):  # fmt: skip
        folder = layouts.write_tensors(tmp_path / "in", both, {"model_type": "llama", "tie_word_embeddings": tied})
        options = [option for glob in include for option in ("--include", glob)]
        head = inspected(frog, folder, *options)["lm_head.weight"]
        if tied:
            assert head["class"] == "skipped" and "tied" in head["reason"], head
        else:
            assert head["class"] == "matrix"
        described = frog.mask(folder, tmp_path / "out", "--budget", "1%", "--overwrite", *options)
        assert described["checkpoint"]["weights"] == weights
        assert embedding in {m["name"] for m in described["matrices"]} or not include


# The generator itself ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype, largest, smallest", [("F8_E4M3", 448.0, 2.0**-9), ("F8_E5M2", 57344.0, 2.0**-16)])
def test_8_bit_values_are_those_of_the_format(dtype, largest, smallest):
    values = layouts.eight_bit_values(dtype)
    finite = values[np.isfinite(values)]
    assert finite.max() == largest and finite.min() == -largest and finite[finite > 0].min() == smallest
    assert np.array_equal(layouts.eight_bit_codes(finite, dtype)[finite != 0], np.flatnonzero(np.isfinite(values))[finite != 0])
    assert np.isnan(values).sum() == (2 if dtype == "F8_E4M3" else 6)


@pytest.mark.parametrize("name", AS_STORED)
def test_stored_values_are_near_trained_ones(made, name):
    """A scale that is applied to the wrong block would show."""
    _, tensors = made(name)
    values = separated.stored_values(tensors)
    for part in counted(tensors, layouts.LAYOUTS[name].small_config()):
        deviation = values[part.tensor].reshape(-1)[part.positions].std()
        assert 0.005 < deviation < 0.5, part.name


def test_parts_hold_every_weight_once(made):
    for name in ("Phi-3-mini-4k", "gpt-neox-20b", "falcon-7b", "falcon-40b"):
        for leaf, cuts in fused_rows(name).items():
            (tensor,) = {t[1] for n, t in made(name)[1].items() if n.endswith(f"{leaf}.weight")}
            assert sorted(np.concatenate(list(cuts.values()))) == list(range(tensor[0]))
