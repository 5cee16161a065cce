"""Sweeps on Dask: real schedulers and workers on loopback, killed while they train; every run once, same bits."""

import os
import platform
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from analysis.audit import Audit
from pipeline.errors import InputError
from pipeline.executors import remote_work as elsewhere
from pipeline.executors.batch import Batch, Failure
from pipeline.executors.interface import open_executor
from pipeline.executors.remote_work import code_here, train_elsewhere, work_of
from pipeline.training.stack import RunResult, train_stack
from tests.executors.test_batch import died, drained, jobs
from tests.support.configurations import configuration
from tests.support.dask_processes import cluster
from tests.support.sweeps import (
    SWEEP,
    HaltedTraining,
    audited,
    completed,
    interrupted_at,
    started,
    wait_for,
    workers_of,
)

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("with_database")]
PROGRESS = "jobs: best loss"

pytest.importorskip("distributed", reason="needs: pip install distributed")


def printed(folder: Path) -> str:
    return (folder / "output.txt").read_text(encoding="utf-8")


def test_workers_and_the_scheduler_are_killed_and_nothing_is_lost_or_there_twice(
    tmp_path: Path, undisturbed: Audit
) -> None:
    training = HaltedTraining(tmp_path)
    with (
        cluster(tmp_path, **training.environment) as there,
        started(tmp_path, *SWEEP, "executor=dask", f"executor.address={there.address}") as process,
    ):
        assert wait_for(tmp_path, PROGRESS, process), printed(tmp_path)
        (worker,) = workers_of(there.nannies[0])
        os.kill(worker, signal.SIGKILL)
        training.let_one_pass()
        assert wait_for(tmp_path, PROGRESS, process, times=2), printed(tmp_path)
        os.killpg(there.nannies[1].pid, signal.SIGKILL)
        training.let_one_pass()
        assert wait_for(tmp_path, PROGRESS, process, times=3), printed(tmp_path)
        there.scheduler.kill()
        there.scheduler.wait()
        there.start_scheduler()
        there.start_worker()
        training.end()
        assert process.wait(timeout=300) == 0, printed(tmp_path)
    assert "was lost" in printed(tmp_path)
    assert "Traceback" not in printed(tmp_path)
    audited(tmp_path, like=undisturbed)


@pytest.mark.soak
def test_a_sweep_with_a_scheduler_of_its_own_is_stopped_and_goes_on_without_dask(
    tmp_path: Path, undisturbed: Audit
) -> None:
    halted = HaltedTraining(tmp_path).environment
    with started(tmp_path, *SWEEP, "executor=dask", "executor.workers=2", **halted) as process:
        assert wait_for(tmp_path, PROGRESS, process), printed(tmp_path)
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(timeout=60) == 130  # Training is halted for ever.
    assert "2 at once" in printed(tmp_path)
    assert "Traceback" not in printed(tmp_path)
    assert " 0 already tracked" not in completed(tmp_path, *SWEEP, "executor=inline")
    audited(tmp_path, like=undisturbed)


@pytest.fixture(scope="module")
def executor() -> Iterator[Any]:
    from pipeline.executors.dask import DaskExecutor

    with closing(DaskExecutor(2, address=None, workers=None, security=None)) as opened:
        yield opened


def test_workers_are_light_and_give_the_bits_of_each_run_alone(executor: Any) -> None:
    configs = jobs(4)
    for start in (0, 2):
        executor.submit(Batch((start, start + 1), configs[start : start + 2]))
    done = list(drained(executor))
    assert sorted(batch.jobs for batch, _ in done) == [(0, 1), (2, 3)]
    for batch, trained in done:
        for config, outcome in zip(batch.configs, trained.outcomes, strict=True):
            assert isinstance(outcome, RunResult)
            assert outcome.curves == train_stack([config])[0].curves

    def loaded() -> set[str]:
        return {name for name in ("numpy", "hydra", "mlflow") if name in sys.modules}

    def threads() -> set[int]:
        return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}

    assert list(executor._client.run(loaded).values()) == [{"numpy"}] * executor.slots
    assert list(executor._client.run(threads).values()) == [{1}] * executor.slots


def test_a_batch_that_kills_its_workers_is_given_up_after_three_and_the_others_go_on(executor: Any) -> None:
    executor._under_way[executor._client.submit(died, pure=False)] = Batch((7, 8), jobs(2))
    executor.submit(Batch((0,), jobs(1)))
    done = {batch.jobs: trained.outcomes for batch, trained in drained(executor)}
    assert [isinstance(each, Failure) and each.cause.startswith("3 workers died") for each in done[7, 8]] == [True] * 2
    assert isinstance(done[0,][0], RunResult)


