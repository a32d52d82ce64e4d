"""`frog-mpi export` for the methods that PEFT loads: PEFT itself loads, trains, merges and saves what is written."""

import json
import re
import shutil

import numpy as np
import pytest

import peft_reference
from harness import LONG
from peft_models import (
    TORCH,
    TRAINED,
    export,  # noqa: F401
    folders,
    is_causal,
    load_adapter,
    load_model,
    outputs,
    peft,
    ready,
    source,  # noqa: F401
    torch,
    train,
)

KINDS = ("llama", "bert", "qwen-moe")
#: Models that differ in prefixes, orientation and names of experts, which matters to the forms of files.
OTHERS = ("bare bert", "gpt2", "glm-moe")
RANK = 4
#: One method of each form; the others have the same forms.
FORMS = [method for method in peft_reference.METHODS if LONG or method in ("pissa", "svfit", "mica", "tinylora")]
CASES = [(method, name, "F32") for method in peft_reference.METHODS for name in KINDS]
CASES += [(method, name, "F32") for method in FORMS for name in OTHERS]
CASES += [(method, "llama", "BF16") for method in peft_reference.METHODS]


def expected_of(method, name, checkpoint, is_target=lambda path: True, **options):
    """The adapter that is expected, and what tells which modules have one."""
    # PEFT takes some modules of models with experts for experts, and MiCA has no way around that.
    leaves = peft_reference.leaves_of_experts(checkpoint)
    hidden = leaves if method == "mica" and len(leaves) > 1 else ()

    def is_adapted(path):
        return is_target(path) and path.rpartition(".")[2] not in hidden

    task = "CAUSAL_LM" if is_causal(name) else None
    return peft_reference.adapter(checkpoint, method, **{"rank": RANK, "task": task, "is_target": is_adapted} | options), is_adapted


def weights_of(model, path):
    """The weight of a module, in float64."""
    return model.get_submodule(path).weight.detach().double().numpy()


def tensors_of(folder):
    return {name: values for name, (_, _, values) in peft_reference.stored(folder / "adapter_model.safetensors").items()}


def assert_adapter(folder, expected):
    """The files of an adapter hold what the reference says; returns its tensors."""
    assert json.loads((folder / "adapter_config.json").read_text()) == expected.config
    found = peft_reference.stored(folder / "adapter_model.safetensors")
    assert found.keys() == expected.tensors.keys()
    for name, (dtype, shape, values) in found.items():
        exact = expected.tensors[name]
        assert (dtype, shape) == ("F32", exact.shape), name
        if not np.isnan(exact).any():
            assert np.abs(values - exact).max() <= 1e-5 * np.abs(exact).max(), name
    return tensors_of(folder)


def assert_residual(base, checkpoint, expected, tensors, is_target):
    """A residual base: the checkpoint with other values of the adapted weights alone, which give the old ones with the adapter."""
    adapted = {module.tensor: module for module in peft_reference.modules(checkpoint, is_target)}
    # The model's own card is about other weights.
    copied = {path.name for path in checkpoint.iterdir() if path.is_file() and path.name != "README.md"}
    assert {path.name for path in base.iterdir()} >= copied | {"adapter", "README.md"}
    for path in checkpoint.iterdir():
        if path.suffix != ".safetensors":
            if path.name in copied:
                assert path.read_bytes() == (base / path.name).read_bytes(), path.name
            continue
        old, new = peft_reference.stored(path), peft_reference.stored(base / path.name)
        assert list(old) == list(new)
        for name, (dtype, shape, values) in new.items():
            assert old[name][:2] == (dtype, shape)
            if name not in adapted:
                assert values.tobytes() == old[name][2].tobytes(), name
                continue
            module = adapted.pop(name)
            values = module.turned(values.astype(np.float64))
            missing = np.abs(values + expected.change(module.path, tensors) - module.weights)
            # The second term is the rounding of both programs' double precision, which counts where almost nothing is left.
            allowed = peft_reference.half_unit(values, dtype) + 2.0**-48 * np.abs(module.weights).max()
            assert np.all(missing <= allowed), name
            assert not np.array_equal(values, module.weights), name
    assert adapted == {}


