"""The tables of the portable functions, made from whole numbers: correctly rounded, and the same everywhere.

A real number is an integer number of units of ``2**-BITS``; Python divides two integers into the nearest float.
"""

from functools import cache
from math import isqrt

import numpy as np

from pipeline.numerics.workspace import Array

BITS = 160
ONE = 1 << BITS
LN2 = float.fromhex("0x1.62e42fefa39efp-1")


def _exponential(numerator: int, denominator: int) -> int:
    """exp(numerator / denominator) in units, by its series."""
    total, term, order = 0, ONE, 0
    while term:
        total, order = total + term, order + 1
        term = term * numerator // (denominator * order)
    return total


@cache
def powers_of_two(bits: int) -> tuple[Array, tuple[float, float, float]]:
    """For j = 0 ... 2**bits - 1 the float 2**(j / 2**bits), from whose bits j has been subtracted below the exponent.

    Also a, b, c with which 1 + a d + b d**2 + c d**3 is 2**d at both ends of a piece, d = +-2**-bits / 2, and within
    1e-16 of it in between.
    """
    root = 2 * ONE
    for _ in range(bits):
        root = isqrt(root << BITS)
    half = isqrt(root << BITS)
    inverse = (ONE << BITS) // half
    power, powers = ONE, []
    for _ in range(2**bits):
        powers.append(power / ONE)
        power = power * root >> BITS
    table = np.array(powers)
    table.view(np.int64)[:] -= np.arange(2**bits) << 52 - bits
    cubic = LN2 * LN2 * LN2 / 6.0
    linear = (half - inverse) * 2**bits / ONE - cubic * 0.25 / 4**bits
    return table, (linear, (half + inverse - 2 * ONE) * 2 * 4**bits / ONE, cubic)


@cache
def gaussian(nodes_per_unit: int, last: int) -> tuple[Array, Array]:
    """Distribution function and density of the standard normal at k / nodes_per_unit for k = -last ... last.

    The distribution is 1/2 + density * (x + x**3 / 3 + x**5 / (3 * 5) + ...), a series of positive terms (Marsaglia
    2004). At both ends it is 0 and 1, and the density 0, so that nothing is added beyond them.
    """
    root_of_two_pi = isqrt(2 * _pi() << BITS)
    lower, upper, densities = [], [], []
    for k in range(last):
        density = ONE**3 // (root_of_two_pi * _exponential(k * k, 2 * nodes_per_unit**2))
        total, term, order = 0, k * ONE // nodes_per_unit, 1
        while term:
            total, order = total + term, order + 2
            term = term * k * k // (order * nodes_per_unit**2)
        beyond_half = density * total >> BITS
        lower.append((ONE // 2 - beyond_half) / ONE)
        upper.append((ONE // 2 + beyond_half) / ONE)
        densities.append(density / ONE)
    ascending = np.array(densities)
    return (
        np.concatenate([[0.0], lower[:0:-1], upper, [1.0]]),
        np.concatenate([[0.0], ascending[:0:-1], ascending, [0.0]]),
    )


def _pi() -> int:
    """pi in units, by Machin's formula."""

    def arctangent_of_inverse(number: int) -> int:
        total, term, order = 0, ONE // number, 1
        while term:
            total += term // order if order % 4 == 1 else -(term // order)
            term, order = term // number**2, order + 2
        return total

    return 4 * (4 * arctangent_of_inverse(5) - arctangent_of_inverse(239))
