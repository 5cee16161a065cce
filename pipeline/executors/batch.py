"""Batches of jobs and what becomes of them: plain values that travel between processes and machines.

Batches are idempotent: the same batch trained twice gives the same bits, so one that was lost is simply trained again.
"""

import time
import traceback
from collections.abc import Sequence
from typing import NamedTuple

from pipeline.config.schema import Config
from pipeline.errors import DataChangedError
from pipeline.training.datasets import data_changed, digest_of
from pipeline.training.stack import RunResult, train_stack


class Batch(NamedTuple):
    """Jobs that train as one stack.

    Attributes:
        jobs: their numbers in the sweep, by which the batch is known.
        configs: their configurations, which share a ``stack_key``.
    """

    jobs: tuple[int, ...]
    configs: tuple[Config, ...]

    @property
    def data(self) -> str:
        """Digest of the driver's data set, which belongs to the configurations wherever they go; for the driver."""
        return digest_of(self.configs[0].data)


class Failure(NamedTuple):
    """A job that raised.

    Attributes:
        cause: type and message of the error.
        traceback: the whole story.
    """

    cause: str
    traceback: str


class Trained(NamedTuple):
    """What became of a batch.

    Attributes:
        outcomes: of its jobs, in its order.
        start: seconds since the epoch.
        end: seconds since the epoch.
        refusal: why it was not trained at all, in one line: for want of the driver's data set.
    """

    outcomes: list[RunResult | Failure]
    start: float
    end: float
    refusal: str | None = None


def train_batch(configs: Sequence[Config], digest: str | None = None) -> Trained:
    """Trains jobs as one stack. If that raises, each is trained alone, so that only those fail that fail alone.

    Args:
        digest: that their data set must have (``Batch.data``), so that nothing is trained in vain. Whoever leaves it
            out finds out at the end, from ``require_driver_data``.
    """
    start = time.time()
    try:
        outcomes: list[RunResult | Failure] = [*train_stack(configs, digest)]
    except DataChangedError as error:
        return Trained([], start, time.time(), refusal=str(error))
    except Exception as error:
        if len(configs) > 1:
            alone = [train_batch([config], digest) for config in configs]
            if refused := [each for each in alone if each.refusal is not None]:
                return refused[0]
            outcomes = [outcome for each in alone for outcome in each.outcomes]
        else:
            outcomes = [failure_of(error)]
    return Trained(outcomes, start, time.time())


def require_driver_data(batch: Batch, trained: Trained) -> None:
    """Refuses what was trained on other data than the driver's: the last word, whoever trained it and however.

    Raises:
        DataChangedError: in one line, which data.
    """
    if trained.refusal is not None:
        raise DataChangedError(trained.refusal)
    for outcome in trained.outcomes:
        if isinstance(outcome, RunResult) and outcome.data != batch.data:
            raise data_changed(batch.configs[0].data, batch.data, outcome.data)


def failure_of(error: BaseException) -> Failure:
    """An exception as it travels between processes and is tracked."""
    return Failure(f"{type(error).__name__}: {error}", "".join(traceback.format_exception(error)))


def given_up(batch: Batch, failure: Failure) -> Trained:
    """The outcome of a batch that kills whoever trains it."""
    now = time.time()
    return Trained([failure] * len(batch.jobs), now, now)
