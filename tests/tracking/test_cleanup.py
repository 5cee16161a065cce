"""What drivers that work at once, or die, leave behind: closed or deleted, and nothing else is."""

import json
import platform
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow import MlflowClient
from sqlalchemy import event
from sqlalchemy.engine import Engine

from pipeline import names
from pipeline.system.process_identity import driver_of, this_driver
from pipeline.tracking.records import Record
from pipeline.tracking.store import queries as tracked_runs
from pipeline.tracking.store.api_writer import PublicCalls
from pipeline.tracking.store.cleanup import close_leftovers, close_unended, delete_repeated_runs, gather_statistics
from pipeline.tracking.store.queries import begun_sweep
from pipeline.tracking.store.sql_writer import writer_for
from pipeline.tracking.tracker import Tracker
from tests.support.configurations import configuration
from tests.tracking.test_writers import record

Store = tuple[MlflowClient, str]
GONE = json.dumps([platform.node(), 2**22 + 1, ""])
ELSEWHERE = json.dumps(["another host", 1, "1"])


@pytest.fixture
def store(tmp_path: Path, empty_database: Path, tracking_to: None) -> Store:
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    return MlflowClient(), str(MlflowClient().create_experiment("tests", str(tmp_path / "artifacts")))


@pytest.fixture
def other_driver() -> Iterator[str]:
    """Another process of this host that lives."""
    process = subprocess.Popen(["sleep", "600"])
    yield driver_of(process.pid)
    process.kill()
    process.wait()


def finished(number: int, fingerprint: str, parent: str | None = None, *, rerun: bool = False) -> Record:
    """A finished run; a larger number is a later one."""
    tags = {names.FINGERPRINT_TAG: fingerprint}
    if parent is not None:
        tags[names.PARENT_TAG] = parent
    if rerun:
        tags[names.RERUN_TAG] = "true"
    return replace(record(0), start_time=1_700_000_000_000 + number, tags=tags)


def statuses(store: Store) -> dict[str, str]:
    client, experiment = store
    return {run.info.run_id: run.info.status for run in client.search_runs([experiment])}


def test_only_what_dead_processes_of_this_host_left_open_is_closed_at_a_start(store: Store, other_driver: str) -> None:
    client, experiment = store
    run_ids = [
        client.create_run(experiment, tags={names.DRIVER_TAG: driver}).info.run_id
        for driver in (GONE, GONE, this_driver(), other_driver, ELSEWHERE)
    ]
    run_ids.append(client.create_run(experiment).info.run_id)
    assert close_leftovers(client, experiment, run_ids[1]) == 1
    assert statuses(store) == dict.fromkeys(run_ids, "RUNNING") | {run_ids[0]: "KILLED"}


def test_at_the_end_of_a_sweep_the_open_runs_of_another_living_driver_stay(store: Store, other_driver: str) -> None:
    client, experiment = store
    own, dead, far, others = (
        client.create_run(experiment, tags={names.PARENT_TAG: "parent", names.DRIVER_TAG: driver}).info.run_id
        for driver in (this_driver(), GONE, ELSEWHERE, other_driver)
    )
    foreign = client.create_run(experiment, tags={names.PARENT_TAG: "another"}).info.run_id
    done = client.create_run(experiment, tags={names.PARENT_TAG: "parent"}).info.run_id
    client.set_terminated(done)
    close_unended(client, experiment, "parent")
    assert statuses(store) == {own: "KILLED", dead: "KILLED", far: "KILLED"} | {
        others: "RUNNING", foreign: "RUNNING", done: "FINISHED",
    }  # fmt: skip


