"""The curves of a whole sweep as one table: from what its processes left on disk, and the store for the rest."""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from mlflow import MlflowClient
from mlflow.entities import Run

from pipeline import names
from pipeline.sweep import CURVES_SCHEMA, Sweep


def merged_curves(client: MlflowClient, sweep: Sweep, runs: Sequence[Run], target: Path) -> bool:
    """Writes the curves of runs into one file: columns ``run_id``, ``metric``, ``step``, ``value``.

    They come from the sweep's artifact, if it was finished before and goes on now; from the parts in its folder; and
    from the store, metric by metric, for runs of which the parts are lost (killed processes, another machine). One part
    at a time is in memory.

    Returns:
        Whether there is anything that the sweep's artifact does not hold yet.
    """
    missing = {run.info.run_id: run for run in runs}
    with tempfile.TemporaryDirectory() as folder, pq.ParquetWriter(target, CURVES_SCHEMA) as writer:
        artifact = _artifact(client, sweep.parent, Path(folder))
        sources = [artifact] if artifact else []
        is_new = False
        for path in [*sources, *sweep.curve_files()]:
            table = _of_runs(path, set(missing))
            found = set(pc.unique(table["run_id"]).to_pylist())
            is_new |= bool(found) and path != artifact
            writer.write_table(table)
            for run_id in found:
                del missing[run_id]
        for run in missing.values():
            writer.write_table(_from_store(client, run))
    return is_new or bool(missing)


def _artifact(client: MlflowClient, parent: str, folder: Path) -> Path | None:
    try:
        return Path(client.download_artifacts(parent, names.CURVES_FILE, str(folder)))
    except Exception:  # There is none yet, or it cannot be read: the store has it all.
        return None


def _of_runs(path: Path, run_ids: set[str]) -> pa.Table:
    try:
        table = pq.read_table(path, schema=CURVES_SCHEMA)
    except (OSError, pa.ArrowException):  # Torn: the store has it all.
        return CURVES_SCHEMA.empty_table()
    return table.filter(pc.is_in(table["run_id"], pa.array(sorted(run_ids), pa.string())))


def _from_store(client: MlflowClient, run: Run) -> pa.Table:
    rows = list(_history(client, run))
    columns = [list(column) for column in zip(*rows, strict=True)] if rows else [[], [], [], []]
    return pa.table(columns, schema=CURVES_SCHEMA)


def _history(client: MlflowClient, run: Run) -> Iterator[tuple[str, str, int, float]]:
    for key in sorted(run.data.metrics):
        for point in client.get_metric_history(run.info.run_id, key):
            yield run.info.run_id, key, point.step, names.infinite(point.value)
