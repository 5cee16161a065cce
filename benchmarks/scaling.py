"""How much faster two workers train workload M than one, under each executor.

    python -m benchmarks.scaling [--rounds 3] [--quick]

M is 16 runs of 32 units on all 1797 digits, full batch, here in 8 batches. Workers are started and warm before the
clock runs; the sides take turns, and the table shows medians. "Training" is the share of the time in which the workers
train: what is missing there the executor costs. What else is missing from twice as fast the cores cost each other.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime
from statistics import median
from typing import NamedTuple

from benchmarks import machine
from benchmarks.workloads import WORKLOADS, problem, with_steps
from pipeline.config.schema import Config
from pipeline.executors.batch import Batch
from pipeline.executors.interface import Executor
from pipeline.executors.processes import ProcessExecutor
from pipeline.training.batching import batches_of

STEPS = 400


def _dask(workers: int) -> Executor:
    from pipeline.executors.dask import DaskExecutor  # Only here, because only an extra makes it importable.

    return DaskExecutor(workers, address=None, workers=workers, security=None)


EXECUTORS: dict[str, Callable[[int], Executor]] = {"processes": ProcessExecutor, "dask": _dask}


class Timing(NamedTuple):
    """Seconds from the first batch's submission to the last one's return, and those of training, over all workers."""

    seconds: float
    training: float


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.scaling", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3, help="how often every side takes its turn")
    parser.add_argument("--quick", action="store_true", help="few steps, one round: to see that it works")
    options = parser.parse_args(arguments)
    steps, rounds = (2, 1) if options.quick else (STEPS, options.rounds)
    timings: dict[tuple[str, int], list[Timing]] = {(name, workers): [] for name in EXECUTORS for workers in (1, 2)}
    with problem(WORKLOADS["M"]) as workload:
        configs = workload.configs
    for _ in range(rounds):
        for (name, workers), known in timings.items():
            with closing(EXECUTORS[name](workers)) as executor:
                known.append(timed(executor, workers, configs, steps))
    print("| executor | workers | seconds | training | times as fast as one |\n|---|---|---|---|---|")
    for (name, workers), known in timings.items():
        one, seconds = (median(timing.seconds for timing in timings[name, count]) for count in (1, workers))
        share = median(timing.training / timing.seconds / workers for timing in known)
        print(f"| `{name}` | {workers} | {seconds:.2f} | {share:.0%} | {one / seconds:.2f} |")
    print(f"\n{steps} steps. {machine.description()} Run on {datetime.now(UTC):%Y-%m-%d}.")


def timed(executor: Executor, workers: int, configs: Sequence[Config], steps: int) -> Timing:
    """How long an executor takes for all batches, two of which each worker is given at a time."""
    trained(executor, workers, [with_steps(config, 1) for config in configs])
    start = time.perf_counter()
    training = trained(executor, workers, [with_steps(config, steps) for config in configs])
    return Timing(time.perf_counter() - start, training)


def trained(executor: Executor, workers: int, configs: Sequence[Config]) -> float:
    """Trains all runs; returns the seconds that the workers trained, added up."""
    waiting = [Batch(tuple(jobs), tuple(configs[job] for job in jobs)) for jobs in batches_of(configs, 2)]
    under_way, training = 0, 0.0
    while True:
        while waiting and under_way < 2 * workers:
            executor.submit(waiting.pop(0))
            under_way += 1
        if not executor.wait():
            return training
        for _, outcome in executor.done():
            under_way -= 1
            training += outcome.end - outcome.start


if __name__ == "__main__":
    main()
