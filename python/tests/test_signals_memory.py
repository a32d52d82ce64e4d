"""How much memory signals take beside the model."""

import json
import os
import subprocess
import sys
import textwrap

import pytest

# Peaks of anonymous memory, in bytes, of what a block does; files that are mapped or cached do not count.
PEAK = """
import ctypes, gc, json, os, sys, threading, time
import torch, transformers
from torch import nn
from frogmask import signals
torch.set_num_threads(1)

def anonymous():
    with open("/proc/self/status") as stream:
        return next(int(line.split()[1]) << 10 for line in stream if line.startswith("RssAnon"))

def peak(block):
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    before, found, stop = anonymous(), [0], threading.Event()
    def watch():
        while not stop.is_set():
            found[0] = max(found[0], anonymous() - before)
            time.sleep(0.0005)
    thread = threading.Thread(target=watch)
    thread.start()
    block()
    stop.set()
    thread.join()
    return found[0]
"""

GRADIENTS = (
    PEAK
    + """
folder, out = sys.argv[1:]
config = transformers.LlamaConfig(
    vocab_size=64, hidden_size=384, intermediate_size=1536, num_hidden_layers=8, num_attention_heads=8, num_key_value_heads=8,
    max_position_embeddings=64, tie_word_embeddings=False,
)
transformers.LlamaForCausalLM(config).save_pretrained(folder)
model = transformers.LlamaForCausalLM.from_pretrained(folder).eval()
ids = torch.randint(1, 64, (2, 16))
batch = {"input_ids": ids, "labels": ids}
layer = 4 * sum(p.numel() for p in model.model.layers[0].parameters())

def plain():
    # Forward and backward, where every gradient is freed at once.
    hooks = [p.register_post_accumulate_grad_hook(lambda p: setattr(p, "grad", None)) for p in model.parameters()]
    model(**batch).loss.backward()
    for hook in hooks:
        hook.remove()

plain()
passes = peak(plain)
found = {kind: peak(lambda: signals.collect(model, [batch, batch], kind, f"{out}/{kind}", checkpoint=folder)) for kind in signals_of}
print(json.dumps({"passes": passes, "layer": layer, "model": 4 * sum(p.numel() for p in model.parameters()), **found}))
"""
)


def measured(script, *arguments):
    # Freed memory goes back to the system at once, so that what is measured is what is alive.
    environment = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536", "MALLOC_ARENA_MAX": "1"}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)], capture_output=True, text=True, timeout=120,
        env=os.environ | environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_no_more_than_the_gradients_of_a_layer_are_in_memory(tmp_path):
    kinds = ("activation", "gradient")
    found = measured(GRADIENTS.replace("signals_of", repr(kinds)), tmp_path / "model", tmp_path)
    assert found["model"] > 7 * found["layer"]
    for kind in kinds:
        assert found[kind] <= found["passes"] + found["layer"], found
