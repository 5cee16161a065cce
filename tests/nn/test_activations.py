"""Activation functions against SciPy's special functions, their derivatives against central differences."""

from math import pi, sqrt

import numpy as np
import pytest
from scipy import special, stats

from pipeline.nn.activations import ACTIVATIONS, LEAKY_RELU_SLOPE
from pipeline.nn.arithmetic import Array
from pipeline.numerics.functions import NUMPY, PORTABLE, Functions

REFERENCES = {
    "tanh": lambda s: (np.exp(s) - np.exp(-s)) / (np.exp(s) + np.exp(-s)),
    "sigmoid": special.expit,
    "relu": lambda s: np.where(s > 0.0, s, 0.0),
    "leaky_relu": lambda s: np.where(s > 0.0, s, LEAKY_RELU_SLOPE * s),
    "softplus": lambda s: np.log1p(np.exp(s)),
    "gelu": lambda s: s * stats.norm.cdf(s),
    "erf": lambda s: special.erf(s / np.sqrt(2.0)),
    "identity": lambda s: s,
}
KINKED = ("relu", "leaky_relu")
BOTH = pytest.mark.parametrize("elementary", [NUMPY, PORTABLE], ids=["numpy", "portable"])
LARGEST_ERROR = 2.4e-8
"""Of the portable sigmoid, of tanh and of its slope, twice as much as its own (``numerics.piecewise``)."""
# (g, g') as S tends to -infinity and to +infinity; g as a factor of S where it grows.
LIMITS = {
    "tanh": ((-1.0, 0.0), (1.0, 0.0)),
    "sigmoid": ((0.0, 0.0), (1.0, 0.0)),
    "relu": ((0.0, 0.0), (1000.0, 1.0)),
    "leaky_relu": ((-1000.0 * LEAKY_RELU_SLOPE, LEAKY_RELU_SLOPE), (1000.0, 1.0)),
    "softplus": ((0.0, 0.0), (1000.0, 1.0)),
    "gelu": ((0.0, 0.0), (1000.0, 1.0)),
    "erf": ((-1.0, 0.0), (1.0, 0.0)),
    "identity": ((-1000.0, 1.0), (1000.0, 1.0)),
}


def applied(name: str, pre_activation: Array, elementary: Functions = PORTABLE) -> Array:
    out = np.full_like(pre_activation, np.nan)
    ACTIVATIONS[name].function(pre_activation, out, elementary)
    return out


def derivative(name: str, pre_activation: Array, elementary: Functions = PORTABLE) -> Array:
    slope = np.full_like(pre_activation, np.nan)
    ACTIVATIONS[name].derivative(pre_activation, applied(name, pre_activation, elementary), slope, elementary)
    return slope


def pre_activations() -> Array:
    """(R, units, n) values in -8 ... 8, none within 1e-3 of the kink of the rectifiers."""
    values = np.random.default_rng(0).uniform(1e-3, 8.0, (3, 5, 40))
    return values * np.where(np.arange(40) % 2, 1.0, -1.0)


def test_every_activation_has_a_reference() -> None:
    assert set(REFERENCES) == set(LIMITS) == set(ACTIVATIONS)


@pytest.mark.parametrize(
    ("elementary", "absolute"), [(NUMPY, 1e-15), (PORTABLE, LARGEST_ERROR)], ids=["numpy", "portable"]
)
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_values_equal_the_closed_form(name: str, elementary: Functions, absolute: float) -> None:
    values = pre_activations()
    before = values.copy()
    # Both sides round a handful of operations; at S = -8 the closed forms lose digits to cancellation, not units.
    expected = REFERENCES[name](values)
    np.testing.assert_allclose(applied(name, values, elementary), expected, rtol=1e-13, atol=absolute)
    np.testing.assert_array_equal(values, before)


