"""frogmask signals: models and data from files, and one line and a status for every error."""

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import models
import signal_oracle as plain
from frogmask.cli import main
from training import one_thread as one_thread

WORDS = "[PAD] [UNK] [CLS] [SEP] [MASK] the a frog pond leaps sits in on green loud croaks and".split()
LINES = ["the frog leaps", "a green frog sits in the pond", "the loud frog croaks and the frog leaps in"]


@pytest.fixture(scope="session")
def tokenizer(tmp_path_factory):
    """A tokenizer of words."""
    from tokenizers import Tokenizer, pre_tokenizers, processors
    from tokenizers.models import WordLevel
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    special = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")}
    folder = tmp_path_factory.mktemp("tokenizer")
    PreTrainedTokenizerFast(tokenizer_object=words, **special).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def saved(checkpoint, tokenizer, tmp_path_factory):
    """Name of a small model → folder of its checkpoint with a tokenizer."""
    import transformers

    made = {}

    def make(name):
        if name not in made:
            folder = tmp_path_factory.mktemp("saved") / name
            if name == "classifier":
                torch.manual_seed(0)
                labels = {"jump": 0, "rest": 1, "song": 2}
                named = {number: label for label, number in labels.items()}
                config = transformers.BertConfig(**models.TEXT, id2label=named, label2id=labels)
                transformers.BertForSequenceClassification(config).save_pretrained(folder)
            else:
                shutil.copytree(checkpoint(name), folder)
            for file in tokenizer.iterdir():
                shutil.copy(file, folder)
            made[name] = folder
        return made[name]

    return make


@pytest.fixture
def lines(tmp_path):
    path = tmp_path / "lines.txt"
    path.write_text("\n\n".join(LINES) + "\n", encoding="utf-8")
    return path


def ids(tokenizer, texts=LINES):
    """Padded tokens and their mask."""
    rows = [[2, *(WORDS.index(word) for word in text.split()), 3] for text in texts]
    longest = max(map(len, rows))
    tokens = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
    return tokens, mask


def run(*arguments):
    return main(["signals", *map(str, arguments)])


def compare(folder, wanted, model):
    """Every tensor whose name the parameter shares, to 1e-5."""
    found = plain.read(folder)
    assert found and set(found) <= set(wanted)
    for tensor, values in found.items():
        np.testing.assert_allclose(plain.whole(values, wanted[tensor].shape), wanted[tensor], rtol=1e-5, atol=1e-12)


def test_gradients_of_the_next_token(saved, tokenizer, lines, tmp_path, capsys):
    model = models.load("llama", saved("llama"))
    tokens, mask = ids(tokenizer)
    batches = [
        {"input_ids": tokens[:2, :9], "attention_mask": mask[:2, :9], "labels": torch.where(mask == 1, tokens, -100)[:2, :9]},
        {"input_ids": tokens[2:], "attention_mask": mask[2:], "labels": tokens[2:]},
    ]
    arguments = ("--data", lines, "--kind", "gradient", "--batch-size", 2, "--out", tmp_path / "out")
    capsys.readouterr()
    assert run(saved("llama"), *arguments) == 0
    compare(tmp_path / "out", plain.gradients(model, batches, 1), model)
    output = capsys.readouterr()
    assert output.out.startswith(f"{tmp_path / 'out'}: signals of 16 tensors, from 3 examples (batches: 2)\n") and output.err == ""
    record = json.loads((tmp_path / "out/signals.json").read_text())
    assert record["format"] == "frog-signals" and record["kind"] == "gradient" and (record["examples"], record["batches"]) == (3, 2)


def test_fisher_information_of_a_classifier(saved, tokenizer, tmp_path):
    import transformers

    model = transformers.BertForSequenceClassification.from_pretrained(saved("classifier")).eval()
    data = tmp_path / "data.jsonl"
    labels = ["jump", 1, "song"]
    data.write_text("".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in zip(LINES, labels)))
    tokens, mask = ids(tokenizer)
    batches = [{"input_ids": tokens, "attention_mask": mask, "labels": torch.tensor([0, 1, 2])}]
    assert run(saved("classifier"), "--data", data, "--kind", "fisher", "--out", tmp_path / "out") == 0
    compare(tmp_path / "out", plain.gradients(model, list(plain.examples(batches)), 2), model)


