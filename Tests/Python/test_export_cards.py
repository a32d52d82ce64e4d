"""The README.md of every method's folder: its Python runs as it stands, and does what it says."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

import peft_reference
from harness import LONG
from peft_models import (
    TRAINED,
    export,  # noqa: F401
    load_model,
    no_decomposition,
    outputs,
    peft,
    source,  # noqa: F401
    torch,
)

FROGMASK = ("svft", "spectral-rotation", "lora-xs", "smt")
METHODS = (*peft_reference.METHODS, *FROGMASK)
#: Options without which a method gets less of a small model, or nothing at all.
OPTIONS = {"svft": (), "smt": ("--proxy", "--block", 8, "--ratio", 0.2)}


@pytest.fixture
def place(export, source, tmp_path, monkeypatch):  # noqa: F811
    """Makes an export under the names that cards use; returns the text of its card."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(Path(__file__).resolve().parents[2] / "python/src")
    (tmp_path / "path/of/this").mkdir(parents=True)

    def make(method, name, *options, dtype="F32"):
        checkpoint = source(name, dtype)
        written = export(method, checkpoint, *options)
        (tmp_path / "path/of/this/folder").symlink_to(written)
        (tmp_path / "my-model").symlink_to(checkpoint)
        return (written / "README.md").read_text()

    return make


def run(card):
    """Runs the Python of a card.

    Returns what the model makes of an input at the end of training, after loading it again, after merging and after what follows; and the
    names of the parameters that were trained.
    """
    names, seen, trained = {}, [], []
    # Small models need larger steps than the card takes, or what they learn is lost in rounding.
    card = card.replace("lr=1e-4", "lr=1e-2")
    torch.manual_seed(0)
    for block in re.findall(r"^```python\n(.*?)^```$", card, re.MULTILINE | re.DOTALL):
        # Before training ends, and before merging: a model in training has no dropout here.
        for part in re.split(r"(?=^model = model\.merge_and_unload\(\)$|^adapter\.merge\(\)$)", block, flags=re.MULTILINE):
            with no_decomposition():
                exec(part, names)
            with torch.no_grad():
                seen.append(outputs(names["model"].eval()))
            trained = trained or [name for name, parameter in names["model"].named_parameters() if parameter.requires_grad]
    return seen, trained


def close(a, b, share):
    return torch.allclose(a, b, rtol=0, atol=share * float(b.abs().max()))


def is_trained(found, trained, untrained):
    """What was trained, and not what is 1% nearer to the start, but for the rounding of other ways to compute it."""
    moved = float((trained - untrained).abs().max())
    return moved > 1e-4 * float(trained.abs().max()) and float((found - trained).abs().max()) <= 0.01 * moved


RUNS = [
    (method, name, ())
    for method in METHODS
    for name in ("llama", "bare bert", "gpt2", "glm-moe")
    if name in ("llama", "bare bert") or (method not in FROGMASK and (LONG or method in ("pissa", "mica")))
]
RUNS += [(method, "llama", ("--keep-base",)) for method in peft_reference.RESIDUAL]
RUNS += [(method, "llama", ("--rank-by", "energy:0.5")) for method in ("pissa", "svfit", "spectral-additive", "lora-xs")]


@pytest.mark.parametrize("method, name, options", RUNS)
def test_its_python_runs(place, method, name, options):
    """What was trained comes back by the card's way to use it, merges to the same, and converts to the same."""
    usual = () if "--rank-by" in options else OPTIONS.get(method, ("--rank", 4))
    card = place(method, name, *usual, *options)
    seen, parameters = run(card)
    trained, used, *others = seen
    with torch.no_grad():
        untrained = outputs(load_model(name, "my-model"))
        found = [used, outputs(load_model(name, "merged"))]
        if method != "smt":
            found.append(others[0])
        # PiSSA and MiLoRA become adapters of the original model, and SVFit becomes a LoRA.
        if method in ("pissa", "milora") and "--keep-base" not in options:
            found.append(others[-1])
        if method == "svfit":
            found.append(outputs(peft.PeftModel.from_pretrained(load_model(name, "my-model"), "lora").eval()))
    assert all(is_trained(one, trained, untrained) for one in found)
    assert parameters
    if method not in FROGMASK:
        assert_only_what_is_trained_moves(method, parameters, "--keep-base" in options)


