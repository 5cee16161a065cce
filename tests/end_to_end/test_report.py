"""The report, from a real sweep in a real store: its tables, and partial and broken input."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

from analysis.audit import audit_of
from analysis.claims.source_text import claims_of
from analysis.errors import ReportError
from analysis.page.page import rendered_page
from analysis.tracked import artifacts
from analysis.tracked.load import load_tables
from analysis.writer import write_report
from pipeline import names
from tests.support.in_process import call
from tests.support.sweeps import copied_store


@pytest.fixture
def store(swept: tuple[Path, str], tmp_path: Path, tracking_to: None) -> MlflowClient:
    """A copy of the swept database that a test may damage; the artifacts are copied too."""
    copied_store(swept[0], tmp_path / "store")
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/store/mlflow.db")
    return MlflowClient()


def experiment_of(client: MlflowClient) -> str:
    experiment = client.get_experiment_by_name("symmetry")
    assert experiment is not None
    return str(experiment.experiment_id)


def parent_of(client: MlflowClient) -> str:
    (parent,) = client.search_runs([experiment_of(client)], f"tags.`{names.SWEEP_TAG}` != ''")
    return str(parent.info.run_id)


@pytest.fixture
def curves_artifact(
    store: MlflowClient, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[bytes | None], None]:
    """Replaces what the store gives for the sweep's curves: other bytes, or nothing."""
    download = artifacts.download_artifacts

    def replace_with(content: bytes | None) -> None:
        def downloaded(*, artifact_uri: str, **options: Any) -> str:
            if not artifact_uri.endswith(names.CURVES_FILE):
                return str(download(artifact_uri=artifact_uri, **options))
            if content is None:
                raise OSError("no such artifact")
            target = tmp_path_factory.mktemp("given") / names.CURVES_FILE
            target.write_bytes(content)
            return str(target)

        monkeypatch.setattr(artifacts, "download_artifacts", downloaded)

    return replace_with


def test_the_tables_read_back_what_was_tracked(store: MlflowClient) -> None:
    tables = load_tables("symmetry")
    assert len(tables.runs) == 8
    assert tables.notes == []
    assert set(tables.runs["optimizer.learning_rate"]) == {0.5}
    assert set(tables.runs["model.hidden_units"]) == {(32,), ()}
    assert tables.parent == parent_of(store)
    last = tables.curve(names.LOSS_TRAIN).sort_values("step").groupby("run_id")["value"].last()
    runs = tables.runs.set_index("run_id")
    np.testing.assert_array_equal(last[runs.index].to_numpy(), runs[names.LOSS_TRAIN].to_numpy())
    weights = tables.weights(runs.index[runs["model"] == "mlp"][0])
    assert weights["final_weights1"].shape == (64, 32)


@pytest.mark.parametrize("content", [None, b"", b"PAR1 but not really"], ids=["missing", "empty", "corrupt"])
def test_without_the_artifact_the_histories_give_the_same_curves_and_a_note_says_so(
    store: MlflowClient, curves_artifact: Callable[[bytes | None], None], content: bytes | None
) -> None:
    whole = load_tables("symmetry").curves
    curves_artifact(content)
    slow = load_tables("symmetry")
    pd.testing.assert_frame_equal(slow.curves, whole)
    assert len(slow.notes) == 1
    assert "run by run" in slow.notes[0]
    # A name of a temporary file would make every report another one.
    assert load_tables("symmetry").notes == slow.notes


def test_repeated_runs_count_once_and_several_sweeps_combine(
    swept: tuple[Path, str], tmp_path: Path, tracking_to: None
) -> None:
    again = ["-m", "model=mlp", "init=constant,zeros", "optimizer.learning_rate=0.5", "seed=0", "training.steps=40",
             "data.limit=300"]  # fmt: skip
    copied_store(swept[0], tmp_path / "store")
    assert call("pipeline.run", *again, folder=tmp_path / "store").returncode == 0
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/store/mlflow.db")
    tables = load_tables("symmetry")
    assert len(tables.runs) == 9
    assert tables.runs["fingerprint"].is_unique
    assert len(tables.commands) == 2
    assert set(tables.curves["run_id"]) == set(tables.runs["run_id"])


def test_a_sweep_whose_jobs_another_one_has_finished_needs_no_curves(store: MlflowClient) -> None:
    """Two sweeps at once share the jobs, and one may come to none."""
    alone = load_tables("symmetry")
    tags = {names.SWEEP_TAG: "1"}
    other = store.create_run(experiment_of(store), tags=tags, start_time=1).info.run_id
    store.log_text(other, json.dumps({"fingerprints": [alone.runs["fingerprint"][0]]}), names.JOBS_FILE)
    store.set_terminated(other)
    both = load_tables("symmetry")
    assert both.notes == []
    pd.testing.assert_frame_equal(both.curves, alone.curves)


