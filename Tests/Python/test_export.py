"""`frog-mpi export`: what it writes of every matrix, against NumPy in float64. PEFT is not needed."""

import csv
import json

import numpy as np
import pytest

import checkpoints
import layouts
import reference
from exports import BASES, FROG, METHODS, assert_tensors, contents, decomposed, expected, export, llama, tensors_of, weights_of
from harness import assert_refused

RANK = 6
#: Bits of a stored number's mantissa.
DIGITS = {"BF16": 8, "F16": 11, "F32": 24}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return llama(tmp_path_factory.mktemp("llama") / "model")


@pytest.fixture(scope="module")
def everything(frog, model, tmp_path_factory):
    """All methods from one run: the folder, and export.json."""
    out = tmp_path_factory.mktemp("export") / "out"
    return out, export(frog, ",".join(METHODS), model, out, "--rank", RANK, "--diagonals", 3)


def adapter_folder(out, method):
    return out / method / "adapter" if (out / method / "adapter").exists() else out / method


def targets(weights):
    return [name for name in weights if "embed" not in name and "lm_head" not in name]


# Tensors ----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_the_tensors_are_those_of_numpy(model, everything, method):
    out, described = everything
    weights = weights_of(model)
    found = tensors_of(adapter_folder(out, method))
    names = set()
    for tensor in targets(weights):
        wanted = expected(method, tensor, weights[tensor], RANK)
        assert_tensors(found, wanted)
        names |= wanted.keys()
    assert [m["name"] for m in described["matrices"]] == sorted(targets(weights))
    others = found.keys() - names
    if method == "svft":
        assert others == {f"{t.removesuffix('.weight')}.svft_layer.{part}" for t in targets(weights) for part in ("s_row", "s_col")}
    elif method == "tinylora":
        projections = {f"base_model.model.{t.removesuffix('.weight')}.tinylora_P" for t in targets(weights)}
        values = {f"base_model.tinylora_v.{i}" for i in range(len(projections))}
        assert others == projections | values
        assert all(found[name][0] == "F32" and found[name][1].shape == (64,) and not found[name][1].any() for name in values)
        drawn = np.stack([found[name][1] for name in sorted(projections)])
        assert drawn.shape == (7, 64, RANK, RANK) and np.unique(drawn).size > 0.999 * drawn.size
        assert abs(drawn.mean()) < 0.02 and drawn.var() == pytest.approx(1 / RANK, rel=0.05)
    else:
        assert not others
    for entry in described["matrices"]:
        s = decomposed(weights[entry["name"]])[1]
        part = s[-RANK:] if method in ("milora", "mica") else s if method == "svft" else s[:RANK]
        assert entry["methods"][method]["rank"] == part.size
        assert entry["methods"][method]["energy"] == pytest.approx((part**2).sum() / (s**2).sum(), rel=1e-9)


def test_bf16_for_frogmask_and_f32_for_peft(frog, model, everything, tmp_path):
    export(frog, "svft,lora-xs,spectral-rotation,svfit", model, tmp_path / "out", "--dtype", "bf16", "--target-modules", "q_proj")
    weights = weights_of(model)
    for method in (*FROG, "svfit"):
        rank = {"lora-xs": 48, "svfit": 48, "spectral-rotation": 8, "svft": 48}[method]
        found = tensors_of(tmp_path / "out" / method)
        (tensor,) = [t for t in weights if "q_proj" in t]
        assert_tensors(found, expected(method, tensor, weights[tensor], rank, dtype="BF16"))


@pytest.mark.parametrize("alpha", [3, 48.5])
def test_alpha_goes_into_the_scale(frog, model, tmp_path, alpha):
    """(α/r)·B·A is the same part of the weights for every α."""
    export(frog, "pissa,milora,lora-xs,mica", model, tmp_path / "out", "--rank", RANK, "--alpha", alpha)
    weights = weights_of(model)
    for method in ("pissa", "milora"):
        config = json.loads((tmp_path / "out" / method / "adapter/adapter_config.json").read_text())
        assert (config["lora_alpha"], config["r"]) == (alpha, RANK)
        found = tensors_of(tmp_path / "out" / method / "adapter")
        for tensor in targets(weights):
            assert_tensors(found, expected(method, tensor, weights[tensor], RANK, scale=alpha / RANK))
    assert json.loads((tmp_path / "out/mica/adapter_config.json").read_text())["lora_alpha"] == alpha
    assert json.loads((tmp_path / "out/lora-xs/adapter.json").read_text())["parameters"] == {"alpha": alpha, "rank": RANK}


