"""Update rules against their textbook recurrences, run by run, and decoupled weight decay."""

from inspect import Parameter, signature
from math import sqrt

import numpy as np
import pytest

from pipeline.nn.arithmetic import Array
from pipeline.nn.optimizers import OPTIMIZERS, Optimizer, slot_count

STEPS, RUNS, PARAMETERS = 200, 3, 12
WEIGHT_MASK = np.array([1.0] * 9 + [0.0] * 3)
# Every run of the stack has numbers of its own.
HYPERPARAMETERS: dict[str, dict[str, list[float]]] = {
    "gd": {"learning_rate": [0.1, 0.01, 0.5]},
    "momentum": {"learning_rate": [0.1, 0.01, 0.5], "momentum": [0.9, 0.0, 0.5]},
    "adam": {
        "learning_rate": [0.1, 0.01, 0.5],
        "beta1": [0.9, 0.0, 0.5],
        "beta2": [0.999, 0.9, 0.99],
        "epsilon": [1e-8, 1e-3, 1.0],
    },
}
# A step rounds a dozen times by 2**-53 of numbers below 100; 200 steps add up to less than 1e-11 of the path.
ROUNDING = {"rtol": 0.0, "atol": 1e-11}


def optimizer(name: str, parameters: Array, *, weight_decay: tuple[float, ...] = (0.0,) * RUNS) -> Optimizer:
    columns = {key: np.array(values)[:, None] for key, values in HYPERPARAMETERS[name].items()}
    return Optimizer(name, parameters, columns, np.array(weight_decay)[:, None], WEIGHT_MASK)


def gradient_of(parameters: Array) -> Array:
    """Of a quadratic bowl whose curvatures differ, with a kink: elementwise, so that runs cannot mix."""
    return np.linspace(0.1, 1.0, PARAMETERS) * parameters + 0.1 * np.sign(parameters)


def start() -> Array:
    return np.random.default_rng(0).standard_normal((RUNS, PARAMETERS))


def trajectory(name: str, weight_decay: tuple[float, ...] = (0.0,) * RUNS) -> Array:
    """(STEPS + 1, RUNS, PARAMETERS)."""
    parameters = start()
    rule, points = optimizer(name, parameters, weight_decay=weight_decay), [parameters.copy()]
    for _ in range(STEPS):
        rule.update(parameters, gradient_of(parameters))
        points.append(parameters.copy())
    return np.stack(points)


def textbook_trajectory(name: str, run: int, weight_decay: float = 0.0) -> Array:
    """One number at a time, as the papers write it; (STEPS + 1, PARAMETERS)."""
    settings = {key: values[run] for key, values in HYPERPARAMETERS[name].items()}
    eta, parameters = settings["learning_rate"], start()[run]
    first, second, points = [0.0] * PARAMETERS, [0.0] * PARAMETERS, [parameters.copy()]
    for step in range(1, STEPS + 1):
        gradient = gradient_of(parameters)
        for i, slope in enumerate(gradient):
            parameters[i] -= eta * weight_decay * WEIGHT_MASK[i] * parameters[i]
            if name == "gd":
                parameters[i] -= eta * slope
            elif name == "momentum":
                first[i] = settings["momentum"] * first[i] + slope
                parameters[i] -= eta * first[i]
            else:
                beta1, beta2 = settings["beta1"], settings["beta2"]
                first[i] = beta1 * first[i] + (1.0 - beta1) * slope
                second[i] = beta2 * second[i] + (1.0 - beta2) * slope**2
                corrected = first[i] / (1.0 - beta1**step)
                parameters[i] -= eta * corrected / (sqrt(second[i] / (1.0 - beta2**step)) + settings["epsilon"])
        points.append(parameters.copy())
    return np.array(points)


