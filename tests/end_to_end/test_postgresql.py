"""A tracking server with PostgreSQL: several drivers at once, what it and its database survive, few requests."""

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing.pool import ThreadPool
from pathlib import Path
from threading import Barrier
from typing import NamedTuple

import mlflow
import pytest
from mlflow import MlflowClient

from analysis.audit import Audit, audit_of, differences
from pipeline.tracking.store.api_writer import PublicCalls
from pipeline.tracking.tracker import Tracker
from tests.support.command_line import command
from tests.support.configurations import configuration
from tests.support.database_servers import PostgreSQL, postgresql
from tests.support.sweeps import JOBS, SWEEP, HaltedTraining, completed_apart, started, wait_for
from tests.support.tracking_server import TrackingServer, free_port, tracking_server
from tests.tracking.test_writers import RECORDS

pytestmark = pytest.mark.slow
PART = (*SWEEP, "seed=range(3)")
"""48 of the jobs of ``SWEEP``."""
PROGRESS = "jobs: best loss"
REFUSES = "The tracking store refuses results"


class Tracking(NamedTuple):
    database: PostgreSQL
    server: TrackingServer


@pytest.fixture(scope="module")
def tracking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tracking]:
    with (
        postgresql() as database,
        tracking_server(tmp_path_factory.mktemp("server"), free_port(), database.address()) as server,
    ):
        yield Tracking(database, server)


def tracked_as(name: str, uri: str) -> dict[str, str]:
    """The environment of a command that tracks to an experiment there."""
    return {"MLFLOW_TRACKING_URI": uri, "MLFLOW_EXPERIMENT_NAME": name}


def printed(folder: Path) -> str:
    return (folder / "output.txt").read_text(encoding="utf-8")


def audited(name: str, uri: str, like: Audit, *, thorough: bool = True) -> None:
    """Every job once, with the numbers of an undisturbed sweep; a thorough audit asks for each metric of each run."""
    audit = audit_of(name, thorough=thorough, tracking_uri=uri)
    assert audit.problems == []
    assert audit.jobs == audit.finished == JOBS
    assert differences(audit, like) == []


def test_a_run_costs_five_requests_and_reads_back(tracking: Tracking) -> None:
    client = MlflowClient(tracking.server.uri)
    experiment = client.create_experiment("requests")
    writer = PublicCalls(client, experiment)
    before = tracking.server.requests()
    run_ids = writer.write(RECORDS)
    assert tracking.server.requests() - before == 5 * len(RECORDS)
    for run_id, tracked in zip(run_ids, RECORDS, strict=True):
        run = client.get_run(run_id)
        assert (run.info.status, run.info.end_time) == (tracked.status, tracked.end_time)
        assert tracked.tags.items() <= run.data.tags.items()
        assert {key: value for key, value in tracked.params.items() if value} == {
            key: value for key, value in run.data.params.items() if value
        }
        points = client.get_metric_history(run_id, "zero") + client.get_metric_history(run_id, "loss/train")
        assert [repr(point.value) for point in points] == [
            repr(value) for key in ("zero", "loss/train") for name, value, _ in tracked.metrics if name == key
        ]


def test_sweeps_that_open_at_the_same_moment_enter_their_data_once(tracking: Tracking, tracking_to: None) -> None:
    mlflow.set_tracking_uri(tracking.server.uri)
    together = Barrier(4)

    def opened(number: int) -> list[str]:
        tracker = Tracker("data")
        parents = []
        for seed in range(8):
            config = configuration({"data": "moons", "data.seed": seed, "seed": number})
            together.wait(timeout=30)
            parents.append(tracker.open_sweep(None, [f"{number:032x}"], [config], [], "command", ""))
        return parents

    with ThreadPool(together.parties) as pool:
        parents = [parent for each in pool.map(opened, range(together.parties)) for parent in each]
    data = [MlflowClient().get_run(parent).inputs.dataset_inputs for parent in parents]
    assert [len(each) for each in data] == [1] * len(parents)
    assert len({each.dataset.digest for (each,) in data}) == 8


