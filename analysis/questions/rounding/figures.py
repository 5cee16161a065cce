"""The figures of the question ``rounding``."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from analysis.figures.kit.drawing import Drawing, NotShownError, figure
from analysis.figures.kit.style import SHADES, add_legend_above, set_step_axis, set_value_axis
from analysis.figures.kit.words import loss_label
from analysis.questions.rounding.answer import END_OF_GROWTH, OWN_ROUNDING, symmetric_networks
from analysis.tracked.tables import Tables
from analysis.wording import amount
from pipeline import names

STYLES: dict[str, dict[str, Any]] = {
    "exact": {"color": "#000000", "marker": "x", "ls": ""},
    "blas, float64": {"color": "#0173b2", "marker": "o", "ls": "", "mfc": "none"},
    "blas, float32": {"color": "#de8f05", "marker": "s", "ls": "", "mfc": "none"},
}
MOST_TICKS = 4
"""On the vertical axis of a row."""


@figure
def rounding_distance(tables: Tables) -> Drawing:
    """The distance between the units over the steps, one line per width, a panel per product.

    Raises:
        NotShownError: no run from equal weights.
    """
    networks = symmetric_networks(tables)
    if networks.empty:
        raise NotShownError("no network started from a constant")
    columns = ["run_id", "product", "width"]
    data = tables.curves[tables.curves["metric"] == names.DISTANCE].merge(networks[columns], on="run_id")
    data = data[[*columns, "step", "value"]].sort_values(["product", "width", "run_id", "step"], ignore_index=True)
    products = [product for product in STYLES if product in set(data["product"])]
    canvas = Figure(figsize=(1.5 + 3.2 * len(products), 3.8), layout="constrained")
    grid = canvas.subplots(1, len(products), sharex=True, sharey=True, squeeze=False)[0]
    colours = ScalarMappable(Normalize(data["width"].min(), data["width"].max()), SHADES)
    for axes, product in zip(grid, products, strict=True):
        lines = data[data["product"] == product]
        for _, line in lines.groupby(["width", "run_id"]):
            axes.plot(line["step"], line["value"], color=colours.to_rgba(line["width"].iloc[0]), lw=1.0)
        axes.set_title(f"{product}\n{amount(lines['width'].nunique(), 'width')}")
        axes.set_xlabel("step")
        set_step_axis(axes)
    set_value_axis(grid[0], data["value"])
    grid[0].set_ylabel("distance between hidden units")
    canvas.colorbar(colours, ax=grid, label="hidden units")
    at_end = networks.groupby("product")["largest"].agg(lambda largest: int((largest > 0.0).sum()))
    broken = ", ".join(
        f"{at_end[product]} of {(networks['product'] == product).sum()} ({product})" for product in products
    )
    return Drawing(canvas, data, {"runs": len(networks), "broken": broken})


@figure
def rounding_widths(tables: Tables) -> Drawing:
    """For every width: the final distance, the step at which it left 0, its growth rate, and the final loss.

    Raises:
        NotShownError: no run from equal weights.
    """
    networks = symmetric_networks(tables)
    if networks.empty:
        raise NotShownError("no network started from a constant")
    rows = {
        "distance": "final distance\nbetween units",
        "leaves": "distance leaves 0\nat step",
        "rate": "growth rate\nper step",
        "loss": f"final {loss_label(networks, names.LOSS_TRAIN)}",
    }
    data = networks[["run_id", "product", "width", *rows]]
    canvas = Figure(figsize=(8.5, 8.5), layout="constrained")
    for axes, (column, label) in zip(canvas.subplots(len(rows), 1, sharex=True), rows.items(), strict=True):
        for product, style in STYLES.items():
            points = data[data["product"] == product]
            axes.plot(points["width"], points[column], **style)
        _set_row_axis(axes, column, data[column].dropna())
        axes.set_ylabel(label)
    axes.set_xlabel("hidden units")
    canvas.align_ylabels()
    add_legend_above(canvas, {product: STYLES[product] for product in STYLES if product in set(data["product"])})
    return Drawing(canvas, data, {"runs": len(data), "own_rounding": OWN_ROUNDING, "end": END_OF_GROWTH})


def _set_row_axis(axes: Axes, column: str, values: "pd.Series[float]") -> None:
    if column == "distance":
        set_value_axis(axes, values)
        ticks = axes.get_yticks()
        axes.set_yticks(
            [0.0, *sorted(ticks[ticks > 0.0])[:: -(-len(ticks) // MOST_TICKS)]] if (ticks == 0.0).any() else ticks
        )
    elif column == "leaves":
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(numticks=MOST_TICKS))
        axes.yaxis.set_minor_locator(NullLocator())
    else:
        axes.yaxis.set_major_locator(MaxNLocator(MOST_TICKS))
    axes.grid(axis="x", color="0.92")
