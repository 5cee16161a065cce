"""Write many records to a local SQLite store in one transaction: a tenth of the time of the public calls.

The transaction writes with MLflow's own table objects, which are not part of its public interface. So it is used only
for a schema revision that it was written for, and only after a canary: the first record of a process goes through the
public calls, is written a second time inside a transaction that is rolled back, and both must give the same rows.
Otherwise all records go through the public calls.
"""

import logging
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any
from uuid import uuid4

from mlflow import MlflowClient
from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository
from mlflow.store.db.base_sql_model import Base
from mlflow.store.tracking.dbmodels.models import SqlLatestMetric, SqlMetric, SqlParam, SqlRun, SqlTag
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from mlflow.utils.uri import append_to_uri_path
from sqlalchemy import text

from pipeline import names
from pipeline.tracking.records import Record
from pipeline.tracking.store.api_writer import PublicCalls, Writer, write_artifacts
from pipeline.tracking.store.opening import local_store

log = logging.getLogger(__name__)

BUSY_MILLISECONDS = 2000
"""How long a transaction waits for another program; longer waits are ``tracking.delivery``'s, which can be stopped."""

RUN_TABLES = [table for table in Base.metadata.sorted_tables if "run_uuid" in table.columns]


class OneTransaction:
    """Writes all rows of many runs at once, and skips runs that another process has finished meanwhile."""

    def __init__(self, store: SqlAlchemyStore, experiment_id: str, artifact_location: str, public: PublicCalls) -> None:
        self._store = store
        self._experiment_id = experiment_id
        self._artifact_location = artifact_location
        self._public = public
        self._proven: bool | None = None
        self._finished: dict[str, str] = {}
        with store.ManagedSessionMaker() as session:
            self._seen = self._newest_tag(session)

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
            session.execute(text(f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}"))
            ended = {"status": status, "end_time": int(time.time() * 1000)}
            session.execute(SqlRun.__table__.update().where(SqlRun.run_uuid == run_id).values(**ended))

    def _write_together(self, records: Sequence[Record]) -> list[str]:
        new = {uuid4().hex: record for record in records}
        try:
            known = self._insert_unknown(new)
        except Exception:
            # The store has none of them, and the next try takes other ids. (After a signal that is not certain.)
            self._remove_artifacts(new)
            raise
        self._remove_artifacts(known)
        return [known.get(run_id, run_id) for run_id in new]

    def _insert_unknown(self, new: Mapping[str, Record]) -> dict[str, str]:
        """Writes the records; new id -> id in the store, for those that another process has finished meanwhile."""
        # Files first: a run that stands in the database has all its artifacts.
        for run_id, record in new.items():
            write_artifacts(self._artifact_folder(run_id), record)
        with self._store.ManagedSessionMaker(read_only=False) as session:
            session.execute(text(f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}"))
            # An update of nothing takes the lock of the writer, so that nobody finishes a run between look and insert.
            session.execute(SqlRun.__table__.update().where(SqlRun.run_uuid == "").values(status="FAILED"))
            finished = self._finished | self._finished_by_others(session)
            known = {
                run_id: finished[record.fingerprint]
                for run_id, record in new.items()
                if record.fingerprint in finished and names.RERUN_TAG not in record.tags
            }
            self._insert(session, [(run_id, record) for run_id, record in new.items() if run_id not in known])
            seen = self._newest_tag(session)
        # Only now is it certain that the transaction has taken place.
        self._finished, self._seen = finished, seen
        return known

    def _remove_artifacts(self, run_ids: Iterable[str]) -> None:
        for run_id in run_ids:
            shutil.rmtree(self._artifact_folder(run_id).parent, ignore_errors=True)

    def _finished_by_others(self, session: Any) -> dict[str, str]:
        """Fingerprint -> run id of what has been finished since the last look; no older rows: sweeps may be long."""
        finished = session.execute(
            text(
                "SELECT tags.value, runs.run_uuid FROM tags JOIN runs ON runs.run_uuid = tags.run_uuid"
                " WHERE tags.rowid > :seen AND tags.key = :key AND runs.experiment_id = :experiment"
                " AND runs.status = 'FINISHED' AND runs.lifecycle_stage = 'active'"
            ),
            {"seen": self._seen, "key": names.FINGERPRINT_TAG, "experiment": int(self._experiment_id)},
        )
        return {str(fingerprint): str(run_id) for fingerprint, run_id in finished}

    @staticmethod
    def _newest_tag(session: Any) -> int:
        return int(session.execute(text("SELECT coalesce(max(rowid), 0) FROM tags")).scalar())

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

    def _artifact_folder(self, run_id: str) -> Path:
        return Path(LocalArtifactRepository(self._artifact_uri(run_id)).artifact_dir)

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
                self._insert_rows(session, model.__table__, values)

    @staticmethod
    def _insert_rows(session: Any, table: Any, rows: Sequence[dict[str, Any]]) -> None:
        """Inserts plain values past SQLAlchemy's handling of parameters, which takes as long again as SQLite does."""
        statement = table.insert().values(rows[0]).compile(dialect=session.connection().dialect)
        in_order = itemgetter(*statement.positiontup)
        session.connection().exec_driver_sql(str(statement), [in_order(row) for row in rows])

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
    store = local_store(client, experiment_id)
    if store is None:
        return public
    location = str(client.get_experiment(experiment_id).artifact_location)
    return OneTransaction(store, experiment_id, location, public)
