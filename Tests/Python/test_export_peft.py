"""`frog-mpi export` for the methods that PEFT loads: PEFT itself loads, trains, merges and saves what is written."""

import importlib.util
import json
import os
import re
import shutil
import warnings
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

import exported
import reference

os.environ.setdefault("HF_HUB_OFFLINE", "1")
transformers = pytest.importorskip("transformers", minversion="5", reason="transformers is not installed (scripts/setup --peers)")
peft = pytest.importorskip("peft", minversion="0.21", reason="PEFT is not installed (scripts/setup --peers)")
import torch  # noqa: E402
from peft.tuners.lora import layer as lora  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
_specification = importlib.util.spec_from_file_location("small_models", ROOT / "python/tests/models.py")
models = importlib.util.module_from_spec(_specification)
_specification.loader.exec_module(models)

TORCH = {"F32": torch.float32, "BF16": torch.bfloat16}
KINDS = ("llama", "bert", "bare bert", "gpt2", "qwen-moe", "glm-moe")
RANK = 4
TOKENIZER = {
    "tokenizer.json": '{"version": "1.0", "model": {"type": "WordLevel", "vocab": {"[UNK]": 0, "yes": 1}, "unk_token": "[UNK]"}}',
    "tokenizer_config.json": '{"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": "[UNK]"}',
}
#: The parameters that a method trains. PEFT leaves more of AdaLoRA's trainable, so the cards freeze them.
TRAINED = {
    "pissa": ("lora_A", "lora_B"), "milora": ("lora_A", "lora_B"), "mica": ("lora_A",), "svfit": ("lora_E",),
    "spectral-additive": ("lora_A", "lora_B"), "tinylora": ("tinylora_v",),
}  # fmt: skip


@pytest.fixture(scope="session")
def source(tmp_path_factory, checkpoint):
    """Name and type of a model → its checkpoint in a few shards, with a tokenizer."""
    made = {}

    def make(name, dtype="F32"):
        if name == "minilm":
            return checkpoint("minilm")
        if (name, dtype) not in made:
            folder = tmp_path_factory.mktemp("model") / "m"
            models.save(name, folder, TORCH[dtype], max_shard_size="30KB" if dtype == "F32" else "15KB")
            for file, text in TOKENIZER.items():
                (folder / file).write_text(text)
            made[name, dtype] = folder
        return made[name, dtype]

    return make


@pytest.fixture(scope="session")
def export(frog, tmp_path_factory):
    """Runs `frog-mpi export`, once for equal arguments; returns the output folder."""
    made = {}

    def run(method, checkpoint, *options):
        key = (method, checkpoint, options)
        if key not in made:
            out = tmp_path_factory.mktemp("export") / "out"
            result = frog("export", method, checkpoint, "--out", out, "--threads", 1, *options)
            assert result.status == 0, str(result)
            made[key] = out / method
        return made[key]

    return run


def task_of(name):
    return "CAUSAL_LM" if models.MODELS.get(name, ("",))[0].endswith(("ForCausalLM", "LMHeadModel")) else None


def load_model(name, folder, dtype=torch.float32):
    if name == "minilm":
        return transformers.AutoModel.from_pretrained(folder, dtype=dtype).eval()
    return models.load(name, folder, dtype)


def outputs(model):
    """What a model makes of a fixed input."""
    generator = torch.Generator().manual_seed(1)
    found = model(input_ids=torch.randint(1, 60, (2, 9), generator=generator))
    return found.logits if "logits" in found else found.last_hidden_state


@contextmanager
def no_decomposition():
    """Fails if torch decomposes anything."""

    def refuse(*_, **__):
        raise AssertionError("PEFT decomposes the weights again")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.linalg, "svd", refuse)
        patch.setattr(lora, "svd_lowrank", refuse)
        yield


