"""Columns of a table, whatever its format: which are features, what they hold, and what cannot be trained on."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from reprlib import repr as shortened
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.data.columns import LABELS, Column, column_of
from pipeline.data.examples import Examples, require_classes
from pipeline.data.opened_file import of_test_part, path_of
from pipeline.errors import InputError, quoted_names

MOST_COLUMNS = 10_000
FEWEST_NUMBERED = 5
"""Rows from which on 1, 2, 3, ... in order are no accident."""


class Table(NamedTuple):
    """A table as a reader gives it.

    Attributes:
        frame: its columns are numbered 0 .. w-1.
        names: w names.
        path: of the file, for messages.
        locate: (row, column) -> where that cell is, and its text; slow.
        found: what was found out about the format, for the description.
        head: where the names are.
    """

    frame: pd.DataFrame
    names: list[str]
    path: str
    locate: Callable[[int, int], tuple[str, str]]
    found: Mapping[str, Any]
    head: str


class Use(NamedTuple):
    """What the user asks of a table.

    Attributes:
        target: the column with the labels, by name or by number, counted from 1, or from the end as -1.
        features: the columns to train on, by name or number; None for all the others.
        drop: the columns to leave out.
        missing: ``error``, ``drop``, or the strategy by which missing values are filled in.
        categories: ``error`` or ``one_hot``: whether text may be encoded.
        task: ``classification`` or ``regression``.
    """

    target: str | int
    features: Sequence[str | int] | None = None
    drop: Sequence[str | int] = ()
    missing: str = "error"
    categories: str = "one_hot"
    task: str = "classification"


def position_of(
    key: str, column: str | int, names: Sequence[str], place: str, hint: str = "", shown: Sequence[str] = ()
) -> int:
    """The place of a column, 0 .. w-1, that a key names or counts.

    Args:
        shown: what a message shows for the names; they themselves, if it is empty.

    Raises:
        InputError: there is none; the message has the nearest names.
    """
    if column in names:
        return names.index(str(column))
    if isinstance(column, int) and str(column) in names:
        return names.index(str(column))
    if isinstance(column, int) and column and -len(names) <= column <= len(names):
        return column - (column > 0) if column > 0 else len(names) + column
    near = get_close_matches(str(column), names, 3)
    meant = f" (did you mean {' or '.join(near)}?)" if near else hint
    raise InputError(f"{key}: {place}: expected one of {quoted_names(shown or names)}, got {column!r}{meant}")


def read_tables(read: Callable[[Path], Table], path: str, test_path: str | None, use: Use) -> Examples:
    """The examples of a user's file, and those of the file of its test part (see ``read_table``)."""
    table, test = read(path_of(path)), None
    if test_path is not None:
        with of_test_part("path|target"):
            test = read(path_of(test_path))
    return read_table(table, use, test)


def read_table(table: Table, use: Use, test: Table | None = None) -> Examples:
    """The examples in a table, with a table of their own as test part if there is one.

    Raises:
        InputError: in one line, the key to change, or the file, its line and column.
    """
    target, features, left_out = _chosen(table, use)
    columns = {place: column_of(table, place, use) for place in features}
    labels = column_of(table, target, use._replace(categories="one_hot"), is_target=True)
    _require_no_row_numbers(table, columns, use)
    _require_few_columns(table, columns)
    examples = _examples(table, columns, labels, use)
    if use.task == "classification":
        require_classes(f"data.target: {examples.place}", examples.labels, examples.class_names)
    facts = {**table.found, **_facts(table, target, columns, left_out, use), **examples.facts}
    own_test = None if test is None else _test_examples(test, table, target, columns, use)
    return examples._replace(test=own_test, facts=facts)


def _chosen(table: Table, use: Use) -> tuple[int, list[int], list[str]]:
    """The places of the target and of the features, and the names of what is left out."""
    names, head = table.names, table.head

    def places(key: str, columns: Sequence[str | int]) -> list[int]:
        found = [position_of(key, column, names, head) for column in columns]
        if twice := [place for place, count in Counter(found).items() if count > 1]:
            raise InputError(f"{key}: {head}: expected different columns, got {names[twice[0]]!r} more than once")
        if target in found:
            raise InputError(f"{key}: {head}: expected columns besides data.target, got {names[target]!r}")
        return found

    target = position_of("data.target", use.target, names, head)
    dropped = places("data.drop", use.drop)
    # Lines that all end in a separator have an empty column without a name.
    empty = [place for place, name in enumerate(names) if not name and table.frame[place].isna().all()]
    rest = [place for place in range(len(names)) if place not in {target, *dropped, *empty}]
    if use.features is not None:
        rest = places("data.features", use.features)
        if both := set(rest) & set(dropped):
            raise InputError(f"data.drop: {head}: expected columns not in data.features, got {names[both.pop()]!r}")
    used = [target, *rest]
    if repeated := [name for name, count in Counter(names[place] for place in used).items() if count > 1 and name]:
        expected = "different column names (or numbers in data.drop)"
        raise InputError(f"data.path: {head}: expected {expected}, got {quoted_names(repeated)} more than once")
    if not rest:
        raise InputError(f"data.path: {head}: expected a feature column besides {names[target]!r}, got no other column")
    return target, rest, [names[place] for place in range(len(names)) if place not in {*used, *empty}]


