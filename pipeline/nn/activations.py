"""Activation functions g of the hidden layers, with the derivatives that back-propagation needs.

They are written once for both arithmetics: the elementary functions that they need are their last argument.
"""

from collections.abc import Callable
from math import pi, sqrt
from typing import NamedTuple

import numpy as np

from pipeline.numerics.functions import Functions
from pipeline.numerics.workspace import Array

LEAKY_RELU_SLOPE = 0.01


class Activation(NamedTuple):
    """An activation function, its derivative, and the properties that initialisers and products rely on.

    Attributes:
        function: ``function(pre_activation, out, elementary)`` writes g(S) into ``out``; both have shape
            (R, units, n).
        derivative: ``derivative(pre_activation, activation, out, elementary)`` writes g'(S) into ``out``, given S and
            g(S); ``out`` may be S itself.
        gain: the factor on a layer's standard deviation that keeps the variance of the signal through this
            function (He et al. 2015, eq. 10, for the rectifiers; the values of ``torch.nn.init.calculate_gain``
            for the others), or None where none is published.
        odd: whether g(-S) = -g(S), which mirror symmetry needs.
        bounded: whether abs(g) <= 1 everywhere, so that nobody has to look for the largest activation.
    """

    function: Callable[[Array, Array, Functions], object]
    derivative: Callable[[Array, Array, Array, Functions], object]
    gain: float | None
    odd: bool = False
    bounded: bool = False


def _relu(pre_activation: Array, out: Array, elementary: Functions) -> None:
    # NumPy compares two arrays four times as fast as an array and a number.
    np.maximum(pre_activation, np.zeros(pre_activation.shape[-1], pre_activation.dtype), out=out)


def _leaky_relu(pre_activation: Array, out: Array, elementary: Functions) -> None:
    np.maximum(pre_activation, LEAKY_RELU_SLOPE * pre_activation, out=out)


def _gelu(pre_activation: Array, out: Array, elementary: Functions) -> None:
    np.multiply(pre_activation, elementary.gaussian_cdf(pre_activation), out=out)


def _gelu_derivative(pre_activation: Array, activation: Array, out: Array, elementary: Functions) -> None:
    density = np.multiply(pre_activation, pre_activation)
    density *= -0.5
    elementary.exp(density, out=density)
    density *= 1.0 / sqrt(2.0 * pi)
    density *= pre_activation
    np.add(elementary.gaussian_cdf(pre_activation), density, out=out)


def _erf(pre_activation: Array, out: Array, elementary: Functions) -> None:
    """erf(s / sqrt 2) = 2 Phi(s) - 1, odd to the last bit."""
    magnitude = elementary.gaussian_cdf(np.abs(pre_activation), out=np.empty_like(out))
    magnitude *= 2.0
    magnitude -= 1.0
    np.copysign(magnitude, pre_activation, out=out)


def _erf_derivative(pre_activation: Array, activation: Array, out: Array, elementary: Functions) -> None:
    np.multiply(pre_activation, pre_activation, out=out)
    out *= -0.5
    elementary.decay(out, out=out)
    out *= sqrt(2.0 / pi)


ACTIVATIONS: dict[str, Activation] = {
    "tanh": Activation(
        function=lambda s, out, elementary: elementary.tanh(s, out=out),
        derivative=lambda s, x, out, elementary: np.subtract(1.0, np.square(x, out=out), out=out),
        gain=5.0 / 3.0,
        odd=True,
        bounded=True,
    ),
    "sigmoid": Activation(
        function=lambda s, out, elementary: elementary.sigmoid(s, out=out),
        derivative=lambda s, x, out, elementary: np.multiply(x, np.subtract(1.0, x, out=out), out=out),
        gain=1.0,
        bounded=True,
    ),
    "relu": Activation(
        function=_relu,
        derivative=lambda s, x, out, elementary: np.greater(s, 0.0, out=out),
        gain=sqrt(2.0),
    ),
    "leaky_relu": Activation(
        function=_leaky_relu,
        derivative=lambda s, x, out, elementary: np.copyto(out, np.where(s > 0.0, 1.0, LEAKY_RELU_SLOPE)),
        gain=sqrt(2.0 / (1.0 + LEAKY_RELU_SLOPE**2)),
    ),
    "softplus": Activation(
        function=lambda s, out, elementary: elementary.softplus(s, out=out),
        derivative=lambda s, x, out, elementary: elementary.sigmoid(s, out=out),
        gain=None,
    ),
    "gelu": Activation(
        function=_gelu,
        derivative=_gelu_derivative,
        gain=None,
    ),
    "erf": Activation(
        function=_erf,
        derivative=_erf_derivative,
        gain=None,
        odd=True,
        bounded=True,
    ),
    "identity": Activation(
        function=lambda s, out, elementary: np.copyto(out, s),
        derivative=lambda s, x, out, elementary: out.fill(1.0),
        gain=1.0,
        odd=True,
    ),
}


def second_derivative(
    activation: str, pre_activation: Array, values: Array, slopes: Array, elementary: Functions
) -> Array:
    """g''(S), given S, g(S) and g'(S): what curvature is made of. It is 0 where g is made of straight pieces."""
    return np.asarray(_SECOND_DERIVATIVES[activation](pre_activation, values, slopes, elementary))


def _straight(pre_activation: Array, values: Array, slopes: Array, elementary: Functions) -> Array:
    return np.zeros_like(pre_activation)


_SECOND_DERIVATIVES: dict[str, Callable[[Array, Array, Array, Functions], Array]] = {
    "tanh": lambda s, x, slope, elementary: -2.0 * x * slope,
    "sigmoid": lambda s, x, slope, elementary: (1.0 - 2.0 * x) * slope,
    "relu": _straight,
    "leaky_relu": _straight,
    "softplus": lambda s, x, slope, elementary: slope * (1.0 - slope),
    "gelu": lambda s, x, slope, elementary: (2.0 - s * s) * elementary.exp(-0.5 * s * s) / sqrt(2.0 * pi),
    "erf": lambda s, x, slope, elementary: -s * slope,
    "identity": _straight,
}
