"""Figures of the question ``collapse``: rates of one unit and of two beside the theory, and what becomes of both."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis.figures.kit.drawing import Drawing, NotShownError, figure
from analysis.figures.kit.style import add_legend_above, set_step_axis, set_value_axis
from analysis.questions.collapse.tables import (
    ACTIVATION,
    EXAMPLES,
    L2,
    different_pairs,
    fates,
    growing_units,
    noisy_networks,
    pair_rate,
    pairs,
    unit_rates,
)
from analysis.statistics.intervals import means_with_intervals
from analysis.theory.noisy_labels import Batches
from analysis.tracked.tables import Tables
from pipeline import names

HUES = ("#0173b2", "#de8f05", "#029e73", "#cc78bc", "#ca9161")
QUIET, NOISY = "#949494", "#d55e00"
POINTS = 60


@figure
def collapse_unit(tables: Tables) -> Drawing:
    """The growth rate of one unit near 0 against the noise, both over the learning rate, a panel per batch size.

    Raises:
        NotShownError: no such unit.
    """
    runs = _over_rate(growing_units(tables))
    if runs.empty:
        raise NotShownError("no single identity unit started near 0")
    rates = sorted(set(runs[names.RATE]))
    colours = dict(zip(rates, HUES, strict=False))
    canvas = Figure(figsize=(9.0, 4.2), layout="constrained")
    batches = sorted(set(runs["batch"]))
    parts = []
    batch: Any
    rate: Any
    panels = canvas.subplots(1, len(batches), sharey=True, squeeze=False)[0]
    for axes, (batch, of_batch) in zip(panels, runs.groupby("batch"), strict=True):
        first = of_batch.iloc[0]
        for rate, alike in of_batch.groupby(names.RATE):
            noises = np.linspace(0.0, alike["noise"].max(), POINTS)
            grid = [Batches.of(first[EXAMPLES], first["ones"], batch).variance(noise) for noise in noises]
            exact = [
                unit_rates(first[EXAMPLES], first["ones"], batch, rate, float(noise))[0] / rate for noise in noises
            ]
            axes.plot(rate * np.array(grid), exact, color=colours[rate], lw=1.4)
            parts.append(_draw_means(axes, alike, "noisiness", "over_rate", colours[rate], batch=batch, rate=rate))
        ends = np.array([0.0, of_batch["noisiness"].max()])
        axes.plot(ends, first["mean"] - 0.5 * ends, color="0.4", lw=1.0, ls="--")
        axes.axhline(0.0, color="0.85", lw=0.8, zorder=0)
        axes.set(title=f"batch of {batch}", xlabel="learning rate times variance of the gradient")
    panels[0].set_ylabel("growth rate over learning rate")
    low, high = runs["over_rate"].min(), runs["over_rate"].max()
    panels[0].set_ylim(min(1.6 * low, low - 0.02), high + 0.05)
    styles: dict[str, dict[str, Any]] = {f"learning rate {rate:g}": {"color": colours[rate]} for rate in rates}
    add_legend_above(canvas, styles | {"limit of small steps": {"color": "0.4", "lw": 1.0, "ls": "--"}})
    return Drawing(canvas, pd.concat(parts, ignore_index=True), {"runs": len(runs)})


def _draw_means(axes: Axes, runs: pd.DataFrame, x: str, y: str, colour: str, **facts: Any) -> pd.DataFrame:
    """Means over seeds with their intervals."""
    groups: list[tuple[Any, pd.Series[float]]] = list(runs.groupby(x)[y])
    means = means_with_intervals([values.to_numpy(float) for _, values in groups])
    places = [place for place, _ in groups]
    errors = [means[:, 0] - means[:, 1], means[:, 2] - means[:, 0]]
    axes.errorbar(places, means[:, 0], yerr=errors, fmt="o", ms=4, capsize=2, elinewidth=1.0, color=colour)
    return pd.DataFrame(means, columns=["value", "low", "high"]).assign(**{x: places}, **facts)


def _over_rate(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs whose growth rate is known, with noise and growth as the figures show them against the learning rate."""
    runs = runs[runs["growth"].notna()]
    return runs.assign(noisiness=runs[names.RATE] * runs["variance"], over_rate=runs["growth"] / runs[names.RATE])


@figure
def collapse_fate(tables: Tables) -> Drawing:
    """The weights of one unit from an ordinary start over the steps, a line a run, a panel per learning rate.

    Raises:
        NotShownError: no such unit.
    """
    runs = fates(tables)
    if runs.empty:
        raise NotShownError("no single identity unit had an ordinary start")
    runs = runs[runs["batch"] == runs["batch"].min()]
    curves = tables.values(runs, [names.WEIGHT_NORM])
    data = curves.merge(runs[["run_id", names.RATE, "noise", "predicted"]], on="run_id").sort_values("step")
    data = data[np.isfinite(data["value"])].assign(value=lambda rows: rows["value"].clip(lower=1e-16))
    noises = sorted(set(runs["noise"]))
    colours = dict(zip(noises, HUES, strict=False))
    rates = sorted(set(runs[names.RATE]))
    canvas = Figure(figsize=(9.0, 3.8), layout="constrained")
    panels = canvas.subplots(1, len(rates), sharey=True, squeeze=False)[0]
    group: Any
    for axes, rate in zip(panels, rates, strict=True):
        for group, line in data[data[names.RATE] == rate].groupby(["noise", "run_id"]):
            noise = group[0]
            vanishes = line["predicted"].iloc[0] < 0.0
            axes.plot(
                line["step"], line["value"], color=colours[noise], lw=0.6, alpha=0.6, ls="-" if vanishes else "--"
            )
        axes.set(title=f"learning rate {rate:g}", xlabel="step", yscale="log", ylim=(1e-16, 1e2))
        set_step_axis(axes)
    panels[0].set_ylabel("norm of the weights")
    add_legend_above(canvas, {f"noise {noise:g}": {"color": colours[noise]} for noise in noises})
    return Drawing(canvas, data, {"runs": len(runs), "diverged": int(runs["diverged"].sum())})