def test_layers_that_store_inputs_by_outputs(frog, tmp_path):
    """Conv1D of GPT-2 is known by the lengths of biases; PEFT's A is on the side of the inputs."""
    tensors = layouts.write_layout(tmp_path / "in", "gpt2")
    described = export(frog, ",".join(METHODS), tmp_path / "in", tmp_path / "out", "--rank", 5, "--diagonals", 1)
    assert described["matrices"] and all(m["transposed"] for m in described["matrices"])
    for method in METHODS:
        found = tensors_of(adapter_folder(tmp_path / "out", method))
        for matrix in described["matrices"]:
            weights = layouts.decoded(*tensors[matrix["name"]])
            assert_tensors(found, expected(method, matrix["name"], weights, 5, transposed=True))
        if method not in FROG:
            config = json.loads((adapter_folder(tmp_path / "out", method) / "adapter_config.json").read_text())
            assert config["fan_in_fan_out"] is True
    base = tensors_of(tmp_path / "out/pissa")
    for matrix in described["matrices"]:
        u, s, vt = decomposed(layouts.decoded(*tensors[matrix["name"]]))
        assert_tensors(base, {matrix["name"]: ("F32", u[:, 5:] * s[5:] @ vt[5:])})


# Bases ------------------------------------------------------------------------------------------------------------------------------


def half_ulp(values, dtype):
    """Half a unit in the last place of stored numbers."""
    exponent = np.frexp(np.abs(values))[1] - DIGITS[dtype]
    smallest = {"BF16": -133, "F16": -24, "F32": -149}[dtype]
    return np.ldexp(np.longdouble(0.5), np.maximum(exponent, smallest))


def taken(method, adapter, module, scale):
    """What the adapter adds to the weights of a module, with so many digits that it counts as exact."""

    def part(name):
        return adapter[f"base_model.model.{module}.{name}"][1].astype(np.longdouble)  # fmt: skip

    if method == "spectral-additive":
        factor = np.longdouble(RANK / (RANK + 1e-5))
        return factor * ((part("lora_B") * part("lora_E")[:, 0]) @ part("lora_A"))
    return np.longdouble(scale) * (part("lora_B.weight") @ part("lora_A.weight"))


@pytest.mark.parametrize("alpha", [None, 5])
@pytest.mark.parametrize("dtype", DIGITS)
def test_a_base_and_its_adapter_are_the_weights(frog, tmp_path, dtype, alpha):
    """Every weight that is left is the nearest number of its type; every other byte of every file is that of the checkpoint."""
    source = llama(tmp_path / "in", dtype)
    options = () if alpha is None else ("--alpha", alpha)
    described = export(frog, ",".join(BASES), source, tmp_path / "out", "--rank", RANK, *options, ranks=2)
    weights = weights_of(source)
    for method in BASES:
        base, adapter = tensors_of(tmp_path / "out" / method), tensors_of(tmp_path / "out" / method / "adapter")
        assert base.keys() == {t.name for t in reference.checkpoint_tensors(source)}
        for matrix in described["matrices"]:
            stored, left = base[matrix["name"]]
            assert stored == dtype
            added = taken(method, adapter, matrix["module"], (alpha or RANK) / RANK)
            error = np.abs(left.astype(np.longdouble) + added - weights[matrix["name"]])
            assert np.all(error <= half_ulp(left, dtype) * (1 + 1e-6)), matrix["name"]
            relative = float(np.sqrt((error**2).sum())) / np.linalg.norm(weights[matrix["name"]])
            assert matrix["methods"][method]["base_error"] == pytest.approx(relative, rel=1e-3)
        assert_copied(source, tmp_path / "out" / method, {m["name"] for m in described["matrices"]})


