"""A job that raises fails alone, and is tracked with its traceback."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from analysis.audit import audit_of
from pipeline import names
from pipeline.config.schema import Config
from pipeline.executors import batch
from pipeline.training.stack import RunResult, train_stack
from tests.support.in_process import call

pytestmark = pytest.mark.usefixtures("with_database")


def test_a_job_that_raises_fails_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Stands in for a defect that only one seed meets: the trainer itself has no such switch.
    def train_others(configs: Sequence[Config], *digest: Any) -> list[RunResult]:
        if any(config.seed == 1 for config in configs):
            raise ZeroDivisionError("seed 1 is broken")
        return train_stack(configs, *digest)

    sweep = ["-m", "model=mlp", "init=zeros", "optimizer.learning_rate=0.1", "seed=0,1,2", "training.steps=5"]
    with monkeypatch.context() as patch:
        patch.setattr(batch, "train_stack", train_others)
        completed = call("pipeline.run", *sweep, folder=tmp_path)
    assert completed.returncode == 1
    assert "1 of 3 jobs failed" in completed.stderr
    assert "seed=1" in completed.stderr
    assert "ZeroDivisionError: seed 1 is broken" in completed.stderr
    assert len(completed.stderr.splitlines()) == 2
    log = completed.stderr.rpartition("(log: ")[2].strip().rstrip(")")
    assert "seed 1 is broken" in Path(log).read_text(encoding="utf-8")
    assert "#1: " in completed.stdout
    assert "3 jobs: 2 finished (0 diverged), 1 failed" in completed.stdout

    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    experiment = client.get_experiment_by_name("symmetry")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    status = {run.data.params.get("seed", "parent"): run for run in runs}
    assert {seed: run.info.status for seed, run in status.items()} == {
        "parent": "FAILED",
        "0": "FINISHED",
        "1": "FAILED",
        "2": "FINISHED",
    }
    failed = status["1"]
    assert failed.data.tags[names.ERROR_TAG] == "ZeroDivisionError: seed 1 is broken"
    artifact = Path(failed.info.artifact_uri.removeprefix("file://")) / names.TRACEBACK_FILE
    assert "raise ZeroDivisionError" in artifact.read_text(encoding="utf-8")

    # Without the defect, the same command trains what had failed, and nothing else.
    again = call("pipeline.run", *sweep, folder=tmp_path)
    assert again.returncode == 0, again.stderr
    assert "3 jobs: 2 already tracked, 1 to train" in again.stdout
    audit = audit_of("symmetry", thorough=True, tracking_uri=f"sqlite:///{tmp_path}/mlflow.db")
    assert (audit.problems, audit.jobs, audit.finished) == ([], 3, 3)
