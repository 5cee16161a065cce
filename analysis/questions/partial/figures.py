"""The pictures of ``partial``: copies and mirrored pairs over the steps, and what distinct units are worth."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures.kit.drawing import Drawing, NotShownError, figure
from analysis.figures.kit.style import PALETTE, add_legend_above, set_plain_log_ticks, set_step_axis, set_value_axis
from analysis.figures.kit.words import loss_label
from analysis.questions.partial.answer import (
    COPIES,
    MERGED,
    MIRROR_DISTANCE,
    MIRRORED,
    PLAIN,
    RATES,
    SIZES,
    final_losses,
    partial_networks,
)
from analysis.tracked.tables import Tables
from analysis.wording import counted
from pipeline import names

STYLES: dict[str, dict[str, Any]] = {
    PLAIN: {"color": "#0173b2", "marker": "s", "lw": 1.4},
    COPIES: {"color": PALETTE["duplicated"], "marker": "o", "lw": 3.0, "ms": 7},
    MERGED: {"color": "black", "marker": "x", "ls": "--", "lw": 1.2, "zorder": 3},
    SIZES: {"color": "#029e73", "marker": "^", "ls": ":", "lw": 1.2, "mfc": "none"},
    RATES: {"color": "#de8f05", "marker": "v", "ls": ":", "lw": 1.2, "mfc": "none"},
    MIRRORED: {"color": PALETTE["mirrored"], "marker": "D", "ls": "", "ms": 11, "mfc": "none", "zorder": 3},
}


@figure
def copies_and_mirrors(tables: Tables) -> Drawing:
    """Distinct units and the mirror distance at every measured step, one line a run.

    Raises:
        NotShownError: no network started with copies or mirrored pairs.
    """
    networks = _networks(tables)
    counts = _measured(tables, networks[networks["kind"] == COPIES], names.DISTINCT_UNITS)
    wide = networks[(networks["kind"] == MIRRORED) | (networks["distinct"] == networks["width"].max())]
    distances = _measured(tables, wide[wide["kind"].isin((MIRRORED, COPIES))], MIRROR_DISTANCE)
    canvas = Figure(figsize=(9.0, 3.6), layout="constrained")
    left, right = canvas.subplots(1, 2)
    for axes, data, label in ((left, counts, "distinct units"), (right, distances, "mirror distance")):
        _draw_lines(axes, data)
        axes.set(xlabel="step", ylabel=label)
    if len(counts):
        left.set_yscale("log", base=2)
        ticks = sorted(set(counts["distinct"]))
        left.set_yticks(ticks, [str(tick) for tick in ticks])
    if len(distances):
        set_value_axis(right, distances["value"])
    kinds = {COPIES: "copies (right: one of each unit)", MIRRORED: MIRRORED}
    present = {*counts["kind"], *distances["kind"]}
    add_legend_above(canvas, {kinds[kind]: _line_style(kind) for kind in kinds if kind in present})
    data = pd.concat([counts.assign(metric=names.DISTINCT_UNITS), distances.assign(metric=MIRROR_DISTANCE)])
    mirrored = distances.loc[distances["kind"] == MIRRORED, "value"]
    numbers = {"runs": data["run_id"].nunique(), "mirrored": f"{mirrored.max():.3g}"}
    return Drawing(canvas, data, numbers)


def _networks(tables: Tables) -> pd.DataFrame:
    networks = partial_networks(tables)
    if not networks["kind"].isin((COPIES, MIRRORED)).any():
        raise NotShownError("no network started with copies or mirrored pairs")
    return networks


def _measured(tables: Tables, networks: pd.DataFrame, metric: str) -> pd.DataFrame:
    known = ["run_id", "kind", "model.activation", "model.bias", "distinct", "seed"]
    return tables.values(networks, [metric])[["run_id", "step", "value"]].merge(networks[known], on="run_id")


def _draw_lines(axes: Axes, data: pd.DataFrame) -> None:
    group: Any
    for group, line in data.sort_values("step").groupby(["kind", "run_id"]):
        axes.plot(line["step"], line["value"], **_line_style(group[0]))
    set_step_axis(axes)


def _line_style(kind: str) -> dict[str, Any]:
    return {"color": STYLES[kind]["color"], "lw": 1.2}


@figure
def worth_of_distinct_units(tables: Tables) -> Drawing:
    """The final training loss against the number of distinct units, a panel per activation.

    Raises:
        NotShownError: no network started with copies or mirrored pairs.
    """
    data = final_losses(_networks(tables))
    activations = sorted(set(data["activation"]), reverse=True)
    canvas = Figure(figsize=(1.0 + 4.2 * len(activations), 4.2), layout="constrained")
    grid = canvas.subplots(1, len(activations), sharey=True, squeeze=False)[0]
    kinds = [kind for kind in STYLES if kind in set(data["kind"])]
    for axes, activation in zip(grid, activations, strict=True):
        for kind in kinds:
            line = data[(data["activation"] == activation) & (data["kind"] == kind)]
            axes.plot(line["distinct"], line["loss"], **STYLES[kind])
            if kind not in (MERGED, SIZES, RATES):
                axes.fill_between(
                    line["distinct"], line["low"], line["high"], color=STYLES[kind]["color"], alpha=0.2, lw=0
                )
        axes.set_xscale("log", base=2)
        ticks = sorted(set(data["distinct"]))
        axes.set_xticks(ticks, [str(tick) for tick in ticks])
        axes.set(title=activation, xlabel="distinct units")
    grid[0].set_yscale("log")
    set_plain_log_ticks(grid[0].yaxis, data["loss"].min(), data["high"].max())
    grid[0].set_ylabel(f"final {loss_label(tables.runs, names.LOSS_TRAIN)}")
    add_legend_above(canvas, {kind: STYLES[kind] for kind in kinds})
    return Drawing(canvas, data, {"runs": int(data["runs"].sum()), "runs_a_point": counted(list(data["runs"]))})
