"""The Hessian's products against differences of gradients, autograd, and matrices known in closed form."""

import numpy as np
import pytest

from pipeline.measures import MEASURES, StackSnapshot
from pipeline.measures.curvature.hessian import Hessian
from pipeline.measures.curvature.stability import differences
from pipeline.nn.activations import ACTIVATIONS, second_derivative
from pipeline.nn.arithmetic import ARITHMETICS, Array
from pipeline.nn.losses import LOSSES
from pipeline.nn.network import Architecture, backward, forward
from pipeline.nn.problem import Problem, prepared_part
from pipeline.numerics.functions import PRECISE
from pipeline.training.stack import train_stack
from tests.support.configurations import configuration

EXAMPLES, INPUTS = 11, 3
CASES = [
    *((activation, (INPUTS, 4, 2), "cross_entropy", True) for activation in ACTIVATIONS),
    ("tanh", (INPUTS, 4, 1), "cross_entropy", True),
    ("tanh", (INPUTS, 4, 3, 2), "squared_error", False),
    ("softplus", (INPUTS, 2, 3, 2), "cross_entropy", True),
    (None, (INPUTS, 2), "cross_entropy", True),
]


def problem_of(
    activation: str | None, widths: tuple[int, ...], loss: str, bias: bool, l2: float = 0.1, arithmetic: str = "blas"
) -> Problem:
    generator = np.random.default_rng(1)
    architecture = Architecture(widths, activation, bias)
    inputs = generator.standard_normal((EXAMPLES, widths[0]))
    labels = generator.integers(0, max(2, widths[-1]), EXAMPLES)
    targets = np.eye(widths[-1])[labels] if widths[-1] > 1 else labels[:, None].astype(float)
    part = prepared_part(inputs, targets, None, architecture, ARITHMETICS[arithmetic])
    return Problem(
        architecture,
        ARITHMETICS[arithmetic],
        LOSSES[loss](widths[-1], ARITHMETICS[arithmetic].functions),
        l2,
        0,
        None,
        (0,),
        part,
        part,
    )


def random_parameters(problem: Problem, runs: int = 2) -> Array:
    return 0.7 * np.random.default_rng(2).standard_normal((runs, problem.architecture.parameter_count))


def gradient(problem: Problem, parameters: Array) -> Array:
    """Of the objective, by the laboratory's back-propagation with plain products."""
    inputs, targets = problem.train.shared_examples(slice(None))
    blas, result = ARITHMETICS["blas"], np.empty_like(parameters)
    state = forward(problem.architecture, blas, parameters, inputs)
    backward(problem.architecture, blas, state, problem.loss.delta(state.outputs, targets), result)
    return result / problem.train.examples + problem.l2 * problem.architecture.weight_mask * parameters


def dense(problem: Problem, parameters: Array) -> Array:
    """The matrices (R, P, P), column by column."""
    of_runs, count = Hessian(problem, parameters), parameters.shape[1]
    columns = [of_runs.times(np.tile(unit, (len(parameters), 1))) for unit in np.eye(count)]
    return np.stack(columns, axis=2)


@pytest.mark.parametrize(("activation", "widths", "loss", "bias"), CASES, ids=str)
def test_a_product_is_the_change_of_the_gradient(
    activation: str | None, widths: tuple[int, ...], loss: str, bias: bool
) -> None:
    problem = problem_of(activation, widths, loss, bias)
    parameters = random_parameters(problem)
    direction = np.random.default_rng(3).standard_normal(parameters.shape)
    change = 1e-5 * direction
    differences_of_gradients = gradient(problem, parameters + change) - gradient(problem, parameters - change)
    # The error of a central difference goes like the square of its step.
    np.testing.assert_allclose(
        Hessian(problem, parameters).times(direction), differences_of_gradients / 2e-5, rtol=1e-7, atol=1e-8
    )


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_second_derivatives_are_the_change_of_the_first(activation: str) -> None:
    def slopes(at: Array) -> tuple[Array, Array]:
        values, result = np.empty_like(at), np.empty_like(at)
        ACTIVATIONS[activation].function(at, values, PRECISE)
        ACTIVATIONS[activation].derivative(at, values, result, PRECISE)
        return values, result

    at = np.linspace(-4.05, 4.05, 10).reshape(1, 2, 5)
    values, slope = slopes(at)
    difference = (slopes(at + 1e-6)[1] - slopes(at - 1e-6)[1]) / 2e-6
    np.testing.assert_allclose(second_derivative(activation, at, values, slope, PRECISE), difference, atol=1e-8)


