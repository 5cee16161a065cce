"""The pictures of ``saddle``: modes beside their exact curves, and escape times against epsilon."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.claims.laws import with_interval
from analysis.figures.kit.drawing import Drawing, NotShownError, figure
from analysis.figures.kit.style import SHADES, add_legend_above, set_plain_log_ticks
from analysis.questions.saddle.answer import CURVES, fits_of
from analysis.questions.saddle.tables import ESCAPED, all_escapes, escapes_of, modes_of
from analysis.statistics.fits import line_fit
from analysis.tracked.tables import Tables
from analysis.wording import amount, interval, number

MARKS = {"identity": ("#029e73", "s"), "tanh": ("#d55e00", "^")}


@figure
def saddle_modes(tables: Tables) -> Drawing:
    """Strengths of the modes over time beside exact curves, a row per start and curve, a column per scale.

    Raises:
        NotShownError: no two-layer linear network on white inputs.
    """
    data = modes_of(tables)
    if data.empty:
        raise NotShownError("no two-layer linear network learned data=whitened")
    curves = [curve for curve in CURVES if curve.start in set(data["start"])]
    scales, modes = sorted(set(data["scale"]), reverse=True), sorted(set(data["mode"]))
    colours = dict(zip(modes, SHADES(np.linspace(0.0, 1.0, len(modes))), strict=True))
    canvas = Figure(figsize=(1.5 + 3.8 * len(scales), 0.8 + 2.6 * len(curves)), layout="constrained")
    grid = canvas.subplots(len(curves), len(scales), sharex=True, sharey=True, squeeze=False)
    for row, curve in zip(grid, curves, strict=True):
        for axes, scale in zip(row, scales, strict=True):
            panel = data[(data["start"] == curve.start) & (data["scale"] == scale)]
            for (mode, _), line in panel.groupby(["mode", "run_id"]):
                axes.plot(line["time"], line["measured"], color=colours[mode], lw=2.2, alpha=0.6)
                axes.plot(line["time"], line[curve.column], "k:", lw=1.0)
            axes.set_title(
                f"{curve.start}, modes {curve.column}\nscale {scale:g}, {amount(panel['run_id'].nunique(), 'run')}"
            )
        row[0].set_ylabel("strength of the mode")
    for axes in grid[-1]:
        axes.set_xlabel("time (learning rate times steps)")
    styles: dict[str, dict[str, Any]] = {
        f"mode {mode}": {"color": colour, "lw": 2.2} for mode, colour in colours.items()
    }
    add_legend_above(canvas, styles | {"exact": {"color": "black", "ls": ":", "lw": 1.0}})
    values = ", ".join(number(value) for value in sorted(set(data["singular_value"].round(6)), reverse=True))
    return Drawing(canvas, data, {"runs": amount(data["run_id"].nunique(), "run"), "values": values})


@figure
def saddle_escape(tables: Tables) -> Drawing:
    """Escape time against epsilon, a panel per number of small layers.

    Raises:
        NotShownError: no deep network with small layers left its plateau.
    """
    data = escapes_of(tables)
    if data.empty:
        raise NotShownError("no network with small layers left its plateau")
    smalls = sorted(set(data["small"]))
    canvas = Figure(figsize=(1.0 + 3.6 * len(smalls), 4.6), layout="constrained")
    for axes, small in zip(canvas.subplots(1, len(smalls), squeeze=False)[0], smalls, strict=True):
        for activation, (colour, marker) in MARKS.items():
            points = data[(data["small"] == small) & (data["activation"] == activation)]
            if len(points):
                _draw_law(axes, points, activation, colour, marker)
        axes.set(title=f"{small} small layers", xlabel="epsilon", xscale="log")
        axes.minorticks_off()
        epsilons = sorted(set(data.loc[data["small"] == small, "epsilon"]))
        axes.set_xticks(epsilons, [f"{epsilon:g}" for epsilon in epsilons])
        if small != 2:
            times = data.loc[data["small"] == small, "time"]
            axes.set_yscale("log")
            set_plain_log_ticks(axes.yaxis, times.min(), times.max())
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), fontsize=8)
    canvas.axes[0].set_ylabel("escape time\n(learning rate times steps)")
    everything = all_escapes(tables)
    stuck, left_out = int(everything["time"].isna().sum()), len(everything) - len(data)
    censored = (
        f"{amount(stuck, 'run')} never left; with their seeds {left_out} are left out"
        if stuck
        else "All runs left the saddle"
    )
    return Drawing(canvas, data, {
        "runs": amount(len(data), "run"), "share": f"{1.0 - ESCAPED:.0%}", "censored": censored,
    })  # fmt: skip


def _draw_law(axes: Axes, points: pd.DataFrame, activation: str, colour: str, marker: str) -> None:
    """Points, those of a seed joined, and the fitted line: of logarithms, or of the time for 2 small layers."""
    epsilon, fits, label = points["epsilon"].to_numpy(), fits_of(points), activation
    is_logarithm = int(points["small"].iloc[0]) == 2
    for _, of_seed in points.groupby("group"):
        axes.plot(of_seed["epsilon"], of_seed["time"], color=colour, lw=0.6, alpha=0.5)
    if fits is not None:
        ends = np.array([epsilon.min(), epsilon.max()])
        if is_logarithm:
            line = line_fit(np.log(epsilon), points["time"].to_numpy(), points["group"].to_numpy())
            axes.plot(ends, line.at(np.log(ends)), color=colour, lw=2.0)
            label += f": {number(-line.slope)} {interval(-line.high, -line.low)} per log"
        else:
            axes.plot(ends, 10.0 ** fits[0].at(np.log10(ends)), color=colour, lw=2.0)
            label += f": exponent {with_interval(fits[0])}"
    axes.plot(epsilon, points["time"], marker, color=colour, mfc="none", label=label)
