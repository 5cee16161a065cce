"""The reference optimum against scikit-learn, the cases without one, and the descent of logistic regression to it."""

from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from pipeline import names
from pipeline.measures.reference_optimum import ATTAINED, SEPARABLE, UNDECIDED, Optimum, reference_optimum
from pipeline.nn.arithmetic import Array
from pipeline.nn.losses import targets_of
from pipeline.training.stack import RunResult, dataset_of, train_stack
from tests.support.configurations import configuration

OVERLAPPING = ["moons", "xor", "spirals", "blobs"]
SEPARABLE_DATA = ["digits", "breast_cancer", "wine"]


def examples_of(name: str, **changes: Any) -> tuple[Array, Array]:
    """Inputs (n, d) and labels (n,) of the training part."""
    dataset = dataset_of(configuration({"data": name} | {f"data.{key}": value for key, value in changes.items()}).data)
    return dataset.train_inputs, dataset.train_labels


def optimum_of(inputs: Array, labels: Array, l2: float = 0.0, bias: bool = True) -> Optimum:
    classes = int(labels.max()) + 1
    return reference_optimum(inputs, targets_of(labels, classes), l2=l2, bias=bias)


def minimiser_of(optimum: Optimum) -> Array:
    assert optimum.status == ATTAINED
    assert optimum.exists
    assert optimum.weights is not None
    return optimum.weights


def scikit_learn_weights(inputs: Array, labels: Array, l2: float, bias: bool) -> Array:
    """(k, d + 1) or (k, d); scikit-learn minimises |W|^2 / 2 + C * (sum of losses), its intercepts unpenalised."""
    inverse = np.inf if l2 == 0.0 else 1.0 / (len(inputs) * l2)
    model = LogisticRegression(C=inverse, fit_intercept=bias, tol=1e-10, max_iter=10_000).fit(inputs, labels)
    return np.hstack([model.coef_, model.intercept_[:, None]]) if bias else model.coef_


@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize(
    ("name", "l2"),
    [(name, l2) for name in OVERLAPPING for l2 in (0.0, 1e-2)] + [(name, 1e-2) for name in ("iris", *SEPARABLE_DATA)],
)
def test_optimum_equals_scikit_learn_s(name: str, l2: float, bias: bool) -> None:
    inputs, labels = examples_of(name, **({"limit": 400} if name == "digits" else {}))
    optimum = optimum_of(inputs, labels, l2, bias)
    ours, theirs = minimiser_of(optimum), scikit_learn_weights(inputs, labels, l2, bias)
    (gap,), (distance,) = optimum.gap_and_distance(theirs[None])
    # scikit-learn stops where J no longer falls by more than some units of 2**-53; with curvatures above 1e-4 that
    # leaves its weights within sqrt(2 * gap / curvature) of the minimiser.
    assert distance < 1e-4
    # Ours is never the worse, beyond the rounding of a mean.
    assert -1e-14 < gap < 1e-12
    assert optimum.gap_and_distance(ours[None])[0].item() == 0.0
    assert optimum.gap_and_distance(ours[None])[1].item() == 0.0
    # J itself, written out.
    logits = np.hstack([inputs, np.ones((len(inputs), int(bias)))]) @ ours.T
    if logits.shape[1] == 1:
        logits = np.hstack([np.zeros_like(logits), logits])
    losses = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(labels)), labels]
    penalty = 0.5 * l2 * (ours[:, : inputs.shape[1]] ** 2).sum()
    # A mean of at most 1500 terms, summed in another order.
    assert optimum.objective.value(ours) == pytest.approx(losses.mean() + penalty, rel=1e-12)


@pytest.mark.parametrize("name", [*SEPARABLE_DATA, "iris"])
def test_separable_data_have_no_optimum(name: str) -> None:
    # In iris only setosa lies apart; versicolor and virginica overlap. That suffices: J falls along one direction.
    optimum = optimum_of(*examples_of(name))
    assert optimum.status == SEPARABLE
    assert not optimum.exists
    assert optimum.weights is None


