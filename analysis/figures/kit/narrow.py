"""A figure for a phone: its panels below each other, its texts as large as on a screen."""

from textwrap import fill
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.gridspec import GridSpec, SubplotSpec
from matplotlib.ticker import LogLocator
from numpy.typing import NDArray

from analysis.figures.kit.style import CHARACTER_INCHES, HANDLE_INCHES

WIDTH = 4.3
"""Inches: a phone of 390 pixels shows a text of 10 points as 9."""
CHARACTERS = 48
FEW_TICKS = 6
"""On a logarithmic axis across; powers of ten would touch each other."""
BETWEEN = 0.75
"""Inches for the title and the labels of a panel."""


def stack_panels(canvas: Figure) -> bool:
    """Moves the panels of a drawn figure below each other, if it is wider than a phone and its layout can follow.

    The layout must have been computed once, by saving the figure. Subfigures go below each other, too.

    Returns:
        Whether the figure has changed.
    """
    if canvas.get_figwidth() <= WIDTH or canvas.get_layout_engine() is None:
        return False
    parts: list[Any] = list(canvas.subfigs) or [canvas]
    heights = [_stack(part, np.array(part.bbox.size) / canvas.dpi) for part in parts]
    if canvas.subfigs:
        grid = GridSpec(len(heights), 1, figure=canvas, height_ratios=heights)
        for place, part in enumerate(parts):
            part._subplotspec = grid[place]  # Matplotlib has no public way to move a part of a figure.
    legends = [_fold(canvas, legend) for legend in list(canvas.legends)]
    _wrap_title(canvas)
    if label := canvas.get_supxlabel():
        canvas.supxlabel(_wrapped(label), fontsize="medium")
    canvas.set_size_inches(WIDTH, sum(heights) + sum(legends) + 0.3)
    return True


def placed_panels(part: Figure | SubFigure) -> dict[Axes, SubplotSpec]:
    """The axes of a figure or a part of one with their places, without those of colour bars."""
    places = {axes: axes.get_subplotspec() for axes in part.axes if axes.get_label() != "<colorbar>"}
    return {axes: place for axes, place in places.items() if place is not None}


def _stack(part: Any, inches: NDArray[Any]) -> float:
    """Puts the panels of a part, so wide and high, into one column; returns the inches that it needs."""
    panels = _by_head(placed_panels(part))
    room = WIDTH - 0.9
    heights = []
    for axes in panels:
        width, height = axes.get_position().size * inches
        # A panel that has room to grow keeps its height, one that must shrink its shape.
        heights.append(float(max(1.0, height * min(1.0, room / width))))
    for axes, place in panels.items():
        beside = [other.get_ylabel() for other, there in panels.items() if there.rowspan == place.rowspan]
        axes.set_ylabel(axes.get_ylabel() or next(filter(None, beside), ""))
        axes.set_title(_wrapped(axes.get_title()))
        if type(ticks := axes.xaxis.get_major_locator()) is LogLocator:
            ticks.set_params(numticks=FEW_TICKS)
        if len(axes.get_shared_y_axes().get_siblings(axes)) > 1:
            axes.tick_params(labelleft=True)
    grid = GridSpec(len(panels), 1, figure=part, height_ratios=heights)
    for row, axes in enumerate(panels):
        axes.set_subplotspec(grid[row])
    _wrap_title(part)
    bars = len(part.axes) - len(panels)
    return sum(heights) + BETWEEN * len(panels) + 0.5 * bars + 0.25 * part.get_suptitle().count("\n")


def _by_head(panels: dict[Axes, SubplotSpec]) -> dict[Axes, SubplotSpec]:
    """The panels in their order, but one without a title right below that in its column whose title it shares."""
    order = list(panels)

    def head(axes: Axes) -> int:
        place = panels[axes]
        above = [
            other
            for other, there in panels.items()
            if other.get_title() and there.colspan == place.colspan and there.rowspan.start <= place.rowspan.start
        ]
        return order.index(max(above, key=lambda other: panels[other].rowspan.start, default=axes))  # fmt: skip

    return {axes: panels[axes] for axes in sorted(order, key=head)}


def _fold(canvas: Figure, legend: Any) -> float:
    """Replaces a legend by one with as many columns as there is room for; returns the inches that it takes."""
    labels = [text.get_text() for text in legend.get_texts()]
    handles = legend.legend_handles
    legend.remove()
    columns = max(1, int(WIDTH / (HANDLE_INCHES + CHARACTER_INCHES * max(map(len, labels), default=1))))
    canvas.legend(handles, labels, loc="outside upper center", ncols=columns, handlelength=2.0, columnspacing=1.0)
    return 0.24 * -(-len(labels) // columns)


def _wrap_title(part: Any) -> None:
    if title := part.get_suptitle():
        part.suptitle(_wrapped(title), fontsize="medium")


def _wrapped(text: str) -> str:
    return "\n".join(fill(line, CHARACTERS) for line in text.splitlines())
