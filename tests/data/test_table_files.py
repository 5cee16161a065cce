"""CSV files: features, labels, headers, and what is refused."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from pandas._libs.parsers import STR_NA_VALUES

from tests.support.data_files import (
    TABLE,
    csv_examples,
    refusal,
)


def test_csv_columns_become_features_and_labels(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(b'\xef\xbb\xbf"size, cm", kind ,b\r\n0.1,na, -2e3\r\n\r\n1e-300,"two\nlines",+4\r\n')
    examples = csv_examples(path, "kind")
    assert examples.feature_names == ("size, cm", "b")
    np.testing.assert_array_equal(examples.inputs, [[0.1, -2000], [1e-300, 4]])
    assert examples.names == ["na", "two\nlines"]


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (["10", "9", "9"], ["9", "10"]),
        (["1.0", "-0.5", "1.0"], ["-0.5", "1.0"]),
        (["10", "9", "x"], ["10", "9", "x"]),
        (["9007199254740992", "9007199254740993"], ["9007199254740992", "9007199254740993"]),
        (["1_0", "10"], ["10", "1_0"]),
        (["007", "7", "7"], ["007", "7"]),
        (["01", "1", "10"], ["01", "1", "10"]),
        (["007", "008"], ["007", "008"]),
        (["0", "0.5", "1"] * 2, ["0", "0.5", "1"]),
        (["True", "False", "True"], ["False", "True"]),
    ],
)
def test_csv_labels_are_kept_as_text_in_the_order_of_their_numbers(
    tmp_path: Path, labels: list[str], classes: list[str]
) -> None:
    path = tmp_path / "table.csv"
    path.write_text("a,y\n" + "".join(f"0,{label}\n" for label in labels))
    examples = csv_examples(path, "y")
    assert examples.names == labels
    assert list(examples.class_names) == classes


def test_csv_numbers_are_read_to_the_last_bit(tmp_path: Path) -> None:
    numbers = np.random.default_rng(0).standard_normal((200, 2)) * 10.0 ** np.arange(-100, 100)[:, None]
    path = tmp_path / "table.csv"
    path.write_text("a,b,y\n" + "".join(f"{a!r},{b!r},0\n" for a, b in numbers.tolist()))
    np.testing.assert_array_equal(csv_examples(path, "y").inputs, numbers)


@pytest.mark.parametrize("word", sorted((STR_NA_VALUES | {"?", "-", "NAN", " NA "}) - {""}))
def test_csv_takes_no_missing_value_for_a_class_or_a_number(tmp_path: Path, word: str) -> None:
    """The words that pandas reads as missing, as it holds them itself."""
    path = tmp_path / "table.csv"
    for line, column in ((f"5,6,{word}", "kind"), (f"5,{word},x", "b")):
        path.write_text(f"{TABLE.decode()}{line}\n", encoding="utf-8")
        message = refusal(csv_examples, path, "kind")
        assert message.startswith(f"data.path: {path}: line 4, column '{column}': expected ")
        assert repr(word.strip()) in message or repr(word) in message


@pytest.mark.parametrize(
    ("content", "target"),
    [
        ("5.1,3.5,setosa\n4.9,3.0,setosa\n7.0,3.2,versicolor\n", "setosa"),  # falling, like wavenumbers
        ("1,2,yes\n3,4,no\n5,6,yes\n", "yes"),  # rising, like 0, 1, 2
        ("yes,2\nno,4\nyes,6\n", "yes"),
        ("5.1,?,1.4,a\n4.9,3.0,1.4,a\n7.0,3.2,4.7,b\n", "a"),
        ("5.1,3.5,9.9,a\n4.9,3.0,1.4,b\n7.0,3.2,4.7,b\n", "a"),  # its class has no other example
    ],
)
def test_csv_does_not_lose_its_first_example_as_a_header(tmp_path: Path, content: str, target: str) -> None:
    path = tmp_path / "table.csv"
    path.write_text(content)
    message = refusal(csv_examples, path, target)
    assert message.startswith(f"data.path: {path}: line 1: expected a header with column names, got an example: ")
    assert message.endswith("(put a line with column names above it)")


@pytest.mark.parametrize(
    "header", ["0,1,2,kind", "1990,1991,1992,kind", "400.5,401,401.5,kind", "3,2,1,kind", "id,7,x,kind", "a,b,c,kind"]
)
def test_csv_columns_may_have_numbers_for_names(tmp_path: Path, header: str) -> None:
    path = tmp_path / "table.csv"
    path.write_text(f"{header}\n1,2,3,x\n4,5,6,y\n")
    assert csv_examples(path, "kind").feature_names == tuple(header.split(",")[:3])


@pytest.mark.parametrize(
    ("labels", "looks_like"),
    [
        ([f"{number / 7:.3f}" for number in range(60)], "60 different labels in 60 examples, which looks like a qu"),
        ([f"{number % 60 / 7:.3f}" for number in range(600)], "60 different labels in 600 examples, which looks like"),
        (["0.1", "0.25", "0.7"], "3 different labels in 3 examples, which looks like a quantity"),
        (
            [str(1000 + number) for number in range(60)],
            "60 different labels in 60 examples, which looks like a quantity",
        ),
        ([f"person {number}" for number in range(60)], "60 different labels in 60 examples, which looks like a name"),
    ],
    ids=["decimals", "repeated decimals", "few decimals", "whole numbers", "names"],
)
def test_csv_refuses_a_target_that_has_no_classes(tmp_path: Path, labels: list[str], looks_like: str) -> None:
    path = tmp_path / "table.csv"
    path.write_text("a,y\n" + "".join(f"{row},{label}\n" for row, label in enumerate(labels)))
    message = refusal(csv_examples, path, "y")
    assert message.startswith(f"data.target: {path}: column 'y': expected classes, ")
    assert looks_like in message
    assert "classification needs classes" in message


def test_csv_takes_many_classes_and_ratings_in_halves(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    for labels in ([str(number % 100) for number in range(200)], [str(number % 10 / 2) for number in range(100)]):
        path.write_text("a,y\n" + "".join(f"0,{label}\n" for label in labels))
        assert len(csv_examples(path, "y").class_names) == len(set(labels))


WIDE_HEADER = ",".join(f"c{i}" for i in range(100)).encode()


@pytest.mark.parametrize(
    ("content", "key", "place", "problem"),
    [
        pytest.param(b"", "data.path", "table.csv", "a file that holds something, got one of 0 bytes", id="empty"),
        pytest.param(b"\n\n", "data.path", "line 1", "got an empty file", id="blank"),
        pytest.param(b"1,2,0\n3,4,1\n", "data.target", "line 1", "'1', '2', '0', got 'kind' (if this", id="headless"),
        pytest.param(b"a,b,kind\n", "data.path", "line 1", "rows after the header, got none", id="no rows"),
        pytest.param(b"a,,kind\n1,2,x\n", "data.path", "line 1", "got none for column 2", id="unnamed column"),
        pytest.param(b"a,kind,a\n1,x,2\n", "data.path", "line 1", "got 'a' more than once", id="duplicate names"),
        pytest.param(b"a,b,c\n1,2,x\n", "data.target", "line 1", "one of 'a', 'b', 'c', got 'kind'", id="no target"),
        pytest.param(WIDE_HEADER, "data.target", "line 1", "'c7', ... (100 in all), got 'kind'", id="wide"),
        pytest.param(b"kind\nx\n", "data.path", "line 1", "a feature column besides 'kind'", id="no features"),
        pytest.param(TABLE + b"5,6\n", "data.path", "line 4", "3 cells as in the header, got 2", id="short line"),
        pytest.param(TABLE + b"\n5,6,x,\n", "data.path", "line 5", "3 cells as in the header, got 4", id="long line"),
        pytest.param(TABLE + b"5,six,x\n", "data.path", "line 4, column 'b'", "a finite number, got 'six'", id="text"),
        pytest.param(TABLE + b"5,,x\n", "data.path", "line 4, column 'b'", "a finite number, got ''", id="empty cell"),
        pytest.param(TABLE + b"NaN,6,x\n", "data.path", "line 4, column 'a'", "number, got 'NaN'", id="nan"),
        pytest.param(TABLE + b"5,-inf,x\n", "data.path", "line 4, column 'b'", "number, got '-inf'", id="inf"),
        pytest.param(TABLE + b"1e999,6,x\n", "data.path", "line 4, column 'a'", "number, got '1e999'", id="overflow"),
        pytest.param(TABLE + b"1_000,6,x\n", "data.path", "line 4, column 'a'", "number, got '1_000'", id="underscore"),
        pytest.param(b'a,kind\n1,"x\ny"\nz,x\n', "data.path", "line 4, column 'a'", "got 'z'", id="after a long cell"),
        pytest.param(TABLE + b"5,6, \n", "data.path", "line 4, column 'kind'", "a label, got ''", id="no label"),
        pytest.param(TABLE + b"5,6,NaN\n", "data.path", "line 4, column 'kind'", "a label, got 'NaN'", id="nan label"),
        pytest.param(b"a,a,kind\n1,2,y\n", "data.path", "line 1", "got 'a' more than once", id="twice"),
        pytest.param(b"1,1,x\n1,2,x\n", "data.target", "line 1", "(if this line is data, put", id="equal cells"),
        pytest.param(b"1,,x\n1,2,x\n", "data.target", "line 1", "(if this line is data, put", id="empty cells"),
        pytest.param(b"5.1,3.5,x\n1,2,x\n", "data.target", "line 1", "'kind' (if this line is data", id="no header"),
        pytest.param(TABLE + b'5,6,"x\n', "data.path", "line 4", "unexpected end of data", id="open quote"),
        pytest.param(TABLE + b"5,6,\xe9\n", "data.path", "line 4, byte 25", "UTF-8 text, got byte 0xe9", id="latin-1"),
        pytest.param(gzip.compress(TABLE)[:-1], "data.path", "unpacked", "sound gzip data", id="cut gzip"),
    ],
)
def test_csv_refuses_in_one_line(tmp_path: Path, content: bytes, key: str, place: str, problem: str) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    message = refusal(csv_examples, path, "kind")
    assert message.startswith(f"{key}: {path}: ")
    assert place in message.split(": expected ")[0]
    assert problem in message
