"""Does logistic regression reach the global optimum from every start? With a penalty, and on separable classes."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis.claims.answer import Answer, question
from analysis.claims.claim import FAILS, NOT_TESTED, WITHIN, Claim, stated
from analysis.claims.verdicts import Prediction, around, decided, decided_for_every
from analysis.statistics.fits import Fit, exponential_fit, line_fit, power_law_fit
from analysis.tracked.tables import Tables
from analysis.wording import counted, number
from pipeline import names

L2 = "training.l2"
LARGEST_GAP = 1e-10
RESOLVED_GAP = 1e-12
"""Smaller gaps are the rounding of the objective, near 1e-13, and no longer shrink."""
LAST_DECADE = 0.1
TOLERANCE = 0.15
"""Of a limit that is approached like 1 / log t."""


def penalised(tables: Tables) -> pd.DataFrame:
    """Gaps over the steps of gradient descent on the penalised objective, every weight penalised, full batch.

    Columns: those of ``Tables.runs``, ``step``, ``value`` (the gap, rounding below 0 as 0), and ``bound``: the gap of
    step 0 times (1 - eta mu)^step with mu = l2.
    """
    runs = _by_the_theory(tables.runs)
    gaps = _curve(tables, runs[runs[L2] > 0.0], names.OPTIMUM_GAP)
    gaps = gaps.assign(value=gaps["value"].clip(lower=0.0))
    initial = gaps["run_id"].map(gaps[gaps["step"] == 0].set_index("run_id")["value"]).astype(float)
    return gaps.assign(bound=initial * (1.0 - gaps[names.RATE] * gaps[L2]) ** gaps["step"])


def separable(tables: Tables) -> pd.DataFrame:
    """Runs without a penalty on separable classes over the steps, from step 1.

    Columns: those of ``Tables.runs``, ``step``, ``loss`` (training), ``norm`` (|W| times the largest margin, so that
    it should grow like ln t), ``angle`` (radians to the direction of the largest margin) and ``margin`` (over the
    largest).
    """
    runs = _by_the_theory(tables.runs)
    runs = runs[(runs[L2] == 0.0) & runs["optimum"].astype(str).str.startswith("separable")]
    keys = {
        names.LOSS_TRAIN: "loss",
        names.WEIGHT_NORM: "norm",
        names.SEPARATOR_ANGLE: "angle",
        names.MARGIN: "margin",
        names.LARGEST_MARGIN: "largest",
    }
    curves = tables.curves[tables.curves["run_id"].isin(runs["run_id"]) & tables.curves["metric"].isin(keys)]
    wide = curves[curves["step"] > 0].pivot(index=["run_id", "step"], columns="metric", values="value")
    wide = wide.reindex(columns=list(keys)).rename(columns=keys).dropna().reset_index()
    wide = wide.assign(norm=wide["norm"] * wide["largest"], margin=wide["margin"] / wide["largest"])
    return wide.merge(runs, on="run_id").sort_values(["data", "init", "seed", "run_id", "step"], ignore_index=True)


def _by_the_theory(runs: pd.DataFrame) -> pd.DataFrame:
    """Logistic regression by full-batch gradient descent, without biases, which no penalty covers."""
    plain = (runs["optimizer"] == "gd") & (runs["optimizer.weight_decay"] == 0.0) & runs["training.batch_size"].isna()
    return runs[(runs["model"] == "logistic") & ~runs["model.bias"].astype(bool) & plain & ~runs["diverged"]]


def _curve(tables: Tables, runs: pd.DataFrame, metric: str) -> pd.DataFrame:
    curve = tables.curves[tables.curves["metric"] == metric].drop(columns="metric").merge(runs, on="run_id")
    return curve.sort_values(["data", "init", "seed", "run_id", "step"], ignore_index=True)


@question(figures=())
def answer(tables: Tables) -> Answer:
    """The gap and its rate with a penalty; loss, norm and direction without one on separable classes."""
    gaps, limits = penalised(tables), separable(tables)
    claims = [
        _gap_claim(gaps),
        _bound_claim(gaps),
        _limit_claim(LOSS, limits),
        _limit_claim(NORM, limits),
        _direction_claim(limits),
    ]
    return Answer(claims, _conclusion(claims, limits))


def _gap_claim(gaps: pd.DataFrame) -> Claim:
    small = Prediction(f"a gap below {LARGEST_GAP:g}", "max", lambda gap: gap < LARGEST_GAP)
    statement = "With an l2 penalty every start ends at the one optimum."
    claim = stated(statement, small.text)
    final = gaps[gaps["step"] == gaps.groupby("run_id")["step"].transform("max")]
    claim = decided(claim, small, final, final, "gap at the end", met=WITHIN)
    each = [f"{data}: {number(float(gap))}" for data, gap in final.groupby("data")["value"].max().items()]
    # A start that draws nothing is the same for every seed.
    starts = gaps[gaps["step"] == 0].groupby("data")["value"].nunique().tolist()
    words = f"{claim.measured} ({', '.join(each)}), from {counted(starts or [0])} different starts"
    return claim._replace(measured=claim.measured and words)


def _bound_claim(gaps: pd.DataFrame) -> Claim:
    below = Prediction("gap / bound at most 1", "max", lambda ratio: ratio <= 1.0)
    statement = "The gap never exceeds its first value times (1 - eta mu)^t, for learning rates up to 1 / L."
    claim = stated(statement, below.text)
    resolved = gaps[(gaps["step"] > 0) & (gaps["bound"] > RESOLVED_GAP)]
    ratios = resolved.assign(value=resolved["value"] / resolved["bound"])
    claim = decided(claim, below, ratios, gaps.drop_duplicates("run_id"), "ratio")
    rates = [
        f"{data}: {number(fit.slope / np.log1p(-(part[names.RATE] * part[L2]).iloc[0]))} times as fast as the bound"
        for (data, _, _), part in gaps.groupby(["data", names.RATE, L2])
        if (fit := _tail_fit(part)) is not None
    ]
    return claim._replace(measured="; ".join([claim.measured, *rates]) if rates else claim.measured)


def _tail_fit(gaps: pd.DataFrame) -> Fit | None:
    """The line through the logarithm of the gaps, from a thousandth of the first gap down to what is resolved."""
    first = gaps.groupby("run_id")["value"].transform("first")
    tail = gaps[(gaps["value"] < 1e-3 * first) & (gaps["value"] > RESOLVED_GAP)]
    if tail["step"].nunique() < 2:
        return None
    return exponential_fit(tail["step"].to_numpy(), tail["value"].to_numpy(), tail["seed"].to_numpy())


class Limit(NamedTuple):
    """A slope with a known limit, fitted over the last decade of steps.

    Attributes:
        statement: in words.
        limit: of the slope.
        what: the slope in words.
        fit: from the rows of ``separable`` to the fit.
    """

    statement: str
    limit: float
    what: str
    fit: Callable[[pd.DataFrame], Fit]


LOSS = Limit(
    "On separable classes the loss falls like 1 / t, to its infimum 0.",
    -1.0,
    "exponent",
    lambda rows: power_law_fit(rows["step"].to_numpy(), rows["loss"].to_numpy(), rows["seed"].to_numpy()),
)
NORM = Limit(
    "The norm of the weights grows like ln t over the largest margin.",
    1.0,
    "slope of the norm times the largest margin against ln t",
    lambda rows: line_fit(np.log(rows["step"].to_numpy()), rows["norm"].to_numpy(), rows["seed"].to_numpy()),
)


def _limit_claim(limit: Limit, limits: pd.DataFrame) -> Claim:
    """The slope of every seed, over all its starts, on every data set."""
    near = around(limit.limit, TOLERANCE)
    claim = stated(limit.statement, f"{limit.what} {near.text} over the last decade of steps, on all data")
    late = limits[limits["step"] >= LAST_DECADE * limits.groupby("run_id")["step"].transform("max")]
    fits = [
        (data, rows["run_id"].iloc[0], limit.fit(rows).slope)
        for (data, _), rows in late.groupby(["data", "seed"])
        if rows["step"].nunique() > 1
    ]
    slopes = pd.DataFrame(fits, columns=["case", "run_id", "value"])
    claim = decided_for_every(claim, near, slopes, late.drop_duplicates("run_id"), limit.what, "on {}".format)
    if not claim.runs:
        return claim
    each = ", ".join(
        f"{number(float(slope), 3)} on {data}" for data, slope in slopes.groupby("case")["value"].mean().items()
    )
    over = f"{each}, over steps {late['step'].min()} to {late['step'].max()}"
    return claim._replace(measured=f"{over}; {claim.measured}", steps=len(late))


def _direction_claim(limits: pd.DataFrame) -> Claim:
    most = 1.0 + TOLERANCE
    bounded = Prediction(f"angle times ln t at most {most:g} times that a decade before", "max", lambda r: r <= most)
    statement = "The direction of the weights tends to the separator of largest margin, at least like 1 / ln t."
    claim = stated(statement, bounded.text)
    scaled = limits.assign(value=limits["angle"] * np.log(limits["step"]))
    last = limits.groupby("run_id")["step"].transform("max")
    now, before = (
        scaled[limits["step"] >= share * last].groupby("run_id")["value"].first() for share in (1.0, LAST_DECADE)
    )
    final = limits[limits["step"] == last]
    ratios = final.assign(value=final["run_id"].map(now / before))
    claim = decided(claim, bounded, ratios, final, "ratio", met=WITHIN)
    each = [
        f"{data}: largest angle {number(rows['angle'].max())}, smallest margin {number(rows['margin'].min(), 3)} of the"
        " largest possible"
        for data, rows in final.groupby("data")
    ]
    return claim._replace(measured=claim.measured and "; ".join([claim.measured, *each]))


def _conclusion(claims: list[Claim], limits: pd.DataFrame) -> str:
    gap, bound, loss, norm, direction = claims
    sentences = []
    if gap.verdict == WITHIN and bound.verdict != FAILS:
        sentences.append(
            f"With a penalty, logistic regression reaches the optimum from every start: no gap is larger than"
            f" {number(gap.number)} at the end, and none shrinks more slowly than the theory allows."
        )
    if WITHIN == loss.verdict == norm.verdict and direction.verdict in (WITHIN, FAILS):
        final = limits[limits["step"] == limits.groupby("run_id")["step"].transform("max")]
        sentences.append(
            f"On separable classes there is no optimum to reach: the loss falls like t^{number(loss.number, 3)},"
            f" the norm grows with {number(norm.number, 3)} of its limiting slope, and every direction has come to"
            f" {number(float(final['margin'].min()), 3)} of the largest margin or more"
            f"{'' if direction.verdict == WITHIN else ', if not yet at the pace of the theory'}."
        )
    untested = [claim.identity for claim in claims if claim.verdict == NOT_TESTED]
    if untested:
        sentences.append(f"These runs do not test {', '.join(untested)}.")
    return " ".join(sentences)
