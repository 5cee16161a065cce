"""Reads labelled examples from IDX files, the format of MNIST (LeCun, Cortes and Burges), and from NumPy archives."""

import io
import math
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.data.examples import Examples, require_classes
from pipeline.data.opened_file import content_of, of_test_part, opened, readable, require_room, status_of, unusable
from pipeline.errors import InputError, quoted_names

NPZ_ARRAYS = ("inputs", "labels", "test_inputs", "test_labels")
MOST_NAMES = 8
IDX_DTYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_idx(path: Path, test_path: Path | None = None) -> Examples:
    """The images of an IDX file, one flattened image a row, with the labels found beside it.

    Args:
        path: the image file, or a folder that holds one, or Kaggle's folders of one file each. The label file is named
            like it, with ``labels`` for ``images`` and ``idx1`` for ``idx3``. All may be gzipped, whatever their names
            say.
        test_path: the images of the test part; None for those that are found beside training images, named with
            ``t10k`` or ``test`` for ``train``, if there are any. The training file itself for none.

    Returns:
        inputs (n, rows * columns): uint8 pixels divided by 255, any other type as it is. labels (n,): as stored.
    """
    image_path = _image_file(path)
    test_images = _test_file(image_path) if test_path is None else _image_file(test_path)
    examples = _images(image_path)
    facts = {"read": "IDX", "file": str(image_path)}
    if test_images in (None, image_path):
        return examples._replace(facts=facts)
    with of_test_part():
        test = _images(test_images)
        if test.feature_names != examples.feature_names:
            raise unusable(test_images, f"images like those in {image_path}", "images of another size")
    return examples._replace(test=test, facts=facts | {"test_file": str(test_images)})


def _images(image_path: Path) -> Examples:
    images = _idx_array(image_path, dimensions=3)
    label_path = _label_file(image_path)
    labels = _idx_array(label_path, dimensions=1)
    count, rows, columns = images.shape
    if len(labels) != count:
        raise unusable(f"{label_path}: byte 4", f"{count} labels, one for each image in {image_path}", len(labels))
    _require_classes(f"data.path: {label_path}", labels)
    inputs = images.reshape(count, rows * columns).astype(np.float64)
    if images.dtype == np.uint8:
        inputs /= 255
    return Examples(inputs, labels, _pixels(rows, columns), place=str(label_path))


def _pixels(rows: int, columns: int) -> tuple[str, ...]:
    """The names of an image's features."""
    return tuple(f"pixel_{r}_{c}" for r in range(rows) for c in range(columns))


def _require_classes(place: str, labels: NDArray[Any]) -> None:
    words, codes = np.unique(labels, return_inverse=True)
    require_classes(place, codes, tuple(map(str, words)))


