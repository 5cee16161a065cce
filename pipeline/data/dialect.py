"""The dialect of a CSV file, found out from its beginning: encoding, separator, decimal sign, header, comments."""

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pipeline.data.opened_file import opened, unusable
from pipeline.errors import InputError, shown

SAMPLE = 2**18
"""Bytes at the beginning of a file from which its dialect is found out."""
BLANKS = " "
WORDS = {
    "comma": ",",
    "semicolon": ";",
    "tab": "\t",
    "\\t": "\t",
    "blanks": BLANKS,
    "pipe": "|",
    "none": "",
    "point": ".",
}
"""Words for signs that shells and Hydra take for their own."""
NAMES = {",": "comma", ";": "semicolon", "\t": "tab", BLANKS: "blanks", "|": "pipe", ".": "point"}
SEPARATORS = ",;\t|"
MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
"""Marks of byte order; the longer ones first, because UTF-32's begins with UTF-16's."""
MISSING = frozenset(
    {"", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA"}
    | {"NULL", "NaN", "None", "n/a", "nan", "null", "?", "-", "NAN", "Nan"}
)
"""Cells that stand for a value nobody knows: what pandas takes for one, and a few more of published data sets."""
_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?")


class Given(NamedTuple):
    """What the user says of a CSV file; None is found out."""

    separator: str | None = None
    decimal: str | None = None
    header: bool | None = None
    encoding: str | None = None
    comment: str | None = None


class Dialect(NamedTuple):
    """How a CSV file is written.

    Attributes:
        encoding: a name that Python knows.
        separator: one sign; ``BLANKS`` for any number of blanks and tabs.
        decimal: the decimal sign.
        header: whether the first record names the columns.
        comment: what a comment begins with; empty for none.
        first: the cells of the first record.
        padded: whether blanks follow a separator.
        trailing: whether every other record ends in an empty cell that the header has not.
        density: cells for each byte, about.
    """

    encoding: str
    separator: str
    decimal: str
    header: bool
    comment: str
    first: list[str]
    padded: bool
    trailing: bool
    density: float

    @property
    def names(self) -> list[str]:
        """The names of the columns; without a header their numbers."""
        names = self.first if self.header else [str(number) for number in range(1, len(self.first) + 1)]
        return [*names, *[""] * self.trailing]

    def described(self) -> str:
        """In words, for the line that says what was found out."""
        comment = f", comments after {self.comment}" if self.comment else ""
        return (
            f"{self.encoding.upper().removesuffix('-SIG')}, separator {NAMES.get(self.separator, self.separator)},"
            f" decimal {NAMES.get(self.decimal, self.decimal)}, {'a header' if self.header else 'no header'}{comment}"
        )


def dialect_of(path: Path, given: Given, target: str | int) -> Dialect:
    """What the user says of the file, and for the rest what its beginning shows.

    Args:
        target: the column of the target; a name that stands in the first line, but among no labels, makes it a header.

    Raises:
        InputError: a key is wrong, or the file holds no text.
    """
    separator, decimal, comment = (_sign(key, getattr(given, key)) for key in ("separator", "decimal", "comment"))
    with opened(path) as stream:
        sample = stream.read(SAMPLE)
        is_whole = len(sample) < SAMPLE
    encoding = _encoding(given.encoding, sample)
    text = codecs.getincrementaldecoder(encoding)(errors="replace").decode(sample)
    lines = list(io.StringIO(text, newline=""))
    if not is_whole and len(lines) > 1:
        lines.pop()
    if comment is None:
        comment = "#" if any(line.startswith("#") for line in lines) else ""
    separator = separator or _separator(lines, comment)
    found = [cells for _, cells in _readable(lines, separator, comment)]
    if not found:
        raise unusable(f"{path}: line 1", "a header with column names", "an empty file")
    first, rows = found[0], found[1:]
    if decimal is None:
        decimal = "," if separator != "," and _has_decimal_commas(rows or found) else "."
    header = _has_header(first, rows, target) if given.header is None else given.header
    trailing = header and bool(rows) and all(len(row) == len(first) + 1 and row[-1] == "" for row in rows)
    density = sum(map(len, found)) / max(1, len("".join(lines).encode()))
    padded = any(f"{separator} " in line for line in lines)
    return Dialect(encoding, separator, decimal, header, comment, first, padded, trailing, density)


def _sign(key: str, given: str | None) -> str | None:
    sign = None if given is None else WORDS.get(given, given)
    if sign is not None and (len(sign) > 1 or (not sign and key != "comment") or sign in ("\n", "\r", '"')):
        known = {"separator": "comma, semicolon, tab, blanks, pipe", "decimal": "point, comma", "comment": "none"}[key]
        raise InputError(f"data.{key}: expected one sign or a word ({known}), got {shown(given)}")
    return sign


def _encoding(given: str | None, sample: bytes) -> str:
    marked = next((name for mark, name in MARKS.items() if sample.startswith(mark)), None)
    if given is not None:
        try:
            "a".encode(given)
            name = codecs.lookup(given).name
        except (LookupError, ValueError):
            known = "utf-8, utf-16, latin-1 or cp1252"
            raise InputError(f"data.encoding: expected an encoding such as {known}, got {shown(given)}") from None
        return "utf-8-sig" if name == "utf-8" else name
    if marked is not None:
        return marked
    # Of text in UTF-16 nearly every second byte is 0; the first one that is not tells the order of the bytes.
    if sample.count(0) > len(sample) / 4:
        return "utf-16-le" if sample[1::2].count(0) > sample[::2].count(0) else "utf-16-be"
    return "utf-8"


def records(lines: Iterable[str], separator: str, comment: str) -> Iterator[tuple[int, list[str]]]:
    """The records that are not blank, each with the number of its first line, counted from 1, as pandas reads them.

    Raises:
        csv.Error: a quote is never closed.
    """
    reader = csv.reader(
        (_without_comment(line, separator, comment) for line in lines),
        delimiter=separator,
        skipinitialspace=True,
        strict=True,
    )
    number = 1
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        if cells and cells != [""]:
            yield number, [cell.strip() for cell in cells]
        number = reader.line_num + 1


def _without_comment(line: str, separator: str, comment: str) -> str:
    if comment and comment in line and (line.startswith(comment) or '"' not in line):
        line = line.partition(comment)[0] + "\n"
    return line.strip(" \t\r\n").replace("\t", " ") + "\n" if separator == BLANKS else line


def _readable(lines: Iterable[str], separator: str, comment: str) -> Iterator[tuple[int, list[str]]]:
    """The records before the first that cannot be read, such as one that the sample cuts."""
    try:
        yield from records(lines, separator, comment)
    except csv.Error:
        return


def _separator(lines: Sequence[str], comment: str) -> str:
    """The sign that cuts most records into equally many cells, and of those that do, into most numbers."""

    def merit(separator: str) -> tuple[float, float]:
        found = [cells for _, cells in _readable(lines, separator, comment)]
        sizes = Counter(map(len, found))
        size, count = sizes.most_common(1)[0] if sizes else (0, 0)
        if size < 2:
            return 0.0, 0.0
        cells = [cell for record in found for cell in record]
        return count / len(found), sum(map(is_number, cells)) / len(cells)

    merits = {separator: merit(separator) for separator in SEPARATORS}
    best = max(merits, key=merits.__getitem__)
    return BLANKS if merits[best] == (0.0, 0.0) and merit(BLANKS)[0] > 0.5 else best


def _has_decimal_commas(rows: Sequence[Sequence[str]]) -> bool:
    signs = Counter(sign for row in rows for cell in row if is_number(cell) for sign in ",." if sign in cell)
    return signs[","] > 0 and signs["."] == 0


def is_number(cell: str) -> bool:
    """Whether a cell is written as a number, with a decimal point or a decimal comma."""
    return _NUMBER.fullmatch(cell) is not None


def _has_header(first: Sequence[str], rows: Sequence[Sequence[str]], target: str | int) -> bool:
    """Whether the first record names the columns: it differs in kind from what is below, or may do so by the target."""
    below = [[row[place] for row in rows if len(row) > place] for place in range(len(first))]
    known = [[cell for cell in column if cell not in MISSING] for column in below]
    numeric = [bool(column) and all(map(is_number, column)) for column in known]
    heads = [cell for cell, is_numeric in zip(first, numeric, strict=True) if is_numeric and cell not in MISSING]
    if any(not is_number(cell) for cell in heads) or not rows:
        return not (not rows and all(map(is_number, first)))
    if not heads:
        return not any(cell in column for cell, column in zip(first, below, strict=True) if cell not in MISSING)
    # Numbers may be names, such as 0, 1, 2 or wavelengths; then they rise or fall, and no label is the target.
    if target not in first or target in below[first.index(str(target))]:
        return False
    steps = np.sign(np.diff([float(cell.replace(",", ".")) for cell in first if is_number(cell)]))
    return bool(abs(steps.sum()) == len(steps))
