"""Where batches of jobs are trained: in this process, or in worker processes that know neither Hydra nor MLflow.

An executor takes batches and gives back their outcomes in the order in which they are done. Batches are idempotent:
the same batch trained twice gives the same bits, so a batch whose worker died is simply trained again.
"""

import os
import signal
import threading
import time
import traceback
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from typing import NamedTuple, Protocol

import joblib
from threadpoolctl import threadpool_limits

from pipeline.config import Config
from pipeline.interrupts import SIGNALS
from pipeline.stacking import RunResult, train_stack

TRIES = 3
BATCHES_PER_WORKER = 2
"""One in training and one waiting, so that a worker never idles while the driver tracks."""


class Batch(NamedTuple):
    """Jobs that train as one stack.

    Attributes:
        jobs: their numbers in the sweep.
        configs: their configurations, which share a ``stack_key``.
    """

    jobs: tuple[int, ...]
    configs: tuple[Config, ...]


class Failure(NamedTuple):
    """A job that raised.

    Attributes:
        cause: type and message of the error.
        traceback: the whole story.
    """

    cause: str
    traceback: str


class Trained(NamedTuple):
    """The outcomes of a batch, in its order, and the seconds since the epoch between which it was trained."""

    outcomes: list[RunResult | Failure]
    start: float
    end: float


class Executor(Protocol):
    """Trains batches somewhere."""

    def has_room(self) -> bool:
        """Whether another batch would start soon; submitting more only costs memory."""
        ...

    def submit(self, batch: Batch) -> None:
        """Takes a batch."""
        ...

    def wait(self) -> bool:
        """Returns when a batch is done; False if none is under way."""
        ...

    def done(self) -> list[tuple[Batch, Trained]]:
        """The batches done since the last call, at once."""
        ...

    def close(self) -> None:
        """Gives up what is not done and ends the workers."""
        ...


def train_batch(configs: Sequence[Config]) -> Trained:
    """Trains jobs as one stack. If that raises, each is trained alone, so that only those fail that fail alone."""
    start = time.time()
    try:
        outcomes: list[RunResult | Failure] = [*train_stack(configs)]
    except Exception as error:
        if len(configs) > 1:
            outcomes = [outcome for config in configs for outcome in train_batch([config]).outcomes]
        else:
            outcomes = [failure_of(error)]
    return Trained(outcomes, start, time.time())


def failure_of(error: BaseException) -> Failure:
    """An exception as it travels between processes and is tracked."""
    return Failure(f"{type(error).__name__}: {error}", "".join(traceback.format_exception(error)))


class InlineExecutor:
    """Trains in this process, when waited for."""

    def __init__(self) -> None:
        self._waiting: deque[Batch] = deque()
        self._done: list[tuple[Batch, Trained]] = []

    def has_room(self) -> bool:
        return not self._waiting

    def submit(self, batch: Batch) -> None:
        self._waiting.append(batch)

    def wait(self) -> bool:
        if self._waiting:
            with threadpool_limits(limits=1, user_api="blas"):
                self._done.append((self._waiting[0], train_batch(self._waiting[0].configs)))
            self._waiting.popleft()
        return bool(self._done)

    def done(self) -> list[tuple[Batch, Trained]]:
        done, self._done = self._done, []
        return done

    def close(self) -> None:
        self._waiting.clear()


class ProcessExecutor:
    """Trains in worker processes of one BLAS thread each.

    Every worker is a pool of one process: when it dies, it is known which batch it was training.

    Args:
        workers: how many processes.
    """

    def __init__(self, workers: int) -> None:
        self._workers = [_Worker() for _ in range(workers)]
        self._ready: list[tuple[Batch, Trained]] = []

    def has_room(self) -> bool:
        return any(len(worker.under_way) < BATCHES_PER_WORKER for worker in self._workers)

    def submit(self, batch: Batch) -> None:
        min(self._workers, key=lambda worker: len(worker.under_way)).submit(batch)

    def wait(self) -> bool:
        # Where a worker died its batch is under way again, and there may be nothing to give back yet.
        while not self._ready and (futures := [future for worker in self._workers for future in worker.under_way]):
            wait(futures, return_when=FIRST_COMPLETED)
            self._collect()
        return bool(self._ready)

    def done(self) -> list[tuple[Batch, Trained]]:
        self._collect()
        done, self._ready = self._ready, []
        return done

    def _collect(self) -> None:
        self._ready += [each for worker in self._workers for each in worker.done()]

    def close(self) -> None:
        for worker in self._workers:
            worker.close()


class _Worker:
    """One process and the batches it was given, oldest first, each with the number of workers that died of it."""

    def __init__(self) -> None:
        self._pool = self._new_pool()
        self.under_way: dict[Future[Trained], tuple[Batch, int]] = {}

    @staticmethod
    def _new_pool() -> ProcessPoolExecutor:
        # Spawned, because a fork would copy MLflow's threads and locks in an unknown state.
        return ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_prepare_worker)

    def submit(self, batch: Batch, deaths: int = 0) -> None:
        self.under_way[self._pool.submit(train_batch, batch.configs)] = (batch, deaths)

    def done(self) -> Iterator[tuple[Batch, Trained]]:
        for future in [future for future in self.under_way if future.done()]:
            if future not in self.under_way:
                continue
            batch, deaths = self.under_way.pop(future)
            try:
                yield batch, future.result()
            except BrokenProcessPool as error:
                yield from self._replace_process(batch, deaths + 1, error)

    def _replace_process(self, batch: Batch, deaths: int, error: BrokenProcessPool) -> Iterator[tuple[Batch, Trained]]:
        """A new process for a dead one. ``batch`` is the oldest it had, so the one that it was training."""
        self._pool.shutdown(wait=False)
        self._pool = self._new_pool()
        waiting = list(self.under_way.values())
        self.under_way.clear()
        if deaths < TRIES:
            self.submit(batch, deaths)
        else:
            failure = Failure(f"the worker process died {deaths} times while it trained this batch", str(error))
            now = time.time()
            yield batch, Trained([failure] * len(batch.jobs), now, now)
        for other, other_deaths in waiting:
            self.submit(other, other_deaths)

    def close(self) -> None:
        processes = list((self._pool._processes or {}).values())
        self._pool.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            process.kill()
        for process in processes:
            process.join()


def _prepare_worker() -> None:
    # Ctrl-C, and often SIGTERM, reach the whole process group; only the driver decides what they mean.
    for signum in SIGNALS:
        signal.signal(signum, signal.SIG_IGN)
    threadpool_limits(limits=1, user_api="blas")
    threading.Thread(target=_end_with_driver, daemon=True).start()


def _end_with_driver() -> None:
    # A killed driver closes no queues, and its workers would wait for ever.
    driver = parent_process()
    assert driver is not None
    driver.join()
    os._exit(1)


def cores() -> int:
    """How many cores this process may use."""
    return int(joblib.cpu_count())


def executor_for(workers: int) -> Executor:
    """Worker processes where there is work for several; else this process, which needs no time to start."""
    return ProcessExecutor(workers) if workers > 1 else InlineExecutor()
