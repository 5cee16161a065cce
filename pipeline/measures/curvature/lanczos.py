"""Extreme eigenvalues of symmetric matrices that are known by their products (Lanczos 1950), R of them at once.

Every step costs one product. The basis is orthogonalised anew in each (Parlett 1998, chapter 13), so no eigenvalue
appears twice. Sums have an order of their own, and the eigenvalues of the tridiagonal matrices are found by
counting signs, so that the result has the same bits on every machine and in every stack.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from pipeline.nn.arithmetic import Array
from pipeline.numerics.sums import total

TOLERANCE = 1e-7
"""Of the residual, as a share of the largest eigenvalue. The error of an eigenvalue goes like the residual's square."""
MOST_STEPS = 128
STEPS_BETWEEN_CHECKS = 8
SECTIONS = 64
PASSES = 10
"""64^10 sections of the first bracket are finer than its last bit."""


class Extremes(NamedTuple):
    """The ends of the spectra, each (R,).

    Attributes:
        smallest: eigenvalue; NaN where the matrix is not finite.
        largest: eigenvalue.
        residual: |A v - value v| of the worse of their unit vectors v: so near to each lies an eigenvalue.
    """

    smallest: Array
    largest: Array
    residual: Array


def extreme_eigenvalues(
    times: Callable[[Array], Array], projected: Callable[[Array], Array], start: Array, dimension: int
) -> Extremes:
    """The smallest and the largest eigenvalue of A, restricted to a subspace.

    Args:
        times: (R, P) -> (R, P), the products with A.
        projected: (R, P) -> (R, P), the orthogonal projection into the subspace.
        start: (R, P), in general position inside the subspace, not zero.
        dimension: of the subspace.
    """
    runs, most = len(start), min(dimension, MOST_STEPS)
    basis = np.zeros((runs, most, start.shape[1]))
    diagonal, beside = np.zeros((2, runs, most))
    found, open_runs, vector = np.full((3, runs), np.nan), np.ones(runs, bool), start
    with np.errstate(all="ignore"):
        for step in range(most):
            basis[:, step] = vector / np.sqrt(total(vector * vector, keepdims=True))
            vector = projected(times(basis[:, step]))
            diagonal[:, step] = total(vector * basis[:, step])
            # Twice is enough (Parlett 1998, section 6.9).
            for _ in range(2):
                parts = total(basis[:, : step + 1] * vector[:, None], keepdims=True)
                vector = projected(vector - total(basis[:, : step + 1] * parts, axis=1))
            beside[:, step] = np.sqrt(total(vector * vector))
            # Where nothing is left, the products of the start have spanned all eigenspaces that it has a part in.
            is_exhausted = beside[:, step] <= TOLERANCE * np.abs(diagonal).max(axis=1)
            due = open_runs & (is_exhausted | ((step + 1) % STEPS_BETWEEN_CHECKS == 0) | (step + 1 == most))
            if due.any():
                # A run keeps what it had when it came near enough: other runs of the stack must not change it.
                found[:, due] = np.array(_ends(diagonal[:, : step + 1], beside[:, : step + 1]))[:, due]
                is_near = found[2] <= TOLERANCE * np.abs(found[:2]).max(axis=0)
                open_runs &= ~(due & (is_exhausted | is_near))
                if not open_runs.any():
                    break
    return Extremes(*found)


def _ends(diagonal: Array, beside: Array) -> tuple[Array, Array, Array]:
    """Smallest and largest eigenvalue of tridiagonal matrices, and the larger residual of both."""
    smallest, of_smallest = _smallest(diagonal, beside)
    negative_largest, of_largest = _smallest(-diagonal, beside)
    return smallest, -negative_largest, np.maximum(of_smallest, of_largest)


def _smallest(diagonal: Array, beside: Array) -> tuple[Array, Array]:
    """The smallest eigenvalue and its residual, by multisection.

    The pivots d(i) = a(i) - x - b(i-1)^2 / d(i-1) are all positive just below the smallest eigenvalue (Sylvester).
    There the last component of its unit vector is 1 / sqrt(|d'(last)|) with |d'(i)| = 1 + (b(i-1) / d(i-1))^2
    |d'(i-1)|, and the residual is that times b(last).

    Args:
        diagonal: (R, steps), a.
        beside: (R, steps), b; the last of them leads out of the matrix.
    """
    radius = beside.copy()
    radius[:, -1] = 0.0
    radius[:, 1:] += beside[:, :-1]
    low = (diagonal - radius).min(axis=1)
    width = (diagonal + radius).min(axis=1) - low
    # Strictly below, so that the first pivot is positive; and wide enough where the bounds coincide.
    low, width = low - 1e-12 * (np.abs(low) + width), (width + 2e-12 * (np.abs(low) + width)) / SECTIONS
    for _ in range(PASSES):
        points = low[:, None] + width[:, None] * np.arange(1, SECTIONS)
        below = _positive_pivots(diagonal, beside, points)
        low = low + width * below.sum(axis=1)
        width = width / SECTIONS
    pivot, derivative = diagonal[:, 0] - low, np.ones(len(low))
    for index in range(1, diagonal.shape[1]):
        derivative = 1.0 + np.square(beside[:, index - 1] / pivot) * derivative
        pivot = diagonal[:, index] - low - np.square(beside[:, index - 1]) / pivot
    return low, beside[:, -1] / np.sqrt(derivative)


def _positive_pivots(diagonal: Array, beside: Array, points: Array) -> Array:
    """(R, points), ascending: whether all pivots are positive there, that is, no eigenvalue lies below."""
    pivot = diagonal[:, :1] - points
    positive = pivot > 0.0
    for index in range(1, diagonal.shape[1]):
        pivot = diagonal[:, index, None] - points - np.square(beside[:, index - 1, None]) / pivot
        positive &= pivot > 0.0
    return positive
