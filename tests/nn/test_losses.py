"""Losses against SciPy, their output deltas against central differences, and the theory's logistic gradient."""

import numpy as np
import pytest
from scipy import special

from pipeline.nn.arithmetic import ARITHMETICS, Array
from pipeline.nn.losses import LOSSES, Loss, softmax, targets_of
from pipeline.nn.network import Architecture, backward, forward, input_operand
from pipeline.numerics.functions import NUMPY, PORTABLE, PRECISE, Functions

SIGMOID_CROSS_ENTROPY, SOFTMAX_CROSS_ENTROPY = (LOSSES["cross_entropy"](outputs, PORTABLE) for outputs in (1, 4))
SQUARED_ERROR = LOSSES["squared_error"](1, PORTABLE)
CASES = {
    f"{name}, {outputs} outputs, {library}": (LOSSES[name](outputs, functions), name, outputs)
    for name in LOSSES
    for outputs in (1, 4)
    for library, functions in (("numpy", NUMPY), ("portable", PORTABLE))
}
BY_NAME = pytest.mark.parametrize(("loss", "name", "outputs"), CASES.values(), ids=CASES.keys())


def reference(name: str, outputs: Array, targets: Array) -> Array:
    """The textbook formulas."""
    if name == "squared_error":
        return 0.5 * np.linalg.norm(outputs - targets, axis=1) ** 2
    if outputs.shape[1] == 1:
        log_losses = targets * special.log_expit(outputs) + (1.0 - targets) * special.log_expit(-outputs)
        return -log_losses[:, 0]
    return -(targets * special.log_softmax(outputs, axis=1)).sum(axis=1)


def examples(outputs: int) -> tuple[Array, Array]:
    """Outputs (R, k, n) and shared targets (k, n)."""
    generator = np.random.default_rng(0)
    labels = generator.integers(max(2, outputs), size=50)
    return 3.0 * generator.standard_normal((3, outputs, 50)), targets_of(labels, max(2, outputs))


@BY_NAME
def test_values_equal_the_closed_form(loss: Loss, name: str, outputs: int) -> None:
    values, targets = examples(outputs)
    # A sum of at most four terms below 1000: a few units of 2**-53 on either side.
    expected = reference(name, values, targets)
    np.testing.assert_allclose(loss.value(values, targets), expected, rtol=1e-13, atol=1e-14)
    assert loss.value(values, targets).shape == (3, 50)


@BY_NAME
def test_runs_may_bring_their_own_targets(loss: Loss, name: str, outputs: int) -> None:
    values, targets = examples(outputs)
    own = np.stack([targets, targets[:, ::-1], targets])
    for run in range(3):
        assert loss.value(values, own)[run].tobytes() == loss.value(values[run : run + 1], own[run]).tobytes()
        assert loss.delta(values, own)[run].tobytes() == loss.delta(values[run : run + 1], own[run]).tobytes()


@pytest.mark.parametrize("outputs", [1, 4])
@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize(
    ("functions", "is_precise"),
    [(NUMPY, True), (PRECISE, True), (PORTABLE, False)],
    ids=["numpy", "precise", "portable"],
)
def test_delta_equals_central_differences(functions: Functions, is_precise: bool, name: str, outputs: int) -> None:
    loss = LOSSES[name](outputs, functions)
    values, targets = examples(outputs)
    half_step = 1e-5
    differences, value = np.empty_like(values), loss.value
    for output in range(outputs):
        shift = half_step * (np.arange(outputs) == output)[:, None]
        differences[:, output] = value(values + shift, targets) - value(values - shift, targets)
    # Truncation is half_step**2 / 6 * (third derivative < 1); rounding is 2**-53 * (loss < 100) / half_step < 2e-9.
    # Portable probabilities are as precise as operands need them (``numerics.piecewise``).
    absolute = 2e-9 + (0.0 if is_precise else 2.3e-8)
    np.testing.assert_allclose(loss.delta(values, targets), differences / (2.0 * half_step), rtol=0.0, atol=absolute)


