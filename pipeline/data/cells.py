"""Parsing of table cells: finite numbers, class labels, missing values."""

import math
from collections import Counter
from collections.abc import Sequence
from reprlib import repr as shortened
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import InputError

SHOWN_NAMES = 8


def quoted_names(names: Sequence[str]) -> str:
    """The names in quotes; of many only the first, and how many there are."""
    shown = ", ".join(map(shortened, names[:SHOWN_NAMES])) or "none"
    return shown if len(names) <= SHOWN_NAMES else f"{shown}, ... ({len(names)} in all)"


MISSING = frozenset(
    {"", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA"}
    | {"NULL", "NaN", "None", "n/a", "nan", "null", "?", "-"}
)
"""Cells that stand for a value nobody knows: what pandas takes for one, and two more of published data sets."""
MANY = 20
"""Examples of which most may have a label of their own, and labels with decimals (ratings, say) in any file."""


def finite_numbers(cells: Sequence[str]) -> list[float] | None:
    """The cells as finite numbers; None if a cell is anything else, such as nan, inf or Python's 1_000."""
    try:
        numbers = list(map(float, cells))
    except ValueError:
        return None
    return numbers if all(map(math.isfinite, numbers)) and "_" not in "".join(cells) else None


def is_number(cell: str) -> bool:
    """Whether a cell is a finite number."""
    return finite_numbers([cell]) is not None


def class_values(labels: list[str]) -> NDArray[Any]:
    """The labels as integers or floats if all can be and mean it, else as strings."""
    numbers = finite_numbers(labels)
    # From 2**53 on, two different labels could become one float.
    if numbers is None or max(map(abs, numbers)) >= 2**53 or _has_codes(labels):
        return np.array(labels, dtype=object)
    values = np.array(numbers)
    whole = values.astype(np.int64)
    return whole if np.array_equal(whole, values) else values


def _has_codes(labels: list[str]) -> bool:
    """Whether a label with leading zeros, such as 007, would become the same number as another one."""
    different = set(labels)
    counts = Counter(map(float, different))
    return any(label.startswith("0") and label.isdigit() and counts[float(label)] > 1 for label in different)


def require_classes(place: str, labels: NDArray[Any]) -> None:
    """Refuses labels that measure or name each example, though they could be trained on as so many classes.

    Raises:
        InputError: most examples have a label of their own, or many different labels have decimals.
    """
    different = len(np.unique(labels))
    each_its_own = different > len(labels) / 2
    has_decimals = labels.dtype.kind == "f" and bool((labels % 1).any())
    if (each_its_own and len(labels) > MANY) or (has_decimals and different > (2 if each_its_own else MANY)):
        looks_like = "a name" if labels.dtype.kind == "O" else "a quantity"
        raise InputError(
            f"{place}: expected classes, each of several examples, got {different} different labels in {len(labels)}"
            f" examples, which looks like {looks_like}: classification needs classes (such as low and high)"
        )
