"""Runs of the real program that reports are about, and a browser to look at reports with."""

import json
import os
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file


@contextmanager
def browser(width=1400, scheme="light"):
    """A headless Chromium that keeps its log and that of its network; ends with the block."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for word in ("--headless=new", "--disable-gpu", "--hide-scrollbars", *(["--no-sandbox"] if os.geteuid() == 0 else [])):
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
    try:
        driver.set_page_load_timeout(60)
        driver.set_script_timeout(60)
        show(driver, width, scheme)
        yield driver
    finally:
        driver.quit()


def show(driver, width, scheme):
    """Gives the window another width and colour scheme."""
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def opened(driver, path):
    """Opens a report and draws everything in it."""
    driver.get(Path(path).resolve().as_uri())
    failed = driver.execute_async_script("const end = arguments[0]; frogDrawAll().then(() => end(null), error => end(String(error)))")
    assert failed is None, failed


def requests(driver):
    """The addresses that were asked for since the last call."""
    messages = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    return [message["params"]["request"]["url"] for message in messages if message["method"] == "Network.requestWillBeSent"]


def data(driver, chart, name):
    """The rows of a data set of a drawn chart."""
    return driver.execute_script(f"return frogViews.get('chart-{chart}').data(arguments[0])", name)


def made_up(folder, names, *, layers, budget=0.01):
    """An output folder with frog.json, histograms and index, but without masks: of shapes that no test could compute.

    Args:
        folder: Where to, new.
        names: By layer, the (name, rows, columns, role) of its matrices.
        layers: The number of layers.
        budget: The share that is kept.
    """
    folder.mkdir()
    generator = np.random.default_rng(0)
    entries = []
    for layer in range(layers):
        for name, rows, columns, role in names(layer):
            spread = dict(zip(("effective_rows", "effective_columns"), generator.random(2).tolist()))
            entries.append({
                "name": name, "tensor": name, "shape": [rows, columns], "dtype": "BF16", "slice": None, "role": role,
                "stack": "model.layers", "depth": layer, "file": "masks-00001-of-00001.safetensors",
                "norm": float(generator.uniform(1, 9)), "solver": "local",
                "kept": int(rows * columns * budget), "threshold": 0.3, "score_sum": rows * columns * 0.1,
                "selected_score_sum": rows * columns * 0.004, "score_exponent": 0, "format": "indices", "concentration": spread,
                "noise_error": 0.03, "rank_one_share": 0.99, "alpha": None, "quality_weight": None,
            })  # fmt: skip
    total = sum(entry["norm"] for entry in entries)
    for entry in entries:
        entry["importance"] = entry["norm"] / total
    weights, kept = sum(entry["shape"][0] * entry["shape"][1] for entry in entries), sum(entry["kept"] for entry in entries)
    shares = np.exp(-(((np.arange(24) - 12) / 5) ** 2))
    counts = []
    for entry in entries:
        count = np.maximum(1, shares / shares.sum() * entry["shape"][0] * entry["shape"][1]).astype(np.int64)
        count[12] += entry["shape"][0] * entry["shape"][1] - count.sum()
        counts.append(count)
    counts = np.concatenate(counts)
    save_file(
        {
            "offsets": np.arange(len(entries) + 1, dtype=np.int64) * 24, "counts": counts, "sums": (counts * 0.1).astype(np.float32),
            "bins": np.tile(np.arange(0x800 + (120 << 3), 0x800 + (120 << 3) + 24), len(entries)).astype(np.uint16),
            "exponents": np.zeros(len(entries), np.int32),
        },
        folder / "histograms.safetensors",
    )  # fmt: skip
    parameters = {"select": "global", "budget": budget, "keep": None, "lora_rank": None, "score": "frog", "importance": "frobenius"}
    record = {
        "format": "frog-mask", "format_version": 5, "version": "0.1.0", "parameters": parameters, "K": kept, "kept": kept, "threshold": 0.1,
        "checkpoint": {"fingerprint": "sha256-xxh3:0", "matrices": len(entries), "weights": weights}, "starved": 0, "audit": None,
        "coverage": {"floating_point_weights": weights, "counted": 1.0, "left_out": []}, "concentration": None, "matrices": entries,
        "layers": [], "roles": [], "files": {}, "documents": {"histograms.safetensors": {}},
    }  # fmt: skip
    (folder / "frog.json").write_text(json.dumps(record))
    (folder / "masks.safetensors.index.json").write_text("{}")
    return folder


def deepseek(layer):
    """The matrices of one of DeepSeek-V3's 62 layers: 256 routed experts and a shared one in all but the first three, 45,809 in all."""
    at = f"model.layers.{layer}."
    yield from (
        (f"{at}self_attn.q_a_proj.weight", 1536, 7168, "q_a"), (f"{at}self_attn.q_b_proj.weight", 24576, 1536, "q_b"),
        (f"{at}self_attn.kv_a_proj_with_mqa.weight", 576, 7168, "kv_a"), (f"{at}self_attn.kv_b_proj.weight", 32768, 512, "kv_b"),
        (f"{at}self_attn.o_proj.weight", 7168, 16384, "o"),
    )  # fmt: skip
    if layer == 61:
        yield f"{at}eh_proj.weight", 7168, 14336, "eh_proj"
    routed = [(f"mlp.experts.{expert}", 2048) for expert in range(256)] + [("mlp.shared_experts", 2048)]
    experts = [("mlp", 18432)] if layer < 3 else routed
    for module, width in experts:
        for name in ("gate", "up"):
            yield f"{at}{module}.{name}_proj.weight", width, 7168, name
        yield f"{at}{module}.down_proj.weight", 7168, width, "down"
