"""The tables of 8-bit floats that the Swift tests compare with, against the PyTorch at hand."""

import re

import numpy as np
import pytest

from conftest import ROOT

torch = pytest.importorskip("torch")


@pytest.mark.parametrize("name, dtype", [("e4m3", "float8_e4m3fn"), ("e5m2", "float8_e5m2")])
def test_tables_are_those_of_pytorch(name, dtype):
    text = (ROOT / "Tests/ShardIOTests/EightBitCodes.swift").read_text()
    body = re.search(rf"static let {name}: \[UInt32\] = \[(.*?)\]", text, re.S).group(1)
    table = np.array([int(word, 16) for word in re.findall(r"0x[0-9A-F]{8}", body)], dtype=np.uint32)
    codes = torch.arange(256, dtype=torch.int32).to(torch.uint8)
    exact = codes.view(getattr(torch, dtype)).to(torch.float32).numpy()
    assert len(table) == 256
    np.testing.assert_array_equal(table.view(np.float32), exact)
    np.testing.assert_array_equal(np.signbit(table.view(np.float32)), np.signbit(exact))
