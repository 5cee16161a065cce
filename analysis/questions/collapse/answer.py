"""Does noise bring units together? One unit and two, of which all is known, beside the theory; then a usual network."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd

from analysis.claims.answer import Answer, question
from analysis.claims.claim import EXACTLY, FAILS, NOT_TESTED, WITHIN, Claim, stated, widths_of
from analysis.claims.verdicts import ABOVE_1, MORE, Prediction, around, decided, decided_for_every
from analysis.questions.collapse.tables import (
    ACTIVATION,
    L2,
    LARGE,
    VANISHED,
    different_pairs,
    fates,
    growing_units,
    kept_ratios,
    noisy_networks,
    pairs,
)
from analysis.questions.collapse.thresholds import pair_thresholds, unit_thresholds
from analysis.tracked.tables import Tables
from analysis.wording import amount, change, number
from pipeline import names

UNIT_TOLERANCE, PAIR_TOLERANCE, THRESHOLD_TOLERANCE, SMALL = 0.05, 0.2, 0.25, 1e-3
ONE = Prediction("below 1.01", "max", lambda width: width < 1.01)
SAME = Prediction(f"below {SMALL:g}", "max", lambda value: value < SMALL)
SIMILAR = Prediction("above 0.1", "min", lambda value: value > 0.1)


@question(figures=())
def answer(tables: Tables) -> Answer:
    """One unit near 0 and from an ordinary start; two units almost equal, and different; a usual network."""
    units, two = growing_units(tables), pairs(tables)
    claims = [
        *_unit_claims(units), _fate_claim(tables), *_pair_claims(tables, two), *_different_claims(tables, two),
        *_usual_claims(tables),
    ]  # fmt: skip
    return Answer(claims, _conclusion(units, claims))


def _cells(runs: pd.DataFrame, words: Callable[[dict[Any, Any]], str]) -> list[str]:
    """What each run's case is called."""
    return [words(run) for run in runs.to_dict("records")]


def _of_unit(run: dict[Any, Any]) -> str:
    return f"at learning rate {run[names.RATE]:g}, noise {run['noise']:g}, batch {run['batch']}"


def _of_pair(run: dict[Any, Any]) -> str:
    return f"with {run[ACTIVATION]} at learning rate {run[names.RATE]:g}, noise {run['noise']:g}, l2 {run[L2]:g}"


def _unit_claims(runs: pd.DataFrame) -> Iterator[Claim]:
    measured = runs[runs["growth"].notna()]
    measured = measured.assign(case=_cells(measured, _of_unit))
    prediction = (
        f"within {UNIT_TOLERANCE:.0%} of the root mean square of eta r, for every learning rate, noise and batch size"
    )
    for statement, column in (
        ("Near 0 a unit grows or vanishes at the rate E log|1 + eta r|, r the mean label of a batch and its noise.",
         "predicted"),
        ("The limit of small steps, in which it vanishes where L''(0) + D''(0) / 2 > 0, gives the same rates.",
         "diffusion"),
    ):  # fmt: skip
        off = measured.assign(value=(measured["growth"] - measured[column]) / measured["scale"])
        yield decided_for_every(stated(statement, prediction), around(0.0, UNIT_TOLERANCE), off, runs, "off by")
    claim = stated(
        "The noise above which a unit vanishes is that at which the first of these rates is 0: the less, the larger the"
        " learning rate.",
        f"variance of the gradient's noise, measured over predicted, for each: 1 ± {THRESHOLD_TOLERANCE:g}",
    )
    yield _threshold_claim(
        claim, THRESHOLD_TOLERANCE, unit_thresholds(runs), measured,
        lambda run: f"at learning rate {run[names.RATE]:g}, batch {run['batch']}",
    )  # fmt: skip


def _threshold_claim(
    claim: Claim, tolerance: float, found: pd.DataFrame, runs: pd.DataFrame, words: Callable[[dict[Any, Any]], str]
) -> Claim:
    found = found.assign(case=_cells(found, words))
    claim = decided_for_every(claim, around(1.0, tolerance), found, runs, "ratio")
    means = found.groupby("case").agg({"exact": "first", "value": "mean"})
    told = [f"{number(mean['exact'] * mean['value'], 3)} where {number(mean['exact'], 3)} is predicted {case}"
            for case, mean in means.iterrows()]  # fmt: skip
    return claim._replace(measured=f"{'; '.join(told)}; {claim.measured}") if told else claim


