"""Mistakes in the options of report and audit: one line, exit code 1, and what to type."""

import shutil
from argparse import Namespace
from pathlib import Path

import pytest
from mlflow import MlflowClient

from analysis.arguments import OptionParser
from analysis.errors import ReportError
from analysis.tracked.store import experiment_named, open_store


def parsed(*arguments: str) -> Namespace:
    parser = OptionParser(prog="python -m analysis.report")
    parser.add_argument("--experiment")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--only", nargs="+")
    return parser.parse_args(arguments)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["rounding"], "expected options, got rounding; did you mean: python -m analysis.report --experiment rounding"),
        (["experiment=rounding"], "did you mean: python -m analysis.report --experiment rounding"),
        (["experiment_name=two words"], "did you mean: python -m analysis.report --experiment 'two words'"),
        (["--output", "here", "it's"], """did you mean: python -m analysis.report --experiment 'it'"'"'s'"""),
        (["--experment", "rounding"], "--experment is no option; did you mean --experiment"),
        (["--only=a", "--figure=b"], "--figure is no option; there are --help --experiment --output --only"),
        (["--experiment"], "argument --experiment: expected one argument"),
    ],
)
def test_a_mistake_is_one_line_that_says_what_to_type(arguments: list[str], told: str) -> None:
    with pytest.raises(SystemExit) as ended:
        parsed(*arguments)
    assert str(ended.value).startswith("python -m analysis.report: ")
    assert str(ended.value).endswith(told)
    assert "\n" not in str(ended.value)


def test_what_is_right_is_parsed() -> None:
    assert parsed("--experiment=-1", "--only", "a", "b").only == ["a", "b"]


def test_a_folder_without_runs_names_the_sweep_of_the_prepared_question(tmp_path: Path) -> None:
    for name, command in (("rounding", "-m experiment=rounding"), ("mine", "-m")):
        told = pytest.raises(ReportError, match=rf"train some with: python -m pipeline\.run {command} \(")
        with told, open_store(f"sqlite:///{tmp_path}/mlflow.db", name):
            pass


def test_an_experiment_that_is_not_there_is_told_by_the_option_that_named_it(
    tmp_path: Path, empty_database: Path
) -> None:
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    deleted = client.create_experiment("gone", str(tmp_path / "gone"))
    client.create_experiment("mine", str(tmp_path / "mine"))
    client.delete_experiment(deleted)
    for name, told in (
        ("Mine", "--compare: no experiment 'Mine' here; did you mean 'mine'; there are: Default, mine"),
        (
            "gone",
            f"--compare: 'gone' is deleted; choose another or restore it with mlflow .* --experiment-id {deleted}",
        ),
    ):
        with pytest.raises(ReportError, match=f"^{told}$"):
            experiment_named(client, name, "--compare")