def assert_start(model, name, checkpoint, expected, dtype="F32"):
    """PEFT has adapted the modules that it should, and the model computes what it did before."""
    adapted = model.base_model.targeted_module_names + [p.removesuffix(".weight") for p in model.base_model.targeted_parameter_names]
    assert sorted(adapted) == sorted(expected.ranks)
    with torch.no_grad():
        before, now = outputs(load_model(name, checkpoint, TORCH[dtype])), outputs(model)
    if not expected.has_residual and not expected.keeps_base:
        assert torch.equal(before, now)
    else:
        # 16 bits round W_res and every layer's outputs.
        assert torch.allclose(before, now, rtol=0, atol=(1e-5 if dtype == "F32" else 0.05) * float(before.abs().max()))


def assert_merged(model, base, expected, tensors, found, dtype="F32"):
    """Merging gives the weights of the formula, which are the old ones up to rounding."""
    for module in found:
        before = weights_of(base, module.path)
        exact = before + module.turned(expected.change(module.path, tensors))
        merged = weights_of(model, module.path)
        rounding = np.abs(exact).max() * 2.0**-20 + peft_reference.half_unit(merged, dtype)
        assert np.all(np.abs(merged - exact) <= rounding), module.path
        old = module.turned(module.weights)
        assert np.all(np.abs(merged - old) <= rounding + peft_reference.half_unit(before, dtype)), module.path


@pytest.mark.parametrize("method, name, dtype", CASES)
def test_files(export, source, method, name, dtype):  # noqa: F811
    checkpoint = source(name, dtype)
    written = export(method, checkpoint, "--rank", RANK)
    base, folder = folders(method, written, checkpoint)
    expected, is_adapted = expected_of(method, name, checkpoint)
    tensors = assert_adapter(folder, expected)
    if expected.has_residual:
        assert_residual(base, checkpoint, expected, tensors, is_adapted)
    else:
        assert sorted(path.name for path in written.iterdir()) == ["README.md", "adapter_config.json", "adapter_model.safetensors"]


@pytest.mark.parametrize("method, name, dtype", CASES)
def test_peft_starts_with_the_model(export, source, method, name, dtype):  # noqa: F811
    """Nothing is decomposed again, and what the model makes of its input is what it was before."""
    checkpoint = source(name, dtype)
    model = ready(method, export(method, checkpoint, "--rank", RANK), name, checkpoint, dtype)
    assert_start(model, name, checkpoint, expected_of(method, name, checkpoint)[0], dtype)


@pytest.mark.parametrize("method, name, dtype", CASES)
def test_merging(export, source, method, name, dtype):  # noqa: F811
    checkpoint = source(name, dtype)
    written = export(method, checkpoint, "--rank", RANK)
    base, folder = folders(method, written, checkpoint)
    expected, is_adapted = expected_of(method, name, checkpoint)
    merged = ready(method, written, name, checkpoint, dtype).merge_and_unload()
    found = peft_reference.modules(checkpoint, is_adapted)
    assert_merged(merged, load_model(name, base, TORCH[dtype]), expected, tensors_of(folder), found, dtype)


