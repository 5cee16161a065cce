"""What the MLflow UI asks of a SQLite store with many runs, without and with the statistics that a sweep ends with.

    python -m benchmarks.queries [--sizes 1000,5000,20000] [--quick]

The runs have 407 numbers each (11 metrics at 37 steps), as those of ``benchmarks.sweep``. Each query is behind a
click: the table, sorted by the time, a metric or a param; a filter; the chart of a run and of a hundred runs.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mlflow import MlflowClient

from benchmarks import machine
from benchmarks.commands import with_database
from pipeline import names
from pipeline.tracking.records import Record
from pipeline.tracking.store.cleanup import gather_statistics
from pipeline.tracking.store.sql_writer import writer_for

METRICS = [(f"metric/{key}", key + 1.0 / (1.0 + step), step) for key in range(11) for step in range(37)]
SHOWN, POINTS = 100, 320
"""Runs on a page of the UI, and points of a curve that it asks for at the most."""
AT_ONCE = 100


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.queries", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", default="1000,5000,20000", help="runs in the stores")
    parser.add_argument("--quick", action="store_true", help="one small store: to see that it works")
    options = parser.parse_args(arguments)
    print("| runs | query | without statistics, ms | with, ms |\n|---|---|---|---|")
    for runs in [20] if options.quick else map(int, options.sizes.split(",")):
        with TemporaryDirectory() as folder:
            client = MlflowClient(f"sqlite:///{with_database(Path(folder))}/mlflow.db")
            experiment = str(client.create_experiment("runs", f"{folder}/artifacts"))
            fill(client, experiment, runs)
            without = {name: milliseconds(query) for name, query in queries(client, experiment).items()}
            gather_statistics(client)
            for name, query in queries(client, experiment).items():
                print(f"| {runs} | {name} | {without[name]:.1f} | {milliseconds(query):.1f} |", flush=True)
    print(f"\n{machine.description()} Run on {datetime.now(UTC):%Y-%m-%d}.")


def fill(client: MlflowClient, experiment: str, runs: int) -> None:
    """Tracks finished runs."""
    writer = writer_for(client, experiment)
    for first in range(0, runs, AT_ONCE):
        writer.write([record(number) for number in range(first, min(first + AT_ONCE, runs))])


def record(number: int) -> Record:
    tags = {names.FINGERPRINT_TAG: f"{number:032x}", names.PARENT_TAG: "sweep"}
    params = {"seed": str(number)} | {f"key{key}": "value" for key in range(28)}
    start = 1_700_000_000_000 + number
    return Record(f"s{number}", "FINISHED", start, start + 500, tags, params, METRICS, {"config.yaml": b"a: 1\n"})


def queries(client: MlflowClient, experiment: str) -> dict[str, Callable[[], Any]]:
    """Name -> what is asked."""
    store: Any = client._tracking_client.store

    def table(order: str, condition: str = "") -> Any:
        return client.search_runs([experiment], condition, max_results=SHOWN, order_by=[order])

    newest = [run.info.run_id for run in table("attributes.start_time DESC")]
    metric, steps = METRICS[0][0], sorted({step for _, _, step in METRICS})
    return {
        "the newest hundred": lambda: table("attributes.start_time DESC"),
        "sorted by a metric": lambda: table(f"metrics.`{metric}` DESC"),
        "sorted by a param": lambda: table("params.seed DESC"),
        "one seed": lambda: table("attributes.start_time DESC", "params.seed = '7'"),
        "curve of a run": lambda: store.get_metric_history_bulk_interval_from_steps(newest[0], metric, steps, POINTS),
        "curves of a hundred": lambda: store.get_metric_history_bulk(newest, metric, max_results=25_000),
    }


def milliseconds(query: Callable[[], Any]) -> float:
    """Wall time of one query, after one that opens what must be opened, unless that took more than a second."""
    times = []
    while len(times) < 2 and sum(times) < 1000.0:
        start = time.perf_counter()
        query()
        times.append(1000.0 * (time.perf_counter() - start))
    return times[-1]


if __name__ == "__main__":
    main()
