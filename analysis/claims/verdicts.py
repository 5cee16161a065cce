"""Verdicts of statements about every measured number: the one furthest from the prediction decides."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis.claims.claim import EXACTLY, FAILS, Claim, widths_of


class Prediction(NamedTuple):
    """What a claim says about every measured value.

    Attributes:
        text: in words.
        worst: "max" or "min", the end of the values that is furthest from the prediction.
        holds: whether a value agrees.
    """

    text: str
    worst: str
    holds: Callable[[float], bool]


ZERO = Prediction("exactly 0", "max", lambda number: number == 0.0)
POSITIVE = Prediction("> 0", "min", lambda number: number > 0.0)


def decided(
    claim: Claim, prediction: Prediction, values: pd.DataFrame, runs: pd.DataFrame, what: str, met: str = EXACTLY
) -> Claim:
    """The claim with the verdict that all finite values give; unchanged where there are none.

    Args:
        values: columns ``run_id``, ``step`` and ``value``.
        runs: rows of ``Tables.runs``, of these runs at least.
        what: what a value is, in words: "distance".
        met: the verdict where the prediction holds.
    """
    # What a run shows once its numbers overflow says nothing about symmetry; its divergence is reported apart.
    values = values[np.isfinite(values["value"].astype(float))]
    if values.empty:
        return claim
    place = values["value"].to_numpy().argmax() if prediction.worst == "max" else values["value"].to_numpy().argmin()
    worst = values.iloc[int(place)]
    number = float(worst["value"])
    deciding = runs[runs["run_id"].isin(values["run_id"])]
    end = "largest" if prediction.worst == "max" else "smallest"
    return claim.with_verdict(
        met if prediction.holds(number) else FAILS,
        f"{end} {what} {number:.3g}",
        number,
        runs=len(deciding),
        steps=len(values[["run_id", "step"]].drop_duplicates()),
        widths=widths_of(deciding),
        worst_run=str(worst["run_id"]),
    )


def failures(claims: Sequence[Claim]) -> str:
    """The sentence that begins a conclusion where a prediction fails; empty where none does.

    >>> failures([Claim("1", "", "", "", verdict=FAILS), Claim("2", "", "", ""), Claim("3", "", "", "", verdict=FAILS)])
    'Predictions that fail: 1, 3.'
    """
    failed = [claim.identity for claim in claims if claim.verdict == FAILS]
    return f"Predictions that fail: {', '.join(failed)}." if failed else ""
