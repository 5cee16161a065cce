"""Logistic regression with two weights on real data: the descent from zeros, and the optimum by Newton's method."""

from functools import cache
from importlib.metadata import distribution
from typing import NamedTuple

import numpy as np
from scipy.special import expit

FEATURES = ("mean radius", "mean texture")
TUMOURS, COLUMNS = "sklearn/datasets/data/breast_cancer.csv", (0, 1)
"""Where scikit-learn keeps them, and the columns of the features; the label is the last one."""
RATE, STEPS, NEWTON_STEPS = 1.0, 200, 20


class Descent(NamedTuple):
    """A descent on the mean loss J / n.

    Attributes:
        inputs: (n, 2), standardised.
        labels: (n,), 0 or 1.
        path: (steps + 1, 2), the weights from zeros on.
        losses: (steps + 1,).
        optimum: (2,).
        least: the loss there.
    """

    inputs: np.ndarray
    labels: np.ndarray
    path: np.ndarray
    losses: np.ndarray
    optimum: np.ndarray
    least: float


def mean_loss(weights: np.ndarray, inputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """J(w) / n for weights (..., 2): the mean of (1 - y) w . x + log(1 + exp(-w . x))."""
    scores = weights @ inputs.T
    return np.asarray(((1.0 - labels) * scores + np.log1p(np.exp(-scores))).mean(axis=-1))


def gradient(weights: np.ndarray, inputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """X^T (s - y) / n at weights (2,)."""
    return np.asarray(inputs.T @ (expit(inputs @ weights) - labels) / len(labels))


def hessian(weights: np.ndarray, inputs: np.ndarray) -> np.ndarray:
    """X^T diag(s (1 - s)) X / n at weights (2,)."""
    s = expit(inputs @ weights)
    return np.asarray((inputs.T * (s * (1.0 - s))) @ inputs / len(inputs))


@cache
def descent_from_zeros() -> Descent:
    """Gradient descent on the tumours of ``breast_cancer``, of which it takes two features; the classes overlap."""
    # Read as a file, because importing scikit-learn takes half a second.
    file = str(distribution("scikit-learn").locate_file(TUMOURS))
    table = np.loadtxt(file, delimiter=",", skiprows=1, usecols=(*COLUMNS, -1))
    inputs, labels = table[:, :-1], table[:, -1]
    inputs = (inputs - inputs.mean(axis=0)) / inputs.std(axis=0)
    path = [np.zeros(2)]
    for _ in range(STEPS):
        path.append(path[-1] - RATE * gradient(path[-1], inputs, labels))
    optimum = np.zeros(2)
    for _ in range(NEWTON_STEPS):
        optimum = optimum - np.linalg.solve(hessian(optimum, inputs), gradient(optimum, inputs, labels))
    losses = mean_loss(np.array(path), inputs, labels)
    return Descent(inputs, labels, np.array(path), losses, optimum, float(mean_loss(optimum, inputs, labels)))
