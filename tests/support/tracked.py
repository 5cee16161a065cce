"""Small tables of tracked runs for tests of the analysis, without a tracking store."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from analysis.errors import ReportError
from analysis.tracked.store import CURVE_COLUMNS
from analysis.tracked.tables import Tables, Weights
from pipeline import names
from pipeline.training.stack import dataset_of, train_stack
from tests.support.configurations import configuration

STEPS = 30
DIVERGING = {
    "init": "normal",
    "optimizer.learning_rate": 1e6,
    "training.loss": "squared_error",
    "model.activation": "relu",
}
"""Settings with which a run on digits does not stay finite for ``STEPS`` steps."""


def trained_tables(overrides: Iterable[dict[str, object]]) -> Tables:
    """Tables of really trained runs, in the form that ``analysis.tracked.load.load_tables`` gives."""
    rows, curves, weights, recorded = [], [], {}, {}
    for number, changes in enumerate(overrides):
        base = {"data.limit": 200, "training.steps": STEPS, "training.measure_at": 6, "training.batch_size": 32}
        config = configuration(base | changes)
        (result,) = train_stack([config])
        run_id = f"run{number:03d}"
        rows.append(
            {
                "run_id": run_id,
                "name": run_id,
                "start_time": number,
                "parent": "parent",
                "fingerprint": f"{number:032x}",
                "diverged": result.diverged_at is not None,
                "diverged_step": result.diverged_at,
                "optimum": result.optimum,
                "environment": {"version.numpy": np.__version__},
                "commit": "0" * 40,
                **config.flattened(),
                names.DATA_DIGEST_PARAM: dataset_of(config.data).digest,
                **result.last,
            }
        )
        curves += [(run_id, metric, step, value) for metric, curve in result.curves.items() for step, value in curve]
        weights[run_id] = arrays_of(result)
        if result.recording:
            recorded[run_id] = result.recording.arrays(result.architecture)
    return Tables(
        "tests", pd.DataFrame(rows), pd.DataFrame(curves, columns=CURVE_COLUMNS), weights.__getitem__,
        experiment_id="1", parent="parent", recorded=recorded.__getitem__,
    )  # fmt: skip


def arrays_of(result: object) -> Weights:
    """The arrays of ``weights.npz`` for one result."""
    from pipeline.tracking.records import named_weights

    return named_weights(result)  # type: ignore[arg-type]


def default_grid(seeds: int = 2) -> list[dict[str, object]]:
    """A small version of the default sweep: two models, four starts, two learning rates."""
    return [
        {"model": model, "init": init, "seed": seed, "optimizer.learning_rate": rate}
        for model in ("logistic", "mlp")
        for init in ("zeros", "constant", "normal", "he_normal")
        for rate in (0.1, 1.0)
        for seed in range(seeds)
    ]


def with_value(tables: Tables, run_id: str, metric: str, step: int, value: float) -> Tables:
    """The same tables with one measured number replaced: a doctored run."""
    curves = tables.curves.copy()
    place = (curves["run_id"] == run_id) & (curves["metric"] == metric) & (curves["step"] == step)
    assert place.sum() == 1
    curves.loc[place, "value"] = value
    return replace(tables, curves=curves)


def with_entries(tables: Tables, run_id: str, changes: Mapping[str, Any]) -> Tables:
    """The same tables with other entries in the row of one run: a doctored run."""
    runs = tables.runs.copy()
    for column, value in changes.items():
        assert column in runs
        runs.loc[runs["run_id"] == run_id, column] = value
    return replace(tables, runs=runs)


def with_twins(tables: Tables, changes: Mapping[str, Any]) -> Tables:
    """The same tables with every run once more, under another id and with other entries in its row."""
    runs = tables.runs.assign(run_id="twin of " + tables.runs["run_id"])
    for column, value in changes.items():
        assert column in runs
        runs[column] = [value] * len(runs)
    curves = tables.curves.assign(run_id="twin of " + tables.curves["run_id"])
    return replace(tables, runs=pd.concat([tables.runs, runs], ignore_index=True),
                   curves=pd.concat([tables.curves, curves], ignore_index=True),
                   weights=lambda run_id: tables.weights(run_id.removeprefix("twin of ")))  # fmt: skip


def without_weights(tables: Tables, *run_ids: str) -> Tables:
    """The same tables with some runs whose weights cannot be read."""

    def weights(run_id: str) -> Weights:
        if run_id in run_ids:
            raise ReportError(f"cannot read {names.WEIGHTS_FILE} of run {run_id}: gone")
        return tables.weights(run_id)

    return replace(tables, weights=weights)


def made_up_tables(runs: Iterable[tuple[Mapping[str, Any], Mapping[str, Mapping[int, float]]]]) -> Tables:
    """Tables of runs that nobody trained: for each its changes of the configuration, and its curves.

    Args:
        runs: overrides as in ``configuration``, and metric key -> step -> value.
    """
    rows, curves = [], []
    for number, (changes, measured) in enumerate(runs):
        run_id = f"run{number:03d}"
        last = {metric: curve[max(curve)] for metric, curve in measured.items()}
        identity = {"run_id": run_id, "name": run_id, "start_time": number, "parent": "parent"}
        fate = {"diverged": False, "diverged_step": None, "optimum": None, "environment": {}, "commit": "0" * 40}
        rows.append(identity | fate | {"fingerprint": f"{number:032x}"} | configuration(changes).flattened() | last)
        curves += [(run_id, metric, step, value) for metric, curve in measured.items() for step, value in curve.items()]
    return Tables(
        "tests", pd.DataFrame(rows), pd.DataFrame(curves, columns=CURVE_COLUMNS), {}.__getitem__, parent="parent"
    )
