"""Dry run (``plan=true``): estimate a sweep's time from a few real steps of each stack, and its memory from numbers."""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from heapq import heapreplace
from typing import NamedTuple

from threadpoolctl import threadpool_limits

from pipeline.config.schema import Config
from pipeline.executors.interface import open_executor
from pipeline.sweep.job import varying_keys
from pipeline.sweep.resume import fingerprints_of, launches, resumption
from pipeline.system.memory import in_units
from pipeline.training.batching import batches_of, cores, room_for, worker_bytes
from pipeline.training.datasets import dataset_of
from pipeline.training.footprint import recorded_bytes, shape_of
from pipeline.training.loop import measured_count
from pipeline.training.stack import stack_key, train_stack

log = logging.getLogger(__name__)

ENOUGH = 0.2
"""Core-seconds that a timed training takes at least, if it has so many steps."""
EVERY_STEP = 10**6
"""A ``measure_at`` with which each of a few steps is measured."""
FEWEST_MEASURED = 3
"""With a ``measure_at`` of 2: the steps 0 and 1, and the last."""
MORE_WORKERS = (10, 100)
"""For whoever thinks of other machines."""


class StackCost(NamedTuple):
    """What it takes to train one batch of a stack.

    Attributes:
        preparation: seconds that each worker takes once (reference optimum, caches).
        training: seconds a run, the rest included.
    """

    preparation: float
    training: float


class LaunchCost(NamedTuple):
    """What it takes to train the jobs that are launched together.

    Attributes:
        preparation: seconds that each worker takes once.
        batches: seconds of each batch, in the order of submission.
    """

    preparation: float
    batches: tuple[float, ...]

    def seconds(self, workers: int) -> float:
        """How long so many workers take, each of which takes the next batch when it is free."""
        free = [self.preparation] * min(workers, max(1, len(self.batches)))
        for batch in self.batches:
            heapreplace(free, free[0] + batch)
        return max(free)


@dataclass(frozen=True)
class Estimate:
    """What the jobs of a sweep would take; training only, for the driver tracks meanwhile.

    Attributes:
        jobs: how many are to train.
        stacks: how many different stacks they make.
        launches: what is launched together, one after the other; all at once without ``hydra.sweeper.max_batch_size``.
        memory: bytes of a worker.
        slots: how many batches the chosen executor trains at once.
        recorded: how many jobs keep their weights at the measured steps (``record_weights``).
        recorded_bytes: what these recordings take on disk.
    """

    jobs: int
    stacks: int
    launches: tuple[LaunchCost, ...]
    memory: int
    slots: int
    recorded: int = 0
    recorded_bytes: int = 0

    def seconds(self, workers: int) -> float:
        """How long so many workers take."""
        return sum(launch.seconds(workers) for launch in self.launches)

    def _of_recordings(self) -> Iterator[str]:
        if self.recorded:
            size = in_units(self.recorded_bytes)
            yield f"  Weights at all measured steps of {self.recorded} of them: {size} (record_weights)"

    def __str__(self) -> str:
        batches = sum(len(launch.batches) for launch in self.launches)
        apart = f" and {len(self.launches)} launches (hydra.sweeper.max_batch_size)" if len(self.launches) > 1 else ""
        core_seconds = sum(launch.preparation + sum(launch.batches) for launch in self.launches)
        names = {1: "executor=inline", cores(): "executor=processes", self.slots: "as chosen"}
        lines = [
            f"Would train {self.jobs} jobs of {self.stacks} stacks in {batches} batches{apart}, {self.slots} at once",
            f"  on one core for about {in_time(core_seconds)}, with up to {in_units(self.memory)} of memory a worker",
            *(
                f"  {workers:>3} at once: {in_time(self.seconds(workers)):<8} {names.get(workers, '')}".rstrip()
                for workers in sorted({*names, *MORE_WORKERS})
            ),
            *self._of_recordings(),
            "  Training only: where runs train faster than this process tracks them, tracking sets the pace",
            "Nothing was trained or tracked (plan=true)",
        ]
        return "\n".join(lines)


