"""The program frogmask: its output, and one line and a status for every error."""

import subprocess
import sys

import pytest
import torch

import frogmask
import models
from frogmask import patch
from frogmask.cli import main
from test_patches import trained


@pytest.fixture
def patched(checkpoint, masked, tmp_path):
    masks, model = frogmask.load(masked("llama", "--budget", "3%")), models.load("llama", checkpoint("llama"))
    patch.save(tmp_path / "patch", masks, trained(model, masks))
    return tmp_path / "patch", model


def test_merge_writes_the_trained_model(checkpoint, patched, tmp_path):
    folder, model = patched
    command = [sys.executable, "-m", "frogmask", "merge", checkpoint("llama"), folder, "--out", tmp_path / "merged"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert torch.equal(models.logits("llama", models.load("llama", tmp_path / "merged")), models.logits("llama", model))


def test_convert_writes_an_adapter(checkpoint, masked, tmp_path):
    folder = masked("llama", "--budget", "lora:2", "--select", "lora")
    arguments = ["convert", str(folder), "--to", "shira", "--checkpoint", str(checkpoint("llama")), "--out", str(tmp_path / "adapter")]
    assert main(arguments) == 0
    assert (tmp_path / "adapter/adapter_config.json").exists()


def test_info_tells_what_a_folder_holds(checkpoint, masked, patched, capsys):
    masks = frogmask.load(masked("llama", "--budget", "3%"))
    assert main(["info", str(masks.folder), "--checkpoint", str(checkpoint("llama"))]) == 0
    text = capsys.readouterr().out
    assert f"{masks.fingerprint} (checked)" in text and f"kept         {masks.kept:,}" in text
    assert all(name in text for name in masks)
    assert main(["info", str(patched[0])]) == 0
    text = capsys.readouterr().out
    assert text.startswith("patch ") and f"kept         {masks.kept:,}" in text and "(checked)" not in text


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["info", "NOTHING"], 66, "there is no folder"),
        (["info", "TMP"], 65, "has no patch.json: it is no patch of frogmask"),
        (["merge", "NOTHING", "PATCH", "--out", "OUT"], 66, "there is no checkpoint"),
        (["merge", "BERT", "PATCH", "--out", "OUT"], 65, "is another checkpoint"),
        (["merge", "LLAMA", "PATCH", "--out", "LLAMA"], 64, "is not empty"),
        (["convert", "PATCH", "--to", "shira", "--checkpoint", "LLAMA", "--out", "OUT"], 65, "--select lora"),
    ],
)  # fmt: skip
def test_every_error_is_one_line_with_a_status(checkpoint, patched, tmp_path, capsys, arguments, status, words):
    places = {
        "NOTHING": tmp_path / "nothing", "TMP": tmp_path, "PATCH": patched[0], "OUT": tmp_path / "out",
        "BERT": checkpoint("bert"), "LLAMA": checkpoint("llama"),
    }  # fmt: skip
    capsys.readouterr()
    assert main([str(places.get(word, word)) for word in arguments]) == status
    output = capsys.readouterr()
    assert output.out == "" and output.err.startswith("frogmask: error: ") and output.err.count("\n") == 1 and words in output.err


@pytest.mark.parametrize("arguments", [[], ["merge"], ["convert", "DIR", "--to", "lora", "--checkpoint", "C", "--out", "O"]])
def test_usage_errors_have_their_status(capsys, arguments):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 64
    assert capsys.readouterr().err.count("\n") == 1
