"""The numbers in a synthetic checkpoint.

A matrix W of m rows and n columns looks like a trained one:

    W = size · (a bᵀ ∘ N + U·D·V)

    N      m × n     standard normal: the bulk of the spectrum
    a, b   m and n   exp(0.25·normal): rows and columns of uneven size
    U, V   m × 32, 32 × n, normal, of variance 1/m and 1/n: leading directions
    D      32        3·√(m + n)·k^−0.6 for k = 1 … 32: their strengths, a power law
    size             0.02·exp(0.2·normal): the scale of the weights, another for every matrix

Stacks of matrices are made matrix by matrix, convolution kernels as outputs × everything else. Vectors hold ones, integers count.

All numbers come from Philox, a generator of numbers by counters: its key is the hash of seed and name, its counter says which panel of
rows. So a matrix is the same whatever else is in the checkpoint and in whatever order and shards it is written. The same version of
NumPy on the same processor gives the same bytes; another processor may round a product differently.
"""

import hashlib
import math

import numpy as np

import models
from models import layouts

EDITION = 1  # goes up when the same options give other bytes than before: checkpoints that were kept are then made again
DIRECTIONS, STRENGTH, DECAY = 32, 3.0, 0.6
UNEVENNESS = 0.25
SIZE, SIZE_SPREAD = 0.02, 0.2
PANEL = 1 << 20  # numbers made at a time
SCALE = 2.0**-11  # of all 8-bit weights: their largest code stands for 0.22, eleven standard deviations
INTEGERS = {"I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1", "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1", "BOOL": "?"}


def stream(seed, name, part):
    """The random numbers of one part of one matrix."""
    key = hashlib.blake2b(f"{seed}/{name}".encode(), digest_size=16).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(key, "little"), counter=part << 192))


def panels(name, rows, columns, seed):
    """A matrix from its first row to its last, in panels of float64 of at most `PANEL` numbers (one row, if that has more).

    Memory: a panel, and 33 numbers a row and a column.
    """
    # 1. Everything that is not of the size of the matrix.
    sides = stream(seed, name, 0)
    directions = min(DIRECTIONS, rows, columns)
    row_sizes = np.exp(UNEVENNESS * sides.standard_normal((rows, 1)))
    column_sizes = np.exp(UNEVENNESS * sides.standard_normal((1, columns)))
    strengths = STRENGTH * math.sqrt(rows + columns) * np.arange(1, directions + 1) ** -DECAY
    left = sides.standard_normal((rows, directions)) * (strengths / math.sqrt(rows))
    right = sides.standard_normal((directions, columns)) / math.sqrt(columns)
    size = SIZE * math.exp(SIZE_SPREAD * sides.standard_normal())
    # 2. The bulk, a panel at a time, each with numbers of its own.
    height = max(1, PANEL // columns)
    for number, start in enumerate(range(0, rows, height), 1):
        part = slice(start, min(start + height, rows))
        panel = stream(seed, name, number).standard_normal((part.stop - start, columns))
        panel *= row_sizes[part]
        panel *= column_sizes
        panel += left[part] @ right
        panel *= size
        yield panel


def matrices(tensor):
    """Names and shapes of the matrices that a tensor of two or more dimensions consists of."""
    *stack, rows, columns = tensor.shape if len(tensor.shape) == 3 else (tensor.shape[0], math.prod(tensor.shape[1:]))
    if not stack:
        return [(tensor.name, rows, columns)]
    return [(f"{tensor.name}/{number}", rows, columns) for number in range(stack[0])]


def data(tensor, seed=0):
    """The bytes of a tensor as safetensors stores them, piece by piece.

    Raises:
        models.ModelError: Its dtype is one that nothing is made in, such as the packed ones of four bits.
    """
    count = math.prod(tensor.shape)
    if tensor.dtype in INTEGERS:
        for start in range(0, count, PANEL):
            yield (np.arange(start, min(start + PANEL, count)) % 128).astype(INTEGERS[tensor.dtype]).tobytes()
    elif tensor.dtype not in models.FLOATS:
        raise models.ModelError(f"{tensor.name} has dtype {tensor.dtype}, in which nothing is made")
    elif len(tensor.shape) < 2 or tensor.name.endswith(models.SCALES):
        yield encoded(np.full(count, SCALE if tensor.name.endswith(models.SCALES) else 1.0), tensor.dtype)
    elif count:
        for matrix in matrices(tensor):
            for panel in panels(*matrix, seed):
                is_coded = tensor.dtype.startswith("F8")
                yield encoded(panel / SCALE if is_coded else panel, tensor.dtype)


def encoded(values, dtype):
    """The bytes of an array of float64; 8-bit types take the nearest code."""
    return layouts.eight_bit_codes(values, dtype).tobytes() if dtype.startswith("F8") else layouts.checkpoints.encode(values, dtype)[2]
