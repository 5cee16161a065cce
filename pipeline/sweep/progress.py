"""Progress of a sweep: a tqdm bar with the time left on a terminal, a log line now and then elsewhere."""

import builtins
import logging
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import inf
from threading import Event, Thread

from tqdm import tqdm

from pipeline.config.schema import Config
from pipeline.executors.batch import Failure
from pipeline.sweep.estimate import in_time
from pipeline.sweep.job import objective
from pipeline.training.datasets import dataset_of
from pipeline.training.stack import RunResult, architecture_of

with warnings.catch_warnings():  # In a notebook it misses widgets, which this bar needs not.
    warnings.simplefilter("ignore")
    from tqdm.contrib.logging import logging_redirect_tqdm

log = logging.getLogger(__name__)

LINES = 10
"""How many lines a whole sweep writes where there is no terminal."""
BAR = "{percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} runs [{elapsed}{postfix}]"
TICK = 1.0
"""Seconds after which the clock in the bar moves on, though nothing is done."""


def work_of(configs: Sequence[Config]) -> float:
    """About how much there is to compute for the runs of one stack; only ratios mean something."""
    training, dataset = configs[0].training, dataset_of(configs[0].data)
    examples = training.batch_size or len(dataset.train_inputs)
    return float(len(configs) * training.steps * examples * architecture_of(configs[0], dataset).parameter_count)


class Pace:
    """How long the rest takes, judged by the batches that came after the first: before it, workers were starting.

    Args:
        work: of all batches.
        slots: how many of them are trained at once.
    """

    def __init__(self, work: float, slots: int) -> None:
        self._left, self._slots = work, slots
        self._first: float | None = None
        self._timed, self._work = 0, 0.0

    def add(self, work: float, now: float) -> None:
        """Takes in a batch that is done, at a time in seconds."""
        self._left -= work
        if self._first is None:
            self._first = now
        elif now > self._first:
            self._timed += 1
            self._work += work

    def seconds_left(self, now: float) -> float | None:
        """None as long as that says nothing: until there was another batch for each worker."""
        if self._first is None or self._timed < self._slots:
            return None
        return self._left * (now - self._first) / self._work


class Progress:
    """Counts the jobs that are trained and tracked.

    Args:
        batches: the configurations of each batch.
        slots: how many batches are trained at once.
    """

    def __init__(self, batches: Sequence[Sequence[Config]], slots: int) -> None:
        self._jobs, self._slots = sum(map(len, batches)), slots
        self._pace = Pace(sum(map(work_of, batches)), slots)
        is_hidden = not (sys.stderr.isatty() or hasattr(builtins, "__IPYTHON__"))  # In a notebook there is no terminal.
        self._bar = tqdm(total=self._jobs, disable=is_hidden, dynamic_ncols=True, bar_format=BAR)
        self._done = self._failed = self._diverged = self._under_way = 0
        self._best = inf

    def begin(self) -> None:
        """Takes in that a batch was submitted."""
        self._under_way += 1
        self.show()

    def end(self, batch: Sequence[Config]) -> None:
        """Takes in that a batch is trained."""
        self._under_way -= 1
        self._pace.add(work_of(batch), time.monotonic())

    def count(self, outcome: RunResult | Failure) -> None:
        """Takes in one more job."""
        self._done += 1
        if isinstance(outcome, Failure):
            self._failed += 1
        elif outcome.diverged_at is not None:
            self._diverged += 1
        else:
            self._best = min(self._best, objective(outcome))
        self._bar.update()
        if self._bar.disable and self._done * LINES // self._jobs > (self._done - 1) * LINES // self._jobs:
            best = f"best loss {self._best:.4g}, " if self._best < inf else ""
            log.info(f"{self._done}/{self._jobs} jobs: {best}{self._failed} failed, {self._diverged} diverged")

    def show(self) -> None:
        """Draws the bar anew."""
        self._bar.set_postfix_str(self.state(time.monotonic()))

    def state(self, now: float) -> str:
        """What is under way, how long the rest takes, and what went wrong."""
        training, left = min(self._under_way, self._slots), self._pace.seconds_left(now)
        parts = [
            f"{training} batch{'' if training == 1 else 'es'} under way" if training else "",
            "" if not left else f"about {in_time(left)} left",
            f"{self._failed} failed" if self._failed else "",
            f"{self._diverged} diverged" if self._diverged else "",
        ]
        return ", ".join(filter(None, parts))

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Keeps the bar's clock going; leaves the bar as it is in the end."""
        ended = Event()

        def tick() -> None:
            while not ended.wait(TICK):
                self.show()

        clock = Thread(target=tick, daemon=True)
        if not self._bar.disable:
            clock.start()
        try:
            yield
        finally:
            ended.set()
            self.show()
            self._bar.close()


@contextmanager
def show_progress(batches: Sequence[Sequence[Config]], slots: int) -> Iterator[Progress]:
    """Progress of a sweep; log lines meanwhile appear above the bar."""
    progress = Progress(batches, slots)
    with progress.shown(), logging_redirect_tqdm():
        yield progress
