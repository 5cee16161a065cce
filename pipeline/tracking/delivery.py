"""Deliver results to the tracking store despite outages: exponential backoff, and a journal on disk meanwhile.

A server may be restarted, a disk full, a database locked by another program. The sweep goes on meanwhile; its results
wait in a journal inside the sweep's folder. They are written before the next results, at growing intervals, and at the
end for as long as ``patience`` allows. What is left then is written by the next start of the same sweep.
"""

import errno
import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from pipeline.errors import StoreLostError
from pipeline.system.signals import Interrupted, pause
from pipeline.tracking.journal import Journal
from pipeline.tracking.records import Record
from pipeline.tracking.store.opening import first_line
from pipeline.tracking.sweeps import Sweep

log = logging.getLogger(__name__)
Result = TypeVar("Result")

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 15.0
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


def patience() -> float:
    """Seconds for which a sweep waits for a lost store or a full disk, before it gives up."""
    return float(os.environ.get("SYMMETRY_LAB_PATIENCE", "120"))


def backoff() -> Iterator[float]:
    """The pauses of an exponential backoff in seconds.

    >>> pauses = backoff()
    >>> [next(pauses) for _ in range(7)]
    [0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 15.0]
    """
    seconds = FIRST_PAUSE
    while True:
        yield seconds
        seconds = min(2.0 * seconds, LONGEST_PAUSE)


def retry_until_deadline(attempt: Callable[[], Result], note_failure: Callable[[Exception], float]) -> Result:
    """Repeats an attempt until it succeeds, and returns what it returns.

    Args:
        note_failure: tells of a failure and returns the seconds until the next attempt, or raises what no retry mends.

    Raises:
        Exception: what the attempt raised when ``patience`` seconds had passed.
    """
    deadline = time.monotonic() + patience()
    while True:
        try:
            return attempt()
        except Exception as error:
            if time.monotonic() >= deadline:
                raise
            seconds = note_failure(error)
        pause(max(0.0, min(seconds, deadline - time.monotonic())))


def retry_while_disk_full(write: Callable[[], Result]) -> Result:
    """Repeats a write while the disk is full, and returns what it returns.

    Raises:
        OSError: anything else went wrong, or it is still full after ``patience`` seconds.
    """
    pauses = backoff()

    def note_failure(error: Exception) -> float:
        if not isinstance(error, OSError) or error.errno not in NO_ROOM:
            raise error
        seconds = next(pauses)
        log.warning(f"{error.filename}: {error.strerror}; the sweep pauses for {seconds:g} s")
        return seconds

    return retry_until_deadline(write, note_failure)


def journal_of(sweep: Sweep) -> Journal:
    """Where results of a sweep wait."""
    return Journal(Path(sweep.folder) / f"waiting-{sweep.parent[:8]}")


class Delivery:
    """Delivers records to a store, each once.

    Args:
        write: puts records, with the sweep that they belong to, into the store and returns their run ids; it may raise
            anything.
    """

    def __init__(self, write: Callable[[Sequence[Record], Sweep | None], list[str]]) -> None:
        self._write = write
        self._pauses = backoff()
        self._next_try = 0.0

    def write_or_journal(self, records: Sequence[Record], sweep: Sweep | None) -> list[str] | None:
        """Puts records into the store and returns their run ids, or None if they wait in the sweep's journal.

        Without a sweep, or where the disk refuses the journal, this waits until the store takes them.

        Raises:
            StoreLostError: it has not taken them after ``patience`` seconds.
        """
        if sweep is not None and not self._drain_journal_if_due(sweep):
            return self._journal_or_retry(records, sweep)
        try:
            return self._write(records, sweep)
        except Interrupted:
            # Whether the store has taken them is unknown; what it has twice is found at the end.
            if sweep is not None:
                journal_of(sweep).put(records)
            raise
        except Exception as error:
            self._note_failure(error)
            return self._journal_or_retry(records, sweep)

    def _journal_or_retry(self, records: Sequence[Record], sweep: Sweep | None) -> list[str] | None:
        try:
            if sweep is not None:
                journal_of(sweep).put(records)
                return None
        except OSError as error:
            log.warning(f"{first_line(error)}: results wait in memory, training pauses")
        return self.retry_until_deadline(lambda: self._write(records, sweep))

    def drain_journal(self, sweep: Sweep) -> None:
        """Puts what waits in a sweep's journal into the store.

        Raises:
            StoreLostError: the store has not taken all after ``patience`` seconds; the rest stays in the journal.
        """
        self.retry_until_deadline(lambda: self._drain_journal(sweep))

    def _drain_journal_if_due(self, sweep: Sweep) -> bool:
        """Whether nothing waits any more; tries only where the last failure is long enough ago."""
        if time.monotonic() < self._next_try:
            return False
        try:
            self._drain_journal(sweep)
        except Exception as error:
            self._note_failure(error)
            return False
        return True

    def _drain_journal(self, sweep: Sweep) -> None:
        journal, written = journal_of(sweep), 0
        for path, records in journal.read_entries():
            self._write(records, sweep)
            journal.remove(path)
            written += len(records)
        self._note_success(f"; {written} waiting results are tracked")

    def retry_until_deadline(self, attempt: Callable[[], Result]) -> Result:
        """Repeats an attempt until the store answers, and returns what it returns.

        Raises:
            StoreLostError: it has not answered after ``patience`` seconds.
        """
        try:
            result = retry_until_deadline(attempt, self._note_failure)
        except Exception as error:
            raise StoreLostError(f"the tracking store does not answer: {first_line(error)}") from error
        self._note_success()
        return result

    def _note_success(self, news: str = "") -> None:
        if self._next_try:
            log.info(f"The tracking store is back{news}")
        self._pauses, self._next_try = backoff(), 0.0

    def _note_failure(self, error: Exception) -> float:
        seconds = next(self._pauses)
        log.warning(f"The tracking store refuses results ({first_line(error)}); tried again in {seconds:g} s")
        self._next_try = time.monotonic() + seconds
        return seconds
