"""Small IDX and CSV files, written independently of the readers, and the refusal of a bad one."""

import struct
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.data.dialect import Given
from pipeline.data.examples import Examples
from pipeline.data.table import Use, read_table
from pipeline.data.table_files import read_csv
from pipeline.errors import InputError

CODES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}
IMAGES = np.arange(24, dtype="u1").reshape(4, 2, 3) * 10
LABELS = np.array([3, 0, 7, 3], dtype="u1")
TABLE = b"a,b,kind\n1,2,x\n3,4,y\n"


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


def csv_examples(path: Path, target: str | int, **keys: object) -> Examples:
    """The examples of a CSV file with the default keys, or these."""
    given = {key: keys.pop(key) for key in Given._fields if key in keys}
    use = Use(target, **keys)  # type: ignore[arg-type]
    is_text = use.task == "classification"
    return read_table(read_csv(path, target, Given(**given), as_text=is_text), use)  # type: ignore[arg-type]
