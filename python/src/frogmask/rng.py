"""Random numbers that depend on a key and a position alone, never on who else draws.

Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011) turns a counter and a key into four random words.
The counter is the position of a weight in its parameter, so a rank that holds a few rows draws the numbers that a single process draws.
"""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint32]

_MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_WEYL = (0x9E3779B9, 0xBB67AE85)
_CHUNK = 1 << 20  # positions at a time, so that temporary arrays stay in cache


def key_of(*parts: str | int) -> int:
    """A key of 64 bits, from a seed and the names of what is drawn for."""
    text = "\0".join(map(str, parts))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")


def philox(counter: tuple[Words, Words, Words, Words], key: int) -> tuple[Words, Words, Words, Words]:
    """Ten rounds of Philox4x32.

    Args:
        counter: Four words each, uint32 [k].
        key: 64 bits.

    Returns:
        Four random words each, uint32 [k].
    """
    first, second, third, fourth = counter
    low, high = key & 0xFFFFFFFF, key >> 32
    for _ in range(10):
        left, right = first * _MULTIPLIERS[0], third * _MULTIPLIERS[1]
        first, second, third, fourth = (
            (right >> np.uint64(32)).astype(np.uint32) ^ second ^ np.uint32(low),
            right.astype(np.uint32),
            (left >> np.uint64(32)).astype(np.uint32) ^ fourth ^ np.uint32(high),
            left.astype(np.uint32),
        )
        low, high = (low + _WEYL[0]) & 0xFFFFFFFF, (high + _WEYL[1]) & 0xFFFFFFFF
    return first, second, third, fourth


def normals(key: int, positions: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """Standard normal numbers, one for each position.

    Args:
        key: What `key_of` gives.
        positions: Not negative, int64 [k].

    Returns:
        float32 [k]. Equal keys and positions give equal numbers, in whatever order and company they are asked for.

    Uniform numbers of 53 bits become normal by Box and Muller's formula in double precision, so tails reach to 8.5 standard deviations.
    """
    found = np.empty(positions.size, np.float32)
    for start in range(0, positions.size, _CHUNK):
        part = positions[start : start + _CHUNK].astype(np.uint64)
        zero = np.zeros(part.size, np.uint32)
        words = philox((part.astype(np.uint32), (part >> np.uint64(32)).astype(np.uint32), zero, zero), key)
        radius = np.sqrt(-2 * np.log1p(-_uniform(words[0], words[1])))
        found[start : start + part.size] = radius * np.cos(2 * np.pi * _uniform(words[2], words[3]))
    return found


def uniforms(key: int, positions: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Uniform random numbers in [0, 1), one for each position; keys and positions as in `normals`.

    Returns:
        float64 [k].
    """
    counter = positions.astype(np.uint64)
    zero = np.zeros(counter.size, np.uint32)
    words = philox((counter.astype(np.uint32), (counter >> np.uint64(32)).astype(np.uint32), zero, zero), key)
    return _uniform(words[0], words[1])


def _uniform(low: Words, high: Words) -> npt.NDArray[np.float64]:
    """Multiples of 2⁻⁵³ in [0, 1)."""
    bits = (high.astype(np.uint64) << np.uint64(32) | low) >> np.uint64(11)
    found: npt.NDArray[np.float64] = bits.astype(np.float64) * 2.0**-53
    return found