def assert_copied(source, base, changed):
    """A base has the files of the checkpoint but for its card, other weights and hidden files; of shards, other tensors' bytes."""
    wanted = {"config.json", "tokenizer.json", "original/params.json", *(path.name for path in source.glob("model*"))}
    found = contents(base)
    assert found.keys() - {"README.md"} - {name for name in found if name.startswith("adapter/")} == wanted
    for name in wanted:
        ours, theirs = bytearray(found[name]), bytearray((source / name).read_bytes())
        if name.endswith(".safetensors"):
            for tensor in reference.read_header(source / name):
                if tensor.name in changed:
                    width = {"BF16": 2, "F16": 2, "F32": 4}[tensor.dtype]
                    place = slice(tensor.start, tensor.start + tensor.size * width)
                    assert ours[place] != theirs[place]
                    ours[place] = theirs[place] = bytes(tensor.size * width)
        assert ours == theirs, name


def test_a_single_file_without_a_folder(frog, tmp_path):
    source = tmp_path / "alone.safetensors"
    source.write_bytes((llama(tmp_path / "in", "F32", shards=1) / "model.safetensors").read_bytes())
    export(frog, "pissa,svft", source, tmp_path / "out", "--rank", 2)
    assert {path.name for path in (tmp_path / "out/pissa").iterdir()} - {"README.md"} == {"adapter", "alone.safetensors"}
    assert tensors_of(tmp_path / "out/pissa").keys() == {t.name for t in reference.read_header(source)}
    config = json.loads((tmp_path / "out/pissa/adapter/adapter_config.json").read_text())
    assert config["task_type"] is None  # nothing says what the model does


def test_a_kept_base_gets_twice_the_rank(frog, model, tmp_path):
    """Two halves that cancel: the adapter starts at zero on the untouched base."""
    export(frog, ",".join(BASES), model, tmp_path / "out", "--rank", RANK, "--keep-base", "--alpha", 3)
    weights = weights_of(model)
    for method in BASES:
        folder = tmp_path / "out" / method
        assert {path.name for path in folder.iterdir()} - {"README.md"} == {"adapter_config.json", "adapter_model.safetensors"}
        found, config = tensors_of(folder), json.loads((folder / "adapter_config.json").read_text())
        for tensor in targets(weights):
            wanted = expected(method, tensor, weights[tensor], RANK, scale=3 / RANK, keep_base=True)
            assert_tensors(found, wanted)
            path = "base_model.model." + tensor.removesuffix(".weight")
            if method == "spectral-additive":
                change = (found[path + ".lora_B"][1] * found[path + ".lora_E"][1][:, 0]) @ found[path + ".lora_A"][1]
            else:
                change = found[path + ".lora_B.weight"][1] @ found[path + ".lora_A.weight"][1]
            assert np.abs(change).max() <= 1e-12 * np.abs(weights[tensor]).max()
        ranks = ("init_r", "lora_alpha") if method == "spectral-additive" else ("r", "lora_alpha")
        assert [config[name] for name in ranks] == ([12, 12] if method == "spectral-additive" else [12, 6])


# Which modules ----------------------------------------------------------------------------------------------------------------------

