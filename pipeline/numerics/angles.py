"""Circles without the library's sine, whose last bits differ between processors."""

from math import factorial

import numpy as np

from pipeline.numerics.workspace import Array

TURN = 2.0 * float.fromhex("0x1.921fb54442d18p+1")
ORDERS = 18
HALVINGS = 4


def cosine_and_sine(turns: Array) -> tuple[Array, Array]:
    """Cosine and sine of angles given in full turns, with an error of at most 3e-16; exact at quarters of a turn.

    Whole quarters are taken away without rounding; the Taylor polynomials of what is left, an eighth of a turn at the
    most, end below 1e-17.
    """
    quarters = np.rint(4.0 * turns)
    angle = TURN * (turns - 0.25 * quarters)
    square = -angle * angle
    cosine, sine = (np.full_like(angle, 1.0 / factorial(ORDERS + odd)) for odd in (0, 1))
    for order in range(ORDERS - 2, -1, -2):
        for series, odd in ((cosine, 0), (sine, 1)):
            series *= square
            series += 1.0 / factorial(order + odd)
    sine *= angle
    quadrant = quarters - 4.0 * np.floor(0.25 * quarters)
    cosines = np.choose(quadrant.astype(np.int64), [cosine, -sine, -cosine, sine])
    sines = np.choose(quadrant.astype(np.int64), [sine, cosine, -sine, -cosine])
    return cosines, sines


def arcsine(values: Array) -> Array:
    """The arc sine of numbers in [0, 1], with a relative error of at most 2e-15.

    Of x = sin(a), sin(a / 2) is sqrt((1 - cos(a)) / 2) = x / sqrt(2 (1 + sqrt(1 - x**2))). After some halvings the
    series x + x**3 / 6 + 3 x**5 / 40 + ... is short.
    """
    for _ in range(HALVINGS):
        values = values / np.sqrt(2.0 * (1.0 + np.sqrt((1.0 - values) * (1.0 + values))))
    square, term = values * values, values.copy()
    total = values.copy()
    for order in range(1, 24, 2):
        term = term * square * (order / (order + 1.0))
        total += term / (order + 2.0)
    return total * 2.0**HALVINGS
