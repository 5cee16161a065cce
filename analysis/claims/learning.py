"""The claims about what a start can learn: 2g-ii (logistic regression) and 2g-iii (the symmetric network)."""

from typing import Any

import numpy as np
import pandas as pd

from analysis.claims.claim import EXACTLY, FAILS, WITHIN, Claim, widths_of
from analysis.tracked.tables import Tables
from analysis.wording import SWEEP, flat_model, sweep_of
from pipeline import names

SETTINGS = [
    *("model.hidden_units", "model.activation", "data", "optimizer"),
    *("training.loss", "training.l2", "training.steps", "training.batch_size"),
]
GAP_TOLERANCE = 0.01
TIE = 0.01
"""Part of the loss by which two starts must differ: closer, either one unit is enough or nothing was learned."""


def width_claim(arithmetic: str, symmetric: pd.DataFrame, broken: pd.DataFrame) -> Claim:
    """2g-iii: the lowest final training loss from symmetric starts against that from random ones.

    Runs are compared within equal settings (width, activation, data, loss, ...); the verdict is that of the setting in
    which the symmetric starts come closest, among those in which the starts differ.

    Args:
        symmetric: rows of ``Tables.runs`` from zeros or a constant.
        broken: rows from random starts.
    """
    claim = Claim(
        "2g-iii",
        arithmetic,
        "A symmetric network is one unit: it cannot use its width.",
        "1 distinct unit, and a higher best loss than from random starts",
        command=SWEEP,
    )
    best_symmetric: Any = _best_losses(symmetric)
    best_broken: Any = _best_losses(broken)
    compared = best_symmetric.index.intersection(best_broken.index)
    if compared.empty:
        return claim
    margin = best_symmetric["loss"][compared] - best_broken["loss"][compared]
    differs = margin.abs() > TIE * best_broken["loss"][compared]
    decisive = margin[differs] if differs.any() else margin
    closest, number = str(decisive.idxmin()), float(decisive.min())
    most_units: Any = symmetric.sort_values(names.DISTINCT_UNITS, kind="stable", na_position="first").iloc[-1]
    units = int(most_units[names.DISTINCT_UNITS])
    measured = (
        f"best training loss {best_symmetric.loc[closest, 'loss']:.3g} with {units} distinct"
        f" unit{'s' if units > 1 else ''}, against {best_broken.loc[closest, 'loss']:.3g} from random starts"
    )
    if units == 1 and not differs.any():
        return claim._replace(measured=f"{measured}, which is too close to decide;")
    holds = number > 0.0 and units == 1
    return claim.with_verdict(
        EXACTLY if holds else FAILS,
        measured,
        number,
        runs=len(symmetric) + len(broken),
        widths=widths_of(symmetric),
        worst_run=str(best_symmetric.loc[closest, "run_id"] if units == 1 else most_units["run_id"]),
    )


def _best_losses(runs: pd.DataFrame) -> pd.DataFrame:
    """Settings -> ``loss`` and ``run_id`` of the run with the lowest final training loss; diverged runs left out."""
    finite = runs[~runs["diverged"]]
    if finite.empty:
        return pd.DataFrame(columns=["loss", "run_id"])
    settings = finite[SETTINGS].map(str).agg(", ".join, axis=1)
    best = finite.assign(settings=settings, loss=finite[names.LOSS_TRAIN]).sort_values(["loss", "run_id"])
    return best.groupby("settings")[["loss", "run_id"]].first()


def optimum_claim(tables: Tables) -> Claim:
    """2g-ii: the part of the initial gap to the optimum that is left, at the learning rate that leaves least of it.

    A gap that is not small yet but still falls neither confirms nor refutes: those runs were too short. Neither does
    one that batches hold up: their gradients stay noisy at the optimum, so at any fixed rate some gap remains.
    """
    logistic = tables.runs[tables.runs["model"] == "logistic"].set_index("run_id")
    claim = Claim(
        "2g-ii",
        "",
        f"{flat_model(logistic).capitalize()} reaches its global optimum from every start.",
        f"gap tends to 0 (tolerance: {GAP_TOLERANCE:.0%} of the initial gap)",
        command=sweep_of("logistic"),
    )
    gaps = tables.curves[tables.curves["metric"] == names.OPTIMUM_GAP]
    gaps = gaps[gaps["run_id"].isin(logistic.index)]
    if gaps.empty:
        separable = int(logistic["optimum"].astype(str).str.startswith("separable").sum())
        return claim._replace(measured=f"{separable} runs on separable data, without an optimum" if separable else "")
    by_run = gaps.sort_values("step").groupby("run_id")["value"]
    initial, final = by_run.first(), by_run.last()
    left = (final / initial).where(np.isfinite(final), np.inf)
    table: Any = logistic.loc[left.index, ["init", names.RATE]].assign(left=left, final=final)
    medians: Any = table.groupby(names.RATE)["left"].median()
    best_rate = float(medians.idxmin())
    at_best: Any = table[table[names.RATE] == best_rate]
    worst_run, number = str(at_best["left"].idxmax()), float(at_best["left"].max())
    measured = (
        f"largest gap {at_best.loc[worst_run, 'final']:.2g}, {number:.2g} of the initial one, from"
        f" {at_best['init'].nunique()} starts at the best learning rate, {best_rate:g}"
    )
    holds = number < GAP_TOLERANCE
    if not holds and _still_falls(gaps[gaps["run_id"] == worst_run].set_index("step")["value"].sort_index()):
        return claim._replace(measured=f"{measured}; it still falls: train longer, or")
    size: Any = logistic.loc[worst_run, "training.batch_size"]
    if not holds and pd.notna(size):
        return claim._replace(
            measured=f"{measured}, with the noise of batches of {size:g}: set training.batch_size=null, or"
        )
    return claim.with_verdict(
        WITHIN if holds else FAILS,
        measured,
        number,
        runs=len(at_best),
        steps=int(gaps["run_id"].isin(at_best.index).sum()),
        worst_run=worst_run,
    )


def _still_falls(gap: "pd.Series[float]") -> bool:
    """Whether the last half of the steps took more than a hundredth of the gap (by step) that the first half left."""
    return bool(gap.iloc[-1] < 0.99 * gap.loc[: gap.index[-1] // 2].iloc[-1])
