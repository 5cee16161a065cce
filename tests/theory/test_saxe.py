"""The exact learning curve of a two-layer linear network (Saxe, McClelland and Ganguli 2014, equation 8).

With whitened inputs, squared error and a start W(1) = R V^T sqrt(a0), W(2) = U sqrt(a0) R^T whose singular vectors are
those of the input-output correlation, the modes decouple, and the strength of a mode with singular value s follows
a(t) = s e^(2 s t / tau) / (e^(2 s t / tau) - 1 + s / a0), where t / tau is learning rate times steps.
"""

import numpy as np
import pytest

from pipeline import names
from pipeline.nn.arithmetic import ARITHMETICS, Array
from pipeline.nn.losses import LOSSES
from pipeline.nn.network import Architecture
from pipeline.nn.optimizers import Optimizer
from pipeline.nn.problem import Problem, prepared_part
from pipeline.training.loop import RunGenerators, train

STRENGTHS = np.array([3.0, 2.0, 1.0])
START = 0.01
EXAMPLES, FEATURES, HIDDEN, OUTPUTS = 40, 6, 5, 4
DURATION = 6.0


def orthonormal(rows: int, columns: int, generator: np.random.Generator) -> Array:
    return np.linalg.qr(generator.standard_normal((rows, columns)))[0]


def mode_strengths(learning_rate: float, arithmetic_name: str) -> tuple[Array, Array, Array, Array]:
    """Times (T,), strengths of the modes (T, 3), what couples the modes (T,), and training losses (T,)."""
    generator = np.random.default_rng(0)
    right, left = orthonormal(FEATURES, 3, generator), orthonormal(OUTPUTS, 3, generator)
    rotation = orthonormal(HIDDEN, 3, generator)
    inputs = np.sqrt(EXAMPLES) * orthonormal(EXAMPLES, FEATURES, generator)  # whitened: X^T X / n = 1
    targets = inputs @ (right * STRENGTHS) @ left.T

    architecture = Architecture((FEATURES, HIDDEN, OUTPUTS), "identity", bias=False)
    arithmetic, steps = ARITHMETICS[arithmetic_name], round(DURATION / learning_rate)
    part = prepared_part(inputs, targets, None, architecture, arithmetic)
    measured = tuple(range(0, steps + 1, round(0.1 / learning_rate)))
    loss = LOSSES["squared_error"](OUTPUTS, arithmetic.functions)
    problem = Problem(architecture, arithmetic, loss, 0.0, steps, None, measured, part, part)
    parameters = np.zeros((1, architecture.parameter_count))
    first, second = architecture.weights(parameters)
    first[0], second[0] = np.sqrt(START) * right @ rotation.T, np.sqrt(START) * rotation @ left.T
    column = np.ones((1, 1))
    gd = Optimizer("gd", parameters, {"learning_rate": learning_rate * column}, 0.0 * column, architecture.weight_mask)

    strengths, couplings, losses = [], [], []
    for now in train(problem, parameters, gd, [RunGenerators.from_seed(0)]):
        first, second = architecture.weights(now.parameters)
        modes = right.T @ first[0] @ second[0] @ left
        strengths.append(np.diagonal(modes).copy())
        couplings.append(np.abs(modes - np.diag(np.diagonal(modes))).max())
        losses.append(now.metrics[names.LOSS_TRAIN][0])
    return learning_rate * np.array(measured), np.array(strengths), np.array(couplings), np.array(losses)


def exact_strengths(times: Array) -> Array:
    """(T, 3), the solution of da/dt = 2 a (s - a)."""
    growth = np.exp(2.0 * STRENGTHS * times[:, None])
    return STRENGTHS * growth / (growth - 1.0 + STRENGTHS / START)


def euler_error(times: Array, learning_rate: float) -> Array:
    """(T, 3), to first order in the learning rate.

    A step multiplies both layers' mode by 1 + eta (s - a), so a gets the square of that. What it adds to the flow,
    eta**2 a (s - a) (3 a - s), is carried along by the flow's own a (s - a); so the error at time t is
    eta a (s - a) times the integral of 3 a - s, in which the integral of a is log((growth - 1 + s / a0) a0 / s) / 2.
    """
    strengths = exact_strengths(times)
    growth = np.exp(2.0 * STRENGTHS * times[:, None])
    integral = 1.5 * np.log((growth - 1.0 + STRENGTHS / START) * START / STRENGTHS) - STRENGTHS * times[:, None]
    return learning_rate * strengths * (STRENGTHS - strengths) * integral


@pytest.mark.parametrize("arithmetic", ARITHMETICS)
def test_modes_follow_the_exact_learning_curve(arithmetic: str) -> None:
    learning_rate = 0.002
    times, strengths, couplings, losses = mode_strengths(learning_rate, arithmetic)
    exact, bound = exact_strengths(times), np.abs(euler_error(times, learning_rate)).max(axis=0)
    # Gradient descent is Euler's method for the flow; the next order adds a share 2 s learning_rate.
    assert (np.abs(strengths - exact).max(axis=0) < (1.0 + 2.0 * STRENGTHS * learning_rate) * bound).all()
    assert (bound < 0.01 * STRENGTHS).all()
    # The strong modes are learned first, and all of them to the end.
    half_learned = [int(np.argmax(strengths[:, mode] > STRENGTHS[mode] / 2)) for mode in range(3)]
    assert 0 < half_learned[0] < half_learned[1] < half_learned[2]
    np.testing.assert_allclose(strengths[-1], exact[-1], rtol=1e-3)  # e**(-12) * s / a0 < 1e-3 is still to learn
    # Decoupled modes stay so up to the 2**-22 of the rounded operands, which training magnifies by s / a0 at most.
    assert couplings.max() < 2.0**-22 * STRENGTHS.max() / START
    # mean_i 1/2 |y - x W(1) W(2)|^2 is half the sum of (s - a)^2 for whitened inputs; 1e-5: operands of 21 bits.
    np.testing.assert_allclose(losses, 0.5 * ((STRENGTHS - strengths) ** 2).sum(axis=1), rtol=0.0, atol=1e-5)


@pytest.mark.parametrize("arithmetic", ARITHMETICS)
def test_the_error_is_that_of_euler_s_method_and_halves_with_the_learning_rate(arithmetic: str) -> None:
    errors = {}
    for learning_rate in (0.004, 0.002):
        times, strengths, _, _ = mode_strengths(learning_rate, arithmetic)
        errors[learning_rate] = strengths - exact_strengths(times)
        predicted = euler_error(times, learning_rate)
        # What is left is of second order: smaller by the step's share of a mode's time scale, 2 s learning_rate.
        second_order = 2.0 * STRENGTHS * learning_rate * np.abs(predicted).max(axis=0)
        assert (np.abs(errors[learning_rate] - predicted).max(axis=0) < second_order).all()
    largest = np.abs(errors[0.004]).max(axis=0) / np.abs(errors[0.002]).max(axis=0)
    np.testing.assert_allclose(largest, 2.0, rtol=0.024)  # the second order again