def _require_no_row_numbers(table: Table, columns: Mapping[int, Column], use: Use) -> None:
    """Refuses to train on the number of a row, which in an ordered file tells the class."""
    if use.features is not None:
        return
    for place, column in columns.items():
        name = table.names[place]
        if column.is_row_number(name, FEWEST_NUMBERED) and (len(columns) > 1 or not name):
            raise InputError(
                f"data.drop: {table.head}, column {name or place + 1!r}: expected a feature, got what looks like a row"
                f" number: leave it out with {_typed('data.drop', [*use.drop, name or place + 1])} (or name it in"
                " data.features to train on it)"
            ) from None
        if not name:
            raise InputError(
                f"data.path: {table.head}: expected a name for every column, got none for column {place + 1}"
                f" (or leave it out: {_typed('data.drop', [*use.drop, place + 1])})"
            )


def _typed(key: str, columns: Sequence[str | int]) -> str:
    """A list as one types it."""
    return f"'{key}=[{','.join(map(str, columns))}]'"


def _require_few_columns(table: Table, columns: Mapping[int, Column]) -> None:
    count = sum(column.width for column in columns.values())
    widest = max(columns, key=lambda place: columns[place].width)
    if count > MOST_COLUMNS and columns[widest].words:
        raise InputError(
            f"data.drop: {table.path}: expected at most {MOST_COLUMNS} columns after encoding, got {count}, of which"
            f" column {shortened(table.names[widest])} makes {columns[widest].width}"
        )


def _examples(table: Table, columns: Mapping[int, Column], labels: Column, use: Use) -> Examples:
    """The examples of one table, without the rows that are left out, with checked labels."""
    kept = _complete_rows(table, [*columns.values(), labels], use)
    names = tuple(table.names[place] for place in columns)
    place = f"{table.path}: column {shortened(table.names[labels.place])}"
    filtered = {name: column.values(kept) for name, column in zip(names, columns.values(), strict=True)}
    # A matrix would be one more copy; the split into parts makes it.
    inputs = pd.DataFrame(filtered, copy=False)
    facts = {"rows_dropped": int((~kept).sum())}
    if use.task == "regression":
        quantities = labels.values(kept)
        return Examples(inputs, quantities, names, task=use.task, fill=use.missing, place=place, facts=facts)
    codes, words = labels.sorted_classes(kept)
    return Examples(inputs, codes, names, words, fill=use.missing, place=place, facts=facts)


def _complete_rows(table: Table, columns: Sequence[Column], use: Use) -> NDArray[np.bool_]:
    """The rows to keep; refuses those in which a value is missing that is neither left out nor filled in."""
    strict = columns if use.missing == "error" else columns[-1:]  # A label cannot be filled in.
    if use.missing == "drop":
        kept: NDArray[np.bool_] = ~np.any([column.missing for column in columns], axis=0)
        if not kept.any():
            raise InputError(f"data.missing: {table.path}: expected rows without a missing value, got none")
        return kept
    if any(column.holes for column in strict):
        row = int(np.any([column.missing for column in strict], axis=0).argmax())
        column = next(column for column in strict if column.missing[row])
        place, cell = table.locate(row, column.place)
        count, places = sum(each.holes for each in strict), sum(each.holes > 0 for each in strict)
        columns_are = f"{places} column{'s' if places > 1 else ''}"
        is_label = column is columns[-1]
        ways = "drop goes on" if is_label else "drop, mean or most_frequent goes on"
        ways += "; a label needs another name" if is_label and use.task == "classification" else ""
        raise InputError(
            f"data.path: {place}: expected {'a label' if is_label else LABELS[column.kind]}, got"
            f" {cell!r}, a missing value (one of {count} in {columns_are}; data.missing={ways})"
        )
    return np.ones(len(table.frame), bool)


def _test_examples(test: Table, table: Table, target: int, columns: Mapping[int, Column], use: Use) -> Examples:
    """The examples of the test file, whose columns must be those of the training file."""
    with of_test_part():
        found = {
            place: position_of("data.path", table.names[place], test.names, test.head) for place in (target, *columns)
        }
        if more := [name for name in test.names if name and name not in table.names]:
            raise InputError(
                f"data.path: {test.head}: expected the columns of {table.path}, got {quoted_names(more)} too"
            )
        own = {found[place]: column_of(test, found[place], use, like=column) for place, column in columns.items()}
        labels = column_of(test, found[target], use._replace(categories="one_hot"), is_target=True)
        return _examples(test, own, labels, use)


def _facts(table: Table, target: int, columns: Mapping[int, Column], left_out: list[str], use: Use) -> dict[str, Any]:
    """What the description says of the columns."""
    names = table.names
    kinds: dict[str, list[str]] = {}
    for place, column in columns.items():
        kinds.setdefault(column.kind, []).append(names[place])
    filled = {names[place]: column.holes for place, column in columns.items() if column.holes}
    return {
        "kinds": kinds,
        "columns_left_out": left_out,
        "row_numbers": [names[at] for at in columns if columns[at].is_row_number(names[at], FEWEST_NUMBERED)],
        "encoded": {names[place]: column.width for place, column in columns.items() if column.words},
        "filled": filled if use.missing not in ("error", "drop") else {},
        "fill": use.missing,
        "constant": [names[place] for place, column in columns.items() if column.is_constant()],
        "target": names[target],
    }
