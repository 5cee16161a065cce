"""A linear network of two layers that descends from equal weights, from random ones, and a linear model from zeros."""

from functools import cache
from typing import NamedTuple

import numpy as np

SINGULAR_VALUES = (2.0, 1.2, 0.7)
FEATURES, OUTPUTS, UNITS = 5, 3, 8
RATE, STEPS, START = 0.02, 3000, 0.1


class LinearDescents(NamedTuple):
    """Squared errors above the optimum, (steps + 1,) each, on white inputs.

    Attributes:
        equal: of the network whose weights all start at one constant.
        random: of the network from normal weights of that standard deviation.
        model: of the linear model from zeros.
        floor: what rank one leaves: half the sum of the squared singular values but the largest.
    """

    equal: np.ndarray
    random: np.ndarray
    model: np.ndarray
    floor: float


@cache
def linear_descents() -> LinearDescents:
    """Gradient descent on |W(1) W(2) - M|^2 / 2 for a map M with ``SINGULAR_VALUES`` (fixed generator)."""
    generator = np.random.default_rng(0)
    left, right = (np.linalg.qr(generator.standard_normal((size, OUTPUTS)))[0] for size in (FEATURES, OUTPUTS))
    target = left * SINGULAR_VALUES @ right.T

    def errors(first: np.ndarray, second: np.ndarray, *, trains_second: bool = True) -> np.ndarray:
        found = []
        for _ in range(STEPS + 1):
            delta = first @ second - target
            found.append(0.5 * (delta**2).sum())
            step = delta @ second.T
            second = second - RATE * trains_second * (first.T @ delta)
            first = first - RATE * step
        return np.array(found)

    equal = errors(np.full((FEATURES, UNITS), START), np.full((UNITS, OUTPUTS), START))
    normal = (START * generator.standard_normal(shape) for shape in ((FEATURES, UNITS), (UNITS, OUTPUTS)))
    model = errors(np.zeros((FEATURES, OUTPUTS)), np.eye(OUTPUTS), trains_second=False)
    return LinearDescents(equal, errors(*normal), model, 0.5 * float(np.sum(np.square(SINGULAR_VALUES[1:]))))
