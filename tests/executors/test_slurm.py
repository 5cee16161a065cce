"""Sweeps on Slurm: a real controller with two nodes on loopback, whose parts die; every run once, same bits."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from analysis.audit import Audit
from pipeline.errors import ExecutorLostError, InputError
from pipeline.executors.batch import Batch, Failure
from pipeline.executors.interface import open_executor
from pipeline.training.stack import RunResult
from tests.executors.test_batch import died, drained, jobs
from tests.support.command_line import PROJECT, command
from tests.support.configurations import configuration
from tests.support.slurm_cluster import SlurmCluster, missing_programs, slurm_cluster, wait_until
from tests.support.sweeps import SWEEP, HaltedTraining, audited, completed, completed_apart, started, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("with_database")]
pytest.importorskip("dask_jobqueue", reason="needs: pip install dask-jobqueue")
if missing := missing_programs():
    pytest.skip(
        f"needs Slurm (apt-get install slurm-wlm munge), found no {', '.join(missing)}", allow_module_level=True
    )

from pipeline.executors import job_keeper  # noqa: E402

SLURM = ("executor=slurm", "executor.interface=lo")


@pytest.fixture(scope="module")
def cluster() -> Iterator[SlurmCluster]:
    # Not pytest's folder: the path of a socket must be short.
    with TemporaryDirectory(prefix="slurm-", ignore_cleanup_errors=True) as folder, slurm_cluster(Path(folder)) as it:
        yield it


@pytest.fixture
def here(tmp_path: Path, cluster: SlurmCluster, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which this process can use the cluster."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SLURM_CONF", str(cluster.configuration))
    monkeypatch.setenv("PYTHONPATH", str(PROJECT))
    monkeypatch.setattr(job_keeper, "LOOK", 0.5)
    return tmp_path


def opened(**options: Any) -> closing[Any]:
    keys = {f"executor.{key}": value for key, value in ({"interface": "lo", "jobs": 1} | options).items()}
    return open_executor(configuration({"executor": "slurm"} | keys).executor)


def printed(folder: Path) -> str:
    return (folder / "output.txt").read_text(encoding="utf-8")


def states(cluster: SlurmCluster) -> dict[str, str]:
    """The state of every job that Slurm remembers."""
    lines = cluster.run("squeue", "--noheader", "--states=all", "--format=%A %T").splitlines()
    return dict(line.split() for line in lines)


@contextmanager
def halted_in_training(folder: Path, cluster: SlurmCluster, *options: str) -> Iterator[tuple[Any, Any, list[str]]]:
    """A sweep under way on four jobs, each of which holds a batch that it trains when the test lets it.

    Yields:
        The driver, the halt, and the jobs by number.
    """
    halted = HaltedTraining(folder)
    environment = cluster.environment | halted.environment
    with started(folder, *SWEEP, *SLURM, "executor.jobs=4", *options, **environment) as process:
        wait_until(lambda: has_begun(folder) >= 4, seconds=240)
        halted.let_pass(2)  # A line of progress tells of a tenth of the jobs, and a batch has fewer.
        assert wait_for(folder, "failed", process), printed(folder)
        yield process, halted, sorted(cluster.running())


def has_begun(folder: Path) -> int:
    """How many jobs had a worker that has joined, and so a batch."""
    return sum("Registered to" in log.read_text(encoding="utf-8") for log in folder.glob("jobs/*.err"))


def processes_of(cluster: SlurmCluster, job: str) -> list[int]:
    """The Dask processes of a job, those that watch over others first."""
    found = []
    for pid in cluster.processes_of(job):
        words = Path(f"/proc/{pid}/cmdline").read_bytes()
        if b"dask_worker" in words or b"spawn_main" in words:
            found.append(pid)
    return found


def test_jobs_a_node_and_the_controller_die_and_nothing_is_lost_or_there_twice(
    tmp_path: Path, cluster: SlurmCluster, undisturbed: Audit
) -> None:
    with halted_in_training(tmp_path, cluster) as (process, halted, begun):
        nodes = cluster.running()
        by_node = {node: [job for job in begun if nodes[job] == node] for node in set(nodes.values())}
        (killed, overdue), (lost, cancelled) = by_node["n1"], by_node["n2"]
        cluster.run("scontrol", "update", f"jobid={overdue}", "timelimit=1")
        cluster.kill_controller()
        time.sleep(1)
        cluster.start_controller()
        for pid in processes_of(cluster, killed):
            os.kill(pid, signal.SIGKILL)
        cluster.run("scancel", cancelled)
        wait_until(lambda: cancelled not in cluster.running(), seconds=60)
        cluster.kill_node("n2")
        wait_until(lambda: overdue not in cluster.running(), seconds=150)
        halted.end()
        assert process.wait(timeout=300) == 0, printed(tmp_path)
        ended = states(cluster)
        cluster.start_node("n2")
    assert [ended[job] for job in (killed, cancelled, overdue)] == ["FAILED", "CANCELLED", "TIMEOUT"]
    assert ended[lost] in ("NODE_FAIL", "CANCELLED")  # As Slurm or the driver was first to miss it.
    assert "Traceback" not in printed(tmp_path)
    audited(tmp_path, like=undisturbed)
    wait_until(lambda: cluster.run("squeue", "--noheader") == "")


def test_a_sweep_that_is_preempted_and_then_stopped_leaves_no_job_and_goes_on_without_slurm(
    tmp_path: Path, cluster: SlurmCluster, undisturbed: Audit
) -> None:
    with halted_in_training(tmp_path, cluster) as (process, halted, begun):
        nodes = cluster.running()
        cluster.run("sbatch", "--partition=urgent", "--nodelist=n1", "--exclusive", "--output=/dev/null", "--wrap=true")
        preempted = [job for job in begun if nodes[job] == "n1"]
        wait_until(lambda: all(states(cluster)[job] == "PREEMPTED" for job in preempted))
        wait_until(lambda: has_begun(tmp_path) >= 4 + len(preempted))
        halted.let_pass(2)
        assert wait_for(tmp_path, "failed", process, times=2), printed(tmp_path)
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(timeout=60) == 130  # The jobs are halted for ever.
    wait_until(lambda: not cluster.run("squeue", "--noheader"))
    assert "Traceback" not in printed(tmp_path)
    assert list((tmp_path / "jobs").glob(".tls-*")) == []
    completed(tmp_path, *SWEEP, "executor=inline")
    audited(tmp_path, like=undisturbed)


@pytest.mark.soak
def test_a_killed_driver_s_jobs_end_by_themselves(tmp_path: Path, cluster: SlurmCluster, undisturbed: Audit) -> None:
    with halted_in_training(tmp_path, cluster) as (process, halted, _):
        process.kill()
        process.wait()
        wait_until(lambda: not cluster.running())
        halted.end()
        completed_apart(tmp_path, *SWEEP, *SLURM, "executor.jobs=4", **cluster.environment)
    audited(tmp_path, like=undisturbed)


def test_a_batch_that_kills_its_workers_is_given_up_after_three_and_the_others_go_on(here: Path) -> None:
    with opened(cores=2) as executor:
        executor.submit(Batch((0,), jobs(1)))
        assert len(list(drained(executor))) == 1
        executor._under_way[executor._client.submit(died, pure=False)] = Batch((7, 8), jobs(2))
        executor.submit(Batch((1,), jobs(1)))
        done = {batch.jobs: trained.outcomes for batch, trained in drained(executor)}
    assert [isinstance(each, Failure) and each.cause.startswith("3 workers died") for each in done[7, 8]] == [True] * 2
    assert isinstance(done[1,][0], RunResult)


@pytest.mark.parametrize(
    ("options", "cause"),
    [
        ({"job_kwargs": {"python": "/nowhere/python"}}, "No such file or directory"),
        (
            {
                "scheduler_options": {"contact_address": "tls://127.0.0.1:1"},
                "job_kwargs": {"death_timeout": 2},
            },
            "",
        ),
    ],
)
def test_jobs_whose_workers_never_come_end_the_sweep_with_what_they_said(
    here: Path, options: dict[str, Any], cause: str
) -> None:
    with opened(**options) as executor:
        executor.submit(Batch((0,), jobs(1)))
        with pytest.raises(
            ExecutorLostError, match=r"^3 jobs ended before .*; compute nodes .*executor.interface"
        ) as told:
            executor.wait()
    assert cause in str(told.value)
    assert "\n" not in str(told.value)


def test_a_controller_that_stays_away_is_given_up_in_one_line(
    here: Path, cluster: SlurmCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_keeper, "PATIENCE", 1.0)
    slow = configuration({"training.steps": 1_000_000})
    with opened() as executor:
        executor.submit(Batch((0,), (slow,)))
        executor._open()
        wait_until(lambda: bool(executor._keeper.news()))
        cluster.kill_controller()
        try:
            with pytest.raises(ExecutorLostError, match=r"^squeue did not answer for 1 s: "):
                executor.wait()
        finally:
            cluster.start_controller()


def test_closing_waits_for_what_the_controller_was_asked_last(here: Path) -> None:
    asked, answered = here / "asked", here / "answered"
    with opened() as executor:
        executor.submit(Batch((0,), jobs(1)))
        assert len(list(drained(executor))) == 1
        executor._keeper._listing = ["sh", "-c", f"touch '{asked}'; sleep 3; squeue --me -hO JobID; touch '{answered}'"]
        wait_until(asked.exists)
    assert answered.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("executor.queue=nowhere",), "executor: expected keys that make a job for sbatch, got "),
        (("executor.memory=99999GB",), "executor: expected keys that make a job for sbatch, got "),
        (("executor.job_extra_directives=[--nonsense]",), "executor: expected keys that make a job for sbatch, got "),
        (("executor.interface=eth99",), "executor: expected keys that SLURMCluster takes, got "),
        (("+executor.job_kwargs.nonsense=1",), "executor: expected keys that SLURMCluster takes, got "),
        (("executor.walltime=60",), "executor.walltime: expected text or null, got 60"),
        (("executor.walltime=1:60:00",), "executor.walltime: expected HH:MM:SS, got '1:60:00'"),
    ],
)
def test_what_slurm_cannot_take_is_told_in_one_line(
    tmp_path: Path, cluster: SlurmCluster, arguments: tuple[str, ...], words: str
) -> None:
    done = command("pipeline.run", *SWEEP, *SLURM, *arguments, folder=tmp_path, **cluster.environment)
    assert done.returncode == 1
    assert done.stderr.startswith(words)
    assert done.stderr.count("\n") == 1


def test_without_slurm_one_line_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(InputError, match=r"^executor: expected a machine with sbatch for executor=slurm, found none$"):
        opened()
