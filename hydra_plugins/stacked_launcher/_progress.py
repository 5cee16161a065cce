"""How far a sweep is: a bar on a terminal, a line now and then elsewhere."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from math import inf

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from pipeline.executors.batch import Failure
from pipeline.stacking import RunResult
from pipeline.task import objective

log = logging.getLogger(__name__)

LINES = 10
"""How many lines a whole sweep writes where there is no terminal."""


class Progress:
    """Counts the jobs that are trained and tracked.

    Args:
        jobs: how many there are.
    """

    def __init__(self, jobs: int) -> None:
        self._jobs = jobs
        self._bar = tqdm(total=jobs, unit="run", disable=not sys.stderr.isatty(), dynamic_ncols=True)
        self._done = self._failed = self._diverged = 0
        self._best = inf

    def count(self, outcome: RunResult | Failure) -> None:
        """Takes in one more job."""
        self._done += 1
        if isinstance(outcome, Failure):
            self._failed += 1
        elif outcome.diverged_at is not None:
            self._diverged += 1
        else:
            self._best = min(self._best, objective(outcome))
        self._bar.update()
        if not self._bar.disable:
            self._bar.set_postfix_str(self._numbers(), refresh=False)
        elif self._done * LINES // self._jobs > (self._done - 1) * LINES // self._jobs:
            log.info(f"{self._done}/{self._jobs} jobs: {self._numbers()}")

    def _numbers(self) -> str:
        best = f"best loss {self._best:.4g}, " if self._best < inf else ""
        return f"{best}{self._failed} failed, {self._diverged} diverged"

    def close(self) -> None:
        """Leaves the bar as it is."""
        self._bar.close()


@contextmanager
def progress_of(jobs: int) -> Iterator[Progress]:
    """Progress of a sweep; log lines meanwhile appear above the bar."""
    progress = Progress(jobs)
    try:
        with logging_redirect_tqdm():
            yield progress
    finally:
        progress.close()
