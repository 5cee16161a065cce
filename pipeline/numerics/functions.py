"""The elementary functions of both arithmetics: NumPy's own, and those that give every processor the same bits.

The latter are ``PRECISE`` to nearly the last digit, or as ``PORTABLE``, where that is faster, only as precise as the
operands of exact products.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.special import erf

from pipeline.numerics import elementary, piecewise
from pipeline.numerics.workspace import Array


class Functions(NamedTuple):
    """The elementary functions of one arithmetic, each called as ``function(values, out=None)``; ``out`` may be values.

    Attributes:
        decay: exp(z) of numbers that are at most 0.
        softplus: log(1 + exp(z)).
        sigmoid: 1 / (1 + exp(-z)).
        gaussian_cdf: the distribution function of the standard normal.
    """

    exp: Callable[..., Array]
    decay: Callable[..., Array]
    log: Callable[..., Array]
    log1p: Callable[..., Array]
    tanh: Callable[..., Array]
    sigmoid: Callable[..., Array]
    softplus: Callable[..., Array]
    gaussian_cdf: Callable[..., Array]


def _numpy_sigmoid(values: Array, out: Array | None = None) -> Array:
    result = np.multiply(values, 0.5, out=out)
    np.tanh(result, out=result)
    result += 1.0
    result *= 0.5
    return result


def _numpy_softplus(values: Array, out: Array | None = None) -> Array:
    return np.asarray(np.logaddexp(0.0, values, out=out))


def _scipy_gaussian_cdf(values: Array, out: Array | None = None) -> Array:
    return np.multiply(0.5, 1.0 + erf(values / np.sqrt(2.0)), out=out)


NUMPY = Functions(np.exp, np.exp, np.log, np.log1p, np.tanh, _numpy_sigmoid, _numpy_softplus, _scipy_gaussian_cdf)
PORTABLE = Functions(
    elementary.exp,
    piecewise.decay,
    elementary.log,
    elementary.log1p,
    piecewise.tanh,
    piecewise.sigmoid,
    elementary.softplus,
    elementary.gaussian_cdf,
)
PRECISE = PORTABLE._replace(decay=elementary.exp, tanh=elementary.tanh, sigmoid=elementary.sigmoid)
