"""Figures 2 and 3: loss and symmetry over the steps of training."""

import math
from textwrap import fill
from typing import Any, NamedTuple

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures.kit.drawing import Drawing, NotShownError, figure
from analysis.figures.kit.style import (
    SYMMETRIC,
    add_legend_above,
    draw_mean,
    set_step_axis,
    set_value_axis,
    start_styles,
)
from analysis.figures.kit.words import (
    distinguishing,
    labelled,
    literal,
    loss_unit,
    own_and_shared,
    param_texts,
    start_labels,
)
from analysis.statistics.intervals import aggregated, aggregated_by_size
from analysis.tracked.tables import Tables
from analysis.wording import SWEEP, amount, counted, fate, lost
from pipeline import names

MOST_PANELS, MANY_PANELS, MOST_COLUMNS = 24, 12, 4
CHARACTERS_AN_INCH = 11
MOST_UNIT_TICKS = 4
HIGHEST = 1e3
"""How far above the other lines one that diverges is shown; it would flatten them."""
PLACE = ["setting", "learning_rate"]
LINE = ["start", "init", "metric"]
COMMAND = f"{SWEEP} model=mlp init=zeros,constant,xavier_uniform"
COINCIDING = 0.05
"""Part of the loss by which lines differ that cover each other."""


class Lines(NamedTuple):
    """Means over runs, and how they are arranged.

    Attributes:
        means: columns ``setting``, ``learning_rate``, ``start``, ``init``, ``metric``, ``step``, ``value``, ``low``,
            ``high``, ``runs``.
        runs: the runs with columns ``setting``, ``start`` and ``learning_rate``, diverged ones included.
        pooled: settings that vary but have no panels of their own; a line is the mean over them, too.
    """

    means: pd.DataFrame
    runs: pd.DataFrame
    pooled: list[str]

    @property
    def numbers(self) -> dict[str, Any]:
        """Values for the captions of both figures."""
        longest = self.means.groupby([*PLACE, *LINE], observed=True)["runs"].max()
        pooled = f" A line pools {', '.join(self.pooled)}: there are too many settings for a panel each."
        return {
            "runs": len(self.runs),
            "runs_a_line": counted(longest.tolist()),
            "pooled": pooled if self.pooled else "",
        }


@figure
def loss_over_steps(tables: Tables) -> Drawing:
    """Training loss (above) and test loss (below) over steps by initialisation, for each setting and learning rate."""
    parts = {"training": names.LOSS_TRAIN, "test": names.LOSS_TEST}
    lines = _lines(tables, tables.runs, parts)
    highest = _highest(lines, parts)
    styles = start_styles(lines.runs)
    measured = [part for part in parts if part in set(lines.means["metric"])]
    heights = {f"{part} loss{loss_unit(tables.runs)}": 2.4 if part == "training" else 1.9 for part in measured}
    canvas, panels = _grid(_cut(lines, highest), heights)
    for stacked, means in panels:
        for axes, part in zip(stacked, measured, strict=True):
            for (start, _, _), line in means[means["metric"] == part].groupby(LINE, observed=True):
                draw_mean(axes, line, styles[str(start)])
        stacked[0].set_title(f"{stacked[0].get_title()}{_coincide(means)}")
    for axes in (axes for stacked, _ in panels for axes in stacked):
        _set_value_axis(axes, lines.means["value"], highest)
        set_step_axis(axes)
    add_legend_above(canvas, styles)
    ended = tables.runs[~tables.runs["diverged"]].groupby(["model", "init"])[names.LOSS_TRAIN].min()
    return Drawing(canvas, lines.means, lines.numbers | _lost(lines, highest) | {"conclusion": _lowest(ended)})


def _coincide(means: pd.DataFrame) -> str:
    """A line of the title where all starts of a panel end with nearly one training loss: their lines coincide."""
    ends = means[means["metric"] == "training"].sort_values("step").groupby("start", observed=True)["value"].last()
    apart = ends.max() / ends.min() - 1.0 if len(ends) > 1 and ends.min() > 0.0 else math.inf
    return f"\n{len(ends)} starts end within {100 * apart:.2g} %" if apart < COINCIDING else ""


