"""Axes in inches for diagrams: the same marks on a screen and, turned by a right angle, on a phone."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch

FORWARD = "0.2"
BACKWARD = "#d55e00"  # The colour-blind safe hue that no initialisation has.
RADIUS = 0.27
Point = tuple[float, float]


class Canvas:
    """Axes in inches, and the few marks of a diagram. Every arrow carries its meaning as ``gid``."""

    beside, below = r"$\cdots$", r"$\vdots$"

    def __init__(self, width: float, bottom: float, top: float) -> None:
        self.figure = Figure(figsize=(width, top - bottom))
        self.axes: Axes = self.figure.add_axes((0.0, 0.0, 1.0, 1.0))
        self.axes.set(xlim=(0.0, width), ylim=(bottom, top))
        self.axes.set_axis_off()

    def at(self, x: float, y: float) -> Point:
        """Where a place of the diagram is in the figure."""
        return x, y

    def text(self, x: float, y: float, text: str, **style: Any) -> None:
        defaults: dict[str, Any] = {"ha": "center", "va": "center", "size": 9.5, "color": FORWARD, "zorder": 5}
        self.axes.text(*self.at(x, y), text, **(defaults | style))

    def circle(self, x: float, y: float, text: str) -> None:
        self.axes.add_patch(Circle(self.at(x, y), RADIUS, facecolor="white", edgecolor=FORWARD, lw=1.1, zorder=4))
        self.text(x, y, text)

    def box(self, x: float, y: float, half: Point, text: str, color: str) -> None:
        face = "#fdeadb" if color == BACKWARD else "white"
        look: dict[str, Any] = {"boxstyle": "round,pad=0,rounding_size=0.08", "facecolor": face, "edgecolor": color}
        left, low = np.subtract(self.at(x, y), half)
        self.axes.add_patch(FancyBboxPatch((left, low), 2 * half[0], 2 * half[1], zorder=4, **look))
        self.text(x, y, text, color=color)

    def arrow(self, start: Point, end: Point, gid: str, back: bool = False) -> None:
        look: dict[str, Any] = {"color": BACKWARD, "ls": (0, (3, 2))} if back else {"color": "0.55", "lw": 0.8}
        self.axes.add_patch(
            FancyArrowPatch(
                self.at(*start),
                self.at(*end),
                arrowstyle="-|>",
                mutation_scale=8,
                shrinkA=0,
                shrinkB=0,
                gid=gid,
                **look,
            )
        )


class TurnedCanvas(Canvas):
    """The same marks with the columns below each other: what was above is left.

    Args:
        width: of the figure.
        top: height in the diagram that becomes the left end.
        stretch: of heights, which become places across.
        right: the lower end of the figure, a place across in the diagram.
    """

    beside, below = Canvas.below, Canvas.beside

    def __init__(self, width: float, top: float, stretch: float, right: float) -> None:
        super().__init__(width, -right, 0.0)
        self.top, self.stretch = top, stretch

    def at(self, x: float, y: float) -> Point:
        return self.stretch * (self.top - y), -x
