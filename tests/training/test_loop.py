"""The training loop: stacks, seeds, batches, divergence."""

import warnings
from itertools import pairwise

import numpy as np
import pytest

from pipeline import names
from pipeline.config.schema import Config
from pipeline.nn.arithmetic import Array
from pipeline.nn.optimizers import OPTIMIZERS
from pipeline.training import stack
from pipeline.training.loop import RunGenerators, _batches, log_spaced_steps, train
from pipeline.training.stack import RunResult, stack_key, train_stack
from tests.support.configurations import configuration

SHORT = {"data.limit": 200, "training.steps": 60, "training.measure_at": 8, "training.batch_size": 32}


def assert_same_bits(left: RunResult, right: RunResult) -> None:
    np.testing.assert_array_equal(left.initial, right.initial)
    np.testing.assert_array_equal(left.final, right.final)
    assert left.diverged_at == right.diverged_at
    assert left.curves.keys() == right.curves.keys()
    for key, curve in left.curves.items():
        np.testing.assert_array_equal(curve, right.curves[key], err_msg=key)


def mixed_stack(shared: dict[str, object]) -> list[Config]:
    """Runs that differ in everything a stack may mix."""
    schemes = ["zeros", "constant", "normal", "he_normal", "lecun_uniform", "perturbed"]
    rates = [0.01, 0.1, 0.5]
    return [
        configuration(SHORT | {"init": scheme, "seed": seed, "optimizer.learning_rate": rate} | shared)
        for seed, (scheme, rate) in enumerate((scheme, rate) for scheme in schemes for rate in rates)
    ]


@pytest.mark.parametrize(
    "shared",
    [
        {},
        {"training.batch_size": None},
        {"model": "logistic", "data": "moons"},
        {"model.hidden_units": [7, 5], "model.activation": "sigmoid", "optimizer": "adam"},
        {"model.hidden_units": [1], "model.activation": "gelu", "optimizer": "momentum"},
        {"model.dropout": 0.3, "model.activation": "relu"},
        {"data": "xor", "model.hidden_units": [3], "model.activation": "softplus", "training.loss": "squared_error"},
        {"training.batch_size": 1, "model.activation": "leaky_relu", "model.bias": False},
        {"optimizer.weight_decay": 0.1, "training.l2": 0.0, "data.test_fraction": 0.0},
    ],
    ids=str,
)
def test_a_run_in_a_stack_has_the_bits_of_the_same_run_alone(shared: dict[str, object]) -> None:
    stack = mixed_stack(shared)
    assert len({stack_key(config) for config in stack}) == 1
    together = train_stack(stack)
    for config, in_stack in zip(stack, together, strict=True):
        (alone,) = train_stack([config])
        assert_same_bits(alone, in_stack)


