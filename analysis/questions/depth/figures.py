"""The pictures of ``depth``: distances by depth, and copies by the place of constant layers."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from analysis.figures.kit.drawing import Drawing, NotShownError, figure
from analysis.figures.kit.style import PALETTE, add_legend_above
from analysis.questions.depth.answer import BETWEEN, ends_of, hidden_layers, measured_in
from analysis.statistics.intervals import means_with_intervals
from analysis.tracked.tables import Tables
from pipeline import names

SIGNS: dict[str, dict[str, Any]] = {
    "constant weights": {"ls": "", "marker": "s", "ms": 9, "mfc": PALETTE["constant"], "mec": "0.5"},
    "random weights": {"ls": "", "marker": "s", "ms": 9, "mfc": "white", "mec": "0.5"},
    "hidden layer with copies": {"ls": "", "marker": "o", "ms": 11, "mfc": "black", "mec": "0.5"},
    "all units distinct": {"ls": "", "marker": "o", "ms": 11, "mfc": "white", "mec": "0.5"},
}


@figure
def distance_of_layers(tables: Tables) -> Drawing:
    """The largest distance in every hidden layer of networks of every depth, and the loss they reach."""
    layers = hidden_layers(tables)
    layers = layers[layers["init"].isin(("constant", "xavier_normal"))]
    if layers.empty:
        raise NotShownError("no run starts from a constant or from Xavier-normal weights")
    values = measured_in(tables, layers, "distance_max").merge(layers[["run_id", "init", "depth"]].drop_duplicates())
    data = values.groupby(["init", "depth", "layer"], as_index=False)["value"].max()
    inits = sorted(set(data["init"]))
    canvas = Figure(figsize=(3.6 + 3.2 * len(inits), 3.6), layout="constrained")
    *grids, below = canvas.subplots(1, len(inits) + 1, width_ratios=[1.0] * len(inits) + [1.1])
    highest = max(float(data["value"].max()), 1.0)
    for axes, init in zip(grids, inits, strict=True):
        _draw_triangle(axes, data[data["init"] == init], highest)
        axes.set_title(f"{init}\nlargest distance at any step")
    losses = _losses(layers.drop_duplicates("run_id"), ["init", "depth"])
    for init, line in losses.groupby("init"):
        below.plot(line["depth"], line["loss"], "o-", color=PALETTE[str(init)], label=init)
        below.fill_between(line["depth"], line["low"], line["high"], color=PALETTE[str(init)], alpha=0.2, lw=0)
    below.set(yscale="log", xlabel="hidden layers", ylabel="final training loss [nats]")
    below.set_xticks(sorted(set(losses["depth"])))
    below.legend()
    joined = data.assign(largest_distance=data["value"]).drop(columns="value").merge(losses, on=["init", "depth"])
    equal = data.loc[data["init"] == "constant", "value"]
    counts = layers.drop_duplicates("run_id").groupby(["init", "depth"]).size()
    return Drawing(
        canvas, joined, {"runs": layers["run_id"].nunique(), "runs_a_point": ends_of(counts), "largest": equal.max()}
    )


def _draw_triangle(axes: Axes, data: pd.DataFrame, highest: float) -> None:
    """One cell per depth and layer with its number; exact zeros stay white."""
    cells: Any = data[["layer", "depth", "value"]].itertuples(index=False, name=None)
    for layer, depth, value in cells:
        shade = str(0.95 - 0.35 * value / highest) if value > 0.0 else "white"
        axes.add_patch(Rectangle((layer - 0.5, depth - 0.5), 1, 1, fc=shade, ec="0.6", lw=0.8))
        axes.text(layer, depth, f"{value:.2g}", ha="center", va="center", fontsize=9)
    last = int(data["depth"].max())
    axes.set(xlim=(0.4, last + 0.6), ylim=(last + 0.6, 0.4), xlabel="hidden layer", ylabel="hidden layers")
    axes.set_xticks(range(1, last + 1))
    axes.set_yticks(range(1, last + 1))


def _losses(layers: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Mean final training loss over seeds with its interval: columns ``by``, ``loss``, ``low``, ``high``, ``runs``."""
    groups = layers.groupby(by, sort=True)[names.LOSS_TRAIN]
    table = pd.DataFrame(
        means_with_intervals([losses.to_numpy() for _, losses in groups]), columns=["loss", "low", "high"]
    )
    return groups.size().reset_index(name="runs").join(table)


