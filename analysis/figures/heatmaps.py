"""Figure 4: final loss and accuracy of every initialisation at every learning rate."""

from collections.abc import Sequence
from textwrap import fill
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure

from analysis.figures.kit.drawing import Drawing, NotShownError, figure
from analysis.figures.kit.style import set_plain_log_ticks
from analysis.figures.kit.words import (
    distinguishing,
    final_metric,
    labelled,
    literal,
    loss_label,
    param_texts,
    part_of,
    usable,
)
from analysis.statistics.intervals import means_with_intervals
from analysis.tracked.tables import Tables
from analysis.wording import SWEEP, amount, counted, lost
from pipeline import names

MOST_ROWS = 40
MOST_RATES = 14
SIDE_BY_SIDE = 6
"""With more learning rates than this, the accuracy goes below the loss."""
SMALLEST_LOSS = 1e-12
"""Where the logarithmic colours end; a loss of 0 has none of its own."""
LABEL_WIDTH = 28
"""Characters of a row's label in one line."""
TEXT_SIZE = 9.0


class Quantity(NamedTuple):
    """How a final quantity is shown.

    Attributes:
        name: ``loss`` or ``accuracy``.
        label: with its unit.
        colours: name of a sequential colour map.
        norm: from shown values to 0..1; the same for all models.
        scale: shown value of one unit of the metric.
        digits: format of the mean and of the ends of its interval.
    """

    name: str
    label: str
    colours: str
    norm: Normalize
    scale: float
    digits: str


@figure
def final_heatmaps(tables: Tables) -> Drawing:
    """Means over seeds of the final loss and accuracy, learning rates by initialisations, a pair per model."""
    runs = tables.runs.dropna(subset=[names.RATE])
    metrics = {name: key for name in ("loss", "accuracy") if (key := final_metric(runs, name)) is not None}
    if "loss" not in metrics:
        if runs["diverged"].any():
            raise NotShownError("every run diverged", f"{SWEEP} optimizer.learning_rate=0.01,0.1")
        raise NotShownError("no run has a final loss", SWEEP)
    cells = pd.concat([_cells(runs, name, key) for name, key in metrics.items()], ignore_index=True)
    rows = cells.groupby("model", sort=True)["row"].nunique()
    rates = sorted(set(runs[names.RATE]))
    if rows.max() > MOST_ROWS or len(rates) > MOST_RATES:
        raise NotShownError(
            f"{amount(int(rows.max()), 'row')} by {len(rates)} learning rates, where {MOST_ROWS} by {MOST_RATES} have"
            " room",
            f"{SWEEP} experiment_name=NAME ...",
        )
    quantities = [_quantity(runs, cells, name, key) for name, key in metrics.items()]
    longest = min(LABEL_WIDTH, int(cells["row"].map(len).max()))
    canvas, grid, width = _grid(rows.to_list(), len(quantities), len(rates), longest)
    counts = (cells["runs"] + cells["diverged"]).tolist()
    meshes = {}
    for model, model_axes in zip(rows.index, grid, strict=True):
        for quantity, axes in zip(quantities, model_axes, strict=True):
            panel = cells[(cells["model"] == model) & (cells["quantity"] == quantity.name)]
            meshes[quantity.name] = _draw_panel(axes, panel, rates, quantity, width, min(counts) < max(counts))
            axes.set_title(f"{literal(model)}: final {quantity.label}")
    for column, quantity in enumerate(quantities):
        of_quantity = [axes[column] for axes in grid]
        bar = canvas.colorbar(meshes[quantity.name], ax=of_quantity, location="bottom", aspect=40, shrink=0.8, pad=0.02)
        bar.set_label(f"mean final {quantity.label}")
        if quantity.name == "loss":
            set_plain_log_ticks(bar.ax.xaxis, *bar.ax.get_xlim())
    losses = cells[cells["quantity"] == "loss"]
    diverged = int(losses["diverged"].sum())
    each = "one run a cell" if max(counts) == 1 else f"mean of {counted(counts)} runs a cell [95 % t interval]"
    fate = f"{diverged} diverged, in no mean" if diverged else "no run diverged"
    canvas.suptitle(f"{amount(len(runs), 'run')}, {each}; {fate}", fontsize="medium")
    numbers = {
        "part": part_of(metrics["loss"]),
        "quantities": " and ".join(metrics),
        "runs": len(runs),
        "diverged": diverged,
        "lost": lost(diverged, "they are in no mean"),
        "runs_a_cell": counted(counts),
        "best": "; ".join(_best(losses[losses["model"] == model]) for model in rows.index),
    }
    return Drawing(canvas, cells, numbers)


