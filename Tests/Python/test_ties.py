"""Equal scores: exactly K are kept, and which ones follows the documented order.

A lower ordinal (position in the byte-wise sorted list of tensor names) comes first, then a lower row-major position.
"""

import numpy as np
import pytest

import reference

SELECTIONS = ["global", "matrix", "uniform"]


def kept(frog, checkpoint, exact, out, name, *options, ranks=3):
    described = frog.mask(checkpoint(name), out, "--overwrite", *options, ranks=ranks)
    output = reference.read_output(out, {m.name: m.shape for m in exact(name).matrices})
    assert sum(o.indices.size for o in output.values()) == described["kept"] == described["K"]
    return {matrix: o.indices for matrix, o in output.items()}, described


@pytest.mark.parametrize("precision", ["f64", "f32"])
@pytest.mark.parametrize("select", SELECTIONS)
def test_exactly_k_are_kept_whatever_is_equal(frog, checkpoint, exact, tmp_path, select, precision):
    for count in (1, 63, 64, 65, 127, 129, 2000, 12_801, 25_599):
        options = ("--keep", count, "--select", select, "--precision", precision)
        _, described = kept(frog, checkpoint, exact, tmp_path, "equal_scores", *options)
        assert described["kept"] == count


@pytest.mark.parametrize("precision", ["f64", "f32"])
@pytest.mark.parametrize("select", SELECTIONS)
@pytest.mark.parametrize("count", [1, 63, 64, 65, 100, 255, 256, 257, 300, 4097, 16_383])
def test_ties_go_to_the_lower_matrix_and_position(frog, checkpoint, exact, tmp_path, count, select, precision):
    """256 scores of ½ and 16,128 of 0, in four matrices of equal norm."""
    options = ("--keep", count, "--select", select, "--precision", precision)
    found, _ = kept(frog, checkpoint, exact, tmp_path, "permutations", *options)
    wanted = exact("permutations").select(select, count)
    for name, indices in wanted.items():
        assert np.array_equal(found[name], indices), name


@pytest.mark.parametrize("ranks", [1, 3])
@pytest.mark.parametrize("count", [1000, 1001, 1002, 1003, 1004])
@pytest.mark.parametrize("select", SELECTIONS)
def test_equal_matrices_share_in_byte_order_of_their_names(frog, checkpoint, exact, tmp_path, select, count, ranks):
    """Five equal matrices: h.1, h.10, h.2, h.20, h.3. The first ones get one weight more; all keep the same otherwise."""
    options = ("--keep", count, "--select", select)
    found, _ = kept(frog, checkpoint, exact, tmp_path, "twins", *options, ranks=ranks)
    order = ["h.1.weight", "h.10.weight", "h.2.weight", "h.20.weight", "h.3.weight"]
    assert [found[name].size for name in order] == [200 + (position < count - 1000) for position in range(5)]
    for name in order[1:]:
        assert np.isin(found[name], found[order[0]]).all()
