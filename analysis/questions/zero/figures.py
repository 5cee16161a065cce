"""The pictures of ``zero``: what moves when, and the way to the class frequencies."""

import math
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from analysis.claims.source_text import ZERO_AT_ZERO
from analysis.figures.kit.drawing import Drawing, NotShownError, figure
from analysis.figures.kit.style import HUES, add_legend_above, set_step_axis, set_value_axis
from analysis.questions.zero.answer import parameters_of
from analysis.tracked.tables import Tables
from analysis.wording import amount
from pipeline import names

ACTIVATIONS = (*ZERO_AT_ZERO, "sigmoid", "softplus")
COLOURS = dict(zip(ZERO_AT_ZERO, HUES, strict=False))
COLOURS |= {"sigmoid": "#000000", "softplus": "#d62728"}
MOST_COLUMNS = 4
MOVING, RESTING = "#cfe3f5", "white"


@figure
def first_moves(tables: Tables) -> Drawing:
    """The first measured step at which the parameters of each layer have moved, by activation, data and depth."""
    parameters = _full_batch(parameters_of(tables))
    keys = ["data", "model.activation", "kind", "layer"]
    depths = parameters["model.hidden_units"].map(len)
    shown = parameters[depths == depths.max()]
    data = shown.groupby(keys, as_index=False).agg(
        moves=("moves", "min"), largest=("largest", "max"), runs=("run_id", "nunique")
    )
    panels = sorted(set(data["data"]))
    columns = [(kind, layer) for layer in sorted(set(data["layer"])) for kind in ("weights", "biases")]
    rows = [name for name in ACTIVATIONS if name in set(data["model.activation"])]
    canvas = Figure(figsize=(1.6 + 2.3 * len(panels), 1.2 + 0.36 * len(rows)), layout="constrained")
    for axes, panel in zip(canvas.subplots(1, len(panels), sharey=True, squeeze=False)[0], panels, strict=True):
        _draw_cells(axes, data[data["data"] == panel], columns, rows)
        axes.set_title(panel)
    return Drawing(canvas, data, {"runs": shown["run_id"].nunique(), "hidden": depths.max()})


def _full_batch(parameters: pd.DataFrame) -> pd.DataFrame:
    chosen = parameters[parameters["training.batch_size"].isna() & (parameters["optimizer"] == "gd")]
    if chosen.empty:
        raise NotShownError("no run from zeros with full batches has measured its movement")
    return chosen


def _draw_cells(axes: Axes, data: pd.DataFrame, columns: list[tuple[str, int]], rows: list[str]) -> None:
    """A cell per activation and kind of parameters, with the step at which they first move."""
    cells: Any = data[["model.activation", "kind", "layer", "moves"]].itertuples(index=False, name=None)
    for activation, kind, layer, moves in cells:
        x, y = columns.index((kind, layer)), rows.index(activation)
        never = math.isnan(moves)
        axes.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, fc=RESTING if never else MOVING, ec="0.7", lw=0.8))
        axes.text(x, y, "\N{EN DASH}" if never else f"{moves:g}", ha="center", va="center", fontsize=9)
    axes.set(xlim=(-0.6, len(columns) - 0.4), ylim=(len(rows) - 0.4, -0.6))
    axes.set_xticks(range(len(columns)), [f"{'W' if kind == 'weights' else 'b'}({layer})" for kind, layer in columns])
    axes.set_yticks(range(len(rows)), rows)
    axes.tick_params(length=0, labelsize=8.5)
    axes.spines[["left", "bottom"]].set_visible(False)


@figure
def way_to_the_frequencies(tables: Tables) -> Drawing:
    """Difference between predictions and class frequencies, and the loss, over steps, by activation, data and depth."""
    runs = _full_batch(parameters_of(tables)).drop_duplicates("run_id")
    depths = sorted(set(runs["model.hidden_units"].map(len)))
    curves = tables.values(runs, [names.FREQUENCY_GAP, names.LOSS_TRAIN])
    known = runs[["run_id", "data", "model.activation"]].assign(hidden_layers=runs["model.hidden_units"].map(len))
    keys = ["data", "hidden_layers", "model.activation", "metric", "step"]
    data = curves.merge(known, on="run_id").groupby(keys, as_index=False).agg(value=("value", "mean"))
    panels = [
        (panel, depth)
        for panel in sorted(set(data["data"]))
        for depth in depths
        if len(data[(data["data"] == panel) & (data["hidden_layers"] == depth)])
    ]
    columns = min(len(panels), MOST_COLUMNS)
    blocks = -(-len(panels) // columns)
    canvas = Figure(figsize=(1.4 + 1.95 * columns, 0.6 + 4.4 * blocks), layout="constrained")
    # The panels of both quantities in the order of ``panels``, block below block.
    cells = canvas.subplots(2 * blocks, columns, sharex=True, squeeze=False).reshape(blocks, 2, columns)
    grid = cells.swapaxes(0, 1).reshape(2, -1)
    for axes in grid[:, len(panels) :].flat:
        axes.remove()
    labels = {names.FREQUENCY_GAP: "difference between a predicted\nprobability and a frequency",
              names.LOSS_TRAIN: "training loss [nats]"}  # fmt: skip
    for row, (metric, label) in zip(grid, labels.items(), strict=True):
        for place, (axes, (panel, depth)) in enumerate(zip(row, panels, strict=False)):
            if place:
                axes.sharey(row[0])
            axes.tick_params(labelleft=place % columns == 0)
            axes.set_ylabel("" if place % columns else label)
            here = data[(data["metric"] == metric) & (data["data"] == panel) & (data["hidden_layers"] == depth)]
            for activation, line in here.groupby("model.activation", sort=True):
                axes.plot(line["step"], line["value"], **_style(str(activation)))
            set_step_axis(axes)
        if metric == names.FREQUENCY_GAP:
            set_value_axis(row[0], data.loc[data["metric"] == metric, "value"])
    for axes, (panel, depth) in zip(grid[0], panels, strict=False):
        axes.set_title(f"{panel}\n{amount(depth, 'hidden layer')}", fontsize=9)
    for axes in grid[1, : len(panels)]:
        axes.set_ylim(0.0, None)
        axes.tick_params(labelbottom=True)
        axes.set_xlabel("step")
    add_legend_above(canvas, {name: _style(name) for name in ACTIVATIONS if name in set(data["model.activation"])})
    resting = data[data["model.activation"].isin(ZERO_AT_ZERO) & (data["metric"] == names.FREQUENCY_GAP)]
    last = resting[resting["step"] == resting["step"].max()]["value"].max()
    return Drawing(canvas, data, {"runs": len(runs), "last": last})


def _style(activation: str) -> dict[str, Any]:
    """Lines that coincide are drawn from the widest to the thinnest."""
    place = ACTIVATIONS.index(activation)
    return {"color": COLOURS[activation], "lw": max(1.4, 6.0 - 1.1 * place), "zorder": 2.0 + 0.1 * place}