@figure
def symmetry_over_steps(tables: Tables) -> Drawing:
    """Mean distance between hidden units (above) and number of distinct units (below) over steps.

    Raises:
        NotShownError: no run has hidden units.
    """
    hidden = tables.runs[[len(widths) > 0 for widths in tables.runs["model.hidden_units"]]]
    if hidden.empty:
        raise NotShownError("no run has hidden units to compare", COMMAND)
    parts = {"distance": names.DISTANCE, "distinct units": names.DISTINCT_UNITS}
    lines = _lines(tables, hidden, parts)
    highest = _highest(lines, {"distance": names.DISTANCE})
    distances = lines.means.loc[lines.means["metric"] == "distance", "value"]
    styles = start_styles(lines.runs)
    canvas, panels = _grid(_cut(lines, highest), {"mean distance\nbetween units": 2.0, "distinct\nunits": 1.2})
    for both, means in panels:
        for axes, part in zip(both, parts, strict=True):
            for (start, _, _), line in means[means["metric"] == part].groupby(LINE, observed=True):
                draw_mean(axes, line, styles[str(start)])
    units = _unit_ticks(lines.means)
    for (above, below), _ in panels:
        _set_value_axis(above, distances, highest)
        set_step_axis(above)
        below.set_yscale("log", base=2)
        below.set_ylim(0.8, None)
        below.set_yticks(units, [f"{count:g}" for count in units], minor=False)
        below.minorticks_off()
    add_legend_above(canvas, styles)
    symmetric = hidden[hidden["init"].isin(SYMMETRIC) & ~hidden["diverged"]]
    words = (
        f" The largest final distance in any of the {amount(len(symmetric), 'run')} from zeros or a constant is"
        f" {symmetric[names.DISTANCE].max():.3g}."
    )
    largest = {"largest_symmetric": words if len(symmetric) else ""}
    return Drawing(canvas, lines.means, lines.numbers | _lost(lines, highest) | largest)


def _lines(tables: Tables, runs: pd.DataFrame, metrics: dict[str, str]) -> Lines:
    """Means and intervals of metrics over all runs that share start, learning rate and setting."""
    texts = param_texts(runs)
    _, shared = own_and_shared(texts)
    varying = distinguishing(texts, ["model"], [key for key in shared if key not in ("model", names.RATE, "seed")])
    pooled: list[str] = []
    while varying and len(texts[["model", names.RATE, *varying]].drop_duplicates()) > MOST_PANELS:
        pooled.append(f"{varying[-1]} ({amount(texts[varying[-1]].nunique(), 'value')})")
        varying.pop()
    setting = labelled(texts, ["model", *varying])
    known = runs.rename(columns={names.RATE: "learning_rate"}).assign(setting=setting, start=start_labels(texts))
    by = [*PLACE, "start", "init"]
    parts = [
        (aggregated if part == "distinct units" else aggregated_by_size)(
            curve.merge(known[["run_id", *by]], on="run_id"), "value", by
        ).assign(metric=part)
        for part, metric in metrics.items()
        if len(curve := tables.curves.loc[tables.curves["metric"] == metric, ["run_id", "step", "value"]])
    ]
    means = pd.concat(parts, ignore_index=True)
    return Lines(means[[*PLACE, *LINE, "step", "value", "low", "high", "runs"]], known, pooled)


