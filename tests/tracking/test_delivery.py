"""Delivery and journal: what a store refuses waits on disk, whole, and arrives once."""

import errno
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import replace
from math import inf, nan
from pathlib import Path

import pytest

from pipeline.errors import StoreLostError
from pipeline.system.signals import Interrupted
from pipeline.tracking import delivery
from pipeline.tracking.delivery import Delivery, journal_of, retry_while_disk_full
from pipeline.tracking.journal import Journal
from pipeline.tracking.records import Record
from pipeline.tracking.sweeps import Sweep

RECORD = Record(
    name="ä 'quoted'",
    status="FINISHED",
    start_time=1,
    end_time=2,
    tags={"fingerprint": "0"},
    params={"seed": "0"},
    metrics=[("loss/train", nan, 0), ("loss/train", -inf, 1), ("loss/train", 0.1 + 0.2, 2)],
    artifacts={"weights.npz": bytes(range(256)), "config.yaml": b""},
)


def sweep_in(folder: Path) -> Sweep:
    return Sweep("0123456789", 1, (), str(folder))


def record(number: int) -> Record:
    return replace(RECORD, tags={"fingerprint": str(number)})


class Store:
    """A store that refuses so many writes."""

    def __init__(self, refusals: int) -> None:
        self.refusals = refusals
        self.taken: list[str] = []

    def write(self, records: Sequence[Record], sweep: Sweep | None) -> list[str]:
        if self.refusals:
            self.refusals -= 1
            raise ConnectionError("no answer\nsecond line")
        self.taken += [each.fingerprint for each in records]
        return [f"id {each.fingerprint}" for each in records]


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(delivery, "LONGEST_PAUSE", 0.02)
    monkeypatch.setenv("SYMMETRY_LAB_PATIENCE", "60")


def test_a_journal_gives_back_every_bit(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "waiting")
    journal.put([RECORD, record(1)])
    ((path, records),) = journal.read_entries()
    assert [repr(each) for each in records] == [repr(RECORD), repr(record(1))]
    journal.remove(path)
    assert not (tmp_path / "waiting").exists()


@pytest.mark.parametrize("position", [0, 40, -1])
def test_a_damaged_entry_is_left_out_and_kept_aside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, position: int
) -> None:
    journal = Journal(tmp_path)
    journal.put([record(1)])
    ((path, _),) = journal.read_entries()
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)
    journal.put([record(2)])
    assert [each.fingerprint for _, records in journal.read_entries() for each in records] == ["2"]
    assert "is damaged" in caplog.text
    assert path.with_suffix(".damaged").exists()


def test_what_a_store_refuses_waits_and_comes_before_what_follows(tmp_path: Path) -> None:
    store, sweep = Store(refusals=1), sweep_in(tmp_path)
    delivered = Delivery(store.write)
    assert delivered.write_or_journal([record(0)], sweep) is None
    assert store.taken == []
    time.sleep(0.02)
    assert delivered.write_or_journal([record(1)], sweep) == ["id 1"]
    assert store.taken == ["0", "1"]
    assert list(journal_of(sweep).read_entries()) == []


def test_before_its_next_try_a_lost_store_is_not_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "FIRST_PAUSE", 60.0)
    store, sweep = Store(refusals=1), sweep_in(tmp_path)
    delivered = Delivery(store.write)
    assert [delivered.write_or_journal([record(number)], sweep) for number in range(3)] == [None, None, None]
    assert store.refusals == 0
    assert store.taken == []
    delivered.drain_journal(sweep)
    assert sorted(store.taken) == ["0", "1", "2"]


def test_a_store_that_stays_away_is_told_and_the_journal_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYMMETRY_LAB_PATIENCE", "0.2")
    store, sweep = Store(refusals=10**9), sweep_in(tmp_path)
    delivered = Delivery(store.write)
    assert delivered.write_or_journal([record(0)], sweep) is None
    with pytest.raises(StoreLostError, match=r"does not answer: no answer$"):
        delivered.drain_journal(sweep)
    assert len(list(journal_of(sweep).read_entries())) == 1
    with pytest.raises(StoreLostError):
        delivered.write_or_journal([record(1)], None)


def test_without_a_disk_results_wait_in_memory(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    store = Store(refusals=3)
    assert Delivery(store.write).write_or_journal([record(0)], sweep_in(tmp_path / "file")) == ["id 0"]
    assert "training pauses" in caplog.text


@pytest.mark.parametrize(("code", "tries"), [(errno.ENOSPC, 3), (errno.EACCES, 1)])
def test_a_full_disk_is_waited_for_and_nothing_else(code: int, tries: int) -> None:
    tried: list[int] = []

    def write() -> str:
        tried.append(code)
        if len(tried) < 3:
            raise OSError(code, os.strerror(code), "file")
        return "written"

    if code == errno.ENOSPC:
        assert retry_while_disk_full(write) == "written"
    else:
        with pytest.raises(PermissionError):
            retry_while_disk_full(write)
    assert len(tried) == tries


def test_an_interrupted_write_waits_in_the_journal(tmp_path: Path) -> None:
    sweep = sweep_in(tmp_path)

    def stopped(records: Sequence[Record], sweep: Sweep | None) -> list[str]:
        raise Interrupted(signal.SIGINT)

    with pytest.raises(Interrupted):
        Delivery(stopped).write_or_journal([record(0)], sweep)
    assert len(list(journal_of(sweep).read_entries())) == 1
