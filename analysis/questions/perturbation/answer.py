"""How small a push is enough? A constant start plus epsilon times a standard normal draw, with both products."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from analysis.claims.answer import Answer, question
from analysis.claims.claim import EXACTLY, FAILS, NOT_TESTED, UNDECIDED, Claim, widths_of
from analysis.claims.verdicts import POSITIVE, ZERO, Prediction, around, decided, decided_for_every
from analysis.questions.perturbation.tables import (
    EPSILON,
    L2,
    LINEAR,
    late_breaks,
    pushed_networks,
    seen_pushes,
    time_fit,
)
from analysis.statistics.breaking import APART
from analysis.statistics.intervals import sample_mean
from analysis.tracked.tables import Tables
from analysis.wording import amount, number
from pipeline import names

TOLERANCE = 0.05
SMALL = 0.01
"""Pushes up to this are small beside the weights."""


@question(figures=())
def answer(tables: Tables) -> Answer:
    """For each product: no push, any push, the rate, the time and what it is worth; then beside a minimum."""
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

    everywhere = networks
    networks = networks[~(networks["smallest"] > 0.0)]
    pushed, unpushed = networks[networks[EPSILON] > 0.0], networks[networks[EPSILON] == 0.0]
    zero = claim("1", "Without a push, the distance between equal units stays 0.", ZERO.text)
    yield decided(zero, ZERO, tables.values(unpushed, [names.symmetry("distance_max")]), unpushed, "distance")
    yield _any_claim(
        claim("2", "Where the symmetric solution is a saddle in the directions that break the symmetry, every push"
              " breaks it, however small.", f"{APART:g} reached by all runs"), pushed
    )  # fmt: skip
    same = f"rates of all pushes within {TOLERANCE:.0%} of their median"
    yield _rate_claim(
        claim("3", "While the difference is small, its growth rate does not depend on the push.", same), pushed
    )
    statement = "The time to break the symmetry grows by 1 / rate for each factor e by which the push is smaller."
    yield _time_claim(claim("4", statement, f"steps a factor e, times rate: 1 within {TOLERANCE:.0%}"), networks)
    statement = "Once broken, the network ends below the unpushed one, whatever the push was."
    yield _loss_claim(claim("5", statement, "a lower final training loss"), pushed, unpushed)
    held = seen_pushes(everywhere[(everywhere["smallest"] > 0.0) & (everywhere[EPSILON] <= SMALL)])
    statement = f"Where it is a minimum in these directions (a strong penalty), every push up to {SMALL:g} dies."
    yield _dying_claim(tables, claim("6", statement, "last distance over the first < 1"), held)
    statement = (
        "In both cases the difference grows or shrinks at the rate log(1 - eta lambda), lambda the smallest eigenvalue"
        " of the Hessian in these directions."
    )
    yield _eigenvalue_claim(claim("7", statement, f"rate over it, for every penalty: 1 ± {TOLERANCE:g}"), everywhere)


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
    # Larger pushes break before there is a rate; of the last size that has one, only some runs may.
    fitted = fitted[fitted.groupby(EPSILON)["run_id"].transform("size") > 1]
    if fitted[EPSILON].nunique() < 2:
        return claim
    values = fitted.assign(case=fitted[EPSILON], value=fitted["rate"] / fitted["rate"].median())
    found = decided_for_every(
        claim, around(1.0, TOLERANCE), values, fitted, "over the median", "after a push of {:g}".format
    )
    rates = fitted.groupby(EPSILON)["rate"].mean()
    mean, low, high = sample_mean(fitted.groupby("seed")["rate"].mean())
    return found._replace(measured=(
        f"rates {number(rates.min(), 4)} to {number(rates.max(), 4)} over {amount(len(rates), 'size')}"
        f" ({rates.index.min():g} to {rates.index.max():g}), mean {number(mean, 4)} a step [{number(low, 4)},"
        f" {number(high, 4)}]; {found.measured}; distances from step {fitted['settles_at'].min():.0f} on below"
        f" {LINEAR:g}, largest residual {number(fitted['residual'].max())} of ln distance"
    ))  # fmt: skip


def _dying_claim(tables: Tables, claim: Claim, held: pd.DataFrame) -> Claim:
    """The distance at the end over that at the start, of every run."""
    curves = tables.values(held, [names.DISTANCE]).sort_values("step")
    ends = curves.groupby("run_id")["value"]
    last = curves.drop_duplicates("run_id", keep="last")
    values = last.assign(value=last["run_id"].map(ends.last() / ends.first()))
    return decided(claim, Prediction("< 1", "max", lambda ratio: ratio < 1.0), values, held, "ratio")


def _eigenvalue_claim(claim: Claim, networks: pd.DataFrame) -> Claim:
    """Seed by seed, because the pushes of one seed have one direction."""
    fitted = networks[networks["rate"].notna() & networks["smallest"].notna()]
    predicted = np.log1p(-fitted[names.RATE] * fitted["smallest"])
    ratios = fitted.assign(case=fitted[L2], value=fitted["rate"] / predicted)
    values = ratios.groupby(["case", "seed"], as_index=False).agg({"value": "mean", "run_id": "first"})
    found = decided_for_every(claim, around(1.0, TOLERANCE), values, fitted, "ratio", "at l2 = {:g}".format)
    each = ratios.assign(predicted=predicted).groupby(L2)[["rate", "predicted"]].mean()
    told = "; ".join(f"l2 = {l2:g}: {number(row['rate'], 4)} where {number(row['predicted'], 4)} was predicted"
                     for l2, row in each.iterrows())  # fmt: skip
    return found._replace(measured=f"{told}; {found.measured}") if found.runs else found


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
    if len(products) < 2:
        return _decided(claim, late, UNDECIDED, measured, mean, "")
    verdict = around(1.0, TOLERANCE).verdict(low, high)
    return _decided(claim, late, verdict, measured, mean, late["run_id"].iloc[0], (low, high))


def _loss_claim(claim: Claim, pushed: pd.DataFrame, unpushed: pd.DataFrame) -> Claim:
    broken = pushed[np.isfinite(pushed["breaks_at"])]
    if broken.empty or unpushed.empty:
        return claim
    gains = unpushed[names.LOSS_TRAIN].min() - broken[names.LOSS_TRAIN]
    values = broken.assign(value=gains, step=broken["training.steps"])
    found = decided(claim, POSITIVE, values, broken, "gain")
    losses, steps = broken[names.LOSS_TRAIN], int(broken["training.steps"].max())
    return found._replace(measured=(
        f"{number(losses.min(), 4)} to {number(losses.max(), 4)} after {steps} steps, against"
        f" {number(unpushed[names.LOSS_TRAIN].min(), 4)}; {found.measured}"
    ))  # fmt: skip


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
