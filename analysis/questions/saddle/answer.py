"""How long is the plateau from a small start? Modes beside their exact curves, and escape times against epsilon."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from analysis.claims.answer import Answer, question
from analysis.claims.claim import FAILS, NOT_TESTED, UNDECIDED, WITHIN, Claim, stated
from analysis.claims.laws import judged, rounded, with_interval
from analysis.questions.saddle.tables import all_escapes, costs_of_smallness, escapes_of, modes_of
from analysis.statistics.fits import Fit, power_law_fit, with_common_factor
from analysis.statistics.intervals import sample_mean
from analysis.tracked.tables import Tables
from analysis.wording import amount, number

EXPONENT_TOLERANCE = 0.1
ACTIVATIONS = ("identity", "tanh")
SMALL_LAYERS = (2, 3, 4)


class Curve(NamedTuple):
    """An exact curve and the start from which the modes are to follow it.

    Attributes:
        start: as in ``modes_of``.
        column: of ``modes_of``, the curve.
        tolerance: of a strength, as a share of its singular value. Gradient descent at learning rate 0.02 itself errs
            by about 0.01; a mode alone was expected to be near enough where modes share hidden units.
        statement: that it is followed.
    """

    start: str
    column: str
    tolerance: float
    statement: str


CURVES = (
    Curve("aligned start", "alone", 0.02, "From a small aligned start, every mode of a two-layer linear network follows"
          " the exact curve of a mode alone."),
    Curve("random start", "alone", 0.1, "From a small random start too, every mode follows the exact curve of a mode"
          " alone."),
    Curve("random start", "together", 0.02, "From a small random start, the modes follow the exact curves of modes that"
          " share hidden units."),
)  # fmt: skip


@question(figures=())
def answer(tables: Tables) -> Answer:
    """The exact curves from both starts; then the exponent for every number of small layers and activation."""
    modes, escapes, everything = modes_of(tables), escapes_of(tables), all_escapes(tables)
    claims = [_curve_claim(curve, modes) for curve in CURVES]
    claims += [
        _escape_claim(activation, small, escapes, everything) for small in SMALL_LAYERS for activation in ACTIVATIONS
    ]
    return Answer(claims, _conclusion(claims, modes))


def _curve_claim(curve: Curve, modes: pd.DataFrame) -> Claim:
    predicted = f"largest deviation below {curve.tolerance:g} of the singular value"
    claim = stated(curve.statement, predicted)
    data: Any = modes[modes["start"] == curve.start]
    if data.empty:
        return claim
    signed = (data["measured"] - data[curve.column]) / data["singular_value"]
    deviation = signed.abs()
    of_run: Any = deviation.groupby(data["run_id"]).max()
    worst: Any = data.loc[deviation.idxmax()]
    side = "behind" if signed[deviation.idxmax()] < 0.0 else "ahead of"
    of_scale = of_run.groupby(data.groupby("run_id")["scale"].first()).mean()
    by_scale = ", ".join(f"{number(value)} at scale {scale:g}" for scale, value in of_scale.items())
    several = data["seed"].nunique() > 1
    _, low, high = sample_mean(of_run)
    largest = float(deviation.max())
    return claim.with_verdict(
        WITHIN if largest <= curve.tolerance else FAILS,
        f"largest {number(largest)}, in mode {worst['mode']}, {side} its curve; mean over runs of their"
        f" largest: {by_scale}",
        largest,
        runs=len(of_run),
        steps=len(data),
        interval=(low, high) if several else (np.nan, np.nan),
        worst_run=str(worst["run_id"]),
    )


def fits_of(points: pd.DataFrame) -> tuple[Fit, Fit] | None:
    """The powers of epsilon in the escape time, and in what a smaller epsilon adds to it; None for too few points.

    Args:
        points: the rows of ``escapes_of`` for one activation and number of small layers.
    """
    costs = costs_of_smallness(points)
    if costs["epsilon"].nunique() < 2 or (costs["cost"] <= 0.0).any():
        return None
    times, added = (
        power_law_fit(
            table["epsilon"].to_numpy(),
            with_common_factor(table[column].to_numpy(), table["group"].to_numpy()),
            table["group"].to_numpy(),
        )
        for table, column in ((points, "time"), (costs, "cost"))
    )
    return times, added


def _escape_claim(activation: str, small: int, escapes: pd.DataFrame, everything: pd.DataFrame) -> Claim:
    law = "log(1/epsilon)" if small == 2 else f"epsilon^-{small - 2}"
    statement = f"With {small} small layers ({activation} units) the escape time goes like {law}."
    of_what = "of the time added per log of epsilon" if small == 2 else "of the time"
    exponent = 0.0 if small == 2 else 2.0 - small
    predicted = f"exponent {of_what} {number(exponent)}, its interval within ± {EXPONENT_TOLERANCE:g}"
    claim = stated(statement, predicted)
    points, of_law = (
        table[(table["activation"] == activation) & (table["small"] == small)] for table in (escapes, everything)
    )
    stuck = int(of_law["time"].isna().sum())
    censored = (
        f"{stuck} of {amount(len(of_law), 'run')} never left the plateau; {len(of_law) - len(points)} are left out"
    )
    fits = fits_of(points)
    if fits is None:
        return claim._replace(measured=censored if stuck else "")
    times, added = fits
    over = f"epsilon {10.0**times.first:.2g} to {10.0**times.last:.2g}"
    found = judged(claim, added if small == 2 else times, exponent, EXPONENT_TOLERANCE, "exponent", over)
    if small > 2:
        found = found._replace(
            measured=f"{found.measured}; of the time added per log of epsilon {with_interval(added)}"
        )
    if stuck:
        # The seeds that are left are those that leave early.
        found = found._replace(measured=f"{found.measured}; {censored}", verdict=UNDECIDED)
    return found._replace(runs=len(points), steps=len(points))


def _conclusion(claims: Sequence[Claim], modes: pd.DataFrame) -> str:
    """How close the exact curves are, and the exponents."""
    sentences = []
    aligned, alone, together, *laws = claims
    if aligned.verdict != NOT_TESTED:
        sentences.append(
            f"From an aligned start the modes of linear networks deviate from their exact curves by at most"
            f" {number(aligned.number)} of their strength."
        )
    if alone.verdict != NOT_TESTED:
        overlap = modes.loc[modes["start"] == "random start", "overlap"].max()
        sentences.append(
            f"From a random start it is {number(alone.number)}: two modes share hidden units, with a cosine of up to"
            f" {number(overlap)}. The exact curves that count this are met up to"
            f" {number(together.number)}."
        )
    exponents = [f"{rounded(claim.number)} [{rounded(claim.low)}, {rounded(claim.high)}]" for claim in laws[2::2]
                 if claim.verdict != NOT_TESTED]  # fmt: skip
    if exponents and laws[0].verdict == WITHIN:
        sentences.append(
            f"Escape takes a time like log(1/epsilon) with 2 small layers; with 3 and 4 its exponents are"
            f" {' and '.join(exponents)}."
        )
    return " ".join(sentences)
