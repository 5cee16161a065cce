"""Names of a sweep's runs, to be read without a legend in the tables of the MLflow UI."""

from itertools import product
from typing import Any

import pytest
import yaml

from pipeline.sweep.job import NAME_LENGTH, run_name
from tests.support.configurations import CONF, configuration

DEFAULT_SWEEP = yaml.safe_load((CONF / "config.yaml").read_text(encoding="utf-8"))["hydra"]["sweeper"]["params"]
SWEPT = [key for key in DEFAULT_SWEEP if key != "record_weights"]
"""Which seeds are recorded is one value for all runs, so it is in no name."""


def test_the_runs_of_the_default_sweep_have_short_names_that_differ() -> None:
    models, inits, rates = (DEFAULT_SWEEP[key].split(",") for key in ("model", "init", "optimizer.learning_rate"))
    names = [
        run_name(
            configuration({"model": model, "init": init, "optimizer.learning_rate": float(rate), "seed": seed}),
            SWEPT,
        )
        for model, init, rate, seed in product(models, inits, rates, range(5))
    ]
    assert len(set(names)) == 210
    assert max(map(len, names)) <= NAME_LENGTH
    assert names[0] == "logistic zeros 0.01 s0"
    assert "mlp constant 0.1 s3" in names


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({}, "run"),
        ({"arithmetic": "blas"}, "blas"),
        ({"model.hidden_units": [64, 32], "seed": 0}, "64x32 s0"),
        ({"init": "perturbed", "init.epsilon": 1e-9, "seed": 3}, "perturb epsilon 1e-09 s3"),
        ({"training.batch_size": None, "training.l2": 0.1}, "batch_size null l2 0.1"),
        ({"model.bias": False, "optimizer.learning_rate": 1.0}, "no bias 1"),
        ({"init": "xavier_uniform", "model.hidden_units": [128, 128, 128, 128]}, "xav_uni 128x128x128x128"),
        ({"model.hidden_units": [128] * 9, "seed": 7}, "x".join(["128"] * 9) + " s7"),
        ({"model.hidden_units": [1] * 300}, "x".join(["1"] * 125) + "x"),
    ],
    ids=str,
)
def test_a_name_holds_the_swept_values_in_words_as_long_as_fit(changes: dict[str, Any], name: str) -> None:
    assert run_name(configuration(changes), list(changes)) == name
