"""What a local database tells by queries of our own against what MLflow's search tells."""

import math
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from pipeline.tracking.store import queries as tracked_runs
from pipeline.tracking.store.api_writer import PublicCalls
from pipeline.tracking.store.queries import finished_runs, runs_with
from tests.tracking.test_writers import record


@pytest.fixture
def store(tmp_path: Path) -> tuple[MlflowClient, str]:
    """Runs of which one failed, two share a fingerprint, one is deleted, and one belongs to another experiment."""
    client = MlflowClient(f"sqlite:///{tmp_path}/runs.db")
    experiment = str(client.create_experiment("tests", str(tmp_path / "artifacts")))
    run_ids = PublicCalls(client, experiment).write([*map(record, range(5)), record(5, f"{1:032x}")])
    client.delete_run(run_ids[4])
    client.set_terminated(client.create_run(experiment).info.run_id)
    other = str(client.create_experiment("others", str(tmp_path / "others")))
    PublicCalls(client, other).write([record(0)])
    return client, experiment


def whole(run: Run) -> dict[str, Any]:
    """What a run holds, its inputs left out; NaN as text, because it equals nothing."""
    metrics = {key: repr(value) for key, value in run.data.metrics.items()}
    return dict(run.info) | {"params": run.data.params, "tags": run.data.tags, "metrics": metrics}


def test_both_ways_find_the_same_runs_with_all_they_hold(
    store: tuple[MlflowClient, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = [f"{number:032x}" for number in (0, 1, 2, 4, 9)]
    queried, tracked = runs_with(*store, wanted), finished_runs(*store)
    of_one, of_sweep = finished_runs(*store, fingerprint=wanted[1]), finished_runs(*store, parent="another")
    monkeypatch.setattr(tracked_runs, "sql_store", lambda *_: None)
    assert [run.info.run_name for run in queried] == ["run 0 ä'\"", "run 5 ä'\""]
    assert math.isnan(queried[0].data.metrics["loss/train"])
    assert list(map(whole, queried)) == list(map(whole, runs_with(*store, wanted)))
    assert repr(tracked) == repr(finished_runs(*store)) == repr(finished_runs(*store, parent="parent"))
    assert len(tracked) == 4
    assert of_one == finished_runs(*store, fingerprint=wanted[1]) == [tracked[1], tracked[3]]
    assert of_sweep == finished_runs(*store, parent="another") == []
