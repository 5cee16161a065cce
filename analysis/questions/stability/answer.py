"""When does the symmetric solution attract? The rate of a small push at every penalty and learning rate."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from analysis.claims.answer import Answer, question
from analysis.claims.claim import EXACTLY, FAILS, WITHIN, Claim, machines_of, stated, widths_of
from analysis.claims.verdicts import MORE, Prediction, around, decided, decided_for_every
from analysis.questions.stability.tables import (
    CELL,
    L2,
    LINEAR,
    MINIMUM,
    ONE_UNIT,
    OSCILLATION,
    REST,
    SADDLE,
    TOLERANCE,
    VALUE,
    critical_penalties,
    pushed_networks,
    twins_of,
)
from analysis.statistics.intervals import sample_mean
from analysis.tracked.tables import Tables
from analysis.wording import amount, number
from pipeline import names

PENALTY_TOLERANCE = 0.001
WHERE = {
    SADDLE: "Where the smallest eigenvalue is negative, a small push grows",
    MINIMUM: "Where it is positive and eta times the largest is below 2, a small push dies",
    OSCILLATION: "Where the largest one dominates, eta times it above 2, a small push grows",
}


@question(figures=())
def answer(tables: Tables) -> Answer:
    """Rates where the twin rests, both boundaries, when the twin rests, and what the units are worth in the end."""
    twins, pushed = twins_of(tables), pushed_networks(tables)
    rates = [_rate_claim(kind, pushed[pushed["kind"] == kind]) for kind in WHERE]
    sides, critical = _sides_claim(pushed), _penalty_claim(pushed, twins)
    claims = [*rates, sides, critical, _order_claim(twins), _rest_claim(twins), *_unit_claims(pushed, twins)]
    return Answer([*claims, _restless_claim(tables, pushed)], _conclusion(twins, pushed, rates, critical))


def where(cell: Any) -> str:
    """A cell of the phase diagram in words."""
    value, l2, rate = cell
    return f"at l2 = {l2:g}, learning rate {rate:g}, from {value:g}"


def cells(runs: pd.DataFrame) -> int:
    """How many cells of the phase diagram some runs fill."""
    return len(runs[CELL].drop_duplicates())


def _with_case(runs: pd.DataFrame, value: Any) -> pd.DataFrame:
    case: Any = list(runs[CELL].itertuples(index=False, name=None))
    return runs.assign(case=case, value=value)


def _rate_claim(kind: str, pushed: pd.DataFrame) -> Claim:
    """Cell by cell the mean of measured over predicted rate, less 1."""
    end = "largest" if kind == OSCILLATION else "smallest or largest" if kind == MINIMUM else "smallest"
    claim = stated(f"{WHERE[kind]}, at the rate log|1 - eta lambda|, lambda the {end} eigenvalue.",
                   f"measured over predicted rate less 1, in every cell: 0 ± {TOLERANCE:g}")  # fmt: skip
    seen = pushed[pushed["rate"].notna()]
    told = seen[~seen.groupby(CELL)["is_contested"].transform("any")]
    found = decided_for_every(
        claim, around(0.0, TOLERANCE), _with_case(told, told["rate"] / told["predicted"] - 1.0), told, "mean", where
    )
    notes = [found.measured, *_left_out(pushed, seen, told)]
    if found.runs:
        residual = (told["rate"] - told["predicted"]).groupby([told[key] for key in CELL]).mean().abs().max()
        ends = f"rates {number(told['rate'].min(), 3)} to {number(told['rate'].max(), 3)} a step"
        notes = [f"{ends} in {amount(cells(told), 'cell')}, largest residual {number(residual)}", *notes]
    return found._replace(measured="; ".join(filter(None, notes)))


def _left_out(pushed: pd.DataFrame, seen: pd.DataFrame, told: pd.DataFrame) -> Iterator[str]:
    """In which cells nothing can be told of a dominating eigenvalue, and why."""
    unseen = cells(pushed) - cells(seen)
    if unseen:
        yield f"{amount(unseen, 'more cell')} without a rate: the push was no longer small when its twin rested"
    contested = seen[~seen["run_id"].isin(told["run_id"])]
    for cell, runs in contested.groupby(CELL):
        yield (
            f"left out, because neither end of the spectrum dominated within the measured steps: {where(cell)} (rate"
            f" {number(runs['rate'].mean(), 4)}, predicted {number(runs['predicted'].iloc[0], 4)} and"
            f" {number(runs['other'].iloc[0], 4)})"
        )


def _sides_claim(pushed: pd.DataFrame) -> Claim:
    claim = stated("The two boundaries separate the pushes that grow from those that die: |1 - eta lambda| = 1 for the"
                   " smallest eigenvalue (it is 0) and for the largest.",
                   "rate times the predicted sign, in every cell: > 0")  # fmt: skip
    seen = pushed[pushed["rate"].notna()]
    values = _with_case(seen, seen["rate"] * np.sign(seen["predicted"]))
    found = decided_for_every(claim, MORE, values, seen, "rate", where, met=EXACTLY)
    return found._replace(measured=f"{amount(cells(seen), 'cell')}; {found.measured}") if found.runs else found


def _penalty_claim(pushed: pd.DataFrame, twins: pd.DataFrame) -> Claim:
    """Both by interpolation between the same two penalties, so that the line's own error is in neither."""
    claim = stated("From a constant start the boundary is one penalty, the same at every learning rate.",
                   f"measured less predicted, at every learning rate: 0 ± {PENALTY_TOLERANCE:g}")  # fmt: skip
    predicted = predicted_penalties(twins)
    seen = pushed[(pushed[VALUE] != 0.0) & pushed["rate"].notna() & pushed[names.RATE].isin(predicted.index)]
    if seen.empty:
        return claim
    eigenvalue = seen.assign(eigenvalue=-np.expm1(seen["rate"]) / seen[names.RATE])
    rows = []
    for seed, of_seed in eigenvalue.groupby("seed"):
        measured = critical_penalties(of_seed, "eigenvalue", names.RATE)
        for rate, penalty in zip(measured.index, measured, strict=True):
            run_id = of_seed.loc[of_seed[names.RATE] == rate, "run_id"].iloc[0]
            rows.append((rate, seed, run_id, penalty, penalty - predicted[rate]))
    values = pd.DataFrame(rows, columns=["case", "seed", "run_id", "penalty", "value"])
    found = decided_for_every(
        claim, around(0.0, PENALTY_TOLERANCE), values, seen, "difference", "at learning rate {:g}".format
    )
    if not found.runs:
        return claim
    mean, low, high = sample_mean(values.groupby("seed")["penalty"].mean())
    used = predicted[values["case"].unique()]
    ends = f"{number(used.min(), 4)} to {number(used.max(), 4)}"
    around_mean = f" [{number(low, 4)}, {number(high, 4)}]" if number(low, 4) != number(high, 4) else ""
    return found._replace(measured=(
        f"l2 = {number(mean, 4)}{around_mean} where {number(used.mean(), 4)} was predicted"
        f" (both on the line between the nearest penalties; predictions {ends} over"
        f" {amount(len(used), 'learning rate')}); {found.measured}"
    ))  # fmt: skip


