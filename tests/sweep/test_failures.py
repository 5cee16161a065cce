"""A job that raises fails alone, and is tracked with its traceback."""

from pathlib import Path

import pytest
from mlflow import MlflowClient

from analysis.audit import audit_of
from pipeline import names
from tests.support.command_line import PROJECT, command

pytestmark = pytest.mark.usefixtures("with_database")

# Stands in for a defect that only one seed meets: the trainer itself has no such switch.
BROKEN_SEED = """
import pipeline.training.stack as stacking
train_stack = stacking.train_stack
def failing(configs, *digest):
    if any(config.seed == 1 for config in configs):
        raise ZeroDivisionError("seed 1 is broken")
    return train_stack(configs, *digest)
stacking.train_stack = failing
"""


def test_a_job_that_raises_fails_alone(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(BROKEN_SEED, encoding="utf-8")
    sweep = ["-m", "model=mlp", "init=zeros", "optimizer.learning_rate=0.1", "seed=0,1,2", "training.steps=5"]
    completed = command("pipeline.run", *sweep, folder=tmp_path, PYTHONPATH=f"{tmp_path}:{PROJECT}")
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
    (tmp_path / "sitecustomize.py").unlink()
    again = command("pipeline.run", *sweep, folder=tmp_path)
    assert again.returncode == 0, again.stderr
    assert "3 jobs: 2 already tracked, 1 to train" in again.stdout
    audit = audit_of("symmetry", thorough=True, tracking_uri=f"sqlite:///{tmp_path}/mlflow.db")
    assert (audit.problems, audit.jobs, audit.finished) == ([], 3, 3)