ATTENTION = ["k_proj", "o_proj", "q_proj", "v_proj"]
MLP = ["down_proj", "gate_proj", "up_proj"]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("all-linear", MLP + ATTENTION),
        ("q_proj,v_proj", ["q_proj", "v_proj"]),
        ("self_attn.q_proj,mlp.up_proj", ["up_proj", "q_proj"]),
        ("model.layers.0.mlp.down_proj", ["down_proj"]),
        (r".*\.self_attn\.[qk]_proj", ["k_proj", "q_proj"]),
        (r"model\.layers\.\d+\.(mlp\.(up|gate)|self_attn\.o)_proj", ["gate_proj", "up_proj", "o_proj"]),
    ],
)
def test_target_modules(frog, model, tmp_path, text, wanted):
    described = export(frog, "lora-xs,mica", model, tmp_path / "out", "--rank", 1, "--target-modules", text)
    assert [m["module"].split(".")[-1] for m in described["matrices"]] == wanted
    config = json.loads((tmp_path / "out/mica/adapter_config.json").read_text())
    assert config["target_modules"] == [m["module"] for m in described["matrices"]]
    assert described["parameters"]["target_modules"] == ",".join(sorted(text.split(","))) if "," in text else text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("proj", ["'proj' is no linear layer of the checkpoint", "'down_proj', 'gate_proj', 'k_proj'"]),
        ("q_proj,query", ["'query' is no linear layer"]),
        ("layers.0.mlp", ["'layers.0.mlp' is no linear layer"]),
        (r"self_attn\..*", ["no linear layer", "'q_proj'"]),
        ("lm_head", ["'lm_head' gets no adapter", "output head", "--include"]),
        ("embed_tokens", ["'model.embed_tokens', which gets no adapter", "embedding"]),
    ],
)
def test_targets_that_choose_nothing(frog, model, tmp_path, text, words):
    result = frog("export", "lora-xs", model, "--out", tmp_path / "out", "--target-modules", text)
    assert_refused(result, 64, "--target-modules", *words)
    assert not (tmp_path / "out").exists()


def test_an_expression_that_cannot_be_read(frog, model, tmp_path):
    for text in ("(q_proj", "", "[a"):
        result = frog("export", "lora-xs", model, "--out", tmp_path / "out", "--target-modules", text)
        assert result.status == 64 and "--target-modules" in result.stderr, str(result)


def test_tied_heads_are_no_targets(frog, tmp_path):
    """A head that shares its weights with the embedding stays what it is, whether or not the checkpoint stores it twice."""
    source = llama(tmp_path / "in")
    config = json.loads((source / "config.json").read_text()) | {"tie_word_embeddings": True}
    (source / "config.json").write_text(json.dumps(config))
    described = export(frog, "pissa", source, tmp_path / "out", "--rank", 2)
    assert len(described["matrices"]) == 7
    result = frog("export", "pissa", source, "--out", tmp_path / "none", "--target-modules", "lm_head", "--include", "lm_head*")
    assert_refused(result, 64, "lm_head", "tied")


EXPERTS = [
    ("Mixtral-8x22B-Instruct-v0.1", "w1", "experts"),
    ("gpt-oss (BF16)", "gate_up_proj", "stack"),
    ("Llama-4-Scout-17B-16E (text)", "experts.down_proj", "stack"),
    ("DeepSeek-V3", "experts.1.up_proj", "experts"),
]


@pytest.mark.parametrize(("name", "target", "word"), EXPERTS, ids=[name for name, *_ in EXPERTS])
def test_experts_are_left_out_and_refused_by_name(frog, tmp_path, name, target, word):
    layouts.write_layout(tmp_path / "in", name)
    result = frog("export", "lora-xs", tmp_path / "in", "--out", tmp_path / "none", "--target-modules", target)
    assert_refused(result, 64, target, "gets no adapter", word)
    result = frog("export", "svfit,lora-xs", tmp_path / "in", "--out", tmp_path / "out", "--rank", 2, "--threads", 1)
    assert result.status == 0 and "matrices get no adapter, such as" in result.stderr, str(result)
    modules = [m["module"] for m in json.loads((tmp_path / "out/export.json").read_text())["matrices"]]
    assert modules and not any(".experts" in module for module in modules)
    assert any("self_attn" in module for module in modules)


