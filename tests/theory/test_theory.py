"""The statements of the source text (2b to 2g), each as a number that must be exactly right."""

import numpy as np
import pytest

from pipeline import names
from pipeline.config.schema import Config
from pipeline.nn.activations import ACTIVATIONS
from pipeline.nn.arithmetic import Array
from pipeline.training.stack import RunResult, dataset_of, train_stack
from tests.support.configurations import configuration

WIDTHS = [*range(2, 41), 48, 50, 64, 100, 257]
OPTIMIZERS = {"gd": 0.5, "momentum": 0.1, "adam": 0.01}


def trained(overrides: dict[str, object]) -> RunResult:
    defaults: dict[str, object] = {
        "init": "constant",
        "data.limit": 200,
        "training.steps": 100,
        "training.measure_at": 8,
        "training.batch_size": 32,
        "optimizer.learning_rate": 0.5,
    }
    (result,) = train_stack([configuration(defaults | overrides)])
    return result


def assert_exactly_symmetric(result: RunResult) -> None:
    """2b, 2c, 2e and 2f: zero at every measured step, in every hidden layer; 2d: the output deltas differ."""
    hidden_layers = len(result.architecture.widths) - 2
    zero = ["distance", "distance_min", "distance_max", "relative_distance", "outgoing_distance"]
    for layer in range(1, hidden_layers + 1):
        for measure in [*zero, "activation_spread", "delta_spread"]:
            assert {value for _, value in result.curves[names.symmetry(measure, layer)]} == {0.0}, (measure, layer)
        assert {value for _, value in result.curves[names.symmetry("distinct_units", layer)]} == {1.0}
    assert all(value > 0.0 for _, value in result.curves[names.OUTPUT_DELTA_SPREAD])
    assert all(value > 0.0 for step, value in result.curves[names.OUTPUT_WEIGHT_SPREAD] if step > 0)
    assert result.diverged_at is None
    assert not np.array_equal(result.initial, result.final)


@pytest.mark.parametrize("width", WIDTHS)
def test_constant_start_stays_symmetric_at_every_width(width: int) -> None:
    assert_exactly_symmetric(trained({"model.hidden_units": [width]}))


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("hidden_units", [[17], [10, 23], [12, 7, 33]], ids=str)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_constant_start_stays_symmetric_for_every_activation_depth_and_optimizer(
    activation: str, hidden_units: list[int], optimizer: str
) -> None:
    overrides = {"model.activation": activation, "model.hidden_units": hidden_units, "optimizer": optimizer}
    # Deep linear networks with unbounded activations need smaller steps to stay finite.
    learning_rate = OPTIMIZERS[optimizer] * (1.0 if activation in ("tanh", "sigmoid") else 0.1)
    assert_exactly_symmetric(trained(overrides | {"optimizer.learning_rate": learning_rate}))


@pytest.mark.parametrize("batch_size", [1, 7, 64, None])
@pytest.mark.parametrize("l2", [0.0, 0.01])
def test_constant_start_stays_symmetric_for_every_batch_size_and_penalty(batch_size: int | None, l2: float) -> None:
    result = trained({"training.batch_size": batch_size, "training.l2": l2, "model.hidden_units": [19]})
    assert_exactly_symmetric(result)


@pytest.mark.parametrize("overrides", [{"model.bias": False}, {"training.loss": "squared_error"},
                                       {"optimizer.weight_decay": 0.01}, {"init.value": -0.3}], ids=str)  # fmt: skip
def test_constant_start_stays_symmetric_under_other_settings(overrides: dict[str, object]) -> None:
    assert_exactly_symmetric(trained({"model.hidden_units": [13], "optimizer.learning_rate": 0.1} | overrides))


@pytest.mark.parametrize("width", [10, 17, 100])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_constant_start_stays_symmetric_for_5000_steps(width: int, optimizer: str) -> None:
    overrides = {"training.steps": 5000, "model.hidden_units": [width], "optimizer": optimizer}
    assert_exactly_symmetric(trained(overrides | {"optimizer.learning_rate": OPTIMIZERS[optimizer]}))


@pytest.mark.parametrize("scheme", ["normal", "uniform", "xavier_uniform", "he_normal", "lecun_normal", "orthogonal"])
def test_random_starts_are_asymmetric_at_every_step(scheme: str) -> None:
    result = trained({"init": scheme})
    assert all(value > 0.0 for _, value in result.curves[names.DISTANCE])
    assert {value for _, value in result.curves[names.DISTINCT_UNITS]} == {32.0}


def test_dropout_breaks_the_symmetry() -> None:
    result = trained({"model.dropout": 0.2})
    assert result.curves[names.DISTANCE][0] == (0, 0.0)
    assert result.last[names.DISTANCE] > 0.0


