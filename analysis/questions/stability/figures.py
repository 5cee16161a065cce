"""The pictures of ``stability``: the phase diagram, measured rates beside predicted ones, and pushes over the steps."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import SymLogNorm
from matplotlib.figure import Figure

from analysis.figures.kit.drawing import Drawing, NotShownError, figure
from analysis.figures.kit.style import add_legend_above, set_value_axis
from analysis.questions.stability.tables import (
    CELL,
    L2,
    LINEAR,
    MINIMUM,
    ONE_UNIT,
    OSCILLATION,
    REST,
    SADDLE,
    VALUE,
    cells_of,
    critical_penalties,
    pushed_networks,
    twins_of,
)
from analysis.tracked.tables import Tables
from analysis.wording import amount, counted, number
from pipeline import names

SLOW = 0.01
"""A rate below which the colours are linear."""
FINE = 1e-6
"""A residual below which its axis is linear."""
BEYOND = 1.5
"""Steps over the last one of a fitted line up to which it is shown."""
NO_REST, OUTGROWN, CONTESTED = "no rest", "no rate", "neither end dominates"
MARKS: dict[str, dict[str, Any]] = {
    CONTESTED: {"marker": "o", "color": "0.55", "mfc": "none", "ls": ""},
    NO_REST: {"marker": "x", "color": "0.55", "ms": 7, "ls": ""},
    OUTGROWN: {"marker": "s", "color": "0.55", "mfc": "none", "ms": 9, "ls": ""},
}
KINDS: dict[str, dict[str, Any]] = {
    SADDLE: {"color": "#d55e00", "marker": "^", "ls": "", "mfc": "none"},
    MINIMUM: {"color": "#0173b2", "marker": "v", "ls": "", "mfc": "none"},
    OSCILLATION: {"color": "#029e73", "marker": "D", "ls": "", "mfc": "none"},
}
BOUNDARIES: dict[str, dict[str, Any]] = {
    "smallest eigenvalue 0": {"color": "black", "lw": 1.6},
    "eta times largest eigenvalue 2": {"color": "black", "lw": 1.6, "ls": "--"},
}


@figure
def stability_phases(tables: Tables) -> Drawing:
    """Penalty against learning rate, the colour of a cell its measured rate; the predicted boundaries over them.

    Raises:
        NotShownError: no pushed network beside an unpushed twin.
    """
    pushed = _shown(tables)
    data, twins = cells_of(pushed), twins_of(tables)
    starts = sorted(set(data[VALUE]), reverse=True)
    largest = float(data["rate"].abs().max(skipna=True))
    norm = SymLogNorm(SLOW, vmin=-largest, vmax=largest)
    colours = ScalarMappable(norm, colormaps["RdBu_r"])
    canvas = Figure(figsize=(1.6 + 3.9 * len(starts), 5.8), layout="constrained")
    panels = canvas.subplots(1, len(starts), sharex=True, sharey=True, squeeze=False)[0]
    for axes, start in zip(panels, starts, strict=True):
        panel = data[data[VALUE] == start]
        _draw_cells(axes, panel, colours)
        _draw_boundaries(axes, twins[twins[VALUE] == start], panel)
        axes.set(title=f"push from {start:g}, {amount(len(panel), 'cell')}", xlabel="learning rate eta")
        axes.set(xscale="log", yscale="log")
        for axis, key, ratio in ((axes.xaxis, names.RATE, 1.3), (axes.yaxis, L2, 1.19)):
            ticks = _apart(sorted(set(data[key])), ratio)
            axis.set_ticks(ticks, [number(tick, 3) for tick in ticks])
            axis.set_ticks([], minor=True)
    panels[0].set_ylabel("penalty l2")
    ticks = [-0.1, -0.01, 0.0, 0.01, 0.1, 1.0]
    bar = canvas.colorbar(colours, ax=panels, label="measured rate of a small push, per step")
    bar.set_ticks([tick for tick in ticks if abs(tick) <= largest])
    bar.ax.set_yticklabels([number(tick, 3) for tick in ticks if abs(tick) <= largest])
    marks = {
        "a push grows": {"marker": "s", "color": "#b2182b", "ls": ""},
        "dies": {"marker": "s", "color": "#2166ac", "ls": ""},
    }
    ends = {"ends as one unit": {"marker": "o", "color": "black", "ms": 3, "ls": ""}}
    add_legend_above(canvas, marks | ends | {label: MARKS[label] for label in (NO_REST, OUTGROWN)} | BOUNDARIES)
    return Drawing(canvas, data, {
        "cells": amount(len(data), "cell"), "runs": amount(len(pushed), "run"), "rest": f"{REST:g}",
        "restless": int((~data["is_resting"]).sum()), "runs_a_cell": counted(sorted(set(data["runs"]))),
        "outgrown": int((data["is_resting"] & (data["rated"] == 0)).sum()),
        "growing": int((data["growing"] > 0).sum()), "one": f"{ONE_UNIT:g}", "linear": f"{LINEAR:g}",
    })  # fmt: skip


def _draw_cells(axes: Axes, panel: pd.DataFrame, colours: ScalarMappable) -> None:
    rated = panel[panel["rated"] > 0]
    axes.scatter(
        rated[names.RATE],
        rated[L2],
        s=110,
        marker="s",
        c=colours.to_rgba(rated["rate"].to_numpy()),
        edgecolors="0.6",
        lw=0.5,
    )
    for label, chosen in ((NO_REST, ~panel["is_resting"]), (OUTGROWN, panel["is_resting"] & (panel["rated"] == 0))):
        axes.plot(panel.loc[chosen, names.RATE], panel.loc[chosen, L2], **MARKS[label])
    as_one = panel[panel["as_one"] == panel["runs"]]
    axes.plot(as_one[names.RATE], as_one[L2], "o", color="black", ms=3)


def _draw_boundaries(axes: Axes, twins: pd.DataFrame, panel: pd.DataFrame) -> None:
    """Where the smallest eigenvalue is 0, and the learning rate at which the whole Hessian's largest one makes 2."""
    resting = twins[twins["rests_at"].notna()]
    smallest, largest = BOUNDARIES.values()
    critical = critical_penalties(resting, "smallest", VALUE)
    limits = panel[names.RATE].min() / 1.2, panel[names.RATE].max() * 1.2
    for penalty in critical:
        axes.plot(limits, [penalty, penalty], **smallest)
    thresholds = resting.groupby(L2)["threshold"].first()
    # Between two penalties the eigenvalue is taken as a line, not its inverse.
    penalties = np.geomspace(thresholds.index.min(), thresholds.index.max(), 200)
    rates = 2.0 / np.interp(penalties, thresholds.index.to_numpy(float), 2.0 / thresholds.to_numpy(float))
    shown = (rates >= limits[0]) & (rates <= limits[1])
    axes.plot(rates[shown], penalties[shown], **largest)


