"""From ten runs to a hundred thousand: what the driver of a sweep spends on a run, and how many workers it can feed.

    python -m benchmarks.sizing [--sizes 10,100,1000,10000] [--workloads S,M] [--quick]
                                [--server URI] [--server-sizes 10,100,1000]

The first table is about sweeps of the networks of ``benchmarks.sweep`` (407 numbers a run) in one process, whose
functions are timed one by one; training is left out. The driver's time is the sum of the parts named. From the last two
sizes follow the lines below the table: what 100,000 runs would take.

The second table divides the training of a run of S and M (``benchmarks.training``) for 2000 steps by the driver's
time for such a run: so many workers keep a driver busy. What a run sends over the network to workers on other machines
and back is measured as pickles, as Dask sends them.

With ``--server`` all is tracked there too, in an experiment of its own for each sweep. How to start one is said in
``benchmarks/README.md``.
"""

import argparse
import json
import pickle
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import machine
from benchmarks.commands import cost_of, with_database
from benchmarks.sweep import STEPS, TASK
from benchmarks.workloads import PLAIN_DESCENT, WORKLOADS, problem, write_images
from pipeline.config.schema import Config
from pipeline.executors.batch import Batch, train_batch
from pipeline.executors.remote_work import work_of
from pipeline.sweep.estimate import in_time, time_stack
from pipeline.system.memory import in_units
from pipeline.training.batching import runs_per_batch

DRIVER_PARTS = ("composing", "folders", "records", "tracking", "ending")
SHORT = (f"training.steps={STEPS}", "training.measure_at=200")
LONG = 2000
"""Steps of a run in the second table, measured at as many moments as the short one."""
TARGET = 100_000
RUNS = {"S": 100, "M": 100}
GIGABIT = 125e6
"""Bytes a second."""


@dataclass(frozen=True)
class Sweep:
    """What a sweep has cost its driver.

    Attributes:
        runs: how many.
        seconds: part -> seconds.
        memory: peak of the process in bytes, which trains too.
        database, artifacts, folders: bytes on the disk; 0 where a server has them.
    """

    runs: int
    seconds: Mapping[str, float]
    memory: int
    database: int
    artifacts: int
    folders: int

    @property
    def driver(self) -> float:
        """Seconds of the driver, in all."""
        return sum(self.seconds[part] for part in DRIVER_PARTS)


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.sizing", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", default="10,100,1000,10000", help="runs in the sweeps of the first table")
    parser.add_argument("--server", metavar="URI", help="a tracking server to measure too")
    parser.add_argument("--server-sizes", default="10,100,1000", help="runs in the sweeps that are tracked there")
    parser.add_argument("--workloads", default=",".join(RUNS), help="rows of the second table")
    parser.add_argument("--quick", action="store_true", help="few runs of S: to see that it works")
    options = parser.parse_args(arguments)
    servers = {"SQLite": None} | ({"server": options.server} if options.server else {})
    sizes = {"SQLite": options.sizes, "server": options.server_sizes}
    numbers = {store: [int(size) for size in sizes[store].split(",") if size] for store in servers}
    workloads = [name for name in options.workloads.split(",") if name]
    if options.quick:
        numbers, workloads = {store: [2, 6] for store in servers}, ["S"]
    print(f"| tracked in | runs | {' | '.join(DRIVER_PARTS)} | driver, ms a run | memory |")
    print("|---|---|" + "---|" * len(DRIVER_PARTS) + "---|---|")
    lines = []
    for store, server in servers.items():
        sweeps = []
        for runs in numbers[store]:
            sweeps.append(sweep_of(TASK, runs, server))
            print(row(store, sweeps[-1]), flush=True)
        if len(sweeps) > 1:
            lines += extrapolated(store, *sweeps[-2:])
    print("", *lines, sep="\n")
    columns = [f"driver, ms a run ({store}) | workers fed" for store in servers]
    print(f"\n| workload | training, s a run | {' | '.join(columns)} | kB a run | workers on a gigabit |")
    print("|---|---|" + "---|---|" * len(columns) + "---|---|")
    for name in workloads:
        print(feeding(name, 4 if options.quick else RUNS[name], list(servers.values())), flush=True)
    print(f"\n{machine.description()} Run on {datetime.now(UTC):%Y-%m-%d}.")


