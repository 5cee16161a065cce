"""IDX files, read back and refused."""

import gzip
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from pipeline.data.array_files import read_idx, read_npz
from tests.support.data_files import (
    IMAGE_BYTES,
    IMAGES,
    LABEL_BYTES,
    LABELS,
    idx_bytes,
    refusal,
    write_pair,
)


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


def test_idx_refuses_measured_labels(tmp_path: Path) -> None:
    path = write_pair(tmp_path, labels=idx_bytes(np.array([0.1, 0.2, 0.3, 0.4])))
    assert refusal(read_idx, path).startswith(f"data.path: {tmp_path}/train-labels-idx1-ubyte: expected classes, ")


def pair_named(folder: Path, images: str, labels: str, count: int = 4) -> Path:
    """Images and labels of the first examples under these names."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in ((images, idx_bytes(IMAGES[:count])), (labels, idx_bytes(LABELS[:count]))):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
    return folder / images


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("train-images-idx3-ubyte", "t10k-images-idx3-ubyte"),
        ("train-images.idx3-ubyte", "t10k-images.idx3-ubyte"),
        ("train-images-idx3-ubyte/train-images-idx3-ubyte", "t10k-images-idx3-ubyte/t10k-images-idx3-ubyte"),
        ("emnist-letters-train-images-idx3-ubyte", "emnist-letters-test-images-idx3-ubyte"),
    ],
    ids=["MNIST", "dots", "Kaggle", "EMNIST"],
)
def test_idx_finds_labels_and_the_test_part_by_their_names(tmp_path: Path, train: str, test: str) -> None:
    for images, count in ((train, 4), (test, 2)):
        path = pair_named(tmp_path, images, images.replace("images", "labels").replace("idx3", "idx1"), count)
    for given in (tmp_path, tmp_path / train):
        examples = read_idx(given)
        assert len(examples.inputs) == 4
        assert examples.test is not None
        np.testing.assert_array_equal(examples.test.labels, LABELS[:2])
        assert examples.facts["test_file"] == str(path)
    assert read_idx(tmp_path / train, tmp_path / train).test is None
    assert len(read_idx(path).inputs) == 2


def test_idx_folder_of_several_sets_asks_for_the_file(tmp_path: Path) -> None:
    for split in ("digits", "letters"):
        pair_named(tmp_path, f"emnist-{split}-train-images-idx3-ubyte", f"emnist-{split}-train-labels-idx1-ubyte")
    message = refusal(read_idx, tmp_path)
    assert "got 'emnist-digits-train-images-idx3-ubyte', 'emnist-letters-train-images-idx3-ubyte'" in message
    path = pair_named(tmp_path, "t-images-idx3-ubyte", "t-labels-idx1-ubyte")
    path.write_bytes(idx_bytes(IMAGES.reshape(4, 3, 2)[:, :, :1]))
    message = refusal(read_idx, tmp_path / "emnist-digits-train-images-idx3-ubyte", path)
    assert message.startswith(f"data.test_path: {path}: expected images like those in ")


ARRAYS = {"inputs": np.arange(24.0).reshape(8, 3), "labels": np.arange(8) % 2}


def test_npz_reads_numbers_images_and_a_test_part(tmp_path: Path) -> None:
    path = tmp_path / "arrays.npz"
    np.savez_compressed(path, **ARRAYS, test_inputs=np.ones((2, 3)), test_labels=np.array([0, 1]), other=np.arange(2))
    examples = read_npz(path)
    np.testing.assert_array_equal(examples.inputs, ARRAYS["inputs"])
    assert examples.feature_names == ("x1", "x2", "x3")
    assert examples.test is not None
    assert examples.test.labels.tolist() == [0, 1]
    np.savez(path, inputs=IMAGES, labels=np.array(["a", "b", "a", "b"]))
    assert read_npz(path).feature_names[-1] == "pixel_1_2"
    assert read_npz(path).inputs.shape == (4, 6)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": np.ones(3)}, "expected an array 'inputs', got none"),
        ({"inputs": ARRAYS["inputs"]}, "expected an array 'labels', got 'inputs'"),
        (
            ARRAYS | {"inputs": np.ones(8)},
            "inputs: expected numbers of shape (examples, features), got float64 of shape (8,)",
        ),
        (ARRAYS | {"inputs": np.full((8, 3), "x")}, "inputs: expected numbers of shape"),
        (
            ARRAYS | {"inputs": np.full((8, 3), None)},
            "expected an archive of plain arrays (numpy.savez), got Object arr",
        ),
        (ARRAYS | {"labels": np.arange(7)}, "labels: expected 8 labels, one for each example, got int64 of shape (7,)"),
        (ARRAYS | {"inputs": np.where(np.eye(8, 3), np.nan, 1.0)}, "inputs[0, 0]: expected a finite number, got nan"),
        (ARRAYS | {"labels": np.arange(8) / 7}, "labels: expected classes, each of several examples"),
        (ARRAYS | {"test_inputs": np.ones((2, 3))}, "expected an array 'test_labels', got "),
        (
            ARRAYS | {"test_inputs": np.ones((2, 2)), "test_labels": np.arange(2)},
            "expected 3 features as in inputs, got (2, 2)",
        ),
    ],
)
def test_npz_refuses_in_one_line(tmp_path: Path, arrays: dict[str, np.ndarray], message: str) -> None:
    path = tmp_path / "arrays.npz"
    np.savez(path, **arrays)
    assert message in refusal(read_npz, path)


@pytest.mark.parametrize("content", [b"no archive", b"PK\3\4cut", b""])
def test_npz_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "arrays.npz"
    path.write_bytes(content)
    assert refusal(read_npz, path).startswith(f"data.path: {path}: expected ")
    np.save(tmp_path / "single.npy", np.ones(3))
    assert "expected an archive of plain arrays" in refusal(read_npz, tmp_path / "single.npy")
    np.savez(path, **ARRAYS)
    path.write_bytes(path.read_bytes()[:-30])
    assert "expected an archive of plain arrays" in refusal(read_npz, path)
