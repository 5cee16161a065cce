"""Tables and figures from Python: functions of a frame of runs (``Runs``), for notebooks and scripts.

Every figure of the report is such a function under its name: ``analysis.loss_over_steps(runs)``.
"""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import pandas as pd
from matplotlib.figure import Figure

from analysis.claims.source_text import claims_of, claims_table
from analysis.errors import ReportError
from analysis.figures import FIGURES, Drawing, NotShownError
from analysis.figures.kit.drawing import FIGURES_OF_QUESTIONS, words_of
from analysis.figures.kit.style import house_style
from analysis.questions import ANSWERS
from analysis.tracked.runs import Runs, load

__all__ = ["Runs", "answer", "drawing", "figure_named", "figure_names", "load", "verdicts"]

DRAWN = {**FIGURES, **{name: draw for own in FIGURES_OF_QUESTIONS.values() for name, draw in own.items()}}
DOTS_PER_INCH = 80
"""Of pictures in notebooks, which keep them."""


def verdicts(runs: Runs) -> pd.DataFrame:
    """The statements of the exercise sheet with what these runs say of them, a row each (``docs/frames.md``)."""
    return claims_table(claims_of(_require_runs(runs).tables()))


def answer(runs: Runs, question: str) -> tuple[pd.DataFrame, str]:
    """The statements of a prepared question as these runs decide them, and the conclusion in words.

    Raises:
        ReportError: there is no such question.
    """
    if question not in ANSWERS:
        raise ReportError(f"question: expected one of {', '.join(ANSWERS)}, got {question!r}")
    decided, conclusion = ANSWERS[question].function(_require_runs(runs).tables())
    return claims_table(decided), conclusion


def figure_names() -> list[str]:
    """The names of all figures, general ones first."""
    return list(DRAWN)


def figure_named(name: str) -> Callable[[Runs], Figure]:
    """The function that draws a figure.

    Raises:
        AttributeError: there is no such figure.
    """
    if name not in DRAWN:
        raise AttributeError(f"analysis: no figure {name!r}; there are: {', '.join(DRAWN)}")

    def figure(runs: Runs) -> Figure:
        drawn = drawing(name, runs).figure
        # Figures that pyplot has not made are shown by notebooks where they say how.
        setattr(drawn, "_repr_png_", partial(_png, drawn))  # noqa: B010 - the type has no such attribute
        return drawn

    words = words_of(DRAWN[name])
    figure.__name__ = figure.__qualname__ = name
    figure.__doc__ = f"{words['title']}: {words['question']}\n\nRaises:\n    ReportError: these runs cannot show it."
    return figure


def drawing(name: str, runs: Runs) -> Drawing:
    """A figure with the numbers that it shows, a row per mark, and those of its caption.

    Raises:
        ReportError: these runs cannot show it.
    """
    tables = _require_runs(runs).tables()
    with house_style(), _one_line():
        return DRAWN[name](tables)


@contextmanager
def _one_line() -> Iterator[None]:
    try:
        yield
    except NotShownError as error:
        raise ReportError(str(error)) from None


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    with house_style():
        figure.savefig(buffer, format="png", dpi=DOTS_PER_INCH)
    return buffer.getvalue()


def _require_runs(runs: Runs) -> Runs:
    if not isinstance(runs, Runs):
        raise ReportError(f"runs: expected what sweep or load returns, got a {type(runs).__name__}")
    return runs
