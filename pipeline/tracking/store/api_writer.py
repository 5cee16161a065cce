"""Write records by MLflow's public interface, to any tracking store: few calls a run, repeatable after a failure."""

import json
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, Protocol, TypeVar

from mlflow import MlflowClient
from mlflow.data.numpy_dataset import from_numpy
from mlflow.entities import DatasetInput, Metric, Param
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from pipeline.addresses import database_path
from pipeline.config.schema import Config
from pipeline.system.atomic_file import write_atomically
from pipeline.tracking.records import Record
from pipeline.training.datasets import dataset_of

Item = TypeVar("Item")

ENTITIES_PER_CALL = 1000
RUNS_AT_ONCE, MOST_AT_ONCE = 4, 32
"""How many runs travel to a server at once, at first and at the most."""
GAIN = 1.1
"""So many times faster must twice as many at once be, to be kept: a server with one process is busy with four."""


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


def call_together(function: Callable[[Item], None], items: Sequence[Item], at_once: int = RUNS_AT_ONCE) -> None:
    """Calls a function for each item, several at once, until one call raises: the store would refuse the rest too.

    Raises:
        Exception: what that call raised, when all have returned.
    """
    waiting: SimpleQueue[Item] = SimpleQueue()
    for item in items:
        waiting.put(item)
    refusals: list[Exception] = []

    def call_waiting() -> None:
        try:
            while not refusals:
                function(waiting.get_nowait())
        except Empty:
            pass
        except Exception as error:
            refusals.append(error)

    # They die with the process, so that Ctrl-C need not wait for a server that hangs. (A pool's would not, or it wants
    # semaphores, which are refused where shared memory is read-only.)
    threads = [Thread(target=call_waiting, daemon=True) for _ in range(min(at_once, len(items)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if refusals:
        raise refusals[0]


class Concurrency:
    """How many runs travel to a server at once: twice as many for as long as that makes them faster.

    Args:
        at_once: at first.
        most: at the most.
    """

    def __init__(self, at_once: int, most: int) -> None:
        self.at_once = at_once
        self._most = most
        self._fastest = 0.0

    def note(self, runs: int, seconds: float) -> None:
        """Takes in how long so many runs took; few runs say nothing."""
        if runs < 2 * self.at_once or self.at_once > self._most:
            return
        rate, before = runs / seconds, self._fastest
        if rate < GAIN * before:
            self.at_once, self._most = self.at_once // 2, 0
        elif 2 * self.at_once <= self._most:
            self.at_once, self._fastest = 2 * self.at_once, rate


class PublicCalls:
    """Five calls a run (create, params with metrics, two artifacts, close), more for more than 1000 metrics."""

    def __init__(self, client: MlflowClient, experiment_id: str) -> None:
        self._client = client
        self._experiment_id = experiment_id
        # A SQLite file takes one writer at a time.
        is_file = database_path(client.tracking_uri) is not None
        self._concurrency = Concurrency(1, 1) if is_file else Concurrency(RUNS_AT_ONCE, MOST_AT_ONCE)
        self._half_written: set[str] = set()
        self._written: dict[tuple[str, int], str] = {}

    def write(self, records: Sequence[Record]) -> list[str]:
        # A call that broke off is repeated with the same records: what it had written then is not written twice.
        for run_id in sorted(self._half_written):
            self._client.delete_run(run_id)
            self._half_written.remove(run_id)
        new = {_identity(record): record for record in records if _identity(record) not in self._written}.values()
        start = time.perf_counter()
        call_together(self._write, [*new], self._concurrency.at_once)
        self._concurrency.note(len(new), time.perf_counter() - start)
        run_ids = [self._written[_identity(record)] for record in records]
        self._written.clear()
        return run_ids

    def end(self, run_id: str, status: str) -> None:
        self._client.set_terminated(run_id, status)

    def _write(self, record: Record) -> None:
        run = self._client.create_run(
            self._experiment_id, start_time=record.start_time, tags=record.tags, run_name=record.name
        )
        run_id = str(run.info.run_id)
        self._half_written.add(run_id)
        params = [Param(key, value) for key, value in record.params.items()]
        metrics = [Metric(key, value, record.end_time, step) for key, value, step in record.metrics]
        first = ENTITIES_PER_CALL - len(params)
        self._client.log_batch(run_id, params=params, metrics=metrics[:first])
        for start in range(first, len(metrics), ENTITIES_PER_CALL):
            self._client.log_batch(run_id, metrics=metrics[start : start + ENTITIES_PER_CALL])
        with tempfile.TemporaryDirectory() as folder:
            write_artifacts(Path(folder), record)
            # The client would ask the server where they belong, which it has just said.
            artifacts: Any = get_artifact_repository(run.info.artifact_uri, self._client.tracking_uri)
            artifacts.log_artifacts(folder)
        # The status comes last, so a run counts as finished only when everything else is in place.
        self._client.set_terminated(run_id, record.status, record.end_time)
        self._written[_identity(record)] = run_id
        self._half_written.remove(run_id)


def _identity(record: Record) -> tuple[str, int]:
    return record.fingerprint, record.start_time


def write_artifacts(folder: Path, record: Record) -> None:
    """Writes the artifacts of a record into a folder, each whole or not at all."""
    for name, content in record.artifacts.items():
        write_atomically(folder / name, content)


def dataset_inputs(configs: Sequence[Config]) -> list[DatasetInput]:
    """Each data set of the jobs once."""
    distinct = {json.dumps(config.composed()["data"]): config.data for config in configs}.values()
    return [
        DatasetInput(
            from_numpy(
                dataset.train_inputs, targets=dataset.train_labels, name=dataset.name, digest=dataset.digest
            )._to_mlflow_entity(),
            tags=[],
        )
        for dataset in map(dataset_of, distinct)
    ]
