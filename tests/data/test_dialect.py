"""Dialects of CSV files: what is found out from the file, what the keys say, and what is refused for want of a key."""

import gzip
import re
from pathlib import Path

import numpy as np
import pytest

from tests.support.data_files import csv_examples, refusal

NAMES = ("a", "b")
ROWS = ((1.5, -2.0, "x"), (2.5, 4.0, "y"), (-3.25, 1e3, "x"), (4.0, 0.5, "y"))


def written(separator: str, decimal: str = ".", end: str = "\n", header: str = "a{0}b{0}kind") -> str:
    """The rows in a dialect."""
    lines = [separator.join([str(a), str(b), kind]).replace(".", decimal) for a, b, kind in ROWS]
    return end.join([*([header.format(separator)] if header else []), *lines, ""])


COMMA = written(",")
READ_ALIKE = {
    "comma": COMMA.encode(),
    "no last line end": COMMA.rstrip().encode(),
    "semicolon": written(";").encode(),
    "semicolon, decimal comma": written(";", ",").encode(),
    "tab": written("\t").encode(),
    "tab, decimal comma": written("\t", ",").encode(),
    "pipe": written("|").encode(),
    "blanks": written("   ").encode(),
    "blanks before and after": written("  ").replace("\n", "  \n  ").encode(),
    "blanks and tabs": written(" \t ").encode(),
    "comma and blanks": written(" , ").encode(),
    "windows": written(",", end="\r\n").encode(),
    "old macintosh": written(",", end="\r").encode(),
    "blank lines": written(",", end="\n\n").encode(),
    "mark of UTF-8": COMMA.encode("utf-8-sig"),
    "UTF-16 with its mark": COMMA.encode("utf-16"),
    "UTF-16, big-endian mark": "\ufeff".encode("utf-16-be") + COMMA.encode("utf-16-be"),
    "UTF-16 without a mark": COMMA.encode("utf-16-le"),
    "UTF-16 big-endian": COMMA.encode("utf-16-be"),
    "UTF-32": COMMA.encode("utf-32"),
    "comments": f"# of 2024\n# two lines\n{COMMA}".encode(),
    "comments below": f"{COMMA}# the end\n".encode(),
    "quoted": b'"a","b","kind"\n"1.5","-2.0","x"\n"2.5","4","y"\n-3.25,1e3,"x"\n4,.5,y\n',
    "trailing commas": written(",", end=",\n").encode(),
    "trailing commas below": COMMA.replace("x\n", "x,\n").replace("y\n", "y,\n").encode(),
    "gzipped": gzip.compress(COMMA.encode()),
}


@pytest.mark.parametrize("content", READ_ALIKE.values(), ids=READ_ALIKE)
def test_a_dialect_is_found_out_from_the_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "table"
    path.write_bytes(content)
    examples = csv_examples(path, "kind")
    assert examples.feature_names == NAMES
    np.testing.assert_array_equal(examples.inputs, [row[:2] for row in ROWS])
    assert examples.names == [row[2] for row in ROWS]


@pytest.mark.parametrize("separator", [",", ";", "\t", " "])
def test_a_file_without_a_header_has_numbers_for_names(tmp_path: Path, separator: str) -> None:
    path = tmp_path / "table.csv"
    path.write_text(written(separator, header=""))
    for target in (3, "3", -1):
        examples = csv_examples(path, target)
        assert examples.feature_names == ("1", "2")
        np.testing.assert_array_equal(examples.inputs, [row[:2] for row in ROWS])
    path.write_text("".join(f"{i},{i % 3},{i % 2}\n" for i in (5, 3, 9, 4)))
    assert len(csv_examples(path, 3).labels) == 4


@pytest.mark.parametrize(
    ("content", "keys"),
    [
        (written(";", ",").encode(), {"separator": "semicolon", "decimal": "comma", "header": True}),
        (written("^").encode(), {"separator": "^"}),
        (written("\t").encode(), {"separator": "tab"}),
        (written("\t").encode(), {"separator": "\\t"}),
        (written("  ").encode(), {"separator": "blanks"}),
        (COMMA.replace("kind", "größe").encode("latin-1"), {"encoding": "latin-1"}),
        (COMMA.replace("kind", "größe").encode("cp1252"), {"encoding": "windows-1252"}),
        (COMMA.encode("utf-8-sig"), {"encoding": "utf-8"}),
        (COMMA.replace("\n", " % note\n").encode(), {"comment": "%"}),
        (written(",", header="#a,b,kind").replace("a,", "a,").encode(), {"comment": "none"}),
    ],
)
def test_the_keys_say_what_cannot_be_found_out(tmp_path: Path, content: bytes, keys: dict[str, object]) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    np.testing.assert_array_equal(csv_examples(path, 3, **keys).inputs, [row[:2] for row in ROWS])


