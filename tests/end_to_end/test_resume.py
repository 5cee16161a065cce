"""The same command again completes what is missing: under every launcher, in any order, extended, after a kill."""

import json
import shlex
import signal
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from analysis.audit import Audit, audit_of, differences
from pipeline import names
from pipeline.tracking.curves import CURVES_SCHEMA
from pipeline.tracking.store.api_writer import PublicCalls
from tests.support.in_process import call
from tests.support.sweeps import JOBS, SWEEP, HaltedTraining, audited, completed, started, wait_for
from tests.tracking.test_cleanup import GONE
from tests.tracking.test_writers import RECORDS

pytestmark = pytest.mark.usefixtures("with_database")
FEW = ("-m", "model=logistic", "init=zeros,normal", "optimizer.learning_rate=0.1", "data=iris", "training.steps=20",
       "training.batch_size=16", "executor=inline")  # fmt: skip


def parents(folder: Path) -> list[dict[str, str]]:
    client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    experiment = client.get_experiment_by_name("symmetry")
    assert experiment is not None
    found = client.search_runs([experiment.experiment_id], f"tags.`{names.SWEEP_TAG}` != ''")
    return [{"id": run.info.run_id, "status": run.info.status, **run.data.tags} for run in found]


def tracked_twice(client: MlflowClient, run: Run) -> str:
    """Tracks one more run of the same job, as a second driver would that has not seen the first run; its id."""
    kept = (names.FINGERPRINT_TAG, names.PARENT_TAG)
    tags = {key: value for key, value in run.data.tags.items() if key in kept}
    twin = replace(RECORDS[0], tags=tags, start_time=run.info.start_time + 1)
    return PublicCalls(client, run.info.experiment_id).write([twin])[0]


def job_folders(folder: Path) -> dict[str, list[str]]:
    """Number of a job -> its overrides, over all folders of sweeps."""
    return {
        path.parent.parent.name: path.read_text(encoding="utf-8").split()
        for path in folder.glob("multirun/*/*/*/.hydra/overrides.yaml")
    }


def test_the_same_command_again_trains_nothing_and_says_so(tmp_path: Path) -> None:
    first = completed(tmp_path, *FEW, "seed=0,1")
    assert "4 jobs: 0 already tracked, 4 to train" in first
    again = completed(tmp_path, *FEW, "seed=0,1")
    assert "4 jobs: 4 already tracked, 0 to train" in again
    assert again.partition("4 jobs: 4 finished")[2] == first.partition("4 jobs: 4 finished")[2]
    audited(tmp_path, jobs=4)
    assert len(parents(tmp_path)) == 1


@pytest.mark.parametrize("launcher", ["stacked", "basic"])
def test_an_extended_and_reordered_sweep_trains_only_what_is_new_in_the_same_place(
    tmp_path: Path, launcher: str
) -> None:
    completed(tmp_path, *FEW, "seed=0,1")
    before = job_folders(tmp_path)
    extended = completed(tmp_path, *FEW, "init=normal,zeros", "seed=2,1,0", f"hydra/launcher={launcher}")
    assert "6 jobs: 4 already tracked, 2 to train" in extended
    after = job_folders(tmp_path)
    assert {number: after[number] for number in before} == before
    assert sorted(after) == ["0", "1", "2", "3", "4", "5"]
    assert all("seed=2" in after[number] for number in ("4", "5"))
    audited(tmp_path, jobs=6)
    (parent,) = parents(tmp_path)
    assert (parent["status"], parent[names.SWEEP_TAG]) == ("FINISHED", "6")


def test_a_part_of_a_sweep_is_known_and_needs_no_parent_of_its_own(tmp_path: Path) -> None:
    completed(tmp_path, *FEW, "seed=0,1")
    assert "1 jobs: 1 already tracked, 0 to train" in completed(tmp_path, *FEW, "seed=1", "init=zeros")
    # Half of these are new, so they make a sweep; the other half is not trained again.
    assert "2 jobs: 1 already tracked, 1 to train" in completed(tmp_path, *FEW, "seed=1,7", "init=zeros")
    assert len(parents(tmp_path)) == 2
    audited(tmp_path, jobs=5)


@pytest.mark.slow
def test_rerun_trains_all_again_and_both_results_are_the_same(tmp_path: Path) -> None:
    completed(tmp_path, *FEW, "seed=0")
    for _ in range(2):
        assert "2 jobs: 0 already tracked, 2 to train" in completed(tmp_path, *FEW, "seed=0", "rerun=true")
    audit = audit_of("symmetry", thorough=True, tracking_uri=f"sqlite:///{tmp_path}/mlflow.db")
    assert (audit.problems, audit.jobs, audit.finished) == ([], 2, 6)
    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    digests: dict[str, set[str]] = {}
    for run in client.search_runs(["1"], f"tags.`{names.DIGEST_TAG}` != ''"):
        digests.setdefault(run.data.tags[names.FINGERPRINT_TAG], set()).add(run.data.tags[names.DIGEST_TAG])
    assert [len(each) for each in digests.values()] == [1, 1]


