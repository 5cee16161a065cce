"""The only writer to MLflow: one parent run per sweep, one nested run per job, few calls each.

Where runs go is MLflow's own business (``MLFLOW_TRACKING_URI``). Without it that is ``sqlite:///mlflow.db`` with the
artifacts in ``./mlruns``, which a bare ``mlflow ui`` finds.
"""

import json
import logging
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from mlflow import MlflowClient, get_tracking_uri
from mlflow.data.numpy_dataset import from_numpy
from mlflow.entities import DatasetInput, Metric, Param, Run
from mlflow.exceptions import MlflowException

from pipeline import names
from pipeline.arithmetic import Array
from pipeline.config import Config, DataConfig
from pipeline.environment import environment_tags
from pipeline.errors import InputError
from pipeline.network import Architecture
from pipeline.stacking import RunResult, dataset_of, fingerprint

METRICS_PER_CALL = 1000
TAG_LENGTH = 5000

# A new database logs a line per table and migration, which says nothing to the user.
for noisy in ("alembic", "mlflow.store.db.utils"):
    logging.getLogger(noisy).setLevel(logging.WARNING)


class Tracker:
    """Writes runs into one MLflow experiment, which is created if it does not exist.

    Raises:
        InputError: the store does not answer, or the experiment is deleted.
    """

    def __init__(self, experiment_name: str) -> None:
        try:
            self._client = MlflowClient()
            self._experiment_id = self._existing_or_created(experiment_name)
        except InputError:
            raise
        except Exception as error:  # MLflow lets errors of its many stores through, each of its own type.
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise InputError(f"MLFLOW_TRACKING_URI: cannot track to {get_tracking_uri()}: {reason}") from None

    def _existing_or_created(self, experiment_name: str) -> str:
        experiment = self._client.get_experiment_by_name(experiment_name)
        if experiment is None:
            try:
                return str(self._client.create_experiment(experiment_name))
            except MlflowException:
                # Another process may have created it in between.
                experiment = self._client.get_experiment_by_name(experiment_name)
                if experiment is None:
                    raise
        if experiment.lifecycle_stage == "deleted":
            raise InputError(
                f"experiment_name: {experiment_name!r} is deleted; choose another or restore it with"
                f" mlflow experiments restore --experiment-id {experiment.experiment_id}"
            )
        return str(experiment.experiment_id)

    @contextmanager
    def sweep(self, configs: Sequence[Config], swept_keys: Sequence[str], command: str) -> Iterator[str]:
        """The parent run of a sweep, by its id; closed as FINISHED, FAILED after an error, KILLED after Ctrl-C."""
        sources = sorted({config.data.name for config in configs})
        note = f"{len(configs)} runs over {', '.join(swept_keys) or 'nothing'}, on {', '.join(sources)}."
        tags = environment_tags() | {
            names.SWEEP_TAG: str(len(configs)),
            names.COMMAND_TAG: command,
            names.NOTE_TAG: note,
        }
        name = f"sweep of {len(configs)}"
        run_id = str(self._client.create_run(self._experiment_id, tags=tags, run_name=name).info.run_id)
        status = "FAILED"
        try:
            self._client.log_inputs(run_id, [_dataset_input(config) for config in _distinct_data(configs)])
            yield run_id
            status = "FINISHED"
        except KeyboardInterrupt:
            status = "KILLED"
            raise
        finally:
            self._client.set_terminated(run_id, status)

    def log_curves(self, run_id: str, curves: pd.DataFrame) -> None:
        """Stores the curves of a whole sweep as one artifact: reading them run by run takes minutes."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / names.CURVES_FILE
            curves.to_parquet(path, index=False)
            self._client.log_artifact(run_id, str(path))

    def describe_sweep(self, run_id: str, conclusion: str) -> None:
        """Puts the conclusion into the descriptions of the parent run and the experiment."""
        self._client.set_tag(run_id, names.NOTE_TAG, conclusion)
        self._client.set_experiment_tag(self._experiment_id, names.NOTE_TAG, conclusion)

    def runs_of(self, parent: str) -> list[Run]:
        """All runs of a sweep."""
        filter_string = f"tags.`{names.PARENT_TAG}` = '{parent}'"
        runs: list[Run] = []
        token = None
        while True:
            page = self._client.search_runs([self._experiment_id], filter_string, max_results=1000, page_token=token)
            runs += page
            token = page.token
            if not token:
                return runs

    def log_result(self, config: Config, result: RunResult, name: str, parent: str | None, start_time: float) -> str:
        """Tracks a trained run, diverged or not, and returns its id.

        Args:
            parent: the run id of the sweep, or None for a run of its own.
            start_time: seconds since the epoch.
        """
        tags = {names.DIVERGED_TAG: str(result.diverged_at is not None).lower()}
        if result.diverged_at is not None:
            tags[names.DIVERGED_STEP_TAG] = str(result.diverged_at)
        if result.optimum is not None:
            tags[names.OPTIMUM_TAG] = result.optimum
        with self._run(config, name, parent, start_time, tags) as (run_id, folder):
            timestamp = int(time.time() * 1000)
            # int and float: a NumPy integer as step or timestamp is stored as bytes and breaks the experiment.
            metrics = [
                Metric(key, float(value), timestamp, int(step))
                for key, curve in result.curves.items()
                for step, value in curve
            ]
            for start in range(0, len(metrics), METRICS_PER_CALL):
                self._client.log_batch(run_id, metrics=metrics[start : start + METRICS_PER_CALL])
            np.savez(folder / names.WEIGHTS_FILE, allow_pickle=False, **_named_weights(result))
        return run_id

    def log_failure(self, config: Config, error: Exception, name: str, parent: str | None, start_time: float) -> str:
        """Tracks a run that raised as FAILED, with its traceback, and returns its id."""
        tags = {names.ERROR_TAG: f"{type(error).__name__}: {error}"[:TAG_LENGTH]}
        with self._run(config, name, parent, start_time, tags, status="FAILED") as (run_id, folder):
            (folder / names.TRACEBACK_FILE).write_text("".join(traceback.format_exception(error)), encoding="utf-8")
        return run_id

    @contextmanager
    def _run(
        self,
        config: Config,
        name: str,
        parent: str | None,
        start_time: float,
        tags: dict[str, str],
        status: str = "FINISHED",
    ) -> Iterator[tuple[str, Path]]:
        """A new run with its params and tags, and a folder whose files become its artifacts; closed at the end.

        The status is written last, so a run counts as finished only when everything else is in place.
        """
        dataset = dataset_of(config.data)
        all_tags = environment_tags() | tags | {names.FINGERPRINT_TAG: fingerprint(config)}
        if parent is not None:
            all_tags = all_tags | {names.PARENT_TAG: parent}
        run = self._client.create_run(
            self._experiment_id, start_time=int(start_time * 1000), tags=all_tags, run_name=name
        )
        run_id = str(run.info.run_id)
        params = config.flattened() | {names.DATA_DIGEST_PARAM: dataset.digest}
        self._client.log_batch(run_id, params=[Param(key, _param_text(value)) for key, value in params.items()])
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            composed = yaml.safe_dump(json.loads(json.dumps(config.composed())), sort_keys=False)
            (folder / names.CONFIG_FILE).write_text(composed, encoding="utf-8")
            yield run_id, folder
            self._client.log_artifacts(run_id, str(folder))
        self._client.set_terminated(run_id, status)


def _distinct_data(configs: Sequence[Config]) -> list[DataConfig]:
    return list({json.dumps(config.composed()["data"]): config.data for config in configs}.values())


def _dataset_input(config: DataConfig) -> DatasetInput:
    dataset = dataset_of(config)
    described = from_numpy(dataset.train_inputs, targets=dataset.train_labels, name=dataset.name, digest=dataset.digest)
    return DatasetInput(dataset=described._to_mlflow_entity(), tags=[])


def _param_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _named_weights(result: RunResult) -> dict[str, Array]:
    """Initial and final weights (fan_in, fan_out) and biases (fan_out,) of every layer, counted from 1."""
    named: dict[str, Array] = {}
    for moment, parameters in (("initial", result.initial), ("final", result.final)):
        named |= _layer_arrays(moment, result.architecture, parameters[None])
    return named


def _layer_arrays(moment: str, architecture: Architecture, parameters: Array) -> dict[str, Array]:
    weights = {f"{moment}_weights{layer}": w[0] for layer, w in enumerate(architecture.weights(parameters), start=1)}
    biases = {f"{moment}_biases{layer}": b[0] for layer, b in enumerate(architecture.biases(parameters), start=1)}
    return weights | biases
