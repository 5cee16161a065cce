"""The curves of a whole sweep as one Parquet table: merged from the parts in its folder, and the store for the rest."""

import io
import shutil
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from mlflow import MlflowClient

from pipeline import names
from pipeline.system.atomic_file import write_atomically
from pipeline.tracking.sweeps import Sweep

CURVES_SCHEMA = pa.schema(
    {"run_id": pa.string(), "metric": pa.string(), "step": pa.int64(), "value": pa.float64()}.items()
)


def save_curves(sweep: Sweep, runs: Mapping[str, Sequence[tuple[str, float, int]]]) -> None:
    """Leaves the curves of tracked runs in the sweep's folder, as a part of their own, until all are merged.

    Args:
        runs: run id -> (metric key, value, step).
    """
    rows = ((run_id, metric, step, value) for run_id, metrics in runs.items() for metric, value, step in metrics)
    buffer = io.BytesIO()
    pq.write_table(_table(rows), buffer)
    write_atomically(_folder(sweep) / f"{next(iter(runs))}.parquet", buffer.getvalue())


def remove_curves(sweep: Sweep) -> None:
    """Removes the parts of a sweep, once they are merged."""
    shutil.rmtree(_folder(sweep), ignore_errors=True)


def _folder(sweep: Sweep) -> Path:
    # By its run, because two sweeps may be told to use one folder.
    return Path(sweep.folder) / f"curves-{sweep.parent[:8]}"


def merge_curves(client: MlflowClient, sweep: Sweep, run_ids: Collection[str], target: Path) -> bool:
    """Writes the curves of runs into one file: columns ``run_id``, ``metric``, ``step``, ``value``.

    They come from the sweep's artifact, if it was finished before and goes on now; from the parts in its folder; and
    from the store, metric by metric, for runs of which the parts are lost (killed processes, another machine). One part
    at a time is in memory.

    Returns:
        Whether the sweep has no artifact yet, or one that lacks something. A sweep without runs of its own, because
        another one that ran at the same time has finished them all, gets a table without rows.
    """
    missing = set(run_ids)
    with tempfile.TemporaryDirectory() as folder, pq.ParquetWriter(target, CURVES_SCHEMA) as writer:
        artifact = _artifact(client, sweep.parent, Path(folder))
        sources = [artifact] if artifact else []
        is_new = False
        for path in [*sources, *sorted(_folder(sweep).glob("*.parquet"))]:
            found, table = _of_runs(path, missing)
            is_new |= bool(found) and path != artifact
            writer.write_table(table)
            missing -= found
        for run_id in sorted(missing):
            writer.write_table(_table(_history(client, run_id)))
    return artifact is None or is_new or bool(missing)


def _artifact(client: MlflowClient, parent: str, folder: Path) -> Path | None:
    try:
        return Path(client.download_artifacts(parent, names.CURVES_FILE, str(folder)))
    except Exception:  # There is none yet, or it cannot be read: the store has it all.
        return None


def _of_runs(path: Path, run_ids: set[str]) -> tuple[set[str], pa.Table]:
    """Which of the runs a file holds, and their curves."""
    try:
        table = pq.read_table(path, schema=CURVES_SCHEMA)
    except (OSError, pa.ArrowException):  # Torn: the store has it all.
        return set(), CURVES_SCHEMA.empty_table()
    # A part holds few runs, and a sweep may have many parts: what is done for each must not grow with the sweep.
    found = run_ids.intersection(pc.unique(table["run_id"]).to_pylist())
    return found, table.filter(pc.is_in(table["run_id"], pa.array(sorted(found), pa.string())))


def _table(rows: Iterator[tuple[str, str, int, float]]) -> pa.Table:
    columns = list(map(list, zip(*rows, strict=True))) or [[], [], [], []]
    return pa.table(columns, schema=CURVES_SCHEMA)


def _history(client: MlflowClient, run_id: str) -> Iterator[tuple[str, str, int, float]]:
    for key in sorted(client.get_run(run_id).data.metrics):
        for point in client.get_metric_history(run_id, key):
            yield run_id, key, point.step, names.infinite(point.value)
