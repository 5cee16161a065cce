"""Query what is already tracked: finished runs by fingerprint, and the sweeps they belong to."""

import json
import math
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from sys import intern
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.store.tracking.dbmodels.models import SqlLatestMetric, SqlParam, SqlRun, SqlTag
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from sqlalchemy import select
from sqlalchemy.orm import aliased

from pipeline import names
from pipeline.system.process_identity import is_gone
from pipeline.tracking.store.opening import sql_store
from pipeline.tracking.sweeps import FinishedRun, TrackedRun, TrackedSweep

PAGE = 1000


def finished_runs(
    client: MlflowClient, experiment_id: str, *, parent: str | None = None, fingerprint: str | None = None
) -> list[TrackedRun]:
    """The finished runs of an experiment, oldest first: 2 s for 1000, 0.02 s where its database is at hand.

    Args:
        parent: if given, only those of this sweep.
        fingerprint: if given, only those with this one.
    """
    tags = {names.PARENT_TAG: parent, names.FINGERPRINT_TAG: fingerprint}
    wanted = {key: value for key, value in tags.items() if value is not None}
    store = sql_store(client)
    return sorted(
        _from_database(store, experiment_id, wanted) if store else _from_search(client, experiment_id, wanted)
    )


def _from_search(client: MlflowClient, experiment_id: str, wanted: Mapping[str, str]) -> Iterator[TrackedRun]:
    conditions = ["attributes.status = 'FINISHED'", *(f"tags.`{key}` = '{value}'" for key, value in wanted.items())]
    for run in searched_runs(client, experiment_id, " AND ".join(conditions)):
        tags, metrics = run.data.tags, run.data.metrics
        objectives = [metrics[key] for key in names.FINAL_LOSSES if key in metrics]
        if names.FINGERPRINT_TAG in tags and objectives:
            yield TrackedRun(
                run.info.start_time,
                run.info.run_id,
                tags[names.FINGERPRINT_TAG],
                tags.get(names.PARENT_TAG),
                names.RERUN_TAG in tags,
                objectives[0],
            )


def _from_database(store: SqlAlchemyStore, experiment_id: str, wanted: Mapping[str, str]) -> Iterator[TrackedRun]:
    """What ``_from_search`` finds, by one SQL query that reads nothing else of a run."""
    fingerprint, parent, rerun = (aliased(SqlTag) for _ in range(3))
    losses = [aliased(SqlLatestMetric) for _ in names.FINAL_LOSSES]
    query: Any = (
        select(
            SqlRun.start_time,
            SqlRun.run_uuid,
            fingerprint.value,
            parent.value,
            rerun.value,
            *(getattr(loss, column) for loss in losses for column in ("value", "is_nan")),
        )
        .join(fingerprint, (fingerprint.run_uuid == SqlRun.run_uuid) & (fingerprint.key == names.FINGERPRINT_TAG))
        .outerjoin(parent, (parent.run_uuid == SqlRun.run_uuid) & (parent.key == names.PARENT_TAG))
        .outerjoin(rerun, (rerun.run_uuid == SqlRun.run_uuid) & (rerun.key == names.RERUN_TAG))
        .where(_finished(experiment_id))
    )
    for tag, key in ((fingerprint, names.FINGERPRINT_TAG), (parent, names.PARENT_TAG)):
        if key in wanted:
            query = query.where(tag.value == wanted[key])
    for loss, key in zip(losses, names.FINAL_LOSSES, strict=True):
        query = query.outerjoin(loss, (loss.run_uuid == SqlRun.run_uuid) & (loss.key == key))
    with store.ManagedSessionMaker() as session:
        for start, run_id, value, parent_id, was_rerun, *numbers in session.execute(query):
            known = [pair for pair in zip(numbers[::2], numbers[1::2], strict=True) if pair[0] is not None]
            if known:
                number, is_nan = known[0]
                objective = math.nan if is_nan else float(number)
                yield TrackedRun(
                    start, run_id, value, parent_id and intern(parent_id), was_rerun is not None, objective
                )


def searched_runs(client: MlflowClient, experiment_id: str, filter_string: str) -> Iterator[Run]:
    """All runs of an experiment that a filter of MLflow's finds, each once."""
    token, seen = None, set()
    while True:
        page = client.search_runs([experiment_id], filter_string, max_results=PAGE, page_token=token)
        # Pages are counted from the newest run, so what others track between two pages shifts runs into the next.
        yield from (run for run in page if run.info.run_id not in seen)
        seen |= {run.info.run_id for run in page}
        token = page.token
        if not token:
            return


def runs_with(
    client: MlflowClient,
    experiment_id: str,
    fingerprints: Sequence[str],
    params: Collection[str],
    metrics: Collection[str],
) -> list[FinishedRun]:
    """The finished runs with these fingerprints, whichever sweep they belong to, oldest first.

    Of several runs with one fingerprint it is the newest.

    Args:
        params: the keys of those that matter.
        metrics: the keys of those that matter.
    """
    wanted, store = set(fingerprints), sql_store(client)
    if store:
        newest = {run.fingerprint: run for run in finished_runs(client, experiment_id) if run.fingerprint in wanted}
        return _described(store, sorted(newest.values()), experiment_id, params, metrics)
    found: dict[str, tuple[tuple[int, str], FinishedRun]] = {}
    # One page at a time: an experiment may hold many more runs than are wanted.
    for run in searched_runs(client, experiment_id, "attributes.status = 'FINISHED'"):
        fingerprint, age = run.data.tags.get(names.FINGERPRINT_TAG, ""), _age(run)
        if fingerprint in wanted and (fingerprint not in found or found[fingerprint][0] < age):
            found[fingerprint] = age, finished_run(run, params, metrics)
    return [run for _, run in sorted(found.values(), key=itemgetter(0))]


