"""Fixtures of the tests of the library's own calls."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.in_process import as_a_new_process


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Path]:
    """An empty working folder, in a process as it is when it has just started."""
    with as_a_new_process(tmp_path, {}):
        yield tmp_path