def row(store: str, sweep: Sweep) -> str:
    """One Markdown row: milliseconds of each part, a run."""
    parts = " | ".join(f"{1000 * sweep.seconds[part] / sweep.runs:.2f}" for part in DRIVER_PARTS)
    return f"| {store} | {sweep.runs} | {parts} | {1000 * sweep.driver / sweep.runs:.1f} | {in_units(sweep.memory)} |"


def sweep_of(overrides: Sequence[str], runs: int, server: str | None) -> Sweep:
    """Runs a sweep in a process of its own and watches its driver.

    Raises:
        RuntimeError: it failed.
    """
    with TemporaryDirectory() as name:
        folder = Path(name)
        if server is None:
            with_database(folder)
            tracking = {}
        else:
            tracking = {"MLFLOW_TRACKING_URI": server, "MLFLOW_EXPERIMENT_NAME": f"sizing {secrets.token_hex(4)}"}
        cost = cost_of("benchmarks.driver", [*overrides, f"seed=range({runs})"], folder, tracking)
        seconds = json.loads(cost.output.splitlines()[-1])
        memory = seconds.pop("memory")
        return Sweep(runs, seconds, memory, *(size_of(folder / part) for part in ("mlflow.db", "mlruns", "multirun")))


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
    return sum(file.stat().st_size for file in files)


def extrapolated(store: str, few: Sweep, many: Sweep) -> list[str]:
    """What ``TARGET`` runs would take, from the growth between two sizes, with the arithmetic: a Markdown list."""
    more, left = many.runs - few.runs, TARGET - many.runs
    slope = (many.driver - few.driver) / more
    whole = many.driver + left * slope
    lines = [
        f"- {store}, driver: {many.driver:.1f} s for {many.runs:,} runs, then {1000 * slope:.1f} ms each:"
        f" {many.driver:.1f} s + {left:,} x {1000 * slope:.1f} ms = {in_time(whole)} for {TARGET:,}"
    ]
    for name in ("memory", "database", "artifacts", "folders"):
        size, each = getattr(many, name), (getattr(many, name) - getattr(few, name)) / more
        if each > 0:
            whole_size = in_units(round(size + left * each))
            lines.append(f"- {store}, {name}: {in_units(size)} + {left:,} x {in_units(round(each))} = {whole_size}")
    return lines


def feeding(name: str, runs: int, servers: Sequence[str | None]) -> str:
    """One Markdown row: training of a run over the driver's time for it, and over the network's."""
    workload = WORKLOADS[name]
    with TemporaryDirectory() as folder, problem(replace(workload, runs=1)) as one:
        configs = [replace(one.configs[0], seed=seed) for seed in range(runs_per_batch(one.configs[0]))]
        write_images(Path(folder))
        chosen = [override.replace("IDX_FOLDER", folder) for override in workload.overrides]
        # A key given twice would be composed by Hydra itself, which takes longer.
        overrides = {each.partition("=")[0]: each for each in (*PLAIN_DESCENT, *chosen, *SHORT, "init=normal")}
        drivers = [sweep_of(list(overrides.values()), runs, server) for server in servers]
        sent = sent_bytes([_with(config, STEPS, 200) for config in configs])
        training = time_stack([_with(config, LONG, STEPS) for config in configs]).training
    each = [sweep.driver / runs for sweep in drivers]
    fed = " | ".join(f"{1000 * driver:.1f} | {training / driver:.1f}" for driver in each)
    return f"| {name} | {training:.3f} | {fed} | {sent / 1000:.1f} | {training * GIGABIT / sent:.0f} |"


def _with(config: Config, steps: int, measure_at: int) -> Config:
    return replace(config, training=replace(config.training, steps=steps, measure_at=measure_at))


def sent_bytes(configs: Sequence[Config]) -> float:
    """Bytes a run that a batch takes to a worker and back."""
    batch = Batch(tuple(range(len(configs))), tuple(configs))
    there, back = work_of(batch), train_batch(batch.configs)
    return sum(len(pickle.dumps(each)) for each in (there, back)) / len(configs)


if __name__ == "__main__":
    main()
