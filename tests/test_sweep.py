"""Names of a sweep's runs, which the MLflow UI shows whole up to 18 characters."""

from itertools import product
from typing import Any

import pytest
import yaml

from pipeline.sweep import run_name
from tests.configurations import CONF, configuration

DEFAULT_SWEEP = yaml.safe_load((CONF / "config.yaml").read_text(encoding="utf-8"))["hydra"]["sweeper"]["params"]


def test_the_runs_of_the_default_sweep_have_short_names_that_differ() -> None:
    models, inits, rates = (DEFAULT_SWEEP[key].split(",") for key in ("model", "init", "optimizer.learning_rate"))
    names = [
        run_name(
            configuration({"model": model, "init": init, "optimizer.learning_rate": float(rate), "seed": seed}),
            list(DEFAULT_SWEEP),
        )
        for model, init, rate, seed in product(models, inits, rates, range(5))
    ]
    assert len(set(names)) == 180
    assert max(map(len, names)) <= 18
    assert names[0] == "log zer .01 s0"


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({}, "run"),
        ({"arithmetic": "blas"}, "bla"),
        ({"model.hidden_units": [64, 32]}, "64x32"),
        ({"init": "xavier_uniform", "model.hidden_units": [128, 128, 128, 128]}, "xav_uni 128x128x12"),
    ],
    ids=str,
)
def test_a_name_holds_the_swept_values_and_is_cut_to_18_characters(changes: dict[str, Any], name: str) -> None:
    assert run_name(configuration(changes), list(changes)) == name
