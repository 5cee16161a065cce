"""Interface (Protocol) of executors. Another engine is one class that has these methods, named by ``_target_``."""

from contextlib import AbstractContextManager, closing
from typing import Protocol

from pipeline.config.options import EXECUTOR_METHODS, import_callable
from pipeline.config.schema import ExecutorConfig
from pipeline.errors import ExecutorLostError, InputError
from pipeline.executors.batch import Batch, Trained
from pipeline.system.signals import stop_at_once

TRIES = 3
"""A batch that has killed so many workers is given up, and its jobs fail."""
PER_SLOT = 2
"""Batches for a worker that is close by: one in training and one waiting, so that it never idles."""


class Executor(Protocol):
    """Trains batches somewhere, and gives them back in the order in which they are done.

    It lets somebody call ``train_batch(batch.configs, batch.data)``, with the arguments that they are here, and gives
    back what that returns. A batch may come back twice; whoever submitted it takes the first. It is created with the
    number of workers for which this machine has memory and the sweep has batches; its keyword-only parameters are its
    keys in the configuration, their annotations the ranges::

        class Mine:
            def __init__(self, room: int, *, address: str) -> None: ...
    """

    @property
    def slots(self) -> int:
        """How many batches are trained at once, at least 1. Stacks are cut into so many batches or more."""
        ...

    @property
    def capacity(self) -> int:
        """How many batches it wants to have, in training and waiting, so that no worker idles; at least ``slots``."""
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
        """Gives up what is not done and ends the workers that are its own."""
        ...


def open_executor(chosen: ExecutorConfig, room: int = 1) -> AbstractContextManager[Executor]:
    """A context with the executor of a configuration, which is closed in the end.

    Args:
        room: the most workers that this machine has memory for, and that find work.

    Raises:
        InputError: what the configuration names makes no executor.
    """
    key = "executor._target_"
    try:
        with stop_at_once():
            executor: Executor = import_callable(key, chosen.target)(room, **chosen.options)
    except (InputError, ExecutorLostError, OSError):
        raise
    except Exception as error:  # The class may be the user's own, and raise anything.
        cause = f"{type(error).__name__}: {error}"
        raise InputError(f"{key}: expected a class that can be created, got {chosen.target} ({cause})") from error
    if missing := [name for name in (*EXECUTOR_METHODS, "slots", "capacity") if not hasattr(executor, name)]:
        made = f"{chosen.target}, whose {type(executor).__name__} has no {', '.join(missing)}"
        raise InputError(f"{key}: expected a class of executors, got {made}")
    return closing(executor)