def _grid(lines: Lines, heights: dict[str, float]) -> tuple[Figure, list[tuple[list[Axes], pd.DataFrame]]]:
    """A panel per setting and learning rate, with the means to draw into it.

    A setting fills a row where all have the same few learning rates; otherwise panels follow each other.

    Args:
        heights: label and inches of the axes below each other in a panel. All panels share the scales of each.
    """
    places = lines.means[PLACE].drop_duplicates().sort_values(PLACE)
    rates = places["learning_rate"].nunique()
    complete = len(places) == rates * places["setting"].nunique() and 1 < rates <= MOST_COLUMNS
    columns = rates if complete else min(len(places), MOST_COLUMNS if len(places) <= MANY_PANELS else 6)
    rows = -(-len(places) // columns)
    size = min(11.0, 2.6 + 2.8 * columns), 0.9 + (0.5 + sum(heights.values())) * rows
    canvas = Figure(figsize=size, layout="constrained")
    cells = canvas.add_gridspec(rows * len(heights), columns, height_ratios=[*heights.values()] * rows)
    panels: list[tuple[list[Axes], pd.DataFrame]] = []
    for index, (setting, rate) in enumerate(places.itertuples(index=False, name=None)):
        row, column = divmod(index, columns)
        stacked: list[Axes] = []
        for part, label in enumerate(heights):
            first = panels[0][0] if panels else stacked
            shared = {"sharex": first[0] if first else None, "sharey": first[part] if panels else None}
            axes = canvas.add_subplot(cells[row * len(heights) + part, column], **shared)
            lowest = part == len(heights) - 1 and index + columns >= len(places)
            axes.tick_params(labelleft=column == 0, labelbottom=lowest, labelsize=9 if columns <= MOST_COLUMNS else 7.5)
            axes.set(xlabel="step" if lowest else "", ylabel=label if column == 0 else "")
            stacked.append(axes)
        here, trained = (
            table[(table["setting"] == setting) & (table["learning_rate"] == rate)]
            for table in (lines.means, lines.runs)
        )
        fitting = int(CHARACTERS_AN_INCH * size[0] / columns)
        title = f"{setting}, learning rate {rate:g}"
        if len(title) > fitting:
            title = f"{fill(str(setting), fitting)}\nlearning rate {rate:g}"
        stacked[0].set_title(literal(f"{title}\n{fate(trained['diverged'])}"))
        panels.append((stacked, here))
    return canvas, panels


def _unit_ticks(means: pd.DataFrame) -> list[float]:
    """Numbers of distinct units for the axis: those in which the lines end, or the ends of their range."""
    counts = means[means["metric"] == "distinct units"]
    last = counts.groupby([*PLACE, *LINE], observed=True)["value"].last()
    ticks = sorted({1.0, *last})
    return ticks if len(ticks) <= MOST_UNIT_TICKS else [1.0, ticks[-1]]


def _highest(lines: Lines, parts: dict[str, str]) -> float:
    """Where the axis of values ends: far above what runs start from, and end at if they do not diverge."""
    values = lines.means[lines.means["metric"].isin(parts)]
    first = values.loc[values["step"] == 0, "value"].max()
    last = lines.runs.loc[~lines.runs["diverged"], [metric for metric in parts.values() if metric in lines.runs]]
    highest = HIGHEST * max(first, last.to_numpy(float, na_value=0.0).max(initial=0.0))
    return highest if highest < values["value"].max() else math.inf


def _set_value_axis(axes: Axes, values: "pd.Series[float]", highest: float) -> None:
    set_value_axis(axes, values.clip(upper=highest))
    if highest < math.inf:
        axes.set_ylim(None, highest)


def _cut(lines: Lines, highest: float) -> Lines:
    """The same lines without what would overflow when it is drawn: they leave the panel all the same."""
    columns = ["value", "low", "high"]
    return lines._replace(means=lines.means.assign(**lines.means[columns].clip(upper=10.0 * highest)))


def _lost(lines: Lines, highest: float) -> dict[str, str]:
    """What the caption says of runs that diverged."""
    cut = f", or leave the panel at {highest:.2g}" if highest < math.inf else ""
    return {"lost": lost(int(lines.runs["diverged"].sum()), f"their lines end early{cut}")}


def _lowest(losses: "pd.Series[float]") -> str:
    """The lowest loss of each model's initialisations, in words.

    Args:
        losses: by model and initialisation.
    """
    parts = []
    for model, of_model in losses.reset_index().groupby("model", sort=True):
        best = of_model.sort_values(names.LOSS_TRAIN)
        listed = (f"{init} {loss:.3g}" for init, loss in zip(best["init"], best[names.LOSS_TRAIN], strict=True))
        parts.append(f"{model}: {', '.join(listed)}")
    return "; ".join(parts)
