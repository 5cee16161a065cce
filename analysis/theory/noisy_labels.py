"""How fast label noise makes one hidden unit vanish, and brings two together, where one number is to be learned.

The network is sum_j a_j g(w_j) for the input 1, without biases, trained by gradient steps on half the squared error, so
that all units see the same residual r = (mean label of the batch) + (noise) - (output).
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import scipy  # It loads those of its packages that are asked for.
from scipy.special import ndtr, psi

MANY_TERMS = 1e4
STEP = 1e-3


class Batches(NamedTuple):
    """The mean label of the batches of an epoch, which visits every example once in random order.

    Attributes:
        means: its possible values, for every size of a batch.
        shares: of the steps that have each of them, in expectation.
        sizes: the size of the batch behind each value.
    """

    means: np.ndarray
    shares: np.ndarray
    sizes: np.ndarray

    @classmethod
    def of(cls, examples: int, ones: int, batch_size: int) -> "Batches":
        """Those of so many labels 1 among the examples; the others are 0."""
        whole, rest = divmod(examples, batch_size)
        sizes = [batch_size] * whole + [rest] * bool(rest)
        counts = [np.arange(size + 1) for size in sizes]
        shares = [
            scipy.stats.hypergeom.pmf(count, examples, ones, size) for count, size in zip(counts, sizes, strict=True)
        ]
        means = [count / size for count, size in zip(counts, sizes, strict=True)]
        return cls(np.concatenate(means), np.concatenate(shares) / len(sizes),
                   np.repeat(sizes, [len(count) for count in counts]))  # fmt: skip

    def variance(self, noise: float) -> float:
        """Of the mean gradient by the output where that is 0, with label noise of this standard deviation."""
        mean = self.shares @ self.means
        return float(self.shares @ ((self.means - mean) ** 2 + noise**2 / self.sizes))


def mean_logarithm(centre: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """E log|centre + deviation * Z| of a standard normal Z.

    (centre + deviation Z)^2 / deviation^2 is noncentral chi-squared, a Poisson mixture of central ones with 1 + 2 J
    degrees of freedom, and E log chi^2_k = psi(k / 2) + log 2.

    >>> float(mean_logarithm(np.array(0.0), np.array(1.0)).round(6))  # -(Euler's constant + log 2) / 2
    -0.635181
    """
    return np.vectorize(_mean_logarithm, otypes=[float])(centre, deviation)


def _mean_logarithm(centre: float, deviation: float) -> float:
    relative = (deviation / centre) ** 2 if centre else np.inf
    if relative * MANY_TERMS < 1.0:
        return float(np.log(abs(centre)) - relative / 2.0 - 0.75 * relative**2)
    half = 0.5 / relative
    terms = np.arange(int(half + 12.0 * np.sqrt(half) + 40.0))
    return float(np.log(deviation) + 0.5 * (np.log(2.0) + scipy.stats.poisson.pmf(terms, half) @ psi(terms + 0.5)))


def unit_rate(rate: float, noise: float, batches: Batches) -> float:
    """Growth rate a step of an identity unit near 0: E log|1 + rate (mean label + noise)|; it vanishes below 0.

    With a = w both weights obey w <- w (1 + rate * r), r without the output, which is of second order: a product of
    independent factors, whose logarithm grows like the mean of theirs (the law of large numbers; Furstenberg and Kesten
    1960 for matrices).
    """
    deviation = rate * noise / np.sqrt(batches.sizes)
    return float(batches.shares @ mean_logarithm(1.0 + rate * batches.means, deviation))


def diffusion_rate(rate: float, noise: float, batches: Batches) -> float:
    """The same in the limit of small steps: -rate * (L''(0) + D''(0) / 2) (Chen et al. 2023, section 4).

    L''(0) is minus the mean label, and D'' the learning rate times the variance of the gradient's noise.
    """
    mean = float(batches.shares @ batches.means)
    return rate * (mean - 0.5 * rate * batches.variance(noise))


class Activation(NamedTuple):
    """An activation and its derivative."""

    value: Callable[[np.ndarray], np.ndarray]
    slope: Callable[[np.ndarray], np.ndarray]


def _normal_density(x: np.ndarray) -> np.ndarray:
    return np.asarray(np.exp(-0.5 * x**2) / np.sqrt(2.0 * np.pi))


ACTIVATIONS = {
    "identity": Activation(lambda x: x, np.ones_like),
    "tanh": Activation(np.tanh, lambda x: 1.0 - np.tanh(x) ** 2),
    "gelu": Activation(lambda x: x * ndtr(x), lambda x: ndtr(x) + x * _normal_density(x)),
}


def pair_rate(activation: str, mean: float, rate: float, variance: float, l2: float) -> float:
    """Growth rate a step of a small difference between two equal units that have learned the mean label.

    Noise of the labels acts like a penalty (Blanc et al. 2020; Damian, Ma and Lee 2021): to leading order in it, steps
    move on the average along the gradient of

        L + l2 / 2 |theta|^2 - variance / 2 * log(1 - rate / 2 * |grad f|^2),

    |grad f|^2 being the trace of the Hessian where the label is met. The rate is log(1 - rate * lambda) with lambda the
    smallest eigenvalue of the Hessian of this sum, where it is least among equal units, in the directions in which the
    units differ.

    Args:
        variance: of the gradient's noise by the output: that of the labels over the batch size.
    """
    g = ACTIVATIONS[activation]

    def objective(units: np.ndarray) -> float:
        incoming, outgoing = units
        residual = outgoing @ g.value(incoming) - mean
        squared = (g.value(incoming) ** 2 + (outgoing * g.slope(incoming)) ** 2).sum()
        return float(0.5 * residual**2 + 0.5 * l2 * (units**2).sum() - 0.5 * variance * np.log1p(-0.5 * rate * squared))

    start = [0.7 * np.sqrt(mean), 0.7 * np.sqrt(mean)]
    fine = {"xatol": 1e-9, "fatol": 1e-15}
    settled = scipy.optimize.minimize(
        lambda unit: objective(np.repeat(unit[:, None], 2, axis=1)), start, method="Nelder-Mead", options=fine
    ).x
    centre = np.repeat(settled[:, None], 2, axis=1)
    directions = [STEP * np.array([[1.0, -1.0], [0.0, 0.0]]), STEP * np.array([[0.0, 0.0], [1.0, -1.0]])]

    def curvature(one: np.ndarray, other: np.ndarray) -> float:
        signs = ((1, 1), (1, -1), (-1, 1), (-1, -1))
        return sum(s * t * objective(centre + s * one + t * other) for s, t in signs) / (8.0 * STEP**2)

    hessian = [[curvature(one, other) for other in directions] for one in directions]
    return float(np.log1p(-rate * np.linalg.eigvalsh(hessian)[0]))


def threshold(rate_at: Callable[[float], float], low: float, high: float) -> float:
    """The variance of the noise between these two at which a rate changes its sign."""
    return float(scipy.optimize.brentq(rate_at, low, high, xtol=1e-6))
