"""The executor that the group ``executor`` of the configuration names."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from pipeline.config import ExecutorConfig
from pipeline.executors.interface import Executor
from pipeline.interrupts import last_words, uninterrupted
from pipeline.options import callable_named


def opened_executor(chosen: ExecutorConfig, room: int = 1) -> AbstractContextManager[Executor]:
    """A context with the executor of a configuration, which is closed in the end.

    Args:
        room: the most workers that this machine has memory for, and that find work.
    """
    executor: Executor = callable_named("executor._target_", chosen.target)(room, **chosen.options)
    return _closed_in_the_end(executor)


@contextmanager
def _closed_in_the_end(executor: Executor) -> Iterator[Executor]:
    """A context at whose end no worker, job or queue is forgotten because of a signal."""
    try:
        yield executor
    except KeyboardInterrupt as interruption:
        with last_words(interruption):
            executor.close()
        raise
    except BaseException:
        with uninterrupted():
            executor.close()
        raise
    with uninterrupted():
        executor.close()
