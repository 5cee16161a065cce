"""Time per run and training step of our trainer beside JAX, PyTorch and scikit-learn.

    python -m benchmarks.training [--workloads S,M,D,L] [--rounds 5] [--cores 2] [--quick]

Every side trains the same networks from the same start by the same gradient descent in float64. That is checked
first. Then all sides take turns, round after round. A side's time is that of many steps minus that of few, so that
everything that is done once cancels: loading, preparing, measuring, writing back. Ratios are taken within a round,
and the table shows medians with quartiles.

``share of peak`` is the rate of ``Problem.flops`` (matrix products only: per layer 2 * batch * fan_in * fan_out, three
times, twice for the first layer) over the rate of one large float64 product on the same cores.
"""

import argparse
import cProfile
import pstats
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks import machine
from benchmarks.sides import (
    Parameters,
    Side,
    jax_vmap,
    largest_disagreement,
    ours,
    scikit_learn,
    torch_batched,
    torch_loop,
)
from benchmarks.workloads import WORKLOADS, Problem, Workload, problem

EXACT, BLAS, JAX, JAX_COMPILED = "ours, exact", "ours, blas", "JAX, steady", "JAX, with compiling"
TORCH_LOOP, TORCH_BATCHED, SCIKIT_LEARN = "PyTorch, a loop over runs", "PyTorch, batched", "scikit-learn"
ONE_BY_ONE = {TORCH_LOOP: 4, SCIKIT_LEARN: 2}
"""Sides that train one run after the other, and how many runs are enough to time them."""
PARTS = ("products", "rounding", "functions", "the rest")
"""Of the exact trainer's time: BLAS; operands onto the grid; tanh and softmax (``pipeline.numerics``)."""


class Target(NamedTuple):
    """A bound on the median of the time of ``slower`` over the time of ``faster``."""

    workload: str
    slower: str
    faster: str
    bound: float
    at_least: bool

    def met_by(self, ratio: float) -> bool:
        return ratio >= self.bound if self.at_least else ratio <= self.bound


TARGETS = (
    Target("S", JAX, EXACT, 1.8, at_least=True),
    Target("M", JAX, EXACT, 1.35, at_least=True),
    Target("D", JAX, EXACT, 1.15, at_least=True),
    Target("L", JAX, EXACT, 1.0, at_least=True),
    Target("S", EXACT, BLAS, 1.5, at_least=False),
    Target("M", EXACT, BLAS, 1.3, at_least=False),
    Target("L", EXACT, BLAS, 1.3, at_least=False),
    Target("S", TORCH_LOOP, EXACT, 40.0, at_least=True),
    Target("M", TORCH_LOOP, EXACT, 2.5, at_least=True),
)


@dataclass(frozen=True)
class Timing:
    """One side's seconds per run and step in every round, (rounds,), and what its preparation took, in seconds."""

    seconds: np.ndarray
    preparation: float


def sides(workers: Executor | None) -> dict[str, Side]:
    """All sides that are trained; the first is what the others are compared with."""
    return {
        EXACT: ours("exact", workers),
        BLAS: ours("blas", workers),
        JAX: jax_vmap,
        TORCH_BATCHED: torch_batched,
        TORCH_LOOP: torch_loop,
        SCIKIT_LEARN: scikit_learn,
    }


def timings(workload: Workload, trained: Problem, compared: dict[str, Side], rounds: int) -> dict[str, Timing]:
    """Every side's timing; each round starts with another side, so that none always follows the same one."""
    names, ready, preparation, seconds = list(compared), {}, {}, {name: np.empty(rounds) for name in compared}
    parts = {name: trained.first(ONE_BY_ONE.get(name, workload.runs)) for name in names}
    for name in names:
        few = compared[name](parts[name], workload.few)
        start = time.perf_counter()
        many = compared[name](parts[name], workload.many)
        preparation[name] = time.perf_counter() - start
        few()
        ready[name] = few, many
    for index in range(rounds):
        for name in names[index % len(names) :] + names[: index % len(names)]:
            few, many = ready[name]
            difference = _elapsed(many) - _elapsed(few)
            seconds[name][index] = difference / (len(parts[name].configs) * (workload.many - workload.few))
    return {name: Timing(seconds[name], preparation[name]) for name in names}


def _elapsed(train: Callable[[], Parameters]) -> float:
    start = time.perf_counter()
    train()
    return time.perf_counter() - start


def with_compiling(jax: Timing, runs: int, steps: int) -> Timing:
    """JAX's timing if its one compilation serves a stack of ``runs`` runs of ``steps`` steps."""
    return Timing(jax.seconds + jax.preparation / (runs * steps), jax.preparation)


def quartiles(values: np.ndarray, digits: int) -> str:
    """The median, with the lower and upper quartile in brackets.

    >>> quartiles(np.array([1.0, 2.0, 3.0, 4.0, 9.0]), 1)
    '3.0 [2.0, 4.0]'
    """
    lower, median, upper = np.percentile(values, [25, 50, 75])
    return f"{median:.{digits}f} [{lower:.{digits}f}, {upper:.{digits}f}]"