def assert_only_what_is_trained_moves(method, parameters, keep_base):
    """The card trains what the method says, and of an adapter for the untouched base the first half alone."""
    assert all(any(f".{part}." in name for part in TRAINED[method]) for name in parameters)
    folder = Path("path/of/this/folder")
    before = peft_reference.stored(next(folder.rglob("adapter_model.safetensors")))
    after = peft_reference.stored("trained/adapter_model.safetensors")
    assert before.keys() == after.keys()
    moved = {name for name in before if not np.array_equal(before[name][2], after[name][2])}
    assert moved and all(any(f".{part}" in name for part in TRAINED[method]) for name in moved)
    if keep_base:
        for name in moved:
            axis = 0 if ".lora_A" in name else 1
            halves = [np.split(side[name][2], 2, axis)[1] for side in (before, after)]
            assert np.array_equal(*halves), name


@pytest.mark.parametrize("method", ["pissa", "spectral-additive", "svfit", "mica", "tinylora"])
def test_its_python_runs_on_16_bits(place, method):
    (trained, used, merged, *_), parameters = run(place(method, "llama", "--rank", 4, dtype="BF16"))
    assert close(used, trained, 0.02) and close(merged, trained, 0.05)
    # PEFT leaves AdaLoRA's count of ranks trainable on such a base, and does not save it. It rounds MiCA's B.
    if method != "mica":
        assert_only_what_is_trained_moves(method, parameters, keep_base=False)


@pytest.mark.parametrize("method", METHODS)
def test_it_says_what_it_is(place, method):
    card = place(method, "llama", *OPTIONS.get(method, ("--rank", 4)))
    out = Path("path/of/this/folder").resolve().parent
    record = json.loads((out / "export.json").read_text())
    assert f"`{record['checkpoint']['fingerprint']}`" in card
    assert f"`frog-mpi export {method}`, version {record['version']}" in card
    adapted = [matrix["methods"][method] for matrix in record["matrices"]]
    if method == "smt":
        blocks = [matrix["blocks"] for matrix in adapted if matrix["blocks"]]
        assert f"| modules | {len(blocks)} |" in card and f"| blocks | {sum(blocks)} |" in card
        assert "a proxy for the gradients" in card
    else:
        ranks = {matrix["rank"] for matrix in adapted}
        assert "| modules | 14 |" in card and f"| rank | {' to '.join(map(str, sorted({min(ranks), max(ranks)})))} |" in card
    for heading in ("Which base, which adapter", "Train", "Use and merge", "Good to know", "Origin"):
        assert f"\n## {heading}\n" in card
    assert all(len(line) <= 300 for line in card.splitlines())
    assert "\n\n\n" not in re.sub(r"```.*?```", "code", card, flags=re.DOTALL)
    # The card is a file of the export like the others.
    assert f"{method}/README.md" in record["files"]


def test_ranks_that_vllm_serves(place):
    assert "--max-lora-rank 8 " in place("pissa", "llama", "--rank", 4)


@pytest.mark.parametrize("architecture", ['Evil"); import os; os.abort() #', "3Model", "", "Modèle"])
def test_names_of_classes_are_names(frog, source, tmp_path, architecture):  # noqa: F811
    """What config.json says is not trusted: a card is code that a user runs."""
    folder = tmp_path / "model"
    folder.mkdir()
    for path in source("bert").iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"architectures": [architecture]}))
    result = frog("export", "svfit", folder, "--out", tmp_path / "out", "--rank", 2, "--threads", 1)
    assert result.status == 0, str(result)
    card = (tmp_path / "out/svfit/README.md").read_text()
    assert "AutoModel" in card and (not architecture or architecture not in card)
