"""Portable elementary functions against 50 digits (mpmath), at their edges, and their bits, fixed."""

import hashlib
import warnings
from collections.abc import Callable

import mpmath
import numpy as np
import pytest

from pipeline.nn.arithmetic import Array
from pipeline.numerics.functions import NUMPY, PORTABLE, PRECISE
from pipeline.numerics.workspace import BLOCK

mpmath.mp.dps = 50
TINY = 5e-324


def steps(start: float, end: float, count: int) -> Array:
    """Evenly spaced points, moved off the nodes of the tables."""
    return np.linspace(start, end, count) + 1e-5 * np.random.default_rng(0).standard_normal(count)


def both_signs(values: Array) -> Array:
    return np.concatenate([-values[::-1], values])


SMALL = np.logspace(-300, 0, 301)
POINTS = {
    "tanh": np.concatenate([steps(-21.0, 21.0, 2001), both_signs(SMALL)]),
    "sigmoid": np.concatenate([steps(-40.0, 40.0, 2001), both_signs(SMALL)]),
    "exp": np.concatenate([steps(-708.0, 709.0, 2001), both_signs(SMALL)]),
    "log": np.concatenate([np.logspace(-307, 308, 1001), steps(0.3, 3.0, 1001), 1.0 + both_signs(SMALL[100:-1])]),
    "log1p": np.concatenate([np.logspace(-300, 300, 1001), -SMALL[:-1], steps(-0.9, 1.0, 500)]),
    "softplus": np.concatenate([steps(-700.0, 700.0, 1001), steps(-5.0, 5.0, 1001), both_signs(SMALL)]),
    "decay": np.concatenate([steps(-39.9, -0.1, 2001), -SMALL[::-1]]),
    "precise tanh": np.concatenate([steps(-21.0, 21.0, 2001), both_signs(SMALL)]),
    "precise sigmoid": np.concatenate([steps(-700.0, 700.0, 1001), steps(-5.0, 5.0, 1001), both_signs(SMALL)]),
    "gaussian_cdf": np.concatenate([steps(-9.5, 9.5, 2001), both_signs(SMALL)]),
}
TRUE: dict[str, Callable[[mpmath.mpf], mpmath.mpf]] = {
    "tanh": mpmath.tanh,
    "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
    "exp": mpmath.exp,
    "decay": mpmath.exp,
    "precise tanh": mpmath.tanh,
    "precise sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
    "log": mpmath.log,
    "log1p": mpmath.log1p,
    "softplus": lambda x: mpmath.log1p(mpmath.exp(x)),
    "gaussian_cdf": mpmath.ncdf,
}
# As the module documents them: (of 1, of the value, of the value times abs(x)).
LARGEST_ERRORS = {
    "tanh": (1.2e-8, 0.0, 0.0),
    "sigmoid": (2.3e-8, 0.0, 0.0),
    "decay": (0.0, 1e-8, 0.0),
    "precise tanh": (3e-16, 0.0, 0.0),
    "precise sigmoid": (0.0, 5e-16, 2e-16),
    "exp": (0.0, 4e-16, 2e-16),
    "log": (0.0, 3e-16, 0.0),
    "log1p": (0.0, 3e-16, 0.0),
    "softplus": (0.0, 5e-16, 2e-16),
    "gaussian_cdf": (6e-12, 0.0, 0.0),
}
LIMITS = {  # at -infinity, 0 and infinity
    "tanh": (-1.0, 0.0, 1.0),
    "sigmoid": (0.0, 0.5, 1.0),
    "exp": (0.0, 1.0, np.inf),
    "decay": (0.0, 1.0, np.nan),  # beyond its domain
    "precise tanh": (-1.0, 0.0, 1.0),
    "precise sigmoid": (0.0, 0.5, 1.0),
    "log": (np.nan, -np.inf, np.inf),
    "log1p": (np.nan, 0.0, np.inf),
    "softplus": (0.0, float(mpmath.log(2)), np.inf),
    "gaussian_cdf": (0.0, 0.5, 1.0),
}
DIGESTS = {
    "tanh": "a5b45f7349dba7ca",
    "sigmoid": "c6bea262c89e5fd6",
    "exp": "31440e8238ac61eb",
    "log": "bb08e671526d493d",
    "log1p": "9e1a134f7032697f",
    "softplus": "13085da4c2f9efb9",
    "decay": "ee6f95a937d13f4e",
    "precise tanh": "a6b25869a81c1ff7",
    "precise sigmoid": "ad00a2f3640bdac1",
    "gaussian_cdf": "11f9bdec339aafab",
}
EVERY = pytest.mark.parametrize("name", POINTS)


def portable(name: str) -> Callable[..., Array]:
    library, kind = (PRECISE, name.removeprefix("precise ")) if name.startswith("precise ") else (PORTABLE, name)
    function: Callable[..., Array] = getattr(library, kind)
    return function


def true_values(name: str, points: Array) -> list[mpmath.mpf]:
    return [TRUE[name](mpmath.mpf(float(point))) for point in points]


