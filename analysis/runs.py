"""Tracked runs as tidy tables, read through MLflow's public API (local sqlite or a tracking server)."""

import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mlflow import MlflowClient, get_tracking_uri
from mlflow.entities import Experiment, Run
from mlflow.exceptions import MlflowException

from analysis.errors import ReportError
from analysis.tables import Question, Tables, Weights
from pipeline import names

# Its progress bars would mix with what this project prints; local files need none.
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

PAGE = 1000
CURVE_COLUMNS = ["run_id", "metric", "step", "value"]
NEXT_STEP = "train some with: python -m pipeline.run -m"


def load_tables(experiment_name: str) -> Tables:
    """The finished runs of an experiment, from all its sweeps and single runs.

    Runs that repeat a fingerprint hold the same numbers, so only the newest counts. Whatever is missing (failed or
    running runs, interrupted sweeps, unreadable artifacts) becomes a note.

    Raises:
        ReportError: no such experiment, no finished run, or a store that does not answer.
    """
    _require_database()
    try:
        client = MlflowClient()
        experiment = _experiment(client, experiment_name)
        tracked = list(_all_runs(client, experiment))
    except MlflowException as error:
        reason = str(error).splitlines()[0]
        raise ReportError(f"MLFLOW_TRACKING_URI: cannot read {get_tracking_uri()}: {reason}") from None
    parents = [run for run in tracked if names.SWEEP_TAG in run.data.tags]
    trained = [run for run in tracked if names.FINGERPRINT_TAG in run.data.tags]
    rows = pd.DataFrame([_row(run) for run in trained if run.info.status == "FINISHED"])
    if rows.empty:
        raise ReportError(f"--experiment: {experiment_name!r} has no finished run yet; {NEXT_STEP}")
    runs = rows.sort_values(["start_time", "run_id"]).drop_duplicates("fingerprint", keep="last")
    runs = runs.reset_index(drop=True)
    notes = [*_unfinished_notes(parents, trained)]
    curves = _load_curves(client, parents, runs, notes)
    by_age = sorted(parents, key=lambda run: (run.info.start_time, run.info.run_id))
    newest = str(by_age[-1].info.run_id) if by_age else None
    return Tables(
        experiment_name=experiment_name,
        experiment_id=str(experiment.experiment_id),
        runs=runs,
        curves=curves,
        weights=lambda run_id: _load_weights(client, run_id),
        parent=newest,
        question=_question(by_age),
        commands=[run.data.tags[names.COMMAND_TAG] for run in by_age if names.COMMAND_TAG in run.data.tags],
        ui_address=names.ui_address(get_tracking_uri()),
        views=_views(experiment, newest),
        notes=notes,
    )


def _question(parents: list[Run]) -> Question | None:
    """That of the newest sweep that has one; sweeps without one may add runs to it."""
    for tags in (parent.data.tags for parent in reversed(parents)):
        if names.QUESTION_TAG in tags:
            return Question(*(tags[key] for key in (names.QUESTION_TAG, names.ASKS_TAG, names.PREDICTS_TAG)))
    return None


def _views(experiment: Experiment, parent: str | None) -> dict[str, str]:
    """Label -> link of those views that the sweep has prepared."""
    if parent is None:
        return {}
    links = names.view_links(str(experiment.experiment_id), parent, names.ui_address(get_tracking_uri()))
    return {
        f"{view} of the newest sweep": link
        for view, link in links.items()
        if names.view_tag(parent, view) in experiment.tags
    }


def _require_database() -> None:
    """Reading must not create an empty database, as MLflow would."""
    scheme, _, path = get_tracking_uri().partition(":///")
    if scheme == "sqlite" and not Path(path).exists():
        raise ReportError(
            f"no tracked runs here: {path} does not exist; {NEXT_STEP} (or change the folder, or set"
            " MLFLOW_TRACKING_URI)"
        )


def _experiment(client: MlflowClient, experiment_name: str) -> Experiment:
    experiment = client.get_experiment_by_name(experiment_name)
    if experiment is None:
        existing = ", ".join(sorted(found.name for found in client.search_experiments())) or "none"
        raise ReportError(f"--experiment: no experiment {experiment_name!r} here; there are: {existing}")
    return experiment