def _apart(values: list[float], ratio: float) -> list[float]:
    """Of ascending values those that exceed the one before by this factor, so that their labels have room."""
    kept: list[float] = []
    for value in values:
        if not kept or value >= ratio * kept[-1]:
            kept.append(value)
    return kept


@figure
def stability_rates(tables: Tables) -> Drawing:
    """Measured against predicted rate of every cell, with the diagonal; and what remains, with its interval over seeds.

    Raises:
        NotShownError: no pushed network beside an unpushed twin.
    """
    data = cells_of(_shown(tables))
    data = data[data["rated"] > 0].reset_index(drop=True)
    canvas = Figure(figsize=(7.2, 6.6), layout="constrained")
    above, below = canvas.subplots(2, 1, sharex=True, height_ratios=(1.4, 1.0))
    ends = [data["predicted"].min(), data["predicted"].max()]
    above.plot(ends, ends, color="0.7", lw=1.0)
    below.axhline(0.0, color="0.7", lw=1.0)
    styles = KINDS | ({CONTESTED: MARKS[CONTESTED]} if data["is_contested"].any() else {})
    for kind, style in styles.items():
        points = data[np.where(data["is_contested"], CONTESTED, data["kind"]) == kind]
        above.plot(points["predicted"], points["rate"], **style)
        errors = [points["residual"] - points["low"], points["high"] - points["residual"]]
        below.errorbar(points["predicted"], points["residual"], yerr=errors, capsize=2, elinewidth=0.8, **style)
    for axes in (above, below):
        axes.set_xscale("symlog", linthresh=SLOW)
        axes.axvline(0.0, color="0.9", lw=0.8, zorder=0)
    above.set_yscale("symlog", linthresh=SLOW)
    below.set_yscale("symlog", linthresh=FINE)
    below.set_ylim(2.0 * min(data["low"].min(), -FINE), 2.0 * max(data["high"].max(), FINE))
    for set_limits in (above.set_xlim, above.set_ylim):
        set_limits(1.5 * min(ends[0], -SLOW), 1.5 * max(ends[1], SLOW))
    ticks = [-0.1, -0.01, 0.0, 0.01, 0.1, 1.0]
    for axis in (above.xaxis, above.yaxis, below.xaxis):
        axis.set_ticks(ticks, [number(tick, 3) for tick in ticks])
        axis.set_ticks([], minor=True)
    above.set_ylabel("measured rate per step")
    below.set(xlabel="predicted rate, log|1 - eta lambda|", ylabel="measured less predicted")
    canvas.align_ylabels()
    add_legend_above(canvas, styles)
    return Drawing(canvas, data, {
        "cells": amount(len(data), "cell"), "runs": amount(int(data["rated"].sum()), "run"),
        "largest": number(float(data.loc[~data["is_contested"], "residual"].abs().max())), "fine": f"{FINE:g}",
        "contested": amount(int(data["is_contested"].sum()), "cell"),
    })  # fmt: skip