def test_the_matrix_is_symmetric_and_the_arithmetic_of_the_training_changes_its_data_alone() -> None:
    case = ("tanh", (INPUTS, 4, 2), "cross_entropy", True)
    parameters = random_parameters(problem_of(*case))
    matrices = {arithmetic: dense(problem_of(*case, arithmetic=arithmetic), parameters) for arithmetic in ARITHMETICS}
    # Products keep 42 bits of their largest element.
    np.testing.assert_allclose(matrices["blas"], matrices["blas"].swapaxes(1, 2), atol=1e-11)
    # Exact arithmetic rounds the inputs to 21 bits.
    np.testing.assert_allclose(matrices["exact"], matrices["blas"], atol=1e-5)


def test_logistic_regression_has_the_hessian_of_the_theory() -> None:
    problem = problem_of(None, (INPUTS, 1), "cross_entropy", True, l2=0.0)
    parameters = random_parameters(problem)
    examples, _ = problem.train.shared_examples(slice(None))
    for run, found in zip(parameters, dense(problem, parameters), strict=True):
        s = 1.0 / (1.0 + np.exp(-run @ examples))
        np.testing.assert_allclose(found, (examples * (s * (1.0 - s))) @ examples.T / EXAMPLES, atol=1e-12)
    found = MEASURES["hessian"](StackSnapshot(problem, parameters, parameters))
    expected = np.linalg.eigvalsh(dense(problem, parameters))
    np.testing.assert_allclose(found["hessian/smallest_eigenvalue"], expected[:, 0], rtol=1e-9)
    np.testing.assert_allclose(found["hessian/largest_eigenvalue"], expected[:, -1], rtol=1e-9)


def test_a_linear_network_at_zero_has_the_singular_values_of_the_correlations() -> None:
    """Its objective is a constant minus the correlation of targets and outputs: the eigenvalues are plus and minus."""
    problem = problem_of("identity", (INPUTS, 4, 2), "squared_error", False, l2=0.25)
    inputs, targets = problem.train.shared_examples(slice(None))
    strength = np.linalg.svd(inputs @ targets.T / EXAMPLES, compute_uv=False)[0]
    zeros = np.zeros((1, problem.architecture.parameter_count))
    for name in ("stability", "hessian"):
        found = MEASURES[name](StackSnapshot(problem, zeros, zeros))
        np.testing.assert_allclose(found[f"{name}/smallest_eigenvalue"], 0.25 - strength, rtol=1e-9)
        np.testing.assert_allclose(found[f"{name}/largest_eigenvalue"], 0.25 + strength, rtol=1e-9)
        assert found[f"{name}/residual"] < 1e-7


@pytest.mark.parametrize("widths", [(INPUTS, 4, 2), (INPUTS, 3, 4, 2)], ids=str)
@pytest.mark.parametrize("is_symmetric", [True, False])
def test_the_eigenvalues_are_those_of_the_matrix_between_the_breaking_directions(
    widths: tuple[int, ...], is_symmetric: bool
) -> None:
    problem = problem_of("tanh", widths, "cross_entropy", True)
    architecture, parameters = problem.architecture, random_parameters(problem)
    if is_symmetric:
        parameters = parameters - differences(architecture, parameters)
    projection = differences(architecture, np.eye(architecture.parameter_count))
    # An orthogonal projection, whose rank is the number of weights of all units minus that of one unit a layer.
    np.testing.assert_allclose(projection, projection.T, atol=1e-15)
    np.testing.assert_allclose(projection @ projection, projection, atol=1e-15)
    basis = np.linalg.svd(projection)[0][:, : round(np.trace(projection))]
    matrices = dense(problem, parameters)
    expected = np.linalg.eigvalsh(basis.T @ matrices @ basis)
    found = MEASURES["stability"](StackSnapshot(problem, parameters, parameters))
    np.testing.assert_allclose(found["stability/smallest_eigenvalue"], expected[:, 0], atol=1e-9)
    np.testing.assert_allclose(found["stability/largest_eigenvalue"], expected[:, -1], atol=1e-9)
    # Around equal units no difference of units leads out of them: these are eigenvalues of the whole matrix.
    mixing = np.abs((np.eye(len(projection)) - projection) @ matrices @ projection).max()
    assert (mixing < 1e-11) == is_symmetric


