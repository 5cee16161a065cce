"""One column of a table: numbers, booleans or text, and the refusal of what is none of these."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from reprlib import repr as shortened
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import (
    is_bool_dtype,
    is_datetime64_any_dtype,
    is_numeric_dtype,
    is_object_dtype,
    is_timedelta64_dtype,
)

from pipeline.data.dialect import MISSING
from pipeline.data.examples import MANY, is_date, numbers_in
from pipeline.errors import InputError
from pipeline.ranges import EXACT_INTEGERS

if TYPE_CHECKING:
    from pipeline.data.table import Table, Use

CHUNK = 2**14
FEW = 5
"""Rows that may all differ."""
LABELS = {"number": "a finite number", "boolean": "true or false", "text": "text"}
INDEX_NAMES = {"", "unnamed: 0", "index", "idx", "id", "row", "rowid", "row_id", "rownames", "rownumber", "no"}
TRUTH = {"true": 1.0, "false": 0.0}
_DRESSED_NUMBER = re.compile(
    r"[$€£]?\s?[+-]?\d{1,3}([,.' ]\d{3})+([.,]\d+)?|[+-]?\d+[.,]?\d*\s?%|[+-]?\d+,\d+|[$€£]\s?\d.*|[\u2212\u2013]\d.*"
)


@dataclass(frozen=True, eq=False)
class Column:
    """A column whose cells are known to be of one kind.

    Attributes:
        place: its number in the table, from 0.
        kind: ``number``, ``boolean`` or ``text``.
        numbers: (n,) float64, NaN where missing; of text, the place of its word among ``words``.
        words: the different words of a text.
    """

    place: int
    kind: str
    numbers: NDArray[np.float64]
    words: tuple[str, ...] = ()

    @cached_property
    def missing(self) -> NDArray[np.bool_]:
        return np.isnan(self.numbers)

    @cached_property
    def holes(self) -> int:
        """How many are missing."""
        return int(np.count_nonzero(self.missing))

    @property
    def width(self) -> int:
        """Columns that it makes after encoding."""
        return len(self.words) or 1

    def values(self, kept: NDArray[np.bool_]) -> NDArray[Any]:
        """Its kept values: numbers, or words with NaN where they are missing."""
        numbers = self.numbers if kept.all() else self.numbers[kept]
        if not self.words:
            return numbers
        return np.array([*self.words, np.nan], dtype=object)[np.nan_to_num(numbers, nan=len(self.words)).astype(int)]

    def sorted_classes(self, kept: NDArray[np.bool_]) -> tuple[NDArray[np.int64], tuple[str, ...]]:
        """Kept labels as 0 .. k-1, and the names of the classes: in the order of their numbers if all are numbers."""
        codes = self.numbers[kept].astype(np.int64)
        numbers = numbers_in(self.words)
        order = sorted(
            np.unique(codes), key=lambda code: (numbers[code] if numbers is not None else 0.0, self.words[code])
        )
        rank = np.empty(len(self.words), np.int64)
        rank[order] = np.arange(len(order))
        return rank[codes], tuple(self.words[code] for code in order)

    def is_constant(self) -> bool:
        """Whether all that is known is one number."""
        first = self.numbers[self.missing.argmin()]
        starts = range(0, len(self.numbers), CHUNK)  # The first chunk tells of nearly every column that it is not.
        parts = (self.numbers[start : start + CHUNK] for start in starts)
        return not any(((part != first) & ~np.isnan(part)).any() for part in parts)

    def is_row_number(self, name: str, fewest: int) -> bool:
        """Whether it counts the rows from 0 or 1, or has the name of an index and a whole number for each row."""
        has_name = name.lower() in INDEX_NAMES
        numbers, rows = self.numbers, len(self.numbers)
        if rows < fewest or self.words or self.holes:
            return False
        counts = bool(numbers[0] in (0, 1) and np.array_equal(numbers, np.arange(rows) + numbers[0]))
        return counts or (has_name and bool((numbers % 1 == 0).all()) and len(np.unique(numbers)) == rows)


def column_of(table: "Table", place: int, use: "Use", *, is_target: bool = False, like: Column | None = None) -> Column:
    """A column of a table, checked.

    Args:
        is_target: whether its cells are labels, in which even names and dates of days are told otherwise.
        like: the column of the training file that this one of the test file must be like.

    Raises:
        InputError: its cells are of several kinds, dates, identifiers, or numbers that float64 does not hold.
    """
    series = table.frame[place]
    if is_object_dtype(series.dtype) and any(
        isinstance(cell, np.ndarray | list | dict) for cell in series.dropna()[:1]
    ):
        raise _refusal(table, place, "holds lists", use)
    if is_target and use.task != "regression":
        return _text(table, place, series, use, is_target=True)
    if is_datetime64_any_dtype(series.dtype) or is_timedelta64_dtype(series.dtype):
        raise _refusal(table, place, "holds dates or durations, which are no numbers", use)
    if is_bool_dtype(series.dtype) and not (like and like.words):
        column = Column(place, "boolean", series.to_numpy(np.float64, na_value=np.nan))
    elif is_numeric_dtype(series.dtype) and not (like and like.words):
        column = _number(table, place, series)
    else:
        column = _text(table, place, series, use, like=like)
    if is_target and column.kind != "number":
        word = column.words[0] if column.words else "true"
        at = f"{table.path}: column {shortened(table.names[place])}"
        raise InputError(
            f"data.target: {at}: expected numbers for data.task=regression (or data.task=classification), got {word!r}"
        )
    if column.holes == len(column.numbers) and not is_target:
        raise _refusal(table, place, "is empty", use)
    if like is not None and (like.kind == "number") != (column.kind == "number"):
        at = f"{table.path}: column {shortened(table.names[place])}"
        raise InputError(f"data.path: {at}: expected {like.kind} as in the training file, got {column.kind}")
    if column.kind != "number" and use.categories == "error":
        at, cell = table.locate(int((~column.missing).argmax()), place)
        raise InputError(
            f"data.path: {at}: expected {LABELS['number']}, got {cell!r} (data.categories=one_hot encodes text)"
        )
    return column


def _number(table: "Table", place: int, series: "pd.Series[Any]") -> Column:
    numbers = series.to_numpy(np.float64, na_value=np.nan)
    if series.dtype.kind in "iu" and len(numbers) and np.abs(numbers).max() >= EXACT_INTEGERS:
        raise _inexact(table, place, np.abs(numbers))
    with np.errstate(invalid="ignore"):  # Infinities of both signs.
        total = numbers.sum()
    if not np.isfinite(total) and np.isinf(numbers).any():  # The sum of what is finite seldom overflows.
        at, cell = table.locate(int(np.isinf(numbers).argmax()), place)
        raise InputError(f"data.path: {at}: expected {LABELS['number']}, got {cell!r}")
    return Column(place, "number", numbers)


def _inexact(table: "Table", place: int, sizes: NDArray[np.float64]) -> InputError:
    at, cell = table.locate(int((sizes >= EXACT_INTEGERS).argmax()), place)
    return InputError(
        f"data.path: {at}: expected a whole number below 2^53, which float64 tells from its neighbours, got {cell}"
        " (an identifier? data.drop leaves columns out)"
    )


def _text(
    table: "Table",
    place: int,
    series: "pd.Series[Any]",
    use: "Use",
    *,
    is_target: bool = False,
    like: Column | None = None,
) -> Column:
    """A column of texts, which may turn out to be numbers or booleans, with few different words."""
    codes, words = _words(series)
    counts = np.bincount(codes[codes >= 0], minlength=len(words))
    numbers = np.append(codes, 0)[:-1].astype(np.float64)
    numbers[codes < 0] = np.nan
    if is_target or (like and like.words):
        _require_known(table, place, codes, words, like)
        return Column(place, "text", numbers, tuple(words))
    if words and {word.lower() for word in words} <= TRUTH.keys():
        return Column(place, "boolean", _looked_up(codes, [TRUTH[word.lower()] for word in words]))
    known = numbers_in(words)
    if known is not None and any(word.lstrip("+-").isdigit() and abs(int(word)) >= EXACT_INTEGERS for word in words):
        raise _inexact(table, place, np.abs(_looked_up(codes, known)))
    if known is not None:
        return _number(table, place, pd.Series(_looked_up(codes, known)))

    def refuse_first(is_bad: Sequence[bool], expected: str) -> None:
        bad = np.flatnonzero(np.append(is_bad, False)[codes])
        if bad.size:
            at, cell = table.locate(int(bad[0]), place)
            raise InputError(f"data.path: {at}: expected {expected}, got {shortened(cell)}")

    plain = [numbers_in([word]) is not None for word in words]
    # Numbers and a few words that come back are categories: 2, 3, 4, 5more.
    is_mixed = 2 * counts[plain].sum() >= counts.sum() and (
        len(words) > MANY or counts[np.logical_not(plain)].min(initial=len(codes)) < 2
    )
    if is_mixed and any(plain):
        refuse_first(np.logical_not(plain).tolist(), LABELS["number"])
    dated = [is_date(word) for word in words]
    if all(dated) and words:
        raise _refusal(table, place, f"holds dates such as {words[0]}, which are no numbers", use)
    dressed = [_DRESSED_NUMBER.fullmatch(word) is not None for word in words]
    if words and 2 * counts[dressed].sum() + 2 * counts[plain].sum() >= counts.sum() and any(dressed):
        refuse_first(dressed, f"{LABELS['number']} without signs beside it (of decimal commas, say data.decimal=comma)")
    if len(words) == len(codes) >= FEW or (len(words) > len(codes) / 2 and len(codes) > MANY):
        raise _refusal(table, place, f"has {len(words)} different texts in {len(codes)} rows, like an identifier", use)
    return Column(place, "text", numbers, tuple(words))


def _require_known(table: "Table", place: int, codes: NDArray[Any], words: list[str], like: Column | None) -> None:
    """Refuses a category that the training file does not have."""
    if like is not None and (unseen := [word for word in words if word not in like.words]):
        at, cell = table.locate(int((codes == words.index(unseen[0])).argmax()), place)
        known = ", ".join(map(shortened, like.words[:8]))
        raise InputError(f"data.path: {at}: expected a category of the training file ({known}), got {cell!r}")


def _words(series: "pd.Series[Any]") -> tuple[NDArray[np.int64], list[str]]:
    """Each row's word as its number, -1 where it is missing, and the words, without blanks around them."""
    codes, found = pd.factorize(series)
    values = np.asarray(found)
    if values.dtype.kind == "f" and (values % 1 == 0).all():  # Whole numbers beside missing ones.
        values = values.astype(np.int64)
    stripped = [str(value).strip() for value in values]
    words = sorted(set(stripped) - MISSING)
    place = {word: number for number, word in enumerate(words)}
    again = np.array([*(place.get(word, -1) for word in stripped), -1], np.int64)
    return again[codes], words


def _looked_up(codes: NDArray[np.int64], values: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
    return np.append(np.asarray(values, np.float64), np.nan)[codes]


def _refusal(table: "Table", place: int, what: str, use: "Use") -> InputError:
    name = table.names[place]
    drop = ",".join(map(str, [*use.drop, name or place + 1]))
    return InputError(
        f"data.drop: {table.path}: column {shortened(name or place + 1)}: expected numbers or categories, but it"
        f" {what}: leave it out with 'data.drop=[{drop}]'"
    )
