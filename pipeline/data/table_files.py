"""Reads tables with pandas, from CSV and Parquet files, and tells the line of what is refused."""

import csv
import hashlib
import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from reprlib import repr as shortened
from typing import Any

import pandas as pd
from pandas.errors import DtypeWarning, ParserError, ParserWarning

from pipeline.data.dialect import BLANKS, MISSING, NAMES, Dialect, Given, dialect_of, is_number, records
from pipeline.data.opened_file import bounded, opened, require_room, unusable
from pipeline.data.table import Table, position_of
from pipeline.errors import InputError, quoted_names
from pipeline.system.atomic_file import write_atomically

HELD = 40
"""Bytes of memory for each cell of a table until it is a data set."""
EXACT = {} if tuple(map(int, pd.__version__.split(".")[:2])) >= (3, 1) else {"float_precision": "round_trip"}
"""How pandas reads numbers to the last bit."""


def read_csv(path: Path, target: str | int, given: Given = Given(), *, as_text: bool = True) -> Table:  # noqa: B008
    """The table in a CSV file, gzipped or not; what ``given`` leaves open is found out from the file.

    Args:
        target: the column that is told from the others before pandas reads them.
        as_text: whether the target is read as text, so that 007 and 7 are two labels.

    Raises:
        InputError: in one line, the file and the line of what cannot be read.
    """
    dialect = dialect_of(path, given, target)
    names = dialect.names
    if not dialect.header and target in dialect.first:
        example = f"an example: {quoted_names(dialect.first)}, so give data.target as a number"
        got = f"{example} (put a line with column names above it)"
        raise unusable(f"{path}: line 1", "a header with column names", got)
    is_data = any(map(is_number, dialect.first))
    hint = " (if this line is data, put one with column names above it, or give the number of the column)"
    shown = names if dialect.header else dialect.first
    place = position_of("data.target", target, names, f"{path}: line 1", hint if is_data else "", shown)
    frame = _frame(path, dialect, len(names), {place: object} if as_text else {})
    if frame.empty:
        raise unusable(f"{path}: line {max(1, _last_line(path, dialect))}", "rows after the header", "none")
    if dialect.comment and given.comment is None:
        _require_plain_comments(path, dialect)
    if frame[len(names) - 1].isna().any():  # pandas fills short lines with missing cells.
        _require_equal_lines(path, dialect)
    found = {"read": dialect.described(), "file": str(path)}
    return Table(frame, names, str(path), partial(_place_and_cell, path, dialect), found, f"{path}: line 1")


def read_parquet(path: Path, target: str | int) -> Table:
    """The table in a Parquet file, as pandas reads it.

    Args:
        target: a column that it must have.

    Raises:
        InputError: in one line, what cannot be read.
    """
    import pyarrow
    import pyarrow.parquet

    with opened(path):
        pass  # It says what is no file.
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            cells = file.metadata.num_rows * file.metadata.num_columns
            require_room(path, cells, HELD)
        frame = pd.read_parquet(path)
        frame = frame.reset_index([name for name in frame.index.names if name is not None])
    except InputError:
        raise
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise unusable(path, "a Parquet file", str(error).splitlines()[0]) from error
    if frame.empty:
        raise unusable(path, "rows", "none")
    names = list(map(str, frame.columns))
    position_of("data.target", target, names, str(path))

    def locate(row: int, column: int) -> tuple[str, str]:
        return f"{path}: row {row + 1}, column {shortened(names[column])}", str(frame.iat[row, column])

    frame.columns = pd.RangeIndex(len(names))
    return Table(frame, names, str(path), locate, {"read": "Parquet", "file": str(path)}, str(path))


def save_frame(frame: pd.DataFrame, folder: Path) -> Path:
    """Writes a table that a program holds as a Parquet file, named by its content; any process trains on that.

    Returns:
        Its path, for ``data=parquet data.path=...``.

    Raises:
        InputError: Parquet has no place for what it holds, such as two columns of one name.
    """
    buffer = io.BytesIO()
    try:
        frame.rename(columns=str).to_parquet(buffer, index=False)
    except (TypeError, ValueError, NotImplementedError) as error:  # Those of pyarrow are such.
        said = " ".join(" ".join(map(str, error.args)).split())
        raise InputError(f"frame: expected what a Parquet file can hold, got: {said}") from error
    path = folder / f"{hashlib.sha256(buffer.getvalue()).hexdigest()[:16]}.parquet"
    write_atomically(path, buffer.getvalue())
    return path


