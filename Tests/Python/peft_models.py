"""Small models, their exports, and PEFT's models of them. Needs PEFT and transformers 5 (scripts/setup --peers)."""

import importlib.util
import os
import re
import warnings
from contextlib import contextmanager
from pathlib import Path

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
transformers = pytest.importorskip("transformers", minversion="5", reason="transformers is not installed (scripts/setup --peers)")
peft = pytest.importorskip("peft", minversion="0.21", reason="PEFT is not installed (scripts/setup --peers)")
import torch  # noqa: E402
from peft.tuners.lora import layer as lora  # noqa: E402

import peft_reference  # noqa: E402

_specification = importlib.util.spec_from_file_location("small_models", Path(__file__).resolve().parents[2] / "python/tests/models.py")
models = importlib.util.module_from_spec(_specification)
_specification.loader.exec_module(models)

TORCH = {"F32": torch.float32, "BF16": torch.bfloat16}
TOKENIZER = {
    "tokenizer.json": '{"version": "1.0", "model": {"type": "WordLevel", "vocab": {"[UNK]": 0, "yes": 1}, "unk_token": "[UNK]"}}',
    "tokenizer_config.json": '{"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": "[UNK]"}',
}
#: The parameters that a method trains. PEFT leaves more of AdaLoRA's trainable, so the cards freeze them.
TRAINED = {
    "pissa": ("lora_A", "lora_B"), "milora": ("lora_A", "lora_B"), "mica": ("lora_A",), "svfit": ("lora_E",),
    "spectral-additive": ("lora_A", "lora_B"), "tinylora": ("tinylora_v",),
}  # fmt: skip


def is_causal(name):
    return name in models.MODELS and models.MODELS[name][0].endswith(("ForCausalLM", "LMHeadModel"))


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
    return (written, written / "adapter") if method in peft_reference.RESIDUAL and not keep_base else (checkpoint, written)


def ready(method, written, name, checkpoint, dtype="F32", keep_base=False, **options):
    """The base with its adapter."""
    base, folder = folders(method, written, checkpoint, keep_base)
    return load_adapter(method, load_model(name, base, TORCH[dtype]), folder, **options)


def train(model, method, steps=2):
    """Some steps of training of what the method trains."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(any(f".{part}." in name for part in TRAINED[method]))
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    for _ in range(steps):
        outputs(model).float().square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()


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
    """Runs `frog-mpi export`, once for equal arguments; returns the folder of the method."""
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
