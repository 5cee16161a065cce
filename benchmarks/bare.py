"""The driver of a sweep beside the bare cost of what it leaves: the same rows and files, written by nothing else.

    python -m benchmarks.bare [--sizes 1000,20000] [--quick]

The sweeps are those of ``benchmarks.sizing`` (407 numbers a run, one process, training left out), in SQLite. After
each, its rows go into an empty database by ``sqlite3.executemany`` in one transaction, and its files into an empty
folder: neither composed, named nor checked. The last lines tell the growth from the first size to the last.
"""

import argparse
import json
import shutil
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from benchmarks import machine
from benchmarks.commands import cost_of, with_database
from benchmarks.sizing import DRIVER_PARTS
from benchmarks.sweep import TASK

TABLES = ("runs", "tags", "params", "metrics", "latest_metrics")
ROWS_AT_ONCE = 100_000


class Costs(NamedTuple):
    """Seconds of a whole sweep's driver, of its rows and of its files; peak of its memory in bytes."""

    runs: int
    driver: float
    rows: float
    files: float
    memory: int

    @property
    def times_bare(self) -> float:
        return self.driver / (self.rows + self.files)

    def __str__(self) -> str:
        each = " | ".join(f"{1000 * seconds / self.runs:.2f}" for seconds in (self.driver, self.rows, self.files))
        return f"| {self.runs} | {each} | {self.times_bare:.2f} | {self.memory / 2**20:.0f} MiB |"


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.bare", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", default="1000,20000", help="runs in the sweeps")
    parser.add_argument("--quick", action="store_true", help="few runs: to see that it works")
    options = parser.parse_args(arguments)
    print("| runs | driver, ms a run | rows, ms | files, ms | driver over bare | memory |\n|---|---|---|---|---|---|")
    measured = []
    for runs in [2, 6] if options.quick else map(int, options.sizes.split(",")):
        measured.append(costs_of(runs))
        print(measured[-1], flush=True)
    few, many = measured[0], measured[-1]
    if many.runs > few.runs:
        growth = (many.driver / many.runs) / (few.driver / few.runs)
        memory = (many.memory - few.memory) / (many.runs - few.runs) / 1000
        print(f"\nFrom {few.runs} to {many.runs} runs: ms a run {growth:.2f} times, memory {memory:.1f} kB a run.")
    print(f"\n{machine.description()} Run on {datetime.now(UTC):%Y-%m-%d}.")


def costs_of(runs: int) -> Costs:
    """Runs a sweep, then writes once more what it has left."""
    with TemporaryDirectory() as name:
        sweep, bare = Path(name, "sweep"), Path(name, "bare")
        sweep.mkdir()
        shutil.copytree(with_database(sweep), bare)
        cost = cost_of("benchmarks.driver", [*TASK, f"seed=range({runs})"], sweep)
        seconds = json.loads(cost.output.splitlines()[-1])
        driver = sum(seconds[part] for part in DRIVER_PARTS)
        return Costs(runs, driver, copy_rows(sweep, bare), copy_files(sweep, bare), seconds["memory"])


def copy_rows(source: Path, target: Path) -> float:
    """Seconds that the rows of all runs take in one transaction; reading them does not count."""
    seconds = 0.0
    with (
        closing(sqlite3.connect(source / "mlflow.db")) as held,
        closing(sqlite3.connect(target / "mlflow.db")) as connection,
        connection,
    ):
        for table in TABLES:
            cursor = held.execute(f"SELECT * FROM {table}")  # noqa: S608 (no user's text)
            marks = ", ".join("?" * len(cursor.description))
            while rows := cursor.fetchmany(ROWS_AT_ONCE):
                start = time.perf_counter()
                connection.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)  # noqa: S608
                seconds += time.perf_counter() - start
        start = time.perf_counter()
        connection.commit()
        return seconds + time.perf_counter() - start


def copy_files(source: Path, target: Path) -> float:
    """Seconds that the files of all runs take, their folders included; reading them does not count."""
    seconds = 0.0
    for path in (each for part in ("mlruns", "multirun") for each in (source / part).rglob("*")):
        content, copy = path.is_file() and path.read_bytes(), target / path.relative_to(source)
        start = time.perf_counter()
        if isinstance(content, bytes):
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(content)
        seconds += time.perf_counter() - start
    return seconds


if __name__ == "__main__":
    main()
