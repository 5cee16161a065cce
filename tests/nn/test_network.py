"""The forward pass against loops over units, back-propagation against central differences."""

from typing import Any

import numpy as np
import pytest

from pipeline.nn.activations import ACTIVATIONS
from pipeline.nn.arithmetic import ARITHMETICS, Arithmetic, Array
from pipeline.nn.losses import LOSSES, targets_of
from pipeline.nn.network import Architecture, ForwardPass, backward, forward, input_operand
from pipeline.numerics.workspace import Workspace

BLAS, EXACT = ARITHMETICS["blas"], ARITHMETICS["exact"]
HIDDEN_UNITS = [(), (4,), (4, 3), (4, 3, 5)]
OBJECTIVES = {"sigmoid": ("cross_entropy", 1), "softmax": ("cross_entropy", 3), "squared": ("squared_error", 2)}
EXAMPLES, FEATURES, RUNS = 6, 3, 2
HALF_STEP = 1e-5


def assert_close(actual: Array, expected: Array, relative_to_largest: float) -> None:
    np.testing.assert_allclose(actual, expected, rtol=0.0, atol=relative_to_largest * np.abs(expected).max())


# A central difference truncates HALF_STEP**2 / 6 times a third derivative, here below 100 times the largest first
# derivative, and divides the rounding of the loss, 2**-53 times it, by HALF_STEP: together below 1e-8.
CENTRAL_DIFFERENCE = 1e-8
# Every operand is rounded by up to 2**-22 of its largest element, forward and backward in each of at most 4 layers;
# sums over 6 examples or 5 units, of which some cancel, let that grow by a factor below 200.
TWENTY_ONE_BITS = 200 * 2.0**-22


class Problem:
    """Random networks (runs, P), examples and targets for one architecture and loss."""

    def __init__(self, hidden_units: tuple[int, ...], activation: str, loss: str, bias: bool) -> None:
        name_of_loss, outputs = OBJECTIVES[loss]
        self.loss = LOSSES[name_of_loss](outputs, BLAS.functions)
        name = activation if hidden_units else None
        self.architecture = Architecture((FEATURES, *hidden_units, outputs), name, bias)
        generator = np.random.default_rng(len(hidden_units))
        self.inputs = generator.standard_normal((EXAMPLES, FEATURES))
        self.targets = targets_of(generator.integers(max(2, outputs), size=EXAMPLES), max(2, outputs))
        self.targets = self.targets if len(self.targets) == outputs else np.vstack([self.targets, 1 - self.targets])
        self.parameters = generator.normal(scale=0.7, size=(RUNS, self.architecture.parameter_count))

    def forward(self, parameters: Array, arithmetic: Any = BLAS, masks: list[Array] | None = None) -> ForwardPass:
        operand = input_operand(self.inputs, self.architecture, arithmetic).T
        return forward(self.architecture, arithmetic, parameters, operand, masks)

    def losses(self, parameters: Array, masks: list[Array] | None = None) -> Array:
        """(R, n), the loss of each example."""
        return self.loss.value(self.forward(parameters, masks=masks).outputs, self.targets)

    def backward(self, arithmetic: Any, masks: list[Array] | None = None) -> tuple[Array, list[Array]]:
        """Summed gradient (R, P) and the deltas."""
        state, gradient = self.forward(self.parameters, arithmetic, masks), np.zeros_like(self.parameters)
        output_delta = self.loss.delta(state.outputs, self.targets)
        return gradient, backward(self.architecture, arithmetic, state, output_delta, gradient)

    def central_differences(self, masks: list[Array] | None = None) -> Array:
        """(n, R, P), the derivative of each example's loss with respect to each parameter."""
        derivatives = np.empty((EXAMPLES, *self.parameters.shape))
        for parameter in range(self.parameters.shape[1]):
            shift = np.zeros_like(self.parameters)
            shift[:, parameter] = HALF_STEP
            higher, lower = self.losses(self.parameters + shift, masks), self.losses(self.parameters - shift, masks)
            derivatives[:, :, parameter] = (higher - lower).T / (2.0 * HALF_STEP)
        return derivatives


@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize("loss", OBJECTIVES)
@pytest.mark.parametrize("hidden_units", HIDDEN_UNITS, ids=lambda units: f"depth {len(units)}")
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_back_propagation_equals_central_differences(
    activation: str, hidden_units: tuple[int, ...], loss: str, bias: bool
) -> None:
    problem = Problem(hidden_units, activation, loss, bias)
    derivatives = problem.central_differences()
    gradient, deltas = problem.backward(BLAS)
    rounded_gradient, rounded_deltas = problem.backward(EXACT)
    assert_close(gradient, derivatives.sum(axis=0), CENTRAL_DIFFERENCE)
    assert_close(rounded_gradient, gradient, TWENTY_ONE_BITS)
    # Moving a bias moves the pre-activation of each example by as much: there dloss/db is dloss/dS.
    of_biases = problem.architecture.biases(derivatives.reshape(EXAMPLES * RUNS, -1))
    assert len(of_biases) == (len(deltas) if bias else 0)
    for delta, rounded_delta, of_bias in zip(deltas, rounded_deltas, of_biases, strict=False):
        assert_close(delta, np.moveaxis(of_bias.reshape(EXAMPLES, RUNS, -1), 0, 2), CENTRAL_DIFFERENCE)
        assert_close(rounded_delta, delta, TWENTY_ONE_BITS)


