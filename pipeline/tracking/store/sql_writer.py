"""Write many records to an SQL database in one transaction: a tenth of the time of the public calls.

The transaction writes with MLflow's own table objects, which are not part of its public interface. So it is used only
for a schema revision that it was written for, and only after a canary: the first record of a process goes through the
public calls, is written a second time inside a transaction that is rolled back, and both must give the same rows.
Otherwise all records go through the public calls.
"""

import hashlib
import logging
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from math import isfinite
from pathlib import Path
from typing import Any
from uuid import uuid4

from mlflow import MlflowClient
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository
from mlflow.store.db.base_sql_model import Base
from mlflow.store.tracking.dbmodels.models import (
    SqlExperiment,
    SqlLatestMetric,
    SqlMetric,
    SqlParam,
    SqlRun,
    SqlTag,
)
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from mlflow.utils.uri import append_to_uri_path
from sqlalchemy import select, text

from pipeline import names
from pipeline.tracking.records import Record
from pipeline.tracking.store.api_writer import PublicCalls, Writer, call_together, write_artifacts
from pipeline.tracking.store.bulk_insert import insert_rows
from pipeline.tracking.store.opening import sql_store

log = logging.getLogger(__name__)

PATIENCE = {
    "sqlite": "PRAGMA busy_timeout = 2000",
    "postgresql": "SET LOCAL lock_timeout = 10000",
    "mysql": "SET innodb_lock_wait_timeout = 10",
}
"""How long a transaction waits for other drivers, in SQLite for any program; longer waits are ``tracking.delivery``'s,
which can be stopped."""

RUN_TABLES = [table for table in Base.metadata.sorted_tables if "run_uuid" in table.columns]
EXPERIMENTS = SqlExperiment.__table__

PAIR = ("run_uuid", "key", "value")
POINT = ("run_uuid", "key", "timestamp", "step", "is_nan", "value")
"""Columns of tags and params, and of metrics, in the order in which rows hold them."""