def _frame(path: Path, dialect: Dialect, width: int, dtypes: dict[int, type]) -> pd.DataFrame:
    options: dict[str, Any] = {"na_values": sorted(MISSING), "skipinitialspace": dialect.padded, **EXACT}
    options |= {"sep": r"\s+" if dialect.separator == BLANKS else dialect.separator, "decimal": dialect.decimal}
    with _lines(path, dialect) as lines, warnings.catch_warnings():
        warnings.simplefilter("error", ParserWarning)
        warnings.simplefilter("ignore", DtypeWarning)
        try:
            if dialect.header:
                next(records(lines, dialect.separator, dialect.comment), None)
            return pd.read_csv(
                lines,
                header=None,
                names=range(width),
                index_col=False,
                dtype=dtypes,
                comment=dialect.comment or None,
                **options,
            )
        except (ParserError, ParserWarning, csv.Error) as error:
            _require_equal_lines(path, dialect)
            between = f"cells with {NAMES.get(dialect.separator, dialect.separator)} between them"
            raise unusable(path, between, str(error).strip().splitlines()[0]) from error
        except UnicodeError as error:
            raise _undecodable(path, dialect.encoding, error) from error


@contextmanager
def _lines(path: Path, dialect: Dialect) -> Iterator[io.TextIOWrapper]:
    """The text of a file, its line ends as they are."""

    def check(chunk: bytes, start: int) -> None:
        if b"\0" in chunk and not dialect.encoding.startswith(("utf-16", "utf-32")):
            place = f"{path}: byte {start + chunk.index(0)} of the file"
            raise unusable(place, "text", "byte 0x00 (of UTF-16, say data.encoding=utf-16)")

    with opened(path) as stream:
        held = max(1, round(HELD * dialect.density))
        text = io.TextIOWrapper(bounded(path, stream, held, check), dialect.encoding, newline="")
        yield text


def _numbered(path: Path, dialect: Dialect) -> Iterator[tuple[int, list[str]]]:
    """The records after the header, with the numbers of their lines; for messages, because it is slow."""
    line = 1
    with _lines(path, dialect) as lines:
        try:
            for line, cells in islice(records(lines, dialect.separator, dialect.comment), int(dialect.header), None):
                yield line, cells
        except csv.Error as error:
            raise unusable(f"{path}: line {line + 1}", "cells whose quotes end", error) from error


def _require_equal_lines(path: Path, dialect: Dialect) -> None:
    """Refuses a line with more or fewer cells than the header, or a quote that never ends."""
    width = len(dialect.names)
    as_in = "the header" if dialect.header else "the first line"
    for line, cells in _numbered(path, dialect):
        if len(cells) != width:
            raise unusable(f"{path}: line {line}", f"{width} cells as in {as_in}", len(cells))


def _require_plain_comments(path: Path, dialect: Dialect) -> None:
    """Refuses a sign of comments that nobody named where it may as well be a part of the table."""
    is_leading = True
    with _lines(path, dialect) as lines:
        for number, line in enumerate(lines, start=1):
            is_comment = line.startswith(dialect.comment)
            cells = sum(len(cells) for _, cells in records([line], dialect.separator, "")) if is_comment else 0
            is_leading &= is_comment
            if (dialect.comment in line and not is_comment) or (cells == len(dialect.names) and not is_leading):
                expected = (
                    f"{dialect.comment} only before comments (say data.comment=none, or data.comment={dialect.comment})"
                )
                raise unusable(f"{path}: line {number}", expected, shortened(line.strip()))


def _last_line(path: Path, dialect: Dialect) -> int:
    with _lines(path, dialect) as lines:
        return sum(1 for _ in lines)


def _place_and_cell(path: Path, dialect: Dialect, row: int, column: int) -> tuple[str, str]:
    """Where a cell stands, and its text."""
    line, cells = next(islice(_numbered(path, dialect), row, None))
    return f"{path}: line {line}, column {shortened(dialect.names[column] or column + 1)}", cells[column]


def _undecodable(path: Path, encoding: str, error: UnicodeError) -> InputError:
    """The refusal of bytes that are no text; where lines can be told apart, with the place of the first."""
    if encoding.startswith("utf-8"):
        with opened(path) as stream:
            start = 0
            for number, line in enumerate(stream, start=1):
                try:
                    line.decode()
                except UnicodeDecodeError as first:
                    place = f"{path}: line {number}, byte {start + first.start} of the file"
                    got = f"byte 0x{line[first.start]:02x} (or say which other encoding it is: data.encoding=latin-1)"
                    return unusable(place, "UTF-8 text", got)
                start += len(line)
    return unusable(path, f"text in {encoding} (data.encoding)", error)
