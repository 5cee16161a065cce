"""The tracker, which alone writes to MLflow: one parent run per sweep, one nested run per job, few calls each.

Where runs go is MLflow's own business (``MLFLOW_TRACKING_URI``). Without it that is ``sqlite:///mlflow.db`` with the
artifacts in ``./mlruns``, which a bare ``mlflow ui`` finds.
"""

import json
import logging
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from mlflow import get_tracking_uri
from mlflow.entities import Metric

from pipeline import addresses, names
from pipeline.config.schema import Config
from pipeline.tracking.curves import merge_curves, remove_curves, save_curves
from pipeline.tracking.delivery import Delivery
from pipeline.tracking.records import Record
from pipeline.tracking.store.api_writer import dataset_inputs
from pipeline.tracking.store.cleanup import close_leftovers, close_unended, delete_repeated_runs, gather_statistics
from pipeline.tracking.store.opening import first_line, open_store, retry_once, translate_store_errors
from pipeline.tracking.store.queries import begun_sweep, finished_runs, runs_with
from pipeline.tracking.store.sql_writer import writer_for
from pipeline.tracking.sweeps import FinishedRun, Sweep, TrackedRun, TrackedSweep
from pipeline.tracking.tags import parent_tags
from pipeline.tracking.ui_views import Child, shared_views, unlisted_views
from pipeline.training.description import described_data

log = logging.getLogger(__name__)

MERGES = 3
"""Merge attempts: another process on the same sweep may overwrite our table with a shorter one, so check and repeat."""


