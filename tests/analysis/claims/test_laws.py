"""Verdicts on fitted exponents: what holds, what fails, and what the seeds' own factors may not hide."""

import math

import numpy as np
import pytest

from analysis.claims.claim import FAILS, WITHIN, Claim
from analysis.claims.laws import failures, judged, with_common_factor, with_interval
from analysis.statistics.fits import power_law_fit

RATES = np.tile([0.1, 0.2, 0.4, 0.8], 3)
SEEDS = np.repeat([0, 1, 2], 4)
FACTORS = np.repeat([1.0, 5.0, 30.0], 4)
CLAIM = Claim("1", "", "It grows with the square.", "exponent 2", command="python -m this")


def test_a_seed_s_own_factor_leaves_no_residual_and_does_not_move_the_exponent() -> None:
    y = FACTORS * RATES**2
    raw, common = power_law_fit(RATES, y, SEEDS), power_law_fit(RATES, with_common_factor(y, SEEDS), SEEDS)
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
    fit = power_law_fit(RATES, with_common_factor(y, SEEDS), SEEDS)
    assert fit.largest_residual > 0.1


def test_the_whole_interval_has_to_lie_within_the_tolerance() -> None:
    fit = power_law_fit(RATES, RATES**2, SEEDS)
    held = judged(CLAIM, fit, 2.0, 0.05, "exponent", "rates")
    assert (held.verdict, held.runs, held.command) == (WITHIN, 12, "")
    assert (
        held.measured
        == f"exponent 2.000 over rates, 12 points up to {fit.largest_residual:.2g} decades from the line".replace(
            "-", "\N{MINUS SIGN}"
        )
    )
    assert judged(CLAIM, fit._replace(low=1.94), 2.0, 0.05, "exponent", "rates").verdict == FAILS
    assert judged(CLAIM, fit._replace(high=2.06), 2.0, 0.05, "exponent", "rates").verdict == FAILS
    assert judged(CLAIM, fit, 1.9, 0.05, "exponent", "rates").verdict == FAILS
    assert with_interval(fit) == "2.000 [2.000, 2.000]"


def test_without_an_interval_the_slope_decides() -> None:
    fit = power_law_fit(RATES[:4], RATES[:4] ** 2, SEEDS[:4])
    assert math.isnan(fit.low)
    assert judged(CLAIM, fit, 2.0, 0.05, "exponent", "rates").verdict == WITHIN
    assert judged(CLAIM, fit, 1.0, 0.05, "exponent", "rates").verdict == FAILS


def test_only_what_fails_is_named() -> None:
    failed = CLAIM._replace(verdict=FAILS, measured="exponent 1.000")
    assert failures([CLAIM, CLAIM._replace(verdict=WITHIN), failed]) == [
        "Not as predicted: It grows with the square. Predicted: exponent 2; measured: exponent 1.000."
    ]
