"""A sweep that is stopped ends at once, keeps what was trained, and goes on when the command is said again."""

import signal
from pathlib import Path

import pytest
from mlflow import MlflowClient

from analysis.audit import Audit
from pipeline import names
from tests.end_to_end.test_resume import job_folders, parents
from tests.support.sweeps import JOBS, SWEEP, HaltedTraining, audited, completed, interrupted_at, started, wait_for

pytestmark = pytest.mark.usefixtures("with_database")


@pytest.mark.slow
@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_sweep_that_is_stopped_tracks_what_is_finished_and_goes_on_when_asked_again(
    tmp_path: Path, undisturbed: Audit, signum: signal.Signals, code: int
) -> None:
    with started(tmp_path, **HaltedTraining(tmp_path).environment) as process:
        assert wait_for(tmp_path, "jobs: best loss", process)
        process.send_signal(signum)
        assert process.wait(timeout=60) == code  # Training is halted for ever.
    output = (tmp_path / "output.txt").read_text(encoding="utf-8")
    assert (
        f"Stopped by {signum.name}. What was trained is tracked; to go on, say again: python -m pipeline.run -m"
        in output
    )
    assert "Traceback" not in output
    (parent,) = parents(tmp_path)
    assert parent["status"] == "KILLED"
    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    runs = client.search_runs(["1"], f"tags.`{names.PARENT_TAG}` = '{parent['id']}'")
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert 0 < len(runs) < JOBS
    again = completed(tmp_path)
    assert f"{JOBS} jobs: {len(runs)} already tracked, {JOBS - len(runs)} to train" in again
    audited(tmp_path, like=undisturbed)
    assert len(parents(tmp_path)) == 1
    assert len(list(tmp_path.glob("multirun/*/*"))) == 1
    assert sorted(map(int, job_folders(tmp_path))) == list(range(JOBS))


@pytest.mark.soak
def test_the_basic_launcher_stops_and_goes_on_too(tmp_path: Path, undisturbed: Audit) -> None:
    with started(tmp_path, *SWEEP, "hydra/launcher=basic") as process:
        assert wait_for(tmp_path, "distinct_units", process, times=3)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 130
    # Another launcher may go on.
    assert " 0 already tracked" not in completed(tmp_path)
    audited(tmp_path, like=undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize(
    "place", ["pipeline.tracking.tracker:dataset_inputs", "pipeline.tracking.tracker:Tracker.closing_sweep"]
)
def test_a_sweep_that_is_stopped_while_it_opens_is_closed_too(tmp_path: Path, place: str) -> None:
    with started(tmp_path, *SWEEP, "executor=inline", **interrupted_at(tmp_path, place)) as process:
        assert process.wait(timeout=300) == 130
    output = (tmp_path / "output.txt").read_text(encoding="utf-8")
    assert "Stopped by SIGINT. What was trained is tracked; to go on, say again: python -m pipeline.run -m" in output
    assert "Traceback" not in output
    (parent,) = parents(tmp_path)
    assert parent["status"] == "KILLED"
