#!/usr/bin/env python3
"""How large reports are, how long they take to write, and how long a browser takes to open and draw all of one.

    Benchmarks/bench_report.py [--repeats N]

Three made-up outputs of `mask`: 37 matrices, as MiniLM-L6 has; 560, as a Llama of 70 billion parameters has; and the 45,809 of DeepSeek-V3.
The time of the browser is from asking for the page to the end of the last drawing, those below the window included.
Needs Chromium and its driver (scripts/setup --peers).
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "python/tests"), str(ROOT / "python/src")]

import reports  # noqa: E402
from frogmask.report import write_report  # noqa: E402


def minilm(layer):
    for role, rows, columns in [(role, 384, 384) for role in "qkvo"] + [("up", 1536, 384), ("down", 384, 1536)]:
        yield f"encoder.layer.{layer}.{role}.weight", rows, columns, role


def llama(layer):
    for role, rows, columns in (
        ("q", 8192, 8192), ("k", 1024, 8192), ("v", 1024, 8192), ("o", 8192, 8192),
        ("gate", 28672, 8192), ("up", 28672, 8192), ("down", 8192, 28672),
    ):  # fmt: skip
        yield f"model.layers.{layer}.{role}.weight", rows, columns, role


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3, help="the least of so many times is shown (default: %(default)s)")
    options = parser.parse_args()
    print("| shapes of | matrices | page | written in | opened and drawn in |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name, reports.browser() as window:
        for title, shapes, layers in (("MiniLM-L6", minilm, 6), ("Llama 70B", llama, 80), ("DeepSeek-V3", reports.deepseek, 62)):
            folder = reports.made_up(Path(name) / title.replace(" ", "-"), shapes, layers=layers)
            written, drawn = [], []
            for _ in range(options.repeats):
                started = time.perf_counter()
                (page,) = write_report([folder])
                written.append(time.perf_counter() - started)
                started = time.perf_counter()
                reports.opened(window, page)
                drawn.append(time.perf_counter() - started)
            number = sum(1 for layer in range(layers) for _ in shapes(layer))
            print(f"| {title} | {number:,} | {page.stat().st_size / 1e6:.2f} MB | {min(written):.1f} s | {min(drawn):.2f} s |", flush=True)


if __name__ == "__main__":
    main()