def rows(name: str, measured: dict[str, Timing], flops: int, peak: float) -> list[str]:
    """One Markdown row per side: microseconds per run and step, times the exact trainer's, share of the peak."""
    lines = []
    for side, timing in measured.items():
        share = flops / np.median(timing.seconds) / peak
        ratio = quartiles(timing.seconds / measured[EXACT].seconds, 2) if side != EXACT else "1"
        lines.append(f"| {name} | {side} | {quartiles(timing.seconds * 1e6, 1)} | {ratio} | {share:.0%} |")
    return lines


def part_of(file: str, function: str) -> str:
    """The part of the trainer that a function belongs to."""
    if function in ("exact_product", "plain_product"):
        return "products"
    if function == "rounded_to_grid":
        return "rounding"
    return "functions" if "numerics" in Path(file).parts else "the rest"


def profile_row(name: str, trained: Problem, steps: int) -> str:
    """One Markdown row: shares of the exact trainer's own time, on one core; what is compiled counts for its caller."""
    train, profile = ours("exact")(trained, steps), cProfile.Profile()
    train()  # Tables are made once a process.
    profile.runcall(train)
    seconds = dict.fromkeys(PARTS, 0.0)
    for (file, _, function), (*_, own, _, callers) in pstats.Stats(profile).stats.items():  # type: ignore[attr-defined]
        if file != "~":
            seconds[part_of(file, function)] += own
        for (caller_file, _, caller), (*_, own_of_caller, _) in callers.items() if file == "~" else ():
            seconds[part_of(caller_file, caller)] += own_of_caller
    total = sum(seconds.values())
    return f"| {name} | {' | '.join(f'{seconds[part] / total:.0%}' for part in PARTS)} |"


def verdicts(results: dict[str, dict[str, Timing]]) -> list[str]:
    """One Markdown row per target whose workload was measured."""
    lines = []
    for target in TARGETS:
        if target.workload in results:
            measured = results[target.workload]
            ratios = measured[target.slower].seconds / measured[target.faster].seconds
            bound = f"{'at least' if target.at_least else 'at most'} {target.bound:g}"
            met = "yes" if target.met_by(float(np.median(ratios))) else "no"
            what = f"{target.slower} / {target.faster}"
            lines.append(f"| {target.workload} | {what} | {quartiles(ratios, 2)} | {bound} | {met} |")
    return lines


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--workloads", default=",".join(WORKLOADS), help="which, of S,M,D,L")
    parser.add_argument("--rounds", type=int, default=5, help="how often every side takes its turn")
    parser.add_argument(
        "--cores", type=int, default=min(2, machine.usable_cores()), help="cores that every side may use"
    )
    parser.add_argument("--quick", action="store_true", help="one round of few steps and runs: to see that it works")
    options = parser.parse_args(arguments)
    chosen, rounds = options.workloads.split(","), 1 if options.quick else options.rounds
    if unknown := [name for name in chosen if name not in WORKLOADS]:
        parser.error(f"--workloads: expected some of {', '.join(WORKLOADS)}, got {', '.join(unknown)}")
    machine.limit_to(options.cores)
    peak = machine.product_peak(512 if options.quick else 2048)
    workloads = {name: WORKLOADS[name].quick() if options.quick else WORKLOADS[name] for name in chosen}
    results, table, profiles = {}, [], []
    # Spawned, not forked: JAX and PyTorch have threads. Each worker sees one BLAS thread from its start.
    spawn = get_context("spawn")
    with ProcessPoolExecutor(options.cores, spawn) if options.cores > 1 else nullcontext() as workers:
        compared = sides(workers)
        for name, workload in workloads.items():
            with problem(workload) as trained:
                difference = largest_disagreement(trained.first(2), compared)
                print(f"{name}: {workload.text}; {workload.runs} runs. All sides agree: after 3 steps the training"
                      f" losses differ by at most {difference:.0e}.", flush=True)  # fmt: skip
                measured = timings(workload, trained, compared, rounds)
                profiles.append(profile_row(name, trained, workload.many))
            steps = trained.configs[0].training.steps
            measured[JAX_COMPILED] = with_compiling(measured[JAX], workload.runs, steps)
            results[name] = measured
            table += rows(name, measured, trained.flops(), peak)
    print(f"\n| | side | µs per run and step [quartiles] | times {EXACT} | share of peak |\n|---|---|---|---|---|")
    print(*table, sep="\n")
    print(f"\n| {EXACT} | {' | '.join(PARTS)} |\n|---|{'---|' * len(PARTS)}")
    print(*profiles, sep="\n")
    if not options.quick:
        print("\n| | ratio of times | median [quartiles] | target | met |\n|---|---|---|---|---|")
        print(*verdicts(results), sep="\n")
    print(f"\nRounds: {rounds}{', quick' if options.quick else ''}. Peak: {peak / 1e9:.1f} GFLOP/s."
          f" With compiling: {steps} steps a run, one compilation a stack.\n{machine.description()}"
          f" Run on {datetime.now(UTC):%Y-%m-%d}.")  # fmt: skip


if __name__ == "__main__":
    main()
