"""Figures of the question ``schemes``: signals layer by layer at the start, and the loss against depth at the end."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures.kit.drawing import Drawing, NotShownError, figure
from analysis.figures.kit.style import add_legend_above, colours_of
from analysis.figures.kit.words import loss_label
from analysis.questions.schemes.tables import KINDS, final_losses, moments_of, networks_of
from analysis.statistics.intervals import geometric_means, means_with_intervals
from analysis.theory.signal_moments import SCHEMES
from analysis.tracked.tables import Tables
from analysis.wording import amount, lost
from pipeline import names


@figure
def scheme_moments(tables: Tables) -> Drawing:
    """Mean squares of pre-activations and deltas at the start, layer by layer, with the derivations.

    Raises:
        NotShownError: they were not measured in a network of two hidden layers or more.
    """
    moments = moments_of(tables)
    if moments.empty:
        raise NotShownError("no moments of these schemes were measured")
    keys = ["activation", "direction", "init", "layer"]
    means = moments.groupby(keys)[["measured", "linear", "saturating"]].mean()
    groups = [group.to_numpy() for _, group in moments.groupby(keys)["measured"]]
    ends = means_with_intervals(groups)[:, 1:]
    data = means.assign(low=ends[:, 0], high=ends[:, 1], runs=[len(group) for group in groups]).reset_index()
    activations = sorted(set(data["activation"]))
    colours = colours_of(name for name in SCHEMES if name in set(data["init"]))
    canvas = Figure(figsize=(9.5, 1.0 + 3.2 * len(activations)), layout="constrained")
    grid = canvas.subplots(len(activations), 2, sharex=True, squeeze=False)
    for row, activation in zip(grid, activations, strict=True):
        for axes, direction in zip(row, KINDS, strict=True):
            for init, colour in colours.items():
                at = (data["activation"] == activation) & (data["direction"] == direction) & (data["init"] == init)
                _draw_moments(axes, data[at], colour, activation)
            axes.set(title=f"{activation}, {direction}", yscale="log")
        row[0].set_ylabel("mean square of\npre-activations")
        row[1].set_ylabel("mean square of deltas")
    for axes in grid[-1]:
        axes.set_xlabel("hidden layer")
    styles: dict[str, dict[str, Any]] = {
        init: {"color": colour, "marker": "o", "ls": ""} for init, colour in colours.items()
    }
    styles |= {
        "derived": {"color": "0.3", "ls": "--", "lw": 1.0},
        "derived, tanh saturating": {"color": "0.3", "ls": ":"},
    }
    add_legend_above(canvas, styles)
    return Drawing(canvas, data, {"runs_a_point": f"{data['runs'].max()}", "depth": f"{data['layer'].max()}"})


def _draw_moments(axes: Axes, line: pd.DataFrame, colour: str, activation: str) -> None:
    axes.plot(line["layer"], line["measured"], "o", color=colour, ms=4)
    axes.vlines(line["layer"], line["low"], line["high"], color=colour, lw=1.0)
    axes.plot(line["layer"], line["linear"], "--", color=colour, lw=1.0)
    if activation == "tanh":
        axes.plot(line["layer"], line["saturating"], ":", color=colour, lw=1.5)


@figure
def scheme_training(tables: Tables) -> Drawing:
    """Final training loss against depth, each scheme at its best learning rate.

    Raises:
        NotShownError: no run of these schemes ended with a finite loss.
    """
    losses = final_losses(tables)
    if losses.empty:
        raise NotShownError("no network of these schemes was trained")
    keys = ["activation", "init", "depth", "learning_rate"]
    groups = {key: group.to_numpy() for key, group in losses.groupby(keys)["loss"]}
    data = pd.DataFrame(list(groups), columns=keys)
    data[["loss", "low", "high"]] = geometric_means(list(groups.values()))
    data["runs"] = [len(group) for group in groups.values()]
    activations = sorted(set(data["activation"]))
    colours = colours_of(name for name in SCHEMES if name in set(data["init"]))
    canvas = Figure(figsize=(1.5 + 3.8 * len(activations), 4.2), layout="constrained")
    grid = canvas.subplots(1, len(activations), sharey=True, squeeze=False)[0]
    for axes, activation in zip(grid, activations, strict=True):
        for aside, (init, colour) in enumerate(colours.items()):
            line = data[(data["activation"] == activation) & (data["init"] == init)]
            place = line["depth"] * 1.02**aside
            axes.plot(place, line["loss"], "o-", color=colour, ms=4, lw=1.0)
            axes.vlines(place, line["low"], line["high"], color=colour, lw=1.0)
        axes.set(title=activation, xlabel="hidden layers", xscale="log", yscale="log")
        axes.set_xticks(sorted(set(data["depth"])), [str(depth) for depth in sorted(set(data["depth"]))])
        axes.minorticks_off()
    grid[0].set_ylabel(f"final {loss_label(tables.runs, names.LOSS_TRAIN)}")
    add_legend_above(canvas, {init: {"color": colour, "marker": "o"} for init, colour in colours.items()})
    diverged = int(networks_of(tables)["diverged"].sum())
    return Drawing(canvas, data, {
        "runs_a_point": f"{data['runs'].max()}", "runs": amount(len(networks_of(tables)), "run"),
        "lost": lost(diverged, "a learning rate at which that happens is no scheme's best"),
    })  # fmt: skip