@pytest.mark.parametrize("widths", [(INPUTS, 2), (INPUTS, 1, 2), (INPUTS, 1, 1, 1)], ids=str)
def test_single_units_have_no_symmetry_to_break(widths: tuple[int, ...]) -> None:
    problem = problem_of("tanh" if len(widths) > 2 else None, widths, "squared_error", True)
    parameters = random_parameters(problem)
    assert MEASURES["stability"](StackSnapshot(problem, parameters, parameters)) == {}


def test_a_run_that_is_not_finite_has_no_eigenvalues_and_leaves_the_others_alone() -> None:
    problem = problem_of("tanh", (INPUTS, 4, 2), "cross_entropy", True)
    parameters = random_parameters(problem, runs=3)
    whole = MEASURES["hessian"](StackSnapshot(problem, parameters, parameters))
    broken = parameters.copy()
    broken[1, 0] = np.inf
    with np.errstate(all="ignore"):
        found = MEASURES["hessian"](StackSnapshot(problem, broken, broken))
    for key, values in found.items():
        assert np.isnan(values[1])
        np.testing.assert_array_equal(values[[0, 2]], whole[key][[0, 2]])


def test_a_run_has_the_bits_that_it_has_alone() -> None:
    shared = {"data": "iris", "data.limit": None, "model.hidden_units": [5], "training.steps": 9,
              "training.measure_at": 4, "measures": ["stability", "hessian"]}  # fmt: skip
    stack = [configuration(shared | {"init": init}) for init in ("constant", "normal", "zeros", "he_normal")]
    for config, in_stack in zip(stack, train_stack(stack), strict=True):
        (alone,) = train_stack([config])
        assert {"stability/residual", "hessian/residual"} < alone.curves.keys()
        assert all(in_stack.curves[key] == curve for key, curve in alone.curves.items())


@pytest.mark.slow
@pytest.mark.parametrize("activation", ["tanh", "gelu", "softplus"])
@pytest.mark.parametrize("loss", ["cross_entropy", "squared_error"])
def test_the_matrix_is_that_of_autograd(activation: str, loss: str) -> None:
    torch = pytest.importorskip("torch")
    problem = problem_of(activation, (INPUTS, 4, 3, 2), loss, True)
    parameters = random_parameters(problem, runs=1)
    inputs, targets = (torch.tensor(np.ascontiguousarray(part)) for part in problem.train.shared_examples(slice(None)))
    shapes = problem.architecture.block_shapes
    g = {"tanh": torch.tanh, "gelu": torch.nn.functional.gelu, "softplus": torch.nn.functional.softplus}[activation]

    def objective(flat: "torch.Tensor") -> "torch.Tensor":
        values, start, penalty = inputs, 0, 0.0
        for layer, (rows, columns) in enumerate(shapes):
            block = flat[start : start + rows * columns].reshape(rows, columns)
            start += rows * columns
            penalty = penalty + (block[:, :-1] ** 2).sum()
            values = block @ values
            if layer < len(shapes) - 1:
                values = torch.cat([g(values), torch.ones_like(inputs[:1])])
        if loss == "squared_error":
            losses = 0.5 * ((values - targets) ** 2).sum(dim=0)
        else:
            losses = torch.logsumexp(values, dim=0) - (targets * values).sum(dim=0)
        return losses.mean() + 0.5 * problem.l2 * penalty

    expected = torch.autograd.functional.hessian(objective, torch.tensor(parameters[0])).numpy()
    np.testing.assert_allclose(dense(problem, parameters)[0], expected, atol=1e-11)
