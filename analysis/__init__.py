"""From tracked runs to tables, figures and a report. Reads only what MLflow holds.

Public: ``python -m analysis.report`` and ``python -m analysis.audit``; from Python ``load``, ``verdicts``, ``answer``,
``drawing``, and each figure as a function of a frame of runs::

    import analysis

    analysis.loss_over_steps(analysis.load("symmetry"))

A room imports only from those below it:

report, audit   the command lines: claims, figures and a page; or whether a store is whole
writer          a report as files
retrain         tracked runs trained anew, every bit compared; alone here in importing the trainer
notebook        tables and figures as functions of a frame of runs
questions       the prepared questions, one folder each
page            the report as HTML, the page of all reports, the copy in MLflow
figures         the general figures; in ``kit`` what all figures share
claims          statements, their verdicts, and the registry of answers
statistics      intervals over seeds, fitted lines, breaking times
tracked         the tracking store, read into tables
theory          predictions that need no run
arguments       options of the command lines, whose mistakes are one line
errors, wording the user's mistake; numbers, counts and commands in words
"""

import shlex
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pipeline  # noqa: F401  (It says how MLflow behaves, before anything loads it.)

if Path(sys.path[0]).resolve() == Path(__file__).resolve().parent:  # There ``statistics`` hides the module of Python.
    command = shlex.join(["python", "-m", f"analysis.{Path(sys.argv[0]).stem}", *sys.argv[1:]])
    sys.exit(f"{sys.argv[0]}: in the project's folder, type {command}")


def __getattr__(name: str) -> Any:
    """The public functions; loaded when they are first asked for, because MLflow and Matplotlib take seconds."""
    if name.startswith("_") or find_spec(f"{__name__}.{name}") is not None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from analysis import notebook

    return getattr(notebook, name) if name in notebook.__all__ else notebook.figure_named(name)


def __dir__() -> list[str]:
    from analysis import notebook

    return [*globals(), *notebook.__all__, *notebook.figure_names()]
