"""The reference against definitions written out as loops, and values worked out by hand."""

import itertools
from fractions import Fraction

import numpy as np
import pytest

import checkpoints
import reference


@pytest.mark.parametrize("rows, columns", [(2, 2), (7, 3), (3, 7), (5, 5)])
def test_scores_are_the_sum_over_singular_triplets(rows, columns):
    weights = np.random.default_rng(rows * columns).standard_normal((rows, columns))
    u, sigma, vt = np.linalg.svd(weights, full_matrices=False)
    assert np.allclose((u * sigma) @ vt, weights)
    expected = [[sum(sigma[k] * abs(u[i, k]) * abs(vt[k, j]) for k in range(sigma.size)) for j in range(columns)] for i in range(rows)]
    assert np.allclose(reference.frog_scores(weights), expected, rtol=1e-13)


def test_global_selection_is_a_sort_by_score_then_ordinal_then_position(tmp_path):
    found = reference.Reference(checkpoints.mixed(tmp_path))
    # Coarse scores, so that ties cross matrices.
    found.scores[:] = np.random.default_rng(5).integers(0, 4, found.total)
    everything = sorted(((-s, ordinal, position) for ordinal, m in enumerate(found.matrices) for position, s in enumerate(m.scores)))
    for count in (0, 1, 957, 9000, found.total - 1, found.total):
        kept = {(ordinal, position) for _, ordinal, position in everything[:count]}
        selection = found.select("global", count)
        assert {(o, p) for o, m in enumerate(found.matrices) for p in selection[m.name]} == kept


def test_matrices_are_those_with_two_dimensions_of_two_or_more(tmp_path):
    found = reference.Reference(checkpoints.mixed(tmp_path))
    assert [m.name.split(".")[2] for m in found.matrices] == [
        "odd_bf16", "smallest", "square_f16", "tall_f64", "two_columns", "two_rows", "wide_f32",
    ]  # fmt: skip


def test_budgets_are_rounded_half_up_and_exactly():
    assert reference.kept_count(reference.parse_budget("1%"), 150) == 2
    assert reference.kept_count(reference.parse_budget("28.5%"), 100) == 29  # 0.285 * 100 < 28.5 in floating point
    assert reference.kept_count(reference.parse_budget("0.01"), 149) == 1
    assert reference.kept_count(reference.parse_budget("100%"), 7) == 7
    with pytest.raises(ValueError):
        reference.parse_budget("101%")


def test_largest_remainder_prefers_the_earlier():
    assert reference.largest_remainder([Fraction(3, 2), Fraction(3, 2), Fraction(1)], 4) == [2, 1, 1]
    assert reference.uniform_counts([10, 10, 10], 4) == [2, 1, 1]


def test_water_filling():
    # 90 : 10 of 50 would give 45 to a matrix of 20; its surplus goes to the others in proportion.
    assert reference.matrix_counts([90.0, 5.0, 5.0], [20, 100, 100], 50) == [20, 15, 15]
    # The surplus can fill the next one in turn.
    assert reference.matrix_counts([80.0, 15.0, 5.0], [20, 10, 100], 60) == [20, 10, 30]
    assert reference.matrix_counts([1.0, 0.0], [4, 4], 8) == [4, 4]


def test_water_filling_against_one_weight_at_a_time():
    """A continuous pour, in small steps, over every small case of three matrices."""
    for norms in itertools.product([1, 2, 7], repeat=3):
        for sizes in itertools.product([2, 6, 9], repeat=3):
            for count in range(sum(sizes) + 1):
                level, filled = Fraction(0), [Fraction(0)] * 3
                while sum(filled) < count:
                    # The level at which the next matrix is full, or the water is used up.
                    open_ = [i for i in range(3) if filled[i] < sizes[i]]
                    rise = min(
                        min((sizes[i] - filled[i]) / norms[i] for i in open_),
                        (count - sum(filled)) / Fraction(sum(norms[i] for i in open_)),
                    )
                    level += rise
                    filled = [min(Fraction(sizes[i]), level * norms[i]) for i in range(3)]
                found = reference.matrix_counts(norms, sizes, count)
                assert found == reference.largest_remainder(filled, count), (norms, sizes, count)


def test_bfloat16_is_read_and_written(tmp_path):
    values = np.array([[1.0, -2.5], [3.140625, 1e-38]], np.float32)
    folder = checkpoints.write_checkpoint(tmp_path, {"a.weight": checkpoints.encode(values, "BF16")})
    (tensor,) = reference.checkpoint_tensors(folder)
    assert np.allclose(tensor.read(), values, rtol=2**-8)


def test_noise_factors_of_a_rank_one_matrix_are_exact():
    row, col, error = reference.noise_factors(np.outer([1.0, 2, 3], [4.0, 5]))
    assert np.allclose(np.outer(row, col), np.outer([1, 2, 3], [4, 5]))
    assert error < 1e-15
