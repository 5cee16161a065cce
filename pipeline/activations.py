"""Activation functions g of the hidden layers, with the derivatives that back-propagation needs."""

from collections.abc import Callable
from math import pi, sqrt
from typing import NamedTuple

import numpy as np
from scipy.special import erf

from pipeline.arithmetic import Array

LEAKY_RELU_SLOPE = 0.01


class Activation(NamedTuple):
    """One activation function and what is known about it.

    Attributes:
        function: ``function(pre_activation, out)`` writes g(S) into ``out``; both have shape (R, units, n).
        derivative: ``derivative(pre_activation, activation)`` is g'(S), given S and g(S).
        gain: the factor on a layer's standard deviation that keeps the variance of the signal through this
            function (He et al. 2015, eq. 10, for the rectifiers; the values of ``torch.nn.init.calculate_gain``
            for the others), or None where none is published.
        odd: whether g(-S) = -g(S), which mirror symmetry needs.
    """

    function: Callable[[Array, Array], object]
    derivative: Callable[[Array, Array], Array]
    gain: float | None
    odd: bool = False


def sigmoid(values: Array) -> Array:
    """s(z) = 1 / (1 + exp(-z)), elementwise, written as (1 + tanh(z / 2)) / 2, which cannot overflow."""
    result = np.multiply(values, 0.5)
    np.tanh(result, out=result)
    result += 1.0
    result *= 0.5
    return result


def _sigmoid_into(pre_activation: Array, out: Array) -> None:
    out[...] = sigmoid(pre_activation)


def _leaky_relu_into(pre_activation: Array, out: Array) -> None:
    np.maximum(pre_activation, LEAKY_RELU_SLOPE * pre_activation, out=out)


def _gaussian_cdf(values: Array) -> Array:
    cdf: Array = 0.5 * (1.0 + erf(values / sqrt(2.0)))
    return cdf


def _gelu_derivative(pre_activation: Array, activation: Array) -> Array:
    density: Array = np.exp(-0.5 * pre_activation**2) / sqrt(2.0 * pi)
    return _gaussian_cdf(pre_activation) + pre_activation * density


ACTIVATIONS: dict[str, Activation] = {
    "tanh": Activation(
        function=lambda s, out: np.tanh(s, out=out),
        derivative=lambda s, x: 1.0 - x**2,
        gain=5.0 / 3.0,
        odd=True,
    ),
    "sigmoid": Activation(
        function=_sigmoid_into,
        derivative=lambda s, x: x * (1.0 - x),
        gain=1.0,
    ),
    "relu": Activation(
        function=lambda s, out: np.maximum(s, 0.0, out=out),
        derivative=lambda s, x: (s > 0.0).astype(s.dtype),
        gain=sqrt(2.0),
    ),
    "leaky_relu": Activation(
        function=_leaky_relu_into,
        derivative=lambda s, x: np.where(s > 0.0, 1.0, LEAKY_RELU_SLOPE).astype(s.dtype),
        gain=sqrt(2.0 / (1.0 + LEAKY_RELU_SLOPE**2)),
    ),
    "softplus": Activation(
        function=lambda s, out: np.logaddexp(0.0, s, out=out),
        derivative=lambda s, x: sigmoid(s),
        gain=None,
    ),
    "gelu": Activation(
        function=lambda s, out: np.multiply(s, _gaussian_cdf(s), out=out),
        derivative=_gelu_derivative,
        gain=None,
    ),
    "identity": Activation(
        function=lambda s, out: np.copyto(out, s),
        derivative=lambda s, x: np.ones_like(s),
        gain=1.0,
        odd=True,
    ),
}
