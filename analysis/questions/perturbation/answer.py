"""How small a push is enough? A constant start plus epsilon times a standard normal draw, with both products."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from analysis.claims.answer import Answer, question
from analysis.claims.claim import EXACTLY, FAILS, NOT_TESTED, WITHIN, Claim, widths_of
from analysis.claims.verdicts import ZERO, decided
from analysis.statistics.breaking import APART, breaking_steps
from analysis.statistics.fits import Fit, exponential_fit, line_fit
from analysis.statistics.intervals import sample_mean
from analysis.tracked.tables import Tables
from analysis.wording import amount, number
from pipeline import names

EPSILON = "init.epsilon"
LINEAR = 1e-3
"""Below this distance the units' difference is small beside their weights, and grows as its linear equation says."""
SETTLED = 1e-3
"""The unpushed network has settled once its loss stays within this part of the last one."""
FEWEST_POINTS = 5
TOLERANCE = 0.05
GROWTH = ["rate", "residual"]


def pushed_networks(tables: Tables) -> pd.DataFrame:
    """One row per run from a constant plus a push, with what its units' distance did; only the longest runs count.

    The columns of ``runs``; ``breaks_at`` (inf: never); ``settles_at``, the step from which the unpushed network of the
    same arithmetic has settled (NaN: there is none); ``rate`` and ``residual`` of the line through the logarithm of the
    distance, from that step on and below ``LINEAR`` (NaN: too few steps were measured then).
    """
    runs = tables.runs.assign(**{EPSILON: tables.runs.get(EPSILON, np.nan)})
    runs = runs[(runs["init"] == "perturbed") & ~runs["diverged"]]
    runs = runs[runs["training.steps"] == runs["training.steps"].max()]
    runs = runs.assign(breaks_at=runs["run_id"].map(breaking_steps(tables)).astype(float))
    settled = {arithmetic: _settling_step(tables, of_one) for arithmetic, of_one in runs.groupby("arithmetic")}
    runs = runs.assign(settles_at=runs["arithmetic"].map(settled).astype(float))
    curves = tables.values(runs, [names.DISTANCE]).sort_values("step")
    curve_of = {str(run_id): curve for run_id, curve in curves.groupby("run_id")}
    fits = [_growth(curve_of[run_id], start) for run_id, start in zip(runs["run_id"], runs["settles_at"], strict=True)]
    runs = runs.join(pd.DataFrame(fits, index=runs.index, columns=GROWTH, dtype=float))
    return runs.sort_values(["arithmetic", EPSILON, "seed"], ignore_index=True)


def _settling_step(tables: Tables, runs: pd.DataFrame) -> float:
    """The first measured step after which the loss of every unpushed run has come to rest."""
    losses = tables.values(runs[runs[EPSILON] == 0.0], [names.LOSS_TRAIN]).sort_values("step")
    if losses.empty:
        return np.nan
    last = losses.groupby("run_id")["value"].transform("last")
    moving = losses.loc[(losses["value"] - last).abs() > SETTLED * last, "step"].max()
    return float(losses.loc[losses["step"] > (-1 if np.isnan(moving) else moving), "step"].min())


def _growth(curve: pd.DataFrame, start: float) -> tuple[float, float]:
    """Slope and largest residual of ln(distance) while the growth is linear and the unpushed network rests."""
    growing = curve[(curve["step"] >= start) & (curve["value"] > 0.0) & (curve["value"] < LINEAR)]
    if len(growing) < FEWEST_POINTS:
        return np.nan, np.nan
    fit = exponential_fit(growing["step"].to_numpy(), growing["value"].to_numpy(), np.zeros(len(growing)))
    return fit.slope, fit.largest_residual


def late_breaks(networks: pd.DataFrame) -> pd.DataFrame:
    """The runs that break after the unpushed network has settled: all their time is bought at one rate."""
    pushed = networks[(networks[EPSILON] > 0.0) & np.isfinite(networks["breaks_at"])]
    return pushed[pushed["breaks_at"] > pushed["settles_at"]]


