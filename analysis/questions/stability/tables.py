"""Tables of the question ``stability``: what a small push did, beside the Hessian where the unpushed twin rests."""

from typing import Any

import numpy as np
import pandas as pd

from analysis.statistics.intervals import means_with_intervals
from analysis.tracked.tables import Tables
from pipeline import names

VALUE, EPSILON, L2 = "init.value", "init.epsilon", "training.l2"
CELL = [VALUE, L2, names.RATE]
REST = 1e-4
"""An unpushed network has come to rest once the norm of its gradient stays below this."""
LINEAR = 1e-3
"""Below this distance the units' difference is small, and changes as its linear equation says."""
RESOLVED = 1e-11
"""A smaller distance, as a share of the weights' norm, is rounding."""
FEWEST_POINTS = 5
TOLERANCE = 0.01
"""Of a rate, as a share of the predicted one."""
ONE_UNIT = 0.01
"""Mean distance modulo sign below which the units are worth one."""
SADDLE, MINIMUM, OSCILLATION = "saddle", "minimum", "oscillation"
RELATIVE = names.symmetry("relative_distance")
OF_TWIN = {
    "smallest": names.stability("smallest_eigenvalue"),
    "largest": names.stability("largest_eigenvalue"),
    "whole": names.hessian("largest_eigenvalue"),
}


def twins_of(tables: Tables) -> pd.DataFrame:
    """One row per unpushed network whose Hessian was measured; only the longest runs count.

    The columns of ``runs``; ``rests_at``, the first measured step from which its gradient stays below ``REST`` (NaN:
    never); ``smallest`` and ``largest`` eigenvalue of the Hessian in the directions that break the symmetry, and the
    ``whole`` Hessian's largest, at the last step; ``threshold``, the learning rate at which that makes 2, by the
    smallest learning rate that came to rest with the same penalty and start (NaN: none did).
    """
    runs = _perturbed(tables)
    twins = runs[(runs[EPSILON] == 0.0) & (runs[OF_TWIN["smallest"]].notna() | runs["diverged"])]
    gradients = tables.values(twins, [names.GRADIENT_NORM]).sort_values("step").groupby("run_id")
    rests = {str(run_id): _rest(curve) for run_id, curve in gradients}
    twins = twins.assign(rests_at=twins["run_id"].map(rests).astype(float),
                         **{column: twins[metric] for column, metric in OF_TWIN.items()})  # fmt: skip
    resting = twins[twins["rests_at"].notna()].sort_values(names.RATE)
    first = 2.0 / resting.drop_duplicates([VALUE, L2]).set_index([VALUE, L2])["whole"]
    settings = pd.MultiIndex.from_frame(twins[[VALUE, L2]])
    return twins.assign(threshold=first.reindex(settings).to_numpy(float)).sort_values(CELL, ignore_index=True)


def _perturbed(tables: Tables) -> pd.DataFrame:
    """The longest runs from a constant plus a push; NaN for what was not measured."""
    columns = (*CELL, EPSILON, *OF_TWIN.values(), names.DISTANCE_MODULO_SIGN)
    runs = tables.runs.assign(**{key: tables.runs.get(key, np.nan) for key in columns}).astype(
        dict.fromkeys(columns, float)
    )
    runs = runs[runs["init"] == "perturbed"]
    return runs[runs["training.steps"] == runs["training.steps"].max()]


def _rest(gradient: pd.DataFrame) -> float:
    moving = gradient.loc[~(gradient["value"] <= REST), "step"].max()
    return float(gradient.loc[gradient["step"] > (-1 if np.isnan(moving) else moving), "step"].min())


def pushed_networks(tables: Tables) -> pd.DataFrame:
    """One row per pushed network that has an unpushed twin of the same start, penalty and learning rate.

    The columns of ``runs``, and of its twin ``rests_at``, ``smallest`` and ``largest``; ``predicted``, the largest
    log|1 - eta lambda| (NaN: the twin never rests), and the ``kind`` of its lambda: ``SADDLE`` (the smallest,
    negative), ``MINIMUM``, or ``OSCILLATION`` (eta times the largest above 2); ``rate``, the slope of the logarithm of
    its distance while the twin rests and the distance is resolved and linear (NaN: too few steps were measured then),
    and the ``first`` and ``last`` step of that line; ``is_contested``, whether the ``other`` end of the spectrum has
    another rate, and had not fallen behind by a factor e when that line began; ``apart``, the distance between its
    units modulo sign at the end.
    """
    twins = twins_of(tables)
    runs = _perturbed(tables)
    pushed = runs[runs[EPSILON] > 0.0].merge(twins[[*CELL, "rests_at", *OF_TWIN]], on=CELL)
    fates: dict[str, list[Any]] = {column: [] for column in ("predicted", "other", "kind", "rate", "first", "last")}
    curves = tables.values(pushed, [names.DISTANCE, RELATIVE])
    curve_of = {str(run_id): curve.pivot(index="step", columns="metric", values="value")
                for run_id, curve in curves.groupby("run_id")}  # fmt: skip
    for run in pushed.to_dict("records"):
        fates_of_run = _prediction(run) + _rate(curve_of[run["run_id"]], run["rests_at"])
        for column, value in zip(fates, fates_of_run, strict=True):
            fates[column].append(value)
    pushed = pushed.assign(**fates, apart=pushed[names.DISTANCE_MODULO_SIGN])
    lead = pushed["predicted"] - pushed["other"]
    is_contested = (lead > TOLERANCE * pushed["predicted"].abs()) & (lead * pushed["first"] < 1.0)
    return pushed.assign(is_contested=is_contested).sort_values([*CELL, "seed"], ignore_index=True)


