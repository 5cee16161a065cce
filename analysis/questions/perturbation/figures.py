"""Figures of the question ``perturbation``: the distance after pushes of every size, and what the size decides."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from analysis.figures.kit.drawing import Drawing, NotShownError, figure
from analysis.figures.kit.style import SHADES, add_legend_above, set_value_axis
from analysis.figures.kit.words import loss_label
from analysis.questions.perturbation.tables import EPSILON, LINEAR, pushed_networks, time_fit
from analysis.statistics.breaking import APART
from analysis.statistics.intervals import aggregated_by_size, means_with_intervals
from analysis.tracked.tables import Tables
from analysis.wording import number
from pipeline import names

STYLES = {
    "blas": {"color": "#0173b2", "marker": "o", "ls": "", "mfc": "none"},
    "exact": {"color": "#000000", "marker": "x", "ls": ""},
}


@figure
def perturbation_distance(tables: Tables) -> Drawing:
    """The distance between the units over the steps, one line per push, a panel per product.

    Raises:
        NotShownError: no pushed network.
    """
    networks = _shown(tables)
    curves = tables.values(networks, [names.DISTANCE]).merge(networks[["run_id", "arithmetic", EPSILON]], on="run_id")
    data = aggregated_by_size(curves, "value", by=["arithmetic", EPSILON])
    pushes = data.loc[data[EPSILON] > 0.0, EPSILON]
    colours = ScalarMappable(LogNorm(pushes.min(), pushes.max()), SHADES)
    canvas = Figure(figsize=(9.0, 4.4), layout="constrained")
    arithmetics = [name for name in STYLES if name in set(data["arithmetic"])]
    panels = canvas.subplots(1, len(arithmetics), sharex=True, sharey=True, squeeze=False)[0]
    for axes, arithmetic in zip(panels, arithmetics, strict=True):
        group: Any
        for group, line in data[data["arithmetic"] == arithmetic].groupby(EPSILON):
            colour = colours.to_rgba(group) if group else "#d62728"
            axes.plot(line["step"], line["value"], color=colour, lw=1.3)
            axes.fill_between(line["step"], line["low"], line["high"], color=colour, alpha=0.2, lw=0)
        axes.axhline(APART, color="0.6", lw=0.8, ls=":")
        axes.set(title=f"{arithmetic} products", xlabel="step")
    set_value_axis(panels[0], data["value"])
    panels[0].set_ylim(None, 3.0 * float(data["value"].max()))
    panels[0].set_ylabel("mean distance between hidden units")
    canvas.colorbar(colours, ax=panels, label="push epsilon (red line: none)")
    numbers = {"runs": len(networks), "runs_a_line": int(data["runs"].max()), "apart": APART}
    return Drawing(canvas, data, numbers)


@figure
def perturbation_size(tables: Tables) -> Drawing:
    """Growth rate, step of breaking and final loss against the size of the push: mean and interval over seeds.

    Raises:
        NotShownError: no pushed network.
    """
    networks = _shown(tables)
    unpushed = networks[networks[EPSILON] == 0.0]
    pushed = networks[networks[EPSILON] > 0.0]
    rows = {
        "rate": "growth rate\nper step",
        "breaks_at": f"step at which the\ndistance is {APART:g}",
        names.LOSS_TRAIN: f"final {loss_label(networks, names.LOSS_TRAIN)}",
    }
    canvas = Figure(figsize=(8.0, 7.6), layout="constrained")
    parts = []
    for axes, (column, label) in zip(canvas.subplots(3, 1, sharex=True), rows.items(), strict=True):
        for arithmetic, style in STYLES.items():
            groups = list(pushed[pushed["arithmetic"] == arithmetic].groupby(EPSILON)[column])
            samples = [values[np.isfinite(values)].to_numpy(float) for _, values in groups]
            part = pd.DataFrame(means_with_intervals(samples), columns=["value", "low", "high"])
            part = part.assign(epsilon=[key for key, _ in groups], runs=[len(sample) for sample in samples])
            errors = [part["value"] - part["low"], part["high"] - part["value"]]
            axes.errorbar(part["epsilon"], part["value"], yerr=errors, capsize=2, elinewidth=1.0, **style)
            parts.append(part.assign(quantity=column, arithmetic=arithmetic))
        axes.set(ylabel=label, xscale="log")
        axes.grid(axis="x", color="0.92")
    axes.set_xlabel("push epsilon")
    rates, times, losses = canvas.axes
    if pushed["rate"].min() >= 0.0:
        rates.set_ylim(0.0, 1.1 * pushed["rate"].max())
    if len(unpushed):
        losses.axhline(unpushed[names.LOSS_TRAIN].mean(), color="#d62728", lw=1.0, ls="--")
    fit = time_fit(networks[networks["arithmetic"] == "blas"])
    words = "None can be fitted"
    if fit is not None:
        ends = np.array([fit.first, fit.last])
        times.plot(np.exp(ends), fit.at(ends), color=STYLES["blas"]["color"], lw=1.0)
        words = (
            f"{number(-fit.slope * np.log(10.0), 3)} steps a factor 10, largest residual {number(fit.largest_residual)}"
        )
    canvas.align_ylabels()
    legend = {f"{name} products": style for name, style in STYLES.items() if name in set(pushed["arithmetic"])}
    add_legend_above(canvas, legend | {"no push": {"color": "#d62728", "lw": 1.0, "ls": "--"}})
    settled = networks["settles_at"].max()
    numbers = {"runs": len(networks), "linear": LINEAR, "settled": f"{settled:.0f}", "line": words}
    return Drawing(canvas, pd.concat(parts, ignore_index=True), numbers)


def _shown(tables: Tables) -> pd.DataFrame:
    if not (tables.runs["init"] == "perturbed").any():
        raise NotShownError("no network started from a constant plus a push")
    networks = pushed_networks(tables)
    # Where the symmetric solution is a minimum, a push has another fate; the claims tell it.
    return networks[~(networks["smallest"] > 0.0)]
