"""Two ways to put records into MLflow: few public calls a run, or one database transaction for many runs.

The transaction writes with MLflow's own table objects, which are not part of its public interface. So it is used only
for a local SQLite store whose schema revision it was written for, and only after a canary: the first record of a
process goes through the public calls, is written a second time inside a transaction that is rolled back, and both
must give the same rows. Otherwise all records go through the public calls.
"""

import logging
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

from mlflow import MlflowClient
from mlflow.entities import Metric, Param
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository
from mlflow.store.db.base_sql_model import Base
from mlflow.store.tracking.dbmodels.models import SqlLatestMetric, SqlMetric, SqlParam, SqlRun, SqlTag
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from mlflow.utils.uri import append_to_uri_path
from sqlalchemy import inspect, text

from pipeline.records import Record

log = logging.getLogger(__name__)

ENTITIES_PER_CALL = 1000
KNOWN_REVISIONS = {"dc11669786a5"}
"""Schema revisions (MLflow 3.17) for which the transaction was compared with the public calls over all tables."""

RUN_TABLES = [table for table in Base.metadata.sorted_tables if "run_uuid" in table.columns]


class Writer(Protocol):
    """Puts records into the tracking store."""

    def write(self, records: Sequence[Record]) -> list[str]:
        """Writes the records, each as a whole or not at all as a finished run, and returns their run ids."""
        ...


class PublicCalls:
    """At least four calls a run: create, log params and metrics, upload the artifacts, close."""

    def __init__(self, client: MlflowClient, experiment_id: str) -> None:
        self._client = client
        self._experiment_id = experiment_id

    def write(self, records: Sequence[Record]) -> list[str]:
        return [self._write(record) for record in records]

    def _write(self, record: Record) -> str:
        run = self._client.create_run(
            self._experiment_id, start_time=record.start_time, tags=record.tags, run_name=record.name
        )
        run_id = str(run.info.run_id)
        params = [Param(key, value) for key, value in record.params.items()]
        metrics = [Metric(key, value, record.end_time, step) for key, value, step in record.metrics]
        first = ENTITIES_PER_CALL - len(params)
        self._client.log_batch(run_id, params=params, metrics=metrics[:first])
        for start in range(first, len(metrics), ENTITIES_PER_CALL):
            self._client.log_batch(run_id, metrics=metrics[start : start + ENTITIES_PER_CALL])
        with tempfile.TemporaryDirectory() as folder:
            _write_files(Path(folder), record)
            self._client.log_artifacts(run_id, folder)
        # The status comes last, so a run counts as finished only when everything else is in place.
        self._client.set_terminated(run_id, record.status, record.end_time)
        return run_id


