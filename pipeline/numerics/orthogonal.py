"""Orthonormal columns, triangular factors and singular values whose bits depend on no BLAS kernel."""

import numpy as np

from pipeline.numerics.sums import total
from pipeline.numerics.workspace import Array

ROUNDS = 2
SWEEPS = 60
EPSILON = float(np.finfo(np.float64).eps)


def orthonormal(matrix: Array) -> Array:
    """The factor Q of matrix = Q R whose R has a positive diagonal, by plain sums.

    Gram-Schmidt in its modified form: each column is normalised, and its share is taken out of all columns after it.
    What rounding leaves of the others is gone after the second round (Giraud, Langou and Rozloznik 2005: twice is
    enough).

    Args:
        matrix: (m, n) with m >= n and linearly independent columns.

    Returns:
        (m, n).
    """
    columns: Array = np.array(matrix.T, order="C")
    for _ in range(ROUNDS):
        for index, column in enumerate(columns):
            column /= np.sqrt(total(column * column))
            after = columns[index + 1 :]
            after -= total(after * column, keepdims=True) * column
    return np.ascontiguousarray(columns.T)


def triangular(matrix: Array, tolerance: float) -> tuple[Array, list[int]]:
    """The factor R of matrix = Q R, and its pivot columns, among which no column depends on the others.

    Always the column is next of which most is left (Golub and Van Loan 2013, section 5.4.2).

    Args:
        matrix: (m, n).
        tolerance: the share of the largest column below which a column is rounding.

    Returns:
        (rank, n), upper triangular in its pivot columns; and those columns, rank of them.
    """
    columns: Array = np.array(matrix.T, order="C")
    largest, pivots = 0.0, list[int]()
    factors, found = list[Array](), list[Array]()
    while len(pivots) < min(matrix.shape):
        norms = np.sqrt(total(columns * columns))
        norms[pivots] = 0.0
        pivot = int(norms.argmax())
        largest = max(largest, float(norms[pivot]))
        if norms[pivot] <= tolerance * largest:
            break
        direction = columns[pivot] / norms[pivot]
        for _ in range(ROUNDS):
            for other in found:
                direction -= total(direction * other) * other
            direction /= np.sqrt(total(direction * direction))
        share = total(columns * direction)
        share[pivots] = 0.0
        columns -= share[:, None] * direction
        found.append(direction)
        factors.append(share)
        pivots.append(pivot)
    return np.array(factors).reshape(-1, matrix.shape[1]), pivots


def inverse_of_triangular(upper: Array) -> Array:
    """The inverse of an upper triangular matrix (n, n), by back substitution."""
    inverse = np.eye(len(upper))
    for row in range(len(upper) - 1, -1, -1):
        inverse[row] -= total(upper[row, row + 1 :, None] * inverse[row + 1 :], 0)
        inverse[row] /= upper[row, row]
    return inverse


def singular_values(matrix: Array) -> Array:
    """The min(m, n) singular values of a matrix (m, n), largest first, by Jacobi's rotations of one side.

    Two columns after the other are rotated until they are orthogonal (Hestenes 1958); then their lengths are the
    singular values, with small ones as accurate as large ones.
    """
    columns: Array = np.array(matrix.T if matrix.shape[0] >= matrix.shape[1] else matrix, order="C")
    for _ in range(SWEEPS):
        rotated = False
        for first in range(len(columns)):
            for second in range(first + 1, len(columns)):
                a, b = columns[first], columns[second]
                length_a, length_b, overlap = total(a * a), total(b * b), total(a * b)
                if not abs(overlap) > EPSILON * np.sqrt(length_a) * np.sqrt(length_b):
                    continue
                rotated = True
                cotangent = (length_b - length_a) / (2.0 * overlap)
                tangent = (1.0 if cotangent >= 0.0 else -1.0) / (abs(cotangent) + np.sqrt(1.0 + cotangent * cotangent))
                cosine = 1.0 / np.sqrt(1.0 + tangent * tangent)
                columns[first], columns[second] = cosine * (a - tangent * b), cosine * (b + tangent * a)
        if not rotated:
            break
    return np.asarray(np.sort(np.sqrt(total(columns * columns)))[::-1])
