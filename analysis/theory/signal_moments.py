"""What the derivations of the random schemes say of the size of signals, layer by layer.

With independent weights of mean 0 and variance v, the mean square of the pre-activations goes from q(l-1) to
q(l) = fan_in v E[g(s)^2], s normal with variance q(l-1), and that of the deltas from layer l to layer l-1 is
multiplied by fan_out v E[g'(s)^2]. He et al. (2015, sections 2.2 and 2.3) have E[g^2] = q/2 and E[g'^2] = 1/2 for
relu; Glorot and Bengio (2010, section 4.2.1) take g(s) = s, so q and 1. Without that last step the integrals of tanh
can be computed (Poole et al. 2016, equation 3; Schoenholz et al. 2017, equation 7): then it saturates.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

SCHEMES: dict[str, Callable[[int, int], float]] = {
    "xavier_normal": lambda fan_in, fan_out: 2.0 / (fan_in + fan_out),
    "he_normal": lambda fan_in, fan_out: 2.0 / fan_in,
    "lecun_normal": lambda fan_in, fan_out: 1.0 / fan_in,
    "orthogonal": lambda fan_in, fan_out: 1.0 / max(fan_in, fan_out),
}
"""Variance of a weight at gain 1; in an orthogonal matrix the mean square of an element."""
RECOMMENDED_GAINS = {"relu": 2.0**0.5, "tanh": 5.0 / 3.0}
"""Of the orthogonal scheme where none is given, before a hidden layer."""
LINEARISED = {"relu": 0.5, "tanh": 1.0}
NODES, NODE_WEIGHTS = np.polynomial.hermite_e.hermegauss(100)
NODE_WEIGHTS = NODE_WEIGHTS / NODE_WEIGHTS.sum()


def variances(scheme: str, activation: str, gain: float | None, widths: Sequence[int]) -> list[float]:
    """Variance of the weights between each two neighbouring hidden layers.

    Args:
        scheme: key of ``SCHEMES``.
        gain: None for the recommended one.
        widths: of the hidden layers.

    >>> variances("lecun_normal", "tanh", 1.0, (4, 2, 1))
    [0.25, 0.5]
    """
    factor = (RECOMMENDED_GAINS[activation] if gain is None else gain) ** 2
    return [factor * SCHEMES[scheme](fan_in, fan_out) for fan_in, fan_out in pairwise(widths)]


def forward_moments(
    first: float, weight_variances: Sequence[float], widths: Sequence[int], activation: str, saturating: bool
) -> np.ndarray:
    """(layers,), mean squares of the pre-activations of all hidden layers.

    Args:
        first: that of the first layer.
        weight_variances: from ``variances``.
        widths: of the hidden layers.
        saturating: whether tanh is more than its slope at 0.
    """
    moments = [first]
    for fan_in, variance in zip(widths, weight_variances, strict=False):
        moments.append(fan_in * variance * _mean_square(moments[-1], activation, saturating))
    return np.array(moments)


def backward_moments(
    last: float, forward: np.ndarray, weight_variances: Sequence[float], widths: Sequence[int], activation: str,
    saturating: bool,
) -> np.ndarray:  # fmt: skip
    """(layers,), mean squares of the deltas of all hidden layers, from that of the last one.

    Args:
        forward: from ``forward_moments``; the other arguments as there.
    """
    moments = [last]
    for layer in reversed(range(len(weight_variances))):
        slope = _mean_square_slope(forward[layer], activation, saturating)
        moments.append(widths[layer + 1] * weight_variances[layer] * slope * moments[-1])
    return np.array(moments[::-1])


def _mean_square(moment: float, activation: str, saturating: bool) -> float:
    if activation == "tanh" and saturating:
        return float(NODE_WEIGHTS @ np.tanh(moment**0.5 * NODES) ** 2)
    return LINEARISED[activation] * moment


def _mean_square_slope(moment: float, activation: str, saturating: bool) -> float:
    if activation == "tanh" and saturating:
        return float(NODE_WEIGHTS @ (1.0 - np.tanh(moment**0.5 * NODES) ** 2) ** 2)
    return LINEARISED[activation]