def test_two_drivers_share_a_server_that_is_killed_and_one_driver_too(
    tmp_path: Path, tracking: Tracking, undisturbed: Audit
) -> None:
    server = tracking.server
    here, there = tmp_path / "here", tmp_path / "there"
    environment = tracked_as("drivers", server.uri)
    for folder in (here, there):
        folder.mkdir()
    training = HaltedTraining(here)
    with (
        started(here, *PART, **environment, **training.environment) as one,
        started(there, *SWEEP, **environment) as other,
    ):
        assert wait_for(here, PROGRESS, one), printed(here)
        assert wait_for(there, PROGRESS, other), printed(there)
        server.kill()
        training.end()
        assert wait_for(here, REFUSES, one), printed(here)
        os.killpg(other.pid, signal.SIGKILL)
        server.start()
        assert one.wait(timeout=120) == 0, printed(here)
    assert "The tracking store is back" in printed(here)
    assert "Traceback" not in printed(here) + printed(there)
    continued = completed_apart(there, *SWEEP, **environment)
    assert f"{JOBS} jobs: " in continued
    assert " 0 already tracked" not in continued
    audited("drivers", server.uri, undisturbed, thorough=False)

    before = server.requests()
    again = completed_apart(here, **environment)
    assert f"{JOBS} already tracked, 0 to train" in again
    # None of them for a run alone.
    assert server.requests() - before < 20


@contextmanager
def restarted(database: PostgreSQL) -> Iterator[None]:
    database.stop()
    yield
    database.start()


@pytest.mark.soak
def test_a_database_that_goes_away_behind_the_server_is_waited_for(
    tmp_path: Path, tracking: Tracking, undisturbed: Audit
) -> None:
    environment = tracked_as("restart", tracking.server.uri)
    with started(tmp_path, *SWEEP, **environment) as process:
        assert wait_for(tmp_path, PROGRESS, process), printed(tmp_path)
        with restarted(tracking.database):
            assert wait_for(tmp_path, REFUSES, process), printed(tmp_path)
        assert process.wait(timeout=120) == 0, printed(tmp_path)
    assert "Traceback" not in printed(tmp_path)
    audited("restart", tracking.server.uri, undisturbed)


@pytest.mark.soak
def test_two_drivers_start_the_same_sweep_at_once_and_the_report_reads_it(
    tmp_path: Path, tracking: Tracking, undisturbed: Audit
) -> None:
    environment = tracked_as("same", tracking.server.uri)
    here, there = tmp_path / "here", tmp_path / "there"
    for folder in (here, there):
        folder.mkdir()
    with started(here, **environment) as one, started(there, **environment) as other:
        assert one.wait(timeout=120) == 0, printed(here)
        assert other.wait(timeout=120) == 0, printed(there)
    audited("same", tracking.server.uri, undisturbed)
    before = tracking.server.requests()
    report = command("analysis.report", folder=here, **environment)
    assert report.returncode == 0, report.stderr
    # It fetches the weights of the networks that it draws, in two requests and more each, and not those of every run.
    assert tracking.server.requests() - before < 2 * JOBS
    assert f"{JOBS} runs" in (here / "reports" / "same" / "index.html").read_text(encoding="utf-8")


def test_four_drivers_without_a_server_of_which_one_is_killed(
    tmp_path: Path, tracking: Tracking, undisturbed: Audit
) -> None:
    tracking.database.create("direct")
    address = tracking.database.address("direct")
    environment = tracked_as("direct", address)
    folders = [tmp_path / name for name in ("one", "two", "three", "four")]
    with ExitStack() as drivers:
        for folder in folders:
            folder.mkdir()
        processes = [drivers.enter_context(started(folder, *SWEEP, **environment)) for folder in folders]
        assert wait_for(folders[0], PROGRESS, processes[0]), printed(folders[0])
        os.killpg(processes[0].pid, signal.SIGKILL)
        for folder, process in zip(folders[1:], processes[1:], strict=True):
            assert process.wait(timeout=240) == 0, printed(folder)
            assert "Traceback" not in printed(folder)
            assert "slower" not in printed(folder)
    assert f"{JOBS} already tracked, 0 to train" in completed_apart(folders[0], *SWEEP, **environment)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        audited("direct", address, undisturbed)
