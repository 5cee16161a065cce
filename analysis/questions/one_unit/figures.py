"""Figures of the question ``one_unit``: trajectories on one path, and what width is worth."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures.kit.drawing import Drawing, NotShownError, figure
from analysis.figures.kit.style import PALETTE, add_legend_above, set_plain_log_ticks, set_step_axis, set_value_axis
from analysis.figures.kit.words import loss_label
from analysis.questions.one_unit.answer import deviations, random_networks, symmetric_networks, trajectories
from analysis.statistics.intervals import sample_mean
from analysis.tracked.tables import Tables
from analysis.wording import number
from pipeline import names

PATHS = {
    "one path": "all widths on the path\nof the plain network of width 1",
    "twins": "plain networks, each with\nits single unit",
}
COLOURS = ("#000000", "#0173b2", "#de8f05", "#029e73", "#cc78bc", "#ca9161", "#949494")
KINDS: dict[str, dict[str, Any]] = {
    "plain constant start": {"color": PALETTE["constant"], "marker": "o"},
    "rates scaled to one path": {"color": "#000000", "marker": "x"},
    "random start": {"color": PALETTE["normal"], "marker": "s"},
}


@figure
def one_unit_paths(tables: Tables) -> Drawing:
    """Loss and outgoing weights of the single unit over the steps, for the first seed, in two kinds of shared paths.

    Raises:
        NotShownError: no two symmetric networks share a path.
    """
    networks = symmetric_networks(tables)
    table = trajectories(tables, networks)
    shared = deviations(table)
    if shared.empty:
        raise NotShownError("no two symmetric networks are worth the same single unit")
    networks = networks[networks["path"].isin(shared["path"])]
    first = networks[networks["seed"] == networks["seed"].min()]
    # A path that a plain network of width 1 takes is shared by networks of other widths; the others by single units.
    plain = first.loc[(first["width"] == 1) & (first["init"] == "constant"), "path"]
    kind = np.where(first["path"].isin(plain), "one path", "twins")
    data = table.merge(first.assign(kind=kind)[["run_id", "kind"]], on="run_id")
    # A twin belongs to the width that it stands for.
    data["stands_for"] = data.groupby("path")["width"].transform("max").where(data["kind"] == "twins", data["width"])
    data["is_twin"] = (data["kind"] == "twins") & (data["width"] == 1)
    data = data.sort_values(["kind", "stands_for", "is_twin", "run_id", "quantity", "step"], ignore_index=True)
    widths = sorted(set(data["stands_for"]))
    colour_of = dict(zip(widths, (COLOURS * len(widths))[: len(widths)], strict=True))
    canvas = Figure(figsize=(9.0, 6.6), layout="constrained")
    kinds = [name for name in PATHS if name in set(data["kind"])]
    grid = canvas.subplots(2, len(kinds), sharex=True, squeeze=False)
    labels = (f"{loss_label(tables.runs, names.LOSS_TRAIN)}", "spread of H x the\noutgoing weights of a unit")
    for column, name in enumerate(kinds):
        for axes, quantity in zip(grid[:, column], ("loss", "spread"), strict=True):
            shown = data[(data["kind"] == name) & (data["quantity"] == quantity)]
            _draw_lines(axes, shown, colour_of)
            set_step_axis(axes)
            set_value_axis(axes, shown["value"])
            axes.set_ylim(None, (1.1 if quantity == "loss" else 2.0) * float(shown["value"].max()))
        grid[0, column].set_title(PATHS[name])
        grid[1, column].set_xlabel("step")
    for axes, label in zip(grid[:, 0], labels, strict=True):
        axes.set_ylabel(label)
    legend = {f"width {width}": {"color": colour_of[width], "lw": 2.0} for width in widths}
    legend["its single unit (right)"] = {"color": "0.4", "ls": "", "marker": "o", "mfc": "none"}
    add_legend_above(canvas, legend)
    numbers = {
        "networks": len(first),
        "runs": len(networks),
        "paths": shared["path"].nunique(),
        "largest": f"{shared['value'].max():.3g}",
    }
    return Drawing(canvas, data, numbers)


def _draw_lines(axes: Axes, data: pd.DataFrame, colour_of: dict[int, str]) -> None:
    """One line a network, narrower with its width, so that lines which coincide stay visible; twins are circles."""
    group: Any
    for group, line in data.groupby(["stands_for", "is_twin", "run_id"]):
        width, is_twin, _ = group
        place = list(colour_of).index(width)
        look: dict[str, Any] = {"lw": 1.0 + 1.2 * (len(colour_of) - place), "zorder": 2 + place}
        if is_twin:
            look = {"ls": "", "marker": "o", "ms": 5, "mfc": "none", "markevery": 4, "zorder": 20}
        elif line["kind"].iloc[0] == "twins":
            look = {"lw": 1.2, "zorder": 2 + place}
        axes.plot(line["step"], line["value"], color=colour_of[width], **look)


@figure
def one_unit_best_loss(tables: Tables) -> Drawing:
    """The best training loss at every width, by kind of start: mean and interval over seeds.

    Raises:
        NotShownError: no symmetric network.
    """
    networks = symmetric_networks(tables)
    if networks.empty:
        raise NotShownError("no network has equal units, no biases and plain gradient descent")
    plain = networks["init"] == "constant"
    on_plain_path = networks["path"].isin(networks.loc[plain & (networks["width"] == 1), "path"])
    kinds = {
        "plain constant start": networks[plain],
        "rates scaled to one path": networks[on_plain_path],
        "random start": random_networks(tables),
    }
    rows = [
        (kind, width, *sample_mean(runs["best"]), len(runs))
        for kind, chosen in kinds.items()
        for width, runs in chosen.groupby("width")
    ]
    data = pd.DataFrame(rows, columns=["start", "width", "value", "low", "high", "runs"])
    canvas = Figure(figsize=(7.5, 4.4), layout="constrained")
    axes = canvas.subplots()
    styles = {kind: style for kind, style in KINDS.items() if kind in set(data["start"])}
    for kind, style in styles.items():
        line = data[data["start"] == kind]
        axes.plot(line["width"], line["value"], **style)
        axes.fill_between(line["width"], line["low"], line["high"], color=style["color"], alpha=0.2, lw=0)
    axes.set_xscale("log", base=2)
    axes.set_xticks(sorted(set(data["width"])), [str(width) for width in sorted(set(data["width"]))])
    axes.set_yscale("log")
    set_plain_log_ticks(axes.yaxis, data["value"].min(), data["high"].max())
    axes.set(xlabel="hidden units H", ylabel=f"best {loss_label(tables.runs, names.LOSS_TRAIN)}")
    add_legend_above(canvas, styles)
    constant = data.loc[data["start"] == "plain constant start", "value"]
    numbers = {
        "runs_a_point": int(data["runs"].max()),
        "lowest": number(float(constant.min()), 3),
        "highest": number(float(constant.max()), 3),
    }
    return Drawing(canvas, data, numbers)
