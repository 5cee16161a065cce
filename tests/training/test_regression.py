"""A quantity as target: its metrics in its own units, and linear regression, whose optimum is known in closed form."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.metrics import r2_score, root_mean_squared_error

from pipeline.config.schema import Config
from pipeline.errors import InputError
from pipeline.measures.reference_optimum import reference_optimum
from pipeline.training.datasets import dataset_of
from pipeline.training.fingerprint import fingerprint
from pipeline.training.stack import RunResult, train_stack
from tests.support.configurations import configuration


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """The diabetes of scikit-learn with its target as the last column: 442 patients, of whom 110 are kept."""
    frame = load_diabetes(as_frame=True, scaled=False).frame[:110]
    frame.to_csv(tmp_path / "diabetes.csv", index=False)
    return tmp_path / "diabetes.csv"


def regression(table: Path, **changes: Any) -> Config:
    keys = {"data": "csv", "data.path": str(table), "data.target": "target", "data.task": "regression"}
    return configuration({**keys, "model": "logistic", "init": "zeros", "training.batch_size": None, **changes})


def outputs(result: RunResult, inputs: np.ndarray) -> np.ndarray:
    """Predictions of linear regression, in standard deviations of the target."""
    weights = result.architecture.blocks(result.final[None])[0][0, 0]
    return np.asarray(inputs @ weights[:-1] + weights[-1])


def test_errors_are_those_of_scikit_learn_in_the_units_of_the_target(table: Path) -> None:
    config = regression(table, **{"training.steps": 50, "optimizer.learning_rate": 0.1, "arithmetic": "blas"})
    (result,) = train_stack([config])
    data = dataset_of(config.data)
    assert data.unit is not None
    predicted, target = data.unit * outputs(result, data.test_inputs), data.unit * data.test_labels
    assert result.last["error/rmse"] == pytest.approx(root_mean_squared_error(target, predicted), rel=1e-9)
    assert result.last["error/r2"] == pytest.approx(r2_score(target, predicted), rel=1e-9)
    assert 30 < result.last["error/rmse"] < 90
    assert "accuracy/test" not in result.last
    (alone,) = train_stack([regression(table, **{"training.steps": 5, "data.test_fraction": 0.0})])
    assert alone.last["error/r2"] == pytest.approx(1 - 2 * alone.last["loss/train"], rel=1e-12)


@pytest.mark.parametrize("l2", [0.0, 0.01])
def test_linear_regression_converges_to_its_optimum_in_closed_form(table: Path, l2: float) -> None:
    features = {"data.features": ["age", "bmi", "bp", "s5"]}
    changes = {**features, "training.steps": 400, "training.l2": l2, "optimizer.learning_rate": 0.5}
    (result,) = train_stack([regression(table, **changes)])
    assert result.optimum == "attained"
    # Exact products round their factors to 21 bits, so that the gradient is 0 only up to 1e-7.
    assert abs(result.last["optimum/gap"]) < 1e-12
    assert result.last["optimum/distance"] < 1e-6


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("l2", [0.0, 0.1])
def test_the_closed_form_is_that_of_scikit_learn(l2: float, bias: bool) -> None:
    generator = np.random.default_rng(0)
    inputs = generator.standard_normal((60, 5)) * 10.0 ** np.arange(-2, 3) + 3
    targets = inputs @ generator.standard_normal((5, 2)) + generator.standard_normal((60, 2)) + 1
    optimum = reference_optimum(inputs, targets.T, l2=l2, bias=bias, loss="squared_error")
    model = Ridge(alpha=l2 * 60, fit_intercept=bias, solver="svd") if l2 else LinearRegression(fit_intercept=bias)
    model.fit(inputs, targets)
    expected = np.column_stack([model.coef_, model.intercept_] if bias else [model.coef_])
    assert optimum.weights is not None
    np.testing.assert_allclose(optimum.weights, expected, rtol=1e-8)
    gap, distance = optimum.gap_and_distance(np.stack([optimum.weights, optimum.weights + 0.1]))
    assert gap[0] == distance[0] == 0.0
    # No direction leads from one minimiser to another, as the shift of all classes does under softmax.
    assert distance[1] == pytest.approx(0.1 * np.sqrt(optimum.weights.size))
    assert np.abs(optimum.objective.gradient(optimum.weights)).max() < 1e-9


def test_of_dependent_features_the_distance_counts_only_what_the_loss_sees() -> None:
    inputs = np.random.default_rng(0).standard_normal((30, 1)) * [1.0, 2.0]
    optimum = reference_optimum(inputs, inputs[:, :1].T, l2=0.0, bias=False, loss="squared_error")
    gap, distance = optimum.gap_and_distance(np.array([[[1.0, 0.0]], [[0.0, 0.5]], [[1.0, 1.0]]]))
    np.testing.assert_allclose(gap[:2], 0.0, atol=1e-15)
    np.testing.assert_allclose(distance[:2], 0.0, atol=1e-12)
    assert distance[2] > 0.1


def test_hidden_units_from_a_constant_stay_equal_in_regression_too(table: Path) -> None:
    """Part 1's claim has its twin: equal starts stay equal, random ones and linear regression learn."""
    shared = {"model": "mlp", "model.hidden_units": [6], "training.steps": 200, "optimizer.learning_rate": 0.1}
    results = train_stack([regression(table, **shared, init=init) for init in ("zeros", "constant", "normal")])
    assert [result.last["symmetry/distance"] == 0.0 for result in results] == [True, True, False]
    assert results[0].last["loss/train"] == pytest.approx(0.5, abs=1e-6)
    assert results[2].last["loss/train"] < 0.4


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"training.loss": "cross_entropy"},
            r"^training.loss: expected squared_error \(or null\) with data.task=regres",
        ),
        ({"measures": ["separator"]}, r"^measures: expected none of classes with data.task=regression, got separator$"),
        ({"measures": ["frequency_gap"]}, r"^measures: expected none of classes"),
        ({"data.task": "ranking"}, r"^data.task: expected one of classification, regression, got 'ranking'$"),
        ({"data.missing": "median"}, r"^data.missing: expected one of error, drop, mean, most_frequent, got 'median'"),
        ({"data.features": "bmi"}, r"^data.features: expected a list of"),
    ],
)
def test_keys_that_contradict_each_other_are_refused(table: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        regression(table, **changes)


def test_equal_arrays_are_one_run_in_every_format_and_the_task_is_told_apart(table: Path) -> None:
    config = regression(table)
    pd.read_csv(table).to_parquet(table.with_suffix(".parquet"))
    path = str(table.with_suffix(".parquet"))
    keys = {"data": "parquet", "data.path": path, "data.target": -1, "data.task": "regression"}
    same = configuration({**keys, "model": "logistic", "init": "zeros", "training.batch_size": None})
    assert fingerprint(config) == fingerprint(same)
    assert fingerprint(config) != fingerprint(replace(config, seed=1))
    assert fingerprint(config) != fingerprint(regression(table, **{"data.limit": 100}))