class OneTransaction:
    """All rows of many runs in one transaction of a local SQLite store: a tenth of the time of the public calls."""

    def __init__(self, store: SqlAlchemyStore, experiment_id: str, artifact_location: str, public: PublicCalls) -> None:
        self._store = store
        self._experiment_id = experiment_id
        self._artifact_location = artifact_location
        self._public = public
        self._proven: bool | None = None

    def write(self, records: Sequence[Record]) -> list[str]:
        run_ids: list[str] = []
        if self._proven is None and records:
            run_ids = self._public.write(records[:1])
            self._proven = self._same_rows(records[0], run_ids[0])
            if not self._proven:
                log.warning("This MLflow stores runs in another way than expected; tracking goes on, but slower.")
        remaining = records[len(run_ids) :]
        return run_ids + (self._write_together(remaining) if self._proven else self._public.write(remaining))

    def _write_together(self, records: Sequence[Record]) -> list[str]:
        run_ids = [uuid4().hex for _ in records]
        # Files first: a run that stands in the database has all its artifacts.
        for run_id, record in zip(run_ids, records, strict=True):
            _write_files(Path(LocalArtifactRepository(self._artifact_uri(run_id)).artifact_dir), record)
        with self._store.ManagedSessionMaker(read_only=False) as session:
            self._insert(session, list(zip(run_ids, records, strict=True)))
        return run_ids

    def _same_rows(self, record: Record, run_id: str) -> bool:
        twin = uuid4().hex
        with self._store.ManagedSessionMaker(read_only=False) as session:
            self._insert(session, [(twin, record)])
            expected, written = (self._rows(session, each) for each in (run_id, twin))
            session.rollback()
        return expected == written

    @staticmethod
    def _rows(session: Any, run_id: str) -> dict[str, list[str]]:
        """Table -> all rows of a run as text, without its id."""
        return {
            table.name: sorted(
                repr(tuple(row)).replace(run_id, "")
                for row in session.execute(table.select().where(table.c.run_uuid == run_id))
            )
            for table in RUN_TABLES
        }

    def _artifact_uri(self, run_id: str) -> str:
        folder = (run_id, SqlAlchemyStore.ARTIFACTS_FOLDER_NAME)
        return str(append_to_uri_path(self._artifact_location, *folder))  # type: ignore[no-untyped-call]

    def _insert(self, session: Any, records: Sequence[tuple[str, Record]]) -> None:
        rows: dict[Any, list[dict[str, Any]]] = {
            model: [] for model in (SqlRun, SqlTag, SqlParam, SqlMetric, SqlLatestMetric)
        }
        for run_id, record in records:
            rows[SqlRun].append(self._run_row(run_id, record))
            tags = record.tags | {"mlflow.runName": record.name}
            rows[SqlTag] += [{"run_uuid": run_id, "key": key, "value": value} for key, value in tags.items()]
            rows[SqlParam] += [{"run_uuid": run_id, "key": key, "value": value} for key, value in record.params.items()]
            metrics = list(self._metric_rows(run_id, record))
            rows[SqlMetric] += metrics
            # Steps ascend within a curve, so the last row of a key is the latest.
            rows[SqlLatestMetric] += {row["key"]: row for row in metrics}.values()
        for model, values in rows.items():
            if values:
                session.execute(model.__table__.insert(), values)

    def _run_row(self, run_id: str, record: Record) -> dict[str, Any]:
        return {
            "run_uuid": run_id,
            "name": record.name,
            "source_type": "UNKNOWN",
            "source_name": "",
            "entry_point_name": "",
            "user_id": "unknown",
            "status": record.status,
            "start_time": record.start_time,
            "end_time": record.end_time,
            "deleted_time": None,
            "source_version": "",
            "lifecycle_stage": "active",
            "artifact_uri": self._artifact_uri(run_id),
            "experiment_id": int(self._experiment_id),
        }

    def _metric_rows(self, run_id: str, record: Record) -> Iterator[dict[str, Any]]:
        for key, value, step in record.metrics:
            is_nan, stored = self._store.sanitize_metric_value(value)
            yield {
                "run_uuid": run_id, "key": key, "value": stored, "timestamp": record.end_time, "step": step,
                "is_nan": is_nan,
            }  # fmt: skip


def writer_for(client: MlflowClient, experiment_id: str) -> Writer:
    """The fastest writer that is known to be right for the store behind ``client``."""
    public = PublicCalls(client, experiment_id)
    store = client._tracking_client.store
    if not isinstance(store, SqlAlchemyStore) or store.engine.dialect.name != "sqlite":
        return public
    location = str(client.get_experiment(experiment_id).artifact_location)
    is_local = isinstance(get_artifact_repository(location), LocalArtifactRepository)
    return OneTransaction(store, experiment_id, location, public) if is_local and _is_known(store) else public


def _is_known(store: SqlAlchemyStore) -> bool:
    with store.engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return False
        return set(connection.execute(text("SELECT version_num FROM alembic_version")).scalars()) <= KNOWN_REVISIONS


def _write_files(folder: Path, record: Record) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in record.artifacts.items():
        temporary = folder / f".{name}.part"
        temporary.write_bytes(content)
        temporary.replace(folder / name)
