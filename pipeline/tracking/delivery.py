"""Brings results to the tracking store, also if it is gone for a while: what it does not take waits on disk.

A server may be restarted, a disk full, a database locked by another program. The sweep goes on meanwhile; its results
wait in a journal inside the sweep's folder. They are brought again before the next results, at growing intervals, and
at the end for as long as ``patience`` allows. What is left then is brought by the next start of the same sweep.
"""

import errno
import logging
import os
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from pipeline.errors import StoreLostError
from pipeline.system.signals import Interrupted, pause
from pipeline.tracking.journal import Journal
from pipeline.tracking.records import Record
from pipeline.tracking.store.opening import first_line

log = logging.getLogger(__name__)
Result = TypeVar("Result")

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 15.0
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


def patience() -> float:
    """Seconds for which a sweep waits for a lost store or a full disk, before it gives up."""
    return float(os.environ.get("SYMMETRY_LAB_PATIENCE", "120"))


def with_room(write: Callable[[], Result]) -> Result:
    """What a write to the disk returns; while the disk is full it is tried again.

    Raises:
        OSError: anything else went wrong, or it is still full after ``patience`` seconds.
    """
    deadline, seconds = time.monotonic() + patience(), FIRST_PAUSE
    while True:
        try:
            return write()
        except OSError as error:
            if error.errno not in NO_ROOM or time.monotonic() >= deadline:
                raise
            log.warning(f"{error.filename}: {error.strerror}; the sweep pauses for {seconds:g} s")
        pause(seconds)
        seconds = min(2.0 * seconds, LONGEST_PAUSE)


class Delivery:
    """Brings records to a store, each once.

    Args:
        write: puts records into the store and returns their run ids; it may raise anything.
    """

    def __init__(self, write: Callable[[Sequence[Record]], list[str]]) -> None:
        self._write = write
        self._pause = FIRST_PAUSE
        self._next_try = 0.0

    def bring(self, records: Sequence[Record], journal: Journal | None) -> list[str] | None:
        """Puts records into the store and returns their run ids, or None if they wait in the journal.

        Without a journal, or where the disk refuses it, this waits until the store takes them.

        Raises:
            StoreLostError: it has not taken them after ``patience`` seconds.
        """
        if journal is not None and not self._brought(journal):
            return self._kept(records, journal)
        try:
            return self._write(records)
        except Interrupted:
            # Whether the store has taken them is unknown; what it has twice is found at the end.
            if journal is not None:
                journal.put(records)
            raise
        except Exception as error:
            self._is_lost(error)
            return self._kept(records, journal)

    def _kept(self, records: Sequence[Record], journal: Journal | None) -> list[str] | None:
        try:
            if journal is not None:
                journal.put(records)
                return None
        except OSError as error:
            log.warning(f"{first_line(error)}: results wait in memory, training pauses")
        return self.insisted(lambda: self._write(records))

    def finish(self, journal: Journal) -> None:
        """Brings what waits in a journal.

        Raises:
            StoreLostError: the store has not taken all after ``patience`` seconds; the rest stays in the journal.
        """
        self.insisted(lambda: self._write_waiting(journal))

    def _brought(self, journal: Journal) -> bool:
        """Whether nothing waits any more; tries only where the last failure is long enough ago."""
        if time.monotonic() < self._next_try:
            return False
        try:
            self._write_waiting(journal)
        except Exception as error:
            self._is_lost(error)
            return False
        return True

    def _write_waiting(self, journal: Journal) -> None:
        brought = 0
        for path, records in journal.entries():
            self._write(records)
            journal.remove(path)
            brought += len(records)
        self._is_back(f"; {brought} waiting results are tracked")

    def insisted(self, attempt: Callable[[], Result]) -> Result:
        """What an attempt returns, which is made again until the store answers.

        Raises:
            StoreLostError: it has not answered after ``patience`` seconds.
        """
        deadline = time.monotonic() + patience()
        while True:
            try:
                result = attempt()
                self._is_back()
                return result
            except Exception as error:
                if time.monotonic() >= deadline:
                    raise StoreLostError(f"the tracking store does not answer: {first_line(error)}") from error
                self._is_lost(error)
                pause(max(0.0, min(self._next_try, deadline) - time.monotonic()))

    def _is_back(self, news: str = "") -> None:
        if self._next_try:
            log.info(f"The tracking store is back{news}")
        self._pause, self._next_try = FIRST_PAUSE, 0.0

    def _is_lost(self, error: Exception) -> None:
        log.warning(f"The tracking store refuses results ({first_line(error)}); tried again in {self._pause:g} s")
        self._next_try = time.monotonic() + self._pause
        self._pause = min(2.0 * self._pause, LONGEST_PAUSE)
