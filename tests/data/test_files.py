"""The readers of users' files: what they read back, and the one line in which they refuse."""

import gzip
import os
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pandas._libs.parsers import STR_NA_VALUES

from pipeline.data import opened_file
from pipeline.data.csv_file import read_csv
from pipeline.data.examples import Examples
from pipeline.data.idx_file import read_idx
from pipeline.errors import InputError

CODES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}
IMAGES = np.arange(24, dtype="u1").reshape(4, 2, 3) * 10
LABELS = np.array([3, 0, 7, 3], dtype="u1")
TABLE = b"a,b,kind\n1,2,x\n3,4,y\n"

quick = settings(max_examples=150, deadline=None, database=None, derandomize=True)
thorough = settings(quick, max_examples=5000)


def idx_bytes(array: NDArray[np.generic]) -> bytes:
    """The array as an IDX file, written independently of the reader."""
    magic = bytes([0, 0, CODES[array.dtype.str[1:]], array.ndim])
    return magic + struct.pack(f">{array.ndim}I", *array.shape) + array.astype(array.dtype.newbyteorder(">")).tobytes()


IMAGE_BYTES, LABEL_BYTES = idx_bytes(IMAGES), idx_bytes(LABELS)


def write_pair(folder: Path, images: bytes = IMAGE_BYTES, labels: bytes = LABEL_BYTES, stem: str = "train") -> Path:
    (folder / f"{stem}-labels-idx1-ubyte").write_bytes(labels)
    path = folder / f"{stem}-images-idx3-ubyte"
    path.write_bytes(images)
    return path


def refusal(read: object, *arguments: object) -> str:
    """The message of the InputError; it must be one line."""
    assert callable(read)
    with pytest.raises(InputError) as caught:
        read(*arguments)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message


@pytest.mark.parametrize("gzipped_labels", [False, True])
@pytest.mark.parametrize("gzipped_images", [False, True])
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_idx_reads_back_whatever_the_names_say_about_gzip(
    tmp_path: Path, suffix: str, gzipped_images: bool, gzipped_labels: bool
) -> None:
    path = tmp_path / "t10k-images-idx3-ubyte"
    path.write_bytes(gzip.compress(IMAGE_BYTES) if gzipped_images else IMAGE_BYTES)
    labels = tmp_path / f"t10k-labels-idx1-ubyte{suffix}"
    labels.write_bytes(gzip.compress(LABEL_BYTES) if gzipped_labels else LABEL_BYTES)
    examples = read_idx(path)
    np.testing.assert_array_equal(examples.inputs, IMAGES.reshape(4, 6) / 255)
    np.testing.assert_array_equal(examples.labels, LABELS)
    assert examples.feature_names == ("pixel_0_0", "pixel_0_1", "pixel_0_2", "pixel_1_0", "pixel_1_1", "pixel_1_2")


@pytest.mark.parametrize("dtype", ["i1", "i2", "i4", "f4", "f8"])
def test_idx_takes_other_types_as_they_are(tmp_path: Path, dtype: str) -> None:
    images = (IMAGES.astype(int) - 100).astype(dtype)
    if dtype.startswith("f"):
        images /= 3
    examples = read_idx(write_pair(tmp_path, idx_bytes(images), idx_bytes(LABELS.astype(dtype))))
    assert examples.inputs.dtype == np.float64
    np.testing.assert_array_equal(examples.inputs, images.reshape(4, 6))
    np.testing.assert_array_equal(examples.labels, LABELS)


def test_idx_folder_means_its_training_images_or_its_only_images(tmp_path: Path) -> None:
    write_pair(tmp_path, idx_bytes(IMAGES[:2]), idx_bytes(LABELS[:2]), stem="t10k")
    assert len(read_idx(tmp_path).inputs) == 2
    write_pair(tmp_path)
    assert len(read_idx(tmp_path).inputs) == 4


def test_idx_folder_must_not_leave_a_choice(tmp_path: Path) -> None:
    assert refusal(read_idx, tmp_path).endswith("expected one file named *images-idx3* in this folder, got none")
    write_pair(tmp_path, stem="a")
    write_pair(tmp_path, stem="b")
    assert "got 'a-images-idx3-ubyte', 'b-images-idx3-ubyte'" in refusal(read_idx, tmp_path)