@pytest.mark.parametrize(
    ("points", "labels", "bias", "status"),
    [
        ([-2, -1, 1, 2], [0, 0, 1, 1], True, SEPARABLE),
        ([-2, -1, 0, 0, 1, 2], [0, 0, 0, 1, 1, 1], True, SEPARABLE),  # the classes touch in one point
        ([0] * 200 + [1], [0, 1] * 100 + [1], True, SEPARABLE),  # a single example lies apart from the rest
        ([-2, -1, 0.01, -0.01, 1, 2], [0, 0, 0, 1, 1, 1], True, ATTAINED),  # they overlap by a little
        ([1, 2, 3, 4], [0, 0, 1, 1], True, SEPARABLE),
        ([1, 2, 3, 4], [0, 0, 1, 1], False, ATTAINED),  # a bias would separate them
        ([0, 0, 0, 0], [0, 0, 1, 1], True, ATTAINED),  # nothing to learn but the classes' frequencies
        ([1, 2, 3, 4, 5, 6], [0, 0, 1, 1, 2, 2], True, SEPARABLE),
        ([1, 2, 3, 1, 2, 3], [0, 1, 2, 1, 2, 0], True, ATTAINED),
        ([1, 1, 2, 2, 9, 9], [0, 1, 0, 1, 2, 2], True, SEPARABLE),  # only class 2 lies apart
    ],
)
def test_separability_on_a_line(points: list[float], labels: list[int], bias: bool, status: str) -> None:
    assert optimum_of(np.array(points, float)[:, None], np.array(labels), bias=bias).status == status


def test_exclusive_or_is_not_linearly_separable() -> None:
    inputs, labels = examples_of("xor", noise=0.0, test_fraction=0.0)
    assert len(np.unique(inputs, axis=0)) == 4
    # By symmetry nothing beats even odds. The gradient at 0 is 0 up to rounding, and the curvature is 1/4.
    np.testing.assert_allclose(minimiser_of(optimum_of(inputs, labels)), 0.0, atol=1e-14)


@pytest.mark.parametrize("origin", [2000.0, 1.6e9], ids=["years", "seconds"])
def test_separability_does_not_depend_on_the_origin_of_a_feature(origin: float) -> None:
    inputs, labels = origin + np.repeat(np.arange(6.0), 20)[:, None], np.repeat([0, 1], 60)
    assert optimum_of(inputs - origin, labels).status == SEPARABLE
    assert optimum_of(inputs, labels).status == SEPARABLE


@pytest.mark.parametrize("l2", [0.0, 1e-3])
@pytest.mark.parametrize("origin", [2000.0, 1.6e9], ids=["years", "seconds"])
def test_the_optimum_does_not_depend_on_the_origin_of_a_feature(origin: float, l2: float) -> None:
    inputs, labels = np.repeat(np.arange(20.0), 10)[:, None], np.tile([0, 1, 0, 0, 1, 1], 34)[:200]
    labels[inputs[:, 0] > 12.0] = 1
    here, there = optimum_of(inputs, labels, l2), optimum_of(origin + inputs, labels, l2)
    # The bias, which is free, makes up for the origin; a logit that cancels 1e9 is right to 2e-7.
    best = there.objective.value(minimiser_of(there))
    assert best == pytest.approx(here.objective.value(minimiser_of(here)), abs=1e-6)


