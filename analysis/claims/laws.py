"""Verdicts on laws: is the exponent, slope or factor that was fitted the predicted one?"""

import math

import numpy as np

from analysis.claims.claim import FAILS, WITHIN, Claim
from analysis.statistics.fits import Fit
from analysis.wording import MINUS, amount, number


def with_common_factor(y: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """The values, each group's scaled so that all groups have the same geometric mean.

    A power law leaves its factor free, and seeds differ in it. Without that difference the residuals of a fit show how
    well the law holds; its exponent stays the same where all groups have the same x.

    Args:
        y: (points,), positive.
        groups: (points,).
    """
    logarithms = np.log(np.asarray(y, float))
    _, group_of_point = np.unique(np.asarray(groups), return_inverse=True)
    means = np.bincount(group_of_point, logarithms) / np.bincount(group_of_point)
    return np.asarray(np.exp(logarithms - means[group_of_point] + logarithms.mean()))


def judged(
    claim: Claim, fit: Fit, predicted: float, tolerance: float, what: str, over: str, unit: str = "decades"
) -> Claim:
    """The claim with the verdict on a fitted slope: its whole interval has to lie within the tolerance.

    A single group has no interval; then the slope itself decides.

    Args:
        fit: of points of which each is a run, as in ``power_law_fit``.
        what: the slope in words: "exponent".
        over: its range in words: "learning rates 0.01 to 0.1".
        unit: that of the residual.
    """
    ends = (fit.slope,) if math.isnan(fit.low) else (fit.low, fit.high)
    holds = all(abs(end - predicted) <= tolerance for end in ends)
    return claim._replace(
        measured=f"{what} {rounded(fit.slope)} over {over}, {amount(fit.points, 'point')} up to"
        f" {number(fit.largest_residual)} {unit} from the line",
        number=fit.slope,
        low=fit.low,
        high=fit.high,
        verdict=WITHIN if holds else FAILS,
        runs=fit.points,
        steps=fit.points,
        command="",
    )


def rounded(slope: float) -> str:
    """A slope with three decimals.

    >>> rounded(2.00002), rounded(-0.00005)
    ('2.000', '0.000')
    """
    return f"{round(slope, 3) + 0.0:.3f}".replace("-", MINUS)


def with_interval(fit: Fit) -> str:
    """A fitted slope, its interval behind it."""
    return f"{rounded(fit.slope)} [{rounded(fit.low)}, {rounded(fit.high)}]"


def failures(claims: list[Claim]) -> list[str]:
    """A sentence for each statement that these runs contradict."""
    return [
        f"Not as predicted: {claim.statement} Predicted: {claim.prediction}; measured: {claim.measured}."
        for claim in claims
        if claim.verdict == FAILS
    ]
