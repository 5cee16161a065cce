"""Two processes that begin or end a sweep at the same moment: MLflow lets the slower one fail, which is no failure."""

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow.exceptions import MlflowException
from mlflow.store.tracking.dbmodels.models import SqlDataset, SqlExperimentTag
from sqlalchemy import event
from sqlalchemy.orm import Session

from analysis.audit import audit_of
from analysis.tracked.artifacts import curves_artifact
from pipeline import addresses, names
from pipeline.system import signals as interrupts
from pipeline.system.signals import Interrupted, raise_if_stopped, stoppable
from pipeline.tracking import delivery
from pipeline.tracking import tracker as tracking
from pipeline.tracking.sweeps import Sweep
from pipeline.tracking.tracker import Tracker
from tests.support.configurations import configuration
from tests.tracking.test_cleanup import GONE
from tests.tracking.test_writers import RECORDS


@pytest.fixture
def trackers(
    tmp_path: Path, empty_database: Path, tracking_to: None, monkeypatch: pytest.MonkeyPatch
) -> tuple[Tracker, Tracker]:
    """The trackers of two processes."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    return Tracker("tests"), Tracker("tests")


@contextmanager
def overtaken(table: type[Any], write: Callable[[], object]) -> Iterator[list[str]]:
    """Lets another write go first between MLflow's look into a table and its insert."""
    happened: list[str] = []

    def before_flush(session: Session, *_: object) -> None:
        if not happened and any(isinstance(row, table) for row in session.new):
            happened.append(table.__tablename__)
            write()

    event.listen(Session, "before_flush", before_flush)
    try:
        yield happened
    finally:
        event.remove(Session, "before_flush", before_flush)


def test_two_sweeps_that_begin_at_once_share_their_data_set(trackers: tuple[Tracker, Tracker]) -> None:
    def begin(tracker: Tracker) -> str:
        return tracker.open_sweep(None, ["f"], [configuration({"data": "iris"})], ["seed"], "command", "folder")

    other: list[str] = []
    with overtaken(SqlDataset, lambda: other.append(begin(trackers[1]))) as happened:
        parent = begin(trackers[0])
    assert happened == ["datasets"]
    client = mlflow.MlflowClient()
    for run_id in (parent, *other):
        (used,) = client.get_run(run_id).inputs.dataset_inputs
        assert used.dataset.name == "iris"
    assert len({parent, *other}) == 2


