"""What a figure is: a function of the tables, registered under its name, with its words in a YAML file.

``analysis/captions/NAME.yaml`` holds ``number`` (the order on the page), ``title``, ``question`` and ``caption``. The
caption may use the figure's computed numbers: ``{best_loss:.3f}``.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import pandas as pd
from matplotlib.figure import Figure

from analysis.tracked.tables import Tables


class Drawing(NamedTuple):
    """A drawn figure.

    Attributes:
        figure: the picture.
        data: the numbers that it shows, one row per mark; written beside it as CSV.
        numbers: values for the placeholders of the caption.
    """

    figure: Figure
    data: pd.DataFrame
    numbers: Mapping[str, Any]


class NotShownError(Exception):
    """These runs cannot make this figure; the message says why, and which command makes runs that can.

    Attributes:
        reason: why.
        command: the command; empty where the reason says it all.
    """

    def __init__(self, reason: str, command: str = "") -> None:
        super().__init__(f"{reason}; try {command}" if command else reason)
        self.reason = reason
        self.command = command


Draw = Callable[[Tables], Drawing]
FIGURES: dict[str, Draw] = {}
"""Figures for every experiment."""
FIGURES_OF_QUESTIONS: dict[str, dict[str, Draw]] = {}
"""Figures of a prepared question: question -> name -> function."""


def figure(draw: Draw) -> Draw:
    """Registers a figure under its function name."""
    FIGURES[draw.__name__] = draw
    return draw


def figure_of(question: str) -> Callable[[Draw], Draw]:
    """Registers a figure under its function name, for experiments that were made by a prepared question."""

    def register(draw: Draw) -> Draw:
        FIGURES_OF_QUESTIONS.setdefault(question, {})[draw.__name__] = draw
        return draw

    return register