def _cells(runs: pd.DataFrame, name: str, metric: str) -> pd.DataFrame:
    """One row per model, initialisation (and whatever else the runs of one seed differ in) and learning rate.

    Returns:
        Columns ``model``, ``row`` (label), ``init``, ``learning_rate``, ``quantity``, ``metric``, ``mean``, ``low``,
        ``high``, ``runs`` (in the mean), ``diverged`` (not in the mean).
    """
    keys, kept, lost = [], [], []
    group: Any
    for model, of_model in runs.groupby("model", sort=True):
        texts = param_texts(of_model)
        fixed = ["init", names.RATE, "seed"]
        further = distinguishing(texts, fixed, [key for key in map(str, texts) if key not in fixed])
        rows = labelled(texts, ["init", *further])
        counts = usable(of_model, metric)
        for group, part in of_model.groupby([rows, "init", names.RATE], observed=True, sort=True):
            keys.append((model, *group))
            kept.append(part.loc[counts[part.index], metric].to_numpy(float))
            lost.append(len(part) - len(kept[-1]))
    cells = pd.DataFrame(keys, columns=["model", "row", "init", "learning_rate"])
    cells[["quantity", "metric"]] = name, metric
    cells[["mean", "low", "high"]] = means_with_intervals(kept)
    return cells.assign(runs=[len(values) for values in kept], diverged=lost)


def _quantity(runs: pd.DataFrame, cells: pd.DataFrame, name: str, metric: str) -> Quantity:
    if name == "accuracy":
        label = f"{part_of(metric)} accuracy [%]"
        return Quantity(name, label, "Blues", Normalize(0.0, 100.0), scale=100.0, digits=".1f")
    means = cells.loc[cells["quantity"] == name, "mean"].dropna().clip(lower=SMALLEST_LOSS)
    low, high = (means.min(), means.max()) if len(means) else (1.0, 1.0)
    # Equal ends would leave no colours between them.
    norm = LogNorm(low / 1.1, high * 1.1)
    return Quantity(name, loss_label(runs, metric), "Oranges", norm, scale=1.0, digits="#.3g")


