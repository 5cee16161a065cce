"""Whole sweeps from the shell: what a run costs here, and with Hydra's basic launcher and MLflow's own calls.

    python -m benchmarks.sweep [--rounds 3] [--sizes 10,100,1000,10000] [--quick]

All sides train the same small networks (moons 200 x 2, 8 tanh units, 36 steps) with the same trainer, and log 407
numbers a run (11 metrics at 37 steps; 8 metrics at 50 would be 400). Training takes about a millisecond a run, so
nearly all that is measured is launching and tracking. Each sweep runs in a process and a folder of its own, with a
database that exists already. A run's cost is the difference of two sweeps over the difference of their sizes, so that
imports cancel. The sides take turns, round after round; the tables show medians. The last table is one default sweep
(``python -m pipeline.run -m``), imports included.
"""

import argparse
import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import NamedTuple

from benchmarks import machine
from benchmarks.commands import Cost, cost_of, with_database

STEPS = 36
NUMBERS = 11 * (STEPS + 1)
TASK = (
    "model=mlp", "model.hidden_units=[8]", "init=normal", "optimizer.learning_rate=0.1", "data=moons",
    "data.test_fraction=0", "training.batch_size=null", f"training.steps={STEPS}", "training.measure_at=200",
)  # fmt: skip
STOCK_LAUNCHER = ("hydra/launcher=basic", "hydra/sweeper=basic")
MEBIBYTE = 2**20


class Side(NamedTuple):
    """One way to run a sweep.

    Attributes:
        module: the application.
        options: more arguments for it.
        tracking: value of ``BENCHMARK_TRACKING``.
        sizes: numbers of runs whose difference is timed.
    """

    module: str
    options: tuple[str, ...]
    tracking: str
    sizes: tuple[int, int]


OURS, BASIC, ONE_BATCH, FLUENT = (
    "ours", "ours, basic launcher", "stock Hydra, one log_batch a run", "stock Hydra, fluent log_metric",
)  # fmt: skip
SIDES = {
    OURS: Side("pipeline.run", (), "", (100, 700)),
    BASIC: Side("pipeline.run", ("hydra/launcher=basic",), "", (10, 40)),
    ONE_BATCH: Side("benchmarks.stock", STOCK_LAUNCHER, "batch", (10, 40)),
    FLUENT: Side("benchmarks.stock", STOCK_LAUNCHER, "fluent", (3, 8)),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.sweep", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3, help="how often every side takes its turn")
    parser.add_argument("--sizes", default="10,100,1000,10000", help="runs in the sweeps of the second table")
    parser.add_argument("--quick", action="store_true", help="two small sweeps of our side: to see that it works")
    options = parser.parse_args(arguments)
    sizes = [1, 3] if options.quick else [int(size) for size in options.sizes.split(",")]
    if not options.quick:
        print("| side | runs compared | ms a run | times ours | target | met |\n|---|---|---|---|---|---|")
        print(*comparison(costs_of_a_run(options.rounds)), sep="\n", flush=True)
    print("\n| runs | seconds from the shell | ms a run beyond the sweep before | peak memory, all processes |")
    print("|---|---|---|---|")
    print(*growth({size: sweep(SIDES[OURS], size) for size in sizes}), sep="\n", flush=True)
    if not options.quick:
        print(f"\n{default_sweep()}")
    print(f"\n{machine.description()} Run on {datetime.now(UTC):%Y-%m-%d}.")


def costs_of_a_run(rounds: int) -> dict[str, list[float]]:
    """Seconds a run on every side, imports excluded, in every round."""
    costs: dict[str, list[float]] = {name: [] for name in SIDES}
    for _ in range(rounds):
        for name, side in SIDES.items():
            few, many = side.sizes
            costs[name].append((sweep(side, many).seconds - sweep(side, few).seconds) / (many - few))
    return costs


def sweep(side: Side, runs: int) -> Cost:
    """A whole sweep from the shell.

    Raises:
        RuntimeError: it failed, or did not track all runs.
    """
    with TemporaryDirectory() as name:
        folder = with_database(Path(name))
        command = ["-m", *side.options, *TASK, f"seed=range({runs})"]
        cost = cost_of(side.module, command, folder, {"BENCHMARK_TRACKING": side.tracking})
        _check_tracked(folder, runs, parents=int(side.module == "pipeline.run"))
    return cost


def _check_tracked(folder: Path, runs: int, parents: int) -> None:
    """Raises unless every run is in the database with all its numbers."""
    with sqlite3.connect(folder / "mlflow.db") as connection:
        (finished,) = connection.execute("SELECT count(*) FROM runs WHERE status = 'FINISHED'").fetchone()
        (numbers,) = connection.execute("SELECT count(*) FROM metrics").fetchone()
    if finished != runs + parents or numbers != NUMBERS * runs:
        raise RuntimeError(f"expected {runs} runs, found {finished - parents} with {numbers} numbers")


def comparison(costs: dict[str, list[float]]) -> list[str]:
    """One Markdown row per side: cost of a run, and its ratio to ours."""
    ours = median(costs[OURS])
    lines = []
    for name, values in costs.items():
        few, many = SIDES[name].sizes
        cost, ratio = median(values), median(values) / ours
        target = {OURS: ("at most 10 ms", cost <= 0.010), ONE_BATCH: ("at least 30 times", ratio >= 30)}.get(name)
        verdict = f"{target[0]} | {'yes' if target[1] else 'no'}" if target else " | "
        lines.append(f"| {name} | {few} and {many} | {1000 * cost:.1f} | {ratio:.1f} | {verdict} |")
    return lines


def growth(measured: dict[int, Cost]) -> list[str]:
    """One Markdown row per size of our sweep; linear growth shows as the same cost beyond the sweep before."""
    lines, beyond = [], [""]
    for (few, cheap), (many, dear) in pairwise(measured.items()):
        beyond.append(f"{1000 * (dear.seconds - cheap.seconds) / (many - few):.2f}")
    for (size, cost), text in zip(measured.items(), beyond, strict=True):
        lines.append(f"| {size} | {cost.seconds:.1f} | {text} | {cost.memory / MEBIBYTE:.0f} MiB |")
    return lines


def default_sweep() -> str:
    """A sentence about the sweep of ``conf/config.yaml``, whose database does not exist yet."""
    with TemporaryDirectory() as folder:
        cost = cost_of("pipeline.run", ["-m"], Path(folder))
    return (
        f"The default sweep from the shell, imports and a new database included: {cost.seconds:.1f} s"
        f" (target: at most 30), {cost.memory / MEBIBYTE:.0f} MiB at most."
    )


if __name__ == "__main__":
    main()
