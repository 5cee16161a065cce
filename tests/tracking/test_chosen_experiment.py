"""The experiment that the environment chooses: by name or by id, as MLflow's own commands understand it."""

import os
import shutil
from pathlib import Path

import mlflow
import pytest
from mlflow import MlflowClient

from analysis.errors import ReportError
from analysis.tracked.store import chosen_experiment
from pipeline import names
from pipeline.errors import InputError
from pipeline.names import settle_experiment
from pipeline.tracking.store.opening import name_of_experiment
from tests.support.configurations import configuration
from tests.support.in_process import call


@pytest.fixture
def store(tmp_path: Path, empty_database: Path, tracking_to: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store with an experiment ``mine``, whose id is 1."""
    for variable in (names.EXPERIMENT_NAME, names.EXPERIMENT_ID):
        monkeypatch.setenv(variable, "")
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    MlflowClient().create_experiment("mine")


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    ("name", "identity", "expected"),
    [("", "", "symmetry"), ("other", "", "other"), ("", "1", "mine"), ("mine", "1", "mine"), ("", "0", "Default")],
)
def test_the_environment_chooses_by_name_or_by_id_and_an_empty_variable_is_none(
    name: str, identity: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, value in ((names.EXPERIMENT_NAME, name), (names.EXPERIMENT_ID, identity)):
        monkeypatch.setenv(variable, value)
    assert chosen_experiment() == expected
    for variable, value in ((names.EXPERIMENT_NAME, name), (names.EXPERIMENT_ID, identity)):
        monkeypatch.setenv(variable, value)
    settle_experiment(name_of_experiment)
    # As ``conf/`` reads it.
    assert os.environ.get(names.EXPERIMENT_NAME, "symmetry") == expected


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    ("name", "identity", "words"),
    [
        ("", "77", "no experiment '77' "),
        ("", "mine", "no experiment 'mine' "),
        ("other", "1", "1 is 'mine', but MLFLOW_EXPERIMENT_NAME is 'other'"),
    ],
)
def test_an_id_of_no_experiment_is_told_in_one_line(
    name: str, identity: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for choose in (chosen_experiment, lambda: settle_experiment(name_of_experiment)):
        monkeypatch.setenv(names.EXPERIMENT_NAME, name)
        monkeypatch.setenv(names.EXPERIMENT_ID, identity)
        with pytest.raises((InputError, ReportError), match=r"^MLFLOW_EXPERIMENT_ID: [^\n]*$") as caught:
            choose()
        assert words in str(caught.value)


@pytest.mark.parametrize("name", ["", "x" * 501])
def test_a_name_that_no_store_takes_is_told_by_its_key(name: str) -> None:
    with pytest.raises(InputError, match=r"^experiment_name: expected text of 1 to 500 characters, got '"):
        configuration({"experiment_name": name})


@pytest.mark.usefixtures("store")
def test_a_command_tracks_into_the_experiment_with_the_id_of_the_environment(tmp_path: Path) -> None:
    arguments = ["training.steps=1", "data=moons", "training.batch_size=null", "executor=inline"]
    for last, where in (("seed=0", "mine"), ("experiment_name=other", "other")):
        completed = call("pipeline.run", *arguments, last, folder=tmp_path, MLFLOW_EXPERIMENT_ID="1")
        assert completed.returncode == 0, completed.stderr
        experiment = MlflowClient().get_experiment_by_name(where)
        assert experiment is not None
        assert len(MlflowClient().search_runs([experiment.experiment_id])) == 1