def log_estimate(jobs: Sequence[Sequence[str]], configs: Sequence[Config], max_batch_size: int | None) -> None:
    """Says what a sweep would do, and what that would take; changes nothing.

    Args:
        jobs: the overrides of each job.
        max_batch_size: how many jobs are launched together at the most.
    """
    from pipeline.tracking.store.opening import experiment_to_read
    from pipeline.tracking.store.queries import finished_runs

    known = None if configs[0].rerun else experiment_to_read(configs[0].experiment_name)
    finished = {run.fingerprint: run for run in finished_runs(*known)} if known else {}
    resumed = resumption(jobs, configs, fingerprints_of(configs), None, finished)
    log.info(f"{resumed} (over {', '.join(varying_keys(jobs)) or 'nothing'})")
    if resumed.remaining:
        log.info(estimate_sweep([[job.config for job in each] for each in launches(resumed.remaining, max_batch_size)]))


def estimate_sweep(launches: Sequence[Sequence[Config]]) -> Estimate:
    """The estimate for jobs that are to train, under the executor that they choose; takes about a second a stack.

    Args:
        launches: the jobs that are launched together, the largest group first.
    """
    with open_executor(launches[0][0].executor, room_for(launches[0])) as executor:
        slots = executor.slots
    costs: dict[str, StackCost] = {}
    batches = [[[configs[job] for job in batch] for batch in batches_of(configs, slots)] for configs in launches]
    for batch in (batch for launch in batches for batch in launch):
        if (key := stack_key(batch[0])) not in costs:
            costs[key] = time_stack(batch)
    recorded = [config for configs in launches for config in configs if config.is_recorded]
    return Estimate(
        jobs=sum(len(configs) for configs in launches),
        stacks=len(costs),
        launches=tuple(_launch_cost(launch, costs) for launch in batches),
        memory=max(map(worker_bytes, batches)),
        slots=slots,
        recorded=len(recorded),
        recorded_bytes=sum(recorded_bytes(config, shape_of(dataset_of(config.data))) for config in recorded),
    )


def _launch_cost(batches: Sequence[Sequence[Config]], costs: Mapping[str, StackCost]) -> LaunchCost:
    keys = [stack_key(batch[0]) for batch in batches]
    return LaunchCost(
        preparation=sum(costs[key].preparation for key in dict.fromkeys(keys)),
        batches=tuple(costs[key].training * len(batch) for key, batch in zip(keys, batches, strict=True)),
    )


def time_stack(configs: Sequence[Config]) -> StackCost:
    """What one batch costs, from trainings of a few steps: seconds = start + step * steps + measurement * measured.

    Runs that diverge together end early, so with them a batch takes less.
    """

    def seconds(steps: int, measure_at: int = 2) -> float:
        few = [
            replace(config, training=replace(config.training, steps=steps, measure_at=measure_at)) for config in configs
        ]
        # Of the processor, not of the clock: others may compete for the cores.
        start = time.process_time()
        train_stack(few)
        return time.process_time() - start

    training = configs[0].training
    with threadpool_limits(limits=1, user_api="blas"):
        first, shortest = seconds(2), seconds(2)
        steps, longest = 4, seconds(4)
        while longest < ENOUGH and steps < training.steps:
            steps *= 2
            longest = seconds(steps)
        densely = seconds(4, EVERY_STEP)
    step = max(0.0, longest - shortest) / (steps - 2)
    measurement = max(0.0, densely - shortest - 2 * step) / (4 + 1 - FEWEST_MEASURED)
    start = max(0.0, shortest - 2 * step - FEWEST_MEASURED * measurement)
    measured = measured_count(training.steps, training.measure_at)
    whole = start + step * training.steps + measurement * measured
    return StackCost(max(0.0, first - shortest), whole / len(configs))


def in_time(seconds: float) -> str:
    """A duration as people say it.

    >>> in_time(0.234), in_time(90), in_time(8000), in_time(400_000)
    ('0.23 s', '1.5 min', '2.2 h', '4.6 days')
    """
    for unit, word, limit in ((1, "s", 60), (60, "min", 3600), (3600, "h", 86_400)):
        if seconds < limit:
            return f"{seconds / unit:.2g} {word}"
    return f"{seconds / 86_400:.2g} days"
