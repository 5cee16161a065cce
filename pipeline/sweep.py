"""What the jobs of one sweep know of each other: their parent run, their number, and the keys that vary.

The sweeper hands it to the jobs through an environment variable, so that it reaches them under any launcher, in this
process or in others.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline import names
from pipeline.config import Config

VARIABLE = "SYMMETRY_LAB_SWEEP"
NAME_LENGTH = 18


@dataclass(frozen=True)
class Sweep:
    """One multirun.

    Attributes:
        parent: run id of the parent run.
        jobs: how many jobs the sweep has.
        swept_keys: keys whose values differ between the jobs.
    """

    parent: str
    jobs: int
    swept_keys: tuple[str, ...]

    @contextmanager
    def announced(self) -> Iterator[None]:
        """Makes the sweep known to jobs that start within the context."""
        os.environ[VARIABLE] = json.dumps(asdict(self))
        try:
            yield
        finally:
            del os.environ[VARIABLE]


def current_sweep() -> Sweep | None:
    """The sweep that this process works for, or None for a run of its own."""
    text = os.environ.get(VARIABLE)
    if text is None:
        return None
    known = json.loads(text)
    return Sweep(known["parent"], known["jobs"], tuple(known["swept_keys"]))


def save_curves(folder: Path, run_id: str, curves: Mapping[str, Sequence[tuple[int, float]]]) -> None:
    """Leaves the curves of one job in its folder, where the sweeper collects them.

    Args:
        curves: metric key -> measured (step, value) pairs.
    """
    rows = [(run_id, metric, step, value) for metric, curve in curves.items() for step, value in curve]
    frame = pd.DataFrame(rows, columns=["run_id", "metric", "step", "value"])
    frame.to_parquet(folder / names.CURVES_FILE, index=False)


def collected_curves(folders: Iterable[Path]) -> pd.DataFrame:
    """The curves that the jobs left in their folders: columns ``run_id``, ``metric``, ``step``, ``value``."""
    files = [folder / names.CURVES_FILE for folder in folders]
    return pd.concat([pd.read_parquet(file) for file in files if file.exists()], ignore_index=True)


def varying_keys(jobs: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """The keys whose values differ between the jobs, in the order of the overrides.

    >>> varying_keys([["model=mlp", "seed=0"], ["model=mlp", "seed=1"]])
    ('seed',)
    """
    values: dict[str, set[str]] = {}
    for job in jobs:
        for override in job:
            key, _, value = override.partition("=")
            values.setdefault(key.lstrip("+~"), set()).add(value)
    return tuple(key for key, different in values.items() if len(different) > 1)


def run_name(config: Config, keys: Sequence[str]) -> str:
    """A name of at most 18 characters, which the MLflow UI shows whole, from the values of ``keys``.

    >>> shortened("seed", 3), shortened("init", "xavier_uniform"), shortened("optimizer.learning_rate", 0.01)
    ('s3', 'xav_uni', '.01')
    """
    flat = config.flattened()
    parts = [shortened(key, flat[key]) for key in keys if key in flat]
    return " ".join(parts)[:NAME_LENGTH].strip() or "run"


def shortened(key: str, value: Any) -> str:
    """A value in few characters: words cut to three letters a part, numbers without a leading zero."""
    if isinstance(value, str):
        return "_".join(part[:3] for part in value.split("_"))
    if isinstance(value, bool):
        return key.rpartition(".")[2] if value else f"no {key.rpartition('.')[2]}"
    if isinstance(value, (list, tuple)):
        return "x".join(str(item) for item in value)
    text = f"{value:g}".removeprefix("0") if isinstance(value, float) and value else str(value)
    return f"s{text}" if key == "seed" else text