def predicted_penalties(twins: pd.DataFrame) -> "pd.Series[float]":
    """Learning rate -> the penalty at which the smallest eigenvalue of resting twins from a constant start is 0."""
    resting = twins[twins["rests_at"].notna() & (twins[VALUE] != 0.0)]
    return critical_penalties(resting, "smallest", names.RATE)


def _order_claim(twins: pd.DataFrame) -> Claim:
    claim = stated("A learning rate too large for the differences is too large for the one unit, too: where an unpushed"
                   " network rests from a constant other than 0, no push oscillates.",
                   "eta times the largest eigenvalue in the breaking directions < 2")  # fmt: skip
    resting = twins[twins["rests_at"].notna() & (twins[VALUE] != 0.0)]
    values = resting.assign(value=resting[names.RATE] * resting["largest"], step=resting["training.steps"])
    below = Prediction("< 2", "max", lambda product: product < 2.0)
    found = decided(claim, below, values, resting, "product")
    share = (resting["largest"] / resting["whole"]).max()
    return found._replace(measured=f"{found.measured}; largest eigenvalue there over that of the whole Hessian: at most"
                                   f" {number(share, 4)}") if found.runs else found  # fmt: skip


def _rest_claim(twins: pd.DataFrame) -> Claim:
    """Cells so near the boundary that the steps cannot tell are counted apart."""
    claim = stated("From a constant other than 0 an unpushed network comes to rest where eta times the largest"
                   " eigenvalue of the whole Hessian at its rest is below 2, and nowhere else.",
                   "all cells")  # fmt: skip
    known = twins[(twins[VALUE] != 0.0) & twins["threshold"].notna()]
    if known.empty:
        return claim
    product = 2.0 * known[names.RATE] / known["threshold"]
    is_near = known["training.steps"] * np.log(np.abs(product - 1.0)).abs() < -np.log(REST)
    told, product = known[~is_near], product[~is_near]
    rests = told["rests_at"].notna()
    wrong = told[rests != (product < 2.0)]
    near = f"; {amount(int(is_near.sum()), 'cell')} too near the boundary for so few steps" if is_near.any() else ""
    measured = (
        f"{len(told) - len(wrong)} of {amount(len(told), 'cell')}: {rests.sum()} came to rest, with products up to"
        f" {number(product[rests].max(), 4)}; the others had {number(product[~rests].min(), 4)} and more{near}"
    )
    if len(wrong):
        measured += f"; against the prediction: {', '.join(map(where, wrong[CELL].itertuples(index=False)))}"
    return claim.with_verdict(
        FAILS if len(wrong) else EXACTLY, measured, float((rests == (product < 2.0)).mean()), runs=len(told),
        widths=widths_of(told), worst_run="" if wrong.empty else str(wrong["run_id"].iloc[0]),
    )  # fmt: skip


