"""Starts that tie, oppose, fix or shrink units and layers on purpose."""

from math import sqrt
from typing import Any

import numpy as np
import pytest

from pipeline.nn.arithmetic import ARITHMETICS, Array
from pipeline.nn.initializers import INITIALIZERS
from pipeline.nn.network import Architecture, ForwardPass, forward, input_operand
from pipeline.numerics.draws import Draws
from tests.nn.test_initializers import FAN_IN, FAN_OUT, GAIN, NORMAL_KURTOSIS, assert_moments, drawn


def started(name: str, hidden: tuple[int, ...], activation: str, **options: Any) -> tuple[list[Array], ForwardPass]:
    """The weights W(l), (fan_in, fan_out), of a new network without biases, and its forward pass over 20 examples."""
    architecture, arithmetic = Architecture((5, *hidden, 3), activation, bias=False), ARITHMETICS["exact"]
    parameters, generator = np.zeros((1, architecture.parameter_count)), Draws(np.random.SeedSequence(6))
    weights = architecture.weights(parameters)
    for matrix, layer in zip(weights, architecture.layers, strict=True):
        matrix[0] = INITIALIZERS[name](generator, layer, **options)
    operand = input_operand(generator.normal((20, 5)), architecture, arithmetic)
    return [matrix[0] for matrix in weights], forward(architecture, arithmetic, parameters, operand.T)


@pytest.mark.parametrize("hidden_units", [(6,), (6, 12), (6, 12, 18)])
@pytest.mark.parametrize("activation", ["softplus", "gelu", "tanh"])
def test_duplicated_units_are_the_same_function(hidden_units: tuple[int, ...], activation: str) -> None:
    weights, state = started("duplicated", hidden_units, activation, copies=3, gain=GAIN)
    for layer, width in enumerate(hidden_units):
        units = np.vstack([weights[layer], weights[layer + 1].T]).T.reshape(width // 3, 3, -1)
        assert (units == units[:, :1]).all()
        assert len({unit.tobytes() for unit in units[:, 0]}) == width // 3
        activations = state.activations[layer][0].reshape(width // 3, 3, 20)
        assert (activations == activations[:, :1]).all()
        assert len({unit.tobytes() for unit in activations[:, 0]}) == width // 3


def test_merged_units_compute_what_their_copies_do() -> None:
    copies, of_copies = started("duplicated", (12, 8), "tanh", copies=4, gain=GAIN)
    merged, of_merged = started("merged", (3, 2), "tanh", copies=4, gain=GAIN)
    assert copies[0][:, ::4].tobytes() == merged[0].tobytes()
    np.testing.assert_array_equal(copies[1].reshape(3, 4, 8).sum(axis=1)[:, ::4], merged[1])
    np.testing.assert_array_equal(copies[2].reshape(2, 4, -1).sum(axis=1), merged[2])
    np.testing.assert_allclose(of_copies.outputs, of_merged.outputs, rtol=1e-12)


@pytest.mark.parametrize("hidden_units", [(6,), (6, 12), (6, 12, 18)])
@pytest.mark.parametrize("activation", ["tanh", "identity"])
def test_mirrored_units_are_opposite_functions(hidden_units: tuple[int, ...], activation: str) -> None:
    weights, state = started("mirrored", hidden_units, activation, gain=GAIN)
    for layer, width in enumerate(hidden_units):
        incoming, outgoing, values = weights[layer], weights[layer + 1], state.activations[layer][0]
        half = width // 2
        assert (incoming[:, half:] == -incoming[:, :half]).all()
        assert (outgoing[half:] == -outgoing[:half]).all()
        assert (values[half:] == -values[:half]).all()
        assert (values != 0.0).all()


def test_structured_starts_have_the_variance_of_the_whole_layer() -> None:
    # Only the first copies are free draws, so the standard errors are those of that smaller sample.
    deviation = GAIN * sqrt(2.0 / (FAN_IN + FAN_OUT))
    assert_moments(drawn("duplicated", copies=4, gain=GAIN)[::4, ::4], deviation, NORMAL_KURTOSIS)
    assert_moments(drawn("mirrored", gain=GAIN)[: FAN_IN // 2, : FAN_OUT // 2], deviation, NORMAL_KURTOSIS)


@pytest.mark.parametrize("values", [(0.25, None, None), (None, 0.5, None), (0.25, None, -1.0), (None,) * 3])
def test_constant_layers_leave_the_others_as_xavier_normal_draws_them(values: tuple[float | None, ...]) -> None:
    random, _ = started("xavier_normal", (6, 5), "tanh", gain=GAIN)
    partly, _ = started("constant_layers", (6, 5), "tanh", values=values, gain=GAIN)
    for weights, drawn_weights, value in zip(partly, random, values, strict=True):
        expected = drawn_weights if value is None else np.full_like(drawn_weights, value)
        assert weights.tobytes() == expected.tobytes()


def test_small_layers_are_he_normal_ones_scaled_from_the_first_on() -> None:
    random, _ = started("he_normal", (6, 5), "tanh", gain=GAIN)
    small, _ = started("small_layers", (6, 5), "tanh", small=2, epsilon=0.125, gain=GAIN)
    for weights, drawn_weights, factor in zip(small, random, (0.125, 0.125, 1.0), strict=True):
        assert weights.tobytes() == (factor * drawn_weights).tobytes()
