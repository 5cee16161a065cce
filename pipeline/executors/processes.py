"""Executor for local multiprocessing: spawned worker processes, which load neither Hydra nor MLflow."""

from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context

from pipeline.errors import InputError
from pipeline.executors.batch import Batch, Failure, Trained, given_up, train_batch
from pipeline.executors.inline import InlineExecutor
from pipeline.executors.interface import PER_SLOT, TRIES, Executor
from pipeline.ranges import Count
from pipeline.system.signals import block_signals, raise_if_stopped
from pipeline.system.worker_process import prepare_worker, without_main
from pipeline.training.batching import cores

INTERVAL = 0.1
"""Seconds for which a signal waits while nothing comes back from the workers."""


def worker_processes(room: int, *, workers: Count | None) -> Executor:
    """Worker processes where there is work for several; else this process, which needs no time to start.

    Args:
        room: the most there is memory and work for.
        workers: how many are wanted; None for one on each core.
    """
    workers = min(workers or cores(), room)
    try:
        return ProcessExecutor(workers) if workers > 1 else InlineExecutor()
    except OSError as error:  # Its queues need semaphores, which are files in shared memory.
        raise InputError(
            f"executor: expected inline where shared memory (/dev/shm) is refused ({error.strerror}), got processes"
        ) from None


class ProcessExecutor:
    """Trains in worker processes of one BLAS thread each.

    Every worker is a pool of one process: when it dies, it is known which batch it was training.

    Args:
        workers: how many processes.
    """

    def __init__(self, workers: int) -> None:
        self._workers = [_Worker() for _ in range(workers)]
        self._ready: list[tuple[Batch, Trained]] = []

    @property
    def slots(self) -> int:
        return len(self._workers)

    @property
    def capacity(self) -> int:
        return PER_SLOT * self.slots

    def submit(self, batch: Batch) -> None:
        min(self._workers, key=lambda worker: len(worker.under_way)).submit(batch)

    def wait(self) -> bool:
        # Where a worker died its batch is under way again, and there may be nothing to give back yet.
        while not self._ready and (futures := [future for worker in self._workers for future in worker.under_way]):
            raise_if_stopped()
            wait(futures, timeout=INTERVAL, return_when=FIRST_COMPLETED)
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
        return ProcessPoolExecutor(
            1, mp_context=get_context("spawn"), initializer=prepare_worker, initargs=(train_batch.__module__,)
        )

    def submit(self, batch: Batch, deaths: int = 0) -> None:
        self.under_way[self._submitted(batch)] = (batch, deaths)

    def _submitted(self, batch: Batch) -> Future[Trained]:
        try:
            with block_signals(), without_main():  # The pool starts its process when it gets its first batch.
                return self._pool.submit(train_batch, batch.configs, batch.data)
        except BrokenProcessPool as error:  # The process died since it was last looked at.
            if all(future.done() and not future.exception() for future in self.under_way):
                self._pool = self._new_pool()
                return self._submitted(batch)
            # It comes again behind the batch that the process died of.
            broken: Future[Trained] = Future()
            broken.set_exception(error)
            return broken

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
            yield batch, given_up(batch, failure)
        for other, other_deaths in waiting:
            self.submit(other, other_deaths)

    def close(self) -> None:
        processes = list((self._pool._processes or {}).values())
        self._pool.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            process.kill()
        for process in processes:
            process.join()
