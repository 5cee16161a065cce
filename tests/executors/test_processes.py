"""Worker processes: they die, are interrupted and end; no batch is lost, and none of them stays."""

import os
import signal
import subprocess
import sys
import time
from contextlib import closing, suppress
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.executors import processes
from pipeline.executors.batch import Batch, Failure
from pipeline.executors.interface import TRIES, open_executor
from pipeline.executors.processes import ProcessExecutor
from pipeline.system.signals import Interrupted, stoppable
from pipeline.training.stack import RunResult, train_stack
from tests.executors.test_batch import died, drained, jobs
from tests.support.command_line import PROJECT
from tests.support.configurations import configuration


def test_a_batch_whose_worker_dies_is_trained_by_a_new_one() -> None:
    configs = jobs(8)
    with closing(ProcessExecutor(2)) as executor:
        for job, config in enumerate(configs):
            executor.submit(Batch((job,), (config,)))
        time.sleep(0.2)
        for worker in executor._workers:
            for process in list((worker._pool._processes or {}).values()):
                process.kill()
        done = list(drained(executor))
    assert sorted(batch.jobs for batch, _ in done) == [(job,) for job in range(8)]
    for batch, trained in done:
        (outcome,) = trained.outcomes
        assert isinstance(outcome, RunResult)
        assert np.array_equal(outcome.final, train_stack(batch.configs)[0].final)


