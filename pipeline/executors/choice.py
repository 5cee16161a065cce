"""The executor that the group ``executor`` of the configuration names."""

from contextlib import closing

from pipeline.config import ExecutorConfig
from pipeline.executors.interface import Executor
from pipeline.options import callable_named


def opened_executor(chosen: ExecutorConfig, room: int = 1) -> closing[Executor]:
    """A context with the executor of a configuration, which is closed in the end.

    Args:
        room: the most workers that this machine has memory for, and that find work.
    """
    executor: Executor = callable_named("executor._target_", chosen.target)(room, **chosen.options)
    return closing(executor)