def test_modules_named_as_experts_are(frog, tmp_path):
    """PEFT takes the names of experts' matrices for the experts, so LoRA names the weight; MiCA cannot, and leaves it out."""
    tensors = layouts.write_layout(tmp_path / "in", "Mixtral-8x22B-Instruct-v0.1")
    extra = {"model.layers.0.shared.w1.weight": checkpoints.encode(checkpoints.trained(np.random.default_rng(0), 24, 32), "BF16")}
    config = json.loads((tmp_path / "in/config.json").read_text())
    layouts.write_tensors(tmp_path / "mixed", tensors | extra, config)
    out = tmp_path / "out"
    result = frog("export", "pissa,mica,svfit", tmp_path / "mixed", "--out", out, "--rank", 2, "--keep-base")
    assert result.status == 0 and "mica leaves out 1 of 5 modules, such as 'model.layers.0.shared.w1'" in result.stderr, str(result)
    pissa, mica, svfit = (json.loads((out / name / "adapter_config.json").read_text()) for name in ("pissa", "mica", "svfit"))
    assert pissa["target_parameters"] == ["model.layers.0.shared.w1.weight"]
    assert "model.layers.0.shared.w1" not in pissa["target_modules"] + mica["target_modules"]
    assert "model.layers.0.shared.w1" in svfit["target_modules"] and "target_parameters" not in mica
    assert not any("shared" in name for name in tensors_of(out / "mica"))
    (entry,) = [m for m in json.loads((out / "export.json").read_text())["matrices"] if "shared" in m["module"]]
    assert entry["methods"].keys() == {"pissa", "svfit"}
    alone = frog("export", "mica", tmp_path / "mixed", "--out", tmp_path / "none", "--rank", 2, "--target-modules", "shared.w1")
    assert_refused(alone, 64, "mica", "shared.w1")


def test_convolutions_are_no_linear_layers(frog, tmp_path):
    generator = np.random.default_rng(4)
    shapes = {"conv": (16, 8, 3, 3), "linear": (24, 32)}
    tensors = {f"block.{name}.weight": checkpoints.encode(layouts.realistic(generator, shape), "F32") for name, shape in shapes.items()}
    source = layouts.write_tensors(tmp_path / "in", tensors, {}, shards=1)
    described = export(frog, "lora-xs", source, tmp_path / "out", "--conv", "--rank", 2)
    assert [m["module"] for m in described["matrices"]] == ["block.linear"]
    result = frog("export", "lora-xs", source, "--out", tmp_path / "none", "--conv", "--target-modules", "conv", "--rank", 2)
    assert_refused(result, 64, "'block.conv'", "convolution")


@pytest.mark.parametrize("name", ["Llama per-tensor fp8"])
def test_eight_bits_have_no_base_and_are_dequantized_otherwise(frog, tmp_path, name):
    tensors = layouts.write_layout(tmp_path / "in", name)
    for method in BASES:
        result = frog("export", method, tmp_path / "in", "--out", tmp_path / "none", "--rank", 2)
        assert_refused(result, 64, "F8_E4M3", method, "--keep-base", "dequantize")
    assert not (tmp_path / "none").exists()
    described = export(frog, "svft,pissa", tmp_path / "in", tmp_path / "out", "--rank", 3, "--diagonals", 0, "--keep-base")
    svft, pissa = tensors_of(tmp_path / "out/svft"), tensors_of(tmp_path / "out/pissa")
    for matrix in described["matrices"]:
        tensor = matrix["name"]
        weights = layouts.decoded(*tensors[tensor]) * layouts.scale_grid(layouts.decoded(*tensors[tensor + "_scale"]), matrix["shape"])
        layer = tensor.removesuffix(".weight") + ".svft_layer"
        restored = svft[f"{layer}.u"][1] * svft[f"{layer}.s_pre"][1] @ svft[f"{layer}.v"][1]
        assert np.abs(restored - weights).max() <= 1e-5 * np.abs(weights).max()
        assert_tensors(pissa, expected("pissa", tensor, weights, 3, keep_base=True))


# Ranks ------------------------------------------------------------------------------------------------------------------------------


def by_rule(rule, s, usual=None):
    if rule == "stable-rank":
        return int(np.ceil((s**2).sum() / s[0] ** 2))
    share = float(rule.split(":")[1])
    return int(np.flatnonzero(np.cumsum(s**2) >= share * (s**2).sum() * (1 - 1e-12))[0]) + 1


SERVED = [1, 8, 16, 32, 64, 128, 256, 320, 512]