@EVERY
def test_errors_stay_below_the_documented_ones(name: str) -> None:
    points, (absolute, relative, growing) = POINTS[name], LARGEST_ERRORS[name]
    for point, got, true in zip(points, portable(name)(points), true_values(name, points), strict=True):
        allowed = absolute + (relative + growing * abs(point)) * abs(float(true))
        assert abs(mpmath.mpf(float(got)) - true) <= allowed, (point, got)


def test_small_arguments_of_tanh_keep_their_digits() -> None:
    # Otherwise a network of tiny weights would not be the linear one that the theory says it is.
    np.testing.assert_allclose(PORTABLE.tanh(SMALL[SMALL < 1e-4]), SMALL[SMALL < 1e-4], rtol=1e-7)


@EVERY
def test_limits_are_exact_and_nan_stays(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        values = portable(name)(np.array([-np.inf, 0.0, np.inf, np.nan]))
    np.testing.assert_array_equal(values, [*LIMITS[name], np.nan])


@EVERY
def test_extremes_beside_ordinary_numbers_change_no_bit_of_these_and_warn_of_nothing(name: str) -> None:
    ordinary = POINTS[name][(POINTS[name] > 0.01) & (POINTS[name] < 100.0)]
    extremes = np.array([TINY, 1e-310, 1e20, 1e200, 1.7e308, np.inf, np.nan, -TINY, -1e300, -np.inf])
    with np.errstate(all="raise"):
        together = portable(name)(np.concatenate([ordinary, extremes]))[: len(ordinary)]
    assert together.tobytes() == portable(name)(ordinary).tobytes()


@pytest.mark.parametrize(("name", "bound"), [("tanh", 19.1), ("sigmoid", 39.1), ("gaussian_cdf", 9.0)])
def test_saturation_is_exact(name: str, bound: float) -> None:
    beyond = np.concatenate([np.linspace(bound, 10.0 * bound, 1001), [1e20, 1e154, 1e300]])
    assert (portable(name)(beyond) == 1.0).all()
    assert (portable(name)(-beyond) == (-1.0 if name == "tanh" else 0.0)).all()


def test_subnormal_results_and_arguments_are_right() -> None:
    points = np.array([-708.5, -720.0, -744.0, -745.1, -745.2, 709.7, 709.8])
    expected = [float(value) for value in true_values("exp", points)]
    np.testing.assert_allclose(PORTABLE.exp(points), expected, rtol=2e-13, atol=TINY)
    subnormal = np.array([TINY, 1e-320, 1e-310])
    assert PORTABLE.log(subnormal).tolist() == [float(mpmath.log(mpmath.mpf(float(x)))) for x in subnormal]


@EVERY
def test_a_monotone_function_falls_nowhere_by_more_than_the_rounding_of_its_last_operations(name: str) -> None:
    points = np.sort(np.concatenate([POINTS[name], np.arange(-2048, 2049) / 2048, np.arange(-800, 801) / 256]))
    points = points[(points > 0.0) | (name not in ("log", "log1p"))]
    points = points[(points < 0.0) | (name != "decay")]
    # On both sides of every end of a piece, and of every node.
    points = np.sort(np.concatenate([points, np.nextafter(points, np.inf), np.nextafter(points, -np.inf)]))
    values = portable(name)(points)
    assert (np.diff(values) >= -(1e-13 if name == "gaussian_cdf" else 5e-16)).all()


@pytest.mark.parametrize("name", ["tanh", "precise tanh"])
def test_tanh_is_odd(name: str) -> None:
    assert np.array_equal(portable(name)(-POINTS["tanh"]), -portable(name)(POINTS["tanh"]))


@EVERY
def test_memory_shape_and_company_change_no_bit(name: str) -> None:
    points = np.resize(POINTS[name], BLOCK + 700)
    expected = portable(name)(points)
    in_place = points.copy()
    assert portable(name)(in_place, out=in_place) is in_place
    assert in_place.tobytes() == expected.tobytes()
    assert portable(name)(points[1:])[:-1].tobytes() == expected[1:-1].tobytes()
    strided = np.empty((2, 5, 300))[:, :4]
    portable(name)(points[:2400].reshape(2, 4, 300), out=strided)
    assert strided.tobytes() == expected[:2400].tobytes()
    assert portable(name)(points[:2400].reshape(300, 8).T).T.tobytes() == expected[:2400].tobytes()
    assert portable(name)(points[7]).item() == expected[7]
    assert portable(name)(np.empty((3, 0))).shape == (3, 0)


@EVERY
def test_bits_are_those_of_every_other_machine(name: str) -> None:
    # Quotients of whole numbers, because what makes POINTS may itself differ in the last place.
    points = np.arange(1 if name in ("log", "log1p") else -30_000, 1 if name == "decay" else 30_001) / 977.0
    assert hashlib.sha256(portable(name)(points).tobytes()).hexdigest()[:16] == DIGESTS[name]


@pytest.mark.parametrize("name", PORTABLE._fields)
def test_both_libraries_mean_the_same_function(name: str) -> None:
    points = np.linspace(0.1, 5.0, 300)
    points = -points if name == "decay" else points
    np.testing.assert_allclose(portable(name)(points), getattr(NUMPY, name)(points), rtol=3e-8)
