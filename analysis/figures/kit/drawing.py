"""The registry of figures: each a function of the tables under its name, with its words in YAML beside its module.

``captions.yaml`` holds for each figure ``number`` (the order on the page), ``title``, ``question`` and ``caption``; for
one of a question, too, ``claims``, the numbers of the statements that it shows. The caption may use the figure's
computed numbers: ``{best_loss:.3f}``.
"""

from collections.abc import Callable, Mapping
from functools import cache, wraps
from importlib.resources import files
from typing import Any, NamedTuple

import pandas as pd
import yaml
from matplotlib.figure import Figure

from analysis.claims.answer import question_of
from analysis.figures.kit.style import simplify_axes
from analysis.tracked.tables import Tables
from analysis.wording import sweep_of


class Drawing(NamedTuple):
    """A drawn figure.

    Attributes:
        figure: the picture.
        data: the numbers that it shows, one row per mark; written beside it as CSV.
        numbers: values for the placeholders of the caption.
        narrow: the picture for a phone, where its panels below each other are none.
    """

    figure: Figure
    data: pd.DataFrame
    numbers: Mapping[str, Any]
    narrow: Figure | None = None


class NotShownError(Exception):
    """These runs cannot make this figure; the message says why, and which command makes runs that can.

    Attributes:
        reason: why.
        command: the command; a figure of a question leaves it out, because its registration adds the question's.
    """

    def __init__(self, reason: str, command: str = "") -> None:
        super().__init__(f"{reason}; try {command}")
        self.reason = reason
        self.command = command


Draw = Callable[[Tables], Drawing]
FIGURES: dict[str, Draw] = {}
"""Figures for every experiment."""
FIGURES_OF_QUESTIONS: dict[str, dict[str, Draw]] = {}
"""Figures of a prepared question: question -> name -> function."""


def figure(draw: Draw) -> Draw:
    """Registers a figure under its function's name: for every experiment, or in a question's folder for its sweeps."""
    question = question_of(draw)

    @wraps(draw)
    def drawn(tables: Tables) -> Drawing:
        try:
            drawing = draw(tables)
        except NotShownError as error:
            raise NotShownError(error.reason, sweep_of(question) if question else error.command) from None
        simplify_axes(drawing.figure)
        return drawing

    (FIGURES_OF_QUESTIONS.setdefault(question, {}) if question else FIGURES)[draw.__name__] = drawn
    return drawn


def words_of(draw: Draw) -> dict[str, Any]:
    """``number``, ``title``, ``question``, ``caption`` and ``claims`` of a figure."""
    return dict(_captions(draw.__module__.rpartition(".")[0])[draw.__name__])


@cache
def _captions(package: str) -> dict[str, Any]:
    return dict(yaml.safe_load((files(package) / "captions.yaml").read_text(encoding="utf-8")))