@contextmanager
def zeros_for_decompositions():
    """What the card of TinyLoRA does while PEFT loads."""

    def zeros(weight, full_matrices=True):
        m, n = weight.shape
        p = min(m, n)
        return weight.new_zeros(m, p), weight.new_zeros(p), weight.new_zeros(p, n)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.linalg, "svd", zeros)
        yield


def load_adapter(method, model, folder, **options):
    """Loads an adapter the way its card says, without a decomposition and without a warning that concerns the adapter."""
    if method == "mica":
        options["low_cpu_mem_usage"] = True
    with zeros_for_decompositions() if method == "tinylora" else no_decomposition(), warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        loaded = peft.PeftModel.from_pretrained(model, folder, **options)
    # PEFT compares keys of rank patterns with names of modules alone, though it finds ranks of parameters and of AdaLoRA by them.
    wrong = "(rank|alpha)_pattern keys did not match"
    assert [str(w.message) for w in told if "adapter" in str(w.message) and not re.search(wrong, str(w.message))] == []
    return loaded.eval()


def folders(method, written, checkpoint, keep_base=False):
    """The folders of the base and of the adapter."""
    return (written, written / "adapter") if method in exported.RESIDUAL and not keep_base else (checkpoint, written)


def ready(method, written, name, checkpoint, dtype="F32", keep_base=False, **options):
    """The base with its adapter."""
    base, folder = folders(method, written, checkpoint, keep_base)
    return load_adapter(method, load_model(name, base, TORCH[dtype]), folder, **options)


def weights_of(model, path):
    """The weight of a module, in float64."""
    return model.get_submodule(path).weight.detach().double().numpy()


def assert_adapter(folder, expected, dtype="F32"):
    """The files of an adapter hold what the reference says."""
    assert json.loads((folder / "adapter_config.json").read_text()) == expected.config
    found = exported.stored(folder / "adapter_model.safetensors")
    assert list(found) == sorted(expected.tensors)
    for name, (stored_type, shape, values) in found.items():
        exact = expected.tensors[name]
        assert (stored_type, shape) == (dtype, exact.shape), name
        if not np.isnan(exact).any():
            allowed = 1e-5 * np.abs(exact).max() + (0 if dtype == "F32" else np.abs(exact) * 2.0**-8)
            assert np.all(np.abs(values - exact) <= allowed), name
    return {name: values for name, (_, _, values) in found.items()}


def assert_residual(base, checkpoint, adapter, tensors, is_target=lambda path: True):
    """A residual base: the checkpoint with other values of the adapted weights alone, which give the old ones with the adapter."""
    adapted = {module.tensor: module for module in exported.modules(checkpoint, is_target)}
    assert {path.name for path in base.iterdir()} == {path.name for path in checkpoint.iterdir()} | {"adapter", "README.md"}
    for path in checkpoint.iterdir():
        if path.suffix != ".safetensors":
            assert path.read_bytes() == (base / path.name).read_bytes(), path.name
            continue
        old, new = exported.stored(path), exported.stored(base / path.name)
        assert list(old) == list(new)
        for name, (dtype, shape, values) in new.items():
            assert old[name][:2] == (dtype, shape)
            if name not in adapted:
                assert values.tobytes() == old[name][2].tobytes(), name
                continue
            module = adapted.pop(name)
            missing = np.abs(module.turned(values.astype(np.float64)) + adapter.change(module.path, tensors) - module.weights)
            assert np.all(missing <= (1 + 1e-6) * exported.half_unit(module.turned(values), dtype)), name
            assert not np.array_equal(values, old[name][2]), name
    assert adapted == {}


CASES = [
    (method, name, dtype) for method in exported.METHODS for name in KINDS for dtype in ("F32", "BF16") if dtype == "F32" or name == "llama"
]


def reference_of(method, name, checkpoint, **options):
    # PEFT takes some modules of models with experts for experts, and MiCA has no way around that.
    leaves = exported.leaves_of_experts(checkpoint)
    has_experts = len(leaves) > 1
    is_target = options.pop("is_target", lambda path: True)

    def is_free(path):
        return is_target(path) and not (method == "mica" and has_experts and path.rpartition(".")[2] in leaves)

    return exported.adapter(checkpoint, method, **{"rank": RANK, "task": task_of(name), "is_target": is_free} | options), is_free


