"""Tracking stores that are none: pipeline, report and auditor say so in one line, and readers write nothing."""

import errno
import hashlib
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from multiprocessing import synchronize
from pathlib import Path

import mlflow
import pytest

from analysis.audit import audit_of
from analysis.errors import ReportError
from analysis.tracked.load import load_tables
from pipeline.errors import InputError
from pipeline.executors.processes import worker_processes
from pipeline.tracking.store.api_writer import PublicCalls
from pipeline.tracking.store.opening import open_store
from pipeline.tracking.tracker import Tracker
from tests.support.in_process import call
from tests.tracking.test_writers import RECORDS

REVISION = "UPDATE alembic_version SET version_num = "


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Path:
    """A database of MLflow with the experiment ``symmetry`` in it."""
    path = tmp_path_factory.mktemp("database") / "mlflow.db"
    shutil.copy(empty_database, path)
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(f"sqlite:///{path}")
    with open_store("symmetry"):
        pass
    mlflow.set_tracking_uri(before)
    return path


def altered(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def flip_bits(path: Path) -> None:
    content = bytearray(path.read_bytes())
    for position in range(1000, len(content), 997):
        content[position] ^= 0xFF
    path.write_bytes(content)


def replaced_by_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "of an older MLflow": (lambda path: altered(path, REVISION + "'451aebb31d03'"), "451aebb31d03"),
    "of a newer MLflow": (lambda path: altered(path, REVISION + "'ffffffffffff'"), "ffffffffffff"),
    "no SQLite": (lambda path: path.write_bytes(b"hello " * 1000), "not a database"),
    "truncated": (lambda path: path.write_bytes(path.read_bytes()[:20_000]), "malformed"),
    "bits flipped": (flip_bits, "malformed"),
    "a folder": (replaced_by_folder, "folder"),
    "of another program": (
        lambda path: (path.unlink(), altered(path, "CREATE TABLE mine (a)")), "database, but not one of MLflow",
    ),
    "without a revision": (lambda path: altered(path, "DELETE FROM alembic_version"), "MLflow"),
}  # fmt: skip
READERS: dict[str, Callable[[str], object]] = {"report": load_tables, "audit": audit_of}
USERS = READERS | {"pipeline": Tracker}


def state_of(folder: Path) -> dict[str, str]:
    """File -> hash of its content."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"
        for path in folder.iterdir()
    }


@pytest.fixture
def damaged(database: Path, tmp_path: Path, request: pytest.FixtureRequest, tracking_to: None) -> tuple[Path, str]:
    """A copy of the database that is damaged and tracked to, and a word that tells how."""
    damage, word = DAMAGES[request.param]
    path = tmp_path / "mlflow.db"
    shutil.copy(database, path)
    damage(path)
    mlflow.set_tracking_uri(f"sqlite:///{path}")
    return path, word


@pytest.mark.parametrize("damaged", DAMAGES, indirect=True)
def test_a_database_that_cannot_be_tracked_to_is_told_in_one_line_and_left_alone(damaged: tuple[Path, str]) -> None:
    path, word = damaged
    before = state_of(path.parent)
    with pytest.raises(InputError) as caught:
        Tracker("symmetry")
    message = str(caught.value)
    assert message.startswith("MLFLOW_TRACKING_URI: ")
    assert len(message.splitlines()) == 1
    assert str(path) in message
    assert word in message
    after = state_of(path.parent)
    assert after.pop("mlflow.db.lock")
    assert after == before


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("damaged", DAMAGES, indirect=True)
def test_readers_tell_a_broken_database_in_one_line_and_write_nothing(damaged: tuple[Path, str], reader: str) -> None:
    path, _ = damaged
    before = state_of(path.parent)
    with pytest.raises(ReportError) as caught:
        READERS[reader]("symmetry")
    message = str(caught.value)
    assert message.startswith("MLFLOW_TRACKING_URI: ")
    assert len(message.splitlines()) == 1
    assert str(path) in message
    assert state_of(path.parent) == before


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("content", [None, b""], ids=["missing", "empty"])
def test_readers_make_no_database(tmp_path: Path, tracking_to: None, reader: str, content: bytes | None) -> None:
    path = tmp_path / "mlflow.db"
    if content is not None:
        path.write_bytes(content)
    mlflow.set_tracking_uri(f"sqlite:///{path}")
    before = state_of(tmp_path)
    with pytest.raises(ReportError, match=r"no tracked runs here: .*mlflow.db (does not exist|is empty); train some"):
        READERS[reader]("symmetry")
    assert state_of(tmp_path) == before


def test_an_empty_file_becomes_a_database_when_it_is_tracked_to(tmp_path: Path, tracking_to: None) -> None:
    path = tmp_path / "mlflow.db"
    path.touch()
    mlflow.set_tracking_uri(f"sqlite:///{path}")
    with open_store("symmetry") as (client, experiment_id):
        assert client.get_experiment(experiment_id).name == "symmetry"


def test_a_database_in_a_folder_that_is_yet_to_be_made_is_made_by_writers_only(
    tmp_path: Path, tracking_to: None
) -> None:
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/new/folder/mlflow.db")
    for read in READERS.values():
        with pytest.raises(ReportError, match="no tracked runs here"):
            read("symmetry")
    assert not (tmp_path / "new").exists()
    Tracker("symmetry")
    assert (tmp_path / "new" / "folder" / "mlflow.db").exists()


def test_writers_need_no_shared_memory(
    database: Path, tmp_path: Path, tracking_to: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Semaphores are files in /dev/shm; where that is read-only the store is none the worse."""

    def refused(*_: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(synchronize._multiprocessing, "SemLock", refused)
    shutil.copy(database, tmp_path / "mlflow.db")
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    client = mlflow.MlflowClient()
    assert len(PublicCalls(client, str(client.create_experiment("tests", str(tmp_path / "kept")))).write(RECORDS)) == 4
    with pytest.raises(InputError, match=r"^executor: expected inline where shared memory \(/dev/shm\) is refused"):
        worker_processes(2, workers=2)


@pytest.mark.parametrize(
    ("module", "arguments"),
    [("analysis.report", []), ("analysis.audit", []), ("pipeline.run", ["training.steps=1"])],
    ids=["report", "audit", "run"],
)
def test_the_commands_end_with_that_line(tmp_path: Path, module: str, arguments: list[str]) -> None:
    (tmp_path / "mlflow.db").write_bytes(b"hello " * 1000)
    completed = call(module, *arguments, folder=tmp_path)
    assert completed.returncode == 1
    assert len(completed.stderr.splitlines()) == 1, completed.stderr
    assert completed.stderr.startswith("MLFLOW_TRACKING_URI: ")


def test_a_place_for_artifacts_that_is_none_is_told_before_anything_trains(tmp_path: Path, with_database: None) -> None:
    (tmp_path / "mlruns").write_text("not a folder", encoding="utf-8")
    for arguments in (["training.steps=1000000000"], ["-m", "model=mlp", "training.steps=1000000000"]):
        completed = call("pipeline.run", *arguments, folder=tmp_path)
        assert completed.returncode == 1
        assert len(completed.stderr.splitlines()) == 1, completed.stderr
        assert f"the folder of artifacts {tmp_path}/mlruns/1 cannot be written to: " in completed.stderr
