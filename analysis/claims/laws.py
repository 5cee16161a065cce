"""Verdicts on laws: is the exponent, slope or factor that was fitted the predicted one?"""

from analysis.claims.claim import Claim
from analysis.claims.verdicts import around
from analysis.statistics.fits import Fit
from analysis.wording import MINUS, amount, number


def judged(
    claim: Claim, fit: Fit, predicted: float, tolerance: float, what: str, over: str, unit: str = "decades"
) -> Claim:
    """The claim with the verdict on a fitted slope: its whole interval has to lie within the tolerance.

    A single group has no interval and decides nothing.

    Args:
        fit: of points of which each is a run, as in ``power_law_fit``.
        what: the slope in words: "exponent".
        over: its range in words: "learning rates 0.01 to 0.1".
        unit: that of the residual.
    """
    return claim.with_verdict(
        around(predicted, tolerance).verdict(fit.low, fit.high),
        f"{what} {rounded(fit.slope)} over {over}, {amount(fit.points, 'point')} up to {number(fit.largest_residual)}"
        f" {unit} from the line",
        fit.slope,
        runs=fit.points,
        interval=(fit.low, fit.high),
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
