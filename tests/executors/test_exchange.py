"""Batches and answers in a folder: each taken once, those of the dead given to others, ends without a driver."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import InputError
from pipeline.executors import exchange as exchanges
from pipeline.executors.batch import Batch, Trained
from pipeline.executors.exchange import SILENCE, Exchange, work_through
from pipeline.executors.remote_work import work_of
from pipeline.training.stack import RunResult, train_stack
from tests.executors.test_batch import jobs
from tests.support.command_line import PROJECT


class Unreadable:
    """A batch of a driver with other code."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (int, ("not a number",))


@pytest.fixture
def exchange(tmp_path: Path) -> Exchange:
    return Exchange(tmp_path)


def test_a_worker_trains_all_that_waits_with_the_bits_of_each_run_alone(exchange: Exchange) -> None:
    for number, config in enumerate(jobs(3)):
        exchange.put(number, work_of(Batch((number,), (config,))))
    assert exchange.waiting() == 3
    assert not exchange.has_begun("7_1")
    work_through(exchange.folder, "7_1", lambda: False)
    assert exchange.has_begun("7_1")
    assert exchange.waiting() == 0
    assert exchange.taken_by("7_1") == []
    answers = dict(exchange.answers())
    assert sorted(answers) == [0, 1, 2]
    for number, config in enumerate(jobs(3)):
        answer = answers[number]
        assert isinstance(answer, Trained)
        (outcome,) = answer.outcomes
        assert isinstance(outcome, RunResult)
        assert outcome.curves == train_stack([config])[0].curves
    assert list(exchange.answers()) == []


def test_many_workers_take_each_batch_once(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    answered: list[str] = []

    def answer(taken: Path) -> Trained:
        answered.append(taken.name)
        return Trained([], 0.0, 0.0)

    monkeypatch.setattr(exchanges, "_answer", answer)
    work = work_of(Batch((0,), jobs(1)))
    for number in range(200):
        exchange.put(number, work)
    with ThreadPoolExecutor(8) as threads:
        for worker in range(8):
            threads.submit(work_through, exchange.folder, str(worker), lambda: False)
    assert sorted(int(name.partition(".")[0]) for name in answered) == list(range(200))
    assert sorted(number for number, _ in exchange.answers()) == list(range(200))


def test_what_a_dead_worker_held_goes_to_another(exchange: Exchange) -> None:
    exchange.put(5, work_of(Batch((0,), jobs(1))))
    assert exchanges._taken(exchange.folder, "dead") is not None
    assert exchange.taken_by("dead") == [5]
    assert exchange.taken_by("ead") == []
    work_through(exchange.folder, "early", lambda: False)
    exchange.put_back(5, "dead")
    work_through(exchange.folder, "late", lambda: False)
    exchange.put_back(5, "dead")
    assert exchange.waiting() == 0
    assert [number for number, _ in exchange.answers()] == [5]


def test_a_batch_that_is_withdrawn_is_nobodys(exchange: Exchange) -> None:
    for number in (1, 11, 111):
        exchange.put(number, work_of(Batch((number,), jobs(1))))
    exchanges._taken(exchange.folder, "111")
    exchanges._taken(exchange.folder, "222")
    for number in (1, 111):
        exchange.withdraw(number)
    assert exchange.waiting() == 0
    assert exchange.taken_by("111") == []
    assert exchange.taken_by("222") == [11]


def test_a_worker_takes_nothing_more_when_it_is_to_leave(exchange: Exchange) -> None:
    for number, config in enumerate(jobs(2)):
        exchange.put(number, work_of(Batch((number,), (config,))))
    asked = iter([False, True])
    work_through(exchange.folder, "7_1", lambda: next(asked))
    assert [number for number, _ in exchange.answers()] == [0]
    assert exchange.waiting() == 1


def test_a_worker_ends_when_its_driver_is_silent_or_gone(exchange: Exchange) -> None:
    for number, config in enumerate(jobs(2)):
        exchange.put(number, work_of(Batch((number,), (config,))))
    driver = exchange.folder / "driver"
    long_ago = driver.stat().st_mtime - SILENCE - 5.0
    os.utime(driver, (long_ago, long_ago))
    work_through(exchange.folder, "7_1", lambda: False)
    assert exchange.waiting() == 2
    exchanges.remove(exchange.folder)
    work_through(exchange.folder, "7_2", lambda: False)
    assert not exchange.folder.exists()


def test_what_a_worker_cannot_read_or_must_not_train_is_told_and_ends_it(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = work_of(Batch((0,), jobs(1)))
    exchange.put(0, Unreadable())  # type: ignore[arg-type]
    exchange.put(1, work._replace(code=work.code | {"numpy": "1.0"}))
    exchange.put(2, work)
    for worker, words in (("a", "driver's code, got ValueError: invalid literal"), ("b", "not 1.0, on")):
        work_through(exchange.folder, worker, lambda: False)
        ((_, answer),) = exchange.answers()
        assert isinstance(answer, InputError)
        assert words in str(answer)
    assert exchange.waiting() == 1


def test_other_users_cannot_read_the_folder(exchange: Exchange) -> None:
    assert exchange.folder.stat().st_mode & 0o077 == 0


def test_only_the_folder_of_a_dead_driver_is_abandoned(tmp_path: Path, exchange: Exchange) -> None:
    code = "import sys; from pathlib import Path; from pipeline.executors.exchange import Exchange"
    subprocess.run([sys.executable, "-c", f"{code}; Exchange(Path(sys.argv[1]))", tmp_path], cwd=PROJECT, check=True)
    (dead,) = exchanges.abandoned(tmp_path)
    assert dead != exchange.folder