class OneTransaction:
    """Writes all rows of many runs at once, and skips runs that another process has finished meanwhile.

    A record that is written again, because the answer to the first time was lost, is not written twice: its run id
    follows from what it is.
    """

    def __init__(self, store: SqlAlchemyStore, experiment_id: str, artifact_location: str, public: PublicCalls) -> None:
        self._store = store
        self._experiment_id = int(experiment_id)
        self._artifact_location = artifact_location
        self._public = public
        self._proven: bool | None = None
        self._is_shared = False
        with store.ManagedSessionMaker() as session:
            self._last_update = session.scalar(self._time_of_update)

    def write(self, records: Sequence[Record]) -> list[str]:
        run_ids: list[str] = []
        if self._proven is None and records:
            run_ids = self._public.write(records[:1])
            self._proven = self._same_rows(records[0], run_ids[0])
            if not self._proven:
                log.warning("This MLflow stores runs in another way than expected; tracking goes on, but slower.")
        remaining = records[len(run_ids) :]
        return run_ids + (self._write_together(remaining) if self._proven else self._public.write(remaining))

    def end(self, run_id: str, status: str) -> None:
        with self._store.ManagedSessionMaker(read_only=False) as session:
            self._limit_waiting(session)
            ended = {"status": status, "end_time": int(time.time() * 1000)}
            session.execute(SqlRun.__table__.update().where(SqlRun.run_uuid == run_id).values(**ended))

    def _write_together(self, records: Sequence[Record]) -> list[str]:
        new = {self._run_id(record): record for record in records}
        # Files first: a run that stands in the database has all its artifacts.
        self._write_artifacts(new)
        known = self._insert_unknown(new)
        self._remove_artifacts(run_id for run_id, kept in known.items() if kept != run_id)
        return [known.get(run_id, run_id) for run_id in map(self._run_id, records)]

    def _run_id(self, record: Record) -> str:
        """48 bits of time, then a digest, as in UUIDs of version 7 (RFC 9562).

        The indexes of a database grow at their end then: with random ids a run costs twice as much after 5000 others.
        """
        identity = (self._experiment_id, record.fingerprint, record.start_time, record.tags.get(names.DRIVER_TAG))
        return f"{record.start_time:012x}{hashlib.sha256(repr(identity).encode()).hexdigest()[:20]}"

    def _insert_unknown(self, new: Mapping[str, Record]) -> dict[str, str]:
        """Writes the records; new id -> id in the store, for those that are there already."""
        with self._store.ManagedSessionMaker(read_only=False) as session:
            self._limit_waiting(session)
            # A row that is updated is locked, so that nobody finishes a run between look and insert.
            session.execute(self._update(lifecycle_stage=EXPERIMENTS.c.lifecycle_stage))
            last_update = session.scalar(self._time_of_update)
            # Looking for fingerprints takes the longer, the more runs there are; a driver alone needs not.
            self._is_shared |= last_update != self._last_update
            known = self._finished(session, new) if self._is_shared else {}
            known |= {each: each for each in session.scalars(select(SqlRun.run_uuid).where(SqlRun.run_uuid.in_(new)))}
            self._insert(session, [(run_id, record) for run_id, record in new.items() if run_id not in known])
            last_update = max((last_update or 0) + 1, int(time.time() * 1000))
            session.execute(self._update(last_update_time=last_update))
        # Only now is it certain that the transaction has taken place.
        self._last_update = last_update
        return known

    def _finished(self, session: Any, new: Mapping[str, Record]) -> dict[str, str]:
        """New id -> id in the store, of what another process has finished meanwhile."""
        finished: Any = (
            select(SqlTag.value, SqlRun.run_uuid)
            .join(SqlRun, SqlRun.run_uuid == SqlTag.run_uuid)
            .where(SqlTag.key == names.FINGERPRINT_TAG, SqlTag.value.in_({each.fingerprint for each in new.values()}))
            .where(SqlRun.experiment_id == self._experiment_id, SqlRun.status == "FINISHED")
            .where(SqlRun.lifecycle_stage == "active")
        )
        by_fingerprint = {str(fingerprint): str(run_id) for fingerprint, run_id in session.execute(finished)}
        return {
            run_id: by_fingerprint[record.fingerprint]
            for run_id, record in new.items()
            if record.fingerprint in by_fingerprint and names.RERUN_TAG not in record.tags
        }

    @property
    def _time_of_update(self) -> Any:
        """Asks for the time of the experiment's last update, which grows with every transaction of this project."""
        return select(EXPERIMENTS.c.last_update_time).where(EXPERIMENTS.c.experiment_id == self._experiment_id)

    def _update(self, **values: Any) -> Any:
        return EXPERIMENTS.update().where(EXPERIMENTS.c.experiment_id == self._experiment_id).values(**values)

    def _limit_waiting(self, session: Any) -> None:
        session.execute(text(PATIENCE[self._store.engine.dialect.name]))

    def _write_artifacts(self, new: Mapping[str, Record]) -> None:
        """Where the experiment says: in a folder, or through MLflow's client of an object store, several at once."""
        if isinstance(get_artifact_repository(self._artifact_location), LocalArtifactRepository):
            for run_id, record in new.items():
                write_artifacts(Path(self._artifacts(run_id).artifact_dir), record)
            return

        def upload(run: tuple[str, Record]) -> None:
            with tempfile.TemporaryDirectory() as folder:
                write_artifacts(Path(folder), run[1])
                self._artifacts(run[0]).log_artifacts(folder)

        call_together(upload, [*new.items()])

    def _remove_artifacts(self, run_ids: Iterable[str]) -> None:
        for run_id in run_ids:
            artifacts = self._artifacts(run_id)
            with suppress(Exception):  # What nobody refers to does no harm.
                artifacts.delete_artifacts()
                if isinstance(artifacts, LocalArtifactRepository):
                    Path(artifacts.artifact_dir).parent.rmdir()

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

    def _artifacts(self, run_id: str) -> Any:
        return get_artifact_repository(self._artifact_uri(run_id))

    def _artifact_uri(self, run_id: str) -> str:
        folder = (run_id, SqlAlchemyStore.ARTIFACTS_FOLDER_NAME)
        return str(append_to_uri_path(self._artifact_location, *folder))  # type: ignore[no-untyped-call]

    def _insert(self, session: Any, records: Sequence[tuple[str, Record]]) -> None:
        runs = [self._run_row(run_id, record) for run_id, record in records]
        rows: dict[Any, list[tuple[Any, ...]]] = {model: [] for model in (SqlTag, SqlParam, SqlMetric, SqlLatestMetric)}
        for run_id, record in records:
            rows[SqlTag] += [(run_id, *tag) for tag in {**record.tags, "mlflow.runName": record.name}.items()]
            rows[SqlParam] += [(run_id, *param) for param in record.params.items()]
            metrics = self._metric_rows(run_id, record)
            rows[SqlMetric] += metrics
            # Steps ascend within a curve, so the last row of a key is the latest.
            rows[SqlLatestMetric] += {row[1]: row for row in metrics}.values()
        if runs:  # The rows of other tables refer to them.
            insert_rows(session.connection(), SqlRun.__table__, [*runs[0]], [tuple(run.values()) for run in runs])
        for model, values in ((model, values) for model, values in rows.items() if values):
            insert_rows(session.connection(), model.__table__, PAIR if model in (SqlTag, SqlParam) else POINT, values)

    def _run_row(self, run_id: str, record: Record) -> dict[str, Any]:
        return {
            "run_uuid": run_id,
            "name": record.name,
            "source_type": "UNKNOWN",
            **dict.fromkeys(("source_name", "entry_point_name", "source_version"), ""),
            "user_id": "unknown",
            "status": record.status,
            "start_time": record.start_time,
            "end_time": record.end_time,
            "deleted_time": None,
            "lifecycle_stage": "active",
            "artifact_uri": self._artifact_uri(run_id),
            "experiment_id": self._experiment_id,
        }

    def _metric_rows(self, run_id: str, record: Record) -> list[tuple[Any, ...]]:
        rows = []
        for key, value, step in record.metrics:
            is_nan, stored = (False, value) if isfinite(value) else self._store.sanitize_metric_value(value)
            rows.append((run_id, key, record.end_time, step, is_nan, stored + 0.0))  # COPY would keep a negative zero.
        return rows


def writer_for(client: MlflowClient, experiment_id: str) -> Writer:
    """The fastest writer that is known to be right for the store behind ``client``."""
    public = PublicCalls(client, experiment_id)
    store = sql_store(client)
    if store is None:
        return public
    location = str(client.get_experiment(experiment_id).artifact_location)
    return OneTransaction(store, experiment_id, location, public)