HUGE_HEADER = IMAGE_BYTES[:4] + struct.pack(">3I", 2**32 - 1, 2**32 - 1, 2**32 - 1)
NAN_IMAGES = np.where(IMAGES == 50, np.nan, IMAGES).astype("f4")


@pytest.mark.parametrize(
    ("images", "labels", "place", "expected", "got"),
    [
        pytest.param(
            b"", LABEL_BYTES, "images-idx3-ubyte", "a file that holds something", "one of 0 bytes", id="empty"
        ),
        pytest.param(b"\0\0", LABEL_BYTES, "byte 0", "an IDX magic number", "0000", id="truncated magic"),
        pytest.param(b"\x89PNG" + IMAGE_BYTES, LABEL_BYTES, "byte 0", "00000803", "89504e47", id="wrong magic"),
        pytest.param(LABEL_BYTES, LABEL_BYTES, "byte 0", "00000803", "00000801", id="labels for images"),
        pytest.param(IMAGE_BYTES[:9], LABEL_BYTES, "byte 4", "12 bytes of sizes", "5 (truncated)", id="header"),
        pytest.param(IMAGE_BYTES[:-3], LABEL_BYTES, "byte 37", "24 bytes", "21 (truncated)", id="truncated body"),
        pytest.param(HUGE_HEADER, LABEL_BYTES, "byte 16", "(4294967295, ", "0 (truncated)", id="declares too much"),
        pytest.param(IMAGE_BYTES + b"!", LABEL_BYTES, "byte 40", "24 bytes", "trailing bytes", id="trailing bytes"),
        pytest.param(idx_bytes(IMAGES[:0]), LABEL_BYTES, "byte 4", "at least 1", "(0, 2, 3)", id="no images"),
        pytest.param(idx_bytes(NAN_IMAGES), LABEL_BYTES, "byte 36", "a finite number", "nan", id="nan"),
        pytest.param(
            gzip.compress(IMAGE_BYTES)[:-9], LABEL_BYTES, "unpacked", "sound gzip", "end-of-stream", id="cut gzip"
        ),
        pytest.param(
            gzip.compress(IMAGE_BYTES)[:-5] + b"12345", LABEL_BYTES, "byte 40 unpacked", "sound gzip", "", id="gzip sum"
        ),
        pytest.param(
            gzip.compress(IMAGE_BYTES) + b"junk", LABEL_BYTES, "byte 40 unpacked", "sound gzip", "", id="gzip and junk"
        ),
        pytest.param(b"\x1f\x8b", LABEL_BYTES, "byte 0 unpacked", "sound gzip", "", id="gzip magic alone"),
        pytest.param(IMAGE_BYTES, idx_bytes(LABELS[:3]), "labels-idx1-ubyte: byte 4", "4 labels", "3", id="counts"),
        pytest.param(IMAGE_BYTES, IMAGE_BYTES, "labels-idx1-ubyte: byte 0", "00000801", "00000803", id="label magic"),
    ],
)
def test_idx_refuses_in_one_line(
    tmp_path: Path, images: bytes, labels: bytes, place: str, expected: str, got: str
) -> None:
    message = refusal(read_idx, write_pair(tmp_path, images, labels))
    assert message.startswith(f"data.path: {tmp_path}/train-")
    assert place in message.split(": expected ")[0]
    assert expected in message
    assert got in message.split(", got ")[-1]


def test_idx_header_is_not_believed_before_the_bytes_are_there(tmp_path: Path) -> None:
    """Declared: 4 GB, small enough that an eager read would succeed on many machines."""
    header = IMAGE_BYTES[:4] + struct.pack(">3I", 2**12, 2**10, 2**10)
    for name, content in (("plain", header + bytes(1000)), ("packed", gzip.compress(header + bytes(1000)))):
        path = write_pair(tmp_path, content, stem=name)
        tracemalloc.start()
        assert "truncated" in refusal(read_idx, path)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 2**24


def test_idx_needs_both_files_and_a_name_that_tells_where_the_labels_are(tmp_path: Path) -> None:
    path = tmp_path / "train-images-idx3-ubyte.gz"
    assert refusal(read_idx, path) == f"data.path: {path}: expected a file, got no such file"
    path.write_bytes(IMAGE_BYTES)
    message = refusal(read_idx, path)
    assert str(path) in message
    assert "train-labels-idx1-ubyte or train-labels-idx1-ubyte.gz beside it" in message
    path.rename(tmp_path / "pictures")
    assert "'images'" in refusal(read_idx, tmp_path / "pictures")


