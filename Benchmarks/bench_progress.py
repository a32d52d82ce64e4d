#!/usr/bin/env python3
"""Measures what showing the progress costs a run; prints a Markdown table.

  Benchmarks/bench_progress.py llama-1b-2-layers [--ranks 2] [--repeats 9] [-- OPTIONS OF mask]

`frog-mpi mask` runs on a terminal of its own by turns with --progress always, which draws a block every second, with --log-format json
as well, and with --progress never, where ranks send no reports. The ratios are those of pairs of runs, one after the other, to never:
the median, in brackets the least and the largest; and that of the fastest runs. Leave the machine alone meanwhile.
"""

import fcntl
import os
import statistics
import struct
import subprocess
import sys
import termios
import threading
import time

import common

MANNERS = {
    "never": ["--progress", "never"],
    "block": ["--progress", "always"],
    "json": ["--progress", "always", "--log-format", "json"],
}


def on_terminal(command):
    """Seconds, processor seconds and drawn blocks of a command that has a terminal of 80 columns."""
    master, slave = os.openpty()
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    text = bytearray()

    def read():
        try:
            while data := os.read(master, 1 << 16):
                text.extend(data)
        except OSError:  # nobody has the terminal any more
            pass

    reader = threading.Thread(target=read)
    start, cpu = time.perf_counter(), common.children_cpu()
    environment = common.environment(TERM="xterm")
    process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True)
    os.close(slave)
    reader.start()
    status = process.wait()
    seconds, cpu = time.perf_counter() - start, common.children_cpu() - cpu
    reader.join()
    os.close(master)
    if status != 0:
        sys.exit(f"{command}: status {status}\n{text.decode(errors='replace')}")
    return seconds, cpu, text.count(b"\x1b[J\r\x1b[")


def main():
    parser = common.parser(__doc__)
    parser.add_argument("checkpoint", type=common.checkpoint)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("options", nargs="*", help="for mask, behind --")
    arguments = parser.parse_args()

    seconds, cpu, blocks = ({manner: [] for manner in MANNERS} for _ in range(3))
    with common.scratch() as folder:
        for repeat in range(arguments.repeats):
            for manner, options in MANNERS.items():
                command = ["mask", arguments.checkpoint, "--out", folder / manner, "--overwrite", "--threads", 1]
                found = on_terminal(common.frog(*command, *options, *arguments.options, ranks=arguments.ranks))
                for values, value in zip((seconds, cpu, blocks), found):
                    values[manner].append(value)
                print(f"{repeat + 1}/{arguments.repeats}  {manner}  {found[0]:.3f} s, CPU {found[1]:.3f} s", file=sys.stderr)
    if not any(blocks["block"]):
        sys.exit("bench_progress: error: no block was drawn: the runs take less than a second")

    def ratio(values, manner):
        pairs = [mine / other for mine, other in zip(values[manner], values["never"])]
        return f"{statistics.median(pairs):.4f} ({min(pairs):.4f}–{max(pairs):.4f})"

    print(f"{common.command_line()}: {arguments.repeats} runs each\n")
    table = common.Table("", "median, s", "to never", "fastest to never", "CPU to never", "blocks")
    for manner in MANNERS:
        best = min(seconds[manner]) / min(seconds["never"])
        table.row(
            manner, f"{statistics.median(seconds[manner]):.3f}", ratio(seconds, manner), f"{best:.4f}", ratio(cpu, manner),
            f"{statistics.median(blocks[manner]):.0f}",
        )  # fmt: skip


if __name__ == "__main__":
    main()