def _prediction(run: dict[Any, Any]) -> tuple[float, float, str]:
    if np.isnan(run["rests_at"]):
        return np.nan, np.nan, ""
    by_smallest, by_largest = (np.log(np.abs(1.0 - run[names.RATE] * run[end])) for end in ("smallest", "largest"))
    kind = OSCILLATION if by_largest > max(by_smallest, 0.0) else SADDLE if by_smallest > 0.0 else MINIMUM
    return float(max(by_smallest, by_largest)), float(min(by_smallest, by_largest)), kind


def _rate(curve: pd.DataFrame, rests_at: float) -> tuple[float, float, float]:
    """Slope of ln(distance), first and last step of the line: from rest on, until linearity or resolution ends."""
    after = curve[curve.index >= rests_at]
    shown = (after[names.DISTANCE] <= LINEAR) & (after[RELATIVE] >= RESOLVED)
    line = after.loc[shown.cummin(), names.DISTANCE]
    # By the later half the directions that shrink faster, or grow more slowly, have fallen behind.
    line = line.iloc[len(line) // 2 :]
    if len(line) < FEWEST_POINTS:
        return np.nan, np.nan, np.nan
    steps, logarithms = line.index.to_numpy(float), np.log(line.to_numpy())
    # Eigenvectors whose 1 - eta lambda have other signs interfere: odd steps have a line of their own, as steep.
    parity = line.index.to_numpy(int) % 2
    dx, dy = (values - (np.bincount(parity, values) / np.bincount(parity).clip(1))[parity]
              for values in (steps, logarithms))  # fmt: skip
    return float((dx * dy).sum() / (dx**2).sum()), steps[0], steps[-1]


def cells_of(pushed: pd.DataFrame) -> pd.DataFrame:
    """One row per cell of the phase diagram: ``predicted``, means of ``rate`` and ``residual``, its interval, counts.

    Columns beside those: ``kind``, ``is_contested``, ``runs``, ``rated`` (runs with a rate), ``as_one`` (runs that end
    as one unit), ``growing`` (runs whose push grows, and is small still) and ``is_resting`` (whether the twin does).
    """
    groups = list(pushed.groupby(CELL))
    seen = [cell[cell["rate"].notna()] for _, cell in groups]
    residuals = means_with_intervals([(cell["rate"] - cell["predicted"]).to_numpy(float) for cell in seen])
    table = pd.DataFrame([cell for cell, _ in groups], columns=CELL)
    return table.assign(
        kind=[cell["kind"].iloc[0] for _, cell in groups],
        is_contested=[bool(cell["is_contested"].any()) for _, cell in groups],
        predicted=[cell["predicted"].iloc[0] for _, cell in groups],
        rate=[cell["rate"].mean() for cell in seen],
        **dict(zip(("residual", "low", "high"), residuals.T, strict=True)),
        runs=[len(cell) for _, cell in groups], rated=[len(cell) for cell in seen],
        as_one=[int(((cell["apart"] < ONE_UNIT) & ~_still_grows(cell)).sum()) for _, cell in groups],
        growing=[int(_still_grows(cell).sum()) for _, cell in groups],
        is_resting=[bool(cell["rests_at"].notna().all()) for _, cell in groups],
    )  # fmt: skip


def _still_grows(cell: pd.DataFrame) -> "pd.Series[bool]":
    return (cell["predicted"] > 0.0) & (cell[names.DISTANCE] <= LINEAR)


def critical_penalties(table: pd.DataFrame, column: str, by: str) -> pd.Series:
    """The penalty at which an eigenvalue changes its sign, on the line between the two penalties around it.

    Args:
        table: columns ``training.l2``, ``column`` (an eigenvalue) and ``by``.
        by: groups.

    Returns:
        One value per group that has both signs.
    """
    found = {}
    for group, points in table.dropna(subset=[column]).groupby(by):
        means = points.groupby(L2)[column].mean()
        below, above = means[means < 0.0], means[means >= 0.0]
        if len(below) and len(above):
            (low, at_low), (high, at_high) = (below.index[-1], below.iloc[-1]), (above.index[0], above.iloc[0])
            found[group] = low + (high - low) * at_low / (at_low - at_high)
    return pd.Series(found, dtype=float)