def _fate_claim(tables: Tables) -> Claim:
    runs = fates(tables)
    decidable = runs[runs["is_decidable"]]
    claim = stated(
        "From an ordinary start too, a unit vanishes where that rate is negative, and only there.",
        f"weights below {VANISHED:g} at the end of those runs, and of no other",
    )
    if decidable.empty:
        return claim
    wrong = decidable[decidable["vanished"] != decidable["to_vanish"]]
    diverged = decidable[decidable["diverged"]]
    measured = f"{len(decidable) - len(wrong)} of {amount(len(decidable), 'run')} end as predicted"
    if len(diverged):
        rates = ", ".join(f"{rate:g}" for rate in sorted(set(diverged[names.RATE])))
        measured += f"; {len(diverged)} diverged, at learning rate {rates}"
    if near := len(runs) - len(decidable):
        measured += f"; {near} more are too near to the threshold to tell within {runs['training.steps'].max()} steps"
    return claim.with_verdict(
        EXACTLY if wrong.empty else FAILS, measured, 1.0 - len(wrong) / len(decidable), runs=len(decidable),
        widths=widths_of(decidable), worst_run="" if wrong.empty else str(wrong["run_id"].iloc[0]),
    )  # fmt: skip


def _pair_claims(tables: Tables, runs: pd.DataFrame) -> Iterator[Claim]:
    kept = kept_ratios(tables, runs)
    runs = runs[runs["growth"].notna() & (runs[ACTIVATION] != "identity")]
    noisy = runs[runs["noise"] > 0.0]
    share = (noisy["growth"] - noisy["without_noise"]) / (noisy["predicted"] - noisy["without_noise"])
    claim = stated(
        "Noise adds to the growth rate of a small difference between two units what the theory says: it draws gelu"
        " units together, and drives tanh units apart.",
        f"measured over predicted, for every activation, learning rate, noise and penalty: 1 ± {PAIR_TOLERANCE:g}",
    )
    values = noisy.assign(value=share, case=_cells(noisy, _of_pair))
    yield decided_for_every(claim, around(1.0, PAIR_TOLERANCE), values, noisy, "ratio")
    claim = stated(
        "Two identity units neither merge nor part: the ratio of their difference to their sum (of incoming plus"
        " outgoing weight) stays as it was.",
        f"relative change {SAME.text}",
    )
    yield decided(claim, SAME, kept, kept, "change of the ratio", WITHIN)
    claim = stated(
        "Against a penalty there is a threshold: gelu units, which the penalty drives apart, come together above it;"
        " tanh units, which it holds together, come apart.",
        f"variance of the gradient's noise, measured over predicted, for each: 1 ± {PAIR_TOLERANCE:g}",
    )
    yield _threshold_claim(
        claim, PAIR_TOLERANCE, pair_thresholds(runs), runs[runs[L2] > 0.0],
        lambda run: f"with {run[ACTIVATION]} at learning rate {run[names.RATE]:g}",
    )  # fmt: skip
    yield _exponent_claim(noisy[noisy[L2] == 0.0])


def _exponent_claim(runs: pd.DataFrame) -> Claim:
    """Seed by seed between the smallest and the largest learning rate."""
    claim = stated(
        "A larger learning rate acts more than in proportion, so that noise acts faster over the same training time.",
        "exponent of the rate a step over the learning rate, for both activations and every noise: above 1 (2 for small"
        " steps)",
    )
    key = [ACTIVATION, "noise", "seed"]
    ends = [
        runs[runs[names.RATE] == end].drop_duplicates(key) for end in (runs[names.RATE].min(), runs[names.RATE].max())
    ]
    both = ends[0].merge(ends[1], on=key, suffixes=(" slow", ""))
    ratio = np.log(both[names.RATE] / both[f"{names.RATE} slow"])
    both = both.assign(value=np.log((both["growth"] / both["growth slow"]).clip(lower=0.0)) / ratio)[ratio > 0.0]
    cases = _cells(both, lambda run: f"with {run[ACTIVATION]}, noise {run['noise']:g}")
    return decided_for_every(claim, ABOVE_1, both.assign(case=cases), runs, "exponent")


