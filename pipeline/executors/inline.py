"""Serial executor: trains in this process, for single runs, debugging and profiling."""

from collections import deque

from threadpoolctl import threadpool_limits

from pipeline.executors.batch import Batch, Trained, train_batch
from pipeline.system.signals import stop_at_once


class InlineExecutor:
    """Trains one batch after the other, when waited for.

    Args:
        room: does not matter here.
    """

    slots = capacity = 1

    def __init__(self, room: int = 1) -> None:
        self._waiting: deque[Batch] = deque()
        self._done: list[tuple[Batch, Trained]] = []

    def submit(self, batch: Batch) -> None:
        self._waiting.append(batch)

    def wait(self) -> bool:
        if self._waiting:
            # Products this small gain nothing from BLAS threads, and lose much where others compete for the cores.
            with stop_at_once(), threadpool_limits(limits=1, user_api="blas"):
                self._done.append((self._waiting[0], train_batch(self._waiting[0].configs, self._waiting[0].data)))
            self._waiting.popleft()
        return bool(self._done)

    def done(self) -> list[tuple[Batch, Trained]]:
        done, self._done = self._done, []
        return done

    def close(self) -> None:
        self._waiting.clear()
