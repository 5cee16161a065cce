"""Claims: statements with what the runs say of them, one row of the table of claims each."""

from typing import NamedTuple

import numpy as np
import pandas as pd

EXACTLY, WITHIN, FAILS, NOT_TESTED = "holds exactly", "holds within tolerance", "fails", "not tested by these runs"
UNDECIDED = "not decided by these runs"
"""The interval of a mean holds values that agree with the prediction, and others that do not: it takes more runs."""
MOST_WIDTHS = 12


class Claim(NamedTuple):
    """A statement of the source text and what the tracked runs say of it.

    Attributes:
        identity: the paragraph of the source ("2b"), or the number of a prepared question's own statement,
            which its place gives where the question does not.
        arithmetic: of the runs that decide it; empty where it does not matter.
        statement: in words.
        prediction: what the number should be.
        measured: the number with its meaning, in words.
        number: the measured number furthest from the prediction; NaN where nothing was tested.
        low: lower end of its 95 % interval over seeds; NaN where it has none. Where the statement speaks of every one
            of several cases, their intervals hold together.
        high: upper end.
        verdict: one of the five.
        runs: how many runs decided it.
        steps: how many measured (run, step) pairs.
        widths: the widths of the first hidden layer.
        worst_run: id of the run with that number, where the claim fails.
        command: what would test it, where nothing did, or decide it.
        is_check: whether the statement follows by algebra from what the program computes, so that it tests the code.
        machine: on which it was measured, where another one may give another number; empty for the others.
    """

    identity: str
    arithmetic: str
    statement: str
    prediction: str
    measured: str = ""
    number: float = np.nan
    verdict: str = NOT_TESTED
    runs: int = 0
    steps: int = 0
    widths: str = ""
    worst_run: str = ""
    command: str = ""
    low: float = np.nan
    high: float = np.nan
    is_check: bool = False
    machine: str = ""

    def with_verdict(
        self,
        verdict: str,
        measured: str,
        number: float,
        *,
        runs: int,
        steps: int | None = None,
        widths: str = "",
        interval: tuple[float, float] = (np.nan, np.nan),
        worst_run: str = "",
    ) -> "Claim":
        """The claim as its runs decide it.

        Args:
            steps: None where each run was measured once.
            interval: ``low`` and ``high``.
            worst_run: named only where the claim fails.
        """
        return self._replace(
            verdict=verdict, measured=measured, number=number, low=interval[0], high=interval[1], runs=runs,
            steps=runs if steps is None else steps, widths=widths, worst_run=worst_run if verdict == FAILS else "",
            command="",
        )  # fmt: skip


def stated(statement: str, prediction: str, is_check: bool = False) -> Claim:
    """A statement of a prepared question, numbered by its place among the question's claims."""
    return Claim("", "", statement, prediction, is_check=is_check)


def machines_of(runs: pd.DataFrame) -> str:
    """The machines that trained some runs: processor, its vector instructions, and the BLAS libraries."""
    facts = [[facts.get(f"machine.{key}", "") for key in ("cpu", "simd", "blas")] for facts in runs["environment"]]
    return " and ".join(sorted({", ".join(filter(None, of_run)) for of_run in facts} - {""})) or "an unknown machine"


def widths_of(runs: pd.DataFrame) -> str:
    """The widths of the first hidden layer that occur, ascending, as text; many of them as a range."""
    if "model.hidden_units" not in runs:
        return ""
    widths = sorted({units[0] for units in runs["model.hidden_units"] if units})
    return f"{widths[0]} to {widths[-1]}" if len(widths) > MOST_WIDTHS else ", ".join(map(str, widths))
