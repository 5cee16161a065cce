"""Which jobs a prepared sweep has: its grids, its sizes, and what the command line replaces."""

from itertools import product
from pathlib import Path

import mlflow
import pytest

from analysis.tracked.load import load_tables
from pipeline.training.fingerprint import fingerprint
from tests.support.configurations import CONF
from tests.support.in_process import call
from tests.support.prepared import configs, jobs

QUESTIONS = sorted(path.stem for path in (CONF / "experiment").glob("*.yaml"))
SHORT = ("collapse", "rounding", "specialisation", "stochasticity")
"""Of these one seed takes no seconds."""


def test_without_a_question_the_jobs_are_the_product_of_the_default_grid() -> None:
    expected = product(
        ("logistic", "mlp"),
        ("zeros", "constant", "perturbed", "normal", "xavier_uniform", "he_normal", "orthogonal"),
        ("0.01", "0.1", "1.0"), range(5), ("[0]",),
    )  # fmt: skip
    keys = ("model", "init", "optimizer.learning_rate", "seed", "record_weights")
    assert jobs() == [[f"{key}={value}" for key, value in zip(keys, values, strict=True)] for values in expected]


PARAMS = {"model": "mlp", "seed": "0,1"}


def test_large_replaces_keys_and_null_takes_them_out() -> None:
    large = {"seed": "range(3)", "model": None, "training.l2": "0.1"}
    assert jobs(params=PARAMS, large=large) == [["model=mlp", "seed=0"], ["model=mlp", "seed=1"]]
    assert jobs("size=large", params=PARAMS, large=large) == [
        [f"seed={seed}", "training.l2=0.1", "size=large"] for seed in range(3)
    ]


def test_grids_add_to_the_params_and_a_job_of_two_grids_comes_once() -> None:
    grids = [{"seed": "1"}, {"init": "zeros"}, {"seed": "1,2"}]
    assert jobs(params=PARAMS, grids=grids) == [
        ["model=mlp", "seed=1"],
        ["model=mlp", "seed=0", "init=zeros"],
        ["model=mlp", "seed=1", "init=zeros"],
        ["model=mlp", "seed=2"],
    ]


def test_the_command_line_replaces_a_key_in_every_grid() -> None:
    grids = [{"seed": "1"}, {"init": "zeros"}]
    assert jobs("seed=7", params=PARAMS, grids=grids) == [
        ["model=mlp", "seed=7"],
        ["model=mlp", "seed=7", "init=zeros"],
    ]
    assert len(jobs("experiment=rounding", "model.hidden_units=[3]")) == 3


@pytest.mark.parametrize(
    ("question", "seed"),
    [
        *((each, "seed=0") for each in SHORT),
        *(pytest.param(each, "", marks=pytest.mark.slow) for each in QUESTIONS),
    ],
)
def test_a_prepared_question_is_whole_and_its_small_sweep_is_part_of_the_large_one(question: str, seed: str) -> None:
    """Some of them for one seed, and slowly all for all seeds."""
    one_seed = [seed] if seed else []
    small = configs(f"experiment={question}", *one_seed)
    large = configs(f"experiment={question}", "size=large", *one_seed)
    for config in (*small, *large):
        assert config.question is not None
        assert config.question.name == config.experiment_name == question
        assert config.question.asks.endswith("?")
    assert len({fingerprint(config) for config in small}) == len(small)
    assert {fingerprint(config) for config in small} <= {fingerprint(config) for config in large}
    assert len(jobs(f"experiment={question}")) < len(jobs(f"experiment={question}", "size=large"))


def test_the_question_symmetry_is_the_default_sweep() -> None:
    """So either finds the other's runs: 210 already tracked."""
    assert len(jobs()) == len(jobs("experiment=symmetry")) == 210
    default, asked = configs("seed=1"), configs("experiment=symmetry", "seed=1")
    assert len(default) == 42
    assert [fingerprint(config) for config in asked] == [fingerprint(config) for config in default]
    assert {config.experiment_name for config in (*default, *asked)} == {"symmetry"}


def test_a_large_sweep_is_tracked_with_its_question(tmp_path: Path, with_database: None, tracking_to: None) -> None:
    few = ["model.hidden_units=[2]", "training.steps=2", "data.limit=50"]
    completed = call("pipeline.run", "-m", "experiment=rounding", "size=large", *few, folder=tmp_path)
    assert completed.returncode == 0, completed.stderr
    assert completed.stderr == ""
    assert "3 to train (over arithmetic, dtype)" in completed.stdout
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    tables = load_tables("rounding")
    assert len(tables.runs) == 3
    assert tables.question is not None
    asked = configs("experiment=rounding")[0].question
    assert asked is not None
    assert tuple(tables.question) == (asked.name, asked.asks, asked.predicts)
    assert not {"question", "size"} & {str(column).partition(".")[0] for column in tables.runs}
