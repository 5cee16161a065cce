"""Optional measurements: numbers computed by hand, and runs that do not influence each other."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from pipeline.measures import MEASURES, StackSnapshot, metric_count
from pipeline.nn.arithmetic import ARITHMETICS, Array
from pipeline.nn.losses import LOSSES
from pipeline.nn.network import Architecture
from pipeline.nn.problem import Problem, prepared_part
from pipeline.training.stack import stack_key, train_stack
from tests.support.configurations import configuration

OF_NETWORKS = [name for name in MEASURES if name not in ("separator", "stability", "hessian", "overlaps")]
# Sums of a dozen squares: each rounding moves them by 2**-53 of themselves.
ROUNDING = {"rtol": 1e-14}
INPUTS = np.array([[1.0, 2.0], [-1.0, 0.5], [3.0, -2.0]])
TARGETS = np.array([[1.0], [0.0], [2.0]])


def snapshot_of(
    architecture: Architecture, now: Sequence[Array], start: Sequence[Array] | None = None
) -> StackSnapshot:
    """A stack of one whose layers have the given blocks (fan_out, fan_in + 1), biases last."""
    parameters, initial = (np.concatenate([block.ravel() for block in blocks])[None] for blocks in (now, start or now))
    arithmetic = ARITHMETICS["blas"]
    targets = TARGETS.repeat(architecture.widths[-1], axis=1)
    part = prepared_part(INPUTS, targets, None, architecture, arithmetic)
    loss = LOSSES["squared_error"](1, arithmetic.functions)
    return StackSnapshot(Problem(architecture, arithmetic, loss, 0.0, 0, None, (0,), part, part), parameters, initial)


RELU = Architecture((2, 2, 1), "relu", bias=True)
FIRST = np.array([[1.0, -2.0, 0.5], [0.0, 3.0, -1.0]])
SECOND = np.array([[2.0, -1.0, 0.25]])


def test_the_norm_counts_weights_and_no_biases() -> None:
    measured = MEASURES["weight_norm"](snapshot_of(RELU, [FIRST, SECOND]))
    assert measured.keys() == {"weights/norm"}
    np.testing.assert_allclose(measured["weights/norm"], np.sqrt(1.0 + 4.0 + 9.0 + 4.0 + 1.0), **ROUNDING)


def test_movement_is_the_largest_change_of_each_layer() -> None:
    later = FIRST + np.array([[0.0, -0.5, 0.125], [0.25, 0.0, 0.0]])
    measured = MEASURES["movement"](snapshot_of(RELU, [later, SECOND], [FIRST, SECOND]))
    assert {key: values.item() for key, values in measured.items()} == {
        "movement/weights1": 0.5, "movement/biases1": 0.125, "movement/weights2": 0.0, "movement/biases2": 0.0,
    }  # fmt: skip


def test_without_biases_only_weights_move() -> None:
    logistic = Architecture((2, 1), None, bias=False)
    measured = MEASURES["movement"](snapshot_of(logistic, [np.array([[1.0, 2.0]])], [np.zeros((1, 2))]))
    assert {key: values.item() for key, values in measured.items()} == {"movement/weights1": 2.0}


def test_balance_compares_incoming_and_outgoing_norms_with_those_of_the_start() -> None:
    # Unit 1: 1 + 4 + 0.25 - 4 = 1.25, unit 2: 9 + 1 - 1 = 9. Later 2.25 and 9 + 1 - 9 = 1.
    measured = MEASURES["balance"](
        snapshot_of(RELU, [np.array([[1.0, -2.0, 0.5], [0.0, 3.0, -1.0]]), np.array([[3.0**0.5, -3.0, 0.25]])],
                  [FIRST, SECOND]),
    )  # fmt: skip
    assert measured.keys() == {"layer1/balance_drift"}
    np.testing.assert_allclose(measured["layer1/balance_drift"], 8.0, **ROUNDING)


def test_balance_covers_every_hidden_layer() -> None:
    deep = Architecture((2, 2, 1, 1), "identity", bias=False)
    start = [np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[1.0, 1.0]]), np.array([[1.0]])]
    later = [start[0], start[1], np.array([[3.0]])]
    measured = MEASURES["balance"](snapshot_of(deep, later, start))
    assert {key: values.item() for key, values in measured.items()} == {
        "layer1/balance_drift": 0.0, "layer2/balance_drift": 8.0,
    }  # fmt: skip


def test_mode_strengths_are_the_singular_values_from_end_to_end() -> None:
    linear = Architecture((2, 3, 2), "identity", bias=False)
    # From end to end [[0, 6], [-4, 0]]: each feature reaches one output, through one unit.
    first, second = np.array([[2.0, 0.0], [0.0, 1.0], [0.0, 0.0]]), np.array([[0.0, -4.0, 9.0], [3.0, 0.0, 9.0]])
    measured = MEASURES["mode_strengths"](snapshot_of(linear, [first, second]))
    assert measured.keys() == {"modes/strength1", "modes/strength2"}
    np.testing.assert_allclose(np.concatenate(list(measured.values())), [6.0, 4.0], **ROUNDING)


def test_the_mirror_distance_is_that_of_the_loneliest_unit() -> None:
    # Units (incoming, bias, outgoing): (1, 2, 1, 3), its mirror image, and (0, 0, 2, 0), nearest to the first.
    units = np.array([[1.0, 2.0, 1.0], [-1.0, -2.0, -1.0], [0.0, 0.0, 2.0]])
    architecture = Architecture((2, 3, 1), "tanh", bias=True)
    lonely = snapshot_of(architecture, [units, np.array([[3.0, -3.0, 0.0, 9.0]])])
    key = "symmetry/mirror_distance"
    np.testing.assert_allclose(MEASURES["mirror_distance"](lonely)[key], np.sqrt(15.0))
    pairs = snapshot_of(Architecture((2, 2, 1), "tanh", bias=True), [units[:2], np.array([[3.0, -3.0, 9.0]])])
    assert MEASURES["mirror_distance"](pairs)[key].tolist() == [0.0]


def test_units_that_differ_by_their_sign_alone_have_no_distance_under_an_odd_activation() -> None:
    units = np.array([[1.0, 2.0, 1.0], [-1.0, -2.0, -1.0], [1.0, 2.0, -1.0]])
    second = np.array([[3.0, -3.0, 0.0, 9.0]])
    architecture = Architecture((2, 3, 1), "tanh", bias=True)
    measured = MEASURES["distance_modulo_sign"](snapshot_of(architecture, [units, second]))
    # Of the third unit the bias has the other sign: 2 from the first; with all signs turned 2 from the second.
    assert {key: values.tolist() for key, values in measured.items()} == {
        "symmetry/distance_modulo_sign": [pytest.approx((0.0 + 2.0 + 2.0) / 3.0)]
    }
    pair = snapshot_of(Architecture((2, 2, 1), "tanh", bias=True), [units[:2], second[:, 1:]])
    assert MEASURES["distance_modulo_sign"](pair)["symmetry/distance_modulo_sign"].tolist() == [0.0]
    for other in (Architecture((2, 3, 1), "relu", bias=True), Architecture((2, 1, 1), "tanh", bias=True)):
        blocks = [units[: other.widths[1]], second[:, -other.widths[1] - 1 :]]
        assert MEASURES["distance_modulo_sign"](snapshot_of(other, blocks)) == {}


def test_inputs_with_equal_outgoing_weights_have_no_distance() -> None:
    measured = MEASURES["input_distance"](snapshot_of(RELU, [FIRST, SECOND]))
    # Of the inputs the outgoing weights are (1, 0) and (-2, 3).
    np.testing.assert_allclose(measured["symmetry/input_distance"], np.sqrt(9.0 + 9.0), **ROUNDING)
    alike = FIRST[:, [0, 0, 2]]
    assert MEASURES["input_distance"](snapshot_of(RELU, [alike, SECOND]))["symmetry/input_distance"].tolist() == [0.0]


def test_layer_moments_are_mean_squares_over_units_and_examples() -> None:
    measured = MEASURES["layer_moments"](snapshot_of(RELU, [FIRST, SECOND]))
    pre_activation = INPUTS @ FIRST[:, :2].T + FIRST[:, 2]
    activation = np.maximum(pre_activation, 0.0)
    output = activation @ SECOND[:, :2].T + SECOND[:, 2]
    output_delta = output - TARGETS  # of the squared error, half the square
    delta = output_delta @ SECOND[:, :2] * (pre_activation > 0.0)
    expected = {
        "layer1/pre_activation_mean_square": pre_activation,
        "layer1/activation_mean_square": activation,
        "layer1/delta_mean_square": delta,
        "layer2/pre_activation_mean_square": output,
        "layer2/delta_mean_square": output_delta,
    }
    assert measured.keys() == expected.keys()
    for key, values in expected.items():
        np.testing.assert_allclose(measured[key], [(values**2).mean()], err_msg=key, **ROUNDING)


def test_the_frequency_gap_is_the_largest_difference_between_a_probability_and_a_class_frequency() -> None:
    labels = np.array([0, 1, 1])
    logits = np.array([0.5, -0.25]) @ INPUTS.T + 0.125
    arithmetic, architecture = ARITHMETICS["blas"], Architecture((2, 1), None, bias=True)
    targets = labels[:, None].astype(float)
    part = prepared_part(INPUTS, targets, labels, architecture, arithmetic)
    parameters = np.array([[0.5, -0.25, 0.125], [0.0, 0.0, np.log(2.0)]])
    loss = LOSSES["cross_entropy"](1, arithmetic.functions)
    problem = Problem(architecture, arithmetic, loss, 0.0, 0, None, (0,), part, part)
    measured = MEASURES["frequency_gap"](StackSnapshot(problem, parameters, parameters))
    probabilities = 1.0 / (1.0 + np.exp(-logits))
    expected = [np.abs(probabilities - 2.0 / 3.0).max(), 0.0]
    # The second run predicts 2/3 for every example.
    np.testing.assert_allclose(measured["predictions/frequency_gap"], expected, rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_a_run_measures_alike_alone_and_in_a_stack(activation: str) -> None:
    shared = {"measures": OF_NETWORKS, "training.steps": 30, "training.measure_at": 5, "data.limit": 200,
              "model.hidden_units": [6, 5], "model.activation": activation}  # fmt: skip
    stack = [configuration(shared | {"init": init, "seed": seed, "optimizer.learning_rate": rate})
             for seed, (init, rate) in enumerate([("he_normal", 0.1), ("constant", 0.5), ("normal", 1e6)])]  # fmt: skip
    assert len({stack_key(config) for config in stack}) == 1
    for config, in_stack in zip(stack, train_stack(stack), strict=True):
        (alone,) = train_stack([config])
        assert alone.curves.keys() == in_stack.curves.keys()
        for key, curve in alone.curves.items():
            np.testing.assert_array_equal(curve, in_stack.curves[key], err_msg=key)


def test_measuring_changes_no_bit_of_the_run() -> None:
    short = {"training.steps": 30, "training.measure_at": 5, "data.limit": 200, "model.hidden_units": [6, 5]}
    plain, measured = (train_stack([configuration(short | {"measures": names})])[0] for names in ([], OF_NETWORKS))
    np.testing.assert_array_equal(plain.final, measured.final)
    assert all(measured.curves[key] == curve for key, curve in plain.curves.items())
    assert {"weights/norm", "movement/biases3"} < measured.curves.keys() - plain.curves.keys()


@pytest.mark.parametrize(("changes", "absent"), [
    ({"data": "iris", "model.hidden_units": [7, 5, 4], "measures": OF_NETWORKS}, 0),
    ({"data": "iris", "model.hidden_units": [3], "measures": ["stability", "hessian"]}, 0),
    ({"data": "iris", "model.activation": "relu", "measures": OF_NETWORKS}, 1),  # relu has no mirrored units
    ({"data": "blobs", "data.noise": 0.1, "data.classes": 3, "model": "logistic", "training.l2": 0.1,
      "measures": ["separator", "movement"]}, 0),
    ({"data": "moons"}, 2),  # a single output has no spreads
    ({"data.test_fraction": 0.0}, 2),  # no test part, no loss and accuracy
    ({"data": "iris", "model.hidden_units": [1]}, 5),  # a single unit has no pairs
    ({"data": "wine", "model": "logistic", "training.l2": 0.0, "measures": OF_NETWORKS}, 2),  # no optimum
], ids=str)  # fmt: skip
def test_measurements_announce_how_many_metrics_they_give(changes: dict[str, Any], absent: int) -> None:
    config = configuration({"training.steps": 0, "data.test_fraction": 0.2} | changes)
    (result,) = train_stack([config])
    assert len(result.curves) == metric_count(config.measures, result.architecture.widths) - absent


def test_runs_with_other_measures_train_apart() -> None:
    assert stack_key(configuration({"measures": ["balance"]})) != stack_key(configuration())


@pytest.mark.parametrize(
    ("incoming", "outgoing", "expected"),
    [
        ([[1.0, 0.0], [0.0, 1.0]], [0.0, 0.0], 2.0),
        ([[1.0, 0.0], [0.0, 2.0]], [0.0, 0.0], 25.0 / 17.0),
        ([[1.0, 2.0], [1.0, 2.0]], [3.0, 3.0], 1.0),
        ([[1.0, 2.0], [-2.0, -4.0]], [3.0, -6.0], 1.0),
        ([[1e-60, 0.0], [0.0, 1e-60]], [0.0, 0.0], 2.0),
        ([[1.0, 2.0], [0.0, 0.0]], [3.0, 0.0], 1.0),
        ([[0.0, 0.0], [0.0, 0.0]], [0.0, 0.0], 0.0),
    ],
)
def test_the_effective_width_counts_directions(
    incoming: Sequence[Sequence[float]], outgoing: Sequence[float], expected: float
) -> None:
    units = Architecture((2, 2, 1), "tanh", bias=False)
    measured = MEASURES["effective_width"](snapshot_of(units, [np.array(incoming), np.array([outgoing])]))
    np.testing.assert_allclose(measured.pop("symmetry/effective_width"), expected, **ROUNDING)
    assert not measured
