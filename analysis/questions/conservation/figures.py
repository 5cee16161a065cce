"""Figures of the question ``conservation``: the drift of the balance over time, and its powers of the learning rate."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.claims.laws import with_interval
from analysis.figures.kit.drawing import Drawing, NotShownError, figure
from analysis.figures.kit.style import SHADES, add_legend_above
from analysis.questions.conservation.answer import LAWS, Law, drifts, fit_of, fixed_time, points_of
from analysis.statistics.intervals import aggregated_geometrically
from analysis.tracked.tables import Tables
from analysis.wording import amount, lost

COLOURS = {"relu": "#0173b2", "identity": "#029e73", "tanh": "#d55e00"}
MARKERS = {"relu": "o", "identity": "s", "tanh": "^"}


@figure
def balance_over_time(tables: Tables) -> Drawing:
    """The largest drift over time, one line per learning rate, a panel per activation.

    Raises:
        NotShownError: the drift was not measured.
    """
    data = _shown(tables)
    lines = aggregated_geometrically(data[data["step"] > 0], "value", by=["activation", "learning_rate", "time"])
    activations = [name for name in COLOURS if name in set(lines["activation"])]
    rates = sorted(set(lines["learning_rate"]))
    shades = SHADES(np.linspace(0.0, 1.0, len(rates)))
    styles = {f"learning rate {rate:g}": {"color": shade} for rate, shade in zip(rates, shades, strict=True)}
    canvas = Figure(figsize=(1.2 + 3.0 * len(activations), 3.9), layout="constrained")
    grid = canvas.subplots(1, len(activations), sharex=True, sharey=True, squeeze=False)[0]
    for axes, name in zip(grid, activations, strict=True):
        for (_, style), rate in zip(styles.items(), rates, strict=True):
            line = lines[(lines["activation"] == name) & (lines["learning_rate"] == rate)]
            axes.plot(line["time"], line["value"], **style)
            axes.fill_between(line["time"], line["low"], line["high"], alpha=0.2, lw=0, **style)
        axes.set(title=name, xlabel="time (learning rate times steps)", xscale="log", yscale="log")
    grid[0].set_ylabel("largest drift of the balance\nof a hidden unit")
    add_legend_above(canvas, styles)
    return Drawing(canvas, lines, _numbers(tables, data) | {"runs_a_line": f"{lines['runs'].max()}"})


@figure
def balance_exponents(tables: Tables) -> Drawing:
    """The drift after one step and over the fixed time against the learning rate, with the fitted power laws.

    Raises:
        NotShownError: the drift was not measured.
    """
    data = _shown(tables)
    canvas = Figure(figsize=(9.0, 5.0), layout="constrained")
    grid = canvas.subplots(1, 2, sharex=True)
    time = fixed_time(data)
    titles = "after one step", f"after the time {time:g}"
    parts = []
    for axes, title, is_one_step in zip(grid, titles, (True, False), strict=True):
        for law in (law for law in LAWS if law.is_one_step == is_one_step):
            points = points_of(law, data)
            if len(points):
                _draw_law(axes, law, points)
                parts.append(points.assign(after="one step" if is_one_step else f"time {time:g}"))
        axes.set(title=title, xlabel="learning rate", xscale="log", yscale="log")
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), fontsize=9)
    grid[0].set_ylabel("largest drift of the balance\nof a hidden unit")
    table = pd.concat(parts, ignore_index=True)[["after", "activation", "learning_rate", "seed", "value", "run_id"]]
    return Drawing(canvas, table, _numbers(tables, data))


def _draw_law(axes: Axes, law: Law, points: pd.DataFrame) -> None:
    colour, label, fit = COLOURS[law.activation], law.activation, fit_of(points)
    if fit is not None:
        label += f": exponent {with_interval(fit)}, predicted {law.exponent:g}"
        ends = np.array([fit.first, fit.last])
        axes.plot(10.0**ends, 10.0 ** fit.at(ends), color=colour, lw=1.0)
    axes.plot(points["learning_rate"], points["value"], MARKERS[law.activation], color=colour, mfc="none", label=label)


def _shown(tables: Tables) -> pd.DataFrame:
    data = drifts(tables)
    if data.empty:
        raise NotShownError("the balance was not measured")
    return data


def _numbers(tables: Tables, data: pd.DataFrame) -> dict[str, str]:
    return {
        "runs": amount(data["run_id"].nunique(), "run"),
        "lost": lost(int(tables.runs["diverged"].sum()), "they are left out"),
        "time": f"{fixed_time(data):g}",
    }
