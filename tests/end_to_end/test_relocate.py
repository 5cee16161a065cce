"""A project that was moved or copied: noticed before anything is read or written, mended by one command."""

import hashlib
import shlex
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import mlflow
import pytest
from mlflow import MlflowClient
from mlflow.tracking._tracking_service import utils as tracking_service

from analysis.audit import audit_of
from analysis.errors import ReportError
from analysis.tracked.load import load_tables
from pipeline import names, relocate
from pipeline.errors import InputError
from pipeline.relocate import moves_of
from pipeline.tracking.store.api_writer import PublicCalls
from pipeline.tracking.store.opening import experiment_to_read
from pipeline.tracking.tracker import Tracker
from tests.tracking.test_writers import RECORDS

USERS: dict[str, Callable[[str], object]] = {
    "pipeline": Tracker, "plan": experiment_to_read, "report": load_tables, "audit": audit_of,
}  # fmt: skip


def state_of(folder: Path) -> dict[Path, str]:
    """File -> hash of its content."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def use(folder: Path, database: str = "mlflow.db") -> Path:
    tracking_service._artifact_repos_cache.clear()  # It knows runs by their ids, which all copies share.
    mlflow.set_tracking_uri(f"sqlite:///{folder / database}")
    return folder / database


@pytest.fixture
def project(tmp_path: Path, empty_database: Path, tracking_to: None, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with two experiments, one of which has runs, and a sweep's folder with a whole path."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    shutil.copy(empty_database, folder / "mlflow.db")
    use(folder)
    for name in ("tests", "empty"):
        MlflowClient().create_experiment(name, str(folder / "mlruns" / name))
    PublicCalls(MlflowClient(), "1").write(RECORDS)
    (run, *_) = MlflowClient().search_runs(["1"])
    MlflowClient().set_tag(run.info.run_id, names.FOLDER_TAG, str(folder / "multirun" / "sweep"))
    return folder


def copied(project: Path, target: str) -> Path:
    return Path(shutil.copytree(project, project.parent / target, symlinks=True))


def moved(project: Path, target: str) -> Path:
    return Path(shutil.move(project, project.parent / target))


def say(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr("sys.argv", ["relocate", *arguments])
    relocate.main()


def paths_in(database: Path) -> list[str]:
    with closing(sqlite3.connect(database)) as connection:
        return [path for read in relocate.PLACES for _, path in connection.execute(read)]


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("way", [copied, moved])
def test_whoever_uses_a_store_that_is_elsewhere_now_is_told_the_command_that_mends_it(
    project: Path, way: Callable[[Path, str], Path], user: str
) -> None:
    folder = way(project, "it's here")
    database, before = use(folder), state_of(project.parent)
    with pytest.raises((InputError, ReportError)) as caught:
        USERS[user]("tests")
    message = str(caught.value)
    assert message.startswith(f"{database} was moved or copied: ")
    assert message.endswith(f"python -m pipeline.relocate {shlex.quote(str(database))}")
    assert len(message.splitlines()) == 1
    after = {path: content for path, content in state_of(project.parent).items() if path.suffix != ".lock"}
    assert after == before


@pytest.mark.parametrize("target", ["copy", "project/inside", "a b/it's ä"])
@pytest.mark.parametrize("is_spelled_as_uri", [False, True])
def test_a_mended_copy_lives_on_its_own_and_the_original_too(
    project: Path, target: str, is_spelled_as_uri: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if is_spelled_as_uri:
        with closing(sqlite3.connect(project / "mlflow.db")) as connection, connection:
            connection.execute("UPDATE experiments SET artifact_location = 'file://' || artifact_location")
            connection.execute("UPDATE runs SET artifact_uri = 'file://' || artifact_uri")
    before = state_of(project)
    (project.parent / "a b").mkdir()
    folder = copied(project, target)
    database = use(folder)
    say(monkeypatch, str(database))
    assert moves_of(database) == []
    assert not [path for path in paths_in(database) if str(project / "m") in path and str(folder) not in path]
    tracker = Tracker("tests")
    (added,) = tracker.log(RECORDS[:1], None) or []
    assert (folder / "mlruns" / "tests" / added / "artifacts" / names.CONFIG_FILE).exists()
    Tracker("empty")
    found = sorted(Path(path) for path in before if path.parent != folder)
    assert {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in found} == before
    assert moves_of(use(project)) == []
    say(monkeypatch, str(project / "mlflow.db"))
    assert {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in found} == before


def test_a_moved_store_brings_home_what_was_tracked_into_the_old_folder_meanwhile(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = moved(project, "new")
    strayed = next((folder / "mlruns" / "tests").iterdir())
    old = project / "mlruns" / "tests" / strayed.name
    shutil.move(strayed, old)
    before = state_of(project)
    database = use(folder)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{database}")
    say(monkeypatch)
    assert capsys.readouterr().out.splitlines()[0].startswith(f"{database} names {folder} now")
    assert state_of(project) == before
    assert {path.relative_to(strayed): content for path, content in state_of(strayed).items()} == {
        path.relative_to(old): content for path, content in before.items()
    }
    for run in MlflowClient().search_runs(["1"]):
        assert MlflowClient().list_artifacts(run.info.run_id)


def test_a_store_without_runs_is_found_by_its_empty_folders(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(sqlite3.connect(project / "mlflow.db")) as connection, connection:
        connection.execute("DELETE FROM experiments WHERE name = 'tests'")
    (project / "mlruns" / "empty").mkdir()
    folder = copied(project, "copy")
    assert [(move.old, move.new) for move in moves_of(use(folder))] == [(project, folder)]


def test_an_empty_folder_of_somebody_else_is_not_taken_for_the_place_of_a_store_without_runs(project: Path) -> None:
    (project.parent / "mlruns" / "empty").mkdir(parents=True)
    assert moves_of(use(project)) == []


def test_stores_that_are_where_they_were_are_left_alone(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def in_place(folder: Path, database: str = "mlflow.db") -> bool:
        path = use(folder, database)
        before = paths_in(path)
        say(monkeypatch, str(path))
        return moves_of(path) == [] and paths_in(path) == before

    assert in_place(project)
    # Reached over a link, to the project or in its path.
    (project.parent / "link").symlink_to(project)
    assert in_place(project.parent / "link")
    # The database lies elsewhere on purpose, beside the artifacts of another store.
    other = project.parent / "other"
    (other / "mlruns" / "tests" / ("0" * 32)).mkdir(parents=True)
    (other / "mlruns" / "empty").mkdir()
    (other / "mlruns" / "empty" / ("0" * 32)).mkdir()
    shutil.copy(project / "mlflow.db", other / "mlflow.db")
    assert in_place(other)
    # Renamed, with a link from the old name.
    folder = moved(project, "renamed")
    project.symlink_to(folder)
    assert in_place(folder)


def test_a_database_in_a_folder_of_its_own_is_followed_too(project: Path) -> None:
    (project / "store").mkdir()
    shutil.move(project / "mlflow.db", project / "store" / "runs.db")
    folder = copied(project, "copy")
    assert moves_of(folder / "store" / "runs.db") == [(project, folder)]
    assert moves_of(project / "store" / "runs.db") == []


@pytest.mark.parametrize("way", [shutil.copy, shutil.move])
@pytest.mark.parametrize("is_deleted", [False, True])
def test_a_database_that_went_without_its_artifacts_takes_a_copy_of_them(
    project: Path, way: Callable[[Path, Path], object], is_deleted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    Tracker("tests")
    folder = project.parent / "new"
    folder.mkdir()
    way(project / "mlflow.db", folder / "runs.db")
    database, before = use(folder, "runs.db"), state_of(project / "mlruns")
    assert experiment_to_read("tests")
    if is_deleted:
        monkeypatch.chdir(folder)
        shutil.rmtree(project)
    with pytest.raises(InputError, match=r"was moved or copied: .*python -m pipeline.relocate [^\n]*$"):
        Tracker("tests")
    assert is_deleted != project.exists()
    say(monkeypatch, str(database))
    assert moves_of(database) == []
    (added,) = Tracker("tests").log(RECORDS[:1], None) or []
    assert (folder / "mlruns" / "tests" / added / "artifacts" / names.CONFIG_FILE).exists()
    if not is_deleted:
        assert state_of(project / "mlruns") == before
        assert {*before.values()} <= {*state_of(folder / "mlruns").values()}


def test_a_database_beside_others_artifacts_from_the_first_is_in_place(project: Path) -> None:
    (project.parent / "store").mkdir()
    database = shutil.move(project / "mlflow.db", project.parent / "store" / "mlflow.db")
    use(project.parent / "store")
    Tracker("tests")
    assert moves_of(database) == []
    assert moves_of(Path(database).rename(project.parent / "store" / "other.db")) == []


def test_a_mending_that_fails_changes_nothing(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = use(copied(project, "copy"))
    before = paths_in(database)
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("CREATE TRIGGER t BEFORE UPDATE ON runs BEGIN SELECT RAISE(ABORT, 'no room'); END")
    with pytest.raises(SystemExit) as caught:
        say(monkeypatch, str(database))
    assert str(caught.value) == f"{database}: no room; nothing was changed"
    assert paths_in(database) == before


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("http://me:hidden@host", "expected a local database sqlite:///FILE, got http://***@host"),
        ("postgresql://host/runs", "expected a local database"),
        ("sqlite://mlflow.db", "did you mean sqlite:///mlflow.db?"),
        ("sqlite:///absent.db", "does not exist"),
        ("sqlite:////", "/ is a folder"),
        (f"sqlite:///{__file__}", "file is not a database"),
    ],
)
def test_only_a_local_store_is_mended(address: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    with pytest.raises(SystemExit, match=r"^[^\n]*$") as caught:
        say(monkeypatch)
    assert words in str(caught.value)
