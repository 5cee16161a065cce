"""What the jobs of one sweep know of each other: their parent run, their number, and the keys that vary.

The sweeper hands it to the jobs through an environment variable, so that it reaches them under any launcher, in this
process or in others.
"""

import io
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.config import Config
from pipeline.files_written import write_whole

VARIABLE = "SYMMETRY_LAB_SWEEP"
NAME_LENGTH = 24
"""What the table of the runs view shows whole."""
LONGEST_NAME = 250
"""What MLflow stores."""
LETTERS = range(NAME_LENGTH, 2, -1)
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


def varying_keys(jobs: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """The keys whose values differ between the jobs, in the order of the overrides.

    >>> varying_keys([["model=mlp", "seed=0"], ["model=mlp", "seed=1"], ["model=mlp", "seed=1", "training.l2=0"]])
    ('seed', 'training.l2')
    """
    values: dict[str, list[str]] = {}
    for job in jobs:
        for override in job:
            key, _, value = override.partition("=")
            values.setdefault(key.lstrip("+~"), []).append(value)
    # A key that some jobs leave at its default differs between them too.
    return tuple(key for key, found in values.items() if len(set(found)) > 1 or len(found) < len(jobs))


def run_name(config: Config, keys: Sequence[str]) -> str:
    """The values of ``keys``, their words cut as little as a name of 24 characters allows: ``mlp constant 0.1 s3``.

    Which run it is, is told by its params; no name is read back.
    """
    flat = config.flattened()
    values = [(key, flat[key]) for key in keys if key in flat]
    name = ""
    for letters in LETTERS:
        name = " ".join(shortened(key, value, letters) for key, value in values)
        if len(name) <= NAME_LENGTH:
            break
    return name[:LONGEST_NAME] or "run"


def shortened(key: str, value: Any, letters: int) -> str:
    """A value in few characters; a number that is no learning rate or seed has the name of its key before it.

    >>> shortened("init", "xavier_uniform", 3), shortened("model.bias", False, 3), shortened("seed", 3, 3)
    ('xav_uni', 'no bia', 's3')
    >>> shortened("optimizer.learning_rate", 1.0, 9), shortened("init.epsilon", 1e-9, 9), shortened("data.limit", 50, 3)
    ('1', 'epsilon 1e-09', 'lim 50')
    """
    name = key.rpartition(".")[2]
    if isinstance(value, str):
        return _cut(value.rpartition("/")[2], letters)
    if isinstance(value, bool):
        return _cut(name, letters) if value else f"no {_cut(name, letters)}"
    if isinstance(value, (list, tuple)):
        return "x".join(map(str, value)) or "none"
    text = f"{value:g}" if isinstance(value, float) else "null" if value is None else str(value)
    return {"seed": f"s{text}", "learning_rate": text}.get(name, f"{_cut(name, letters)} {text}")


def _cut(words: str, letters: int) -> str:
    return "_".join(word[:letters] for word in words.split("_"))
