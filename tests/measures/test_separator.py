"""The separator of largest margin, against scikit-learn's, and how near a direction is to it."""

import numpy as np
import pytest
from sklearn.svm import LinearSVC

from pipeline import names
from pipeline.measures import MEASURES, StackSnapshot
from pipeline.measures.separator import _separator
from pipeline.training.stack import architecture_of, dataset_of, shared_problem, train_stack
from tests.support.configurations import configuration

BASE = {"model": "logistic", "measures": ["separator"], "training.l2": 0.0, "training.batch_size": None}
SEPARABLE = [
    {"data": "blobs", "data.classes": 2, "data.examples": 60, "data.noise": 0.3},
    {"data": "blobs", "data.classes": 3, "data.examples": 60, "data.noise": 0.2},
    {"data": "wine"},
]


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("changes", SEPARABLE, ids=str)
def test_it_is_the_support_vector_machine_of_scikit_learn(changes: dict[str, object], bias: bool) -> None:
    config = configuration(BASE | changes | {"model.bias": bias})
    dataset = dataset_of(config.data)
    found = _separator(shared_problem(config, dataset, architecture_of(config, dataset)))
    machine = LinearSVC(C=1e3, loss="hinge", fit_intercept=False, tol=1e-6, max_iter=10_000_000, random_state=0)
    inputs = np.hstack([dataset.train_inputs, np.ones((len(dataset.train_inputs), int(bias)))])
    machine.set_params(multi_class="ovr" if len(dataset.classes) == 2 else "crammer_singer")
    weights = machine.fit(inputs, dataset.train_labels).coef_.ravel()
    # Its margin is soft and its iterations end at 1e-6; our operands carry 21 bits.
    np.testing.assert_allclose(found.weights, weights / np.linalg.norm(weights), rtol=0.0, atol=1e-3)
    assert found.margin == pytest.approx(1.0 / np.linalg.norm(weights), rel=1e-3)


def test_measures_by_hand() -> None:
    config = configuration(BASE | SEPARABLE[0] | {"model.bias": False, "arithmetic": "blas"})
    dataset = dataset_of(config.data)
    problem = shared_problem(config, dataset, architecture_of(config, dataset))
    best = _separator(problem)
    across = np.array([-best.weights[1], best.weights[0]])
    parameters = np.stack([5.0 * best.weights, best.weights + np.tan(0.25) * across, -best.weights, [1.0, 0.0]])
    measured = MEASURES["separator"](StackSnapshot(problem, parameters, parameters))
    np.testing.assert_allclose(measured[names.SEPARATOR_ANGLE][:3], [0.0, 0.25, np.pi], rtol=0.0, atol=1e-7)
    sides = np.where(dataset.train_labels == 1, 1.0, -1.0)
    along_first = (sides * dataset.train_inputs[:, 0]).min()
    np.testing.assert_allclose(measured[names.MARGIN][[0, 3]], [best.margin, along_first], rtol=1e-12)
    assert (measured[names.MARGIN] <= best.margin * (1.0 + 1e-12)).all()
    assert (measured[names.LARGEST_MARGIN] == best.margin).all()


def test_the_margin_of_three_classes_is_the_smallest_advantage_over_another_class() -> None:
    config = configuration(BASE | SEPARABLE[1] | {"arithmetic": "blas"})
    dataset = dataset_of(config.data)
    problem = shared_problem(config, dataset, architecture_of(config, dataset))
    parameters = np.random.default_rng(0).standard_normal((4, 9))
    measured = MEASURES["separator"](StackSnapshot(problem, parameters, parameters))
    for run, margin in zip(parameters, measured[names.MARGIN], strict=True):
        weights = run.reshape(3, 3) / np.linalg.norm(run)
        logits = dataset.train_inputs @ weights[:, :2].T + weights[:, 2]
        advantages = [row[label] - max(np.delete(row, label)) for row, label in
                      zip(logits, dataset.train_labels, strict=True)]  # fmt: skip
        assert margin == pytest.approx(min(advantages), rel=1e-12)


@pytest.mark.parametrize("data", ["moons", "iris"])
def test_classes_that_overlap_have_no_separator(data: str) -> None:
    (result,) = train_stack([configuration(BASE | {"data": data, "training.steps": 3})])
    assert not {names.MARGIN, names.LARGEST_MARGIN, names.SEPARATOR_ANGLE} & result.curves.keys()


def test_a_run_measures_alike_alone_and_in_a_stack_and_comes_nearer() -> None:
    configs = [configuration(BASE | SEPARABLE[0] | {"training.steps": 2000, "init": init, "model.bias": False,
                             "optimizer.learning_rate": 10.0})
               for init in ("zeros", "normal", "xavier_uniform")]  # fmt: skip
    for config, in_stack in zip(configs, train_stack(configs), strict=True):
        (alone,) = train_stack([config])
        for key, curve in alone.curves.items():
            np.testing.assert_array_equal(curve, in_stack.curves[key], err_msg=key)
        angles = dict(in_stack.curves[names.SEPARATOR_ANGLE])
        # Zero weights have no direction.
        assert np.isnan(angles[0]) == (config.init.name == "zeros")
        assert angles[2000] < 0.9 * angles[min(step for step in angles if step > 100)]