@pytest.mark.parametrize("method, name, dtype", CASES)
def test_files(export, source, method, name, dtype):
    checkpoint = source(name, dtype)
    written = export(method, checkpoint, "--rank", RANK)
    base, folder = folders(method, written, checkpoint)
    expected, is_target = reference_of(method, name, checkpoint)
    tensors = assert_adapter(folder, expected)
    assert (written / "README.md").is_file()
    if method in exported.RESIDUAL:
        assert_residual(base, checkpoint, expected, tensors, is_target)


@pytest.mark.parametrize("method, name, dtype", CASES)
def test_peft_starts_with_the_model(export, source, method, name, dtype):
    """Nothing is decomposed again, and what the model makes of its input is what it was before."""
    checkpoint = source(name, dtype)
    model = ready(method, export(method, checkpoint, "--rank", RANK), name, checkpoint, dtype)
    expected, _ = reference_of(method, name, checkpoint)
    adapted = model.base_model.targeted_module_names + [p.removesuffix(".weight") for p in model.base_model.targeted_parameter_names]
    assert sorted(adapted) == sorted(expected.ranks)
    with torch.no_grad():
        before, now = outputs(load_model(name, checkpoint, TORCH[dtype])), outputs(model)
    if not expected.has_residual:
        assert torch.equal(before, now)
    else:
        # 16 bits round W_res and every layer's outputs.
        assert torch.allclose(before, now, rtol=0, atol=(1e-5 if dtype == "F32" else 0.05) * float(before.abs().max()))


@pytest.mark.parametrize("method, name, dtype", CASES)
def test_merging_gives_the_weights_of_the_formula(export, source, method, name, dtype):
    checkpoint = source(name, dtype)
    written = export(method, checkpoint, "--rank", RANK)
    base, folder = folders(method, written, checkpoint)
    expected, is_target = reference_of(method, name, checkpoint)
    tensors = {key: value for key, (_, _, value) in exported.stored(folder / "adapter_model.safetensors").items()}
    plain = load_model(name, base, TORCH[dtype])
    merged = ready(method, written, name, checkpoint, dtype).merge_and_unload()
    for module in exported.modules(checkpoint, is_target):
        exact = weights_of(plain, module.path) + module.turned(expected.change(module.path, tensors))
        found = weights_of(merged, module.path)
        rounding = np.abs(exact).max() * 2.0**-21 + exported.half_unit(found, module.dtype)
        assert np.all(np.abs(found - exact) <= rounding), module.path
        # The merged weights are the old ones, up to the rounding of both.
        both = rounding + exported.half_unit(weights_of(plain, module.path), module.dtype)
        assert np.all(np.abs(found - module.turned(module.weights)) <= both), module.path