@pytest.mark.parametrize("method, name, dtype", CASES)
def test_training_changes_what_it_should_alone(export, source, tmp_path, method, name, dtype):  # noqa: F811
    """What was trained is saved, and comes back."""
    checkpoint = source(name, dtype)
    written = export(method, checkpoint, "--rank", RANK)
    model = ready(method, written, name, checkpoint, dtype, is_trainable=True)
    may_train = {part for key, p in model.named_parameters() if p.requires_grad for part in re.findall(r"(?:lora|tinylora)_\w", key)}
    assert may_train >= set(TRAINED[method])
    if method not in peft_reference.ADALORA:
        assert may_train == set(TRAINED[method])
    before = {key: value.clone() for key, value in model.state_dict().items()}
    train(model, method)
    changed = {key for key, value in model.state_dict().items() if not torch.equal(value, before[key])}
    assert changed and all(any(f".{part}." in key for part in TRAINED[method]) for key in changed)
    expected, _ = expected_of(method, name, checkpoint)
    for part in TRAINED[method]:
        reached = {path for path in expected.ranks if any(f"{path}.{part}." in key for key in changed)}
        # The pooler has no part in what is trained here.
        assert len(reached) >= 0.7 * len(expected.ranks), (part, set(expected.ranks) - reached)
    with torch.no_grad():
        trained = outputs(model)
    model.save_pretrained(tmp_path / "trained")
    base, _ = folders(method, written, checkpoint)
    again = load_adapter(method, load_model(name, base, TORCH[dtype]), tmp_path / "trained")
    with torch.no_grad():
        # MiCA is loaded in a way that rounds it to 16 bits on such a base.
        close = 0 if method != "mica" or dtype == "F32" else 0.02 * float(trained.abs().max())
        assert torch.allclose(outputs(again), trained, rtol=0, atol=close)


@pytest.mark.parametrize("method", FORMS)
def test_a_real_model(export, source, method):  # noqa: F811
    checkpoint = source("minilm")
    written = export(method, checkpoint, "--rank", "16")
    base, folder = folders(method, written, checkpoint)
    expected, is_adapted = expected_of(method, "minilm", checkpoint, rank=16)
    assert len(expected.ranks) == 37
    assert json.loads((folder / "adapter_config.json").read_text()) == expected.config
    if expected.has_residual:
        assert_residual(base, checkpoint, expected, tensors_of(folder), is_adapted)
    model = ready(method, written, "minilm", checkpoint)
    assert_start(model, "minilm", checkpoint, expected)
    plain = load_model("minilm", base)
    assert_merged(model.merge_and_unload(), plain, expected, tensors_of(folder), peft_reference.modules(checkpoint, is_adapted))


@pytest.mark.parametrize("name", ["llama", "gpt2", "glm-moe"])
@pytest.mark.parametrize("method", peft_reference.RESIDUAL)
def test_keep_base(export, source, method, name):  # noqa: F811
    """The same start on the untouched base, as PEFT's own conversion lays it out."""
    checkpoint = source(name)
    written = export(method, checkpoint, "--rank", RANK, "--keep-base")
    expected, is_adapted = expected_of(method, name, checkpoint, keep_base=True)
    tensors = assert_adapter(written, expected)
    assert sorted(path.name for path in written.iterdir()) == ["README.md", "adapter_config.json", "adapter_model.safetensors"]
    model = ready(method, written, name, checkpoint, keep_base=True, is_trainable=True)
    assert_start(model, name, checkpoint, expected)
    plain = load_model(name, checkpoint)
    assert_merged(model.merge_and_unload(), plain, expected, tensors, peft_reference.modules(checkpoint, is_adapted))


@pytest.mark.parametrize("name", ["llama", "gpt2", "glm-moe"])
def test_the_conversion_of_peft(export, source, tmp_path, name):  # noqa: F811
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


