"""Puts records into MLflow by its public interface, for any tracking store: few calls a run."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from mlflow import MlflowClient
from mlflow.entities import Metric, Param

from pipeline.files_written import write_whole
from pipeline.records import Record

ENTITIES_PER_CALL = 1000


class Writer(Protocol):
    """Puts records into the tracking store."""

    def write(self, records: Sequence[Record]) -> list[str]:
        """Writes the records, each as a whole or not at all as a finished run, and returns their run ids.

        A store that can be asked in the same transaction is not given a run that another process has finished since
        this writer was made: its id is returned instead. A run that is trained again on purpose is written anyway.
        """
        ...

    def end(self, run_id: str, status: str) -> None:
        """Closes a run, now."""
        ...


class PublicCalls:
    """At least four calls a run: create, log params and metrics, upload the artifacts, close."""

    def __init__(self, client: MlflowClient, experiment_id: str) -> None:
        self._client = client
        self._experiment_id = experiment_id
        self._half_written: str | None = None
        self._written: dict[tuple[str, int], str] = {}

    def write(self, records: Sequence[Record]) -> list[str]:
        # A call that broke off is repeated with the same records: what it had written then is not written twice.
        if self._half_written is not None:
            self._client.delete_run(self._half_written)
            self._half_written = None
        for record in records:
            if _moment(record) not in self._written:
                self._written[_moment(record)] = self._write(record)
        run_ids = [self._written[_moment(record)] for record in records]
        self._written.clear()
        return run_ids

    def end(self, run_id: str, status: str) -> None:
        self._client.set_terminated(run_id, status)

    def _write(self, record: Record) -> str:
        run = self._client.create_run(
            self._experiment_id, start_time=record.start_time, tags=record.tags, run_name=record.name
        )
        run_id = self._half_written = str(run.info.run_id)
        params = [Param(key, value) for key, value in record.params.items()]
        metrics = [Metric(key, value, record.end_time, step) for key, value, step in record.metrics]
        first = ENTITIES_PER_CALL - len(params)
        self._client.log_batch(run_id, params=params, metrics=metrics[:first])
        for start in range(first, len(metrics), ENTITIES_PER_CALL):
            self._client.log_batch(run_id, metrics=metrics[start : start + ENTITIES_PER_CALL])
        with tempfile.TemporaryDirectory() as folder:
            write_artifacts(Path(folder), record)
            self._client.log_artifacts(run_id, folder)
        # The status comes last, so a run counts as finished only when everything else is in place.
        self._client.set_terminated(run_id, record.status, record.end_time)
        self._half_written = None
        return run_id


def _moment(record: Record) -> tuple[str, int]:
    return record.fingerprint, record.start_time


def write_artifacts(folder: Path, record: Record) -> None:
    """Writes the artifacts of a record into a folder, each whole or not at all."""
    for name, content in record.artifacts.items():
        write_whole(folder / name, content)
