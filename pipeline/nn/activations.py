"""Activation functions g of the hidden layers, with the derivatives that back-propagation needs."""

from collections.abc import Callable
from math import pi, sqrt
from typing import NamedTuple

import numpy as np
from scipy.special import erf

from pipeline.nn.arithmetic import Array

LEAKY_RELU_SLOPE = 0.01


class Activation(NamedTuple):
    """An activation function, its derivative, and the properties that initialisers and products rely on.

    Attributes:
        function: ``function(pre_activation, out)`` writes g(S) into ``out``; both have shape (R, units, n).
        derivative: ``derivative(pre_activation, activation, out)`` writes g'(S) into ``out``, given S and g(S);
            ``out`` may be S itself.
        gain: the factor on a layer's standard deviation that keeps the variance of the signal through this
            function (He et al. 2015, eq. 10, for the rectifiers; the values of ``torch.nn.init.calculate_gain``
            for the others), or None where none is published.
        odd: whether g(-S) = -g(S), which mirror symmetry needs.
        bounded: whether abs(g) <= 1 everywhere, so that nobody has to look for the largest activation.
    """

    function: Callable[[Array, Array], object]
    derivative: Callable[[Array, Array, Array], object]
    gain: float | None
    odd: bool = False
    bounded: bool = False


def sigmoid(values: Array, out: Array | None = None) -> Array:
    """s(z) = 1 / (1 + exp(-z)), elementwise, written as (1 + tanh(z / 2)) / 2, which cannot overflow."""
    result = np.multiply(values, 0.5, out=out)
    np.tanh(result, out=result)
    result += 1.0
    result *= 0.5
    return result


def _relu(pre_activation: Array, out: Array) -> None:
    # NumPy compares two arrays four times as fast as an array and a number.
    np.maximum(pre_activation, np.zeros(pre_activation.shape[-1], pre_activation.dtype), out=out)


def _leaky_relu(pre_activation: Array, out: Array) -> None:
    np.maximum(pre_activation, LEAKY_RELU_SLOPE * pre_activation, out=out)


def _gaussian_cdf(values: Array) -> Array:
    cdf: Array = 0.5 * (1.0 + erf(values / sqrt(2.0)))
    return cdf


def _gelu_derivative(pre_activation: Array, activation: Array, out: Array) -> None:
    density: Array = np.exp(-0.5 * pre_activation**2) / sqrt(2.0 * pi)
    np.add(_gaussian_cdf(pre_activation), pre_activation * density, out=out)


ACTIVATIONS: dict[str, Activation] = {
    "tanh": Activation(
        function=lambda s, out: np.tanh(s, out=out),
        derivative=lambda s, x, out: np.subtract(1.0, np.square(x, out=out), out=out),
        gain=5.0 / 3.0,
        odd=True,
        bounded=True,
    ),
    "sigmoid": Activation(
        function=sigmoid,
        derivative=lambda s, x, out: np.multiply(x, np.subtract(1.0, x, out=out), out=out),
        gain=1.0,
        bounded=True,
    ),
    "relu": Activation(
        function=_relu,
        derivative=lambda s, x, out: np.greater(s, 0.0, out=out),
        gain=sqrt(2.0),
    ),
    "leaky_relu": Activation(
        function=_leaky_relu,
        derivative=lambda s, x, out: np.copyto(out, np.where(s > 0.0, 1.0, LEAKY_RELU_SLOPE)),
        gain=sqrt(2.0 / (1.0 + LEAKY_RELU_SLOPE**2)),
    ),
    "softplus": Activation(
        function=lambda s, out: np.logaddexp(0.0, s, out=out),
        derivative=lambda s, x, out: sigmoid(s, out),
        gain=None,
    ),
    "gelu": Activation(
        function=lambda s, out: np.multiply(s, _gaussian_cdf(s), out=out),
        derivative=_gelu_derivative,
        gain=None,
    ),
    "identity": Activation(
        function=lambda s, out: np.copyto(out, s),
        derivative=lambda s, x, out: out.fill(1.0),
        gain=1.0,
        odd=True,
    ),
}


def second_derivative(activation: str, pre_activation: Array, values: Array, slopes: Array) -> Array:
    """g''(S), given S, g(S) and g'(S): what curvature is made of. It is 0 where g is made of straight pieces."""
    return np.asarray(_SECOND_DERIVATIVES[activation](pre_activation, values, slopes))


def _straight(pre_activation: Array, values: Array, slopes: Array) -> Array:
    return np.zeros_like(pre_activation)


_SECOND_DERIVATIVES: dict[str, Callable[[Array, Array, Array], Array]] = {
    "tanh": lambda s, x, slope: -2.0 * x * slope,
    "sigmoid": lambda s, x, slope: (1.0 - 2.0 * x) * slope,
    "relu": _straight,
    "leaky_relu": _straight,
    "softplus": lambda s, x, slope: slope * (1.0 - slope),
    "gelu": lambda s, x, slope: (2.0 - s**2) * np.exp(-0.5 * s**2) / sqrt(2.0 * pi),
    "identity": _straight,
}