@pytest.mark.parametrize("name", ["llama", "gpt2", "glm-moe"])
@pytest.mark.parametrize(
    "method, options",
    [
        ("pissa", ("--alpha", "6")),
        ("pissa", ("--keep-base",)),
        ("spectral-additive", ()),
        ("spectral-additive", ("--keep-base",)),
        ("svfit", ()),
    ],
)
@pytest.mark.parametrize("rule", ["energy:0.5", "stable-rank"])
def test_ranks_that_differ(export, source, method, options, rule, name):  # noqa: F811
    """Every module has the rank that its spectrum asks for, and all have one scale."""
    checkpoint = source(name)
    written = export(method, checkpoint, "--rank-by", rule, *options)
    keep_base = "--keep-base" in options
    alpha = 6 if "--alpha" in options else None
    expected, is_adapted = expected_of(method, name, checkpoint, rank=1 << 20, by=rule, alpha=alpha, keep_base=keep_base)
    assert len(set(expected.ranks.values())) > 1
    base, folder = folders(method, written, checkpoint, keep_base)
    tensors = assert_adapter(folder, expected)
    if expected.has_residual:
        assert_residual(base, checkpoint, expected, tensors, is_adapted)
    model = ready(method, written, name, checkpoint, keep_base=keep_base)
    assert_start(model, name, checkpoint, expected)
    plain = load_model(name, base)
    assert_merged(model.merge_and_unload(), plain, expected, tensors, peft_reference.modules(checkpoint, is_adapted))


def test_serveable_ranks(export, source):  # noqa: F811
    """Ranks are raised to one that vLLM serves, or to all triplets where there are fewer."""
    checkpoint = source("llama")
    written = export("pissa", checkpoint, "--rank-by", "energy:0.5", "--serveable")
    served = (1, 8, 16, 32, 64, 128, 256, 320, 512)
    expected, _ = expected_of(
        "pissa", "llama", checkpoint, rank=1 << 20, by="energy:0.5", ranks=lambda r: next(found for found in served if found >= r)
    )
    assert set(expected.ranks.values()) <= {*served}
    assert_adapter(written / "adapter", expected)
    assert_start(ready("pissa", written, "llama", checkpoint), "llama", checkpoint, expected)


@pytest.mark.parametrize(
    "targets", ["q_proj,v_proj", "mlp.up_proj", r".*layers\.1\..*proj", r"model\.layers\.\d+\.self_attn\.(q|k)_proj", "all-linear"]
)
def test_targets_are_those_of_peft(export, source, targets):  # noqa: F811
    """`--target-modules` chooses what PEFT chooses, and what is written finds exactly that, also where PEFT shortens the list."""
    checkpoint = source("llama")
    given = targets.split(",") if re.fullmatch(r"[\w.,]+", targets) else targets
    chosen = peft.get_peft_model(load_model("llama", checkpoint), peft.LoraConfig(target_modules=given)).base_model.targeted_module_names
    written = export("svfit", checkpoint, "--rank", RANK, "--target-modules", targets)
    expected, _ = expected_of("svfit", "llama", checkpoint, is_target=set(chosen).__contains__)
    assert_adapter(written, expected)
    assert_start(ready("svfit", written, "llama", checkpoint), "llama", checkpoint, expected)


@pytest.mark.parametrize("name", ["bert", "bare bert", "gpt2"])
def test_all_linear_is_that_of_peft(source, name):  # noqa: F811
    model = peft.get_peft_model(load_model(name, source(name)), peft.LoraConfig(target_modules="all-linear"))
    assert sorted(model.base_model.targeted_module_names) == sorted(module.path for module in peft_reference.modules(source(name)))


def test_projections_of_tinylora(export, source):  # noqa: F811
    """They are random with variance 1/r, follow from the seed, and differ from matrix to matrix."""
    found = {}
    for seed in (0, 1):
        tensors = tensors_of(export("tinylora", source("llama"), "--rank", 8, "--seed", seed))
        found[seed] = [values for name, values in tensors.items() if name.endswith("tinylora_P")]
        assert {values.shape for values in found[seed]} == {(64, 8, 8)}
        together = np.concatenate([values.reshape(-1) for values in found[seed]]) * 8**0.5
        count = together.size
        assert abs(together.mean()) <= 5 / count**0.5 and abs(together.var() - 1) <= 5 * (2 / count) ** 0.5
        assert len({values.tobytes() for values in found[seed]}) == len(found[seed])
    assert not np.array_equal(found[0][0], found[1][0])
