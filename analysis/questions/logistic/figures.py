"""The figures of the question ``logistic``."""

from collections.abc import Iterable

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.figures.kit.drawing import Drawing, NotShownError, figure
from analysis.figures.kit.style import add_legend_above, colours_of, schemes_in, set_plain_log_ticks
from analysis.questions.logistic.answer import L2, penalised, separable
from analysis.tracked.tables import Tables
from analysis.wording import amount, number
from pipeline import names

LIMIT = {"color": "0.35", "ls": ":", "lw": 1.4}
SETTINGS = ["data", names.RATE, L2]
ROWS = {
    "loss": "training loss [nats]",
    "norm": "|W| times\nlargest margin",
    "angle": "angle to the separator\n[radians]",
}


@figure
def logistic_gap(tables: Tables) -> Drawing:
    """The gap to the optimum over the steps from every start, with the slowest decrease that theory allows.

    Raises:
        NotShownError: no run has a gap.
    """
    data = penalised(tables)
    if data.empty:
        raise NotShownError("no run of logistic regression has a penalty and no bias")
    data = data[["run_id", *SETTINGS, "init", "seed", "step", "value", "bound"]]
    panels = list(data.groupby(SETTINGS))
    canvas = Figure(figsize=(1.5 + 4.2 * len(panels), 4.2), layout="constrained")
    grid = canvas.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axes, ((source, eta, l2), rows) in zip(grid, panels, strict=True):
        for (init, _), line in rows.groupby(["init", "run_id"]):
            axes.semilogy(line["step"], line["value"].where(line["value"] > 0.0), **_style(str(init)))
        slowest = rows.groupby("step")["bound"].max()
        axes.semilogy(slowest.index, slowest, **LIMIT)
        axes.set_title(f"{source}: learning rate {eta:g}, l2 = {l2:g}\n{amount(rows['run_id'].nunique(), 'run')}")
        axes.set_xlabel("step")
    grid[0].set_ylabel("gap to the optimum [nats]")
    _add_legend(canvas, data["init"], "bound for the largest first gap")
    final = data[data["step"] == data.groupby("run_id")["step"].transform("max")]
    return Drawing(canvas, data, {"runs": len(final), "largest": number(float(final["value"].max()))})


@figure
def logistic_limits(tables: Tables) -> Drawing:
    """Loss, norm and direction on separable classes over the steps, with the limits of the theory.

    Raises:
        NotShownError: no run on separable classes without a penalty.
    """
    data = separable(tables)
    if data.empty:
        raise NotShownError("no run of logistic regression on separable classes measured them")
    data = data[["run_id", *SETTINGS, "init", "seed", "step", *ROWS, "margin"]]
    panels = list(data.groupby(SETTINGS))
    canvas = Figure(figsize=(1.5 + 4.2 * len(panels), 8.4), layout="constrained")
    grid = canvas.subplots(len(ROWS), len(panels), sharex="col", sharey="row", squeeze=False)
    for column, ((source, eta, _), rows) in zip(grid.T, panels, strict=True):
        for axes, quantity in zip(column, ROWS, strict=True):
            for (init, _), line in rows.groupby(["init", "run_id"]):
                axes.plot(line["step"], line[quantity], **_style(str(init)))
            axes.set_xscale("log")
            axes.set_yscale("linear" if quantity == "norm" else "log")
            late = rows.groupby("step")[quantity].mean()
            axes.plot(*_limit(quantity, late[late.index >= 10]), **LIMIT)
        column[0].set_title(f"{source}: learning rate {eta:g}\n{amount(rows['run_id'].nunique(), 'run')}")
        column[-1].set_xlabel("step")
    for axes, (quantity, label) in zip(grid[:, 0], ROWS.items(), strict=True):
        axes.set_ylabel(label)
        if axes.get_yscale() == "log":
            set_plain_log_ticks(axes.yaxis, data[quantity].min(), data[quantity].max())
    canvas.align_ylabels(grid[:, 0])
    _add_legend(canvas, data["init"], "limit, through the last mean")
    return Drawing(canvas, data, {"runs": data["run_id"].nunique()})


def _limit(quantity: str, means: "pd.Series[float]") -> tuple[np.ndarray, np.ndarray]:
    """The law of the theory, drawn through the last mean: 1 / t, ln t, 1 / ln t."""
    steps, last = means.index.to_numpy(float), float(means.iloc[-1])
    laws = {
        "loss": last * steps[-1] / steps,
        "norm": last + np.log(steps / steps[-1]),
        "angle": last * np.log(steps[-1]) / np.log(steps),
    }
    return steps, laws[quantity]


def _style(init: str) -> dict[str, object]:
    return {"color": colours_of([init])[init], "lw": 1.1, "ls": "--" if init == "constant" else "-"}


def _add_legend(canvas: Figure, inits: Iterable[str], limit: str) -> None:
    add_legend_above(canvas, {init: _style(init) for init in schemes_in(inits)} | {limit: LIMIT})
