"""Fitted lines on data whose slope is known."""

import numpy as np
import pytest
from scipy.stats import linregress, ttest_1samp

from analysis.statistics.fits import exponential_fit, line_fit, power_law_fit, with_common_factor

STEPS = np.tile(np.arange(1.0, 11.0), 6)
SEEDS = np.repeat(np.arange(6), 10)
RATES = np.tile([0.1, 0.2, 0.4, 0.8], 3)
GROUPS = np.repeat([0, 1, 2], 4)
FACTORS = np.repeat([1.0, 5.0, 30.0], 4)


def test_points_on_a_line_give_it_back() -> None:
    fit = line_fit(STEPS, 3.0 - 0.5 * STEPS, SEEDS)
    # A few roundings of numbers below 10.
    for found, expected in ((fit.slope, -0.5), (fit.low, -0.5), (fit.high, -0.5), (fit.intercept, 3.0)):
        assert found == pytest.approx(expected, abs=1e-14)
    assert fit.largest_residual < 1e-14
    assert (fit.first, fit.last, fit.points, fit.groups) == (1.0, 10.0, 60, 6)
    assert fit.at(np.array([4.0])) == pytest.approx([1.0], abs=1e-14)


def test_the_slope_is_that_of_scipy_and_the_residual_the_largest() -> None:
    y = 2.0 * STEPS + np.random.default_rng(0).standard_normal(len(STEPS))
    fit, reference = line_fit(STEPS, y, SEEDS), linregress(STEPS, y)
    assert fit.slope == pytest.approx(reference.slope, rel=1e-13)
    assert fit.intercept == pytest.approx(reference.intercept, rel=1e-12)
    residuals = np.abs(y - reference.intercept - reference.slope * STEPS)
    assert fit.largest_residual == pytest.approx(residuals.max(), rel=1e-12)
    assert fit.low < fit.slope < fit.high


def test_power_laws_and_exponentials_are_lines_in_logarithms() -> None:
    assert power_law_fit(STEPS, 5.0 * STEPS**-1.5, SEEDS).slope == pytest.approx(-1.5, rel=1e-12)
    assert power_law_fit(STEPS, 5.0 * STEPS**-1.5, SEEDS).intercept == pytest.approx(np.log10(5.0), rel=1e-12)
    growing = exponential_fit(STEPS, 1e-16 * np.exp(0.3 * STEPS), SEEDS)
    assert growing.slope == pytest.approx(0.3, rel=1e-12)
    assert growing.intercept == pytest.approx(np.log(1e-16), rel=1e-12)


def test_large_x_lose_no_digits() -> None:
    x = 1e8 + STEPS
    assert line_fit(x, 0.25 * STEPS, SEEDS).slope == pytest.approx(0.25, rel=1e-9)


@pytest.mark.parametrize("seeds", [3, 5, 20])
@pytest.mark.parametrize(("share", "stated"), [(1.0, 0.95), (0.8, 0.93)], ids=["all points", "some missing"])
def test_the_interval_covers_the_true_slope_as_often_as_it_says(seeds: int, share: float, stated: float) -> None:
    generator, repetitions, covered, ignorant = np.random.default_rng(0), 500, 0, 0
    x, groups = np.tile(np.arange(5.0), seeds), np.repeat(np.arange(seeds), 5)
    kept = generator.random(len(x)) < share
    for _ in range(repetitions):
        # Every seed has a slope of its own about the true one, so its points are not independent.
        y = x * (1.0 + generator.standard_normal(seeds))[groups] + 0.1 * generator.standard_normal(len(x))
        fit, pointwise = line_fit(x[kept], y[kept], groups[kept]), line_fit(x[kept], y[kept], np.flatnonzero(kept))
        covered += fit.low <= 1.0 <= fit.high
        ignorant += pointwise.low <= 1.0 <= pointwise.high
    # A share of 0.95 of 500 has a standard error of 0.01; the docstring says 0.91 to 0.95 where points are missing.
    assert covered / repetitions == pytest.approx(stated, abs=0.03)
    assert ignorant < covered


def test_where_all_groups_have_the_same_x_it_is_student_s_interval_of_their_slopes() -> None:
    y = np.random.default_rng(1).standard_normal(len(STEPS))
    fit = line_fit(STEPS, y, SEEDS)
    slopes = [
        linregress(steps, of_seed).slope for steps, of_seed in zip(STEPS.reshape(6, -1), y.reshape(6, -1), strict=True)
    ]
    np.testing.assert_allclose((fit.low, fit.high), ttest_1samp(slopes, 0.0).confidence_interval(0.95), rtol=1e-10)


def test_a_slope_that_one_group_makes_alone_has_no_bounds() -> None:
    fit = line_fit(np.array([1.0, 1.0, 2.0]), np.array([0.0, 1.0, 2.0]), np.array([0, 0, 1]))
    assert (fit.low, fit.high) == (-np.inf, np.inf)


def test_the_order_of_the_points_changes_nothing_and_one_group_has_no_interval() -> None:
    y = np.random.default_rng(2).standard_normal(len(STEPS))
    order = np.random.default_rng(3).permutation(len(STEPS))
    one, other = line_fit(STEPS, y, SEEDS), line_fit(STEPS[order], y[order], SEEDS[order])
    # Sums in another order round otherwise.
    np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-15)
    alone = line_fit(STEPS, y, np.zeros(len(STEPS)))
    assert np.isnan([alone.low, alone.high]).all()
    assert alone.slope == pytest.approx(one.slope)


@pytest.mark.parametrize(("x", "y"), [([1.0, 1.0], [0.0, 1.0]), ([1.0, 2.0], [0.0, np.nan]), ([], [])])
def test_what_is_no_line_is_refused(x: list[float], y: list[float]) -> None:
    with pytest.raises(ValueError, match="two different x"):
        line_fit(np.array(x), np.array(y), np.zeros(len(x)))


def test_a_seed_s_own_factor_leaves_no_residual_and_does_not_move_the_exponent() -> None:
    y = FACTORS * RATES**2
    raw, common = power_law_fit(RATES, y, GROUPS), power_law_fit(RATES, with_common_factor(y, GROUPS), GROUPS)
    assert raw.largest_residual > 0.5
    assert common.largest_residual < 1e-14  # rounding of logarithms of order 1
    assert common.slope == pytest.approx(raw.slope, abs=1e-12) == pytest.approx(2.0, abs=1e-12)


def test_the_common_factor_is_the_geometric_mean() -> None:
    np.testing.assert_allclose(
        with_common_factor(np.array([1.0, 4.0, 9.0, 36.0]), np.array([0, 0, 1, 1])), [3.0, 12.0, 3.0, 12.0], rtol=1e-14
    )


def test_a_law_that_is_broken_keeps_its_residual() -> None:
    y = FACTORS * RATES**2
    y[1] *= 2.0
    fit = power_law_fit(RATES, with_common_factor(y, GROUPS), GROUPS)
    assert fit.largest_residual > 0.1