def test_activations_of_texts_and_of_tensors_are_the_same(saved, tokenizer, lines, tmp_path, capsys):
    tokens, mask = ids(tokenizer)
    save_file({"input_ids": tokens, "attention_mask": mask}, tmp_path / "data.safetensors")
    model = models.load("bare bert", saved("bare bert"), kind="BertModel")
    for name, data in (("texts", lines), ("tensors", tmp_path / "data.safetensors")):
        assert run(saved("bare bert"), "--data", data, "--kind", "activation", "--out", tmp_path / name) == 0
        compare(tmp_path / name, plain.norms(model, [{"input_ids": tokens, "attention_mask": mask}]), model)
    assert "embeddings.position_embeddings.weight (its inputs cannot be seen" in capsys.readouterr().err
    # The first examples only, and their first tokens.
    few = ("--examples", 2, "--max-length", 4)
    assert run(saved("bare bert"), "--data", lines, "--kind", "activation", "--out", tmp_path / "few", *few) == 0
    shorter = [{"input_ids": torch.cat([tokens[:2, :3], torch.full((2, 1), 3)], 1)}]
    compare(tmp_path / "few", plain.norms(model, shorter), model)


def test_pictures(checkpoint, tmp_path):
    torch.manual_seed(0)
    batch = {"pixel_values": torch.randn(5, 3, 16, 16), "labels": torch.tensor([0, 1, 1, 0, 1])}
    save_file(batch, tmp_path / "data.safetensors")
    assert run(checkpoint("resnet"), "--data", tmp_path / "data.safetensors", "--kind", "gradient", "--out", tmp_path / "out") == 0
    model = models.load("resnet", checkpoint("resnet"))
    compare(tmp_path / "out", plain.gradients(model, [batch], 1), model)


def test_masking_depends_on_the_seed_and_the_example_alone(saved, tokenizer, lines, tmp_path):
    from pathlib import Path

    from frogmask.signals.data import TextBatches

    model = models.load("bert", saved("bert"))
    long = tmp_path / "long.txt"
    long.write_text("\n".join(" ".join(LINES) for _ in range(300)))

    def batches(path: Path, size, seed=0, most=300):
        made = TextBatches(path, model, saved("bert"), longest=None, seed=seed, with_labels=True)
        return list(made.batches(size, most))

    (one,), parts, other = batches(long, 300), batches(long, 7), batches(long, 300, seed=1)
    assert torch.equal(one["input_ids"], torch.cat([part["input_ids"] for part in parts]))
    assert torch.equal(one["labels"], torch.cat([part["labels"] for part in parts])) and not torch.equal(one["labels"], other[0]["labels"])
    given, _ = ids(tokenizer, [" ".join(LINES)] * 300)
    chosen = one["labels"] != -100
    assert torch.equal(one["labels"][chosen], given[chosen]) and torch.equal(one["input_ids"][~chosen], given[~chosen])
    assert not chosen[:, 0].any() and not chosen[:, -1].any() and chosen.any(1).all()
    inner = chosen[:, 1:-1].float()
    masked, kept = (one["input_ids"] == 4)[chosen].float(), (one["input_ids"] == given)[chosen].float()
    # 19 words in 300 lines: shares of 15%, 80%, and 10% and the random ones that are what they were, within 5 standard deviations.
    for share, expected in ((inner, 0.15), (masked, 0.8 + 0.1 / 17), (kept, 0.1 + 0.1 / 17)):
        assert abs(float(share.mean()) - expected) < 5 * (expected * (1 - expected) / share.numel()) ** 0.5 + 0.01
    assert batches(lines, 8)[0]["labels"].ne(-100).any(1).all()
    assert run(saved("bert"), "--data", lines, "--kind", "gradient", "--out", tmp_path / "out", "--seed", 3) == 0
    compare(tmp_path / "out", plain.gradients(model, batches(lines, 8, seed=3), 1), model)


def test_tensors_that_the_model_does_not_load_are_named(saved, lines, tmp_path, capsys):
    from safetensors.torch import load_file

    folder = shutil.copytree(saved("llama"), tmp_path / "model")
    stored = load_file(folder / "model.safetensors") | {
        "\x1b[31mframe": torch.ones(3, 4),
        "bias": torch.ones(3),
        "codes": torch.ones(3, 4).int(),
    }
    save_file(stored, folder / "model.safetensors", metadata={"format": "pt"})
    capsys.readouterr()
    assert run(folder, "--data", lines, "--kind", "gradient", "--out", tmp_path / "out") == 0
    problem = r"frogmask: warning: no signals of \x1b[31mframe (the model has no parameter for it)"
    assert capsys.readouterr().err == problem + "\n"
    record = json.loads((tmp_path / "out/signals.json").read_text())
    assert record["absent"] == {"\x1b[31mframe": "the model has no parameter for it"}


# Bad input ------------------------------------------------------------------------------------------------------------------------


def changed(folder, target, change):
    """A copy of a checkpoint with another config.json."""
    shutil.copytree(folder, target)
    config = json.loads((target / "config.json").read_text())
    change(config)
    (target / "config.json").write_text(json.dumps(config))
    return target


