"""Sums in an order of their own.

NumPy adds along an axis in the order of its choice: another one before release 2.3, where long axes are cut into pieces
as long as its buffer, and another one along the last axis than along the others.
"""

import numpy as np

from pipeline.numerics.workspace import Array


def total(values: Array, axis: int = -1, *, keepdims: bool = False) -> Array:
    """The sum along an axis: its second half is added to its first, until one element is left.

    Of an odd number, the last one is added to the first. The error grows with the logarithm of the length, as in
    NumPy's pairwise sums.

    >>> total(np.array([[1.0, 2.0, 4.0], [8.0, 16.0, 32.0]]))
    array([ 7., 56.])
    """
    order = list(range(values.ndim))
    order.insert(0, order.pop(axis))
    rest = values.transpose(order)
    if len(rest) < 2:  # The sum must be no view of what is summed.
        rest = rest.copy() if len(rest) else np.zeros((1, *rest.shape[1:]))
    while len(rest) > 1:
        half = len(rest) // 2
        pairs: Array = rest[:half] + rest[half : 2 * half]
        if len(rest) % 2:
            pairs[0] += rest[-1]
        rest = pairs
    return np.expand_dims(rest[0], axis) if keepdims else np.asarray(rest[0])


def mean(values: Array, axis: int = -1, *, keepdims: bool = False) -> Array:
    """The arithmetic mean along an axis."""
    return np.asarray(total(values, axis, keepdims=keepdims) / values.shape[axis])
