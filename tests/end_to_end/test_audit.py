"""The auditor finds what is missing, double, open or damaged; every doctored store is told."""

import re
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient

from analysis.audit import Audit, audit_of, differences
from analysis.retrain import retrained
from pipeline import names
from pipeline.digest import sweep_digest
from tests.support.in_process import call
from tests.support.sweeps import completed, copied_store

SWEPT = "2c55faf9fcf23f96"
"""Digest of the sweep of eight runs, on every machine; it changes with RESULT_VERSION."""


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
        pytest.skip("the configuration is for people: that it is there is checked, and that the params are its values")
    damage(sorted(store.glob(f"mlruns/**/{name}"))[0])
    assert len(audited(store, thorough=False).problems) > 0


def test_params_that_were_edited_are_noticed(store: Path) -> None:
    changed(store, f"UPDATE params SET value = '123.0' WHERE run_uuid = {ONE} AND key = 'optimizer.learning_rate'")
    (problem,) = audited(store, thorough=False).problems
    assert problem.endswith("its params are not those of config.yaml: optimizer.learning_rate")


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


def test_the_digest_of_a_sweep_changes_with_any_number_and_with_nothing_else(store: Path) -> None:
    (before,) = audited(store).sweep_digests.values()
    changed(store, "UPDATE runs SET name = 'another name', start_time = start_time + 1")
    changed(store, "UPDATE tags SET value = 'another' WHERE key LIKE 'machine.%'")
    assert set(audited(store).sweep_digests.values()) == {before}
    changed(store, f"UPDATE metrics SET value = value + 1e-12 WHERE run_uuid = {ONE} AND step = 1")
    assert set(audited(store).sweep_digests.values()) != {before}


def test_the_digest_of_a_sweep_does_not_depend_on_the_order_of_its_runs() -> None:
    digests = {"a": "1", "b": "2", "c": "3"}
    assert sweep_digest(digests, ["c", "a"]) == sweep_digest(dict(reversed(digests.items())), {"a", "c"})
    assert len({sweep_digest(digests, jobs) for jobs in (["a"], ["a", "b"], ["a", "b", "d"], ["a", "b", "e"])}) == 4


def test_tracked_runs_trained_anew_give_the_same_bits(store: Path) -> None:
    uri = f"sqlite:///{store}/mlflow.db"
    assert retrained("symmetry", 8, tracking_uri=uri) == (8, [])
    assert retrained("symmetry", 3, tracking_uri=uri) == (3, [])
    assert retrained("symmetry", 99, tracking_uri=uri) == (8, [])


def test_a_changed_number_is_shown_beside_the_one_trained_anew(store: Path) -> None:
    changed(store, f"UPDATE metrics SET value = value + 0.5 WHERE run_uuid = {ONE} AND step = 1 AND key = 'loss/train'")
    _, (line,) = retrained("symmetry", 8, tracking_uri=f"sqlite:///{store}/mlflow.db")
    assert re.search(r"\): loss/train at step 1: tracked [\d.e-]+, trained anew [\d.e-]+$", line)


def test_the_command_verifies_and_prints_the_digest_that_the_sweep_printed(swept: tuple[Path, str]) -> None:
    done = call("analysis.audit", "--digest", "--retrain", "1", folder=swept[0])
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("1 runs trained anew, 0 differences\n")
    (digest,) = re.findall(r"^digest of 'sweep of 8' \(run \w{32}\): ([0-9a-f]{16})$", done.stdout, re.MULTILINE)
    assert f"\nDigest of all their numbers: {digest}\n" in swept[1]
    assert digest == SWEPT


@pytest.mark.slow
def test_somebody_s_runs_are_trained_anew_from_data_that_lies_elsewhere_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs, mine = tmp_path / "theirs", tmp_path / "mine"
    theirs.mkdir()
    (theirs / "table.csv").write_text("x,kind\n" + "".join(f"{row},{'ab'[row % 2]}\n" for row in range(40)))
    completed(theirs, "data=csv", f"data.path={theirs}/table.csv", "data.target=kind", "training.batch_size=null",
              "training.steps=3", "data.test_fraction=0.25")  # fmt: skip
    theirs.rename(mine)
    assert call("pipeline.relocate", folder=mine).returncode == 0
    done = call("analysis.audit", "--retrain", "all", folder=mine)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "1 runs trained anew, 0 differences")
    (mine / "table.csv").unlink()
    done = call("analysis.audit", "--retrain", "all", folder=mine)
    assert done.returncode == 1
    assert f"cannot be trained anew: data.path: {theirs}/table.csv: expected a file, got no such file" in done.stdout


def test_runs_that_cannot_be_trained_anew_are_told(store: Path) -> None:
    for file in (store / "mlruns").rglob(names.CONFIG_FILE):
        file.write_text("model: {name: mlp}\n")
    _, lines = retrained("symmetry", 2, tracking_uri=f"sqlite:///{store}/mlflow.db")
    assert len(lines) == 2
    assert all("cannot be trained anew: " in line for line in lines)
