"""Verdicts on fitted exponents: what holds and what fails."""

import math

import numpy as np

from analysis.claims.claim import FAILS, UNDECIDED, WITHIN, Claim
from analysis.claims.laws import judged, with_interval
from analysis.statistics.fits import power_law_fit

RATES = np.tile([0.1, 0.2, 0.4, 0.8], 3)
SEEDS = np.repeat([0, 1, 2], 4)
CLAIM = Claim("1", "", "It grows with the square.", "exponent 2", command="python -m this")


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
    assert judged(CLAIM, fit._replace(low=1.94), 2.0, 0.05, "exponent", "rates").verdict == UNDECIDED
    assert judged(CLAIM, fit._replace(high=2.06), 2.0, 0.05, "exponent", "rates").verdict == UNDECIDED
    assert judged(CLAIM, fit, 1.9, 0.05, "exponent", "rates").verdict == FAILS
    assert with_interval(fit) == "2.000 [2.000, 2.000]"


def test_without_an_interval_nothing_is_decided() -> None:
    fit = power_law_fit(RATES[:4], RATES[:4] ** 2, SEEDS[:4])
    assert math.isnan(fit.low)
    assert judged(CLAIM, fit, 2.0, 0.05, "exponent", "rates").verdict == UNDECIDED