def test_a_sweep_that_is_killed_before_it_has_listed_its_jobs_is_none(
    trackers: tuple[Tracker, Tracker], monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    config = configuration({"data": "iris"})
    monkeypatch.setattr(trackers[0]._client, "log_text", killed)
    with pytest.raises(KeyboardInterrupt):
        trackers[0].open_sweep(None, ["f"], [config], ["seed"], "command", "folder")
    client = mlflow.MlflowClient()
    (left,) = client.search_runs(["1"])
    assert trackers[1].begun_sweep(["f"], rerun=False) is None
    client.set_tag(left.info.run_id, names.DRIVER_TAG, GONE)
    trackers[1].close_leftovers()
    audit = audit_of("tests")
    assert (audit.sweeps, audit.jobs, audit.problems) == (0, 0, [])
    # One that goes on tells its new jobs before it says how many they are.
    parent = trackers[1].open_sweep(None, ["f"], [config], ["seed"], "command", "folder")
    begun = trackers[1].begun_sweep(["f", "g"], rerun=False)
    assert begun is not None
    assert begun.run_id == parent
    with pytest.raises(KeyboardInterrupt):
        trackers[0].open_sweep(begun, ["f", "g"], [config], ["seed"], "command", "folder")
    assert trackers[1].begun_sweep(["f"], rerun=False) == begun


def test_of_two_sweeps_that_end_at_once_the_last_one_describes_the_experiment(
    trackers: tuple[Tracker, Tracker],
) -> None:
    run_id = trackers[0].open_sweep(None, ["f"], [configuration({"data": "iris"})], ["seed"], "command", "folder")
    with overtaken(SqlExperimentTag, lambda: trackers[1].describe_sweep(run_id, "theirs", "", {})) as happened:
        trackers[0].describe_sweep(run_id, "ours", "", {})
    assert happened == ["experiment_tags"]
    note = mlflow.MlflowClient().get_experiment_by_name("tests").tags["mlflow.note.content"]
    assert note == addresses.linked_note("ours", "1", run_id)


def test_a_store_that_is_lost_while_a_sweep_ends_is_waited_for(
    trackers: tuple[Tracker, Tracker], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    parent = trackers[0].open_sweep(None, ["f"], [configuration({"data": "iris"})], ["seed"], "command", "folder")
    answers = iter([MlflowException("no connection"), None])

    def close_unended(*_: object) -> None:
        if (answer := next(answers)) is not None:
            raise answer

    monkeypatch.setattr(tracking, "close_unended", close_unended)
    monkeypatch.setattr(delivery, "FIRST_PAUSE", 0.01)
    with caplog.at_level("INFO"):
        trackers[0].finish_sweep(Sweep(parent, 1, ["seed"], str(tmp_path)))
    assert next(answers, "all given") == "all given"
    assert "refuses results (no connection)" in caplog.text
    assert "The tracking store is back" in caplog.text
    assert names.CURVES_FILE in [each.path for each in mlflow.MlflowClient().list_artifacts(parent)]


def test_a_table_of_curves_that_replaces_one_of_more_runs_is_merged_again(
    trackers: tuple[Tracker, Tracker], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two drivers of one sweep: the slower one has listed the runs before the other finishes its own."""
    parent = trackers[0].open_sweep(None, ["f"], [configuration({"data": "iris"})], ["seed"], "command", "folder")
    sweeps = [Sweep(parent, 2, ("seed",), str(tmp_path / driver)) for driver in ("slow", "fast")]

    def tracked(driver: int) -> None:
        tags = {names.PARENT_TAG: parent, names.FINGERPRINT_TAG: f"{driver:032x}"}
        assert trackers[driver].log([replace(RECORDS[0], tags=tags)], sweeps[driver])

    client = trackers[0]._client
    store_table = client.log_artifact

    def overtaken_table(*arguments: str) -> None:
        monkeypatch.setattr(client, "log_artifact", store_table)
        tracked(1)
        trackers[1].finish_sweep(sweeps[1])
        store_table(*arguments)

    monkeypatch.setattr(client, "log_artifact", overtaken_table)
    tracked(0)
    trackers[0].finish_sweep(sweeps[0])
    runs = mlflow.MlflowClient().search_runs(["1"], f"tags.`{names.PARENT_TAG}` = '{parent}'")
    assert len(runs) == 2
    assert {run_id for part in curves_artifact(client, parent) for run_id in part["run_id"]} == {
        run.info.run_id for run in runs
    }


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize("error", [None, KeyboardInterrupt, ValueError])
def test_a_sweep_that_another_driver_has_extended_is_ended_by_that_one(
    trackers: tuple[Tracker, Tracker], error: type[BaseException] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = configuration({"data": "iris"})
    parent = trackers[0].open_sweep(None, ["f"], [config], ["seed"], "command", "folder")
    short, extended = (Sweep(parent, jobs, ("seed",), "folder") for jobs in (1, 2))
    client = mlflow.MlflowClient()
    with suppress(KeyboardInterrupt, ValueError), trackers[0].closing_sweep(short):
        begun = trackers[1].begun_sweep(["f", "g"], rerun=False)
        set_tag = trackers[1]._client.set_tag

        def overtaken(run_id: str, key: str, value: str) -> None:
            if key == names.SWEEP_TAG:
                trackers[0]._end(short, "FINISHED")
            set_tag(run_id, key, value)

        monkeypatch.setattr(trackers[1]._client, "set_tag", overtaken)
        trackers[1].open_sweep(begun, ["f", "g"], [config], ["seed"], "command", "folder")
        assert client.get_run(parent).info.status == "RUNNING"
        if error is not None:
            raise error
    assert client.get_run(parent).info.status == "RUNNING"
    with trackers[1].closing_sweep(extended):
        pass
    assert client.get_run(parent).info.status == "FINISHED"


def test_a_store_that_does_not_answer_keeps_an_interrupted_sweep_no_longer_than_the_user_s_patience(
    trackers: tuple[Tracker, Tracker], handlers: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def silent(run_id: str, status: str) -> None:
        asked.append(status)
        time.sleep(60)
        asked.append("waited for")

    monkeypatch.setattr(interrupts, "PATIENCE", 0.1)
    monkeypatch.setattr(interrupts, "LAST_PATIENCE", 0.1)
    monkeypatch.setattr(trackers[0]._writer, "end", silent)
    parent = trackers[0].open_sweep(None, ["f"], [configuration({"data": "iris"})], ["seed"], "command", "folder")

    def stopped() -> None:
        with trackers[0].closing_sweep(Sweep(parent, 1, ("seed",), "folder")):
            os.kill(os.getpid(), signal.SIGINT)
            raise_if_stopped()

    with pytest.raises(Interrupted), stoppable():
        stopped()
    assert asked == ["KILLED"]