@figure
def collapse_pairs(tables: Tables) -> Drawing:
    """The growth rate of a small difference between two units against the noise, a panel per activation.

    Raises:
        NotShownError: no such units.
    """
    runs = _over_rate(pairs(tables))
    if runs.empty:
        raise NotShownError("no two units started almost equal")
    rates, penalties = sorted(set(runs[names.RATE])), sorted(set(runs[L2]))
    colours = dict(zip(penalties, HUES, strict=False))
    styles = dict(zip(rates, ("-", "--", ":"), strict=False))
    shown = [name for name in ("gelu", "identity", "tanh") if name in set(runs[ACTIVATION])]
    canvas = Figure(figsize=(9.0, 4.0), layout="constrained")
    parts = []
    group: Any
    panels = canvas.subplots(1, len(shown), sharex=True, sharey=True, squeeze=False)[0]
    for axes, activation in zip(panels, shown, strict=True):
        for group, alike in runs[runs[ACTIVATION] == activation].groupby([names.RATE, L2]):
            rate, l2 = group
            grid = np.linspace(0.0, alike["variance"].max(), POINTS // 4)
            theory = [pair_rate(activation, alike["mean"].iloc[0], rate, float(v), l2) / rate for v in grid]
            axes.plot(rate * grid, theory, color=colours[l2], ls=styles[rate], lw=1.2)
            facts = {"activation": activation, "rate": rate, "l2": l2}
            parts.append(_draw_means(axes, alike, "noisiness", "over_rate", colours[l2], **facts))
        axes.axhline(0.0, color="0.85", lw=0.8, zorder=0)
        axes.set(title=activation, xlabel="learning rate times\nvariance of the gradient")
        axes.xaxis.set_major_locator(MaxNLocator(4))
    panels[0].set_ylabel("growth rate of the difference\nover learning rate")
    legend: dict[str, dict[str, Any]] = {f"l2 = {l2:g}": {"color": colours[l2]} for l2 in penalties}
    legend |= {f"learning rate {rate:g}": {"color": "0.4", "ls": styles[rate]} for rate in rates}
    add_legend_above(canvas, legend)
    return Drawing(canvas, pd.concat(parts, ignore_index=True), {"runs": len(runs)})


@figure
def collapse_width(tables: Tables) -> Drawing:
    """Distance and effective width over the steps, with noise and without: two different units, and a usual network.

    Raises:
        NotShownError: no such units.
    """
    runs = different_pairs(tables, pairs(tables))
    if runs.empty:
        raise NotShownError("no two units started different")
    runs = runs.assign(panel=runs[ACTIVATION] + ", 2 units", is_noisy=runs["noise"] > 0.0)
    usual = noisy_networks(tables)
    usual = usual[usual["training.batch_size"] == usual["training.batch_size"].min()]
    usual = usual.assign(panel=usual[ACTIVATION] + ", " + usual["data"], is_noisy=True)
    quiet = usual.assign(run_id=usual["without run_id"], is_noisy=False)
    columns = ["run_id", "panel", "is_noisy"]
    shown = pd.concat([part[columns] for part in (runs, usual, quiet)]).drop_duplicates("run_id")
    plain, modulo_sign = names.DISTANCE, names.DISTANCE_MODULO_SIGN
    curves = tables.values(shown, [plain, modulo_sign, names.EFFECTIVE_WIDTH]).merge(shown, on="run_id")
    # Of odd activations the distance modulo sign counts.
    has_sign = curves["run_id"].isin(curves.loc[curves["metric"] == modulo_sign, "run_id"])
    curves = curves[(curves["metric"] != plain) | ~has_sign].replace({"metric": {modulo_sign: plain}})
    curves["value"] -= (curves["metric"] == names.EFFECTIVE_WIDTH).astype(float)
    # What rounding leaves of a width of 1.
    curves["value"] = curves["value"].where(curves["value"].abs() > 1e-15, 0.0)
    data = curves.sort_values(["metric", "panel", "is_noisy", "run_id", "step"], ignore_index=True)
    titles = sorted(set(data["panel"]))
    rows = {plain: "distance\n(modulo sign)", names.EFFECTIVE_WIDTH: "effective width - 1"}
    canvas = Figure(figsize=(9.0, 5.0), layout="constrained")
    group: Any
    grid = canvas.subplots(len(rows), len(titles), sharex=True, sharey="row", squeeze=False)
    for row, (metric, label) in zip(grid, rows.items(), strict=True):
        of_metric = data[data["metric"] == metric]
        for axes, title in zip(row, titles, strict=True):
            for group, line in of_metric[of_metric["panel"] == title].groupby(["is_noisy", "run_id"]):
                axes.plot(line["step"], line["value"], color=NOISY if group[0] else QUIET, lw=0.8, alpha=0.6)
            set_step_axis(axes)
            axes.set_xticks([0, 10, 1000])
        set_value_axis(row[0], of_metric["value"])
        row[0].set_ylabel(label)
    for axes, title in zip(grid[0], titles, strict=True):
        axes.set_title(title)
    for axes in grid[-1]:
        axes.set_xlabel("step")
    add_legend_above(canvas, {"label noise": {"color": NOISY}, "none": {"color": QUIET}})
    return Drawing(canvas, data, {"runs": len(shown)})