@pytest.mark.parametrize("serveable", [False, True])
@pytest.mark.parametrize("rule", ["energy:0.9", "energy:0.5", "energy:1", "stable-rank"])
def test_ranks_by_spectrum(frog, model, tmp_path, rule, serveable):
    options = ("--rank-by", rule, "--alpha", 24, *(["--serveable"] if serveable else []))
    described = export(frog, "pissa,spectral-additive,lora-xs,svft", model, tmp_path / "out", *options, "--diagonals", 0, ranks=2)
    weights, ranks = weights_of(model), {}
    for matrix in described["matrices"]:
        s = decomposed(weights[matrix["name"]])[1]
        rank = by_rule(rule, s)
        if serveable:
            rank = min(next(r for r in SERVED if r >= rank), s.size)
        ranks[matrix["name"]] = rank
        assert [matrix["methods"][m]["rank"] for m in ("pissa", "spectral-additive", "lora-xs", "svft")] == [rank, rank, rank, s.size]
    largest = max(ranks.values())
    own = json.loads((tmp_path / "out/lora-xs/adapter.json").read_text())
    assert own["parameters"] == {"alpha": 24, "rank": None} and {t: e["rank"] for t, e in own["tensors"].items()} == ranks
    assert_ranks_in_peft(tmp_path / "out", weights, ranks, largest, 24)


def assert_ranks_in_peft(out, weights, ranks, largest, alpha):
    """α ÷ rank is the same for all; the patterns name what differs from the largest rank."""
    config = json.loads((out / "pissa/adapter/adapter_config.json").read_text())
    found = tensors_of(out / "pissa/adapter")
    escaped = {tensor.removesuffix(".weight").replace(".", "\\."): rank for tensor, rank in ranks.items() if rank != largest}
    assert (config["r"], config["lora_alpha"], config["rank_pattern"]) == (largest, alpha, escaped)
    assert config["alpha_pattern"] == pytest.approx({name: alpha * rank / largest for name, rank in escaped.items()})
    for tensor, rank in ranks.items():
        assert_tensors(found, expected("pissa", tensor, weights[tensor], rank, scale=alpha / largest))
    config = json.loads((out / "spectral-additive/adapter/adapter_config.json").read_text())
    masks = {f"{t.removesuffix('.weight')}.lora_E": [True] * r + [False] * (largest - r) for t, r in ranks.items()}
    assert (config["init_r"], config["rank_pattern"]) == (largest, masks if escaped else None)


def test_ranks_by_the_power_law(frog, checkpoint, tmp_path):
    """--rank times 0.7 to 1.4, more for a matrix with a larger exponent."""
    source, some = checkpoint("minilm"), ("0.attention.self.query", "1.attention.self.key", "0.attention.output.dense")
    options = ("--rank-by", "alpha", "--rank", 10, "--target-modules", ",".join(some))
    described = export(frog, "lora-xs", source, tmp_path / "out", *options)
    include = [word for name in some for word in ("--include", f"*{name}.weight")]
    analyzed = frog("analyze", source, "--out", tmp_path / "analyzed", "--threads", 1, *include)
    assert analyzed.status == 0, str(analyzed)
    with open(tmp_path / "analyzed/details.csv", newline="") as stream:
        exponent = {row["longname"]: float(row["alpha"]) for row in csv.DictReader(stream)}
    for matrix in described["matrices"]:
        alpha = exponent[matrix["module"]]
        half = np.clip((alpha - 1) / 2 if alpha <= 2 else (5 - alpha) / 2, -0.5, 0.5)
        assert matrix["methods"]["lora-xs"]["rank"] == round(10 * 2**half), (matrix["name"], alpha)
    assert len({matrix["methods"]["lora-xs"]["rank"] for matrix in described["matrices"]}) > 1


# SVFT -------------------------------------------------------------------------------------------------------------------------------


def entries(folder, tensor):
    found = tensors_of(folder)
    layer = tensor.removesuffix(".weight") + ".svft_layer"
    assert found[f"{layer}.s_row"][0] == found[f"{layer}.s_col"][0] == "I64"
    return list(zip(found[f"{layer}.s_row"][1].astype(int), found[f"{layer}.s_col"][1].astype(int)))


def count(p, d):
    d = min(d, p - 1)
    return p * (2 * d + 1) - d * (d + 1)


