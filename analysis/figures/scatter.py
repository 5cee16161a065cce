"""Figure 7: does breaking the symmetry predict learning?"""

import math
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import ScaledTranslation

from analysis.figures.kit.drawing import Drawing, NotShownError, figure
from analysis.figures.kit.style import (
    add_legend_above,
    colours_of,
    schemes_in,
    set_plain_log_ticks,
    set_ticks_with_zero,
)
from analysis.figures.kit.words import distinguishing, final_metric, loss_label, param_texts, part_of, usable
from analysis.statistics.intervals import rank_correlation
from analysis.tracked.tables import Tables
from analysis.wording import MINUS, SWEEP, amount, lost
from pipeline import names

MOST_COLUMNS = 3


@figure
def distance_and_loss(tables: Tables) -> Drawing:
    """Final loss of every network against the final distance between its hidden units."""
    runs = tables.runs[tables.runs["model"] == "mlp"]
    distances = runs.get(names.DISTANCE, pd.Series(np.nan, runs.index)).astype(float)
    # A diverged run has neither a final distance nor a final loss, but it is counted.
    measured = runs[runs["diverged"] | distances.notna()]
    if measured.empty:
        raise NotShownError(
            "no run has hidden units whose distance was measured",
            f"{SWEEP} model=mlp init=zeros,constant,xavier_uniform",
        )
    metric = final_metric(measured, "loss")
    kept = measured[usable(measured, metric) & np.isfinite(distances)[measured.index]] if metric else measured[:0]
    if metric is None or kept.empty:
        raise NotShownError(
            f"every network diverged ({amount(len(measured), 'run')})",
            f"{SWEEP} model=mlp optimizer.learning_rate=0.01,0.1",
        )
    keys = ["init", names.RATE, "seed", names.DISTANCE, metric]
    data = kept[[*keys, "run_id"]].assign(metric=metric).sort_values([*keys, "run_id"], ignore_index=True)
    data.columns = pd.Index(["init", "learning_rate", "seed", "distance", "loss", "run_id", "metric"])
    broken = data[data["distance"] > 0.0]
    overall, without_symmetric = (_correlation(part) for part in (data, broken))
    texts = param_texts(kept)
    also = distinguishing(
        texts, ["init", names.RATE, "seed"], [key for key in map(str, texts) if key not in (*keys, "model")]
    )
    numbers = {
        "part": part_of(metric),
        "runs": len(data),
        "diverged": len(measured) - len(kept),
        "lost": lost(len(measured) - len(kept), "they have no final loss and are left out"),
        "symmetric": len(data) - len(broken),
        "correlation": overall,
        "correlation_without_symmetric": without_symmetric,
        "also": f"The runs also differ in {', '.join(also)}." if also else "",
    }
    rates = sorted(set(data["learning_rate"]))
    columns = min(len(rates), MOST_COLUMNS)
    rows = -(-len(rates) // columns)
    canvas = Figure(figsize=(min(11.0, 2.2 + 3.0 * columns), 1.0 + 3.4 * rows), layout="constrained")
    grid = canvas.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    colours = colours_of(schemes_in(data["init"]))
    for axes, rate in zip(grid, rates, strict=False):
        at_rate = data[data["learning_rate"] == rate]
        _set_distance_axis(axes, data["distance"].to_numpy())
        _draw_points(axes, at_rate, colours)
        axes.set_yscale("log")
        set_plain_log_ticks(axes.yaxis, data["loss"].min(), data["loss"].max())
        alone = _correlation(at_rate[at_rate["distance"] > 0.0])
        axes.set_title(
            f"learning rate {rate:g}, {amount(len(at_rate), 'network')}\nrank correlation {_correlation(at_rate)}\n"
            f"without exact symmetry {alone}",
            size=9,
        )
    for axes in grid[len(rates) :]:
        axes.set_visible(False)
    for axes in grid[::columns]:
        axes.set_ylabel(f"final {loss_label(runs, metric)}")
    canvas.supxlabel("final mean distance between the incoming weights of two hidden units", size="medium")
    handles = {scheme: {"color": colour, "marker": "o", "ls": ""} for scheme, colour in colours.items()}
    add_legend_above(canvas, handles)
    return Drawing(canvas, data, numbers)


def _correlation(data: pd.DataFrame) -> str:
    """Spearman's, with its interval over runs."""
    value, low, high = rank_correlation(data["distance"].to_numpy(), data["loss"].to_numpy())
    if math.isnan(value):
        return "not defined (fewer than three runs, or no variation)"
    return f"{value:.2f} [{low:.2f}, {high:.2f}]".replace("-", MINUS)


def _draw_points(axes: Axes, data: pd.DataFrame, colours: dict[str, str]) -> None:
    at_zero = schemes_in(data.loc[data["distance"] == 0.0, "init"])
    group: Any
    for group, points in data.groupby(["init", data["distance"] == 0.0], sort=True):
        scheme, is_zero = group
        (line,) = axes.plot(
            points["distance"], points["loss"], "o", color=colours[scheme],
            alpha=0.7, ms=6, markeredgecolor="white", markeredgewidth=0.4,
        )  # fmt: skip
        if is_zero:
            # Exact zeros of several schemes stand side by side.
            aside = (at_zero.index(scheme) - (len(at_zero) - 1) / 2) * 8 / 72
            line.set_transform(axes.transData + ScaledTranslation(aside, 0, axes.figure.dpi_scale_trans))


def _set_distance_axis(axes: Axes, distances: np.ndarray) -> None:
    """Logarithmic; if there are exact zeros, linear from 0 to the decade below the smallest other distance."""
    positive = distances[distances > 0.0]
    if len(positive) == len(distances):
        axes.set_xscale("log")
        return
    smallest, largest = (positive.min(), positive.max()) if len(positive) else (0.1, 1.0)
    smallest = 10.0 ** math.floor(math.log10(smallest))
    # The linear part takes a tenth of the axis, however many decades the rest spans.
    axes.set_xscale("symlog", linthresh=smallest, linscale=max(1.0, 0.1 * math.log10(largest / smallest)))
    axes.set_xlim(-0.4 * smallest, largest * (largest / smallest) ** 0.05)
    set_ticks_with_zero(axes.xaxis, smallest, largest)
    axes.axvline(0.0, color="0.85", lw=0.8, zorder=0)
