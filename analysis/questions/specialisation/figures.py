"""The pictures of ``specialisation``: paths beside the equations, deviations from them, length of the plateau."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.claims.laws import with_interval
from analysis.figures.kit.drawing import Drawing, NotShownError, figure
from analysis.figures.kit.style import SHADES, add_legend_above, set_plain_log_ticks
from analysis.questions.specialisation.answer import deviation_fit, growth_fits, left
from analysis.questions.specialisation.tables import (
    APART,
    UNITS,
    at_several_sizes,
    deviations_of,
    escapes_of,
    paths_of,
)
from analysis.theory.committee import plateau_of
from analysis.tracked.tables import Tables
from analysis.wording import amount, number

EQUAL, DIFFERENT = "#0173b2", "#d55e00"


@figure
def specialisation_paths(tables: Tables) -> Drawing:
    """Error and spread of the overlaps over time beside the equations, a column per number of inputs.

    Raises:
        NotShownError: no committees of several sizes.
    """
    data = _shown(at_several_sizes(paths_of(tables)))
    sizes, rows = sorted(set(data["inputs"])), {"error": "generalisation error", "spread": "spread of the overlaps"}
    canvas = Figure(figsize=(1.4 + 3.0 * len(sizes), 5.6), layout="constrained")
    grid = canvas.subplots(2, len(sizes), sharex=True, sharey="row", squeeze=False)
    for row, (column, label) in zip(grid, rows.items(), strict=True):
        for axes, inputs in zip(row, sizes, strict=True):
            for _, path in data[data["inputs"] == inputs].groupby("run_id"):
                colour = DIFFERENT if path["epsilon"].iloc[0] else EQUAL
                axes.plot(path["time"], path[column], color=colour, lw=1.0, alpha=0.5)
                axes.plot(path["time"], path[f"{column}_predicted"], "k:", lw=0.6, zorder=3)
        row[0].set_ylabel(label)
    for axes, inputs in zip(grid[0], sizes, strict=True):
        axes.set(title=f"N = {inputs}", yscale="log")
    for axes in grid[1]:
        axes.set_xlabel("time (examples / N)")
    styles: dict[str, dict[str, Any]] = {
        "equal units": {"color": EQUAL, "lw": 1.5},
        f"units that differ by {_epsilons(data)}": {"color": DIFFERENT, "lw": 1.5},
        "the equations": {"color": "black", "ls": ":", "lw": 1.2},
    }
    add_legend_above(canvas, styles)
    return Drawing(canvas, data, {"runs": amount(data["run_id"].nunique(), "run"), "rate": f"{data['rate'].iloc[0]:g}"})


def _shown(data: pd.DataFrame) -> pd.DataFrame:
    if data.empty:
        raise NotShownError("no committees learned from a teacher with several numbers of inputs (data.inputs)")
    return data


def _epsilons(data: pd.DataFrame) -> str:
    return ", ".join(f"{epsilon:g}" for epsilon in sorted(set(data["epsilon"])) if epsilon)


@figure
def specialisation_deviation(tables: Tables) -> Drawing:
    """Deviation of the overlaps from the equations against the number of inputs.

    Raises:
        NotShownError: no committees of several sizes.
    """
    data = _shown(deviations_of(paths_of(tables)))
    canvas = Figure(figsize=(8.0, 4.2), layout="constrained")
    panels = canvas.subplots(1, 2, sharey=True)
    kinds = {"equal units": (data["epsilon"] == 0.0, EQUAL),
             f"units that differ by {_epsilons(data)}": (data["epsilon"] > 0.0, DIFFERENT)}  # fmt: skip
    for axes, (title, (chosen, colour)) in zip(panels, kinds.items(), strict=True):
        points = data[chosen]
        axes.set(title=title, xlabel="inputs N", xscale="log", yscale="log")
        axes.minorticks_off()
        axes.set_xticks(sorted(set(data["inputs"])), [str(inputs) for inputs in sorted(set(data["inputs"]))])
        axes.plot(points["inputs"], points["deviation"], "o", color=colour, mfc="none")
        fit = deviation_fit(points)
        if fit is not None:
            ends = np.array([fit.first, fit.last])
            axes.plot(10.0**ends, 10.0 ** fit.at(ends), color=colour, lw=2.0, label=f"exponent {with_interval(fit)}")
            axes.legend(loc="lower left", fontsize=8)
    set_plain_log_ticks(panels[0].yaxis, data["deviation"].min(), data["deviation"].max())
    panels[0].set_ylabel("deviation of Q and R\nfrom the equations")
    return Drawing(canvas, data, {"runs": amount(len(data), "run"), "rate": f"{data['rate'].iloc[0]:g}",
                                  "ends": number(data["ends"].max(), 3)})  # fmt: skip


@figure
def specialisation_plateau(tables: Tables) -> Drawing:
    """When the units part, against their first difference; and what a factor e costs, against the learning rate.

    Raises:
        NotShownError: no committee with several differences has left its plateau.
    """
    escapes = escapes_of(paths_of(tables))
    data = left(escapes)
    if data.empty:
        raise NotShownError("no committee that started with one of several differences left its plateau")
    rates = sorted(set(data["rate"]))
    colours = dict(zip(rates, SHADES(np.linspace(0.0, 1.0, len(rates))), strict=True))
    canvas = Figure(figsize=(9.0, 4.4), layout="constrained")
    times, costs = canvas.subplots(1, 2)
    for rate in rates:
        points = data[data["rate"] == rate]
        times.plot(points["epsilon"], points["time"], "o", color=colours[rate], mfc="none", label=f"rate {rate:g} / N")
        predicted = points.groupby("epsilon")["predicted"].mean()
        times.plot(predicted.index, predicted, "k:", lw=1.2)
    times.set(xscale="log", xlabel="difference epsilon at the start", ylabel="end of the plateau (examples / N)")
    times.set_ylim(0.0, None)
    times.legend(fontsize=8)
    between = np.linspace(0.9 * min(rates), 1.05 * max(rates), 12)
    costs.plot(between, [1.0 / plateau_of(UNITS, rate).growth for rate in between], "k:", lw=1.2, label="1 / lambda")
    for rate, fit in growth_fits(escapes).items():
        error = None if np.isnan(fit.low) else [[fit.slope - fit.low], [fit.high - fit.slope]]
        costs.errorbar(rate, fit.slope, yerr=error, marker="o", mfc="none", capsize=3, color=colours[rate])
    costs.set(xlabel="learning rate times N", ylabel="time a factor e\nof the difference")
    costs.set_ylim(0.0, None)
    costs.legend(fontsize=8)
    stuck = int(escapes["time"].isna().sum())
    censored = f"{amount(stuck, 'run')} had not left by the end; with their seeds they are left out"
    sizes = ", ".join(map(str, sorted(set(data["inputs"]))))
    return Drawing(canvas, data, {
        "runs": amount(len(data), "run"), "apart": f"{APART:g}", "inputs": sizes,
        "censored": censored if stuck else "All runs left their plateau",
    })  # fmt: skip