def _all_runs(client: MlflowClient, experiment: Experiment) -> Iterator[Run]:
    token = None
    while True:
        page = client.search_runs([experiment.experiment_id], max_results=PAGE, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _row(run: Run) -> dict[str, Any]:
    tags = run.data.tags
    diverged_step = tags.get(names.DIVERGED_STEP_TAG)
    return {
        "run_id": run.info.run_id,
        "name": run.info.run_name,
        "start_time": run.info.start_time,
        "parent": tags.get(names.PARENT_TAG),
        "fingerprint": tags[names.FINGERPRINT_TAG],
        "diverged": tags.get(names.DIVERGED_TAG) == "true",
        "diverged_step": None if diverged_step is None else int(diverged_step),
        "optimum": tags.get(names.OPTIMUM_TAG),
        "environment": {key: value for key, value in tags.items() if key.startswith(("version.", "machine."))},
        "commit": tags.get("mlflow.source.git.commit", "") + ("*" if tags.get("git.modified") == "true" else ""),
        **{key: _typed(text) for key, text in run.data.params.items()},
        **run.data.metrics,
    }


def _typed(text: str) -> Any:
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return tuple(value) if isinstance(value, list) else value


def _unfinished_notes(parents: list[Run], trained: list[Run]) -> Iterator[str]:
    for status in ("FAILED", "KILLED", "RUNNING"):
        runs = [run for run in trained if run.info.status == status]
        if runs:
            examples = ", ".join(sorted(run.info.run_name for run in runs)[:3])
            verb = {"FAILED": "failed", "KILLED": "were killed", "RUNNING": "have not ended"}[status]
            cause = next((run.data.tags[names.ERROR_TAG] for run in runs if names.ERROR_TAG in run.data.tags), "")
            yield f"{len(runs)} runs {verb} and are left out ({examples}{', ...' if len(runs) > 3 else ''})" + (
                f"; the first cause: {cause}" if cause else ""
            )
    tracked = pd.Series([run.data.tags.get(names.PARENT_TAG) for run in trained if run.info.status == "FINISHED"])
    for parent in parents:
        expected, found = int(parent.data.tags[names.SWEEP_TAG]), int((tracked == parent.info.run_id).sum())
        if found < expected:
            yield (
                f"The sweep {parent.info.run_name!r} is {parent.info.status} with {found} of {expected} runs finished:"
                " this report is partial"
            )


def _load_curves(client: MlflowClient, parents: list[Run], runs: pd.DataFrame, notes: list[str]) -> pd.DataFrame:
    """Curves from the sweeps' artifacts; those of runs without one are read one by one, which is slow."""
    parts = []
    for parent in parents:
        try:
            parts.append(_curves_artifact(client, parent.info.run_id))
        except Exception as error:  # Missing, truncated, not Parquet, a server's refusal: all mean the slow way.
            reason = (str(error) or type(error).__name__).splitlines()[0]
            notes.append(
                f"The curves of the sweep {parent.info.run_name!r} were read run by run, because its artifact"
                f" {names.CURVES_FILE} cannot be read ({reason[:120]})"
            )
    covered = {str(run_id) for part in parts for run_id in part["run_id"].unique()}
    metrics = [str(column) for column in runs if "/" in str(column)]
    histories = [
        (run_id, metric, point.step, point.value)
        for run_id in runs["run_id"]
        if run_id not in covered
        for metric in metrics
        for point in client.get_metric_history(run_id, metric)
    ]
    if histories:
        parts.append(pd.DataFrame(histories, columns=CURVE_COLUMNS))
    curves = pd.concat(parts)
    return curves[curves["run_id"].isin(runs["run_id"])].sort_values(CURVE_COLUMNS[:3], ignore_index=True)


def _curves_artifact(client: MlflowClient, run_id: str) -> pd.DataFrame:
    with tempfile.TemporaryDirectory() as folder:
        path = client.download_artifacts(run_id, names.CURVES_FILE, folder)
        return pd.read_parquet(path)[CURVE_COLUMNS]


def _load_weights(client: MlflowClient, run_id: str) -> Weights:
    """Initial and final weights of one run.

    Raises:
        ReportError: the artifact is missing or broken.
    """
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = client.download_artifacts(run_id, names.WEIGHTS_FILE, folder)
            with np.load(path, allow_pickle=False) as arrays:
                return dict(arrays)
    except Exception as error:  # As above: any failure means that the weights cannot be shown.
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ReportError(f"cannot read {names.WEIGHTS_FILE} of run {run_id}: {reason[:200]}") from None
