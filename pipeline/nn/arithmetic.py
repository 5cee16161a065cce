"""The two matrix products of the laboratory: ``exact``, which never rounds, and ``blas``, which does.

Reductions and matrix products are the only places where the order of additions matters. A BLAS product
adds the terms of different rows and columns in different orders, so two hidden units with the same weights
may come out one unit in the last place apart; training then amplifies that difference exponentially.

The exact product first rounds both operands to a grid of ``2**-OPERAND_BITS`` of their largest element (one
grid per run). Every product of two elements is then an integer multiple of one unit, and a sum of up to
``BLOCK`` of them stays at or below ``2**53`` units, where float64 represents every integer. So no addition
rounds, and the result depends neither on the order of the additions, nor on the BLAS kernel, the number of
threads, the position of a row, or the number of runs in the stack. Products must neither underflow nor overflow for
that: no grid is finer than 2**-530, and where one operand reaches 2**500 all of that run become NaN.

What rounding the operands costs, beside what other products lose: median and largest error of an element, in units of
the sum of the magnitudes of its terms (standard normal operands; ``python -m benchmarks.product_error``).

| terms | exact | float32 | float64 |
|---|---|---|---|
| 8 | 3e-7, 3e-6 | 2e-8, 2e-7 | 3e-17, 3e-16 |
| 64 | 1e-7, 6e-7 | 1e-8, 2e-7 | 3e-17, 3e-16 |
| 784 | 6e-8, 3e-7 | 1e-8, 1e-7 | 2e-17, 2e-16 |

So an exact product is reproducible to the bit, and about as precise as one of float32 numbers with three bits fewer.

Sources: Rump, Ogita and Oishi (2008), "Accurate floating-point summation"; Ozaki, Ogita, Oishi and Rump
(2012), "Error-free transformations of matrix multiplication"; Demmel and Nguyen (2015), "Parallel
reproducible summation".
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from pipeline.numerics.functions import NUMPY, PORTABLE, Functions
from pipeline.numerics.workspace import Array

__all__ = ["ARITHMETICS", "Arithmetic", "Array", "exact_product", "plain_product", "rounded_to_grid"]

SIGNIFICAND_BITS = 53
OPERAND_BITS = 21
BLOCK = 2 ** (SIGNIFICAND_BITS - 2 * OPERAND_BITS)
LARGEST_OPERAND, SMALLEST_UNIT = 2.0**500, 2.0**-530
SHIFT_OF_UNIT = 1.5 * 2.0 ** (SIGNIFICAND_BITS - 1)
SHIFT_OF_SPACING = SHIFT_OF_UNIT * 2.0 ** (SIGNIFICAND_BITS - OPERAND_BITS)
OVERFLOW = 2.0**1023 / np.spacing(LARGEST_OPERAND) * 2.0


class Arithmetic(NamedTuple):
    """How matrix products are computed, ``product(operand(a), operand(b))``, and elementary functions.

    Attributes:
        operand: ``operand(values, out=None, exponent=None)`` prepares an array once, so that it can take part in
            several products; arguments as in ``rounded_to_grid``. The result may be ``values`` or ``out``.
        product: ``product(left, right, out=None)``; arguments as in ``exact_product``.
        functions: exp, tanh and their kin.
    """

    operand: Callable[..., Array]
    product: Callable[..., Array]
    functions: Functions


def rounded_to_grid(values: Array, out: Array | None = None, exponent: int | None = None) -> Array:
    """The values rounded to the nearest multiple of ``2**-OPERAND_BITS`` times their largest magnitude.

    The largest magnitude is taken up to the next power of two and over each run alone, so a run gets the same
    grid in every stack.

    Args:
        values: (R, rows, columns), or (rows, columns) for an operand that all runs share; float64.
        out: takes the result, unless it is None; may be ``values`` itself.
        exponent: for values known to be at most ``2**exponent``: saves the search for the largest, half of the time.

    Returns:
        A C-contiguous array of the same shape. The error of an element is at most half a grid unit.
    """
    if exponent is None:
        largest = np.maximum.reduce(values, (-2, -1), keepdims=True)
        smallest = np.minimum.reduce(values, (-2, -1), keepdims=True)
        np.maximum(largest, np.negative(smallest, smallest), out=largest)
        shift: Array = np.spacing(largest, largest)
        # From LARGEST_OPERAND on, this factor makes it infinite, and so every element of the run NaN.
        shift *= OVERFLOW
        shift *= SHIFT_OF_SPACING / OVERFLOW
        np.maximum(shift, SHIFT_OF_UNIT * SMALLEST_UNIT, out=shift)
    else:
        shift = np.asarray(SHIFT_OF_UNIT * 2.0 ** (exponent - OPERAND_BITS))
    # Near 1.5 * 2**52 units neighbouring floats lie one unit apart, so the addition itself rounds to the grid.
    # Two elementwise operations are all it costs; np.rint would need a division and a product more.
    rounded: Array = np.add(values, shift, out=out, order="C")
    rounded -= shift
    return rounded


def exact_product(left: Array, right: Array, out: Array | None = None) -> Array:
    """The matrix product of two operands from ``rounded_to_grid``, free of rounding up to ``BLOCK`` terms.

    A longer inner dimension is cut into blocks whose exact products are added in ascending order, element by
    element, so the result still does not depend on where a row stands.

    Args:
        left: (R, rows, inner).
        right: (R, inner, columns), or (inner, columns) when all runs share it.
        out: (R, rows, columns), takes the result, unless it is None.

    Returns:
        (R, rows, columns).

    >>> 0.1 + 0.2 + 0.3, 0.3 + 0.2 + 0.1
    (0.6000000000000001, 0.6)
    >>> row, ones = np.array([[[0.1, 0.2, 0.3]]]), np.ones((3, 1))
    >>> [exact_product(rounded_to_grid(left), ones).item() for left in (row, row[..., ::-1])]
    [0.5999999046325684, 0.5999999046325684]
    """
    total = plain_product(left[..., :BLOCK], right[..., :BLOCK, :], out)
    for start in range(BLOCK, left.shape[-1], BLOCK):
        total += plain_product(left[..., start : start + BLOCK], right[..., start : start + BLOCK, :])
    return total


def plain_product(left: Array, right: Array, out: Array | None = None) -> Array:
    """The matrix product as BLAS computes it; arguments as in ``exact_product``."""
    if left.shape[-1] == 1:
        # A single term needs no sum: broadcasting is 4 times as fast as a BLAS call for each run.
        return np.multiply(left, right, out=out)
    if right.ndim == 2 and left.ndim == 3:
        # All runs share the right operand, so their rows can go through one large product instead of R small ones.
        runs, rows, inner = left.shape
        together = None if out is None or not out.flags.c_contiguous else out.reshape(runs * rows, -1)
        product = np.matmul(left.reshape(runs * rows, inner), right, out=together).reshape(runs, rows, -1)
        if out is None or together is not None:
            return product
        out[...] = product
        return out
    return np.matmul(left, right, out=out)


def _unchanged(values: Array, out: Array | None = None, exponent: int | None = None) -> Array:
    return values


ARITHMETICS: dict[str, Arithmetic] = {
    "exact": Arithmetic(rounded_to_grid, exact_product, PORTABLE),
    "blas": Arithmetic(_unchanged, plain_product, NUMPY),
}
