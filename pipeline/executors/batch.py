"""Batches of jobs and what becomes of them: plain values that travel between processes and machines.

Batches are idempotent: the same batch trained twice gives the same bits, so one that was lost is simply trained again.
"""

import time
import traceback
from collections.abc import Sequence
from typing import NamedTuple

from pipeline.config import Config
from pipeline.stacking import RunResult, train_stack


class Batch(NamedTuple):
    """Jobs that train as one stack.

    Attributes:
        jobs: their numbers in the sweep, by which the batch is known.
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


def given_up(batch: Batch, failure: Failure) -> Trained:
    """The outcome of a batch that kills whoever trains it."""
    now = time.time()
    return Trained([failure] * len(batch.jobs), now, now)
