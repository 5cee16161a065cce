"""Initialise a worker process: it ends with its driver. Imports nothing slow, for that could not be stopped."""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from multiprocessing import parent_process
from types import ModuleType

from pipeline.system.signals import ignore_signals


def prepare_worker(module: str) -> None:
    """Make this process end with its driver from now on; then load what it works with, and limit BLAS to a thread."""
    threading.Thread(target=_end_with_driver, daemon=True).start()
    ignore_signals()
    from threadpoolctl import threadpool_limits

    import_module(module)
    threadpool_limits(limits=1, user_api="blas")


@contextmanager
def without_main() -> Iterator[None]:
    """A context in which spawned processes start that do not run the main module of this process again.

    They need nothing of it, and a script that calls for a sweep outside of ``if __name__ == "__main__"`` would call
    for it again in each of them.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _end_with_driver() -> None:
    # A killed driver closes no queues, and its workers would wait for ever.
    driver = parent_process()
    assert driver is not None
    driver.join()
    os._exit(1)