def time_fit(networks: pd.DataFrame) -> Fit | None:
    """The line through (ln epsilon, step of breaking) of ``late_breaks``; None with fewer than two sizes of push."""
    late = late_breaks(networks)
    if late[EPSILON].nunique() < 2:
        return None
    return line_fit(np.log(late[EPSILON].to_numpy(float)), late["breaks_at"].to_numpy(), late["seed"].to_numpy())


@question(figures=())
def answer(tables: Tables) -> Answer:
    """For each product: no push, any push, the rate, the time and what it is worth."""
    networks = pushed_networks(tables)
    claims = [
        claim
        for arithmetic in ("exact", "blas")
        for claim in _claims(tables, networks[networks["arithmetic"] == arithmetic], arithmetic)
    ]
    return Answer(claims, _conclusion(networks, claims))


def _claims(tables: Tables, networks: pd.DataFrame, arithmetic: str) -> Iterator[Claim]:
    def claim(identity: str, statement: str, prediction: str) -> Claim:
        return Claim(f"{arithmetic} {identity}", "", statement, prediction)

    pushed, unpushed = networks[networks[EPSILON] > 0.0], networks[networks[EPSILON] == 0.0]
    zero = claim("1", "Without a push, the distance between equal units stays 0.", ZERO.text)
    yield decided(zero, ZERO, tables.values(unpushed, [names.symmetry("distance_max")]), unpushed, "distance")
    yield _any_claim(
        claim("2", "Every push breaks the symmetry, however small.", f"{APART:g} reached by all runs"), pushed
    )
    same = f"rates of all pushes within {TOLERANCE:.0%} of their median"
    yield _rate_claim(
        claim("3", "While the difference is small, its growth rate does not depend on the push.", same), pushed
    )
    statement = "The time to break the symmetry grows by 1 / rate for each factor e by which the push is smaller."
    yield _time_claim(claim("4", statement, f"steps a factor e, times rate: 1 within {TOLERANCE:.0%}"), networks)
    statement = "Once broken, the network ends below the unpushed one, whatever the push was."
    yield _loss_claim(claim("5", statement, "a lower final training loss"), pushed, unpushed)


def _any_claim(claim: Claim, pushed: pd.DataFrame) -> Claim:
    if pushed.empty:
        return claim
    breaks = np.isfinite(pushed["breaks_at"])
    kept = pushed[~breaks]
    measured = f"{breaks.sum()} of {amount(len(pushed), 'run')}, from {pushed.loc[breaks, EPSILON].min():g} up"
    if len(kept):
        measured += f"; never within {int(kept['training.steps'].max())} steps from {kept[EPSILON].max():g} down"
    worst = "" if kept.empty else kept["run_id"].iloc[-1]
    return _decided(claim, pushed, EXACTLY if kept.empty else FAILS, measured, float(breaks.mean()), worst)


def _rate_claim(claim: Claim, pushed: pd.DataFrame) -> Claim:
    fitted = pushed[pushed["rate"].notna()]
    if fitted[EPSILON].nunique() < 2:
        return claim
    rates = fitted.groupby(EPSILON)["rate"].mean()
    deviation = (rates / rates.median() - 1.0).abs()
    furthest: Any = deviation.idxmax()
    mean, low, high = sample_mean(fitted.groupby("seed")["rate"].mean())
    ends = f"{number(rates.min(), 4)} to {number(rates.max(), 4)}"
    measured = (
        f"furthest off by {deviation[furthest]:.2%} at {furthest:g}; rates {ends} over"
        f" {amount(len(rates), 'size')} ({rates.index.min():g} to {rates.index.max():g}), mean {number(mean, 4)} a step"
        f" [{number(low, 4)}, {number(high, 4)}] over seeds; distances from step {fitted['settles_at'].min():.0f} on"
        f" below {LINEAR:g}, largest residual {number(fitted['residual'].max())} of ln distance"
    )
    holds = float(deviation[furthest]) < TOLERANCE
    worst = fitted.loc[fitted[EPSILON] == furthest, "run_id"]
    return _decided(claim, fitted, WITHIN if holds else FAILS, measured, float(deviation[furthest]), worst.iloc[0])


