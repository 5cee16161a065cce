"""A matrix product that is as accurate as float64 and has the same bits on every processor."""

import numpy as np

from pipeline.nn.arithmetic import exact_product, rounded_to_grid
from pipeline.numerics.workspace import Array

FULL = 3
"""Slices of 21 bits that hold every bit of numbers within 2**-10 of the largest."""


def accurate_product(left: Array, right: Array, slices: int = FULL) -> Array:
    """The product of slices of both operands, each of which is exact, added in one order (Ozaki et al. 2012).

    Args:
        left: (rows, inner) or (R, rows, inner).
        right: (inner, columns).
        slices: into how many parts of ``OPERAND_BITS`` each operand is cut; what lies below is left away.

    Returns:
        (rows, columns) or (R, rows, columns).
    """
    # Powers of two, between a column of the left and a row of the right operand, so that all rows weigh alike.
    _, exponents = np.frexp(np.abs(right).max(axis=1, initial=0.0))
    balanced = np.ldexp(left, exponents), np.ldexp(right, -exponents[:, None])
    parts = [sliced(values, slices) for values in balanced]
    total: Array = np.zeros(())
    # The smallest first.
    for depth in range(slices - 1, -1, -1):
        for index in range(depth + 1):
            total = total + exact_product(parts[0][index], parts[1][depth - index])
    return total


def sliced(values: Array, slices: int) -> list[Array]:
    """Operands of exact products whose sum is the values, up to what lies below the last of them."""
    parts = []
    for _ in range(slices):
        parts.append(rounded_to_grid(values))
        values = values - parts[-1]
    return parts