@pytest.mark.parametrize("batches_before", [pytest.param(0, marks=pytest.mark.slow), 2])
def test_a_worker_that_dies_while_nobody_looks_costs_nothing(batches_before: int) -> None:
    """The driver may be tracking; the next batch it submits then meets a pool without a process."""
    slow = (configuration({"training.steps": 3000, "training.measure_at": 8}),)
    with closing(ProcessExecutor(1)) as executor:
        (worker,) = executor._workers
        executor.submit(Batch((0,), jobs(1)))
        done = list(drained(executor))
        for job in range(1, batches_before + 1):
            executor.submit(Batch((job,), slow))
        (process,) = (worker._pool._processes or {}).values()
        process.kill()
        while not worker._pool._broken:
            time.sleep(0.01)
        for job in (8, 9):
            executor.submit(Batch((job,), jobs(1)))
        done += drained(executor)
    assert [job for batch, _ in done for job in batch.jobs] == [0, *range(1, batches_before + 1), 8, 9]
    for batch, trained in done:
        (outcome,) = trained.outcomes
        assert isinstance(outcome, RunResult)
        assert np.array_equal(outcome.final, train_stack(batch.configs)[0].final)


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="signals cannot be blocked here")
@pytest.mark.parametrize("signum", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_a_worker_that_is_only_starting_hears_no_signal(signum: signal.Signals) -> None:
    """Ctrl-C reaches the whole process group, also a worker that has not come to its own code yet."""
    batch = Batch((0,), jobs(1))
    with closing(ProcessExecutor(1)) as executor:
        (worker,) = executor._workers
        worker.submit(batch)
        (process,) = (worker._pool._processes or {}).values()
        assert process.pid is not None
        for _ in range(20):
            os.kill(process.pid, signum)
            time.sleep(0.02)
        assert executor.wait()
        assert process.is_alive()
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []).isdisjoint({signal.SIGINT, signal.SIGTERM})


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize("place", ["block_signals", "wait", "_Worker.done", "_Worker.close"])
def test_an_interruption_loses_no_result_and_forgets_no_worker(monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    """Wherever it comes: while a worker starts, while results are waited for or collected, while workers are ended."""
    monkeypatch.setattr("pipeline.system.signals.PATIENCE", 300.0)
    original = attrgetter(place)(processes)

    def interrupted(*arguments: Any, **options: Any) -> Any:
        monkeypatch.setattr(f"pipeline.executors.processes.{place}", original)
        os.kill(os.getpid(), signal.SIGINT)
        return original(*arguments, **options)

    monkeypatch.setattr(f"pipeline.executors.processes.{place}", interrupted)
    workers: list[Any] = []
    returned: list[Batch] = []

    def trained_and_closed() -> None:
        with open_executor(configuration({"executor": "processes", "executor.workers": 2}).executor, 2) as executor:
            for job, config in enumerate(jobs(2)):
                executor.submit(Batch((job,), (config,)))
            workers.extend(each for one in executor._workers for each in one._pool._processes.values())  # type: ignore[attr-defined]
            with suppress(Interrupted):
                returned.extend(batch for batch, _ in drained(executor))
            while any(worker.under_way for worker in executor._workers):  # type: ignore[attr-defined]
                returned.extend(batch for batch, _ in executor.done())
            returned.extend(batch for batch, _ in executor.done())

    with pytest.raises(Interrupted), stoppable():
        trained_and_closed()
    assert sorted(batch.jobs for batch in returned) == [(0,), (1,)]
    assert len(workers) == 2
    # Where the pool's own thread has asked for a dead process first, multiprocessing takes it for alive a bit longer.
    deadline = time.monotonic() + 10.0
    while any(process.is_alive() for process in workers):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_batch_that_kills_its_workers_is_given_up_after_three_and_the_others_go_on() -> None:
    with closing(ProcessExecutor(1)) as executor:
        executor.submit(Batch((0, 1), (*jobs(1), died)))  # type: ignore[arg-type]
        (worker,) = executor._workers
        # A worker cannot be made to die by a configuration; so this batch is one whose training kills it.
        (future,) = worker.under_way
        batch, _ = worker.under_way.pop(future)
        worker.under_way[worker._pool.submit(died)] = (batch, TRIES - 1)
        executor.submit(Batch((2,), jobs(1)))
        done = {batch.jobs: trained.outcomes for batch, trained in drained(executor)}
    assert all(isinstance(outcome, Failure) and "died 3 times" in outcome.cause for outcome in done[0, 1])
    assert len(done[0, 1]) == 2
    assert isinstance(done[2,][0], RunResult)


def test_close_ends_busy_workers_at_once() -> None:
    executor = ProcessExecutor(2)
    slow = configuration({"training.steps": 1_000_000})
    for job in range(4):
        executor.submit(Batch((job,), (slow,)))
    time.sleep(0.5)
    processes = [process for worker in executor._workers for process in (worker._pool._processes or {}).values()]
    assert len(processes) == 2
    executor.close()
    assert not any(alive(process.pid) for process in processes if process.pid)


DRIVER = """
import time
if __name__ == "__main__":  # As light as pipeline.run: worker processes import it too.
    from pipeline.executors.batch import Batch
    from pipeline.executors.processes import ProcessExecutor
    from tests.support.configurations import configuration
    executor = ProcessExecutor(2)
    for job in range(4):
        executor.submit(Batch((job,), (configuration({"training.steps": 1_000_000}),)))
    print(*[process.pid for worker in executor._workers for process in worker._pool._processes.values()], flush=True)
    time.sleep(60)
"""


def test_workers_end_with_a_killed_driver_and_load_neither_hydra_nor_mlflow(tmp_path: Path) -> None:
    (tmp_path / "driver.py").write_text(DRIVER, encoding="utf-8")
    with subprocess.Popen(
        [sys.executable, "driver.py"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(PROJECT)},
        stdout=subprocess.PIPE,
        text=True,
    ) as driver:
        assert driver.stdout is not None
        workers = [int(pid) for pid in driver.stdout.readline().split()]
        assert len(workers) == 2
        loaded = Path(f"/proc/{workers[0]}/maps")
        if loaded.exists():
            deadline = time.monotonic() + 50
            while "numpy" not in loaded.read_text() and time.monotonic() < deadline:
                time.sleep(0.1)
            assert "numpy" in loaded.read_text()
        time.sleep(2)
        if loaded.exists():
            assert "sqlalchemy" not in loaded.read_text()
        driver.kill()
    assert are_gone(workers, seconds=5)


SLOW_IMPORT = """
import importlib.abc, os, sys, time
class Slow(importlib.abc.MetaPathFinder):
    def find_spec(self, fullname, path, target=None):
        if fullname == "{module}":
            open(f"{{os.getpid()}}.importing", "w").close()
            time.sleep(100)
if "--multiprocessing-fork" in sys.orig_argv:
    sys.meta_path.insert(0, Slow())
"""
"""A sitecustomize: a worker comes to an import that takes long."""


@pytest.mark.parametrize("module", ["threadpoolctl", pytest.param("scipy", marks=pytest.mark.slow)])
def test_workers_that_still_import_end_with_a_killed_driver(tmp_path: Path, module: str) -> None:
    (tmp_path / "driver.py").write_text(DRIVER, encoding="utf-8")
    (tmp_path / "sitecustomize.py").write_text(SLOW_IMPORT.format(module=module), encoding="utf-8")
    with subprocess.Popen(
        [sys.executable, "driver.py"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{PROJECT}"},
        stdout=subprocess.PIPE,
        text=True,
    ) as driver:
        assert driver.stdout is not None
        workers = [int(pid) for pid in driver.stdout.readline().split()]
        while len([*tmp_path.glob("*.importing")]) < len(workers):
            time.sleep(0.05)
        assert all(alive(pid) for pid in workers)
        driver.kill()
    assert are_gone(workers, seconds=5)


def are_gone(pids: list[int], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while any(alive(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not any(alive(pid) for pid in pids)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except ProcessLookupError:
        return False
    except FileNotFoundError:  # It has just gone, or there is no /proc here.
        return not Path("/proc/self").exists()
