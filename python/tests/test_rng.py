"""Random numbers by position: the published generator, and normal numbers of it."""

import numpy as np
import pytest

from frogmask.rng import key_of, normals, philox


@pytest.mark.parametrize(
    "counter, key, wanted",
    [
        # The known answers that come with Random123, for philox4x32-10.
        ((0, 0, 0, 0), 0, (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((0xFFFFFFFF,) * 4, 2**64 - 1, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        ((0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344), 0x299F31D0A4093822, (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1)),
    ],
)
def test_known_answers(counter, key, wanted):
    words = tuple(np.array([word], np.uint32) for word in counter)
    assert tuple(int(word[0]) for word in philox(words, key)) == wanted


def test_numbers_are_normal_and_depend_on_key_and_position_alone():
    positions = np.arange(200_000)
    drawn = normals(1, positions)
    n = drawn.size
    assert abs(drawn.mean()) < 4 / n**0.5
    assert abs(drawn.var() - 1) < 4 * (2 / n) ** 0.5
    assert abs((drawn**3).mean()) < 4 * (15 / n) ** 0.5
    assert abs((drawn**4).mean() - 3) < 4 * (96 / n) ** 0.5
    assert abs((drawn[1:] * drawn[:-1]).mean()) < 4 / n**0.5
    some = np.random.default_rng(0).permutation(n)[:1000]
    assert np.array_equal(normals(1, some), drawn[some])
    assert abs(np.corrcoef(normals(2, some), drawn[some])[0, 1]) < 4 / some.size**0.5
    far = np.array([5, 2**32 + 5, 2**40 + 5])
    assert len(set(normals(1, far).tolist())) == 3 and normals(1, far)[0] == drawn[5]


def test_keys_tell_names_apart():
    assert len({key_of(0, "a", "b"), key_of(0, "ab"), key_of(1, "a", "b"), key_of(0, "a")}) == 4
