"""Reads labelled examples from CSV files."""

import csv
import io
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from reprlib import repr as shortened

import numpy as np

from pipeline.data.cells import MISSING, class_values, finite_numbers, is_number, quoted_names, require_classes
from pipeline.data.examples import Examples
from pipeline.data.opened_file import content_of, opened, unusable
from pipeline.errors import InputError

CSV_HELD = 20
"""Bytes of memory for each byte of a CSV file: 7 where cells are long, 19 where they are single digits."""


def read_csv(path: Path, target: str) -> Examples:
    """The rows of a CSV file: the column ``target`` holds the labels, every other column is a feature.

    UTF-8, a header line, commas, double quotes where needed; gzipped or not. Blank lines and blanks
    around a cell do not count. Labels are numbers if all of them are, so that 10 sorts after 9; but where 007 and 7
    both occur, they are names.
    Not read by pandas, which fills short lines with empty cells and loses the numbers of the lines.
    """
    records = _records(path)
    header_line, header = next(records, (1, []))
    line, feature_names = header_line, _feature_names(f"{path}: line {header_line}", header, target)
    label_column = [name.strip() for name in header].index(target)
    features, labels = array("d"), []
    for line, cells in records:
        if len(cells) != len(header):
            raise unusable(f"{path}: line {line}", f"{len(header)} cells as in the header", len(cells))
        label = cells.pop(label_column).strip()
        if label in MISSING or label.lower() == "nan":
            got = f"{label!r}, a missing value (delete the line; if it is a class, give it another name)"
            raise unusable(f"{path}: line {line}, column {shortened(target)}", "a label", got)
        numbers = finite_numbers(cells)
        if numbers is None:
            name, cell = next(pair for pair in zip(feature_names, cells, strict=True) if not is_number(pair[1]))
            raise unusable(f"{path}: line {line}, column {shortened(name)}", "a finite number", shortened(cell))
        features.extend(numbers)
        labels.append(label)
    if not labels:
        raise unusable(f"{path}: line {line}", "rows after the header", "none")
    _require_header(f"{path}: line {header_line}", feature_names, target, labels)
    values = class_values(labels)
    require_classes(f"data.target: {path}: column {shortened(target)}", values)
    inputs = np.array(features).reshape(len(labels), len(feature_names))
    return Examples(inputs, values, feature_names)


def _records(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The records of a CSV file that are not blank, each with the number of its first line."""
    with opened(path) as stream:
        content = bytes(content_of(path, stream, None, held=CSV_HELD))
    try:
        text = content.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        got = f"byte 0x{content[error.start]:02x}"
        raise unusable(f"{path}: line {line}, byte {error.start} of the file", "UTF-8 text", got) from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    line = 1
    try:
        for cells in reader:
            if cells:
                yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        raise unusable(f"{path}: line {line}", "cells with commas between them", error) from error


def _feature_names(place: str, header: list[str], target: str) -> tuple[str, ...]:
    """The header's names without ``target``."""
    names = [name.strip() for name in header]
    if not names:
        raise unusable(place, "a header with column names", "an empty file")
    if finite_numbers(names) is not None:
        raise unusable(place, "a header with column names", f"only numbers: {quoted_names(names)}")
    hint = " (if this line is data, put one with column names above it)" if any(map(is_number, names)) else ""
    if "" in names:
        raise unusable(place, "a name for every column", f"none for column {names.index('') + 1}{hint}")
    if repeated := [name for name, count in Counter(names).items() if count > 1]:
        raise unusable(place, "different column names", f"{quoted_names(repeated)} more than once{hint}")
    if target not in names:
        raise InputError(f"data.target: {place}: expected one of {quoted_names(names)}, got {target!r}{hint}")
    if len(names) == 1:
        raise unusable(place, f"a feature column besides {target!r}", "no other column")
    return tuple(name for name in names if name != target)


def _require_header(place: str, feature_names: Sequence[str], target: str, labels: Sequence[str]) -> None:
    """Refuses a first line that is an example like the others, of which the user took the label for the target's name.

    Numbers may be names of columns, such as 0, 1, 2 or wavelengths; then they rise or fall, and no label is the target.
    """
    numbers = [float(name) for name in feature_names if is_number(name)]
    steps = np.sign(np.diff(numbers))
    if numbers and (target in labels or abs(steps.sum()) < len(steps)):
        got = f"an example: {quoted_names([*feature_names, target])} (put a line with column names above it)"
        raise unusable(place, "a header with column names", got)