@pytest.fixture
def bad(saved, checkpoint, tmp_path, lines):
    """What is wrong → MODEL and the other arguments."""
    from safetensors.torch import load_file

    def text(name, words):
        (tmp_path / name).write_text(words)
        return tmp_path / name

    def weights(name, change):
        target = shutil.copytree(saved("llama"), tmp_path / name)
        stored = load_file(target / "model.safetensors")
        change(stored)
        save_file(stored, target / "model.safetensors", metadata={"format": "pt"})
        return target

    tensors = {"input_ids": torch.randint(1, 16, (3, 5))}
    save_file(tensors | {"attention_mask": torch.ones(2, 5, dtype=torch.int64)}, tmp_path / "uneven.safetensors")
    save_file(tensors | {"colour": torch.ones(3)}, tmp_path / "colour.safetensors")
    save_file({"input_ids": torch.full((3, 5), 99)}, tmp_path / "large.safetensors")
    save_file({"input_ids": torch.zeros(0, 5, dtype=torch.int64)}, tmp_path / "none.safetensors")
    hole = torch.tensor([[1, 0, 1, 1, 1]] * 3)
    save_file(tensors | {"attention_mask": hole}, tmp_path / "hole.safetensors")
    gradient = ("--kind", "gradient", "--data")
    bare = changed(saved("llama"), tmp_path / "bare", lambda c: None)
    words = json.loads((bare / "tokenizer.json").read_text())
    (bare / "tokenizer.json").write_text(json.dumps(words | {"post_processor": None}))
    return {
        "no model": (tmp_path / "nothing", *gradient, lines),
        "no config": (tmp_path, *gradient, lines),
        "no data": (saved("llama"), *gradient, tmp_path / "nothing.txt"),
        "empty": (saved("llama"), *gradient, text("empty.txt", "\n\n")),
        "no examples": (saved("llama"), *gradient, tmp_path / "none.safetensors"),
        "no UTF-8": (saved("llama"), *gradient, tmp_path / "none.safetensors.txt"),
        "no JSON": (saved("classifier"), *gradient, text("a.jsonl", '{"text": "a frog", "label": 1}\n{"text"\n')),
        "no text": (saved("classifier"), *gradient, text("b.jsonl", '{"label": 1}\n')),
        "no label": (saved("classifier"), *gradient, lines),
        "another label": (saved("classifier"), *gradient, text("c.jsonl", '{"text": "a frog", "label": "sleep"}\n')),
        "one token": (saved("llama"), *gradient, text("one.txt", "a pond\n\nfrog\n"), "--tokenizer", bare),
        "two special tokens": (saved("llama"), *gradient, lines, "--max-length", 1),
        "no head": (saved("bare bert"), *gradient, lines),
        "no tokenizer": (checkpoint("llama"), *gradient, lines),
        "an empty tokenizer": (checkpoint("bare bert"), "--kind", "activation", "--data", lines),
            "no text model": (checkpoint("vit"), *gradient, lines),
        "uneven": (saved("llama"), *gradient, tmp_path / "uneven.safetensors"),
        "another argument": (saved("llama"), *gradient, tmp_path / "colour.safetensors"),
        "large tokens": (saved("llama"), *gradient, tmp_path / "large.safetensors"),
        "no labels": (saved("bert"), *gradient, tmp_path / "large.safetensors"),
        "a hole": (saved("llama"), "--kind", "activation", "--data", tmp_path / "hole.safetensors"),
        "unknown class": (changed(saved("llama"), tmp_path / "class", lambda c: c.update(architectures=["FrogModel"])), *gradient, lines),
        "no model class": (changed(saved("llama"), tmp_path / "tool", lambda c: c.update(architectures=["AutoConfig"])), *gradient, lines),
        "no class": (changed(saved("llama"), tmp_path / "none", lambda c: c.pop("architectures")), *gradient, lines),
        "quantized": (changed(saved("llama"), tmp_path / "packed", lambda c: c.update(quantization_config={"bits": 4})), *gradient, lines),
        "missing weights": (weights("missing", lambda t: t.pop("model.layers.1.mlp.up_proj.weight")), *gradient, lines),
        "other shapes": (weights("shapes", lambda t: t.update({"lm_head.weight": torch.ones(64, 16)})), *gradient, lines),
        "infinite": (weights("infinite", lambda t: t["lm_head.weight"].mul_(1e30)), "--kind", "fisher", "--data", lines),
        "infinite activations": (
            weights("large", lambda t: t["model.layers.0.mlp.up_proj.weight"].fill_(3e38)), "--kind", "activation", "--data", lines,
        ),
        "all excluded": (saved("llama"), *gradient, lines, "--exclude", "*"),
        "there": (saved("llama"), *gradient, lines, "--out", tmp_path),
        "no device": (saved("llama"), *gradient, lines, "--device", "frog"),
    }  # fmt: skip