def test_csv_columns_become_features_and_labels(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(b'\xef\xbb\xbf"size, cm", kind ,b\r\n0.1,na, -2e3\r\n\r\n1e-300,"two\nlines",+4\r\n')
    examples = read_csv(path, "kind")
    assert examples.feature_names == ("size, cm", "b")
    np.testing.assert_array_equal(examples.inputs, [[0.1, -2000], [1e-300, 4]])
    assert examples.labels.tolist() == ["na", "two\nlines"]


@pytest.mark.parametrize(
    ("labels", "values"),
    [
        (["10", "9", "9"], [10, 9, 9]),
        (["1.0", "1", "-0.5"], [1.0, 1.0, -0.5]),
        (["10", "9", "x"], ["10", "9", "x"]),
        (["9007199254740992", "9007199254740993"], ["9007199254740992", "9007199254740993"]),
        (["1_0", "10"], ["1_0", "10"]),
        (["007", "7", "7"], ["007", "7", "7"]),
        (["01", "1", "10"], ["01", "1", "10"]),
        (["0", "00", "5"], ["0", "00", "5"]),
        (["0010", "10.0"], ["0010", "10.0"]),
        (["007", "008"], [7, 8]),
        (["0", "0.5", "1"] * 2, [0, 0.5, 1] * 2),
    ],
)
def test_csv_labels_are_numbers_only_if_all_of_them_are(
    tmp_path: Path, labels: list[str], values: list[object]
) -> None:
    path = tmp_path / "table.csv"
    path.write_text("a,y\n" + "".join(f"0,{label}\n" for label in labels))
    assert read_csv(path, "y").labels.tolist() == values


def test_csv_numbers_are_read_to_the_last_bit(tmp_path: Path) -> None:
    numbers = np.random.default_rng(0).standard_normal((200, 2)) * 10.0 ** np.arange(-100, 100)[:, None]
    path = tmp_path / "table.csv"
    path.write_text("a,b,y\n" + "".join(f"{a!r},{b!r},0\n" for a, b in numbers.tolist()))
    np.testing.assert_array_equal(read_csv(path, "y").inputs, numbers)


@pytest.mark.parametrize("word", sorted((STR_NA_VALUES | {"?", "-", "NAN", " NA "}) - {""}))
def test_csv_takes_no_missing_value_for_a_class_or_a_number(tmp_path: Path, word: str) -> None:
    """The words that pandas reads as missing, as it holds them itself."""
    path = tmp_path / "table.csv"
    for line, column in ((f"5,6,{word}", "kind"), (f"5,{word},x", "b")):
        path.write_text(f"{TABLE.decode()}{line}\n", encoding="utf-8")
        message = refusal(read_csv, path, "kind")
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
    message = refusal(read_csv, path, target)
    assert message.startswith(f"data.path: {path}: line 1: expected a header with column names, got an example: ")
    assert message.endswith("(put a line with column names above it)")


@pytest.mark.parametrize(
    "header", ["0,1,2,kind", "1990,1991,1992,kind", "400.5,401,401.5,kind", "3,2,1,kind", "id,7,x,kind", "a,b,c,kind"]
)
def test_csv_columns_may_have_numbers_for_names(tmp_path: Path, header: str) -> None:
    path = tmp_path / "table.csv"
    path.write_text(f"{header}\n1,2,3,x\n4,5,6,y\n")
    assert read_csv(path, "kind").feature_names == tuple(header.split(",")[:3])


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
    message = refusal(read_csv, path, "y")
    assert message.startswith(f"data.target: {path}: column 'y': expected classes, ")
    assert looks_like in message
    assert "classification needs classes" in message


def test_csv_takes_many_classes_and_ratings_in_halves(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    for labels in ([str(number % 100) for number in range(200)], [str(number % 10 / 2) for number in range(100)]):
        path.write_text("a,y\n" + "".join(f"0,{label}\n" for label in labels))
        assert len(set(read_csv(path, "y").labels.tolist())) == len(set(labels))


def test_idx_refuses_measured_labels(tmp_path: Path) -> None:
    path = write_pair(tmp_path, labels=idx_bytes(np.array([0.1, 0.2, 0.3, 0.4])))
    assert refusal(read_idx, path).startswith(f"data.path: {tmp_path}/train-labels-idx1-ubyte: expected classes, ")


WIDE_HEADER = ",".join(f"c{i}" for i in range(100)).encode()


@pytest.mark.parametrize(
    ("content", "key", "place", "problem"),
    [
        pytest.param(b"", "data.path", "table.csv", "a file that holds something, got one of 0 bytes", id="empty"),
        pytest.param(b"\n\n", "data.path", "line 1", "got an empty file", id="blank"),
        pytest.param(b"1,2,0\n3,4,1\n", "data.path", "line 1", "column names, got only numbers: '1', ", id="headless"),
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
        pytest.param(b"a,a,x\n1,2,y\n", "data.path", "line 1", "got 'a' more than once", id="twice"),
        pytest.param(b"1,1,x\n1,2,x\n", "data.path", "line 1", "once (if this line is data, put", id="equal cells"),
        pytest.param(b"1,,x\n1,2,x\n", "data.path", "line 1", "column 2 (if this line is data, put", id="empty cells"),
        pytest.param(b"5.1,3.5,x\n1,2,x\n", "data.target", "line 1", "'kind' (if this line is data", id="no header"),
        pytest.param(TABLE + b'5,6,"x\n', "data.path", "line 4", "unexpected end of data", id="open quote"),
        pytest.param(TABLE + b"5,6,\xe9\n", "data.path", "line 4, byte 25", "UTF-8 text, got byte 0xe9", id="latin-1"),
        pytest.param(gzip.compress(TABLE)[:-1], "data.path", "unpacked", "sound gzip data", id="cut gzip"),
    ],
)
def test_csv_refuses_in_one_line(tmp_path: Path, content: bytes, key: str, place: str, problem: str) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    message = refusal(read_csv, path, "kind")
    assert message.startswith(f"{key}: {path}: ")
    assert place in message.split(": expected ")[0]
    assert problem in message


def test_a_missing_file_a_folder_and_a_pipe_are_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "dangling").symlink_to("nowhere")
    found = {
        "missing.csv": "no such file",
        "": "a folder",
        "pipe": "a pipe",
        "n\0": "no such file",
        "dangling": "a link",
    }
    for name, got in found.items():
        message = refusal(read_csv, tmp_path / name, "kind")
        assert message.startswith(f"data.path: {tmp_path / name}: expected a file, got {got}")
    assert "File name too long" in refusal(read_csv, tmp_path / ("x" * 300), "kind")
    assert "File name too long" in refusal(read_idx, tmp_path / ("x" * 300))
    longest = tmp_path / ("images" + "x" * 249)
    longest.write_bytes(IMAGE_BYTES)
    assert "File name too long" in refusal(read_idx, longest)


def test_the_way_to_a_file_is_not_told_as_its_absence(tmp_path: Path) -> None:
    (tmp_path / "images-loop").symlink_to("images-loop")
    (tmp_path / "there").symlink_to("back")
    (tmp_path / "back").symlink_to("there")
    (tmp_path / "table.csv").write_bytes(TABLE)
    for name, got in (
        ("images-loop", "Too many levels"),
        ("there/d.csv", "Too many"),
        ("table.csv/d.csv", "Not a dir"),
    ):
        for read, arguments in ((read_csv, ("kind",)), (read_idx, ())):
            assert f"expected something readable, got {got}" in refusal(read, tmp_path / name, *arguments)
    path = write_pair(tmp_path)
    (labels := tmp_path / "train-labels-idx1-ubyte").unlink()
    labels.symlink_to(labels.name)
    assert (
        refusal(read_idx, path)
        == f"data.path: {labels}: expected something readable, got Too many levels of symbolic links"
    )


@pytest.mark.parametrize("name", ["kmsg", "cpuinfo", "self/environ", "self/mem", "sys/kernel/random/uuid"])
def test_what_only_looks_like_a_file_is_not_read(tmp_path: Path, name: str) -> None:
    """The kernel's log waits for news, and takes what is read away from whoever keeps it."""
    if not (path := Path("/proc") / name).exists():
        pytest.skip("no such file on this system")
    link = tmp_path / "images-idx3"
    link.symlink_to(path)
    for read, arguments in ((read_csv, (path, "kind")), (read_csv, (link, "kind")), (read_idx, (link,))):
        message = refusal(read, *arguments)
        assert message == f"data.path: {arguments[0]}: expected a file that holds something, got one of 0 bytes"


def test_what_may_not_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's refusal is imitated: root, who often runs tests, may read everything."""

    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    path = write_pair(tmp_path)
    monkeypatch.setattr(Path, "open", denied)
    monkeypatch.setattr(Path, "iterdir", denied)
    (tmp_path / "folder").mkdir()
    for read, arguments in ((read_csv, (path, "kind")), (read_idx, (path,)), (read_idx, (tmp_path / "folder",))):
        message = refusal(read, *arguments)
        assert message.startswith(f"data.path: {arguments[0]}: ")
        assert message.endswith("got Permission denied")


def loads_or_refuses(read: object, *arguments: object) -> str:
    """Whether examples are "read", finite ones that fit together, or "refused" by an InputError of one line."""
    assert callable(read)
    try:
        examples: Examples = read(*arguments)
    except InputError as error:
        message = str(error)
    else:
        assert examples.inputs.shape == (len(examples.labels), len(examples.feature_names))
        assert np.isfinite(examples.inputs).all()
        return "read"
    assert message.startswith(("data.path: ", "data.target: "))
    assert len(message.splitlines()) == 1
    return "refused"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("damaged")


damage = given(data=st.data(), gzipped=st.booleans(), kept=st.integers(0, 120), dtype=st.sampled_from(sorted(CODES)))
tables = given(
    content=st.binary() | st.text().map(str.encode) | st.text('01.e-"\n\r, nax_\0', max_size=60).map(str.encode)
)


def try_damaged_idx(folder: Path, data: st.DataObject, *, gzipped: bool, kept: int, dtype: str) -> None:
    """Reads images, then labels, of which a beginning is there, with flipped bits; statistics tell how it ended."""
    content = idx_bytes(IMAGES.astype(dtype))
    damaged = bytearray(gzip.compress(content, mtime=0) if gzipped else content)[:kept]
    flips = st.tuples(st.integers(0, max(len(damaged) - 1, 0)), st.integers(1, 255))
    for position, flip in data.draw(st.lists(flips, max_size=3)) if damaged else []:
        damaged[position] ^= flip
    event(f"images {loads_or_refuses(read_idx, write_pair(folder, bytes(damaged)))}")
    event(f"labels {loads_or_refuses(read_idx, write_pair(folder, labels=bytes(damaged)))}")


def try_csv(folder: Path, content: bytes) -> None:
    """Reads any content, alone, behind a header, and behind a good table."""
    path = folder / "table.csv"
    for place, head in {"alone": b"", "behind a header": b"a,kind\n", "behind a table": TABLE}.items():
        path.write_bytes(head + content)
        event(f"{place} {loads_or_refuses(read_csv, path, 'kind')}")


@quick
@damage
def test_a_damaged_idx_file_loads_or_is_refused(
    folder: Path, data: st.DataObject, gzipped: bool, kept: int, dtype: str
) -> None:
    try_damaged_idx(folder, data, gzipped=gzipped, kept=kept, dtype=dtype)


@pytest.mark.soak
@thorough
@damage
def test_thousands_of_damaged_idx_files_do_so(
    folder: Path, data: st.DataObject, gzipped: bool, kept: int, dtype: str
) -> None:
    try_damaged_idx(folder, data, gzipped=gzipped, kept=kept, dtype=dtype)


@quick
@tables
def test_any_csv_file_loads_or_is_refused(folder: Path, content: bytes) -> None:
    try_csv(folder, content)


@pytest.mark.soak
@thorough
@tables
def test_thousands_of_csv_files_do_so(folder: Path, content: bytes) -> None:
    try_csv(folder, content)


def test_a_file_that_outgrows_memory_is_refused_while_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files of a few kilobytes that unpack to 100 MB, where 50 MB of memory are granted."""
    monkeypatch.setattr(opened_file, "machine_memory", lambda: 50_000_000)
    header = IMAGE_BYTES[:4] + struct.pack(">3I", 1, 10_000, 10_000)
    packed_images = write_pair(tmp_path, gzip.compress(header + bytes(100_000_000)))
    table = tmp_path / "table.csv"
    table.write_bytes(gzip.compress(TABLE + b"5,6,x\n" * 16_000_000))
    for read, arguments in ((read_idx, (packed_images,)), (read_csv, (table, "kind"))):
        tracemalloc.start()
        message = refusal(read, *arguments)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert message.startswith(f"data.path: {arguments[0]}: expected a file of at most ")
        assert "50 MB of memory, got more than " in message
        assert peak < 25_000_000