def test_cross_entropies_at_extreme_logits_are_exact_and_finite() -> None:
    logits, targets = np.array([[[-1000.0, -1000.0, 1000.0, 1000.0]]]), np.array([[0.0, 1.0, 0.0, 1.0]])
    # The missing exp(-1000) is far below the smallest float, so the limits are reached exactly.
    np.testing.assert_array_equal(SIGMOID_CROSS_ENTROPY.value(logits, targets), [[0.0, 1000.0, 1000.0, 0.0]])
    np.testing.assert_array_equal(SIGMOID_CROSS_ENTROPY.delta(logits, targets), [[[0.0, -1.0, 1.0, 0.0]]])
    logits, targets = np.array([[[1000.0, 1000.0], [-1000.0, -1000.0], [0.0, 0.0]]]), np.eye(3)[:, :2]
    np.testing.assert_array_equal(SOFTMAX_CROSS_ENTROPY.value(logits, targets), [[0.0, 2000.0]])
    np.testing.assert_array_equal(SOFTMAX_CROSS_ENTROPY.delta(logits, targets), [[[0.0, 1.0], [0.0, -1.0], [0.0, 0.0]]])


def test_softmax_is_a_distribution_that_a_common_shift_leaves_alone() -> None:
    logits = np.random.default_rng(1).integers(-9, 9, (3, 5, 20)).astype(float)
    for functions, relative in ((NUMPY, 1e-14), (PORTABLE, 1e-14)):  # a few roundings
        probabilities = softmax(functions, logits)
        np.testing.assert_allclose(probabilities, special.softmax(logits, axis=1), rtol=relative)
        np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, rtol=1e-15)  # five terms, each rounded once
        # Whole numbers are shifted without rounding, so not a bit may change.
        assert softmax(functions, logits + 1000.0).tobytes() == probabilities.tobytes()


def test_predicted_classes() -> None:
    one_output = np.array([[[-0.1, 0.0, 0.1, 0.4, 0.6]]])
    assert SIGMOID_CROSS_ENTROPY.predicted(one_output).tolist() == [[0, 0, 1, 1, 1]]
    # The targets of the squared error are 0 and 1, so the classes part at 1/2.
    assert SQUARED_ERROR.predicted(one_output).tolist() == [[0, 0, 0, 0, 1]]
    three_outputs = np.array([[[3.0, -1.0], [2.0, -3.0], [1.0, -0.5]]])
    for loss in (SOFTMAX_CROSS_ENTROPY, SQUARED_ERROR):
        assert loss.predicted(three_outputs).tolist() == [[0, 2]]


def test_targets_of_labels() -> None:
    assert targets_of(np.array([0, 1, 1]), 2).tolist() == [[0.0, 1.0, 1.0]]
    assert targets_of(np.array([2, 0]), 3).tolist() == [[0.0, 1.0], [0.0, 0.0], [1.0, 0.0]]


def negative_log_likelihood(weights: Array, inputs: Array, labels: Array) -> float:
    """J(w) = sum_i [(1 - y_i) w.x_i + log(1 + exp(-w.x_i))]: the theory's, with its sign before the logarithm."""
    logits = inputs @ weights
    return float(((1.0 - labels) * logits + np.log1p(np.exp(-logits))).sum())


def test_the_logistic_gradient_is_the_corrected_one_and_not_the_printed_one() -> None:
    generator = np.random.default_rng(2)
    inputs, weights = generator.standard_normal((30, 4)), generator.standard_normal(4)
    labels = generator.integers(2, size=30).astype(float)
    half_step = 1e-5
    differences = np.array(
        [
            negative_log_likelihood(weights + step, inputs, labels)
            - negative_log_likelihood(weights - step, inputs, labels)
            for step in half_step * np.eye(4)
        ]
    ) / (2.0 * half_step)
    # Truncation is below half_step**2 * sum |x|**3 < 1e-8; rounding is 2**-53 * (J < 100) / half_step < 2e-9.
    tolerance = {"rtol": 0.0, "atol": 1e-8}
    np.testing.assert_allclose(inputs.T @ (special.expit(inputs @ weights) - labels), differences, **tolerance)
    # The source prints s(-w.x), which no step size could excuse: it is off by the size of the gradient itself.
    printed = inputs.T @ (special.expit(-inputs @ weights) - labels)
    assert np.linalg.norm(printed - differences) > 0.5 * np.linalg.norm(differences)

    logistic, arithmetic = Architecture((4, 1), None, bias=False), ARITHMETICS["blas"]
    state = forward(logistic, arithmetic, weights[None], input_operand(inputs, logistic, arithmetic).T)
    loss = LOSSES["cross_entropy"](1, arithmetic.functions)
    value = loss.value(state.outputs, labels[None])
    assert value.sum() == pytest.approx(negative_log_likelihood(weights, inputs, labels), rel=1e-13)  # 30 roundings
    gradient = np.zeros((1, 4))
    backward(logistic, arithmetic, state, loss.delta(state.outputs, labels[None]), gradient)
    np.testing.assert_allclose(gradient[0], differences, **tolerance)