def _grid(rows: Sequence[int], quantities: int, rates: int, longest: int) -> tuple[Figure, list[list[Axes]], float]:
    """The axes of each model's quantities, beside or (with many rates) below each other, and a cell's width in inches.

    Args:
        rows: of each model's heatmaps.
        longest: characters of the longest row label.
    """
    columns = quantities if rates <= SIDE_BY_SIDE else 1
    heights = [0.5 * count + 0.5 for count in rows for _ in range(quantities // columns)]
    labels = 0.4 + 0.08 * longest
    width = min(11.0, labels + columns * max(3.2, 1.35 * rates))
    canvas = Figure(figsize=(width, sum(heights) + 1.2 + 0.7 * (quantities // columns)), layout="constrained")
    ratios = {"height_ratios": heights}
    grid = canvas.subplots(len(heights), columns, sharey="row", squeeze=False, gridspec_kw=ratios)
    return canvas, grid.reshape(len(rows), quantities).tolist(), (width - labels) / columns / rates


def _draw_panel(
    axes: Axes, panel: pd.DataFrame, rates: list[float], quantity: Quantity, width: float, show_counts: bool
) -> Any:
    rows = list(dict.fromkeys(panel["row"]))
    place_x, place_y = ({value: index for index, value in enumerate(values)} for values in (rates, rows))
    values = np.full((len(rows), len(rates)), np.nan)
    cell: Any
    for cell in panel.itertuples():
        x, y = place_x[cell.learning_rate], place_y[cell.row]
        values[y, x] = max(cell.mean * quantity.scale, SMALLEST_LOSS) if cell.runs else np.nan
        colour = text_colour(quantity.colours, quantity.norm, values[y, x])
        write_lines(axes, (x, y), _lines(cell, quantity, show_counts), colour, width)
    axes.set_facecolor("0.9")
    mesh = axes.pcolormesh(
        np.ma.masked_invalid(values), cmap=quantity.colours, norm=quantity.norm, edgecolors="white", linewidth=1
    )
    axes.set_xticks(np.arange(len(rates)) + 0.5, [f"{rate:g}" for rate in rates])
    axes.set_yticks(np.arange(len(rows)) + 0.5, [literal(fill(row, LABEL_WIDTH)) for row in rows])
    axes.set_ylim(len(rows), 0)
    axes.set_xlabel("learning rate")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return mesh


def _lines(cell: Any, quantity: Quantity, show_counts: bool) -> list[tuple[str, bool]]:
    """The texts of a cell, and whether each is a smaller one."""
    if not cell.runs:
        return [("diverged", False)]
    mean, low, high = (
        f"{value * quantity.scale:{quantity.digits}}".rstrip(".") for value in (cell.mean, cell.low, cell.high)
    )
    below = [f"[{low}, {high}]"] if cell.runs > 1 else []
    if cell.diverged:
        below.append(f"{cell.diverged} of {cell.runs + cell.diverged} diverged")
    elif show_counts:
        below.append(amount(cell.runs, "run"))
    return [(mean, False), *((text, True) for text in below)]


def _best(cells: pd.DataFrame) -> str:
    """The cell of a model with the lowest mean loss, in words."""
    best = cells.sort_values("mean", kind="stable").iloc[0]
    if not best["runs"]:
        return f"{best['model']}: every run diverged"
    ends = f" [{best['low']:.3g}, {best['high']:.3g}]" if best["runs"] > 1 else ""
    return f"{best['model']}: {best['row']} at learning rate {best['learning_rate']:g}, {best['mean']:.3g}{ends}"


def write_lines(
    axes: Axes, cell: tuple[int, int], lines: Sequence[tuple[str, bool]], colour: str, width: float, bold: bool = False
) -> None:
    """Writes lines of text into the middle of a heatmap's cell (column, row).

    Args:
        lines: texts, and whether each is set smaller.
        colour: of the text.
        width: of the cell in inches; too long a line is set smaller still.
        bold: whether the larger texts are bold.
    """
    for index, (text, smaller) in enumerate(lines):
        # A character of DejaVu Sans is about 0.6 of its size wide.
        fitting = 0.92 * 72 * width / (0.6 * len(text))
        axes.annotate(
            text,
            (cell[0] + 0.5, cell[1] + 0.5),
            xytext=(0.0, 1.3 * TEXT_SIZE * ((len(lines) - 1) / 2 - index)),
            textcoords="offset points",
            annotation_clip=False,
            in_layout=False,
            ha="center",
            va="center",
            fontsize=min(0.8 * TEXT_SIZE if smaller else TEXT_SIZE, fitting),
            fontweight="bold" if bold and not smaller else "normal",
            color=colour,
        )


def text_colour(colours: str, norm: Normalize, value: float) -> str:
    """Black or white, whichever reads better on the colour of a value; black on the grey of a missing one."""
    if np.isnan(value):
        return "black"
    red, green, blue, _ = colormaps[colours](float(norm(value)))
    # Relative luminance of sRGB without its gamma: enough to choose between two.
    return "black" if 0.299 * red + 0.587 * green + 0.114 * blue > 0.5 else "white"