def test_data_too_large_for_the_linear_program_are_left_undecided(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs, labels = examples_of("moons")
    # Two entries for each of the n margins' d + 1 weights.
    entries = 2 * len(inputs) * (inputs.shape[1] + 1)
    monkeypatch.setattr("pipeline.measures.reference_optimum.LARGEST_LINEAR_PROGRAM", entries - 1)
    undecided = optimum_of(inputs, labels)
    assert undecided.status == UNDECIDED
    assert not undecided.exists
    assert optimum_of(inputs, labels, l2=0.1).exists
    monkeypatch.setattr("pipeline.measures.reference_optimum.LARGEST_LINEAR_PROGRAM", entries)
    assert optimum_of(inputs, labels).exists


def test_a_solver_that_stops_short_leaves_it_undecided(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs, labels = examples_of("iris")
    for gradient, status in ((1e-7, ATTAINED), (1e-5, UNDECIDED)):
        monkeypatch.setattr(
            "pipeline.measures.reference_optimum.minimised", lambda _, start, gradient=gradient: (start, gradient)
        )
        assert optimum_of(inputs, labels, l2=0.1).status == status


def distance_after(optimum: Optimum, shift: Array) -> float:
    _, distances = optimum.gap_and_distance(minimiser_of(optimum)[None] + shift)
    return float(distances[0])


# The projection leaves the rounding of shifts near 1: some units of 2**-53.
SHIFT_ROUNDING = 1e-13


@pytest.mark.parametrize("bias", [True, False])
def test_distance_ignores_one_vector_added_to_every_class(bias: bool) -> None:
    inputs, labels = examples_of("blobs")
    shift = np.array([0.3, -0.7, 0.5][: 2 + bias])
    unpenalised, penalised = (optimum_of(inputs, labels, l2, bias) for l2 in (0.0, 0.01))
    assert distance_after(unpenalised, np.tile(shift, (1, 3, 1))) == pytest.approx(0.0, abs=SHIFT_ROUNDING)
    # A penalty fixes the weights, and leaves only the biases free.
    assert distance_after(penalised, np.tile(shift, (1, 3, 1))) == pytest.approx(np.sqrt(3 * (shift[:2] ** 2).sum()))
    if bias:
        only_biases = np.tile([0.0, 0.0, 0.5], (1, 3, 1))
        assert distance_after(penalised, only_biases) == pytest.approx(0.0, abs=SHIFT_ROUNDING)
    of_one_class = np.zeros((1, 3, 2 + bias))
    of_one_class[0, 0, 0] = 0.3
    # Without the mean over the 3 classes, 0.3 * sqrt(2/3) is left.
    assert distance_after(unpenalised, of_one_class) == pytest.approx(0.3 * np.sqrt(2.0 / 3.0))
    assert distance_after(penalised, of_one_class) == pytest.approx(0.3)


def test_distance_ignores_directions_that_no_example_shows() -> None:
    inputs, labels = examples_of("moons")
    # A feature that is always 0, one that is always 2 (the bias can do that too), and a copy of the first.
    redundant = np.column_stack([inputs, np.zeros(len(inputs)), np.full(len(inputs), 2.0), inputs[:, 0]])
    optimum = optimum_of(redundant, labels)
    assert optimum.objective.value(minimiser_of(optimum)) == pytest.approx(
        optimum_of(inputs, labels).objective.value(minimiser_of(optimum_of(inputs, labels))), rel=1e-12
    )  # both gradients are below 1e-9, so J is right to its last digits
    for same_predictions in ([0, 0, 5, 0, 0, 0], [0, 0, 0, 1, 0, -2], [1, 0, 0, 0, -1, 0]):
        assert distance_after(optimum, np.array([[same_predictions]], float)) == pytest.approx(0.0, abs=SHIFT_ROUNDING)
    assert distance_after(optimum, np.array([[[0, 0.5, 0, 0, 0, 0]]])) > 0.1


@pytest.fixture(scope="module")
def descents() -> list[RunResult]:
    """Full-batch gradient descent on moons from zero and from random starts; every step is measured."""
    inputs, labels = examples_of("moons")
    examples = np.column_stack([inputs, np.ones(len(inputs))])
    largest_curvature = np.linalg.eigvalsh(examples.T @ examples / (4 * len(labels))).max()
    overrides = {
        "model": "logistic", "data": "moons", "arithmetic": "exact", "training.batch_size": None, "training.l2": 0.0,
        "training.steps": 400, "training.measure_at": 4000, "optimizer.learning_rate": float(1.9 / largest_curvature),
    }  # fmt: skip
    starts = [{"init": "zeros"}, *({"init": "normal", "init.scale": 3.0, "seed": seed} for seed in range(2, 6))]
    results = [train_stack([configuration(overrides | start)])[0] for start in starts]
    assert all(len(result.curves[names.LOSS_TRAIN]) == 401 for result in results)
    return results


def values(result: RunResult, name: str) -> Array:
    return np.array([value for _, value in result.curves[name]])


def test_descent_below_the_largest_stable_rate_never_raises_the_loss(descents: list[RunResult]) -> None:
    for result in descents:
        gaps, losses = values(result, names.OPTIMUM_GAP), values(result, names.LOSS_TRAIN)
        assert gaps[0] > 0.05
        # The products round weights and gradients by about 1e-6. Where J is flat that moves it by the square of this;
        # elsewhere every step falls by more.
        assert (np.diff(gaps)[gaps[:-1] > 1e-11] < 0.0).all()
        assert (np.diff(gaps) < 1e-11).all()
        assert (np.diff(losses) < 1e-11).all()
        # Logits from rounded operands are off by 1e-6, and so is their loss.
        np.testing.assert_allclose(losses - losses[-1], gaps - gaps[-1], rtol=0.0, atol=2e-6)


def test_descent_reaches_the_optimum_from_every_start(descents: list[RunResult]) -> None:
    for result in descents:
        assert result.optimum == ATTAINED
        assert values(result, names.OPTIMUM_GAP)[-1] < 1e-9
        # A gap of 1e-9 with curvatures above 0.01 lies within sqrt(2e-9 / 0.01).
        assert values(result, names.OPTIMUM_DISTANCE)[-1] < 5e-4
        assert values(result, names.OPTIMUM_DISTANCE)[0] > 1.0


def test_a_rate_far_above_the_stable_one_does_raise_the_loss() -> None:
    overrides = {"model": "logistic", "data": "moons", "init": "zeros", "training.batch_size": None, "training.l2": 0.0}
    config = configuration(
        overrides | {"training.steps": 20, "training.measure_at": 200, "optimizer.learning_rate": 200.0}
    )
    assert (np.diff(values(train_stack([config])[0], names.OPTIMUM_GAP)) > 0.01).any()
