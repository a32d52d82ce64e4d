"""The documentation: what it says of the program and of the repository is so, and its Python runs."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

ROOT = Path(__file__).resolve().parents[2]


def python_of(page, number=0):
    """The text of a page's blocks of Python, by position."""
    return re.findall(r"^```python\n(.*?)^```$", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)[number]


def test_links_and_names():
    """Links, headings, files that are named, lengths: scripts/check-docs says what is wrong."""
    run = subprocess.run([sys.executable, ROOT / "scripts/check-docs"], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


def test_the_command_line_is_what_the_program_says(frog):
    run = subprocess.run([sys.executable, ROOT / "scripts/cli-reference", frog.binary, "--check"], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("command", ["mask", "analyze", "compare", "export pissa", "plan", "inspect", "verify", "doctor"])
def test_the_readme_has_an_example_of_every_command(command):
    assert re.search(rf"^    (mpirun -n 8 )?\$frog {command} \./", (ROOT / "README.md").read_text(), re.MULTILINE)


def test_the_examples_of_the_readme_are_command_lines(frog, checkpoint, tmp_path):
    """Each runs as it stands, but for mpirun, on a small model."""
    model = checkpoint("mixed")
    for name in ("my-model", "my-tuned"):
        (tmp_path / name).symlink_to(model)
    lines = re.findall(r"^    (?:mpirun -n 8 )?\$frog ([^#\n]*)", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert len(lines) == 8
    for line in lines:
        run = subprocess.run([frog.binary, *line.split()], cwd=tmp_path, capture_output=True, text=True, env=environment())
        assert run.returncode == 0, f"{line}\n{run.stderr}"


def environment():
    root = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"} if os.geteuid() == 0 else {}
    return os.environ | {"SWIFT_BACKTRACE": "enable=no"} | root


def test_the_readme_trains_kept_weights_alone(frog, checkpoint, tmp_path, monkeypatch):
    torch = pytest.importorskip("torch", reason="torch is not installed (scripts/setup --peers)")
    pytest.importorskip("transformers", reason="transformers is not installed (scripts/setup --peers)")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my-model").symlink_to(checkpoint("minilm"))
    record = frog.mask("my-model", "my-masks", "--budget", "1%", ranks=2)

    names = {}
    exec(compile(python_of("README.md"), "README.md", "exec"), names)
    model = names["model"]
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    optimizer = names["optimizer"]
    torch.manual_seed(0)
    for _ in range(3):
        optimizer.zero_grad()
        found = model(torch.randint(1000, 20000, (8, 32)))
        (found.last_hidden_state.square().mean() + found.pooler_output.square().mean()).backward()
        optimizer.step()

    frog.mask("my-model", "truth", "--budget", "1%", "--format", "indices")
    masks = load_file(tmp_path / "truth/masks-00001-of-00001.safetensors")
    matrices = {matrix["name"]: matrix for matrix in record["matrices"]}
    assert matrices.keys() <= before.keys()
    changed = 0
    for name, weight in model.named_parameters():
        moved = (weight.detach() != before[name]).flatten().nonzero().flatten().numpy()
        kept = masks[f"{name}.indices"] if name in matrices else []
        assert np.isin(moved, kept).all(), name
        changed += len(moved)
    # A gradient may be 0 where a unit is off, but not for many.
    assert 0.9 * record["kept"] < changed <= record["kept"]


@pytest.mark.parametrize("form", ["indices", "bitmap", "auto"])
def test_the_guide_reads_masks(frog, tmp_path, form):
    """Matrices, a stack of experts and a convolution, however they are stored."""
    torch = pytest.importorskip("torch", reason="torch is not installed (scripts/setup --peers)")
    generator = np.random.default_rng(5)
    shapes = {"a.weight": (40, 30), "b.experts.up": (3, 24, 20), "c.conv.weight": (16, 5, 3, 3), "d.bias": (7,)}
    (tmp_path / "model").mkdir()
    save_file(
        {name: generator.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}, tmp_path / "model/model.safetensors"
    )
    options = ("--budget", "5%", "--conv", "--select", "uniform")
    record = frog.mask(tmp_path / "model", tmp_path / "masks", *options, "--format", form)
    frog.mask(tmp_path / "model", tmp_path / "truth", *options, "--format", "indices")
    truth = load_file(tmp_path / "truth/masks-00001-of-00001.safetensors")

    names = {}
    exec(compile(python_of("docs/guide/mask.md"), "docs/guide/mask.md", "exec"), names)
    total = 0
    for name, shape in shapes.items():
        found = names["kept"](tmp_path / "masks", name, torch.Size(shape))
        assert found.dtype == torch.bool and tuple(found.shape) == shape
        np.testing.assert_array_equal(found.flatten().nonzero().flatten().numpy(), truth.get(f"{name}.indices", []), name)
        total += int(found.sum())
    assert total == record["kept"] > 0
