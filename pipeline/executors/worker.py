"""The first instructions of a worker process. Nothing here takes time to import, for what does could not be stopped."""

import os
import threading
from multiprocessing import parent_process

from pipeline.system.signals import ignore_signals


def prepare_worker() -> None:
    """Makes this process end with its driver, from now on; then loads what it trains with, on one BLAS thread."""
    threading.Thread(target=_end_with_driver, daemon=True).start()
    ignore_signals()
    from threadpoolctl import threadpool_limits

    import pipeline.executors.batch  # noqa: F401  with NumPy and SciPy, whose BLAS is limited next

    threadpool_limits(limits=1, user_api="blas")


def _end_with_driver() -> None:
    # A killed driver closes no queues, and its workers would wait for ever.
    driver = parent_process()
    assert driver is not None
    driver.join()
    os._exit(1)