@figure
def stability_steps(tables: Tables) -> Drawing:
    """The distance between the units over the steps, in one cell of each kind, beside the predicted slope.

    Raises:
        NotShownError: no pushed network beside an unpushed twin.
    """
    pushed = _shown(tables)
    rated = cells_of(pushed[pushed["rate"].notna()])
    kinds = [kind for kind in KINDS if kind in set(rated["kind"])]
    canvas = Figure(figsize=(1.0 + 3.3 * len(kinds), 4.2), layout="constrained")
    parts = []
    for axes, kind in zip(canvas.subplots(1, len(kinds), squeeze=False)[0], kinds, strict=True):
        of_kind = rated[rated["kind"] == kind].sort_values("rate", ignore_index=True)
        cell = of_kind[CELL].to_numpy()[len(of_kind) // 2].tolist()
        runs = pushed[(pushed[CELL] == cell).all(axis=1)]
        curves = tables.values(runs, [names.DISTANCE]).sort_values("step")
        curves = curves[curves["step"] <= BEYOND * runs["last"].max()]
        for _, line in curves.groupby("run_id"):
            axes.plot(line["step"], line["value"], color=KINDS[kind]["color"], lw=1.0, alpha=0.7)
        _draw_slope(axes, runs.to_dict("records")[0], curves)
        set_value_axis(axes, curves["value"])
        start, l2, rate = cell
        axes.set(
            title=f"{kind}, {amount(len(runs), 'run')}\nfrom {start:g}, l2 {l2:g}, learning rate {rate:g}",
            xlabel="step",
        )
        parts.append(curves.assign(kind=kind))
    canvas.axes[0].set_ylabel("mean distance between hidden units")
    return Drawing(canvas, pd.concat(parts, ignore_index=True), {"cells": amount(len(kinds), "cell")})


def _draw_slope(axes: Axes, run: dict[Any, Any], curves: pd.DataFrame) -> None:
    """The predicted line through the first point of a run's measured one, where that was fitted."""
    line = curves[(curves["run_id"] == run["run_id"]) & curves["step"].between(run["first"], run["last"])]
    steps, distances = line["step"].to_numpy(float), line["value"].to_numpy(float)
    axes.plot(steps, distances[0] * np.exp(run["predicted"] * (steps - steps[0])), "k:", lw=1.8)


def _shown(tables: Tables) -> pd.DataFrame:
    pushed = pushed_networks(tables)
    if not pushed["rate"].notna().any():
        raise NotShownError("no pushed network has a rate beside an unpushed twin whose Hessian was measured")
    return pushed
