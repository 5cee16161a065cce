"""Figures 5 and 6: the hidden units of a symmetric and of a random start, before and after training."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import scipy  # It loads those of its packages that are asked for.
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import PatchCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from analysis.figures.features import draw_named_weights, named_features
from analysis.figures.kit.drawing import Drawing, NotShownError, figure
from analysis.figures.kit.style import colours_of, text_colour
from analysis.figures.kit.words import literal
from analysis.figures.starts import COMMAND, Pair, Start, chosen_pair, image_side
from analysis.tracked.tables import Tables
from analysis.wording import amount

MOST_TILES, TILES_A_ROW = 16, 8
MOST_IN_MATRIX = 128  # Units: more would make the data file large, and the picture no clearer.
BETWEEN_TILES = colormaps["RdBu_r"].with_extremes(bad="0.6")
ZERO_IS_WHITE = colormaps["viridis"].with_extremes(bad="white")


@figure
def incoming_weights(tables: Tables) -> Drawing:
    """Incoming weights of the first hidden units as tiles, before and after training, of two starts.

    Images where the inputs are pixels, else rows with the names of the features where they are known, else bars. The
    data frame has one row per start, moment, unit and input; units and inputs are counted from 1.

    Raises:
        NotShownError: there is no pair to compare (see ``chosen_pair``).
    """
    pair = chosen_pair(tables)
    shown = min(pair.units, MOST_TILES)
    side = image_side(str(pair.random.run["data"]), pair.inputs)
    features = [] if side else named_features(tables, pair.random.run, pair.inputs)
    height = 2 * (0.5 + 0.15 * pair.inputs) if features else 1.3 * math.ceil(shown / TILES_A_ROW)
    canvas = Figure(figsize=(10.5, 2.1 + height), layout="constrained")
    for start, half in zip(pair.starts, canvas.subfigures(1, 2, squeeze=False)[0], strict=True):
        text, style = _head(pair, start)
        half.suptitle(text, **style)
        column = half.subplots(2, 1)
        largest = max(np.abs(weights).max() for weights in start.incoming.values()) or 1.0
        scale = Normalize(-largest, largest)
        for (moment, weights), axes in zip(start.incoming.items(), column, strict=True):
            units = weights[:, :shown].T
            if features:
                draw_named_weights(axes, units, features, BETWEEN_TILES, scale)
            elif side:
                axes.imshow(mosaic(units, side), cmap=BETWEEN_TILES, norm=scale, interpolation="none")
            else:
                _draw_bar_tiles(axes, units, scale)
            if not features:
                axes.set_axis_off()
            zero = "" if weights.any() else ", all weights exactly 0"
            distinct = f"{start.distinct[moment]} of {amount(pair.units, 'unit')} distinct"
            axes.set_title(f"{_when(moment, pair)}: {distinct}{zero}")
        colours = ScalarMappable(scale, BETWEEN_TILES)
        bar = half.colorbar(colours, ax=list(column), location="bottom", aspect=35, shrink=0.7)
        bar.ax.xaxis.set_major_locator(MaxNLocator(5, symmetric=True))
        bar.set_label("weight" if side or features else "weight (height and colour of a bar)")
    canvas.suptitle(_shared_settings(pair, shown), size=10)
    frames = []
    for start in pair.starts:
        for moment, weights in start.incoming.items():
            inputs, units = (index.ravel() + 1 for index in np.indices((pair.inputs, shown)))
            frames.append(_rows(start, moment, unit=units, input=inputs, weight=weights[:, :shown].ravel()))
    tiles = "A bar of a tile is the weight of an input."
    if side:
        tiles = "A pixel of a tile is the weight of that pixel of the input."
    elif features:
        tiles = "A column is a unit, a row the weights of the feature that is named beside it."
    numbers = pair.numbers | {"chosen": _chosen(pair, shown), "tiles": tiles}
    return Drawing(canvas, pd.concat(frames, ignore_index=True), numbers)


@figure
def distance_matrices(tables: Tables) -> Drawing:
    """Euclidean distances between the incoming weights of all pairs of hidden units, before and after, of two starts.

    The data frame has one row per start, moment and pair of units (``unit_a`` below ``unit_b``, counted from 1); the
    mean distances in the titles are over all pairs of the layer.

    Raises:
        NotShownError: there is no pair of runs to compare (see ``chosen_pair``), or a single hidden unit.
    """
    pair = chosen_pair(tables)
    if pair.units == 1:
        raise NotShownError("a single hidden unit has no pairs", COMMAND)
    shown = min(pair.units, MOST_IN_MATRIX)
    distances = {
        (start.kind, moment): scipy.spatial.distance.pdist(weights.T)
        for start in pair.starts
        for moment, weights in start.incoming.items()
    }
    scale = Normalize(0.0, max(each.max() for each in distances.values()) or 1.0)
    apart = [kind for kind in dict.fromkeys(kind for kind, _ in distances) if _has_distance(distances, kind)]
    apart = apart or [pair.random.kind]
    canvas = Figure(figsize=(2.6 + 4.6 * len(apart), 4.0), layout="constrained")
    frames = []
    halves = iter(canvas.subfigures(1, len(apart), squeeze=False)[0])
    title = [_shared_settings(pair, shown)]
    for start in pair.starts:
        text, style = _head(pair, start)
        half = next(halves) if start.kind in apart else None
        if half is None:
            title.append(f"{text}: all distances exactly 0, before and after training")
        else:
            half.suptitle(text, **style)
        panels = [None] * len(start.incoming) if half is None else half.subplots(1, len(start.incoming), sharey=True)
        for moment, axes in zip(start.incoming, panels, strict=True):
            each = distances[start.kind, moment]
            matrix = scipy.spatial.distance.squareform(each)[:shown, :shown]
            if axes is not None:
                _draw_matrix(axes, matrix, scale)
                mean = "exactly 0" if not each.any() else f"{each.mean():.3g}"
                axes.set_title(f"{_when(moment, pair)}\nmean distance {mean}")
            first, second = np.triu_indices(shown, k=1)
            frames.append(_rows(start, moment, unit_a=first + 1, unit_b=second + 1, distance=matrix[first, second]))
        if half is not None:
            half.axes[0].set_ylabel("hidden unit")
            colours = ScalarMappable(scale, ZERO_IS_WHITE)
            bar = half.colorbar(colours, ax=list(half.axes), location="bottom", shrink=0.7, aspect=35)
            bar.set_label("distance (colour of the paper: exactly 0)")
    canvas.suptitle("\n".join(title), size=10)
    means = {
        f"{'symmetric' if start is pair.symmetric else 'random'}_{moment}": float(distances[start.kind, moment].mean())
        for start in pair.starts
        for moment in start.incoming
    }
    return Drawing(
        canvas, pd.concat(frames, ignore_index=True), pair.numbers | means | {"chosen": _chosen(pair, shown)}
    )


def _has_distance(distances: Mapping[tuple[str, str], np.ndarray], kind: str) -> bool:
    """Whether any two units of a start are apart, before or after training."""
    return any(each.any() for (of, _), each in distances.items() if of == kind)


def _head(pair: Pair, start: Start) -> tuple[str, dict[str, Any]]:
    """Which start the panels below are, as text and its style."""
    text = literal(f"{start.title}, {pair.loss_name} {start.run[pair.metric]:.3g}")
    return text, {
        "weight": "bold",
        "color": text_colour(colours_of([start.run["init"]])[start.run["init"]]),
        "size": 10.5,
    }


def _shared_settings(pair: Pair, shown: int) -> str:
    """What both runs have in common and how many units are shown, for the title."""
    run = pair.random.run
    units = f"{pair.units} {run['model.activation']} unit{'' if pair.units == 1 else 's'}"
    network = literal(f"{run['data']}, {amount(pair.inputs, 'input')}, first hidden layer of {units}")
    selection = f"; units 1 to {shown} shown" if shown < pair.units else ""
    return f"{network}; learning rate {run['optimizer.learning_rate']:g}, seed {run['seed']}{selection}"


def _chosen(pair: Pair, shown: int) -> str:
    return f"the first {shown} of {pair.units}" if shown < pair.units else f"the {pair.units}"


def _when(moment: str, pair: Pair) -> str:
    return "before training" if moment == "before" else f"after {pair.random.run['training.steps']} steps"


def _rows(start: Start, moment: str, **columns: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame({"run_id": start.run["run_id"], "init": start.run["init"], "moment": moment, **columns})


def mosaic(units: np.ndarray, side: int, a_row: int = TILES_A_ROW) -> np.ndarray:
    """Square images of the units, so many a row, as one image with NaN between them.

    Args:
        units: (units, side * side).
    """
    gap = max(1, side // 12)
    columns = min(len(units), a_row)
    rows = math.ceil(len(units) / columns)
    image = np.full((rows * (side + gap) + gap, columns * (side + gap) + gap), np.nan)
    for number, unit in enumerate(units):
        top, left = (place * (side + gap) + gap for place in divmod(number, columns))
        image[top : top + side, left : left + side] = unit.reshape(side, side)
    return image


def _draw_bar_tiles(axes: Axes, units: np.ndarray, scale: Normalize) -> None:
    """One tile of bars per unit, eight a row: an input a bar, up for positive weights; a tile's height is the scale.

    Args:
        units: (units, inputs).
    """
    columns = min(len(units), TILES_A_ROW)
    rows = math.ceil(len(units) / columns)
    bars, frames = [], []
    inside, width = 0.9, 0.9 / units.shape[1]
    for number, unit in enumerate(units):
        row, column = divmod(number, columns)
        frames.append(Rectangle((column, -row), inside, inside))
        axes.hlines(inside / 2 - row, column, column + inside, color="0.6", lw=0.6)
        for place, weight in enumerate(unit):
            height = inside / 2 * weight / scale.vmax
            bars.append(Rectangle((column + place * width, inside / 2 - row), width, height))
    axes.add_collection(PatchCollection(frames, facecolor="none", edgecolor="0.6", lw=0.8))
    edge = "0.3" if units.shape[1] <= 64 else "none"
    colours = BETWEEN_TILES(scale(units.ravel()))
    axes.add_collection(PatchCollection(bars, facecolor=colours, edgecolor=edge, lw=0.3))
    axes.set(xlim=(-0.05, columns), ylim=(0.95 - rows, 0.95), aspect="equal")


def _draw_matrix(axes: Axes, matrix: np.ndarray, scale: Normalize) -> None:
    units = len(matrix)
    edges = (0.5, units + 0.5, units + 0.5, 0.5)
    masked = np.ma.masked_equal(matrix, 0.0)
    axes.imshow(masked, cmap=ZERO_IS_WHITE, norm=scale, extent=edges, interpolation="none")
    if not matrix.any():
        axes.text(0.5, 0.5, "all 0", transform=axes.transAxes, ha="center", va="center", size=14)
    axes.spines[["top", "right"]].set_visible(True)
    axes.set_xlabel("hidden unit")
    ticks = sorted({1, *range(0, units + 1, max(1, math.ceil(units / 4)))} - {0})
    axes.set_xticks(ticks)
    axes.set_yticks(ticks)