def train(model, method, steps=2):
    """Some steps of training of what the method trains."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(any(f".{part}." in name for part in TRAINED[method]))
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    for _ in range(steps):
        outputs(model).float().square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()


@pytest.mark.parametrize("method, name, dtype", CASES)
def test_training_changes_what_it_should_alone(export, source, tmp_path, method, name, dtype):
    """And what was trained is saved, and comes back."""
    checkpoint = source(name, dtype)
    written = export(method, checkpoint, "--rank", RANK)
    model = ready(method, written, name, checkpoint, dtype, is_trainable=True)
    may_train = {part for key, p in model.named_parameters() if p.requires_grad for part in re.findall(r"(?:lora|tinylora)_\w", key)}
    assert may_train >= set(TRAINED[method])
    if method not in exported.ADALORA:
        assert may_train == set(TRAINED[method])
    before = {key: value.clone() for key, value in model.state_dict().items()}
    train(model, method)
    changed = {key for key, value in model.state_dict().items() if not torch.equal(value, before[key])}
    assert changed and all(any(f".{part}." in key for part in TRAINED[method]) for key in changed)
    expected, _ = reference_of(method, name, checkpoint)
    for part in TRAINED[method]:
        reached = {path for path in expected.ranks if any(f"{path}.{part}." in key for key in changed)}
        # The last layers of a model without a head may get no gradient, and an expert that is not chosen has none.
        assert len(reached) >= 0.7 * len(expected.ranks), (part, set(expected.ranks) - reached)
    with torch.no_grad():
        trained = outputs(model)
    model.save_pretrained(tmp_path / "trained")
    base, _ = folders(method, written, checkpoint)
    again = load_adapter(method, load_model(name, base, TORCH[dtype]), tmp_path / "trained")
    with torch.no_grad():
        close = 0 if method != "mica" or dtype == "F32" else 0.02 * float(trained.abs().max())
        assert torch.allclose(outputs(again), trained, rtol=0, atol=close)


@pytest.mark.parametrize("method", exported.METHODS)
def test_a_real_model(export, source, method):
    checkpoint = source("minilm")
    written = export(method, checkpoint, "--rank", "16")
    base, folder = folders(method, written, checkpoint)
    expected, is_target = reference_of(method, "minilm", checkpoint, rank=16)
    assert len(expected.ranks) == 37
    tensors = {key: value for key, (_, _, value) in exported.stored(folder / "adapter_model.safetensors").items()}
    assert json.loads((folder / "adapter_config.json").read_text()) == expected.config
    if method in exported.RESIDUAL:
        assert_residual(base, checkpoint, expected, tensors)
    model = ready(method, written, "minilm", checkpoint)
    with torch.no_grad():
        before = outputs(load_model("minilm", checkpoint))
        assert torch.allclose(outputs(model), before, rtol=0, atol=1e-5 * float(before.abs().max()))
        assert torch.allclose(outputs(model.merge_and_unload()), before, rtol=0, atol=1e-5 * float(before.abs().max()))


@pytest.mark.parametrize("name", ["llama", "gpt2", "glm-moe"])
@pytest.mark.parametrize("method", ["pissa", "milora", "spectral-additive"])
def test_keep_base(export, source, method, name):
    """The same start on the untouched base, as PEFT's own conversion lays it out."""
    checkpoint = source(name)
    written = export(method, checkpoint, "--rank", RANK, "--keep-base")
    expected, _ = reference_of(method, name, checkpoint, keep_base=True)
    assert_adapter(written, expected)
    assert sorted(path.name for path in written.iterdir()) == ["README.md", "adapter_config.json", "adapter_model.safetensors"]
    model = ready(method, written, name, checkpoint, keep_base=True, is_trainable=True)
    with torch.no_grad():
        before = outputs(load_model(name, checkpoint))
        assert torch.allclose(outputs(model), before, rtol=0, atol=1e-5 * float(before.abs().max()))


@pytest.mark.parametrize("name", ["llama", "gpt2", "glm-moe"])
def test_the_conversion_of_peft(export, source, tmp_path, name):
    """What was trained with a residual base becomes an adapter of the untouched one; the initial adapter is in the export."""
    checkpoint = source(name)
    written = export("pissa", checkpoint, "--rank", RANK)
    initial = shutil.copytree(written / "adapter", tmp_path / "initial")
    model = ready("pissa", written, name, checkpoint, is_trainable=True)
    train(model, "pissa")
    model.save_pretrained(tmp_path / "converted", path_initial_model_for_weight_conversion=str(initial))
    converted = load_adapter("pissa", load_model(name, checkpoint), tmp_path / "converted")
    with torch.no_grad():
        trained, untrained = outputs(model), outputs(load_model(name, checkpoint))
        assert torch.allclose(outputs(converted), trained, rtol=0, atol=1e-5 * float(trained.abs().max()))
        assert not torch.allclose(trained, untrained, rtol=0, atol=1e-4 * float(trained.abs().max()))