def finished_run(run: Run, params: Collection[str], metrics: Collection[str]) -> FinishedRun:
    """What matters of a run that MLflow has found."""
    return FinishedRun(
        run.info.run_id,
        run.data.tags.get(names.FINGERPRINT_TAG, ""),
        run.data.tags.get(names.DIGEST_TAG, ""),
        run.info.run_name,
        run.data.tags.get(names.PARENT_TAG),
        run.data.tags.get(names.DIVERGED_TAG) == "true",
        {key: intern(value) for key, value in run.data.params.items() if key in params},
        {key: value for key, value in run.data.metrics.items() if key in metrics},
    )


def _age(run: Run) -> tuple[int, str]:
    return run.info.start_time, run.info.run_id


def _described(
    store: SqlAlchemyStore,
    tracked: Sequence[TrackedRun],
    experiment_id: str,
    params: Collection[str],
    metrics: Collection[str],
) -> list[FinishedRun]:
    """What ``finished_run`` tells, by queries that read nothing else."""
    finished = _finished(experiment_id)
    of_run: dict[str, tuple[dict[str, str], dict[str, float]]] = {run.run_id: ({}, {}) for run in tracked}
    with store.ManagedSessionMaker() as session:

        def rows_of(table: Any, keys: Collection[str], *columns: Any) -> Iterator[Any]:
            query = select(table.run_uuid, table.key, *columns).join(SqlRun, SqlRun.run_uuid == table.run_uuid)
            rows = session.execute(query.where(finished, table.key.in_(keys)))
            return (row for row in rows.yield_per(PAGE) if row[0] in of_run)

        for run_id, key, value in rows_of(SqlParam, params, SqlParam.value):
            of_run[run_id][0][intern(key)] = intern(value)
        columns = SqlLatestMetric.value, SqlLatestMetric.is_nan
        for run_id, key, number, is_nan in rows_of(SqlLatestMetric, metrics, *columns):
            of_run[run_id][1][intern(key)] = math.nan if is_nan else number
        diverged = {run_id for run_id, _, text in rows_of(SqlTag, [names.DIVERGED_TAG], SqlTag.value) if text == "true"}
        digests = {run_id: text for run_id, _, text in rows_of(SqlTag, [names.DIGEST_TAG], SqlTag.value)}
        named = session.execute(select(SqlRun.run_uuid, SqlRun.name).where(finished))
        shown = {run_id: name for run_id, name in named if run_id in of_run}
    return [
        FinishedRun(
            run.run_id,
            run.fingerprint,
            digests.get(run.run_id, ""),
            shown[run.run_id],
            run.parent,
            run.run_id in diverged,
            *of_run[run.run_id],
        )
        for run in tracked
        if run.run_id in shown  # Another process may have deleted one meanwhile.
    ]


def _finished(experiment_id: str) -> Any:
    return (
        (SqlRun.experiment_id == int(experiment_id))
        & (SqlRun.status == "FINISHED")
        & (SqlRun.lifecycle_stage == "active")
    )


def begun_sweep(
    client: MlflowClient, experiment_id: str, fingerprints: Sequence[str], *, rerun: bool
) -> TrackedSweep | None:
    """The sweep that goes on where these jobs are asked for: the same one, in any order, or one that is extended now.

    Of several sweeps all of whose jobs are among these it is the one with the most, and of those the newest.

    Args:
        rerun: whether all are to be trained again: then only an interrupted sweep that did so goes on, else no such.
    """
    wanted = set(fingerprints)
    parents = searched_runs(client, experiment_id, f"tags.`{names.SWEEP_TAG}` != ''")
    for parent in sorted(parents, key=lambda run: (_size(run), _age(run)), reverse=True):
        if _size(parent) > len(wanted) or not _may_go_on(parent, rerun=rerun):
            continue
        jobs = _jobs_of(client, parent.info.run_id)
        if jobs and wanted.issuperset(jobs):
            folder = parent.data.tags.get(names.FOLDER_TAG, "")
            return TrackedSweep(parent.info.run_id, jobs, folder, parent.info.status == "FINISHED")
    return None


def _size(parent: Run) -> int:
    """How many jobs it has; 0 where the tag holds something else, which others may have written."""
    size = parent.data.tags[names.SWEEP_TAG]
    return int(size) if size.isdecimal() else 0


def _may_go_on(parent: Run, *, rerun: bool) -> bool:
    """One that trains all again goes on only as such, and only when its driver is gone; a finished one is as others."""
    tags, status = parent.data.tags, parent.info.status
    is_unfinished_rerun = names.RERUN_TAG in tags and status != "FINISHED"
    if not rerun:
        return not is_unfinished_rerun
    return is_unfinished_rerun and (status != "RUNNING" or is_gone(tags.get(names.DRIVER_TAG)))


def _jobs_of(client: MlflowClient, parent: str) -> tuple[str, ...]:
    """Fingerprints of a sweep's jobs; none where the list is missing or was torn by a kill."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            content = Path(client.download_artifacts(parent, names.JOBS_FILE, folder)).read_text(encoding="utf-8")
        return tuple(map(str, json.loads(content)["fingerprints"]))
    except Exception:  # A sweep that cannot be continued is not an error: its finished runs count all the same.
        return ()