def _different_claims(tables: Tables, runs: pd.DataFrame) -> Iterator[Claim]:
    runs = different_pairs(tables, runs)
    noisy = runs[runs["noise"] > 0.0]
    sizes = "size of the smaller over that of the larger"
    statements = (
        ("Under noise two units that start different become worth one: they line up, or one of them vanishes.",
         "effective width", "effective_width", ("gelu", "identity", "tanh"), ONE),
        ("Of these, two gelu units become equal.", "relative distance", "relative_distance", ("gelu",), SAME),
        ("Of two tanh units one vanishes.", sizes, "smaller", ("tanh",), SAME),
        ("Two identity units line up without meeting, and none vanishes.", sizes, "smaller", ("identity",), SIMILAR),
    )  # fmt: skip
    for statement, what, column, activations, prediction in statements:
        chosen = noisy[noisy[ACTIVATION].isin(activations)]
        values = chosen.assign(value=chosen[column], step=chosen["training.steps"])
        yield decided(
            stated(statement, f"{what} at the end {prediction.text}"), prediction, values, chosen, what, WITHIN
        )


def _usual_claims(tables: Tables) -> Iterator[Claim]:
    """Paired by seed: with noise against without, at each batch size."""
    runs = noisy_networks(tables)
    runs = runs.assign(case=_cells(runs, lambda run: f"on {run['data']}, batch {run['training.batch_size']:g}"))
    for statement, column, what in (
        ("In a usual network too, noise in the labels lowers the effective width.", "effective_width",
         "effective width"),
        ("It also brings the units nearer to each other for their size, up to their signs.", "relative_distance",
         "relative distance"),
        ("It makes units vanish.", "large_units", f"number of units above {LARGE:g} times the largest"),
    ):  # fmt: skip
        claim = stated(statement, f"lower {what} at the end than without it, seed by seed, for every batch size")
        values = runs.assign(value=runs[f"without {column}"] - runs[column])
        found = decided_for_every(claim, MORE, values, runs, change)
        means = runs.groupby("case")[[column, f"without {column}"]].mean()
        told = "; ".join(f"{number(mean.iloc[0], 3)} against {number(mean.iloc[1], 3)} {case}"
                         for case, mean in means.iterrows())  # fmt: skip
        yield found._replace(measured=f"{told}; {found.measured}") if found.runs else found


def _conclusion(units: pd.DataFrame, claims: list[Claim]) -> str:
    """What noise does to one unit, to two, and to a usual network; why what fails does."""
    sentences = []
    thresholds = unit_thresholds(units)
    if len(thresholds):
        smallest = thresholds[thresholds["batch"] == thresholds["batch"].min()]
        means = smallest.groupby(names.RATE).agg({"exact": "first", "value": "mean"})
        told = [f"{number(exact * ratio, 3)} at learning rate {rate:g} (theory: {number(exact, 3)})"
                for rate, exact, ratio in means.itertuples()]  # fmt: skip
        sentences.append(
            "A unit that has learned nothing yet vanishes once the variance of the gradient by the output is above a"
            f" threshold: {', '.join(told)}."
        )
    if claims[1].verdict == FAILS:
        sentences.append(
            "The limit of small steps fails at large ones, where the logarithm of 1 + eta r is no parabola: noise"
            " that is large enough makes a unit grow again."
        )
    if claims[3].verdict == FAILS and "diverged" in claims[3].measured:
        sentences.append("From an ordinary start large steps may diverge before the unit vanishes.")
    if {found.verdict for found in claims[8:12]} == {WITHIN}:
        sentences.append(
            "Whether noise brings two units together, their activation decides: gelu units merge, of two tanh units one"
            " takes all and the other vanishes, identity units line up without meeting."
        )
    if claims[-1].verdict not in (NOT_TESTED, FAILS):
        counts = claims[-1].measured.partition("; lower")[0]
        sentences.append(
            f"In a usual network units vanish too: with noise fewer stay above {LARGE:g} times the largest than without"
            f" ({counts})."
        )
    return " ".join(sentences)
