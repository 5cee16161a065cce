"""Reads labelled examples from IDX files, the format of MNIST (LeCun, Cortes and Burges)."""

import math
import stat
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.data.cells import quoted_names, require_classes
from pipeline.data.examples import Examples
from pipeline.data.opened_file import content_of, opened, readable, status_of, unusable

IDX_DTYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


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


def _image_file(path: Path) -> Path:
    """The image file that ``path`` means: itself, or the one in that folder."""
    if (status := status_of(path)) is None or not stat.S_ISDIR(status.st_mode):
        return path
    with readable(path):
        found = sorted(file for file in path.iterdir() if "images-idx3" in file.name)
    training = [file for file in found if file.name in ("train-images-idx3-ubyte", "train-images-idx3-ubyte.gz")]
    if not training and len(found) != 1:
        raise unusable(path, "one file named *images-idx3* in this folder", quoted_names([file.name for file in found]))
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
