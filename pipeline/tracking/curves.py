"""The curves of a whole sweep as one Parquet table: merged from the parts in its folder, and the store for the rest."""

import io
import shutil
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import chain, repeat
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
    buffer = io.BytesIO()
    with _writer(buffer) as writer:
        _write(writer, _table(runs))
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
        Whether the sweep has no artifact yet, or one that lacks something; else nothing is written. A sweep without
        runs of its own, because another one that ran at the same time has finished them all, gets a table without rows.
    """
    missing = set(run_ids)
    with tempfile.TemporaryDirectory() as folder:
        artifact = _artifact(client, sweep.parent, Path(folder))
        if artifact and missing.issubset(chain.from_iterable(map(_run_ids, _parts(artifact, ["run_id"])))):
            return False
        with _writer(target) as writer:
            for path in [*([artifact] if artifact else []), *sorted(_folder(sweep).glob("*.parquet"))]:
                for part in _parts(path):
                    if found := missing.intersection(_run_ids(part)):
                        _write(writer, part.filter(pc.is_in(part["run_id"], pa.array(sorted(found), pa.string()))))
                        missing -= found
            for run_id in sorted(missing):
                _write(writer, _table({run_id: [*_history(client, run_id)]}))
    return True


def _artifact(client: MlflowClient, parent: str, folder: Path) -> Path | None:
    try:
        return Path(client.download_artifacts(parent, names.CURVES_FILE, str(folder)))
    except Exception:  # There is none yet, or it cannot be read: the store has it all.
        return None


def _parts(path: Path, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
    """The tables that were written into a file one after the other, up to where it is torn: the store has the rest."""
    # Threads would each keep memory of their own.
    with suppress(OSError, pa.ArrowException), pq.ParquetFile(path) as file:
        is_ours = file.schema_arrow.equals(CURVES_SCHEMA)
        for group in range(file.num_row_groups if is_ours else 0):
            yield file.read_row_group(group, columns, use_threads=False)


def _run_ids(part: pa.Table) -> list[str]:
    return list(pc.unique(part["run_id"]).to_pylist())


def _writer(target: Path | io.BytesIO) -> pq.ParquetWriter:
    return pq.ParquetWriter(target, CURVES_SCHEMA)


def _write(writer: pq.ParquetWriter, table: pa.Table) -> None:
    """Writes a table as one row group, so that none holds a part of a run."""
    writer.write_table(table, max(1, len(table)))


def _table(runs: Mapping[str, Sequence[tuple[str, float, int]]]) -> pa.Table:
    run_ids = chain.from_iterable(repeat(run_id, len(points)) for run_id, points in runs.items())
    metrics, values, steps = [*zip(*chain.from_iterable(runs.values()), strict=True)] or ((), (), ())
    return pa.table([[*run_ids], metrics, steps, values], schema=CURVES_SCHEMA)


def _history(client: MlflowClient, run_id: str) -> Iterator[tuple[str, float, int]]:
    for key in sorted(client.get_run(run_id).data.metrics):
        for point in client.get_metric_history(run_id, key):
            yield key, names.infinite(point.value), point.step