def test_back_propagation_through_dropout_masks() -> None:
    problem = Problem((4, 3), "tanh", "softmax", bias=True)
    generator = np.random.default_rng(5)
    masks = [(generator.random((RUNS, units, EXAMPLES)) < 0.5) / 0.5 for units in (4, 3)]
    gradient, deltas = problem.backward(BLAS, masks)
    assert_close(gradient, problem.central_differences(masks).sum(axis=0), CENTRAL_DIFFERENCE)
    for delta, mask in zip(deltas, masks, strict=False):
        assert (delta[mask == 0.0] == 0.0).all()
    # A unit that is left out says nothing and learns nothing; the others speak up for it.
    state, whole = problem.forward(problem.parameters, masks=masks), problem.forward(problem.parameters)
    np.testing.assert_array_equal(state.activations[0], masks[0] * whole.activations[0])
    np.testing.assert_array_equal(state.slopes[0], masks[0] * whole.slopes[0])


@pytest.mark.parametrize("arithmetic", [EXACT, BLAS], ids=["exact", "blas"])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_memory_used_again_and_rounding_in_place_change_no_bit(
    activation: str, bias: bool, masked: bool, arithmetic: Arithmetic
) -> None:
    problem = Problem((4, 3), activation, "softmax", bias)
    generator = np.random.default_rng(6)
    masks = [(generator.random((RUNS, units, EXAMPLES)) < 0.5) / 0.5 for units in (4, 3)] if masked else None
    expected, expected_deltas = problem.backward(arithmetic, masks)
    kept, gradient = Workspace(np.float64), np.full_like(expected, np.nan)
    spent = Workspace(np.float64, in_place=True)
    operand = input_operand(problem.inputs, problem.architecture, arithmetic).T
    # The first pass has activations so large that rounding takes the ones away, which carry the biases.
    for parameters in (1e9 * problem.parameters, problem.parameters):
        for workspace in (kept, spent):
            state = forward(problem.architecture, arithmetic, parameters, operand, masks, workspace)
            output_delta = problem.loss.delta(state.outputs, problem.targets)
            deltas = backward(problem.architecture, arithmetic, state, output_delta, gradient)
            if parameters is problem.parameters:
                assert gradient.tobytes() == expected.tobytes()
            if workspace is kept and parameters is problem.parameters:
                for delta, expected_delta in zip(deltas, expected_deltas, strict=True):
                    assert delta.tobytes() == expected_delta.tobytes()


def naive_outputs(problem: Problem, run: int) -> list[list[float]]:
    """Unit after unit, example after example: (n, k)."""
    architecture, parameters = problem.architecture, problem.parameters[run : run + 1]
    weights, biases = architecture.weights(parameters), architecture.biases(parameters)
    rows = []
    for example in problem.inputs:
        signal = list(example)
        for index, layer in enumerate(architecture.layers):
            below, signal = signal, []
            for j in range(layer.fan_out):
                total = sum(below[i] * weights[index][0, i, j] for i in range(layer.fan_in))
                total += biases[index][0, j] if biases else 0.0
                out = np.empty(1)
                if layer.activation is not None:
                    ACTIVATIONS[layer.activation].function(np.array([total]), out, BLAS.functions)
                    total = out[0]
                signal.append(total)
        rows.append([float(value) for value in signal])
    return rows


@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize("hidden_units", HIDDEN_UNITS, ids=lambda units: f"depth {len(units)}")
def test_forward_equals_a_loop_over_units(hidden_units: tuple[int, ...], bias: bool) -> None:
    problem = Problem(hidden_units, "sigmoid", "softmax", bias)
    outputs, rounded = problem.forward(problem.parameters).outputs, problem.forward(problem.parameters, EXACT).outputs
    assert outputs.shape == (RUNS, 3, EXAMPLES)
    for run in range(RUNS):
        expected = np.array(naive_outputs(problem, run)).T
        # A dozen roundings of numbers below 10 in each of four layers.
        assert_close(outputs[run], expected, 1e-14)
        assert_close(rounded[run], expected, TWENTY_ONE_BITS)


def test_a_batch_of_its_own_for_each_run_equals_the_runs_one_by_one() -> None:
    problem = Problem((4, 3), "tanh", "softmax", bias=True)
    batches = np.stack([problem.inputs, 2.0 * problem.inputs[::-1]])
    operands = np.stack([input_operand(batch, problem.architecture, EXACT).T for batch in batches])
    together = forward(problem.architecture, EXACT, problem.parameters, operands)
    for run, operand in enumerate(operands):
        alone = forward(problem.architecture, EXACT, problem.parameters[run : run + 1], operand)
        assert together.outputs[run].tobytes() == alone.outputs[0].tobytes()


@pytest.mark.parametrize("bias", [True, False])
def test_views_reach_every_parameter_once(bias: bool) -> None:
    architecture = Architecture((3, 4, 2), "tanh", bias)
    assert architecture.parameter_count == 3 * 4 + 4 * 2 + (4 + 2 if bias else 0)
    parameters = np.zeros((2, architecture.parameter_count))
    for view in architecture.weights(parameters):
        view += 1.0
    assert parameters[1].tolist() == architecture.weight_mask.tolist()
    for view in architecture.biases(parameters):
        view += 1.0
    assert (parameters == 1.0).all()
    shapes = [view.shape for view in (*architecture.weights(parameters), *architecture.biases(parameters))]
    assert shapes == [(2, 3, 4), (2, 4, 2), *([(2, 4), (2, 2)] if bias else [])]


def test_layers_know_their_place() -> None:
    layers = Architecture((3, 4, 5, 2), "relu", True).layers
    assert [(layer.fan_in, layer.fan_out) for layer in layers] == [(3, 4), (4, 5), (5, 2)]
    assert [layer.activation for layer in layers] == ["relu", "relu", None]
    assert [layer.below_is_hidden for layer in layers] == [False, True, True]
    assert [layer.is_hidden for layer in layers] == [True, True, False]
