"""Any bytes at all are either read as finite examples or refused in one line."""

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from pipeline.data.array_files import read_idx
from pipeline.data.examples import Examples, prepared
from pipeline.errors import InputError
from tests.support.data_files import (
    CODES,
    IMAGES,
    TABLE,
    csv_examples,
    idx_bytes,
    write_pair,
)

quick = settings(max_examples=150, deadline=None, database=None, derandomize=True)
thorough = settings(quick, max_examples=5000)


def loads_or_refuses(read: object, *arguments: object) -> str:
    """Whether examples are "read", finite ones that fit together, or "refused" by an InputError of one line."""
    assert callable(read)
    try:
        examples: Examples = read(*arguments)
        inputs = examples.inputs
        if isinstance(inputs, pd.DataFrame):
            inputs = prepared(inputs, inputs[:0], examples.fill).train
    except InputError as error:
        message = str(error)
    else:
        assert examples.inputs.shape == (len(examples.labels), len(examples.feature_names))
        assert np.isfinite(inputs).all()
        return "read"
    assert message.startswith(("data.path: ", "data.target: ", "data.drop: "))
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
        event(f"{place} {loads_or_refuses(csv_examples, path, 'kind')}")


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
