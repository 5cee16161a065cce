"""Figure 8: convergence of logistic regression to its optimum from every start."""

from collections.abc import Sequence
from textwrap import fill
from typing import Any

import pandas as pd
from matplotlib.figure import Figure, SubFigure

from analysis.figures.arrivals import Problem, logistic_problems
from analysis.figures.kit.drawing import Drawing, figure
from analysis.figures.kit.style import add_legend_above, draw_mean, set_step_axis, set_value_axis, start_styles
from analysis.figures.kit.words import literal, loss_label, loss_unit
from analysis.statistics.intervals import aggregated_by_size
from analysis.tracked.tables import Tables
from analysis.wording import amount, counted, fate, flat_model, lost, number
from pipeline import names

SPREAD = "spread between starts"
COLUMNS = [
    *("problem", "optimum", "quantity", "learning_rate", "start", "init", "seed"),
    *("step", "value", "low", "high", "runs"),
]
NOISE = (
    "With {batch} examples a step, the noise of the batches can keep the upper lines from falling further; the runs of"
    " one seed share it."
)
SEED_LINE: dict[str, Any] = {"color": "0.45", "lw": 0.9}


@figure
def logistic_optimum(tables: Tables) -> Drawing:
    """What is left to the optimum from every start (above), and the spread between the starts of a seed (below).

    The data frame has one row per mark: ``quantity`` is a metric key (mean, interval and count over the runs of an
    ``init``), or ``spread between starts`` (of one ``seed``).

    Raises:
        NotShownError: there is nothing to compare (see ``logistic_problems``).
    """
    problems = logistic_problems(tables)
    rates = max(len(problem.rates) for problem in problems)
    width = min(11.0, 3.4 + 2.5 * rates)
    canvas = Figure(figsize=(width, 0.5 + 5.3 * len(problems)), layout="constrained")
    styles = start_styles(pd.concat([problem.runs for problem in problems]))
    parts = []
    for subfigure, problem in zip(canvas.subfigures(len(problems), squeeze=False)[:, 0], problems, strict=True):
        data = _table(problem)
        _draw_panels(subfigure, problem, data, styles)
        heading = "\n".join(fill(line, int(13 * width)) for line in (_counts(problem), problem.outcome))
        subfigure.suptitle(literal(heading), fontsize="medium")
        parts += [data] if len(data) else []
    data = pd.concat(parts, ignore_index=True)
    add_legend_above(canvas, styles | {"one seed (lower panels)": SEED_LINE})
    return Drawing(canvas, data, _numbers(problems, data))


def _table(problem: Problem) -> pd.DataFrame:
    """The marks of one problem. A gap below 0 is rounding, of the solver or of the run, and counts as 0."""
    if problem.left.empty:
        return pd.DataFrame(columns=COLUMNS)
    left = problem.left.assign(value=problem.left["value"].clip(lower=0.0))
    lines = aggregated_by_size(left, "value", by=["learning_rate", "start", "init"]).assign(quantity=problem.metric)
    spreads = problem.spreads.assign(quantity=SPREAD)
    both = pd.concat([lines, spreads] if len(spreads) else [lines], ignore_index=True)
    return both.assign(problem=problem.label, optimum=problem.outcome).reindex(columns=COLUMNS)


def _draw_panels(subfigure: SubFigure, problem: Problem, data: pd.DataFrame, styles: dict[str, dict[str, Any]]) -> None:
    """Two rows of panels, a column per learning rate."""
    grid = subfigure.subplots(2, len(problem.rates), sharex=True, sharey="row", squeeze=False)
    grid[0, 0].set_ylabel(_left_label(problem))
    grid[1, 0].set_ylabel(f"spread of the training\nloss between starts{loss_unit(problem.runs)}")
    is_spread = data["quantity"] == SPREAD
    for rate, above, below in zip(problem.rates, *grid, strict=True):
        above.set_title(
            f"learning rate {rate:g}\n{fate(problem.runs.loc[problem.runs[names.RATE] == rate, 'diverged'])}"
        )
        at_rate = data["learning_rate"] == rate
        for start, line in data[at_rate & ~is_spread].groupby("start", sort=True):
            draw_mean(above, line, styles[str(start)])
        for _, line in data[at_rate & is_spread].groupby("seed", sort=True):
            below.plot(line["step"], line["value"], **SEED_LINE)
        if above.lines and not below.lines:
            below.text(0.5, 0.5, "no two starts\nof one seed", ha="center", va="center", transform=below.transAxes)
        below.set_xlabel("step")
        set_step_axis(below)
    for row, shown in zip(grid, (data[~is_spread], data[is_spread]), strict=True):
        for axes in row:
            set_value_axis(axes, shown["value"])
    subfigure.align_ylabels(grid[:, 0])


def _left_label(problem: Problem) -> str:
    """What is left, as the label of an axis."""
    if problem.metric == names.OPTIMUM_GAP:
        return f"gap to the optimum{loss_unit(problem.runs)}"
    return loss_label(problem.runs, names.LOSS_TRAIN)


def _counts(problem: Problem) -> str:
    starts = problem.runs["start"].nunique()
    return f"{problem.label}: {amount(starts, 'start')}, {fate(problem.runs['diverged'])}"


def _numbers(problems: Sequence[Problem], data: pd.DataFrame) -> dict[str, Any]:
    """Values for the caption."""
    runs = pd.concat([problem.runs for problem in problems])
    batches = sorted(runs.loc[~runs["diverged"], "training.batch_size"].dropna().unique())
    below_zero = sum(int((problem.left["value"] < 0.0).sum()) for problem in problems)
    return {
        "flat_model": flat_model(runs),
        "runs": len(runs),
        "diverged": int(runs["diverged"].sum()),
        "lost": lost(int(runs["diverged"].sum()), "they are left out"),
        "runs_a_line": counted(data.loc[data["quantity"] != SPREAD, "runs"].tolist()),
        "runs_a_spread": counted(data.loc[data["quantity"] == SPREAD, "runs"].tolist()),
        "noise": f" {NOISE.format(batch=' or '.join(f'{size:g}' for size in batches))}" if batches else "",
        "below_zero": f" {amount(below_zero, 'gap')} below 0, by rounding, count as 0." if below_zero else "",
        "conclusion": ". ".join(_conclusion(problem) for problem in problems),
    }


def _conclusion(problem: Problem) -> str:
    """At the learning rate that leaves least (by the median run): first and last values, the largest of all runs."""
    if problem.spreads.empty:
        return f"{problem.label}: no two starts of one seed"
    compared = problem.left[problem.left["learning_rate"].isin(problem.spreads["learning_rate"])]
    final = compared[compared["step"] == compared["step"].max()]
    rate = float(final.groupby("learning_rate")["value"].median().idxmin())
    left, spread = (_first_and_last(part[part["learning_rate"] == rate]) for part in (compared, problem.spreads))
    what = "gap" if problem.metric == names.OPTIMUM_GAP else "training loss"
    return (
        f"{problem.label} ({problem.outcome}), at learning rate {rate:g}, which leaves least: the largest {what} goes"
        f" {left}, the largest spread {spread}"
    )


def _first_and_last(table: pd.DataFrame) -> str:
    largest = table.groupby("step", sort=True)["value"].max()
    return f"from {number(largest.iloc[0])} to {number(max(largest.iloc[-1], 0.0))}"
