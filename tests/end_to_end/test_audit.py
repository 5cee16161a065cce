"""The auditor finds what is missing, double, open or damaged; every doctored store is told."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient

from analysis.audit import Audit, audit_of, differences
from pipeline import names
from tests.support.in_process import call
from tests.support.sweeps import copied_store


@pytest.fixture
def store(swept: tuple[Path, str], tmp_path: Path) -> Path:
    """A copy of a finished sweep of eight runs, artifacts included, that a test may damage."""
    return copied_store(swept[0], tmp_path / "store")


def audited(store: Path, *, thorough: bool = True) -> Audit:
    return audit_of("symmetry", thorough=thorough, tracking_uri=f"sqlite:///{store}/mlflow.db")


def changed(store: Path, statement: str) -> None:
    with sqlite3.connect(store / "mlflow.db") as connection:
        assert connection.execute(statement).rowcount > 0


ONE = "(SELECT run_uuid FROM tags WHERE key = 'fingerprint' ORDER BY value LIMIT 1)"


@pytest.mark.parametrize("thorough", [False, True])
def test_a_sound_store_has_no_problem_and_equals_itself(store: Path, thorough: bool) -> None:
    audit = audited(store, thorough=thorough)
    assert (audit.problems, audit.sweeps, audit.jobs, audit.finished) == ([], 1, 8, 8)
    assert differences(audit, audited(store)) == []


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        (f"UPDATE runs SET status = 'FAILED' WHERE run_uuid = {ONE}", "1 of its 8 jobs are not finished"),
        (f"UPDATE runs SET lifecycle_stage = 'deleted' WHERE run_uuid = {ONE}", "1 of its 8 jobs are not finished"),
        (f"UPDATE runs SET status = 'RUNNING' WHERE run_uuid = {ONE}", "has not ended"),
        (f"UPDATE metrics SET value = value + 1e-12 WHERE run_uuid = {ONE} AND step = 1", "not those of the store"),
        (f"DELETE FROM metrics WHERE run_uuid = {ONE} AND step = 1", "numbers are not those that were tracked"),
        (
            f"DELETE FROM latest_metrics WHERE run_uuid = {ONE} AND key = 'loss/test'",
            "numbers are not those that were tracked",
        ),
        (
            "UPDATE tags SET value = (SELECT min(value) FROM tags WHERE key = 'fingerprint') WHERE key = 'fingerprint'"
            " AND value = (SELECT max(value) FROM tags WHERE key = 'fingerprint')",
            "is finished 2 times",
        ),
    ],
)
def test_a_doctored_database_is_noticed(store: Path, statement: str, words: str) -> None:
    changed(store, statement)
    assert any(words in problem for problem in audited(store).problems), audited(store).problems


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-100] ^= 4
    path.write_bytes(content)


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


@pytest.mark.parametrize("damage", [flipped, truncated, Path.unlink], ids=["flipped", "truncated", "missing"])
@pytest.mark.parametrize("name", [names.WEIGHTS_FILE, names.CURVES_FILE, names.JOBS_FILE, names.CONFIG_FILE])
def test_a_damaged_artifact_is_noticed(store: Path, name: str, damage: Callable[[Path], None]) -> None:
    if name == names.CONFIG_FILE and damage is not Path.unlink:
        pytest.skip("the configuration is for people: only that it is there is checked")
    damage(sorted(store.glob(f"mlruns/**/{name}"))[0])
    assert len(audited(store, thorough=False).problems) > 0


def test_numbers_of_another_store_are_compared_bit_by_bit(store: Path, tmp_path: Path) -> None:
    copied_store(store, tmp_path / "other")
    changed(tmp_path / "other", f"UPDATE metrics SET value = value * (1 + 1e-15) WHERE run_uuid = {ONE} AND step = 5")
    found = differences(audited(store), audited(tmp_path / "other"))
    assert len(found) == 1
    assert "has other numbers" in found[0]
    changed(tmp_path / "other", f"UPDATE runs SET lifecycle_stage = 'deleted' WHERE run_uuid = {ONE}")
    (only,) = differences(audited(store), audited(tmp_path / "other"))
    assert only.startswith("only this store has ")


def test_the_command_prints_the_problems_and_fails(store: Path) -> None:
    sound = call("analysis.audit", "--thorough", "--against", "sqlite:///mlflow.db", folder=store)
    assert (sound.returncode, sound.stderr) == (0, "")
    assert sound.stdout.splitlines() == [
        "1 sweeps, 8 jobs, 8 finished runs", "0 problems", "0 differences from sqlite:///mlflow.db",
    ]  # fmt: skip
    MlflowClient(f"sqlite:///{store}/mlflow.db").delete_run(
        sorted(audit_run.info.run_id for audit_run in MlflowClient(f"sqlite:///{store}/mlflow.db").search_runs(
            ["1"], f"tags.`{names.FINGERPRINT_TAG}` != ''"))[0]
    )  # fmt: skip
    broken = call("analysis.audit", folder=store)
    assert broken.returncode == 1
    assert "1 of its 8 jobs are not finished" in broken.stdout
    absent = call("analysis.audit", "--experiment", "absent", folder=store)
    assert (absent.returncode, absent.stderr.count("\n")) == (1, 1)


@pytest.mark.parametrize("damage", [flipped, truncated, Path.unlink], ids=["flipped", "truncated", "missing"])
def test_a_recording_is_audited_and_read_back(
    tmp_path: Path, with_database: None, damage: Callable[[Path], None]
) -> None:
    few = ["data=iris", "training.steps=4", "model.hidden_units=[3]", "record_weights=[0]"]
    assert call("pipeline.run", *few, folder=tmp_path).returncode == 0
    assert audited(tmp_path).problems == []
    (recorded,) = tmp_path.glob(f"mlruns/**/{names.RECORDED_FILE}")
    damage(recorded)
    assert len(audited(tmp_path).problems) > 0
