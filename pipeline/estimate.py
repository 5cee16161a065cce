"""What a sweep would take: time from a few real steps of each of its stacks, memory from its numbers."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from heapq import heapreplace
from typing import NamedTuple

from threadpoolctl import threadpool_limits

from pipeline.cache_fit import batches_of, cores, room_for, worker_bytes
from pipeline.config import Config
from pipeline.executors.choice import opened_executor
from pipeline.memory import in_units
from pipeline.stacking import stack_key, train_stack
from pipeline.training import measured_count

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


@dataclass(frozen=True)
class Estimate:
    """What the jobs of a sweep would take; training only, for the driver tracks meanwhile.

    Attributes:
        jobs: how many are to train.
        stacks: how many different stacks they make.
        batches: seconds of each batch, in the order of submission.
        preparation: seconds that each worker takes once.
        memory: bytes of a worker.
        slots: how many batches the chosen executor trains at once.
    """

    jobs: int
    stacks: int
    batches: tuple[float, ...]
    preparation: float
    memory: int
    slots: int

    def seconds(self, workers: int) -> float:
        """How long so many workers take, each of which takes the next batch when it is free."""
        free = [self.preparation] * min(workers, max(1, len(self.batches)))
        for batch in self.batches:
            heapreplace(free, free[0] + batch)
        return max(free)

    def __str__(self) -> str:
        core_seconds = sum(self.batches) + self.preparation
        names = {1: "executor=inline", cores(): "executor=processes", self.slots: "as chosen"}
        lines = [
            f"Would train {self.jobs} jobs of {self.stacks} stacks in {len(self.batches)} batches,"
            f" {self.slots} at once",
            f"  on one core for about {in_time(core_seconds)}, with up to {in_units(self.memory)} of memory a worker",
            *(
                f"  {workers:>3} at once: {in_time(self.seconds(workers)):<8} {names.get(workers, '')}".rstrip()
                for workers in sorted({*names, *MORE_WORKERS})
            ),
            "Nothing was trained or tracked (plan=true)",
        ]
        return "\n".join(lines)


def estimate_of(configs: Sequence[Config]) -> Estimate:
    """The estimate for jobs that are to train, under the executor that they choose; takes about a second a stack."""
    with opened_executor(configs[0].executor, room_for(configs)) as executor:
        slots = executor.slots
    batches = batches_of(configs, slots)
    costs: dict[str, StackCost] = {}
    seconds = []
    for batch in batches:
        members = [configs[job] for job in batch]
        key = stack_key(members[0])
        if key not in costs:
            costs[key] = cost_of_stack(members)
        seconds.append(costs[key].training * len(members))
    return Estimate(
        jobs=len(configs),
        stacks=len(costs),
        batches=tuple(seconds),
        preparation=sum(cost.preparation for cost in costs.values()),
        memory=worker_bytes([[configs[job] for job in batch] for batch in batches]),
        slots=slots,
    )


def cost_of_stack(configs: Sequence[Config]) -> StackCost:
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