def read_npz(path: Path) -> Examples:
    """The arrays ``inputs`` (n, ...) and ``labels`` (n,) of a NumPy archive; never unpickled.

    With ``test_inputs`` and ``test_labels`` it has a test part of its own.

    Raises:
        InputError: in one line, which array is not as it should be.
    """
    with opened(path) as stream:
        try:
            with np.load(io.BytesIO(content_of(path, stream, None, held=6)), allow_pickle=False) as archive:
                # The headers are not believed before their bytes fit into memory.
                require_room(path, sum(file.file_size for file in archive.zip.infolist()), 6)
                arrays = {name: archive[name] for name in archive.files if name in NPZ_ARRAYS}
        except InputError:
            raise
        except (ValueError, TypeError, AttributeError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise unusable(path, "an archive of plain arrays (numpy.savez)", reason) from error
    examples = _from_arrays(path, arrays, "inputs", "labels")
    _require_classes(f"data.path: {path}: labels", examples.labels)
    if "test_inputs" in arrays or "test_labels" in arrays:
        test = _from_arrays(path, arrays, "test_inputs", "test_labels")
        if test.feature_names != examples.feature_names:
            raise unusable(
                f"{path}: test_inputs", f"{len(examples.feature_names)} features as in inputs", test.inputs.shape
            )
        examples = examples._replace(test=test)
    return examples._replace(facts={"read": "NPZ", "file": str(path)})


def _from_arrays(path: Path, arrays: Mapping[str, NDArray[Any]], inputs_name: str, labels_name: str) -> Examples:
    for name in (inputs_name, labels_name):
        if name not in arrays:
            raise unusable(path, f"an array {name!r}", quoted_names(sorted(arrays)))
    inputs, labels = arrays[inputs_name], arrays[labels_name]
    if inputs.dtype.kind not in "fiub" or inputs.ndim < 2 or 0 in inputs.shape:
        got = f"{inputs.dtype} of shape {inputs.shape}"
        raise unusable(f"{path}: {inputs_name}", "numbers of shape (examples, features)", got)
    if labels.shape != inputs.shape[:1] or labels.dtype.kind not in "fiubU":
        got = f"{labels.dtype} of shape {labels.shape}"
        raise unusable(f"{path}: {labels_name}", f"{len(inputs)} labels, one for each example", got)
    for name, array in ((inputs_name, inputs), (labels_name, labels)):
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            place = ", ".join(map(str, np.argwhere(~np.isfinite(array))[0]))
            raise unusable(f"{path}: {name}[{place}]", "a finite number", array[~np.isfinite(array)][0])
    flat = inputs.reshape(len(inputs), -1).astype(np.float64)
    names = _pixels(*inputs.shape[1:]) if inputs.ndim == 3 else tuple(f"x{i}" for i in range(1, flat.shape[1] + 1))
    return Examples(flat, labels, names, place=f"{path}: {labels_name}")


def _is_images(path: Path) -> bool:
    return re.search(r"images[-.]idx3", path.name) is not None


def _image_file(path: Path) -> Path:
    """The image file that ``path`` means: itself, or the one in that folder or in a folder of its own name there."""
    if not _is_folder(path):
        return path
    with readable(path):
        beside = sorted(filter(_is_images, path.iterdir()))
        found = [file for file in beside if not file.is_dir()]
        found += [file for folder in beside if folder.is_dir() for file in sorted(filter(_is_images, folder.iterdir()))]
    # A file and its packed twin hold the same.
    found = [file for file in found if file.suffix != ".gz" or file.with_suffix("") not in found]
    training = [file for file in found if "train" in file.name]
    if len(training) != 1 and len(found) != 1:
        names = [repr(str(file.relative_to(path))) for file in training or found]
        raise unusable(path, "one file named *images-idx3* in this folder", ", ".join(names[:MOST_NAMES]) or "none")
    return (training if len(training) == 1 else found)[0]


def _is_folder(path: Path) -> bool:
    return (status := status_of(path)) is not None and stat.S_ISDIR(status.st_mode)


def _beside(path: Path, rename: Callable[[str], str]) -> Path | None:
    """The file whose name is this one's, renamed, packed or not, beside it or in a folder of its own."""
    folder, name = path.parent, rename(path.name.removesuffix(".gz"))
    folders = [folder, folder / name, folder.parent / name] if _is_images(folder) else [folder, folder / name]
    for candidate in (place / (name + packed) for place in folders for packed in ("", ".gz")):
        if status_of(candidate) is not None and not _is_folder(candidate):
            return candidate
    return None


def _test_file(image_path: Path) -> Path | None:
    """The images for testing that belong to these images for training, by MNIST's and EMNIST's naming."""
    if "train" not in image_path.name:
        return None
    of_mnist = _beside(image_path, lambda name: name.replace("train", "t10k"))
    return of_mnist or _beside(image_path, lambda name: name.replace("train", "test"))


def _label_file(image_path: Path) -> Path:
    """The label file beside an image file, by MNIST's naming."""
    if "images" not in image_path.name:
        raise unusable(image_path, "'images' in the file's name, where the label file has 'labels'", image_path.name)

    def rename(name: str) -> str:
        return name.replace("images", "labels").replace("idx3", "idx1")

    if (found := _beside(image_path, rename)) is not None:
        return found
    name = rename(image_path.name.removesuffix(".gz"))
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
