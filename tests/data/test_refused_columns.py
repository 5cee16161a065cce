"""Columns of tables that cannot be trained on, and what is said of each."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.data.test_table import FRAME, ROWS, from_csv, with_column
from tests.support.data_files import refusal


@pytest.mark.parametrize("name", ["id", "Unnamed: 0", ""])
@pytest.mark.parametrize("start", [0, 1])
def test_a_row_number_is_refused_with_what_leaves_it_out(tmp_path: Path, name: str, start: int) -> None:
    frame = with_column(np.arange(start, ROWS + start), name or "x").rename(columns={"x": name})
    text = refusal(lambda: from_csv(tmp_path, frame))
    assert "looks like a row number: leave it out with 'data.drop=[" in text
    column: str | int = name or 1
    assert f"data.drop=[{column}]" in text
    assert from_csv(tmp_path, frame, drop=[column]).digest == from_csv(tmp_path, FRAME).digest
    from_csv(tmp_path, frame, features=[column, "size"])


SEVERAL = [f"{number / 7:.3f}" for number in range(ROWS)]


@pytest.mark.parametrize(
    ("frame", "keys", "message"),
    [
        (
            with_column(np.arange(ROWS)[::-1] * 3, "id"),
            {},
            "column 'id': expected a feature, got what looks like a row",
        ),
        (with_column([f"person {i}" for i in range(ROWS)]), {}, "40 different texts in 40 rows, like an identifier"),
        (with_column(pd.date_range("2024-01-01", periods=ROWS)), {}, "it holds dates such as 2024-01-01"),
        (with_column(["3.4.2024", "17.5.2024"] * 20), {}, "it holds dates such as 17.5.2024"),
        (with_column([2**53 + i for i in range(ROWS)]), {}, "line 2, column 'new': expected a whole number below 2^53"),
        (
            with_column([10**30 + i for i in range(ROWS)]),
            {},
            "line 2, column 'new': expected a whole number below 2^53",
        ),
        (
            with_column([2**60 + i for i in range(ROWS)]),
            {"features": ["new"]},
            "which float64 tells from its neighbours",
        ),
        (
            with_column([np.nan] * ROWS),
            {"missing": "mean"},
            "column 'new': expected numbers or categories, but it is em",
        ),
        (
            with_column([1.0] * 30 + ["six"] + [2.0] * 9),
            {},
            "line 32, column 'new': expected a finite number, got 'six'",
        ),
        (with_column([np.nan] + [1.0] * 39), {}, "(one of 1 in 1 column; data.missing=drop, mean or most_frequent"),
        (FRAME.assign(kind=[None] + ["x", "y", "x"] * 13), {"missing": "mean"}, "expected a label, got ''"),
        (
            FRAME.assign(kind=["+", "-"] * 20),
            {},
            "a missing value (one of 20 in 1 column; data.missing=drop goes on; a la",
        ),
        (FRAME.assign(kind="apple"), {}, "data.target: {path}: column 'kind': expected at least two classes in csv"),
        (FRAME.assign(kind=2.5), {"task": "regression"}, "expected a quantity that varies, got only 2.5"),
        (FRAME, {"task": "regression"}, "column 'kind': expected numbers for data.task=regression"),
        (FRAME.assign(kind=SEVERAL), {}, "classification needs classes (such as low and high) or data.task=regression"),
        (FRAME.assign(kind=pd.date_range("2024-01-01", periods=ROWS)), {}, "which looks like a date"),
        (
            FRAME,
            {"categories": "error"},
            "line 2, column 'colour': expected a finite number, got 'red' (data.categories",
        ),
        (FRAME, {"features": ["siez"]}, "data.features: {path}: line 1: expected one of 'size', "),
        (FRAME, {"features": ["siez"]}, "got 'siez' (did you mean size?)"),
        (
            FRAME,
            {"features": ["size", "size"]},
            "data.features: {path}: line 1: expected different columns, got 'size'",
        ),
        (FRAME, {"features": [1, "size"]}, "expected different columns, got 'size' more than once"),
        (FRAME, {"features": ["size", "kind"]}, "expected columns besides data.target, got 'kind'"),
        (
            FRAME,
            {"features": ["size"], "drop": ["size"]},
            "data.drop: {path}: line 1: expected columns not in data.feat",
        ),
        (FRAME, {"drop": ["kind"]}, "data.drop: {path}: line 1: expected columns besides data.target, got 'kind'"),
        (FRAME, {"drop": ["size", "colour", "ripe"]}, "expected a feature column besides 'kind', got no other column"),
        (FRAME, {"target": 9}, "data.target: {path}: line 1: expected one of 'size', 'colour', 'ripe', 'kind', got 9"),
        (FRAME, {"target": 0}, "got 0"),
    ],
)
def test_what_cannot_be_trained_on_is_refused_by_name(
    tmp_path: Path, frame: pd.DataFrame, keys: dict[str, Any], message: str
) -> None:
    assert message.format(path=tmp_path / "table.csv") in refusal(lambda: from_csv(tmp_path, frame, **keys))


def test_more_columns_than_ten_thousand_are_refused_by_the_name_of_the_widest(tmp_path: Path) -> None:
    words = [f"w{number % 5001}" for number in range(12_000)]
    lines = "".join(f"{word},{word}b,{'xy'[row % 2]}\n" for row, word in enumerate(words))
    text = refusal(lambda: from_csv(tmp_path, f"one,two,kind\n{lines}"))
    assert "expected at most 10000 columns after encoding, got 10002, of which column 'one' makes 5001" in text
