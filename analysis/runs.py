"""Tracked runs as tidy tables, read through MLflow's public API (local sqlite or a tracking server)."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from mlflow import MlflowClient, get_tracking_uri
from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from analysis.errors import ReportError
from pipeline import names

PAGE = 1000


def load_runs(experiment_name: str) -> pd.DataFrame:
    """The trained runs of an experiment, one row per run.

    Sweeps' parent runs are left out: they train nothing. Runs that repeat a fingerprint hold the same numbers, so
    only the newest finished one counts.

    Returns:
        Columns ``run_id``, ``status``, ``diverged`` (bool), ``fingerprint``, every param under its key (numbers,
        booleans and lists as such) and the last value of every metric under its key.

    Raises:
        ReportError: no such experiment, or it has no finished run.
    """
    _require_database()
    client = MlflowClient()
    try:
        experiment = client.get_experiment_by_name(experiment_name)
    except MlflowException as error:
        raise ReportError(f"cannot read the tracking store: {str(error).splitlines()[0]}") from None
    if experiment is None:
        existing = ", ".join(sorted(found.name for found in client.search_experiments())) or "none"
        raise ReportError(f"--experiment: no experiment {experiment_name!r} here; there are: {existing}")
    rows: list[dict[str, Any]] = []
    token = None
    while True:
        page = client.search_runs([experiment.experiment_id], max_results=PAGE, page_token=token)
        rows += [_row(run) for run in page if names.FINGERPRINT_TAG in run.data.tags]
        token = page.token
        if not token:
            break
    runs = pd.DataFrame(rows)
    if runs.empty or not (runs["status"] == "FINISHED").any():
        raise ReportError(
            f"--experiment: {experiment_name!r} has no finished run yet; train some with: python -m pipeline.run -m"
        )
    finished_first = runs.sort_values(["status", "start_time"], key=_finished_last, kind="stable")
    return finished_first.drop_duplicates("fingerprint", keep="last").reset_index(drop=True)


def _require_database() -> None:
    """Reading must not create an empty database, as MLflow would."""
    scheme, _, path = get_tracking_uri().partition(":///")
    if scheme == "sqlite" and not Path(path).exists():
        raise ReportError(
            f"no tracked runs here: {path} does not exist. Train some with: python -m pipeline.run -m"
            " (or change the folder, or set MLFLOW_TRACKING_URI)"
        )


def _finished_last(column: "pd.Series[Any]") -> "pd.Series[Any]":
    return column == "FINISHED" if column.name == "status" else column


def load_curves(runs: pd.DataFrame, metrics: Sequence[str]) -> pd.DataFrame:
    """The measured values of some metrics over the steps, one row per run, metric and step.

    Returns:
        Columns ``run_id``, ``metric``, ``step``, ``value``.
    """
    client = MlflowClient()
    rows = [
        (run_id, metric, point.step, point.value)
        for run_id in runs["run_id"]
        for metric in metrics
        for point in client.get_metric_history(run_id, metric)
    ]
    return pd.DataFrame(rows, columns=["run_id", "metric", "step", "value"])


def _row(run: Run) -> dict[str, Any]:
    tags = run.data.tags
    return {
        "run_id": run.info.run_id,
        "status": run.info.status,
        "start_time": run.info.start_time,
        "diverged": tags.get(names.DIVERGED_TAG) == "true",
        "fingerprint": tags[names.FINGERPRINT_TAG],
        **{key: _typed(text) for key, text in run.data.params.items()},
        **run.data.metrics,
    }


def _typed(text: str) -> Any:
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return tuple(value) if isinstance(value, list) else value
