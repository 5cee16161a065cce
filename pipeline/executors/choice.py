"""The executor that the group ``executor`` of the configuration names."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from pipeline.config import ExecutorConfig
from pipeline.errors import ExecutorLostError, InputError
from pipeline.executors.interface import Executor
from pipeline.interrupts import last_words, uninterrupted
from pipeline.options import EXECUTOR_METHODS, callable_named


def opened_executor(chosen: ExecutorConfig, room: int = 1) -> AbstractContextManager[Executor]:
    """A context with the executor of a configuration, which is closed in the end.

    Args:
        room: the most workers that this machine has memory for, and that find work.

    Raises:
        InputError: what the configuration names makes no executor.
    """
    key = "executor._target_"
    try:
        executor: Executor = callable_named(key, chosen.target)(room, **chosen.options)
    except (InputError, ExecutorLostError, OSError):
        raise
    except Exception as error:  # The class may be the user's own, and raise anything.
        cause = f"{type(error).__name__}: {error}"
        raise InputError(f"{key}: expected a class that can be created, got {chosen.target} ({cause})") from error
    if missing := [name for name in (*EXECUTOR_METHODS, "slots", "capacity") if not hasattr(executor, name)]:
        made = f"{chosen.target}, whose {type(executor).__name__} has no {', '.join(missing)}"
        raise InputError(f"{key}: expected a class of executors, got {made}")
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