@figure
def constant_layers_and_copies(tables: Tables) -> Drawing:
    """Which hidden layers hold copies at the end, for every choice of constant and random layers of weights."""
    layers = hidden_layers(tables)
    depths = layers.loc[layers["init"] == "constant_layers", "depth"]
    if depths.empty:
        raise NotShownError("no run starts from constant and random layers")
    shown = layers[layers["depth"] == depths.mode()[0]]
    data = _layers_at_the_end(shown)
    patterns = sorted(set(data["pattern"]), key=lambda pattern: (pattern.count("c"), pattern))
    canvas = Figure(figsize=(9.0, 1.5 + 0.36 * len(patterns)), layout="constrained")
    network, losses = canvas.subplots(1, 2, sharey=True, width_ratios=[1.5, 1.0])
    for height, pattern in enumerate(patterns):
        _draw_network(network, height, pattern, data[data["pattern"] == pattern])
    ends = data.drop_duplicates("pattern").set_index("pattern").loc[patterns]
    bars = np.abs(ends[["low", "high"]].to_numpy().T - ends["loss"].to_numpy())
    losses.errorbar(ends["loss"], range(len(patterns)), xerr=bars, fmt="o", color="black", ms=4, lw=1.2)
    losses.set(xscale="log", xlabel="final training loss [nats]")
    losses.grid(axis="y", color="0.9")
    weights = len(patterns[0])
    network.set(xlim=(0.2, weights + 0.3), ylim=(len(patterns) - 0.4, -0.6), ylabel="constant layers")
    constant = [", ".join(str(place) for place, letter in enumerate(pattern, start=1) if letter == "c")
                for pattern in patterns]  # fmt: skip
    network.set_yticks(range(len(patterns)), [layers or "none" for layers in constant])
    network.set_xticks(
        [*range(1, weights + 1), *(layer + 0.5 for layer in range(1, weights))],
        [*(f"W({layer})" for layer in range(1, weights + 1)), *(f"\nlayer {layer}" for layer in range(1, weights))],
    )
    network.tick_params(length=0)
    network.spines[["left", "bottom"]].set_visible(False)
    add_legend_above(canvas, SIGNS)
    numbers = {
        "runs": shown["run_id"].nunique(),
        "runs_a_row": ends_of(data["runs"]),
        "starts": len(patterns),
        "with_copies": int((data["distinct"] < data["width"]).sum()),
        "between": int((data["place"] == BETWEEN).sum()),
        "width": ends_of(data["width"]),
    }
    return Drawing(canvas, data, numbers)


def _layers_at_the_end(layers: pd.DataFrame) -> pd.DataFrame:
    """One row per start and hidden layer: the fewest distinct units at the end, and the mean final training loss."""
    layers = layers.assign(
        width=[row["model.hidden_units"][row["layer"] - 1] for row in layers.to_dict("records")],
        distinct=[row[names.symmetry("distinct_units", row["layer"])] for row in layers.to_dict("records")],
    )
    losses = _losses(layers, ["pattern", "layer"])
    return losses.merge(
        layers.groupby(["pattern", "layer"], as_index=False).agg(
            {"place": "first", "width": "first", "distinct": "min"}
        )
    )


def _draw_network(axes: Axes, height: int, pattern: str, layers: pd.DataFrame) -> None:
    """Squares are weights (filled: constant), circles hidden layers (filled: copies) with their distinct units."""
    for place, letter in enumerate(pattern, start=1):
        colour = PALETTE["constant"] if letter == "c" else "white"
        axes.add_patch(Rectangle((place - 0.16, height - 0.3), 0.32, 0.6, fc=colour, ec="0.5", lw=0.8))
    for row in layers.to_dict("records"):
        copies = row["distinct"] < row["width"]
        axes.plot(row["layer"] + 0.5, height, "o", ms=17, mfc="black" if copies else "white", mec="0.5", mew=0.8)
        axes.text(
            row["layer"] + 0.5, height, f"{row['distinct']:g}", ha="center", va="center", fontsize=8,
            color="white" if copies else "black",
        )  # fmt: skip
