"""Whole sweeps from the shell: what a run costs here, and with Hydra's basic launcher and MLflow's own calls.

    python -m benchmarks.sweep [--rounds 3] [--sizes 10,100,1000,10000] [--quick]

All sides train the same small networks (moons 200 x 2, 8 tanh units, 36 steps) with the same trainer, and log 407
numbers a run (11 metrics at 37 steps; 8 metrics at 50 would be 400). The training itself takes under a millisecond a
run, so nearly all that is measured is launching and tracking. Each sweep runs in a process and a folder of its own,
with a database that exists already. A run's cost is the difference of two sweeps over the difference of their sizes,
so that imports cancel. The sides take turns, round after round; the tables show medians.
"""

import argparse
import os
import resource
import sqlite3
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import NamedTuple

from benchmarks import machine

PROJECT = Path(__file__).resolve().parents[1]
STEPS = 36
NUMBERS = 11 * (STEPS + 1)
TASK = (
    "model=mlp", "model.hidden_units=[8]", "init=normal", "optimizer.learning_rate=0.1", "data=moons",
    "data.test_fraction=0", "training.batch_size=null", f"training.steps={STEPS}", "training.measure_at=200",
)  # fmt: skip
STOCK_LAUNCHER = ("hydra/launcher=basic", "hydra/sweeper=basic")


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


SIDES = {
    "ours": Side("pipeline.run", (), "", (100, 700)),
    "ours, basic launcher": Side("pipeline.run", ("hydra/launcher=basic",), "", (10, 40)),
    "stock Hydra, one log_batch a run": Side("benchmarks.stock", STOCK_LAUNCHER, "batch", (10, 40)),
    "stock Hydra, fluent log_metric": Side("benchmarks.stock", STOCK_LAUNCHER, "fluent", (3, 8)),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the two tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sizes", default="10,100,1000,10000", help="runs in the sweeps of the second table")
    parser.add_argument("--quick", action="store_true", help="few runs, to see that everything works")
    options = parser.parse_args(arguments)
    sides = {name: quick(side) for name, side in SIDES.items()} if options.quick else SIDES
    costs: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(1 if options.quick else options.rounds):
        for name, side in sides.items():
            costs[name].append(cost_of_a_run(side))
    print(comparison(costs, sides))
    sizes = [4, 8] if options.quick else [int(size) for size in options.sizes.split(",")]
    print("\n" + growth(sizes))
    print("\n" + machine.description())


def quick(side: Side) -> Side:
    """The same with so few runs that the numbers mean nothing."""
    return side._replace(sizes=(1, 3))


def cost_of_a_run(side: Side) -> float:
    """Seconds a run, imports excluded."""
    few, many = side.sizes
    return (seconds(side, many) - seconds(side, few)) / (many - few)


def seconds(side: Side, runs: int) -> float:
    """How long a whole sweep takes from the shell.

    Raises:
        RuntimeError: the sweep failed, or did not track all runs.
    """
    with TemporaryDirectory() as folder:
        return measured_sweep(side, runs, Path(folder))


def measured_sweep(side: Side, runs: int, folder: Path) -> float:
    """The same in a folder that stays."""
    # A database that exists: making its tables takes seconds, once.
    subprocess.run(
        [sys.executable, "-c", "import mlflow; mlflow.MlflowClient().search_experiments()"],
        cwd=folder, env=environment(side), check=True, capture_output=True,
    )  # fmt: skip
    command = [sys.executable, "-m", side.module, "-m", *side.options, *TASK, f"seed=range({runs})"]
    start = time.perf_counter()
    completed = subprocess.run(command, cwd=folder, env=environment(side), capture_output=True, text=True, check=False)
    elapsed = time.perf_counter() - start
    if completed.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{completed.stdout}\n{completed.stderr}")
    check_tracked(folder, runs, expect_parent=side.module == "pipeline.run")
    return elapsed


def environment(side: Side) -> dict[str, str]:
    """Clean of tracking settings; one BLAS thread for everybody."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("MLFLOW_", "HYDRA_"))}
    return clean | {
        "PYTHONPATH": str(PROJECT), "BENCHMARK_TRACKING": side.tracking, "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
    }  # fmt: skip


def check_tracked(folder: Path, runs: int, expect_parent: bool) -> None:
    """Raises unless every run is in the database with all its numbers."""
    with sqlite3.connect(folder / "mlflow.db") as connection:
        (finished,) = connection.execute("SELECT count(*) FROM runs WHERE status = 'FINISHED'").fetchone()
        (numbers,) = connection.execute("SELECT count(*) FROM metrics").fetchone()
    if finished != runs + expect_parent or numbers != NUMBERS * runs:
        raise RuntimeError(f"expected {runs} runs, found {finished} with {numbers} numbers")


def comparison(costs: dict[str, list[float]], sides: dict[str, Side]) -> str:
    """Cost of a run on every side, and its ratio to ours."""
    ours = median(costs["ours"])
    lines = ["| side | runs compared | ms a run | times ours |", "|---|---|---|---|"]
    for name, values in costs.items():
        few, many = sides[name].sizes
        lines.append(f"| {name} | {few} and {many} | {1000 * median(values):.1f} | {median(values) / ours:.1f} |")
    return "\n".join(lines)


def growth(sizes: Sequence[int]) -> str:
    """Our cost of a run in sweeps of growing size, and the largest memory of any of the processes."""
    lines = ["| runs | seconds from the shell | ms a run beyond the smallest sweep | peak memory of a process |"]
    lines.append("|---|---|---|---|")
    smallest = None
    for size in sizes:
        elapsed = seconds(SIDES["ours"], size)
        memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        smallest = smallest or (size, elapsed)
        beyond = f"{1000 * (elapsed - smallest[1]) / (size - smallest[0]):.2f}" if size > smallest[0] else ""
        lines.append(f"| {size} | {elapsed:.1f} | {beyond} | {memory:.0f} MiB |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
