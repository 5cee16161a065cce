"""Verdicts of statements about every measured number: the one furthest from the prediction decides."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from analysis.claims.claim import EXACTLY, FAILS, UNDECIDED, WITHIN, Claim, widths_of
from analysis.statistics.intervals import means_with_intervals
from analysis.wording import amount, number


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


class Region(NamedTuple):
    """Where a mean is predicted to lie.

    Attributes:
        text: in words.
        contains: whether a number is in it; those that are make one interval.
        centre: the number that agrees most, inf or -inf where more, or less, agrees more.
    """

    text: str
    contains: Callable[[float], bool]
    centre: float

    def verdict(self, low: float, high: float, met: str = WITHIN) -> str:
        """``met`` if the whole interval lies in the region, fails if none of it does; NaN ends hold all numbers."""
        if math.isnan(low) or math.isnan(high):
            return UNDECIDED
        if self.contains(low) and self.contains(high):
            return met
        return UNDECIDED if self.contains(min(max(low, self.centre), high)) else FAILS

    def distance(self, value: float) -> float:
        """From a number to the centre; to an infinite one in the order of the distances."""
        return abs(value - self.centre) if math.isfinite(self.centre) else -value if self.centre > 0.0 else value


MORE = Region("> 0", lambda value: value > 0.0, math.inf)
ABOVE_1 = Region("above 1", lambda ratio: ratio > 1.0, math.inf)
BELOW_1 = Region("below 1", lambda ratio: ratio < 1.0, -math.inf)
NOT_BELOW_1 = Region("not below 1", lambda ratio: ratio >= 1.0, math.inf)
NOT_LESS = Region("not below 0", lambda value: value >= 0.0, math.inf)


def around(centre: float, tolerance: float) -> Region:
    """The numbers that differ from the centre by no more than the tolerance."""
    return Region(f"{centre:g} ± {tolerance:g}", lambda value: abs(value - centre) <= tolerance, centre)


def decided_for_every(
    claim: Claim, region: Region, values: pd.DataFrame, runs: pd.DataFrame, what: str | Callable[[float], str],
    where: Callable[[Any], str] = str, met: str = WITHIN, scale: Callable[[np.ndarray], np.ndarray] = np.asarray,
) -> Claim:  # fmt: skip
    """The claim with the verdict on the mean of every case; unchanged where there is none.

    It holds if the intervals of all cases lie in the region, and fails if that of one does not touch it. They are so
    wide that in 95 of 100 repetitions all of them hold their true means, however many cases there are (Bonferroni);
    else a statement on many cases would fail by chance. A case with a single run has no interval and decides nothing.

    Args:
        values: columns ``case``, ``run_id`` and ``value``, a row a run.
        runs: rows of ``Tables.runs`` that the claim counts.
        what: a mean in words: "difference", or from a mean to words: ``change``.
        where: from a case to words: "at width 2".
        met: the verdict where the prediction holds.
        scale: from the scale on which means are taken to that of the region: ``np.exp`` of logarithms.
    """
    if values.empty:
        return claim
    cases = dict(list(values.groupby("case", sort=True)))
    means = means_with_intervals([of_case["value"].to_numpy(float) for of_case in cases.values()], together=True)
    means[[len(of_case) < 2 for of_case in cases.values()], 1:] = np.nan
    means = scale(means)
    verdicts = {case: region.verdict(low, high, met) for case, (low, high) in zip(cases, means[:, 1:], strict=True)}
    verdict = next(each for each in (FAILS, UNDECIDED, met) if each in verdicts.values())
    deciding = [place for place, each in enumerate(verdicts.values()) if each == verdict]
    worst = max(deciding, key=lambda place: max(region.distance(end) for end in means[place] if not math.isnan(end)))
    (case, of_case), (mean, low, high) = list(cases.items())[worst], means[worst]
    return claim.with_verdict(
        verdict,
        f"{what(mean) if callable(what) else f'{what} {number(mean, 3)}'} {where(case)}{_others(verdicts, where)}",
        float(mean),
        runs=len(runs),
        widths=widths_of(runs),
        interval=(float(low), float(high)),
        worst_run=str(
            of_case["run_id"].iloc[np.argmax([*map(region.distance, scale(of_case["value"].to_numpy(float)))])]
        ),
    )


def _others(verdicts: dict[Any, str], where: Callable[[Any], str]) -> str:
    """How many cases there are, and which of them fail or decide nothing."""
    if len(verdicts) == 1:
        return ""
    named = {words: [where(case) for case, verdict in verdicts.items() if verdict == each]
             for each, words in ((FAILS, "against the prediction"), (UNDECIDED, "undecided"))}  # fmt: skip
    told = "".join(f"; {words}: {', '.join(cases)}" for words, cases in named.items() if cases)
    return f", the furthest of {amount(len(verdicts), 'case')}{told}"


def failures(claims: Sequence[Claim]) -> str:
    """The sentences that begin a conclusion where a prediction fails or is not decided; empty where none is.

    >>> failures([Claim("1", "", "", "", verdict=FAILS), Claim("2", "", "", ""), Claim("3", "", "", "", verdict=FAILS)])
    'Predictions that fail: 1, 3.'
    >>> failures([Claim("1", "", "", "", verdict=UNDECIDED)])
    'Not decided by these runs: 1.'
    """
    words = {FAILS: "Predictions that fail", UNDECIDED: "Not decided by these runs"}
    found = {verdict: [claim.identity for claim in claims if claim.verdict == verdict] for verdict in words}
    return " ".join(f"{words[verdict]}: {', '.join(places)}." for verdict, places in found.items() if places)