@pytest.mark.parametrize("diagonals", [0, 1, 5, 100])
@pytest.mark.parametrize("pattern", ["plain", "banded", "random", "top-k"])
def test_svft_patterns(frog, model, tmp_path, pattern, diagonals):
    if pattern == "plain" and diagonals:
        pytest.skip("plain has no diagonals beside it")
    given = () if pattern == "plain" else ("--diagonals", diagonals)
    rule = ("--top-k-rule", "repo") if pattern == "top-k" else ()
    modules = ("--target-modules", "q_proj,k_proj,up_proj,down_proj")
    export(frog, "svft", model, tmp_path / "out", "--pattern", pattern, *given, *rule, *modules)
    options = json.loads((tmp_path / "out/svft/adapter.json").read_text())["parameters"]
    assert options == {"rank": None, "pattern": pattern, "d": diagonals, "top_k_rule": "repo" if pattern == "top-k" else None}
    for tensor, weights in weights_of(model).items():
        if not any(name in tensor for name in ("q_proj", "k_proj", "up_proj", "down_proj")):
            continue
        p = min(weights.shape)
        found = entries(tmp_path / "out/svft", tensor)
        assert found == sorted(set(found)) and len(found) == count(p, diagonals)
        assert all(0 <= i < p and 0 <= j < p for i, j in found)
        if pattern in ("plain", "banded"):
            assert all(abs(i - j) <= diagonals for i, j in found)
        if pattern == "top-k":
            assert_top(found, likeness("repo", weights))


def likeness(rule, weights):
    """What --pattern top-k ranks by: u_i·v_j, or the elements of U·V as the authors' program has them."""
    u, _, vt = decomposed(weights)
    if rule == "paper":
        return u.T @ vt.T
    m, n = weights.shape
    return u @ vt.T if m == n else u if m < n else vt


def assert_top(found, values):
    """The chosen entries are the largest; of those that rounding can exchange any."""
    border = np.sort(values.reshape(-1))[-len(found)]
    chosen = np.zeros(values.shape, bool)
    chosen[tuple(np.transpose(found))] = True
    assert values[chosen].min() >= border - 1e-9 and (chosen.all() or values[~chosen].max() <= border + 1e-9)


@pytest.mark.parametrize("rule", ["paper", "repo"])
def test_top_k_of_square_matrices(frog, model, tmp_path, rule):
    options = ("--pattern", "top-k", "--diagonals", 2, *(() if rule == "paper" else ("--top-k-rule", rule)))
    export(frog, "svft", model, tmp_path / "out", *options, "--target-modules", "q_proj,o_proj")
    for tensor, weights in weights_of(model).items():
        if "q_proj" in tensor or "o_proj" in tensor:
            assert_top(entries(tmp_path / "out/svft", tensor), likeness(rule, weights))


def test_top_k_by_the_paper_needs_square_matrices(frog, model, tmp_path):
    result = frog("export", "svft", model, "--out", tmp_path / "out", "--pattern", "top-k")
    assert_refused(result, 64, "down_proj", "[48, 80]", "square", "--top-k-rule repo")


def test_random_entries_and_projections_depend_on_the_seed_and_the_name(frog, model, tmp_path):
    found = {}
    for name, options in {"a": ("--seed", 1), "b": ("--seed", 1), "c": ("--seed", 2)}.items():
        export(frog, "svft,tinylora", model, tmp_path / name, "--pattern", "random", "--diagonals", 2, *options)
        patterns = {t: entries(tmp_path / name / "svft", t) for t in weights_of(model) if "self_attn" in t}
        drawn = {t: v for t, (_, v) in tensors_of(tmp_path / name / "tinylora").items() if t.endswith("tinylora_P")}
        found[name] = patterns, drawn
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    for tensor, positions in found["a"][0].items():
        assert positions != found["c"][0][tensor]
    assert all(not np.array_equal(value, found["c"][1][name]) for name, value in found["a"][1].items())
    square = [tuple(p) for t, p in found["a"][0].items() if "q_proj" in t or "o_proj" in t]
    assert len(set(square)) == 2
    # Entries are spread over the whole matrix.
    share = np.mean([i < 24 for i, _ in square[0] + square[1]])
    assert 0.4 < share < 0.6


