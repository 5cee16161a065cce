"""One transaction against the public calls: the same rows in every table, or the public calls are used."""

import logging
import shutil
import sqlite3
from collections.abc import Callable
from math import inf, nan
from pathlib import Path

import pytest
from mlflow import MlflowClient

from pipeline.tracking.records import Record
from pipeline.tracking.store import opening as stores
from pipeline.tracking.store.api_writer import Concurrency, PublicCalls
from pipeline.tracking.store.sql_writer import OneTransaction, writer_for

Store = tuple[MlflowClient, str]


@pytest.fixture
def new_store(tmp_path: Path, empty_database: Path) -> Callable[[str], Store]:
    def made(name: str) -> Store:
        shutil.copy(empty_database, tmp_path / f"{name}.db")
        client = MlflowClient(f"sqlite:///{tmp_path}/{name}.db")
        return client, str(client.create_experiment("tests", f"{tmp_path}/{name} artifacts"))

    return made


def record(number: int, fingerprint: str = "") -> Record:
    return Record(
        name=f"run {number} ä'\"",
        status="FAILED" if number == 2 else "FINISHED",
        start_time=1_700_000_000_000 + number,
        end_time=1_700_000_000_500 + number,
        tags={
            "fingerprint": fingerprint or f"{number:032x}",
            "mlflow.source.name": "pipeline.run",
            "mlflow.parentRunId": "parent",
        },
        params={"seed": str(number), "model.hidden_units": "[32, 16]", "empty": ""},
        metrics=[
            ("loss/train", 1.0 / (number + 1), 0),
            ("loss/train", nan, 1),
            ("loss/test", inf, 0),
            ("loss/test", -inf, 3),
            ("symmetry/distance", 0.0, 0),
            ("symmetry/distance", -0.0, 2**40),
            ("zero", 5e-324, 0),
        ],
        artifacts={"config.yaml": b"a: 1\n", "weights.npz": bytes(range(256))},
    )


RECORDS = [record(number) for number in range(4)]


def rows_of(tmp_path: Path, name: str, run_ids: list[str]) -> dict[str, list[str]]:
    """Every row of every table as text, with run ids replaced by their position and the store's own names taken out."""

    def neutral(text: str) -> str:
        for position, run_id in enumerate(run_ids):
            text = text.replace(run_id, f"run {position}")
        return text.replace(f"/{name} artifacts", "")

    with sqlite3.connect(tmp_path / f"{name}.db") as connection:
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        assert len(tables) > 50
        volatile = {"experiments"}  # holds the time of its creation
        return {
            table: sorted(neutral(repr(row)) for row in connection.execute(f'SELECT * FROM "{table}"'))
            for table in tables
            if table not in volatile
        }


def files_of(folder: Path, run_ids: list[str]) -> dict[tuple[int, str], bytes]:
    return {
        (position, str(path.relative_to(folder / run_id))): path.read_bytes()
        for position, run_id in enumerate(run_ids)
        for path in (folder / run_id).rglob("*")
        if path.is_file()
    }


def test_both_ways_leave_the_same_rows_in_all_tables_and_the_same_files(
    tmp_path: Path, new_store: Callable[[str], Store]
) -> None:
    public_ids = PublicCalls(*new_store("public")).write(RECORDS)
    writer = writer_for(*new_store("bulk"))
    assert isinstance(writer, OneTransaction)
    bulk_ids = writer.write(RECORDS) + writer.write([record(0, fingerprint="f" * 32)])
    assert len(set(bulk_ids)) == 5
    rows = rows_of(tmp_path, "bulk", bulk_ids)
    public_rows = rows_of(tmp_path, "public", public_ids)
    assert len(public_rows["metrics"]) == 4 * 7
    fifth = {table: [row for row in values if "run 4" in row] for table, values in rows.items()}
    assert {table: len(values) for table, values in fifth.items() if values} == {
        "runs": 1, "tags": 4, "params": 3, "metrics": 7, "latest_metrics": 4,
    }  # fmt: skip
    assert {table: [row for row in values if "run 4" not in row] for table, values in rows.items()} == public_rows
    public_files = files_of(tmp_path / "public artifacts", public_ids)
    assert files_of(tmp_path / "bulk artifacts", bulk_ids[:4]) == public_files
    assert len(public_files) == 8


def test_a_run_reads_back_through_the_public_interface(new_store: Callable[[str], Store]) -> None:
    client, experiment_id = new_store("bulk")
    _, run_id = writer_for(client, experiment_id).write(RECORDS[:2])
    run = client.get_run(run_id)
    assert (run.info.run_name, run.info.status, run.info.end_time) == ("run 1 ä'\"", "FINISHED", 1_700_000_000_501)
    assert run.data.params == RECORDS[1].params
    assert run.data.metrics["symmetry/distance"] == 0.0
    first, second = client.get_metric_history(run_id, "loss/train")
    assert (first.step, first.value, second.step, str(second.value)) == (0, 0.5, 1, "nan")
    assert [file.path for file in client.list_artifacts(run_id)] == ["config.yaml", "weights.npz"]


@pytest.mark.parametrize("column", ["status", "user_id", "source_type"])
def test_rows_that_differ_from_the_public_ones_are_noticed_and_rolled_back(
    tmp_path: Path,
    new_store: Callable[[str], Store],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    column: str,
) -> None:
    original = OneTransaction._run_row
    changed = {"status": "FAILED", "user_id": "somebody", "source_type": "LOCAL"}[column]
    monkeypatch.setattr(OneTransaction, "_run_row", lambda *given: original(*given) | {column: changed})
    with caplog.at_level(logging.WARNING):
        run_ids = writer_for(*new_store("bulk")).write(RECORDS)
    assert "slower" in caplog.text
    public_ids = PublicCalls(*new_store("public")).write(RECORDS)
    assert rows_of(tmp_path, "bulk", run_ids) == rows_of(tmp_path, "public", public_ids)


def test_an_unknown_schema_or_another_store_takes_the_public_calls(
    new_store: Callable[[str], Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores, "KNOWN_REVISIONS", {"another"})
    assert isinstance(writer_for(*new_store("unknown")), PublicCalls)


def test_nothing_of_a_transaction_that_fails_is_in_the_database(new_store: Callable[[str], Store]) -> None:
    client, experiment_id = new_store("bulk")
    writer = writer_for(client, experiment_id)
    written = writer.write(RECORDS[:2])
    broken = Record(**vars(record(3)) | {"params": {"seed": None}})  # type: ignore[arg-type]
    with pytest.raises(Exception, match="NOT NULL"):
        writer.write([RECORDS[2], broken])
    assert {run.info.run_id for run in client.search_runs([experiment_id])} == set(written)


@pytest.mark.parametrize(("takes", "expected"), [(1, 4), (4, 4), (8, 8), (12, 16), (32, 32), (100, 32)])
def test_so_many_runs_travel_at_once_as_the_server_takes(takes: int, expected: int) -> None:
    concurrency = Concurrency(4, 32)
    for _ in range(9):
        concurrency.note(3, 1000.0)
        concurrency.note(100, 100 / min(concurrency.at_once, takes))
    assert concurrency.at_once == expected


def test_a_local_file_has_one_writer_however_fast_it_is() -> None:
    concurrency = Concurrency(1, 1)
    for _ in range(9):
        concurrency.note(100, 0.001)
    assert concurrency.at_once == 1
