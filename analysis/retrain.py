"""Somebody's numbers, verified: tracked runs are trained anew from their tracked configuration, and every bit compared.

This is the one room of the analysis that trains: it takes the trainer itself from the pipeline.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import yaml
from mlflow import MlflowClient
from mlflow.entities import Run
from threadpoolctl import threadpool_limits

from analysis.errors import ReportError
from analysis.tracked.artifacts import artifacts_of, weights_in
from analysis.tracked.store import all_runs, experiment_named, history_of, open_store
from pipeline import names
from pipeline.config.parse import parse_config
from pipeline.errors import InputError
from pipeline.tracking.records import named_weights
from pipeline.training.checks import check_against_data
from pipeline.training.fingerprint import fingerprint
from pipeline.training.stack import train_stack

HERE = {"executor": {"_target_": "pipeline.executors.inline.InlineExecutor"}, "plan": False}
"""What a tracked configuration leaves out: where it is trained."""
SEED = 0


def retrained(experiment_name: str, number: int, *, tracking_uri: str | None = None) -> tuple[int, list[str]]:
    """How many finished runs were trained anew, and in what they differ from what is tracked, a line each.

    Args:
        number: how many at the most; always the same ones are drawn.
        tracking_uri: the store; None for the one that MLflow is set to.

    Raises:
        ReportError: no such experiment, or a store that does not answer.
    """
    with open_store(tracking_uri, experiment_name) as client:
        runs = all_runs(client, experiment_named(client, experiment_name).experiment_id)
        finished = {run.data.tags[names.FINGERPRINT_TAG]: run for run in runs if _is_finished(run)}
        drawn = sorted(Random(SEED).sample(sorted(finished), min(number, len(finished))))  # noqa: S311
        return len(drawn), [line for key in drawn for line in _differences(client, finished[key])]


def _is_finished(run: Run) -> bool:
    return names.FINGERPRINT_TAG in run.data.tags and run.info.status == "FINISHED"


def _differences(client: MlflowClient, run: Run) -> Iterator[str]:
    called = f"{run.info.run_name!r} (run {run.info.run_id})"
    try:
        with artifacts_of(client, run) as folder:
            composed = yaml.safe_load((folder / names.CONFIG_FILE).read_text(encoding="utf-8"))
            weights = weights_in(folder / names.WEIGHTS_FILE, run.info.run_id)
            if (folder / names.RECORDED_FILE).exists():
                weights |= weights_in(folder / names.RECORDED_FILE, run.info.run_id)
        config = parse_config(_with_data_here(composed) | HERE)
        check_against_data(config)
        with threadpool_limits(limits=1, user_api="blas"):  # As every executor does; plain products depend on it.
            (result,) = train_stack([config])
    except (ReportError, InputError, OSError, TypeError, yaml.YAMLError) as error:
        yield f"{called}: cannot be trained anew: {str(error).splitlines()[0]}"
        return
    tracked_fingerprint = run.data.tags[names.FINGERPRINT_TAG]
    if fingerprint(config) != tracked_fingerprint:
        # Not the same job: other data under the same name, or code that computes in another way.
        yield f"{called}: fingerprint: tracked {tracked_fingerprint}, trained anew {fingerprint(config)}"
    history = history_of(client, run.info.run_id, sorted(run.data.metrics))
    rows = zip(history["metric"], history["step"], history["value"], strict=True)
    tracked = {(metric, step): value for metric, step, value in rows}
    anew = {(metric, step): value for metric, curve in result.curves.items() for step, value in curve}
    for metric, step, one, other in _unequal(tracked, anew):
        yield f"{called}: {metric} at step {step}: tracked {one}, trained anew {other}"
    recorded = result.recording.arrays(result.architecture) if result.recording else {}
    for name, array in (named_weights(result) | recorded).items():
        held = weights.get(name)
        if held is None or held.shape != array.shape:
            yield f"{called}: {name}: tracked {None if held is None else held.shape}, trained anew {array.shape}"
            continue
        places = np.argwhere(~((held == array) | (np.isnan(held) & np.isnan(array))))
        for place in map(tuple, places[:1]):
            where = ", ".join(map(str, place))
            values = f"tracked {float(held[place])!r}, trained anew {float(array[place])!r}"
            yield f"{called}: {name}[{where}]: {values} ({len(places)} of {array.size} elements differ)"


def _with_data_here(composed: dict[str, Any]) -> dict[str, Any]:
    """The configuration with the user's data from this folder, where the tracked path leads nowhere on this machine."""
    data = composed.get("data")
    path = Path(data["path"]).expanduser() if isinstance(data, dict) and "path" in data else None
    if path is None or path.exists() or not Path(path.name).exists():
        return composed
    return composed | {"data": {**composed["data"], "path": path.name}}


def _unequal(
    tracked: Mapping[tuple[str, int], float], anew: Mapping[tuple[str, int], float]
) -> Iterator[tuple[str, int, str, str]]:
    """Metric, step and both values where they are not the same; stores keep no sign of a zero, so none counts."""
    for key in sorted(tracked.keys() | anew.keys()):
        one, other = tracked.get(key), anew.get(key)
        if one != other and not (one is not None and other is not None and np.isnan(one) and np.isnan(other)):
            yield *key, repr(one), repr(other)
