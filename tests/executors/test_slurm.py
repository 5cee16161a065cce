"""Sweeps on Slurm: a real controller with two nodes on loopback, whose parts die; every run once, same bits."""

import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from analysis.audit import Audit
from pipeline.errors import ExecutorLostError, InputError
from pipeline.executors.batch import Batch, Failure
from pipeline.executors.interface import open_executor
from pipeline.executors.remote_work import Work
from pipeline.training.stack import RunResult
from tests.executors.test_batch import died, drained, jobs
from tests.support.command_line import PROJECT, command
from tests.support.configurations import configuration
from tests.support.slurm_cluster import SlurmCluster, missing_programs, slurm_cluster, wait_until
from tests.support.sweeps import SWEEP, audited, completed, completed_apart, started, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("with_database")]
pytest.importorskip("submitit", reason="needs: pip install submitit")
if missing := missing_programs():
    pytest.skip(
        f"needs Slurm (apt-get install slurm-wlm munge), found no {', '.join(missing)}", allow_module_level=True
    )

from pipeline.executors import slurm  # noqa: E402


class Deadly(Work):
    """A batch that kills whoever unpacks it."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (died, ())


def broken(folder: Path) -> None:
    raise RuntimeError(f"no package in {folder.name}")


@pytest.fixture(scope="module")
def cluster() -> Iterator[SlurmCluster]:
    # Not pytest's folder: the path of a socket must be short.
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))
    with slurm_cluster(folder) as there:
        yield there
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def here(tmp_path: Path, cluster: SlurmCluster, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which this process can use the cluster."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SLURM_CONF", str(cluster.configuration))
    monkeypatch.setenv("PYTHONPATH", str(PROJECT))
    monkeypatch.setattr(slurm, "ASKING_INTERVAL", 0.5)
    return tmp_path


def opened(**options: Any) -> closing[Any]:
    chosen = {"executor": "slurm", "executor.array": 1} | {f"executor.{key}": value for key, value in options.items()}
    return open_executor(configuration(chosen).executor)


def printed(folder: Path) -> str:
    return (folder / "output.txt").read_text(encoding="utf-8")


HALT = """
import os, signal
from pathlib import Path
here = Path(__file__).parent
if "SLURM_PROCID" in os.environ and (here / "halt").exists():
    from pipeline.executors import exchange
    train = exchange.train_elsewhere
    job = "{SLURM_ARRAY_JOB_ID}_{SLURM_ARRAY_TASK_ID}".format(**os.environ)
    held = here / f"{job}.{os.getpid()}"
    held.touch()
    def train_when_released(work):
        while held.exists():
            os.kill(os.getpid(), signal.SIGSTOP)
        return train(work)
    exchange.train_elsewhere = train_when_released