def test_svft_has_all_of_the_weights(everything, model):
    found = tensors_of(everything[0] / "svft")
    for tensor in targets(weights_of(model)):
        layer, weights = tensor.removesuffix(".weight") + ".svft_layer", weights_of(model)[tensor]
        restored = found[f"{layer}.u"][1] * found[f"{layer}.s_pre"][1] @ found[f"{layer}.v"][1]
        assert np.abs(restored - weights).max() <= 2e-6 * np.abs(weights).max()


# Extremes ---------------------------------------------------------------------------------------------------------------------------


def test_zeros_and_tiny_singular_values(frog, tmp_path):
    generator = np.random.default_rng(7)
    graded = np.linalg.qr(generator.standard_normal((40, 30)))[0] * 0.5 ** np.arange(30)
    graded = graded @ np.linalg.qr(generator.standard_normal((30, 30)))[0]
    matrices = {
        "zero": np.zeros((20, 16)),
        "low": generator.standard_normal((32, 3)) @ generator.standard_normal((3, 24)),
        "graded": graded,
        "tiny": generator.standard_normal((24, 20)) * 1e-30,
        "large": generator.standard_normal((24, 20)) * 1e30,
        "row": generator.standard_normal((1, 12)),
    }
    tensors = {f"h.0.{name}.weight": checkpoints.encode(matrix, "F32") for name, matrix in matrices.items()}
    source = checkpoints.write_checkpoint(tmp_path / "in", tensors)
    names = ",".join(f"h.0.{name}" for name in matrices if name != "row")
    described = export(frog, "svft,pissa,milora,mica", source, tmp_path / "out", "--rank", 8, "--target-modules", names)
    svft, out = tensors_of(tmp_path / "out/svft"), tmp_path / "out"
    for matrix in described["matrices"]:
        weights, layer = layouts.decoded(*tensors[matrix["name"]]), matrix["module"] + ".svft_layer"
        size = np.abs(weights).max()
        u, s, v = (svft[f"{layer}.{part}"][1] for part in ("u", "s_pre", "v"))
        assert np.abs(u * s @ v - weights).max() <= 2e-6 * size
        # Both sides are orthonormal, whatever σ is.
        assert max(np.abs(u.T @ u - np.eye(s.size)).max(), np.abs(v @ v.T - np.eye(s.size)).max()) <= 1e-5
        b = tensors_of(out / "mica")[f"base_model.model.{matrix['module']}.lora_B.weight"][1]
        assert np.abs(b.T @ b - np.eye(8)).max() <= 1e-5
        for method in ("pissa", "milora"):
            base, adapter = tensors_of(out / method), tensors_of(out / method / "adapter")
            left = base[matrix["name"]][1].astype(np.longdouble)
            error = np.abs(left + taken(method, adapter, matrix["module"], 1) - weights)
            # Where almost nothing is left, double precision has no more digits.
            assert np.all(error <= half_ulp(left, "F32") * (1 + 1e-6) + 1e-15 * size), matrix["name"]
    narrow = frog("export", "pissa", source, "--out", tmp_path / "none", "--rank", 2, "--target-modules", "h.0.row,h.0.low")
    assert_refused(narrow, 64, "'h.0.row' gets no adapter", "one row or column")


def test_numbers_beyond_single_precision(frog, tmp_path):
    base = np.random.default_rng(8).standard_normal((30, 20))
    large = checkpoints.write_checkpoint(tmp_path / "large", {"h.0.weight": checkpoints.encode(base * 1e60, "F64")})
    assert_refused(frog("export", "svft", large, "--out", tmp_path / "none"), 65, "h.0.weight", "single precision", "--target-modules")
    # What is left of a weight can be larger than the weight, and than its type holds.
    spread = np.full((40, 40), 60_000.0) * np.random.default_rng(1).choice([1, -1], (40, 40))
    half = checkpoints.write_checkpoint(tmp_path / "half", {"h.0.weight": checkpoints.encode(spread, "F16")})
    assert_refused(frog("export", "pissa", half, "--out", tmp_path / "half out", "--rank", 12), 65, "h.0.weight", "F16", "--keep-base")