def test_a_result_that_is_lost_with_its_worker_holds_up_no_other_and_is_trained_again(
    executor: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    begun, go_on = tmp_path / "begun", tmp_path / "go on"

    def trained() -> str:
        while begun.exists() and not go_on.exists():
            time.sleep(0.01)
        begun.touch()
        return "trained"

    gather, cluster = executor._client._gather_remote, executor._cluster

    async def gather_from_the_dead(*arguments: Any) -> Any:
        monkeypatch.undo()
        (holder,) = cluster.scheduler.tasks[lost.key].who_has
        (nanny,) = [nanny for nanny in cluster.workers.values() if nanny.address == holder.nanny]
        os.kill(nanny.pid, signal.SIGKILL)
        return await gather(*arguments)

    monkeypatch.setattr(executor._client, "_gather_remote", gather_from_the_dead)
    lost = executor._client.submit(trained, pure=False)
    executor._under_way[lost] = Batch((7,), jobs(1))
    while not begun.exists():
        time.sleep(0.01)
    executor.submit(Batch((1,), jobs(1)))
    assert executor.wait()
    assert [batch.jobs for batch, _ in executor.done()] == [(1,)]
    go_on.touch()
    assert [(batch.jobs, outcome) for batch, outcome in drained(executor)] == [((7,), "trained")]
    assert "was lost" not in caplog.text


def test_a_sweep_that_is_stopped_while_its_own_cluster_starts_ends_in_one_line(tmp_path: Path) -> None:
    environment = interrupted_at(tmp_path, "distributed.nanny:Nanny.start_unsafe")
    with started(tmp_path, *SWEEP, "executor=dask", "executor.workers=2", **environment) as process:
        assert process.wait(timeout=300) == 130
    (line,) = [line for line in printed(tmp_path).splitlines() if "Stopped by" in line]
    assert printed(tmp_path).rstrip().endswith(line)
    assert "Traceback" not in printed(tmp_path)


def known_tasks(executor: Any, expected: int) -> int:
    """How many tasks the scheduler knows; waits at most a minute for the expected number."""
    deadline = time.monotonic() + 60.0
    while len(executor._cluster.scheduler.tasks) != expected and time.monotonic() < deadline:
        time.sleep(0.05)
    return len(executor._cluster.scheduler.tasks)


def test_closing_cancels_what_is_queued_at_a_scheduler_that_others_use(executor: Any) -> None:
    from pipeline.executors.dask import ClientExecutor

    with closing(ClientExecutor()) as other:
        other._connect(executor._address, executor._security)
        for job in range(400):
            other._under_way[other._client.submit(time.sleep, 0.5, pure=False)] = Batch((job,), ())
        assert known_tasks(executor, 400) == 400
    # Left alone, they would take a minute and more.
    assert known_tasks(executor, 0) == 0


def test_a_worker_with_other_code_is_told_and_trains_nothing(executor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elsewhere, "code_here", lambda: code_here() | {"numpy": "1.0"})
    executor.submit(Batch((0,), (configuration({"arithmetic": "blas"}),)))
    with pytest.raises(
        InputError, match=rf"^executor: expected .* driver's code, got numpy {np.__version__}, not 1.0,"
    ):
        executor.wait()


def test_other_data_on_the_worker_is_told_and_nothing_is_trained_with_it(tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text("x,kind\n" + "".join(f"{row},{'ab'[row % 2]}\n" for row in range(40)), encoding="utf-8")
    config = configuration({"data": "csv", "data.path": str(table), "data.target": "kind", "training.batch_size": None})
    work = work_of(Batch((0,), (config,)))
    assert isinstance(train_elsewhere(work).outcomes[0], RunResult)
    refused = train_elsewhere(work._replace(data="0123456789abcdef"))
    assert refused.outcomes == []
    assert f"data.path: {table}: expected the file as it was at the start (digest 0123" in str(refused.refusal)
    assert str(refused.refusal).endswith(f" on {platform.node()}")


def test_without_dask_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    monkeypatch.delitem(sys.modules, "pipeline.executors.dask", raising=False)
    with pytest.raises(InputError, match=r"^executor=dask: needs .* not installed: pip install -e '\.\[dask\]'$"):
        configuration({"executor": "dask"})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"executor.address": "tcp://127.0.0.1:1"},
            "executor.address: expected a Dask scheduler, got tcp://127.0.0.1:1",
        ),
        ({"executor.address": "tcp://127.0.0.1:1", "executor.workers": 2}, "executor.workers: expected null"),
    ],
)
def test_a_wrong_address_is_told_in_one_line(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], words: str
) -> None:
    from pipeline.executors import dask

    monkeypatch.setattr(dask, "CONNECTING", 0.5)
    with pytest.raises(InputError, match=f"^{words}"):
        open_executor(configuration({"executor": "dask"} | changes).executor)
