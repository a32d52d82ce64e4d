"""What counts as a weight in checkpoints that no list of names foresees (kinds.py): every tensor has the class it should have."""

import json
import re

import pytest

import kinds


@pytest.mark.parametrize("kind", kinds.KINDS)
def test_every_tensor_has_its_class(frog, tmp_path, kind):
    folder = kinds.KINDS[kind].write(tmp_path)
    result = frog("inspect", "--json", folder)
    assert result.status == 0, str(result)
    found = {tensor["name"]: tensor for tensor in json.loads(result.stdout)["tensors"]}
    wrong = []
    for name, dtype, shape, wanted in kinds.KINDS[kind].tensors:
        tensor = found[name]
        reason = tensor.get("reason", "")
        name_of_class, _, detail = wanted.partition(":")
        right = tensor["class"] == name_of_class
        if name_of_class == "stack":
            right = right and tensor["matrices"] == int(detail)
        elif name_of_class == "skipped":
            right = right and detail == reason
        elif name_of_class == "refused":
            right = right and re.search(detail, reason) is not None
        else:
            right = right and tensor["matrices"] == 1
        if not right:
            wrong.append(f"{name} {dtype} {list(shape)}: {tensor['class']} ({reason or tensor['matrices']}), not {wanted}")
    assert not wrong, "\n".join(wrong[:20])