def test_a_run_that_ends_while_open_ones_are_listed_stays_finished(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, experiment = store
    run_id = client.create_run(experiment, tags={names.PARENT_TAG: "parent", names.DRIVER_TAG: ELSEWHERE}).info.run_id
    search = client.search_runs

    def overtaken(*arguments: Any, **options: Any) -> Any:
        page = search(*arguments, **options)
        client.set_terminated(run_id)
        return page

    monkeypatch.setattr(client, "search_runs", overtaken)
    close_unended(client, experiment, "parent")
    assert client.get_run(run_id).info.status == "FINISHED"


@pytest.mark.parametrize("way", ["database", "search"])
def test_of_repeated_runs_the_oldest_stays_and_what_was_trained_again_on_purpose_too(
    store: Store, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    if way == "search":
        monkeypatch.setattr(tracked_runs, "sql_store", lambda *_: None)
    client, experiment = store
    records = [
        finished(5, "a"), finished(1, "a", "one"), finished(7, "a", "two"),
        finished(2, "a", rerun=True), finished(3, "a", rerun=True),
        finished(4, "a", "again", rerun=True), finished(6, "a", "again", rerun=True),
        finished(8, "a", "more", rerun=True), finished(9, "b"), finished(10, "b"),
    ]  # fmt: skip
    run_ids = PublicCalls(client, experiment).write(records)
    kept = delete_repeated_runs(client, experiment, "a")
    assert [run.run_id for run in kept] == [run_ids[number] for number in (1, 3, 4, 5, 7)]
    assert statuses(store).keys() == {run_ids[number] for number in (1, 3, 4, 5, 7, 8, 9)}
    assert [run.run_id for run in delete_repeated_runs(client, experiment)][-1] == run_ids[8]
    assert statuses(store).keys() == {run_ids[number] for number in (1, 3, 4, 5, 7, 8)}


def test_a_run_that_comes_on_two_pages_because_others_track_is_not_taken_for_two(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, experiment = store
    writer = PublicCalls(client, experiment)
    run_ids = writer.write([finished(number, f"{number}") for number in range(6)])
    monkeypatch.setattr(tracked_runs, "sql_store", lambda *_: None)
    monkeypatch.setattr(tracked_runs, "PAGE", 3)
    search, newer = client.search_runs, iter(range(6, 8))

    def with_newer(*arguments: Any, **options: Any) -> Any:
        page = search(*arguments, **options)
        for number in newer:
            run_ids.extend(writer.write([finished(number, f"{number}")]))
        return page

    monkeypatch.setattr(client, "search_runs", with_newer)
    delete_repeated_runs(client, experiment)
    assert statuses(store).keys() == set(run_ids)


def test_a_sweep_that_trains_all_again_is_left_to_its_living_driver(store: Store, other_driver: str) -> None:
    client, experiment = store
    tracker = Tracker("tests")
    again = configuration({"data": "iris", "rerun": True})
    parent = tracker.open_sweep(None, ["f"], [again], ["seed"], "command", "folder")

    def goes_on(*, rerun: bool) -> str | None:
        begun = begun_sweep(client, experiment, ["f"], rerun=rerun)
        return None if begun is None else begun.run_id

    client.set_tag(parent, names.DRIVER_TAG, other_driver)
    assert (goes_on(rerun=False), goes_on(rerun=True)) == (None, None)
    client.set_tag(parent, names.DRIVER_TAG, GONE)
    assert (goes_on(rerun=False), goes_on(rerun=True)) == (None, parent)
    client.set_terminated(parent)
    assert (goes_on(rerun=False), goes_on(rerun=True)) == (parent, None)


def test_statistics_let_the_ui_sort_by_a_metric_without_pairing_each_run_with_each(store: Store) -> None:
    client, experiment = store
    writer_for(client, experiment).write([finished(number, f"{number:032x}") for number in range(100)])
    queries: list[tuple[str, Any]] = []

    def note_query(connection: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if "ORDER BY" in statement and "latest_metrics" in statement:
            queries.append((statement, parameters))

    def plan() -> str:
        """SQLite's plan of MLflow's query."""
        event.listen(Engine, "before_cursor_execute", note_query)
        client.search_runs([experiment], order_by=["metrics.`loss/train` DESC"])
        event.remove(Engine, "before_cursor_execute", note_query)
        statement, parameters = queries.pop()
        with closing(sqlite3.connect(mlflow.get_tracking_uri().removeprefix("sqlite:///"))) as database:
            return str(database.execute(f"EXPLAIN QUERY PLAN {statement}", parameters).fetchall())

    assert "SCAN anon_1" in plan()
    gather_statistics(client)
    assert "SEARCH anon_1" in plan()


@pytest.mark.parametrize("size", ["many", "-1", "1e9", "0"])
def test_a_tag_that_others_have_written_stops_no_sweep(store: Store, size: str) -> None:
    client, experiment = store
    client.create_run(experiment, tags={names.SWEEP_TAG: size})
    assert begun_sweep(client, experiment, ["f"], rerun=False) is None