BAD = {
    "no model": (66, "there is no folder .*nothing: give a checkpoint as Hugging Face stores it"),
    "no config": (66, "there is no file .*config.json"),
    "no data": (66, "there is no file .*nothing.txt"),
    "empty": (65, "empty.txt has no examples"),
    "no examples": (65, "none.safetensors has no examples"),
    "no UTF-8": (65, "is no text in UTF-8"),
    "no JSON": (65, "a.jsonl, line 2 is no JSON"),
    "no text": (65, "b.jsonl, line 1 is no JSON object with a string 'text'"),
    "no label": (64, "lines.txt, line 1 has no label: BertForSequenceClassification needs .jsonl with 'text' and 'label'"),
    "another label": (65, "c.jsonl, line 1: 'sleep' is none of the 3 labels"),
    "one token": (65, "one.txt, line 3 has one token, and no next one to predict: leave it out"),
    "two special tokens": (64, "the tokenizer adds tokens of its own and cannot cut a text to 1 tokens"),
    "no head": (64, "BertModel has no head, so no loss and no gradients: use --kind activation"),
    "no tokenizer": (64, "there is no tokenizer in .*: give its folder to --tokenizer"),
    "an empty tokenizer": (64, "there is no tokenizer in .*: give its folder to --tokenizer, or --data as .safetensors with input_ids"),
    "no text model": (64, "ViTForImageClassification takes no text: give --data as .safetensors with pixel_values"),
    "uneven": (65, "the first dimension of all tensors is that of examples, and must be the same: .*'attention_mask' \\[2, 5\\]"),
    "another argument": (64, "LlamaForCausalLM has no argument 'colour', but input_ids"),
    "large tokens": (65, "LlamaForCausalLM cannot take the examples of .*large.safetensors"),
    "no labels": (64, "has no tensor 'labels', which BertForMaskedLM needs for its loss"),
    "a hole": (64, "the attention mask of example 1 of a batch has zeros between ones"),
    "unknown class": (65, "has no model 'FrogModel', which .*config.json names, and code of a checkpoint is not run"),
    "no model class": (65, "has no model 'AutoConfig'"),
    "no class": (65, "config.json does not name one class in 'architectures'"),
    "quantized": (65, "is quantized"),
    "missing weights": (65, "does not have 1 of the weights of LlamaForCausalLM, .*, such as 'model.layers.1.mlp.up_proj.weight'"),
    "other shapes": (65, "lm_head.weight"),
    "infinite": (65, "the gradient of parameter '.*' is not finite in step 1: use --dtype float32"),
    "infinite activations": (65, "the inputs of parameter 'model.layers.0.mlp.down_proj.weight' are not finite"),
    "all excluded": (65, "the model has none of the tensors of .* that have two dimensions or more and are not excluded"),
    "there": (64, "is not empty: give a new folder to --out"),
    "no device": (64, "cannot move the model to --device frog"),
}


@pytest.mark.parametrize("case", BAD)
def test_every_error_is_one_line_with_a_status(bad, tmp_path, capsys, case):
    (tmp_path / "none.safetensors.txt").write_bytes((tmp_path / "none.safetensors").read_bytes() + b"\xff\xfe")
    status, words = BAD[case]
    capsys.readouterr()
    assert run("--out", tmp_path / "out", *bad[case]) == status
    output = capsys.readouterr()
    import re

    assert output.out == "" and output.err.startswith("frogmask: error: ") and output.err.count("\n") == 1, output.err
    assert re.search(words, output.err), output.err
    assert not (tmp_path / "out").exists()


def test_a_full_disk_leaves_nothing(saved, lines, tmp_path, capsys):
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    import signal

    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    for limit in (3000, 60_000):  # sums of gradients, and the signals
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
        try:
            assert run(saved("llama"), "--data", lines, "--kind", "gradient", "--out", tmp_path / "out") == 74
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        output = capsys.readouterr()
        assert output.err == f"frogmask: error: cannot write to {tmp_path / 'out'}: File too large\n"
        assert not (tmp_path / "out").exists()
    signal.signal(signal.SIGXFSZ, ignored)


@pytest.mark.parametrize(
    "arguments", [["--kind", "hessian"], ["--kind", "fisher", "--examples", "0"], ["--kind", "fisher", "--batch-size", "x"]]
)
def test_usage_errors_have_their_status(capsys, arguments):
    with pytest.raises(SystemExit) as ended:
        run("MODEL", "--data", "D", "--out", "O", "--kind", *arguments)
    assert ended.value.code == 64
    assert capsys.readouterr().err.count("\n") == 1