def test_a_diverging_run_warns_nobody_and_leaves_its_stack_mates_alone() -> None:
    shared = SHORT | {"model.activation": "relu", "init": "he_normal"}
    rates = [0.1, 1e6, 0.1, 1e30]
    configs = [
        configuration(shared | {"optimizer.learning_rate": rate, "seed": seed}) for seed, rate in enumerate(rates)
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        together = train_stack(configs)
    assert [result.diverged_at is not None for result in together] == [False, True, False, True]
    for config, result in zip(configs, together, strict=True):
        (alone,) = train_stack([config])
        assert_same_bits(alone, result)
    diverged = together[3]
    assert diverged.curves[names.LOSS_TRAIN][-1][0] == diverged.diverged_at
    assert not np.isfinite(diverged.last[names.LOSS_TRAIN])
    assert np.isfinite(together[2].final).all()


def test_runs_of_different_shape_do_not_share_a_stack() -> None:
    base = configuration(SHORT)
    for different in ({"model.hidden_units": [8]}, {"training.batch_size": 16}, {"data.limit": 201},
                      {"optimizer": "adam"}, {"arithmetic": "blas"}, {"training.l2": 0.5}):  # fmt: skip
        assert stack_key(configuration(SHORT | different)) != stack_key(base), different


@pytest.mark.parametrize("seed", [0, 1, 12345])
def test_equal_seeds_reproduce_and_different_seeds_differ(seed: int) -> None:
    def trained(number: int) -> RunResult:
        return train_stack([configuration(SHORT | {"seed": number, "model.dropout": 0.1})])[0]

    assert_same_bits(trained(seed), trained(seed))
    other = trained(seed + 1)
    assert not np.array_equal(trained(seed).initial, other.initial)
    assert not np.array_equal(trained(seed).final, other.final)


def test_the_seed_orders_the_batches_of_a_deterministic_start() -> None:
    finals = [train_stack([configuration(SHORT | {"init": "constant", "seed": seed})])[0].final for seed in (0, 1)]
    assert not np.array_equal(*finals)


def test_an_epoch_visits_every_example_once_in_an_order_of_its_own() -> None:
    config = configuration({"data.limit": 70, "data.test_fraction": 0.0, "training.batch_size": 32})
    dataset = stack.dataset_of(config.data)
    problem = stack.shared_problem(config, dataset, stack.architecture_of(config, dataset))
    batches = _batches(problem, [RunGenerators.from_seed(seed) for seed in (0, 1)])
    first, second = ([next(batches) for _ in range(3)] for _ in range(2))
    assert [batch.shape for batch in first if batch is not None] == [(2, 32), (2, 32), (2, 6)]
    for epoch in (first, second):
        for run in np.concatenate(epoch, axis=1):  # type: ignore[arg-type]
            assert sorted(run) == list(range(70))
    assert not np.array_equal(first[0], second[0])
    assert not np.array_equal(first[0][0], first[0][1])  # type: ignore[index]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("activation", ["tanh", "relu", "gelu"])
def test_every_trainable_run_moves_all_its_layers(optimizer: str, activation: str) -> None:
    overrides = {"optimizer": optimizer, "model.activation": activation, "model.hidden_units": [9, 6]}
    (result,) = train_stack([configuration(SHORT | overrides)])
    before = result.architecture.weights(result.initial[None])
    after = result.architecture.weights(result.final[None])
    for initial, final in zip(before, after, strict=True):
        assert not np.array_equal(initial, final)
    assert result.last[names.LOSS_TRAIN] < result.curves[names.LOSS_TRAIN][0][1]


def test_no_steps_leave_the_parameters_alone_and_measure_once() -> None:
    (result,) = train_stack([configuration(SHORT | {"training.steps": 0})])
    assert np.array_equal(result.initial, result.final)
    assert {len(curve) for curve in result.curves.values()} == {1}


@pytest.mark.parametrize("batch_size", [None, 32])
def test_permuting_the_hidden_units_permutes_the_whole_trajectory(batch_size: int | None) -> None:
    """Through the trainer itself, from a start whose units were permuted by hand."""
    config = configuration(SHORT | {"training.batch_size": batch_size, "model.hidden_units": [11], "training.l2": 0.0})
    order = np.random.default_rng(3).permutation(11)
    plain = _final_weights(config, order=None)
    permuted = _final_weights(config, order=order)
    for a, b in zip(_with_permuted_units(plain, order), permuted, strict=True):
        np.testing.assert_array_equal(a, b)


def _with_permuted_units(arrays: list[Array], order: Array) -> list[Array]:
    incoming, outgoing, hidden_bias, output_bias = arrays
    return [incoming[:, order], outgoing[order], hidden_bias[order], output_bias]


def _final_weights(config: Config, order: Array | None) -> list[Array]:
    dataset = stack.dataset_of(config.data)
    architecture = stack.architecture_of(config, dataset)
    problem = stack.shared_problem(config, dataset, architecture)
    generators = RunGenerators.from_seed(config.seed)
    start = stack.initial_parameters(architecture, config.init, generators)
    parameters = start[None].copy()
    if order is not None:
        arrays = [*architecture.weights(parameters), *architecture.biases(parameters)]
        permuted = _with_permuted_units([array[0].copy() for array in arrays], order)
        for array, values in zip(arrays, permuted, strict=True):
            array[0] = values
    *_, last = train(problem, parameters, stack.stack_optimizer([config], architecture, parameters), [generators])
    return [array[0] for array in [*architecture.weights(last.parameters), *architecture.biases(last.parameters)]]


@pytest.mark.parametrize(("steps", "count"), [(0, 40), (1, 40), (2, 2), (1000, 40), (7, 100), (100_000, 10)])
def test_measured_steps_ascend_from_zero_to_the_last_on_a_log_axis(steps: int, count: int) -> None:
    measured = log_spaced_steps(steps, count)
    assert measured[0] == 0
    assert measured[-1] == steps
    assert steps == 0 or 1 in measured
    assert all(a < b for a, b in pairwise(measured))
    assert len(measured) <= count + 2


def test_relu_scale_difference_drifts_at_second_order_in_the_learning_rate() -> None:
    """|incoming|^2 - |outgoing|^2 is conserved by gradient flow (Du et al. 2018); a step of size eta adds O(eta^2)."""

    def drift(learning_rate: float, steps: int) -> float:
        overrides = {
            "init": "he_normal",
            "model.activation": "relu",
            "model.bias": False,
            "optimizer.learning_rate": learning_rate,
            "training.batch_size": None,
            "training.l2": 0.0,
            "training.steps": steps,
        }
        (result,) = train_stack([configuration(SHORT | overrides)])

        def balance(parameters: Array) -> Array:
            incoming, outgoing = (weights[0] for weights in result.architecture.weights(parameters[None]))
            return (incoming**2).sum(axis=0) - (outgoing**2).sum(axis=1)

        return float(np.abs(balance(result.final) - balance(result.initial)).max())

    # The same training time in twice as many half steps: total drift O(eta), so it halves.
    assert drift(0.05, 400) / drift(0.1, 200) == pytest.approx(0.5, rel=0.1)
