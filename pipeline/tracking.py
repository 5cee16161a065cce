"""The only writer to MLflow: one parent run per sweep, one nested run per job, few calls each.

Where runs go is MLflow's own business (``MLFLOW_TRACKING_URI``). Without it that is ``sqlite:///mlflow.db`` with the
artifacts in ``./mlruns``, which a bare ``mlflow ui`` finds.
"""

import json
import logging
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from mlflow import MlflowClient, get_tracking_uri
from mlflow.data.numpy_dataset import from_numpy
from mlflow.entities import DatasetInput, Run
from mlflow.exceptions import MlflowException

from pipeline import names
from pipeline.config import Config, DataConfig
from pipeline.environment import environment_tags
from pipeline.errors import InputError
from pipeline.records import Record
from pipeline.stacking import dataset_of
from pipeline.sweep import Sweep
from pipeline.views import Child, shared_views, unlisted_views
from pipeline.writers import writer_for

log = logging.getLogger(__name__)

# Its progress bars would mix with what this project prints; local files need none.
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
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
            self._writer = writer_for(self._client, self._experiment_id)
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
        if (question := configs[0].question) is not None:
            tags |= {
                names.QUESTION_TAG: question.name,
                names.ASKS_TAG: question.asks,
                names.PREDICTS_TAG: question.predicts,
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

    def log(self, records: Sequence[Record], sweep: Sweep | None) -> list[str]:
        """Tracks runs and returns their ids; the curves of a sweep's runs also go into its folder."""
        run_ids = self._writer.write(records)
        if sweep is not None and records:
            sweep.save_curves({run_id: record.metrics for run_id, record in zip(run_ids, records, strict=True)})
        return run_ids

    def log_curves(self, sweep: Sweep) -> None:
        """Stores the curves of a whole sweep as one artifact: reading them run by run takes minutes."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / names.CURVES_FILE
            if sweep.collect_curves(path):
                self._client.log_artifact(sweep.parent, str(path))

    def describe_sweep(self, run_id: str, conclusion: str) -> None:
        """Puts the conclusion into the descriptions of the parent run and the experiment."""
        self._client.set_tag(run_id, names.NOTE_TAG, conclusion)
        self._client.set_experiment_tag(self._experiment_id, names.NOTE_TAG, conclusion)

    def share_views(self, parent: str, swept_keys: Sequence[str], ranked: Sequence[Run]) -> dict[str, str]:
        """Prepares the views of a sweep in the MLflow UI; view -> link. They are optional: a failure is a warning.

        Args:
            ranked: the finished runs of the sweep, best first.
        """
        children = [Child(run.data.params, run.data.metrics.keys()) for run in ranked]
        try:
            start = self._client.get_run(parent).info.start_time
            views = shared_views(parent, swept_keys, children, created_ms=start)
            known = self._client.get_experiment(self._experiment_id).tags
            for key, value in (views | unlisted_views(known | views)).items():
                self._client.set_experiment_tag(self._experiment_id, key, value)
        except Exception as error:  # Each store raises its own types.
            reason = (str(error) or type(error).__name__).splitlines()[0]
            log.warning(f"The views in the MLflow UI were not prepared: {reason}")
            return {}
        return names.view_links(self._experiment_id, parent, names.ui_address(get_tracking_uri()))

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


def _distinct_data(configs: Sequence[Config]) -> list[DataConfig]:
    return list({json.dumps(config.composed()["data"]): config.data for config in configs}.values())


def _dataset_input(config: DataConfig) -> DatasetInput:
    dataset = dataset_of(config)
    described = from_numpy(dataset.train_inputs, targets=dataset.train_labels, name=dataset.name, digest=dataset.digest)
    return DatasetInput(dataset=described._to_mlflow_entity(), tags=[])