def _time_claim(claim: Claim, networks: pd.DataFrame) -> Claim:
    """Seed by seed the product of slope and rate, so that its interval holds what both owe to the seed."""
    late, fit = late_breaks(networks), time_fit(networks)
    rated = late[late["rate"].notna()]
    if fit is None or rated.empty:
        return claim
    products = []
    for seed, of_seed in late.groupby("seed"):
        own, rate = time_fit(of_seed), rated.loc[rated["seed"] == seed, "rate"].mean()
        if own is not None and np.isfinite(rate):
            products.append(-own.slope * rate)
    if not products:
        return claim
    mean, low, high = sample_mean(products)
    cost, fewest, most = (-np.log(10.0) * slope for slope in (fit.slope, fit.high, fit.low))
    measured = (
        f"{cost:.1f} steps [{fewest:.1f}, {most:.1f}] a factor 10, fitted from {np.exp(fit.first):.0e} to"
        f" {np.exp(fit.last):.0e}, largest residual {number(fit.largest_residual)} steps; times rate: {number(mean, 4)}"
    )
    verdict = WITHIN if abs(mean - 1.0) < TOLERANCE else FAILS
    ends = (low, high) if len(products) > 1 else (np.nan, np.nan)
    return _decided(claim, late, verdict, measured, mean, late["run_id"].iloc[0], ends)


def _loss_claim(claim: Claim, pushed: pd.DataFrame, unpushed: pd.DataFrame) -> Claim:
    broken = pushed[np.isfinite(pushed["breaks_at"])]
    if broken.empty or unpushed.empty:
        return claim
    broken = broken.assign(gain=unpushed[names.LOSS_TRAIN].min() - broken[names.LOSS_TRAIN])
    least: Any = broken.groupby(EPSILON)["gain"].mean().idxmin()
    runs = broken[broken[EPSILON] == least].sort_values("gain")
    mean, low, high = sample_mean(runs["gain"])
    losses, steps = broken[names.LOSS_TRAIN], int(broken["training.steps"].max())
    measured = (
        f"{number(losses.min(), 4)} to {number(losses.max(), 4)} after {steps} steps, against"
        f" {number(unpushed[names.LOSS_TRAIN].min(), 4)}; least gain {number(mean, 3)}, at {least:g}"
    )
    verdict = EXACTLY if low > 0.0 else FAILS
    ends = (low, high) if len(runs) > 1 else (np.nan, np.nan)
    return _decided(claim, broken, verdict, measured, mean, runs["run_id"].iloc[0], ends)


def _decided(
    claim: Claim, runs: pd.DataFrame, verdict: str, measured: str, value: float, worst: object,
    interval: tuple[float, float] = (np.nan, np.nan),
) -> Claim:  # fmt: skip
    """The claim with the verdict that all these runs give."""
    return claim.with_verdict(
        verdict, measured, value, runs=len(runs), widths=widths_of(runs), interval=interval, worst_run=str(worst)
    )


def _conclusion(networks: pd.DataFrame, claims: list[Claim]) -> str:
    """What rounding products show first: they see any push; then from which size exact products see one."""
    found = {claim.identity: claim for claim in claims if claim.verdict != NOT_TESTED}
    words = {"exact": "exact products, which round their factors to 21 bits,", "blas": "ordinary products"}
    sentences = []
    for arithmetic in ("blas", "exact"):
        if f"{arithmetic} 2" in found:
            sentences.append(f"With {words[arithmetic]} the symmetry is broken in {found[f'{arithmetic} 2'].measured}.")
        fit = time_fit(networks[networks["arithmetic"] == arithmetic])
        if fit is not None and found[f"{arithmetic} 2"].verdict == EXACTLY:
            steps = number(-fit.slope * np.log(10.0), 3)
            sentences.append(f"A push ten times smaller costs {steps} steps more, and no more than that.")
    return " ".join(sentences)