"""
"""A sitecustomize: jobs that start while a file asks for it halt in their first batch, again and again if Slurm wakes
them up to let them finish, so that it has to kill them."""


@contextmanager
def halted_in_training(folder: Path, cluster: SlurmCluster, *options: str) -> Iterator[tuple[Any, dict[str, Path]]]:
    """A sweep under way, and four of its jobs, each halted while it holds a batch.

    Yields:
        The driver, and by the job's name a file that holds it; its suffix is the job's process.
    """
    jobs = folder / "jobs"
    jobs.mkdir()
    (jobs / "sitecustomize.py").write_text(HALT, encoding="utf-8")
    (jobs / "halt").touch()
    environment = cluster.environment | {"PYTHONPATH": f"{jobs}:{PROJECT}"}
    with started(folder, *SWEEP, "executor=slurm", *options, **environment) as process:
        wait_until(lambda: len(list(folder.glob("slurm/sweep-*/taken/*"))) == 4, seconds=240)
        (jobs / "halt").unlink()
        yield process, {held.stem: held for held in jobs.glob("*_*.*")}


def process_of(held: Path) -> int:
    return int(held.suffix[1:])


def test_jobs_a_node_and_the_controller_die_and_nothing_is_lost_or_there_twice(
    tmp_path: Path, cluster: SlurmCluster, undisturbed: Audit
) -> None:
    with halted_in_training(tmp_path, cluster, "executor.array=4", "executor.time=1") as (process, halted):
        nodes = cluster.running()
        by_node = {node: [job for job in halted if nodes[job] == node] for node in set(nodes.values())}
        (killed, overdue), (lost, cancelled) = by_node["n1"], by_node["n2"]
        for job in (killed, lost, cancelled):  # On a slow machine too only one is overdue.
            cluster.run("scontrol", "update", f"jobid={job}", "timelimit=10")
        cluster.kill_controller()
        time.sleep(1)
        cluster.start_controller()
        os.kill(process_of(halted[killed]), signal.SIGKILL)
        cluster.run("scancel", cancelled)
        wait_until(lambda: cancelled not in cluster.running(), seconds=60)
        cluster.kill_node("n2")
        wait_until(lambda: overdue not in cluster.running(), seconds=150)
        assert process.wait(timeout=300) == 0, printed(tmp_path)
        cluster.start_node("n2")
    for job, state in ((killed, "FAILED"), (cancelled, "CANCELLED"), (lost, "NODE_FAIL"), (overdue, "TIMEOUT")):
        assert f"Slurm job {job} ended ({state})" in printed(tmp_path)
    assert "Traceback" not in printed(tmp_path)
    audited(tmp_path, like=undisturbed)
    assert list((tmp_path / "slurm").iterdir()) == []


def test_a_sweep_that_is_preempted_and_then_stopped_leaves_no_job_and_goes_on_without_slurm(
    tmp_path: Path, cluster: SlurmCluster, undisturbed: Audit
) -> None:
    with halted_in_training(tmp_path, cluster, "executor.array=5") as (process, halted):
        nodes = cluster.running()
        cluster.run("sbatch", "--partition=urgent", "--nodelist=n1", "--exclusive", "--output=/dev/null", "--wrap=true")
        assert wait_for(tmp_path, "ended (PREEMPTED); the batch", process, times=2), printed(tmp_path)
        assert {job for job in halted if f"Slurm job {job} ended" in printed(tmp_path)} == {
            job for job in halted if nodes[job] == "n1"
        }
        assert wait_for(tmp_path, "jobs: best loss", process), printed(tmp_path)
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(timeout=60) == 130  # The jobs are halted for ever.
    wait_until(lambda: cluster.run("squeue", "--noheader") == "")
    assert list((tmp_path / "slurm").iterdir()) == []
    assert "Traceback" not in printed(tmp_path)
    completed(tmp_path, *SWEEP, "executor=inline")
    audited(tmp_path, like=undisturbed)


@pytest.mark.soak
def test_a_killed_driver_s_jobs_are_ended_by_the_next_one(
    tmp_path: Path, cluster: SlurmCluster, undisturbed: Audit
) -> None:
    with halted_in_training(tmp_path, cluster, "executor.array=4") as (process, halted):
        process.kill()
        process.wait()
        assert set(cluster.running()) == set(halted)
        completed_apart(tmp_path, *SWEEP, "executor=slurm", "executor.array=4", **cluster.environment)
    wait_until(lambda: not halted.keys() & cluster.running().keys())
    audited(tmp_path, like=undisturbed)
    assert list((tmp_path / "slurm").iterdir()) == []


def test_a_batch_that_kills_its_jobs_is_given_up_after_three_and_the_others_go_on(here: Path) -> None:
    with opened() as executor:
        executor.submit(Batch((7, 8), jobs(2)))
        executor._exchange.put(1, Deadly((), {}, ""))
        executor.submit(Batch((0,), jobs(1)))
        done = {batch.jobs: trained.outcomes for batch, trained in drained(executor)}
    for outcome in done[7, 8]:
        assert isinstance(outcome, Failure)
        assert outcome.cause.startswith("3 Slurm jobs ended while they trained this batch, the last one ")
        assert outcome.cause.endswith("(FAILED)")
        assert "srun: error" in outcome.traceback
    assert isinstance(done[0,][0], RunResult)


def test_jobs_that_cannot_begin_end_the_sweep_with_what_they_said(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slurm, "_work", broken)
    with opened() as executor:
        executor.submit(Batch((0,), jobs(1)))
        with pytest.raises(ExecutorLostError, match=r"^3 Slurm jobs .*, \d+ last, ended before .* \(FAILED\): "):
            executor.wait()


def test_a_controller_that_stays_away_is_given_up_in_one_line(
    here: Path, cluster: SlurmCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slurm, "PATIENCE", 1.0)
    slow = configuration({"training.steps": 1_000_000})
    with opened() as executor:
        executor.submit(Batch((0,), (slow,)))
        executor._look_after_jobs(executor._exchange)
        cluster.kill_controller()
        try:
            with pytest.raises(ExecutorLostError, match=r"^Slurm did not answer for 1 s: "):
                executor.wait()
        finally:
            cluster.start_controller()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("executor.partition=nowhere",), "executor: expected a partition, sizes and options that sbatch takes, got "),
        (("executor.memory=99999999",), "executor: expected a partition, sizes and options that sbatch takes, got "),
        (("executor.time=0",), "executor.time: expected a whole number >= 1, got 0"),
    ],
)
def test_what_slurm_cannot_take_is_told_in_one_line(
    tmp_path: Path, cluster: SlurmCluster, arguments: tuple[str, ...], words: str
) -> None:
    done = command("pipeline.run", *SWEEP, "executor=slurm", *arguments, folder=tmp_path, **cluster.environment)
    assert done.returncode == 1
    assert done.stderr.startswith(words)
    assert done.stderr.count("\n") == 1


def test_without_slurm_or_submitit_one_line_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as change:
        change.setenv("PATH", "/nowhere")
        with pytest.raises(InputError, match=r"^executor: expected a machine with Slurm's commands"):
            opened()
    monkeypatch.setitem(sys.modules, "submitit", None)
    monkeypatch.delitem(sys.modules, "pipeline.executors.slurm", raising=False)
    with pytest.raises(InputError, match=r"^executor=slurm: needs .* not installed: pip install -e '\.\[slurm\]'$"):
        configuration({"executor": "slurm"})
