"""The commands of the README, end to end: a real sweep, the real database, the figures."""

import json
from pathlib import Path

import mlflow
import numpy as np
import pytest
import yaml
from mlflow import MlflowClient
from mlflow.entities import Run

from pipeline import names
from pipeline.config.schema import UNTRACKED
from pipeline.sweep.job import NAME_LENGTH
from pipeline.training.fingerprint import fingerprint
from pipeline.training.stack import train_stack
from tests.support.command_line import command
from tests.support.configurations import configuration
from tests.support.in_process import call


@pytest.fixture
def client(swept: tuple[Path, str], tracking_to: None) -> MlflowClient:
    mlflow.set_tracking_uri(f"sqlite:///{swept[0]}/mlflow.db")
    return MlflowClient()


def runs_of(client: MlflowClient) -> tuple[Run, list[Run]]:
    experiment = client.get_experiment_by_name("symmetry")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    (parent,) = [run for run in runs if names.SWEEP_TAG in run.data.tags]
    return parent, [run for run in runs if run is not parent]


def test_a_sweep_leaves_one_parent_and_a_nested_finished_run_per_job(client: MlflowClient) -> None:
    parent, children = runs_of(client)
    assert parent.info.status == "FINISHED"
    assert {dataset.dataset.name for dataset in parent.inputs.dataset_inputs} == {"digits"}
    assert len(children) == 8
    for child in children:
        assert child.info.status == "FINISHED"
        assert child.data.tags[names.PARENT_TAG] == parent.info.run_id
        assert len(child.info.run_name) <= NAME_LENGTH
    assert len({child.info.run_name for child in children}) == 8
    assert len({child.data.tags[names.FINGERPRINT_TAG] for child in children}) == 8


def test_a_tracked_run_holds_the_numbers_of_the_trainer_to_the_last_bit(client: MlflowClient) -> None:
    overrides = {"init": "normal", "optimizer.learning_rate": 0.5, "seed": 1, "training.steps": 40, "data.limit": 300,
                 "record_weights": [0]}  # fmt: skip
    config = configuration(overrides)
    (result,) = train_stack([config])
    _, children = runs_of(client)
    (run,) = [child for child in children if child.data.tags[names.FINGERPRINT_TAG] == fingerprint(config)]
    assert run.data.metrics.keys() == result.curves.keys()
    for key, curve in result.curves.items():
        history = client.get_metric_history(run.info.run_id, key)
        assert [(point.step, point.value) for point in history] == curve, key

    artifacts = Path(client.download_artifacts(run.info.run_id, ""))
    with np.load(artifacts / names.WEIGHTS_FILE, allow_pickle=False) as weights:
        first, second = (w[0] for w in result.architecture.weights(result.final[None]))
        np.testing.assert_array_equal(weights["final_weights1"], first)
        np.testing.assert_array_equal(weights["final_weights2"], second)
        np.testing.assert_array_equal(
            weights["initial_weights1"], result.architecture.weights(result.initial[None])[0][0]
        )
        assert weights["final_biases2"].shape == (10,)
    resolved = yaml.safe_load((artifacts / names.CONFIG_FILE).read_text(encoding="utf-8"))
    known = {key: value for key, value in config.composed().items() if key not in UNTRACKED}
    assert resolved == json.loads(json.dumps(known)) | {"experiment_name": "symmetry"}


def test_params_hold_option_names_and_flattened_keys(client: MlflowClient) -> None:
    _, children = runs_of(client)
    params = children[0].data.params
    assert params["model"] in ("logistic", "mlp")
    assert params["init"] in ("constant", "normal")
    assert params["data"] == "digits"
    assert params["optimizer"] == "gd"
    assert params["optimizer.learning_rate"] == "0.5"
    assert params["training.steps"] == "40"
    tags = children[0].data.tags
    for tag in ("version.numpy", "machine.blas", "machine.simd", "mlflow.source.git.commit"):
        assert tags[tag]


def test_the_contract_of_metrics_is_kept(client: MlflowClient) -> None:
    common = {"loss/train", "loss/test", "accuracy/train", "accuracy/test", "gradient/norm"}
    hidden = {"distance", "distance_min", "distance_max", "relative_distance", "outgoing_distance", "distinct_units",
              "activation_spread", "delta_spread", "output_delta_spread", "output_weight_spread"}  # fmt: skip
    expected = {
        "mlp": common | {f"symmetry/{measure}" for measure in hidden},
        "logistic": common | {"optimum/gap", "optimum/distance", "symmetry/output_delta_spread"},
    }
    _, children = runs_of(client)
    for child in children:
        assert child.data.metrics.keys() == expected[child.data.params["model"]]


def test_the_end_of_a_sweep_says_what_came_out_and_what_to_do_next(swept: tuple[Path, str]) -> None:
    output = swept[1]
    assert "8/8" in output
    for words in ("Mean of each model, init", "mlflow ui", "python -m analysis.report"):
        assert words in output


def test_a_single_run_tracks_itself_and_prints_its_result(tmp_path: Path) -> None:
    completed = command("pipeline.run", "training.steps=5", "data=iris", "training.batch_size=16", folder=tmp_path)
    assert completed.returncode == 0, completed.stderr
    assert "loss/test" in completed.stdout
    assert (tmp_path / "mlflow.db").exists()


def test_a_wrong_tracking_store_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for uri in (f"sqlite:///{tmp_path}/file/mlflow.db", "nonsense://x"):
        completed = call("pipeline.run", "training.steps=1", folder=tmp_path, MLFLOW_TRACKING_URI=uri)
        assert completed.returncode == 1
        assert len(completed.stderr.splitlines()) == 1, completed.stderr
        assert "MLFLOW_TRACKING_URI" in completed.stderr


def test_help_explains_itself_and_cfg_shows_the_configuration(tmp_path: Path) -> None:
    shown = call("pipeline.run", "--help", folder=tmp_path).stdout
    assert "the default sweep" in shown
    assert "xavier_uniform" in shown
    printed = call("pipeline.run", "--cfg", "job", "seed=7", folder=tmp_path).stdout
    assert yaml.safe_load(printed)["seed"] == 7
    assert list(tmp_path.iterdir()) == []