@pytest.mark.parametrize(
    ("elementary", "absolute"), [(NUMPY, 0.0), (PORTABLE, LARGEST_ERROR)], ids=["numpy", "portable"]
)
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_derivative_equals_central_differences(name: str, elementary: Functions, absolute: float) -> None:
    values, half_step = pre_activations(), 1e-5
    higher, lower = applied(name, values + half_step, NUMPY), applied(name, values - half_step, NUMPY)
    differences = (higher - lower) / (2.0 * half_step)
    # Truncation is half_step**2 / 6 * g''' < 2e-11; rounding is 2**-53 * 8 / half_step < 1e-10.
    np.testing.assert_allclose(derivative(name, values, elementary), differences, rtol=0.0, atol=2e-10 + absolute)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_the_derivative_may_take_the_place_of_the_pre_activation(name: str) -> None:
    values = pre_activations()
    in_place = values.copy()
    ACTIVATIONS[name].derivative(in_place, applied(name, values), in_place, PORTABLE)
    assert in_place.tobytes() == derivative(name, values).tobytes()


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_boundedness_is_declared_truly(name: str) -> None:
    values = np.concatenate([pre_activations().ravel(), [-1000.0, 1000.0]]).reshape(1, 1, -1)
    assert bool((np.abs(applied(name, values)) <= 1.0).all()) == ACTIVATIONS[name].bounded


@pytest.mark.parametrize("name", KINKED)
def test_derivative_at_the_kink_is_that_from_the_left(name: str) -> None:
    zero = np.zeros((1, 1, 1))
    assert applied(name, zero).item() == 0.0
    # PyTorch's choice; the theory's dead units at S = 0 rest on it.
    assert derivative(name, zero).item() == {"relu": 0.0, "leaky_relu": LEAKY_RELU_SLOPE}[name]


@BOTH
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_extreme_inputs_reach_the_limits_without_overflow(name: str, elementary: Functions) -> None:
    extremes = np.array([[[-1000.0, 1000.0]]])
    values, slopes = applied(name, extremes, elementary), derivative(name, extremes, elementary)
    for place, (value, slope) in enumerate(LIMITS[name]):
        # Beyond S = 1000 what is missing to the limit is below exp(-1000), far below the smallest float.
        assert values[0, 0, place] == value
        assert slopes[0, 0, place] == slope


@BOTH
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_oddness_is_declared_truly_and_exact(name: str, elementary: Functions) -> None:
    values = pre_activations()
    # Bit for bit: mirrored units must stay mirrored for ever.
    mirrored = -applied(name, -values, elementary)
    assert np.array_equal(mirrored, applied(name, values, elementary)) == ACTIVATIONS[name].odd


@BOTH
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_equal_units_stay_equal_wherever_they_stand(name: str, elementary: Functions) -> None:
    # With 599 examples each of the 37 units starts in another lane of a vector register, and some end in its rest.
    units = np.tile(pre_activations().reshape(1, 1, -1)[:, :, 1:], (1, 37, 1))
    for result in (applied(name, units, elementary), derivative(name, units, elementary)):
        assert (result == result[:, :1]).all()


@pytest.mark.parametrize("name", ["relu", "leaky_relu"])
def test_gains_of_the_rectifiers_keep_the_second_moment(name: str) -> None:
    # gain**2 * E[g(z)**2] = 1 for a standard normal z, by Gauss-Hermite quadrature of the half-lines' symmetric sum.
    nodes, weights = np.polynomial.hermite_e.hermegauss(20)
    both_signs = applied(name, nodes) ** 2 + applied(name, -nodes) ** 2
    second_moment = float(weights @ both_signs) / 2.0 / sqrt(2.0 * pi)
    gain = ACTIVATIONS[name].gain
    assert gain is not None
    # The integrand is a polynomial of degree 2, which the quadrature integrates exactly up to rounding.
    assert gain**2 * second_moment == pytest.approx(1.0, rel=1e-12)


@pytest.mark.slow
def test_gains_equal_those_of_pytorch() -> None:
    init = pytest.importorskip("torch.nn.init", reason="PyTorch is not installed (extra: bench)")
    names = {"tanh": "tanh", "sigmoid": "sigmoid", "relu": "relu", "leaky_relu": "leaky_relu", "identity": "linear"}
    for name, pytorch_name in names.items():
        # Both are one square root or one quotient of the same numbers.
        assert ACTIVATIONS[name].gain == pytest.approx(init.calculate_gain(pytorch_name), rel=1e-15)
    assert {name for name, activation in ACTIVATIONS.items() if activation.gain is not None} == set(names)