@pytest.mark.soak
def test_a_rerun_that_is_killed_goes_on_when_asked_again(tmp_path: Path, undisturbed: Audit) -> None:
    """What was tracked before the rerun does not count, what it has trained itself does."""
    again = (*SWEEP, "rerun=true")
    completed(tmp_path, *SWEEP, "model.hidden_units=[3]")
    with started(tmp_path, *again, **HaltedTraining(tmp_path).environment) as process:
        assert wait_for(tmp_path, "jobs: best loss", process)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 130
    assert f"say again: python -m pipeline.run {shlex.join(again)}" in (tmp_path / "output.txt").read_text("utf-8")
    (rerun,) = [parent for parent in parents(tmp_path) if names.RERUN_TAG in parent]
    assert rerun["status"] == "KILLED"
    query = f"tags.`{names.PARENT_TAG}` = '{rerun['id']}'"
    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    done = len(client.search_runs(["1"], query))
    assert 0 < done < JOBS
    assert f"{JOBS} jobs: {done} already tracked, {JOBS - done} to train" in completed(tmp_path, *again)
    assert len(client.search_runs(["1"], query)) == JOBS
    audit = audit_of("symmetry", thorough=True, tracking_uri=f"sqlite:///{tmp_path}/mlflow.db")
    assert (audit.problems, audit.finished) == ([], JOBS + JOBS // 4)
    assert differences(audit, undisturbed) == []
    assert len(parents(tmp_path)) == 2


@pytest.mark.parametrize(("jobs", "ends"), [(2, "FINISHED"), (4, "KILLED")], ids=["a part of it", "all of it"])
def test_a_sweep_killed_at_its_very_end_ends_though_a_later_one_has_its_jobs(
    tmp_path: Path, jobs: int, ends: str
) -> None:
    """Two drivers that begin at the same moment know nothing of each other; then one finishes what both wanted."""
    completed(tmp_path, *FEW, "seed=0,1")
    (killed,) = parents(tmp_path)
    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    client.update_run(killed["id"], status="RUNNING")
    client.set_tag(killed["id"], names.DRIVER_TAG, GONE)
    tracked_twice(client, client.search_runs(["1"], f"tags.`{names.PARENT_TAG}` = '{killed['id']}'")[0])
    (list_of_jobs,) = tmp_path.glob(f"mlruns/**/{killed['id']}/artifacts/{names.JOBS_FILE}")
    fingerprints = json.loads(list_of_jobs.read_text(encoding="utf-8"))["fingerprints"][:jobs]
    later = client.create_run("1", tags={names.SWEEP_TAG: str(jobs), names.FOLDER_TAG: killed[names.FOLDER_TAG]})
    client.log_text(later.info.run_id, json.dumps({"fingerprints": fingerprints}), names.JOBS_FILE)
    pq.write_table(CURVES_SCHEMA.empty_table(), tmp_path / names.CURVES_FILE)
    client.log_artifact(later.info.run_id, str(tmp_path / names.CURVES_FILE))
    client.set_terminated(later.info.run_id)

    assert "4 jobs: 4 already tracked, 0 to train" in completed(tmp_path, *FEW, "seed=0,1")
    statuses = {parent["id"]: parent["status"] for parent in parents(tmp_path)}
    assert statuses == {killed["id"]: ends, later.info.run_id: "FINISHED"}
    audited(tmp_path, jobs=4)


def test_a_job_named_twice_is_one_job(tmp_path: Path) -> None:
    assert "2 jobs: 0 already tracked, 2 to train" in completed(tmp_path, *FEW, "seed=3,3")
    audited(tmp_path, jobs=2)


@pytest.mark.slow
def test_a_single_run_is_not_trained_twice_either(tmp_path: Path) -> None:
    arguments = ("model=logistic", "data=iris", "training.steps=5", "training.batch_size=16")
    first = call("pipeline.run", *arguments, folder=tmp_path)
    assert first.returncode == 0, first.stderr
    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    (run,) = client.search_runs(["1"])
    left = client.create_run("1", tags={names.DRIVER_TAG: GONE}).info.run_id
    tracked_twice(client, run)
    again = call("pipeline.run", *arguments, folder=tmp_path)
    assert f"already tracked as run {run.info.run_id}" in again.stdout
    assert client.get_run(left).info.status == "KILLED"
    assert "rerun=true" in again.stdout
    third = call("pipeline.run", *arguments, "rerun=true", folder=tmp_path)
    assert "already tracked" not in third.stdout
    (third_run,) = {each.info.run_id for each in client.search_runs(["1"])} - {run.info.run_id, left}
    # On purpose there is more than one of it.
    completed(tmp_path, "-m", *arguments, "seed=0,1", "executor=inline")
    assert client.get_run(third_run).info.lifecycle_stage == "active"


@pytest.mark.soak
def test_what_others_finished_in_one_folder_at_the_same_time_is_tracked_once(
    tmp_path: Path, undisturbed: Audit
) -> None:
    """Two processes on a fresh database, the second with half of the jobs of the first."""
    (tmp_path / "mlflow.db").unlink()
    half = [argument if not argument.startswith("init=") else "init=normal" for argument in SWEEP]
    with started(tmp_path) as first, started(tmp_path, *half) as second:
        assert first.wait(timeout=300) == 0, (tmp_path / "output.txt").read_text(encoding="utf-8")
        assert second.wait(timeout=300) == 0, (tmp_path / "output.txt").read_text(encoding="utf-8")
    audited(tmp_path, like=undisturbed)


@pytest.mark.slow
def test_a_torn_list_of_jobs_costs_the_parent_but_no_run(tmp_path: Path) -> None:
    completed(tmp_path, *FEW, "seed=0,1")
    (parent,) = parents(tmp_path)
    (list_of_jobs,) = tmp_path.glob(f"mlruns/**/{parent['id']}/artifacts/{names.JOBS_FILE}")
    content = json.loads(list_of_jobs.read_text(encoding="utf-8"))
    assert len(content["fingerprints"]) == 4
    list_of_jobs.write_text(list_of_jobs.read_text(encoding="utf-8")[:20], encoding="utf-8")
    assert "6 jobs: 4 already tracked, 2 to train" in completed(tmp_path, *FEW, "seed=0,1,2")
    assert len(parents(tmp_path)) == 2
