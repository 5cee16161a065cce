"""Folders and files with odd names, folders that refuse, and a clock that jumps."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import mlflow
import pytest
from mlflow import MlflowClient

from pipeline import names
from pipeline.system.process_identity import this_driver
from pipeline.tracking.store.cleanup import close_leftovers
from pipeline.tracking.tracker import Tracker
from tests.support.in_process import call
from tests.tracking.test_cleanup import GONE

ODD = "it's ä ∂ & $HOME;[x]"
"""Not with both kinds of quotes: MLflow itself cannot make an experiment there, which is told in one line."""
TABLE_NAME = ODD + '".csv'
TABLE = "x,y,kind\n" + "".join(f"{i % 7},{i % 5},{'ab'[i % 2]}\n" for i in range(40))
FEW = ("-m", "model=logistic", "init=zeros", "optimizer.learning_rate=0.1", "seed=0,1", "training.steps=2",
       "training.batch_size=null", "executor=inline")  # fmt: skip


def quoted(value: str) -> str:
    """A value on Hydra's command line."""
    return "'" + value.replace("'", "\\'") + "'"


def test_a_sweep_and_its_report_work_in_a_folder_with_an_odd_name(tmp_path: Path, empty_database: Path) -> None:
    """The project's folder, the data file and the report's folder, one of them reached over ``..``."""
    folder = tmp_path / ODD
    (folder / "inner").mkdir(parents=True)
    shutil.copy(empty_database, folder / "mlflow.db")
    (folder / TABLE_NAME).write_text(TABLE, encoding="utf-8")
    data = ("data=csv", f"data.path={quoted(f'inner/../{TABLE_NAME}')}", "data.target=kind")
    swept = call("pipeline.run", *FEW, *data, folder=folder)
    assert swept.returncode == 0, swept.stderr
    reported = call(
        "analysis.report", "--output", f"inner/../{ODD}.reports", "--only", "loss_over_steps", folder=folder
    )
    assert reported.returncode == 0, reported.stderr
    assert (folder / f"{ODD}.reports" / "symmetry" / "loss_over_steps.png").exists()
    audited = call("analysis.audit", "--thorough", folder=folder)
    assert audited.returncode == 0, audited.stdout + audited.stderr
    assert "2 finished runs" in audited.stdout
    assert [path.name for path in tmp_path.iterdir()] == [ODD]


@pytest.mark.parametrize("name", ["a#b", "a'b\"c", "a%20b"])
def test_a_folder_in_which_mlflow_would_lose_artifacts_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    completed = call("pipeline.run", "training.steps=1", folder=folder)
    assert completed.returncode == 1
    assert len(completed.stderr.splitlines()) == 1, completed.stderr
    assert not list(folder.glob("mlruns/*/*"))
    assert list(tmp_path.iterdir()) == [folder]


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    """A folder in which even root may not write."""
    folder = tmp_path / "read only"
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(folder)], capture_output=True, check=False)
    if made.returncode != 0:
        pytest.skip("mounting a read-only file system is not permitted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.parametrize("arguments", [("training.steps=1",), FEW], ids=["run", "sweep"])
def test_a_read_only_folder_is_told_in_one_line(read_only: Path, arguments: tuple[str, ...]) -> None:
    completed = call("pipeline.run", *arguments, folder=read_only)
    assert completed.returncode == 1
    assert len(completed.stderr.splitlines()) == 1, completed.stderr
    assert "ead-only file system" in completed.stderr


def test_a_read_only_folder_of_reports_is_told_in_one_line(read_only: Path, swept: tuple[Path, str]) -> None:
    completed = call("analysis.report", "--output", str(read_only / "reports"), folder=swept[0])
    assert completed.returncode == 1
    assert len(completed.stderr.splitlines()) == 1, completed.stderr
    assert "ead-only file system" in completed.stderr


def test_a_clock_that_jumps_back_neither_trains_again_nor_closes_what_lives(
    tmp_path: Path, with_database: None, tracking_to: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is finished is known by its fingerprint, a living process by itself: neither by the time."""
    trained = call("pipeline.run", *FEW, folder=tmp_path)
    assert trained.returncode == 0, trained.stderr
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    client = MlflowClient(uri)
    (parent,) = client.search_runs(["1"], f"tags.`{names.SWEEP_TAG}` != ''")
    fingerprints = [run.data.tags[names.FINGERPRINT_TAG] for run in client.search_runs(["1"], "params.seed != ''")]
    now = time.time()
    for jump in (-1e9, 1e9):
        monkeypatch.setattr(time, "time", lambda jump=jump: now + jump)
        monkeypatch.chdir(tmp_path)
        mlflow.set_tracking_uri(uri)
        tracker = Tracker("symmetry")
        assert sorted(run.fingerprint for run in tracker.delete_repeated_runs()) == sorted(fingerprints)
        begun = tracker.begun_sweep(fingerprints, rerun=False)
        assert begun is not None
        assert begun.run_id == parent.info.run_id
        # A process that lives keeps its run, one that is gone does not, whatever the clock says of either.
        living, gone = (
            client.create_run("1", tags={names.DRIVER_TAG: driver}, start_time=int((now - jump) * 1000)).info.run_id
            for driver in (this_driver(), GONE)
        )
        assert close_leftovers(client, "1", None) == 1
        assert client.get_run(living).info.status == "RUNNING"
        assert client.get_run(gone).info.status == "KILLED"
        client.set_terminated(living)
