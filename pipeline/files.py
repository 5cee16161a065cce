"""Readers of the user's own files: MNIST's IDX format and CSV.

Every file that cannot be used ends in an InputError of one line: the key, the file, the place, what
was expected and what came. Nothing is unpickled, and no memory is taken on a header's word alone.
"""

import csv
import io
import math
import stat
import struct
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from reprlib import repr as shortened
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.cells import MISSING, class_values, finite_numbers, is_number, require_classes
from pipeline.errors import InputError
from pipeline.reading import content_of, opened, readable, status_of, unusable

IDX_DTYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
CSV_HELD = 20
"""Bytes of memory for each byte of a CSV file: 7 where cells are long, 19 where they are single digits."""
SHOWN_NAMES = 8


class Examples(NamedTuple):
    """Labelled examples as their source gives them, not yet split.

    inputs: (n, d), finite. labels: (n,), the class of each example, numbers or strings. feature_names: d names.
    """

    inputs: NDArray[np.float64]
    labels: NDArray[Any]
    feature_names: tuple[str, ...]


def read_idx(path: Path) -> Examples:
    """The images of an IDX file, one flattened image a row, with the labels found beside it.

    Args:
        path: the image file, or a folder that holds one. The label file is named like it, with ``labels``
            for ``images`` and ``idx1`` for ``idx3``. Both may be gzipped, whatever their names say.

    Returns:
        inputs (n, rows * columns): uint8 pixels divided by 255, any other type as it is. labels (n,): as stored.
    """
    image_path = _image_file(path)
    images = _idx_array(image_path, dimensions=3)
    label_path = _label_file(image_path)
    labels = _idx_array(label_path, dimensions=1)
    count, rows, columns = images.shape
    if len(labels) != count:
        raise unusable(f"{label_path}: byte 4", f"{count} labels, one for each image in {image_path}", len(labels))
    require_classes(f"data.path: {label_path}", labels)
    inputs = images.reshape(count, rows * columns).astype(np.float64)
    if images.dtype == np.uint8:
        inputs /= 255
    return Examples(inputs, labels, tuple(f"pixel_{r}_{c}" for r in range(rows) for c in range(columns)))


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


def _image_file(path: Path) -> Path:
    """The image file that ``path`` means: itself, or the one in that folder."""
    if (status := status_of(path)) is None or not stat.S_ISDIR(status.st_mode):
        return path
    with readable(path):
        found = sorted(file for file in path.iterdir() if "images-idx3" in file.name)
    training = [file for file in found if file.name in ("train-images-idx3-ubyte", "train-images-idx3-ubyte.gz")]
    if not training and len(found) != 1:
        raise unusable(path, "one file named *images-idx3* in this folder", _listed([file.name for file in found]))
    return (training or found)[0]


def _label_file(image_path: Path) -> Path:
    """The label file beside an image file, by MNIST's naming."""
    if "images" not in image_path.name:
        raise unusable(image_path, "'images' in the file's name, where the label file has 'labels'", image_path.name)
    name = image_path.name.removesuffix(".gz").replace("images", "labels").replace("idx3", "idx1")
    for candidate in (image_path.with_name(name), image_path.with_name(name + ".gz")):
        if status_of(candidate) is not None:
            return candidate
    raise unusable(image_path, f"its labels in {name} or {name}.gz beside it", "neither")


def _idx_array(path: Path, dimensions: int) -> NDArray[Any]:
    """The array in an IDX file, big-endian as stored.

    Two zero bytes, a type code, the number of dimensions, each size as a big-endian uint32, the values
    row by row (LeCun, Cortes and Burges, "The MNIST database", section on the file formats).
    """
    with opened(path) as stream:
        magic = stream.read(4)
        if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in IDX_DTYPES or magic[3] != dimensions:
            allowed = ", ".join(f"0000{code:02x}{dimensions:02x}" for code in IDX_DTYPES)
            raise unusable(f"{path}: byte 0", f"an IDX magic number ({allowed})", magic.hex() or "an empty file")
        sizes = stream.read(4 * dimensions)
        if len(sizes) < 4 * dimensions:
            raise unusable(f"{path}: byte 4", f"{4 * dimensions} bytes of sizes", f"{len(sizes)} (truncated)")
        shape = struct.unpack(f">{dimensions}I", sizes)
        if 0 in shape:
            raise unusable(f"{path}: byte 4", "sizes of at least 1", shape)
        dtype = np.dtype(IDX_DTYPES[magic[2]])
        start, declared = 4 + len(sizes), math.prod(shape) * dtype.itemsize
        # One byte past the end shows trailing bytes. While they become a data set, values are held five times.
        body = content_of(path, stream, declared + 1, held=1 + 5 * 8 // dtype.itemsize)
    if len(body) != declared:
        place = f"byte {start + min(len(body), declared)}"
        got = f"{len(body)} (truncated)" if len(body) < declared else "trailing bytes"
        raise unusable(f"{path}: {place}", f"{declared} bytes of values for sizes {shape}", got)
    values = np.frombuffer(body, dtype)
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        raise unusable(f"{path}: byte {start + bad[0] * dtype.itemsize}", "a finite number", values[bad[0]])
    return values.reshape(shape)


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
        raise unusable(place, "a header with column names", f"only numbers: {_listed(names)}")
    hint = " (if this line is data, put one with column names above it)" if any(map(is_number, names)) else ""
    if "" in names:
        raise unusable(place, "a name for every column", f"none for column {names.index('') + 1}{hint}")
    if repeated := [name for name, count in Counter(names).items() if count > 1]:
        raise unusable(place, "different column names", f"{_listed(repeated)} more than once{hint}")
    if target not in names:
        raise InputError(f"data.target: {place}: expected one of {_listed(names)}, got {target!r}{hint}")
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
        got = f"an example: {_listed([*feature_names, target])} (put a line with column names above it)"
        raise unusable(place, "a header with column names", got)


def _listed(names: Sequence[str]) -> str:
    """The names in quotes; of many only the first, and how many there are."""
    shown = ", ".join(map(shortened, names[:SHOWN_NAMES])) or "none"
    return shown if len(names) <= SHOWN_NAMES else f"{shown}, ... ({len(names)} in all)"
