"""Executors: outcomes as from one run alone, jobs that raise, light workers."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing

import numpy as np
import pytest

from pipeline.config.schema import Config
from pipeline.executors import batch as batches_module
from pipeline.executors.batch import Batch, Failure, Trained, train_batch
from pipeline.executors.inline import InlineExecutor
from pipeline.executors.interface import Executor
from pipeline.executors.processes import ProcessExecutor
from pipeline.training.stack import RunResult, train_stack
from tests.support.command_line import PROJECT
from tests.support.configurations import configuration

SMALL = {"data": "iris", "training.steps": 5, "training.batch_size": None}


def jobs(count: int) -> tuple[Config, ...]:
    return tuple(configuration(SMALL | {"seed": seed}) for seed in range(count))


def drained(executor: Executor) -> Iterator[tuple[Batch, Trained]]:
    while executor.wait():
        yield from executor.done()


def died(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("executor", [InlineExecutor, lambda: ProcessExecutor(2)], ids=["inline", "processes"])
def test_every_batch_comes_back_once_with_the_bits_of_each_run_alone(executor: type[InlineExecutor]) -> None:
    configs = jobs(6)
    batches = [Batch((start, start + 1), configs[start : start + 2]) for start in (0, 2, 4)]
    with closing(executor()) as opened:
        for batch in batches:
            opened.submit(batch)
        done = list(drained(opened))
        assert not opened.wait()
        assert opened.done() == []
    assert sorted(batch.jobs for batch, _ in done) == [(0, 1), (2, 3), (4, 5)]
    for batch, trained in done:
        assert trained.start <= trained.end
        for config, outcome in zip(batch.configs, trained.outcomes, strict=True):
            (alone,) = train_stack([config])
            assert isinstance(outcome, RunResult)
            assert outcome.curves == alone.curves
            assert outcome.final.tobytes() == alone.final.tobytes()


def test_a_job_that_raises_fails_alone_and_its_stack_mates_keep_their_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(configs: tuple[Config, ...], digest: str | None) -> list[RunResult]:
        if any(config.seed == 1 for config in configs):
            raise ZeroDivisionError("seed 1")
        return train_stack(configs)

    monkeypatch.setattr(batches_module, "train_stack", failing)
    first, failed, third = train_batch(jobs(3)).outcomes
    assert isinstance(failed, Failure)
    assert failed.cause == "ZeroDivisionError: seed 1"
    assert "in failing" in failed.traceback
    for outcome, config in ((first, jobs(3)[0]), (third, jobs(3)[2])):
        assert isinstance(outcome, RunResult)
        assert np.array_equal(outcome.final, train_stack([config])[0].final)


def test_the_main_module_of_a_worker_imports_neither_hydra_nor_mlflow() -> None:
    imports = "import sys, pipeline.run, pipeline.executors.processes"
    code = f"{imports}; print([m for m in ('hydra', 'mlflow') if m in sys.modules])"
    completed = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True, timeout=60
    )
    assert completed.stdout == "[]\n"
