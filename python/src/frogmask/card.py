"""The README.md beside a patch or an adapter: what it is, which model it belongs to, and how to load it."""

from __future__ import annotations

import json
from collections.abc import Sequence


def front_matter(base_model: str | None, library: str, tags: Sequence[str]) -> str:
    """The YAML that the Hugging Face Hub reads at the beginning of a card."""
    lines = ["---", f"library_name: {library}", "tags:", *(f"- {tag}" for tag in tags)]
    if base_model is not None:
        # A JSON string is a YAML string, whatever is in it.
        lines.insert(1, f"base_model: {json.dumps(base_model, ensure_ascii=False)}")
    return "\n".join([*lines, "---", "", ""])


def patch_card(base_model: str | None, fingerprint: str, kept: int, tensors: int) -> str:
    """The card of a patch.

    Args:
        base_model: The model that it belongs to, if it is known.
        fingerprint: The fingerprint of the checkpoint.
        kept: The number of values.
        tensors: The number of tensors that they lie in.
    """
    model = base_model or "my-model"
    name = f"`{base_model}`" if base_model else "a model"
    return f"""{front_matter(base_model, "frogmask", ["frogmask", "sparse-fine-tuning"])}# A sparse patch

This patch sets {kept:,} weights in {tensors:,} tensors of {name} to the values that training has given them.
All other weights stay as they are.
It holds absolute values, not differences: applying it twice changes nothing more.

## Load it

```python
import frogmask
from transformers import AutoModelForCausalLM

model = AutoModelForCausalLM.from_pretrained({json.dumps(model, ensure_ascii=False)})    # or the class that you use
frogmask.apply(model, "path/of/this/folder")
```

Write a checkpoint that needs no frogmask:

    frogmask merge {model} path/of/this/folder --out merged

Write an adapter for PEFT:

    frogmask convert path/of/this/folder --checkpoint {model} --to supertuning --out adapter

## Files

| file | |
|---|---|
| `patch.safetensors` | of every tensor T `T.indices`, flat row-major positions in the checkpoint's tensor, ascending, and `T.values` |
| `patch.json` | the fingerprint of the checkpoint, and shape and type of every tensor |

The weight matrices of the checkpoint have the fingerprint `{fingerprint}`.
`frogmask merge` refuses other checkpoints.
"""


_METHODS = {
    "shira": ("SHiRA adapter", "peft", "PEFT 0.21 or later"),
    "supertuning": ("Super-Tuning adapter", "peft", "PEFT 0.21 or later"),
    "sft": ("SFT adapter", "peft", "the fork of PEFT at https://github.com/AlanAnsell/peft"),
}


def adapter_card(base_model: str, to: str, is_untrained: bool) -> str:
    """The card of an adapter.

    Args:
        base_model: The model that it belongs to.
        to: The format: `shira`, `supertuning` or `sft`.
        is_untrained: Whether its values are zeros.
    """
    name, library, needs = _METHODS[to]
    model = json.dumps(base_model, ensure_ascii=False)
    state = (
        "Its values are zeros: it selects the weights to train, and nothing has been trained yet."
        if is_untrained
        else "Its values are added to the weights of the base model, which must be the one that it was trained on."
    )
    trainable = ", is_trainable=True" if is_untrained else ""
    return f"""{front_matter(base_model, library, ["frogmask", to])}# A {name} of selected weights

The positions of its weights come from a mask of frog-mpi.
{state}
It needs {needs}.

```python
from peft import PeftModel
from transformers import AutoModelForCausalLM

base = AutoModelForCausalLM.from_pretrained({model})    # or the class that you use
model = PeftModel.from_pretrained(base, "path/of/this/folder"{trainable})
```

Module paths are those of the model class that wrote the checkpoint.
"""
