"""Initialise a worker process: it ends with its driver. Imports nothing slow, for that could not be stopped."""

import os
import threading
from importlib import import_module
from multiprocessing import parent_process

from pipeline.system.signals import ignore_signals


def prepare_worker(module: str) -> None:
    """Makes this process end with its driver; then loads what it works with, and limits BLAS to one thread."""
    threading.Thread(target=_end_with_driver, daemon=True).start()
    ignore_signals()
    from threadpoolctl import threadpool_limits

    import_module(module)
    threadpool_limits(limits=1, user_api="blas")


def _end_with_driver() -> None:
    # A killed driver closes no queues, and its workers would wait for ever.
    driver = parent_process()
    assert driver is not None
    driver.join()
    os._exit(1)
