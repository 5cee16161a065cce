"""A sweep and its tracked runs, as values that sweeper, jobs and tracker share."""

import io
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.system.atomic_file import write_whole


class TrackedRun(NamedTuple):
    """A finished run.

    Attributes:
        start_time: milliseconds since the epoch.
        run_id: its id.
        fingerprint: of what was trained.
        parent: run id of the sweep that trained it, or None.
        rerun: whether it was trained again on purpose.
        objective: what its job returns to a sweeper.
    """

    start_time: int
    run_id: str
    fingerprint: str
    parent: str | None
    rerun: bool
    objective: float


class TrackedSweep(NamedTuple):
    """A sweep that was begun.

    Attributes:
        run_id: id of the parent run.
        fingerprints: those of its jobs, in the order of their numbers.
        folder: where Hydra keeps it.
        finished: whether all of it is done.
    """

    run_id: str
    fingerprints: tuple[str, ...]
    folder: str
    finished: bool


VARIABLE = "SYMMETRY_LAB_SWEEP"
CURVES_SCHEMA = pa.schema(
    {
        "run_id": pa.string(),
        "metric": pa.string(),
        "step": pa.int64(),
        "value": pa.float64(),
    }.items()
)


@dataclass(frozen=True)
class Sweep:
    """One multirun.

    Attributes:
        parent: run id of the parent run.
        jobs: how many jobs the sweep has.
        swept_keys: keys whose values differ between the jobs.
        folder: where Hydra keeps the sweep.
    """

    parent: str
    jobs: int
    swept_keys: tuple[str, ...]
    folder: str

    @contextmanager
    def announced(self) -> Iterator[None]:
        """Makes the sweep known to jobs that start within the context."""
        os.environ[VARIABLE] = json.dumps(asdict(self))
        try:
            yield
        finally:
            del os.environ[VARIABLE]

    def save_curves(self, runs: Mapping[str, Sequence[tuple[str, float, int]]]) -> None:
        """Leaves the curves of tracked runs in the sweep's folder, in a file of their own, until all are merged.

        Args:
            runs: run id -> (metric key, value, step).
        """
        rows = [(run_id, *row) for run_id, metrics in runs.items() for row in metrics]
        columns = zip(*rows, strict=True) if rows else ((), (), (), ())
        run_ids, metrics, values, steps = (list(column) for column in columns)
        buffer = io.BytesIO()
        pq.write_table(pa.table([run_ids, metrics, steps, values], schema=CURVES_SCHEMA), buffer)
        write_whole(self._curves_folder / f"{next(iter(runs))}.parquet", buffer.getvalue())

    def curve_files(self) -> list[Path]:
        """The files of ``save_curves``, by name."""
        return sorted(self._curves_folder.glob("*.parquet"))

    def drop_curves(self) -> None:
        """Removes them, once they are merged."""
        shutil.rmtree(self._curves_folder, ignore_errors=True)

    @property
    def _curves_folder(self) -> Path:
        # By its run, because two sweeps may be told to use one folder.
        return Path(self.folder) / f"curves-{self.parent[:8]}"


def current_sweep() -> Sweep | None:
    """The sweep that this process works for, or None for a run of its own."""
    text = os.environ.get(VARIABLE)
    if text is None:
        return None
    known = json.loads(text)
    return Sweep(**known | {"swept_keys": tuple(known["swept_keys"])})
