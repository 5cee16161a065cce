"""The gradient of logistic regression, as the source prints it and as it should read, against finite differences."""

from typing import NamedTuple

import numpy as np
from scipy.special import expit

EXAMPLES, FEATURES, DIFFERENCE = 40, 5, 1e-6


class GradientCheck(NamedTuple):
    """Largest deviations from the central differences of J, on random data.

    Attributes:
        corrected: of X^T (s - y) with s_i = s(+w . x_i).
        printed: of the same with s_i = s(-w . x_i), as the source prints it.
    """

    corrected: float
    printed: float


def negative_log_likelihood(weights: np.ndarray, inputs: np.ndarray, labels: np.ndarray) -> float:
    """J(w) = sum_i (1 - y_i) w . x_i + log(1 + exp(-w . x_i)).

    The source drops the plus sign before the logarithm when it names J; with a minus, J would not be the negative log
    likelihood.

    Args:
        weights: (d,).
        inputs: (n, d).
        labels: (n,), 0 or 1.
    """
    scores = inputs @ weights
    return float(((1.0 - labels) * scores + np.logaddexp(0.0, -scores)).sum())


def gradient_check() -> GradientCheck:
    """Compares both formulas with central differences at a random point (fixed generator)."""
    generator = np.random.default_rng(0)
    inputs = generator.standard_normal((EXAMPLES, FEATURES))
    labels = generator.integers(0, 2, EXAMPLES).astype(float)
    weights = generator.standard_normal(FEATURES)
    steps = DIFFERENCE * np.eye(FEATURES)
    central = np.array(
        [
            negative_log_likelihood(weights + step, inputs, labels)
            - negative_log_likelihood(weights - step, inputs, labels)
            for step in steps
        ]
    ) / (2.0 * DIFFERENCE)

    def deviation(sign: float) -> float:
        gradient = inputs.T @ (expit(sign * (inputs @ weights)) - labels)
        return float(np.abs(gradient - central).max())

    return GradientCheck(corrected=deviation(1.0), printed=deviation(-1.0))