class Tracker:
    """Writes runs into one MLflow experiment, which is created if it does not exist.

    Raises:
        InputError: the store does not answer, is of another MLflow, or the experiment is deleted.
    """

    def __init__(self, experiment_name: str) -> None:
        with open_store(experiment_name) as (self._client, self._experiment_id):
            self._writer = writer_for(self._client, self._experiment_id)
        self._delivery = Delivery(self._write)

    def begun_sweep(self, fingerprints: Sequence[str], *, rerun: bool) -> TrackedSweep | None:
        """The sweep that one with these jobs continues, if there is one."""
        with translate_store_errors():
            return begun_sweep(self._client, self._experiment_id, fingerprints, rerun=rerun)

    def deliver_waiting(self, begun: TrackedSweep) -> None:
        """Tracks what an earlier start of the sweep could not, because the store was gone.

        Raises:
            StoreLostError: the store does not take it now either.
        """
        folder = str(Path(begun.folder).absolute())
        self._delivery.drain_journal(Sweep(begun.run_id, len(begun.fingerprints), (), folder))

    def close_leftovers(self, begun: TrackedSweep | None = None) -> None:
        """Closes what processes that are gone have left open, except the sweep that goes on now, if there is one."""
        with translate_store_errors():
            closed = close_leftovers(self._client, self._experiment_id, begun.run_id if begun else None)
        if closed:
            log.info(f"{closed} runs of processes that are gone were still open, and are closed")

    def delete_repeated_runs(self, fingerprint: str | None = None) -> list[TrackedRun]:
        """Deletes what was tracked twice; returns the finished runs that stay, oldest first.

        Args:
            fingerprint: if given, only runs with this one are looked at.
        """
        with translate_store_errors():
            return delete_repeated_runs(self._client, self._experiment_id, fingerprint)

    def open_sweep(
        self,
        begun: TrackedSweep | None,
        fingerprints: Sequence[str],
        configs: Sequence[Config],
        swept_keys: Sequence[str],
        command: str,
        folder: str,
    ) -> str:
        """Begins a sweep or continues one; returns the id of its parent run, which is RUNNING then.

        Args:
            begun: the sweep to continue, or None.
            fingerprints: those of all its jobs, in the order of their numbers.
            folder: where Hydra keeps the sweep.
        """
        tags = parent_tags(configs, swept_keys, command, folder)
        with translate_store_errors():
            name = f"sweep of {len(fingerprints)}"
            if begun is None:
                parent = str(self._client.create_run(self._experiment_id, tags=tags, run_name=name).info.run_id)
                inputs = dataset_inputs(configs)
                retry_once(lambda: self._client.log_inputs(parent, inputs))
            else:
                parent = begun.run_id
                self._client.update_run(parent, status="RUNNING", name=name)
                for key, value in tags.items():
                    self._client.set_tag(parent, key, value)
            if begun is None or begun.fingerprints != tuple(fingerprints):
                self._client.log_text(parent, json.dumps({"fingerprints": list(fingerprints)}), names.JOBS_FILE)
                self._client.log_text(parent, json.dumps(described_data(configs)), names.DATA_FILE)
            # Only this tag makes it a sweep: one that is killed before it has told its jobs is none.
            self._client.set_tag(parent, names.SWEEP_TAG, str(len(fingerprints)))
            if begun is not None:  # Until it was longer, the driver of the shorter one could still end it.
                self._client.update_run(parent, status="RUNNING")
        return parent

    @contextmanager
    def closing_sweep(self, sweep: Sweep) -> Iterator[None]:
        """Closes the parent run in the end: FINISHED, FAILED after an error, KILLED after Ctrl-C or SIGTERM.

        A sweep that another driver has extended meanwhile is left to that one.

        Raises:
            StoreLostError: the store does not take it as FINISHED; the next start does so.
        """
        try:
            yield
            self._delivery.retry_until_deadline(lambda: self._end(sweep, "FINISHED"))
        except BaseException as error:
            self._end_unfinished(sweep, "KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED")
            raise

    def _end_unfinished(self, sweep: Sweep, status: str) -> None:
        try:
            self._end(sweep, status)
        except Exception as error:  # Whatever the store raises must not hide why the sweep ends.
            log.warning(f"The sweep's run {sweep.parent} is not closed as {status}: {first_line(error)}")

    def _end(self, sweep: Sweep, status: str) -> None:
        if self._client.get_run(sweep.parent).data.tags[names.SWEEP_TAG] == str(sweep.jobs):
            self._writer.end(sweep.parent, status)

    def log(self, records: Sequence[Record], sweep: Sweep | None) -> list[str] | None:
        """Tracks runs and returns their ids, or None where the store takes none now: then they wait on disk.

        Raises:
            StoreLostError: the store takes none, and no sweep's folder is there to keep them.
        """
        return self._delivery.write_or_journal(records, sweep)

    def _write(self, records: Sequence[Record], sweep: Sweep | None) -> list[str]:
        run_ids = self._writer.write(records)
        if sweep is not None and records:
            metrics = {run_id: record.metrics for run_id, record in zip(run_ids, records, strict=True)}
            try:
                save_curves(sweep, metrics)
            except OSError as error:
                # The store has them too, from where they are read at the end, though slower.
                log.debug(f"curves not saved: {error}")
        return run_ids

    def finish_sweep(self, sweep: Sweep) -> None:
        """Drains the journal, deletes what two processes tracked at once, uploads all curves as one artifact.

        Reading curves run by run takes minutes, so the report reads the artifact.

        Raises:
            StoreLostError: results still wait on disk, or the store does not answer.
        """
        self._delivery.drain_journal(sweep)
        # Each step finds done what it has done before.
        self._delivery.retry_until_deadline(lambda: self._complete(sweep))
        remove_curves(sweep)

    def _complete(self, sweep: Sweep) -> None:
        close_unended(self._client, self._experiment_id, sweep.parent)
        kept = delete_repeated_runs(self._client, self._experiment_id)
        finished = [run for run in kept if run.parent == sweep.parent]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / names.CURVES_FILE
            for _ in range(MERGES):
                if not merge_curves(self._client, sweep, [run.run_id for run in finished], path):
                    break
                self._client.log_artifact(sweep.parent, str(path))
                finished = finished_runs(self._client, self._experiment_id, parent=sweep.parent)
        gather_statistics(self._client)

    def describe_sweep(self, run_id: str, conclusion: str, table: str, numbers: Mapping[str, float]) -> None:
        """Puts the conclusion into the descriptions of the parent run and the experiment, the rest to the parent run.

        Args:
            table: of all groups.
            numbers: metric -> value.

        Raises:
            StoreLostError: the store does not answer.
        """
        note = addresses.linked_note(conclusion, self._experiment_id, run_id)
        own_note, now = f"{note}\n\n```\n{table}\n```", int(time.time() * 1000)
        metrics = [Metric(key, value, now, 0) for key, value in numbers.items()]
        self._delivery.retry_until_deadline(lambda: self._client.log_batch(run_id, metrics))
        self._delivery.retry_until_deadline(lambda: self._client.set_tag(run_id, names.NOTE_TAG, own_note))
        self._delivery.retry_until_deadline(lambda: self._tag_experiment(names.NOTE_TAG, note))

    def share_views(self, parent: str, swept_keys: Sequence[str], ranked: Sequence[FinishedRun]) -> dict[str, str]:
        """Prepares the views of a sweep in the MLflow UI; view -> link.

        They are optional: a failure is a warning, and leaves the link to all runs of the experiment.

        Args:
            ranked: the finished runs of the sweep, best first.
        """
        children = [Child(run.params, run.metrics.keys(), run.parent == parent) for run in ranked]
        address = addresses.ui_address(get_tracking_uri())
        try:
            start = self._client.get_run(parent).info.start_time
            views = shared_views(parent, swept_keys, children, created_ms=start)
            known = self._client.get_experiment(self._experiment_id).tags
            for key, value in (views | unlisted_views(known | views)).items():
                self._tag_experiment(key, value)
        except Exception as error:  # Each store raises its own types.
            reason = first_line(error)
            log.warning(f"The views in the MLflow UI are missing ({reason}); the sweep's next start prepares them")
            return {names.RUNS_VIEW: f"{address}/#/experiments/{self._experiment_id}/runs"}
        return addresses.view_links(self._experiment_id, parent, address)

    def _tag_experiment(self, key: str, value: str) -> None:
        retry_once(lambda: self._client.set_experiment_tag(self._experiment_id, key, value))

    def runs_with(
        self, fingerprints: Sequence[str], params: Collection[str], metrics: Collection[str]
    ) -> list[FinishedRun]:
        """The finished runs with these fingerprints, whichever sweep they belong to.

        Args:
            params: the keys of those that matter.
            metrics: the keys of those that matter.
        """
        return self._delivery.retry_until_deadline(
            lambda: runs_with(self._client, self._experiment_id, fingerprints, params, metrics)
        )