def test_failed_and_missing_runs_are_stated_up_front(store: MlflowClient, tmp_path: Path) -> None:
    victim = str(load_tables("symmetry").runs["run_id"].iloc[0])
    store.set_terminated(victim, "FAILED")
    store.set_tag(victim, names.ERROR_TAG, "ValueError: <script>alert(1)</script>")
    store.set_terminated(parent_of(store), "KILLED")
    tables = load_tables("symmetry")
    assert len(tables.runs) == 7
    assert any("1 run failed" in note for note in tables.notes)
    assert any("KILLED with 7 of 8 runs finished" in note for note in tables.notes)
    page = rendered_page(tables, claims_of(tables), [])
    assert "7 of 8 runs finished" in page
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_a_failed_run_that_was_trained_again_is_not_missing(store: MlflowClient) -> None:
    run = load_tables("symmetry").runs.iloc[0]
    failed = store.create_run(experiment_of(store), run_name="failed", tags={names.FINGERPRINT_TAG: run["fingerprint"]})
    store.set_terminated(failed.info.run_id, "FAILED")
    tables = load_tables("symmetry")
    assert tables.notes == []
    assert len(tables.runs) == 8


def test_of_runs_with_equal_params_the_newest_counts(store: MlflowClient) -> None:
    older = load_tables("symmetry").runs.iloc[0]
    params = [mlflow.entities.Param(key, text) for key, text in store.get_run(older["run_id"]).data.params.items()]
    newer = store.create_run(experiment_of(store), run_name="newer", tags={names.FINGERPRINT_TAG: "of a later version"})
    store.log_batch(newer.info.run_id, params=params, metrics=[mlflow.entities.Metric(names.LOSS_TRAIN, 0.5, 0, 0)])
    store.set_terminated(newer.info.run_id, "FINISHED")
    tables = load_tables("symmetry")
    assert tables.notes == ["1 run left out: newer ones have the same params"]
    assert len(tables.runs) == 8
    assert newer.info.run_id in set(tables.runs["run_id"])
    assert not {older["run_id"]} & {*tables.runs["run_id"], *tables.curves["run_id"]}


def test_runs_that_are_not_as_they_are_tracked_are_left_out_and_told(store: MlflowClient, tmp_path: Path) -> None:
    whole = load_tables("symmetry")
    by_hand, stranger = (store.create_run(experiment_of(store), run_name=name).info.run_id for name in ("mine", "half"))
    store.set_tag(stranger, names.FINGERPRINT_TAG, "f")
    store.set_tag(whole.runs["run_id"][0], names.DIVERGED_STEP_TAG, "soon")
    for run_id in (by_hand, stranger):
        store.set_terminated(run_id)
    tables = load_tables("symmetry")
    assert set(tables.runs["run_id"]) == set(whole.runs["run_id"][1:])
    assert tables.notes == [
        "1 run left out that this project has not tracked (mine)",
        "2 runs left out that are not as this project tracks them (half has model: input should be a valid string,"
        " got None)",
    ]
    rendered_page(tables, claims_of(tables), [])
    for problem in ("'half' (run ", "diverged.step: input should be a valid integer, got 'soon'"):
        assert any(problem in found for found in audit_of("symmetry").problems)


def test_an_experiment_of_strange_runs_only_is_one_line(store: MlflowClient) -> None:
    experiment = store.create_experiment("strange")
    store.set_terminated(store.create_run(experiment, run_name="half", tags={names.FINGERPRINT_TAG: "f"}).info.run_id)
    with pytest.raises(
        ReportError, match=r"no run can be reported on; 1 run left out .* \(half has model: .*\); train"
    ):
        load_tables("strange")


def test_a_sweep_without_a_finished_run_says_how_it_goes_on(store: MlflowClient) -> None:
    experiment = store.create_experiment("begun")
    store.create_run(experiment, tags={names.SWEEP_TAG: "8", names.COMMAND_TAG: "python -m pipeline.run -m seed=0,1"})
    with pytest.raises(ReportError, match=r"no finished run yet; .* goes on with: python -m pipeline\.run -m seed=0,1"):
        load_tables("begun")


def test_only_draws_the_figures_asked_for(store: MlflowClient, tmp_path: Path) -> None:
    written = write_report("symmetry", tmp_path, only=["loss_over_steps"])
    assert sorted(path.name for path in written) == [f"loss_over_steps.{ending}" for ending in ("csv", "png", "svg")]
    assert not (tmp_path / "symmetry" / "index.html").exists()
