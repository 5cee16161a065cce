"""Fixtures of all tests."""

from collections.abc import Iterator

import pytest
from threadpoolctl import threadpool_limits


@pytest.fixture(autouse=True, scope="session")
def one_blas_thread() -> Iterator[None]:
    """As on the command line: small products gain nothing from threads, and lose much when cores are busy."""
    with threadpool_limits(limits=1, user_api="blas"):
        yield
