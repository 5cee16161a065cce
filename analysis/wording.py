"""Wording shared by claims, figures and pages: numbers, counts and the commands that make runs."""

from collections.abc import Sequence

import pandas as pd

MINUS = "\N{MINUS SIGN}"
SWEEP = "python -m pipeline.run -m"


def sweep_of(question: str) -> str:
    """The command that trains a prepared question's sweep.

    >>> sweep_of("rounding")
    'python -m pipeline.run -m experiment=rounding'
    """
    return f"{SWEEP} experiment={question}"


def number(value: float, digits: int = 2) -> str:
    """A number in few characters, with a true minus sign."""
    return f"{value:.{digits}g}".replace("-", MINUS)


def change(first: float, last: float | None = None) -> str:
    """By how much something ends lower; between two gains, from the smallest to the largest.

    >>> change(0.455), change(-0.998), change(0.5, 0.6)
    ('lower by 0.455', 'higher by 0.998', 'lower by 0.5 to 0.6')
    >>> change(-0.304, 1.46)
    'in one case higher by 0.304, in another lower by 1.46'
    """
    if last is not None and first < 0.0 < last:
        return f"in one case {change(first)}, in another {change(last)}"
    sizes = sorted(abs(each) for each in (first, last) if each is not None)
    return f"{'higher' if first < 0.0 else 'lower'} by {' to '.join(number(size, 3) for size in sizes)}"


def interval(low: float, high: float) -> str:
    """The ends of an interval in brackets."""
    return f"[{number(low)}, {number(high)}]"


def counted(counts: Sequence[int]) -> str:
    """``5``, or ``3 to 5`` where the counts differ."""
    return f"{min(counts)}" if min(counts) == max(counts) else f"{min(counts)} to {max(counts)}"


def has_squared_error(runs: pd.DataFrame) -> "pd.Series[bool]":
    """Whether the loss of each run is the squared error: it is named, or that of ``data.task=regression``."""
    chosen = (runs[key] if key in runs else pd.Series("", runs.index) for key in ("training.loss", "data.task"))
    loss, task = (column.map(str) for column in chosen)
    return (loss == "squared_error") | (task == "regression")


def flat_model(runs: pd.DataFrame) -> str:
    """What a network without hidden units is called: with the squared error its outputs are linear.

    >>> flat_model(pd.DataFrame({"training.loss": [None, None], "data.task": ["classification", "regression"]}))
    'logistic or linear regression'
    """
    kinds = has_squared_error(runs)
    names = ["logistic"] * (not kinds.all() or kinds.empty) + ["linear"] * bool(kinds.any())
    return f"{' or '.join(names)} regression"


def fate(diverged: "pd.Series[bool]") -> str:
    """How many runs are shown, and how many are not."""
    if diverged.all():
        return f"{amount(len(diverged), 'run')}, {'all ' if len(diverged) > 1 else ''}diverged"
    lost = f", {diverged.sum()} more diverged" if diverged.any() else ""
    return f"{amount(int((~diverged).sum()), 'run')}{lost}"


def lost(diverged: int, consequence: str) -> str:
    """How many runs diverged and what follows from it, as a sentence of a caption.

    >>> lost(0, "they are in no mean"), lost(3, "they are in no mean")
    ('No run diverged.', '3 runs diverged: they are in no mean.')
    """
    return f"{amount(diverged, 'run')} diverged: {consequence}." if diverged else "No run diverged."


def amount(number: int, noun: str) -> str:
    """A number with its noun.

    >>> amount(1, "unit"), amount(32, "unit")
    ('1 unit', '32 units')
    """
    return f"{number} {noun}{'' if number == 1 else 's'}"


def listed(words: Sequence[str]) -> str:
    """Words with commas, the last one with ``and``.

    >>> listed(["1", "2", "4"]), listed(["1"])
    ('1, 2 and 4', '1')
    """
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def natural_order(text: str) -> tuple[int, float, str]:
    """A key that sorts numbers by their value, before other texts.

    >>> sorted(["none", "10", "9.5"], key=natural_order)
    ['9.5', '10', 'none']
    """
    try:
        return 0, float(text), text
    except ValueError:
        return 1, 0.0, text