def _unit_claims(pushed: pd.DataFrame, twins: pd.DataFrame) -> list[Claim]:
    """What the units are worth in the end, by the penalty's side of the boundary and by where the push was given."""
    one = Prediction(f"mean distance modulo sign < {ONE_UNIT:g}", "max", lambda apart: apart < ONE_UNIT)
    many = Prediction(f"mean distance modulo sign > {ONE_UNIT:g}", "min", lambda apart: apart > ONE_UNIT)
    critical = predicted_penalties(twins).mean()
    resting = twins.loc[twins["rests_at"].notna() & (twins[VALUE] != 0.0), CELL[1:]]
    from_constant, from_zero = pushed[pushed[VALUE] != 0.0], pushed[pushed[VALUE] == 0.0].merge(resting, on=CELL[1:])
    leaves = from_zero[from_zero["kind"] == SADDLE]
    grown = from_constant[(from_constant["kind"] == SADDLE) & (from_constant[names.DISTANCE] > LINEAR)]
    still = int((from_constant["kind"] == SADDLE).sum()) - len(grown)

    def claim(statement: str, prediction: Prediction, chosen: pd.DataFrame, note: str = "") -> Claim:
        values = chosen.assign(value=chosen["apart"], step=chosen["training.steps"])
        found = decided(stated(statement, prediction.text), prediction, values, chosen, "distance", WITHIN)
        told = [f"{amount(cells(chosen), 'cell')}; {found.measured}"] * bool(found.runs) + [note] * bool(note)
        return found._replace(measured="; ".join(told))

    return [
        claim("Where a push dies, the network ends as one unit.", one, from_constant[from_constant["kind"] == MINIMUM]),
        claim("Where a push from a constant other than 0 grows, the network ends as more than one unit.", many, grown,
              f"{amount(still, 'run')} had not left the linear range (distance {LINEAR:g})" if still else ""),
        claim("From 0, under a penalty above that boundary, a push grows and the units come apart in their signs only:"
              " the network still ends as one unit.", one, leaves[leaves[L2] > critical]),
        claim("From 0, under a penalty below it, the network ends as more than one unit.", many,
              leaves[leaves[L2] < critical]),
    ]  # fmt: skip


def _restless_claim(tables: Tables, pushed: pd.DataFrame) -> Claim:
    """The gradient at the end; the norm of one that overflowed counts as infinite."""
    oscillating = pushed[pushed["kind"] == OSCILLATION]
    restless = Prediction(f"norm of the last gradient > {REST:g}", "min", lambda norm: norm > REST)
    claim = stated("What oscillates away from the symmetric solution has not come to rest by the end.", restless.text)
    last = tables.values(oscillating, [names.GRADIENT_NORM]).sort_values("step").drop_duplicates("run_id", keep="last")
    found = decided(claim, restless, last, oscillating, "norm", WITHIN)
    if not found.runs:
        return claim
    overflowed, ones = int((~np.isfinite(last["value"])).sum()), int((oscillating["apart"] < ONE_UNIT).sum())
    return found._replace(machine=machines_of(oscillating), measured=(
        f"{found.measured} in {amount(len(oscillating) - overflowed, 'run')} that kept oscillating, {overflowed}"
        f" overflowed; {ones} of them ended as one unit"
    ))  # fmt: skip


def _conclusion(twins: pd.DataFrame, pushed: pd.DataFrame, rates: list[Claim], critical: Claim) -> str:
    """The boundary, the rates' agreement, and where nothing is predicted."""
    sentences = []
    if critical.runs:
        before = critical.measured.split("; predictions")[0]
        sentences.append(f"Where a network rests from a constant, the symmetric solution attracts above {before}).")
    if decided_rates := [claim for claim in rates if claim.runs]:
        off = max(abs(end) for claim in decided_rates for end in (claim.low, claim.high))
        sentences.append(
            "Where one eigenvalue dominates, the mean rate of a small push is the predicted one, to within"
            f" {number(100.0 * off)} %, in every cell that shows a rate."
        )
    restless = pushed[pushed["rests_at"].isna()]
    if len(restless):
        ones = int((restless["apart"] < ONE_UNIT).sum())
        sentences.append(
            f"In {amount(int(twins['rests_at'].isna().sum()), 'cell')} the unpushed network does not come to rest, and"
            f" nothing is predicted: {ones} of {amount(len(restless), 'pushed run')} ended as one unit there, on this"
            " machine."
        )
    return " ".join(sentences)
