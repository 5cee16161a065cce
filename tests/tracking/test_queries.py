"""What a local database tells by queries of our own against what MLflow's search tells."""

import math
from pathlib import Path

import pytest
from mlflow import MlflowClient

from pipeline.tracking.store import queries as tracked_runs
from pipeline.tracking.store.api_writer import PublicCalls
from pipeline.tracking.store.queries import finished_runs, runs_with
from pipeline.tracking.sweeps import FinishedRun
from tests.tracking.test_writers import record

KEYS = ["loss/train", "loss/test"]


@pytest.fixture
def store(tmp_path: Path) -> tuple[MlflowClient, str]:
    """Runs of which one failed, two share a fingerprint, one is deleted, and one belongs to another experiment."""
    client = MlflowClient(f"sqlite:///{tmp_path}/runs.db")
    experiment = str(client.create_experiment("tests", str(tmp_path / "artifacts")))
    newest = record(5, f"{1:032x}")
    newest.tags["diverged"] = "true"
    run_ids = PublicCalls(client, experiment).write([*map(record, range(5)), newest])
    client.delete_run(run_ids[4])
    client.set_terminated(client.create_run(experiment).info.run_id)
    other = str(client.create_experiment("others", str(tmp_path / "others")))
    PublicCalls(client, other).write([record(0)])
    return client, experiment


def test_both_ways_find_the_same_runs_with_what_was_asked_for(
    store: tuple[MlflowClient, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def found() -> list[FinishedRun]:
        return runs_with(*store, [f"{number:032x}" for number in (0, 1, 2, 4, 9)], ["seed", "empty", "absent"], KEYS)

    queried, tracked = found(), finished_runs(*store)
    of_one, of_sweep = finished_runs(*store, fingerprint=f"{1:032x}"), finished_runs(*store, parent="another")
    monkeypatch.setattr(tracked_runs, "sql_store", lambda *_: None)
    assert [run.name for run in queried] == ["run 0 ä'\"", "run 5 ä'\""]
    assert [run.has_diverged for run in queried] == [False, True]
    assert {run.parent for run in queried} == {"parent"}
    assert [{key: value for key, value in run.params.items() if value} for run in queried] == [
        {"seed": "0"}, {"seed": "5"}
    ]  # fmt: skip
    assert all(run.metrics.keys() == set(KEYS) for run in queried)
    assert math.isnan(queried[0].metrics["loss/train"])
    assert list(map(plain, queried)) == list(map(plain, found()))
    assert repr(tracked) == repr(finished_runs(*store)) == repr(finished_runs(*store, parent="parent"))
    assert len(tracked) == 4
    assert of_one == finished_runs(*store, fingerprint=f"{1:032x}") == [tracked[1], tracked[3]]
    assert of_sweep == finished_runs(*store, parent="another") == []


def plain(run: FinishedRun) -> list[str]:
    """NaN as text, because it equals nothing."""
    return [repr(sorted(part.items()) if isinstance(part, dict) else part) for part in run]