def test_a_quoted_cell_may_hold_separators_quotes_and_line_breaks(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text('"size, cm",note,kind\n1,"a, b",x\n2,"c ""d""\ne",y\n3,"a, b",x\n4,"c ""d""\ne",y\n')
    examples = csv_examples(path, "kind")
    assert examples.feature_names == ("size, cm", "note")
    assert set(examples.inputs["note"]) == {"a, b", 'c "d"\ne'}


CONTENT = COMMA.encode()


@pytest.mark.parametrize(
    ("content", "keys", "message"),
    [
        (
            COMMA.replace("y", "ü").encode("latin-1"),
            {},
            r"line 3, byte 28 of the file: expected UTF-8 text, got byte 0xfc",
        ),
        (CONTENT.replace(b"4.0", b"4\0"), {}, r"byte \d+ of the file: expected text, got byte 0x00"),
        (CONTENT.replace(b"4.0", b'"4'), {}, r"line 3: expected cells whose quotes end"),
        (CONTENT.replace(b"4.0", b"").replace(b"x", b'"x"z', 1), {}, r"line \d: expected cells whose quotes end"),
        (CONTENT, {"separator": ";"}, r"line 1: expected one of 'a,b,kind', got 'kind'"),
        (CONTENT, {"separator": "ab"}, r"^data.separator: expected one sign or a word \(comma, .*\), got 'ab'$"),
        (CONTENT, {"decimal": ""}, r"^data.decimal: expected one sign or a word"),
        (CONTENT, {"encoding": "utf-9"}, r"^data.encoding: expected an encoding such as utf-8, .*, got 'utf-9'$"),
        (CONTENT, {"encoding": "base64"}, r"^data.encoding: expected an encoding"),
        (CONTENT, {"encoding": "ascii"}, None),
        (CONTENT.replace(b"x", b"\xff"), {"encoding": "ascii"}, r"expected text in ascii \(data.encoding\), got"),
        (CONTENT, {"header": False}, r"line 1: expected a header with column names, got an example"),
        (f"# head\n{COMMA}5,#3,x\n".encode(), {}, r"line 7: expected # only before comments \(say data.comment=none"),
        (f"{COMMA}#5,3,x\n".encode(), {}, r"line 6: expected # only before comments"),
        (written(";").replace("4.0", "4,5").encode(), {}, r"line 5, column 'a': expected a finite number, got '4,5'"),
        (
            b'a,kind\n"1,234",x\n"2,345",y\n"3,456",x\n',
            {},
            r"line 2, column 'a': expected a finite number without signs",
        ),
        (b"a,kind\n10%,x\n20%,y\n35 %,x\n", {}, r"line 2, column 'a': expected a finite number without signs"),
        ("a,kind\n\u22121,x\n2,y\n\u22123,x\n".encode(), {}, r"line 2, column 'a': expected a finite number"),
        (b"a,kind\n1,x\n2,y\ninf,x\n-inf,y\n", {}, r"line 4, column 'a': expected a finite number, got 'inf'"),
        (b"a;kind\n1.234,5;x\n2.000,5;y\n", {}, r"line 2, column 'a': expected a finite number without signs"),
        (b"a,b,kind\n1,2\n3,4\n", {}, r"line 2: expected 3 cells as in the header, got 2"),
        (b"a,b,kind\n1,2,x,9\n3,4,y,9\n", {}, r"line 2: expected 3 cells as in the header, got 4"),
        (b"a,b,kind\n", {}, r"line 1: expected rows after the header, got none"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_line(
    tmp_path: Path, content: bytes, keys: dict[str, object], message: str | None
) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(content)

    def read() -> None:
        csv_examples(path, "kind", **keys)

    if message is None:
        return read()
    text = refusal(read)
    assert re.search(message, text), text
    assert str(path) in text or text.startswith(("data.separator", "data.decimal", "data.encoding"))