def test_zero_start_of_an_odd_activation_moves_only_the_output_bias() -> None:
    result = trained({"init": "zeros"})
    final = result.final[None]
    assert all(np.all(weights == 0.0) for weights in result.architecture.weights(final))
    hidden_bias, output_bias = result.architecture.biases(final)
    assert np.all(hidden_bias == 0.0)
    assert np.all(output_bias != 0.0)


def test_zero_start_of_the_sigmoid_moves_the_output_weights_first_and_learns_as_one_unit() -> None:
    result = trained({"init": "zeros", "model.activation": "sigmoid", "training.steps": 1, "training.l2": 0.0})
    first, second = result.architecture.weights(result.final[None])
    assert np.all(first == 0.0)
    assert np.all(second != 0.0)
    assert_exactly_symmetric(trained({"init": "zeros", "model.activation": "sigmoid", "training.steps": 200}))


@pytest.mark.parametrize("copies", [2, 3, 6])
def test_the_number_of_distinct_units_never_grows(copies: int) -> None:
    result = trained({"init": "duplicated", "init.copies": copies, "model.hidden_units": [12, 18]})
    assert {value for _, value in result.curves[names.symmetry("distinct_units")]} == {12.0 / copies}
    assert {value for _, value in result.curves[names.symmetry("distinct_units", 2)]} == {18.0 / copies}


@pytest.mark.parametrize("bias", [False, True])
def test_mirrored_units_stay_mirrored_to_the_last_bit(bias: bool) -> None:
    result = trained({"init": "mirrored", "model.bias": bias, "model.hidden_units": [10, 6], "training.steps": 500})
    first, second, third = (weights[0] for weights in result.architecture.weights(result.final[None]))
    assert np.array_equal(first[:, :5], -first[:, 5:])
    assert np.array_equal(second[:5], -second[5:])
    assert np.array_equal(second[:, :3], -second[:, 3:])
    assert np.array_equal(third[:3], -third[3:])
    for biases, half in zip(result.architecture.biases(result.final[None])[:-1], (5, 3), strict=bias):
        assert np.array_equal(biases[0, :half], -biases[0, half:])
        assert np.any(biases != 0.0)
    assert not np.array_equal(result.initial, result.final)


def one_unit_trajectory(config: Config, width: int) -> tuple[Array, float, Array, Array]:
    """End of the 1-unit network that a constant network of ``width`` units equals, in plain NumPy.

    With H equal units of outgoing weights V the output is g(x u) U, where U = H V. A step of eta on V is a step of
    eta * H on U. The deltas that reach each unit come through V = U / H, so the rate of u is eta / H.
    """
    dataset = dataset_of(config.data)
    inputs, labels = dataset.train_inputs, dataset.train_labels
    targets = np.eye(len(dataset.classes))[labels]
    rate = config.optimizer.options["learning_rate"]
    value = config.init.options["value"]
    incoming, hidden_bias = np.full(inputs.shape[1], value), 0.0
    outgoing, output_bias = np.full(targets.shape[1], width * value), np.zeros(targets.shape[1])
    for _ in range(config.training.steps):
        activation = np.tanh(inputs @ incoming + hidden_bias)
        exponentials = np.exp(np.outer(activation, outgoing) + output_bias)
        output_delta = (exponentials / exponentials.sum(axis=1, keepdims=True) - targets) / len(inputs)
        delta = (output_delta @ outgoing) * (1.0 - activation**2)
        outgoing = outgoing - rate * width * (activation @ output_delta)
        output_bias = output_bias - rate * output_delta.sum(axis=0)
        incoming = incoming - rate / width * (inputs.T @ delta)
        hidden_bias = hidden_bias - rate / width * delta.sum()
    return incoming, float(hidden_bias), outgoing, output_bias


@pytest.mark.parametrize("width", [2, 5, 32])
def test_constant_network_follows_its_one_unit_equivalent(width: int) -> None:
    """2g-iii: width H behaves as one unit with outgoing weights H times as large and rescaled learning rates."""
    shared = {"data.limit": 200, "training.batch_size": None, "training.l2": 0.0, "training.steps": 500}
    shared["optimizer.learning_rate"] = 0.3
    wide = configuration(shared | {"init": "constant", "init.value": 0.1, "model.hidden_units": [width]})
    (result,) = train_stack([wide])
    incoming, hidden_bias, outgoing, output_bias = one_unit_trajectory(wide, width)
    first, second = (weights[0] for weights in result.architecture.weights(result.final[None]))
    # The exact product rounds operands to 21 bits (5e-7); training amplifies that to 5e-6 here, the largest measured.
    np.testing.assert_allclose(first[:, 0], incoming, atol=2e-5)
    np.testing.assert_allclose(second.sum(axis=0), outgoing, atol=2e-5)
    biases = [bias[0] for bias in result.architecture.biases(result.final[None])]
    np.testing.assert_allclose(biases[0][0], hidden_bias, atol=2e-5)
    np.testing.assert_allclose(biases[1], output_bias, atol=2e-5)
    assert np.abs(first[:, 0] - 0.1).max() > 0.01