def test_every_rule_is_covered_with_exactly_its_keys() -> None:
    keys = {
        name: [p.name for p in signature(rule).parameters.values() if p.kind is Parameter.KEYWORD_ONLY]
        for name, rule in OPTIMIZERS.items()
    }
    assert keys == {name: list(settings) for name, settings in HYPERPARAMETERS.items()}
    assert {name: slot_count(name) for name in OPTIMIZERS} == {"gd": 0, "momentum": 1, "adam": 2}


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("weight_decay", [(0.0, 0.0, 0.0), (0.0, 0.1, 0.5)])
def test_every_run_follows_the_textbook(name: str, weight_decay: tuple[float, ...]) -> None:
    points = trajectory(name, weight_decay)
    for run in range(RUNS):
        np.testing.assert_allclose(points[:, run], textbook_trajectory(name, run, weight_decay[run]), **ROUNDING)
    assert (np.abs(points[-1] - points[0]) > 0.01).any(axis=1).all()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_run_alone_equals_the_run_in_a_stack_bit_for_bit(name: str) -> None:
    decay = (0.0, 0.1, 0.5)
    stacked = trajectory(name, decay)
    for run in range(RUNS):
        parameters = start()[run : run + 1]
        columns = {key: np.array([[values[run]]]) for key, values in HYPERPARAMETERS[name].items()}
        alone = Optimizer(name, parameters, columns, np.array([[decay[run]]]), WEIGHT_MASK)
        for _ in range(STEPS):
            alone.update(parameters, gradient_of(parameters))
        assert parameters.tobytes() == stacked[-1, run].tobytes()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_equal_parameters_with_equal_gradients_stay_equal(name: str) -> None:
    parameters, gradients = np.full((RUNS, PARAMETERS), 0.3), np.random.default_rng(1)
    rule = optimizer(name, parameters)
    for _ in range(STEPS):
        rule.update(parameters, np.full((RUNS, PARAMETERS), gradients.standard_normal()))
    assert (parameters == parameters[:, :1]).all()
    assert (parameters != 0.3).all()


def test_adam_adds_epsilon_outside_the_square_root() -> None:
    parameters, epsilon, slope = np.zeros((1, 1)), 1e-8, 1e-8
    columns = {"learning_rate": 1.0, "beta1": 0.9, "beta2": 0.999, "epsilon": epsilon}
    adam = Optimizer(
        "adam", parameters, {key: np.array([[value]]) for key, value in columns.items()}, *[np.zeros(1)] * 2
    )
    adam.update(parameters, np.array([[slope]]))
    # In the first step both corrected moments are the gradient's own: slope / (|slope| + epsilon) = 1/2. Inside the
    # root it would be slope / sqrt(slope**2 + epsilon) = 1e-4. A dozen roundings lie between.
    assert parameters.item() == pytest.approx(-0.5, rel=1e-14)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_weight_decay_shrinks_weights_leaves_biases_alone_and_is_decoupled(name: str) -> None:
    parameters = start()
    rule = optimizer(name, parameters, weight_decay=(0.0, 0.1, 0.5))
    for _ in range(STEPS):
        rule.update(parameters, np.zeros((RUNS, PARAMETERS)))
    factor = [
        [1.0 - eta * decay] for eta, decay in zip(HYPERPARAMETERS[name]["learning_rate"], (0, 0.1, 0.5), strict=True)
    ]
    # Without a gradient nothing else moves, in no rule: the decay goes through neither velocity nor moments.
    np.testing.assert_allclose(
        parameters[:, :9], start()[:, :9] * np.array(factor) ** STEPS, rtol=1e-13
    )  # 400 roundings
    assert parameters[:, 9:].tobytes() == start()[:, 9:].tobytes()
    assert parameters[0].tobytes() == start()[0].tobytes()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_diverged_run_changes_no_bit_of_the_others(name: str) -> None:
    expected = trajectory(name)[-1]
    parameters = start()
    rule = optimizer(name, parameters)
    with np.errstate(all="ignore"):  # as in training: NaN is a result there
        for step in range(STEPS):
            gradient = gradient_of(parameters)
            gradient[1] = np.nan if step == 5 else gradient[1]
            rule.update(parameters, gradient)
    assert parameters[[0, 2]].tobytes() == expected[[0, 2]].tobytes()
    assert np.isnan(parameters[1]).all()
