"""Reports: what they say is what the files say, and what a reader sees of it in a browser."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import reports
from frogmask.errors import FormatError, MissingError, UsageError, WriteError
from frogmask.report import write_report
from frogmask.report.charts.base import Roles
from frogmask.report.charts.budgets import scores, taken
from frogmask.report.content import pictures
from frogmask.report.histograms import divide, edges
from frogmask.report.page import page
from frogmask.report.picture import MOST_ROWS
from frogmask.report.repeat import command
from frogmask.report.runs import open_runs
from frogmask.report.theme import CATEGORIES


@pytest.fixture(scope="session")
def minilm():
    folder = os.environ.get("FROG_MPI_MINILM")
    if not folder:
        pytest.skip("no MiniLM: FROG_MPI_MINILM names its folder (scripts/fetch-minilm)")
    return Path(folder)


@pytest.fixture(scope="session")
def folders(frog, minilm, tmp_path_factory):
    """Runs on MiniLM: one mask with spectra, four masks, an analysis, and a comparison with a model of another scale."""
    at = tmp_path_factory.mktemp("reports")
    frog("mask", minilm, "--out", at / "mask", "--analyze")
    frog("mask", minilm, "--out", at / "masks", "--select", "global,matrix,uniform,lora")
    frog("analyze", minilm, "--out", at / "analysis")
    tensors = load_file(minilm / "model.safetensors")
    torch.manual_seed(0)
    for name, tensor in tensors.items():
        if tensor.dim() == 2 and "encoder" in name:
            tensors[name] = tensor + torch.randn_like(tensor) * tensor.std() * 0.02
    tensors["encoder.layer.5.output.dense.weight"] *= 8
    (at / "tuned").mkdir()
    save_file(tensors, at / "tuned/model.safetensors", {"format": "pt"})
    shutil.copy(minilm / "config.json", at / "tuned")
    frog("compare", minilm, at / "tuned", "--out", at / "comparison")
    return at


@pytest.fixture(scope="session")
def record(folders):
    return json.loads((folders / "mask/frog.json").read_text())


# What the numbers are


def test_cells_add_up_to_the_layers_and_roles_of_frog_json(folders, record):
    cells = open_runs([folders / "mask"])[0].cells
    for key, entries in (("layers", record["layers"]), ("roles", record["roles"])):
        for entry in entries:
            of_it = [cell for cell in cells if (cell.place.depth == entry["depth"] if key == "layers" else cell.role == entry["role"])]
            assert sum(cell.kept for cell in of_it) == entry["kept"] and sum(cell.weights for cell in of_it) == entry["weights"]
            assert sum(cell.importance for cell in of_it) == pytest.approx(entry["importance"], rel=1e-12)
            assert sum(cell.selected for cell in of_it) == pytest.approx(entry["selected_score_sum"], rel=1e-12)


def test_bins_are_those_of_the_keys_of_floats():
    values = np.array([0.3, 1.0, 1.9999, 2.0, 1e-30, 3e30, -0.3, -1e5], np.float32)
    bits = values.view(np.uint32)
    keys = np.where(bits >> 31 == 1, ~bits, bits | np.uint32(1 << 31))
    low, high = edges()[keys >> 20], edges()[(keys >> 20) + 1]
    assert ((low <= values) & (values <= high)).all()
    assert (np.abs(high - low) <= np.abs(values) / 8 * 1.001 + 1e-37).all()


@pytest.mark.parametrize("select", ["global", "matrix", "uniform", "lora"])
def test_budgets_are_estimated_as_inspect_estimates_them(folders, frog, select, tmp_path):
    folder = folders / f"masks/{select}-1%"
    binary = os.environ.get("FROG_MPI", str(Path(__file__).parents[2] / ".build/release/frog-mpi"))
    asked = [binary, "inspect", folder, "--layers", "--budget-sweep", "0.1%..20%", "--json"]
    wanted = json.loads(subprocess.run(asked, check=True, capture_output=True).stdout)
    run = open_runs([folder])[0]
    depths = np.array([-1 if row.place.depth is None else row.place.depth for row in run.matrices])
    for step in wanted["sweep"]:
        kept, scores = run.histograms.by_matrix(taken(run, run.histograms, step["K"]))
        assert kept.sum() == pytest.approx(step["K"], rel=1e-9)
        for layer in step["layers"]:
            is_there = depths == (-1 if layer["depth"] is None else layer["depth"])
            # Both share the border bin in proportion to counts; whole numbers differ by less than one a matrix.
            assert kept[is_there].sum() == pytest.approx(layer["kept"], abs=int(is_there.sum())), (step["budget"], layer)
            most = scores[is_there].sum() / max(kept[is_there].sum(), 1e-9) * 4
            assert scores[is_there].sum() == pytest.approx(layer["selected_score_sum"], rel=1e-6, abs=float(most * is_there.sum()))


def test_a_budget_is_divided_in_proportion_and_no_matrix_gets_more_than_it_has():
    sizes = np.array([10, 100, 1000])
    assert divide(111, np.array([1.0, 1.0, 1.0]), sizes) == pytest.approx([10, 50.5, 50.5])
    assert divide(1110, np.array([1.0, 1.0, 1.0]), sizes) == pytest.approx([10, 100, 1000])
    assert divide(50, np.array([0.0, 3.0, 1.0]), sizes) == pytest.approx([0, 37.5, 12.5])
    assert divide(200, np.array([1.0, 0.0, 0.0]), sizes).sum() == pytest.approx(200)
    assert divide(0, np.array([1.0, 1.0, 1.0]), sizes) == pytest.approx([0, 0, 0])


def test_kept_bars_hold_what_is_kept(folders, record):
    run = open_runs([folders / "mask"])[0]
    kept = run.histograms.by_matrix(taken(run, run.histograms, record["K"]))[0]
    assert kept.sum() == pytest.approx(record["K"])
    # Of the border bin a matrix may keep all or nothing.
    border = np.array([entry["kept"] for entry in record["matrices"]])
    above = run.histograms.bins > np.searchsorted(edges()[0x801:0xFF8], record["threshold"], "right") + 0x800
    there = np.bincount(run.histograms.owners[above], run.histograms.counts[above], border.size)
    assert (there <= border).all()


@pytest.mark.parametrize("words", [(), ("--sample", "8"), ("--normalize", "rowcol"), ("--score", "random", "--select", "uniform")], ids=str)
def test_bars_of_values_hold_every_weight(masked, words):
    run = open_runs([masked("llama", *words)])[0]
    (panel,) = scores([run], Roles(row.role for row in run.matrices)).panels
    rows = next(rows for rows in panel.chart.to_dict()["datasets"].values() if "all" in rows[0])
    assert sum(row["all"] for row in rows) == pytest.approx(sum(row.size for row in run.matrices), rel=1e-3)
    assert sum(row["kept"] for row in rows) == pytest.approx(run.record["K"], rel=1e-3)
    assert all(0 <= row["kept"] <= row["all"] * 1.001 and row["low"] < row["high"] for row in rows)


# The command that repeats a run


@pytest.mark.parametrize(
    "words",
    [
        ("--budget", "2%"), ("--keep", "777", "--select", "uniform"), ("--budget", "lora:2", "--select", "lora"),
        ("--select", "matrix", "--importance", "spectral", "--no-histograms", "--format", "bitmap"),
        ("--score", "random", "--seed", "7"), ("--score", "lift", "--rank", "4"), ("--score", "magnitude", "--names", "transformers5"),
        ("--normalize", "rowcol", "--sample", "8", "--seed", "3"),
        ("--analyze", "--quality-weight", "alpha", "--overparameterized", "boost"),
        ("--exclude", "*.0.*", "--exclude", "*up_proj*", "--precision", "f32"), ("--rank", "8", "--oversample", "4"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_the_command_gives_the_same_bytes(frog, checkpoint, tmp_path, words):
    frog("mask", checkpoint("llama"), "--out", tmp_path / "out", *words)
    found = shlex.split(command(open_runs([tmp_path / "out"])[0]))
    assert found[:2] == ["frog-mpi", "mask"] and found.count("NEW-FOLDER") == 1
    frog(*(str(tmp_path / "again") if word == "NEW-FOLDER" else word for word in found[1:]))
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == sorted(path.name for path in (tmp_path / "again").iterdir())
    for name in names:
        assert name == "run.json" or (tmp_path / "out" / name).read_bytes() == (tmp_path / "again" / name).read_bytes(), name


@pytest.mark.parametrize(
    "words", [("--mp-fit", "--p-value", "3", "--seed", "5"), ("--metrics", "alpha,stable_rank", "--exclude", "*.0.*")], ids=" ".join
)
def test_the_command_of_tables_gives_the_same_bytes(frog, checkpoint, tmp_path, words):
    frog("analyze", checkpoint("llama"), "--out", tmp_path / "out", *words)
    run = open_runs([tmp_path / "out"])[0]
    frog(*(str(tmp_path / "again") if word == "NEW-FOLDER" else word for word in shlex.split(command(run))[1:]))
    assert (tmp_path / "out/summary.json").read_bytes() == (tmp_path / "again/summary.json").read_bytes()
    frog("compare", checkpoint("llama"), checkpoint("llama"), "--out", tmp_path / "pairs", "--top", 3, "--delta-spectrum")
    run = open_runs([tmp_path / "pairs"])[0]
    frog(*(str(tmp_path / "pairs again") if word == "NEW-FOLDER" else word for word in shlex.split(command(run))[1:]))
    assert (tmp_path / "pairs/summary.json").read_bytes() == (tmp_path / "pairs again/summary.json").read_bytes()


# What a reader sees


@pytest.fixture(scope="session")
def window():
    if not (shutil.which("chromium") and shutil.which("chromedriver")):
        pytest.skip("no chromium: scripts/setup --peers installs it")
    with reports.browser() as driver:
        yield driver


@pytest.fixture(scope="session")
def files(folders):
    """A report on one mask, and one on everything."""
    write_report([folders / "mask"], folders / "one.html")
    write_report([folders / name for name in ("mask", "masks", "analysis", "comparison")], folders / "all.html")
    return folders


def test_bars_are_those_of_frog_json(window, files, record):
    reports.opened(window, files / "one.html")
    name = window.execute_script(
        "return Object.keys(frogViews.get('chart-importance-0').getState({data: () => true}).data)"
        ".find(name => frogViews.get('chart-importance-0').data(name)?.[0]?.sum_share !== undefined)"
    )
    for by, key in (("importance", "importance"), ("selected", "selected_score_sum"), ("scores", "score_sum"), ("kept", "kept")):
        choose(window, "importance-0", "by", by)
        whole = sum(layer[key] for layer in record["layers"])
        sums = {}
        for row in reports.data(window, "importance-0", name):
            sums[row["layer"]] = sums.get(row["layer"], 0) + row["sum_share"]
        for layer in record["layers"]:
            label = "outside" if layer["depth"] is None else str(layer["depth"])
            assert sums[label] == pytest.approx(layer[key] / whole, rel=1e-4, abs=1e-6), (by, label)


def choose(window, chart, param, value):
    """Chooses in a list as a person does."""
    window.execute_script(
        "const list = document.querySelector(`#chart-${arguments[0]} select[name=${arguments[1]}]`);"
        "list.value = arguments[2]; list.dispatchEvent(new Event('input', {bubbles: true})); list.dispatchEvent(new Event('change'))",
        chart, param, value,
    )  # fmt: skip
    window.execute_async_script(f"const end = arguments[0]; frogViews.get('chart-{chart}').runAsync().then(() => end())")
    assert window.execute_script(f"return frogViews.get('chart-{chart}').signal(arguments[0])", param) == value


def test_lists_and_legends_filter_and_tooltips_tell(window, files):
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.by import By

    reports.show(window, 1400, "light")
    reports.opened(window, files / "one.html")

    def bars():
        return window.execute_script("return document.querySelectorAll('#chart-scores-0 .mark-rect path').length")

    every = bars()
    choose(window, "scores-0", "shown_role", "up")
    assert 0 < bars() < every
    choose(window, "spectrum-0", "matrix_choice", "encoder.layer.3.attention.self.query")
    assert "α = " in window.find_element(By.ID, "chart-spectrum-0").text
    # A click on a role in the legend leaves the others faint.
    symbol = window.find_element(By.CSS_SELECTOR, "#chart-importance-0 .role-legend-symbol path")
    ActionChains(window).move_to_element(symbol).click().perform()
    opacities = window.execute_script(
        "return [...document.querySelectorAll('#chart-importance-0 .mark-rect path')].map(path => +getComputedStyle(path).opacity)"
    )
    assert {round(value, 2) for value in opacities} == {1, 0.15}
    bar = window.find_element(By.CSS_SELECTOR, "#chart-importance-0 .mark-rect path")
    ActionChains(window).move_to_element(bar).perform()
    window.implicitly_wait(2)
    tip = window.find_element(By.CSS_SELECTOR, "#vg-tooltip-element.visible").text
    assert "layer" in tip and "share" in tip and "%" in tip


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1400])
def test_a_page_asks_for_nothing_fits_and_can_be_read(window, files, width, scheme):
    reports.show(window, width, scheme)
    reports.requests(window)
    for name in ("one", "all"):
        reports.opened(window, files / f"{name}.html")
        assert [entry for entry in window.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")] == []
        assert window.execute_script("return document.documentElement.scrollWidth") <= width, name
        outside = window.execute_script(
            "return [...document.querySelectorAll('figure svg')].filter(svg => svg.getBoundingClientRect().right > "
            "svg.closest('figure').getBoundingClientRect().right + 1).map(svg => svg.closest('.chart').id)"
        )
        assert outside == []
        assert faint_texts(window) == []
    asked = [address for address in reports.requests(window) if not address.startswith(("file:", "data:", "blob:"))]
    assert asked == []


def faint_texts(window):
    """Texts whose contrast with what is behind them is below 4.5:1. Numbers in maps stand on their own colour."""
    found = window.execute_script("""
        const channel = value => { value /= 255; return value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4; };
        const numbers = color => color.match(/[\\d.]+/g).map(Number);
        const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
        const behind = node => {
          for (; node; node = node.parentElement) {
            const color = numbers(getComputedStyle(node).backgroundColor);
            if (color.length === 3 || color[3] > 0) return color;
          }
          return [255, 255, 255];
        };
        const texts = [...document.querySelectorAll("h1, h2, h3, p, dt, dd, th, td, a, figcaption, summary, pre, select, svg text")];
        return texts.filter(node => node.textContent.trim() && !node.closest(".mark-text.role-mark.layer_1_marks")).map(node => {
          const style = getComputedStyle(node);
          const own = light(numbers(node instanceof SVGElement ? style.fill : style.color)), other = light(behind(node));
          return [(Math.max(own, other) + 0.05) / (Math.min(own, other) + 0.05), node.textContent.slice(0, 40)];
        }).filter(([contrast]) => contrast < 4.5);
    """)
    return found


def test_numbers_in_a_map_can_be_read(window, files):
    reports.show(window, 1400, "light")
    reports.opened(window, files / "one.html")
    found = window.execute_script("""
        const view = document.querySelector("#chart-kept-0");
        const fields = [...view.querySelectorAll(".mark-rect.role-mark path")].map(path => [path.getBoundingClientRect(), path]);
        return [...view.querySelectorAll(".mark-text.role-mark text")].map(text => {
          const box = text.getBoundingClientRect(), x = box.x + box.width / 2, y = box.y + box.height / 2;
          const [, field] = fields.find(([one]) => one.left <= x && x <= one.right && one.top <= y && y <= one.bottom);
          return [getComputedStyle(text).fill, getComputedStyle(field).fill];
        });
    """)
    assert len(found) == 37
    for pair in found:
        light, dark = sorted((luminance([int(part) for part in re.findall(r"\d+", color)[:3]]) for color in pair), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, pair


def luminance(rgb):
    linear = [value / 255 / 12.92 if value / 255 <= 0.03928 else ((value / 255 + 0.055) / 1.055) ** 2.4 for value in rgb]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


# Viénot, Brettel and Mollon 1999: what a dichromat sees of linear RGB.
BLINDNESS = {
    "protanopia": [[0.11238, 0.88762, 0], [0.11238, 0.88762, 0], [0.00401, -0.00401, 1]],
    "deuteranopia": [[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]],
}


@pytest.mark.parametrize("kind", [None, *BLINDNESS])
def test_colours_of_roles_differ_for_colour_blind_readers(kind):
    def lab(color):
        rgb = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
        linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        if kind:
            linear = np.clip(np.array(BLINDNESS[kind]) @ linear, 0, 1)
        xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ linear / [0.9505, 1, 1.089]
        f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
        return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])

    colors = [lab(color) for color in CATEGORIES]
    least = min(np.linalg.norm(one - other) for i, one in enumerate(colors) for other in colors[:i])
    assert least > 25, least  # 2.3 is a difference that can just be seen


def test_hostile_names_are_text(window, frog, tmp_path):
    name = "</script><script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\">"
    torch.manual_seed(0)
    tensors = {f"model.layers.{i}.{name}.weight": torch.randn(24, 16) for i in range(2)}
    (tmp_path / name.replace("/", "")).mkdir()
    save_file(tensors, tmp_path / "model.safetensors")
    out = tmp_path / name.replace("/", "") / "out<b>"
    frog("mask", tmp_path / "model.safetensors", "--out", out, "--analyze", "--include", "*")
    write_report([out], tmp_path / "page.html")
    reports.show(window, 1400, "light")
    reports.opened(window, tmp_path / "page.html")
    assert window.title == "frog-mpi: out<b>"
    assert window.execute_script("return document.querySelectorAll('img, b').length") == 0
    assert name in window.execute_script("return document.querySelector('#concentration figure > details').textContent")
    assert [entry for entry in window.get_log("browser") if entry["level"] == "SEVERE"] == []


def test_a_page_stays_small(window, tmp_path):
    folder = reports.made_up(tmp_path / "deepseek", reports.deepseek, layers=62)
    assert len(json.loads((folder / "frog.json").read_text())["matrices"]) == 45_809
    write_report([folder])
    page_of = tmp_path / "deepseek.html"
    assert page_of.stat().st_size < 3e6
    reports.show(window, 1400, "light")
    reports.opened(window, page_of)
    marks = window.execute_script("return document.querySelectorAll('svg path').length")
    assert marks < 20_000
    assert f"{62 * 8 + 1 - MOST_ROWS:,} further rows are in layers.csv" in window.find_element("id", "kept").get_attribute("textContent")


# Pictures


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pictures_for_papers(folders, tmp_path, scheme):
    written = write_report(
        [folders / name for name in ("mask", "comparison")],
        tmp_path / "page.html",
        svg=tmp_path / "svg",
        png=tmp_path / "png",
        scheme=scheme,
    )
    names = {path.name.replace("-dark.", ".") for path in written}
    assert all(("-dark." in path.name) == (scheme == "dark") for path in written[1:])
    assert {"importance.svg", "kept.svg", "budget.svg", "scores.svg", "updates.svg", "alpha.svg", "spectrum.svg", "kept.png"} <= names
    for path in written:
        if path.suffix == ".svg":
            tree = ElementTree.parse(path).getroot()
            assert 300 < float(tree.get("width")) < 900
            sizes = [float(size) for node in tree.iter() if (size := node.get("font-size", "").removesuffix("px"))]
            assert sizes and min(sizes) >= 10, path
            assert not re.search(r"(href|url\()\s*=?\s*[\"']?https?:", path.read_text())
            background = "#ffffff" if scheme == "light" else "#14181d"
            assert background in path.read_text()
        elif path.suffix == ".png":
            assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_every_picture_says_what_it_shows(folders):
    runs = open_runs([folders / name for name in ("mask", "masks", "analysis", "comparison")])
    found = pictures(runs)
    assert len(found) == 10
    for picture in found:
        assert len(picture.sentence) > 60 and picture.sentence.endswith("."), picture.key
        assert picture.panels and all(panel.table for panel in picture.panels if panel.chart), picture.key
    assert page(runs, found).count("<!DOCTYPE html>") == 1


# Bad input


def test_folders_that_are_no_results(folders, tmp_path):
    with pytest.raises(MissingError, match="there is no folder"):
        write_report([tmp_path / "none"])
    with pytest.raises(FormatError, match="it is no output of frog-mpi mask, analyze or compare"):
        write_report([tmp_path])
    (tmp_path / ".frog-mpi").mkdir()
    with pytest.raises(FormatError, match="did not finish: repeat it with --resume"):
        write_report([tmp_path])
    shutil.copytree(folders / "mask", tmp_path / "cut")
    (tmp_path / "cut/masks.safetensors.index.json").unlink()
    with pytest.raises(FormatError, match="did not finish: repeat it with --resume"):
        write_report([tmp_path / "cut"])
    with pytest.raises(UsageError, match="is given twice"):
        write_report([folders / "mask", folders / "mask"])
    with pytest.raises(UsageError, match="needs the folder of a run"):
        write_report([])


@pytest.mark.parametrize(
    ("file", "damage", "words"),
    [
        ("histograms.safetensors", None, "there is no file .*histograms.safetensors"),
        ("histograms.safetensors", lambda data: data[:-8], "histograms.safetensors is truncated"),
        ("details.csv", lambda data: data.replace(b"longname", b"name"), "details.csv has no column 'longname'"),
        ("details.csv", lambda data: data + b"1,2\n", "details.csv, line 39: 2 cells"),
        ("summary.json", lambda data: data[:40], "summary.json is no JSON document"),
        ("frog.json", lambda data: data.replace(b'"norm" : ', b'"norm" : "x", "other" : ', 1), "the entry of '.*' lacks or garbles"),
        (
            "frog.json",
            lambda data: data.replace(b'"format_version" : 5', b'"format_version" : 99'),
            "this frogmask reads version 5",
        ),
    ],
)
def test_damaged_files(folders, tmp_path, file, damage, words):
    shutil.copytree(folders / "mask", tmp_path / "mask")
    path = tmp_path / "mask" / file
    data = path.read_bytes()
    path.unlink()
    if damage is not None:
        assert damage(data) != data
        path.write_bytes(damage(data))
    with pytest.raises((FormatError, MissingError), match=words):
        write_report([tmp_path / "mask"])
    assert not (tmp_path / "mask.html").exists()


def test_without_histograms_and_run_json_the_rest_is_shown(frog, checkpoint, tmp_path):
    frog("mask", checkpoint("llama"), "--out", tmp_path / "out", "--no-histograms")
    (tmp_path / "out/run.json").unlink()
    write_report([tmp_path / "out"])
    text = (tmp_path / "out.html").read_text()
    assert "The run wrote no histograms.safetensors (--no-histograms)" in text and "The folder has no run.json with times." in text
    assert "frog-mpi mask CHECKPOINT --out NEW-FOLDER" in text


def test_files_that_cannot_be_written(folders, tmp_path):
    with pytest.raises(WriteError, match="cannot write .*page.html"):
        write_report([folders / "mask"], tmp_path / "none" / "page.html")
    (tmp_path / "file").write_text("")
    with pytest.raises(WriteError, match="cannot make .*file"):
        write_report([folders / "mask"], tmp_path / "page.html", svg=tmp_path / "file")


def test_without_altair(monkeypatch, folders, tmp_path):
    monkeypatch.setattr("frogmask.report.find_spec", lambda name: None)
    with pytest.raises(MissingError, match=r"pip install 'frogmask\[report\]'"):
        write_report([folders / "mask"], tmp_path / "page.html")


def test_the_command_line(folders, tmp_path):
    def run(*words):
        return subprocess.run([sys.executable, "-m", "frogmask", "report", *map(str, words)], capture_output=True, text=True)

    done = run(folders / "masks/global-1%", "-o", tmp_path / "page.html", "--svg", tmp_path / "svg")
    assert done.returncode == 0 and done.stdout.splitlines()[0] == str(tmp_path / "page.html") and done.stderr == ""
    run(folders / "mask", "-o", tmp_path / "some.html", "--svg", tmp_path / "some", "--only", "kept,time")
    assert sorted(path.name for path in (tmp_path / "some").iterdir()) == ["kept.svg", "time.svg"]
    assert '<section id="kept">' in (text := (tmp_path / "some.html").read_text()) and '<section id="budget">' not in text
    unknown = run(folders / "mask", "--only", "kepd")
    assert unknown.returncode == 64 and "there is no picture 'kepd' of these folders: there are importance, kept" in unknown.stderr
    failed = run(tmp_path / "none")
    assert (failed.returncode, failed.stdout) == (66, "")
    assert failed.stderr == f"frogmask: error: there is no folder {tmp_path / 'none'}\n"
    assert run().returncode == 64


def test_runs_without_layers_and_of_convolutions(masked, tmp_path):
    for name in ("resnet", "mixtral", "gpt2"):
        write_report([masked(name)], tmp_path / f"{name}.html")
        text = (tmp_path / f"{name}.html").read_text()
        for row in (row for row in open_runs([masked(name)])[0].matrices if row.kept):
            assert row.name in text, name
