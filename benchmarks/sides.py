"""Who trains: our trainer and its peers, each from the same start, on the same batches, in float64.

A side is called as ``side(problem, steps)``. It prepares everything, JAX's compilation included, and returns a
function that trains all runs of the problem for that many steps and returns their weights and biases, shaped as in
``Problem``. Only that function is timed.
"""

import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from benchmarks.machine import usable_cores
from benchmarks.workloads import Problem, with_steps
from pipeline.nn.arithmetic import Array
from pipeline.training.batching import batches_of
from pipeline.training.stack import RunResult, train_stack

Parameters = tuple[list[Array], list[Array]]
Side = Callable[[Problem, int], Callable[[], Parameters]]


class DisagreementError(Exception):
    """Two sides do not train the same network in the same way, so comparing their times would mean nothing."""


def ours(arithmetic: str, workers: Executor | None = None) -> Side:
    """Our trainer, in the batches that the launcher would make; trained here, or by worker processes, one a core."""

    def prepare(problem: Problem, steps: int) -> Callable[[], Parameters]:
        configs = [replace(with_steps(config, steps), arithmetic=arithmetic) for config in problem.configs]
        batches = batches_of(configs, usable_cores() if workers else 1)
        stacks = [[configs[run] for run in batch] for batch in batches]

        def train() -> Parameters:
            trained: Sequence[list[RunResult]] = list((workers.map if workers else map)(train_stack, stacks))
            results = [result for stack in trained for result in stack]
            final, architecture = np.stack([result.final for result in results]), results[0].architecture
            return architecture.weights(final), architecture.biases(final)

        return train

    return prepare


def jax_vmap(problem: Problem, steps: int) -> Callable[[], Parameters]:
    """``jit(vmap(scan))``: one compiled program that trains all runs."""
    train, batches = _jax_train(problem, steps)
    return _compiled(train, problem, batches, mapped=True)


def jax_single(problem: Problem, steps: int) -> Callable[[], Parameters]:
    """``jit(scan)``: a compiled program for one run, called for one run after the other."""
    train, batches = _jax_train(problem, steps)
    return _compiled(train, problem, batches, mapped=False)


def _jax_train(problem: Problem, steps: int) -> tuple[Callable[..., Any], Array | None]:
    """The training of one run as a JAX function of (parameters, its batches, inputs, targets), and all batches."""
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)

    def mean_loss(parameters: Any, inputs: Any, targets: Any) -> Any:
        *hidden, (last_weights, last_biases) = parameters
        signal = inputs
        for weights, biases in hidden:
            signal = jnp.tanh(signal @ weights + biases)
        outputs = signal @ last_weights + last_biases
        # One-hot targets: picking an element by its label would make the gradient a scatter, which is slow on CPUs.
        logs = jnp.logaddexp(0.0, outputs) if outputs.shape[-1] == 1 else jax.nn.logsumexp(outputs, 1, keepdims=True)
        return (logs[:, 0] - (targets * outputs).sum(axis=1)).mean()

    def train(parameters: Any, batches: Any, inputs: Any, targets: Any) -> Any:
        def step(parameters: Any, batch: Any) -> tuple[Any, None]:
            chosen = (inputs, targets) if batch is None else (inputs[batch], targets[batch])
            gradient = jax.grad(mean_loss)(parameters, *chosen)
            return jax.tree.map(lambda p, g: p - problem.learning_rate * g, parameters, gradient), None

        return jax.lax.scan(step, parameters, batches, length=steps)[0]

    return train, problem.batches(steps)


def _compiled(
    train: Callable[..., Any], problem: Problem, batches: Array | None, mapped: bool
) -> Callable[[], Parameters]:
    import jax

    shared = jax.device_put((problem.inputs, problem.targets))
    parameters = jax.device_put(list(zip(problem.weights, problem.biases, strict=True)))
    order = jax.device_put(batches)
    if mapped:
        calls = [(parameters, order, *shared)]
        train = jax.vmap(train, in_axes=(0, 1, None, None))
    else:
        runs = range(len(problem.configs))
        calls = [
            (jax.tree.map(lambda p, run=run: p[run], parameters), None if order is None else order[:, run], *shared)
            for run in runs
        ]
    program = jax.jit(train).lower(*calls[0]).compile()

    def call() -> Parameters:
        trained = [program(*arguments) for arguments in calls]
        jax.block_until_ready(trained)
        layers = trained[0] if mapped else jax.tree.map(lambda *runs: np.stack(runs), *trained)
        return [np.asarray(weights) for weights, _ in layers], [np.asarray(biases) for _, biases in layers]

    return call


def torch_loop(problem: Problem, steps: int) -> Callable[[], Parameters]:
    """PyTorch as usually written: one run after the other, autograd, plain gradient descent."""
    import torch

    torch.set_num_threads(usable_cores())
    functional = torch.nn.functional
    inputs, labels = torch.tensor(problem.inputs), torch.tensor(problem.labels)
    targets, batches = labels.double(), problem.batches(steps)
    order = None if batches is None else torch.tensor(batches)

    def train_run(run: int) -> list[Any]:
        # torch.nn.functional.linear takes weights as (fan_out, fan_in).
        weights = [torch.tensor(layer[run].T, requires_grad=True) for layer in problem.weights]
        biases = [torch.tensor(layer[run], requires_grad=True) for layer in problem.biases]
        for step in range(steps):
            batch = slice(None) if order is None else order[step, run]
            signal = inputs[batch]
            for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
                signal = torch.tanh(functional.linear(signal, weight, bias))
            outputs = functional.linear(signal, weights[-1], biases[-1])
            if outputs.shape[1] == 1:
                loss = functional.binary_cross_entropy_with_logits(outputs[:, 0], targets[batch])
            else:
                loss = functional.cross_entropy(outputs, labels[batch])
            _descend(torch, [*weights, *biases], loss, problem.learning_rate)
        return [[weight.detach().numpy().T for weight in weights], [bias.detach().numpy() for bias in biases]]

    def train() -> Parameters:
        runs = [train_run(run) for run in range(len(problem.configs))]
        weights, biases = ([np.stack(layer) for layer in zip(*part, strict=True)] for part in zip(*runs, strict=True))
        return weights, biases

    return train


def torch_batched(problem: Problem, steps: int) -> Callable[[], Parameters]:
    """PyTorch with all runs in one batched product per layer (``baddbmm``), autograd, plain gradient descent."""
    import torch

    torch.set_num_threads(usable_cores())
    functional, runs, size = torch.nn.functional, len(problem.configs), problem.batch_size
    inputs, labels = torch.tensor(problem.inputs), torch.tensor(problem.labels)
    batches = problem.batches(steps)
    order = None if batches is None else torch.tensor(batches)
    all_inputs, all_labels = inputs.expand(runs, -1, -1), labels.repeat(runs)

    def train() -> Parameters:
        weights = [torch.tensor(layer, requires_grad=True) for layer in problem.weights]
        biases = [torch.tensor(layer[:, None], requires_grad=True) for layer in problem.biases]
        for step in range(steps):
            signal, chosen = all_inputs, all_labels
            if order is not None:
                signal, chosen = inputs[order[step]], labels[order[step]].ravel()
            for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
                signal = torch.tanh(torch.baddbmm(bias, signal, weight))
            outputs = torch.baddbmm(biases[-1], signal, weights[-1]).reshape(runs * size, -1)
            if outputs.shape[1] == 1:
                loss = functional.binary_cross_entropy_with_logits(outputs[:, 0], chosen.double(), reduction="sum")
            else:
                loss = functional.cross_entropy(outputs, chosen, reduction="sum")
            _descend(torch, [*weights, *biases], loss / size, problem.learning_rate)
        return [weight.detach().numpy() for weight in weights], [bias.detach().numpy()[:, 0] for bias in biases]

    return train


def _descend(torch: Any, parameters: list[Any], loss: Any, learning_rate: float) -> None:
    gradient = torch.autograd.grad(loss, parameters)
    with torch.no_grad():
        for parameter, slope in zip(parameters, gradient, strict=True):
            parameter.sub_(slope, alpha=learning_rate)


def scikit_learn(problem: Problem, steps: int) -> Callable[[], Parameters]:
    """``MLPClassifier`` with its own loop, one run after the other; whole epochs of minibatches it shuffles itself."""
    batches = problem.batches(steps)
    epochs = steps * problem.batch_size // len(problem.inputs)

    def train_run(run: int) -> MLPClassifier:
        inputs, labels = problem.inputs, problem.labels
        if batches is not None and not epochs:
            # Less than an epoch of minibatches: one epoch over just these examples, in our order.
            inputs, labels = inputs[batches[:, run].ravel()], labels[batches[:, run].ravel()]
        network = MLPClassifier(
            [weights.shape[2] for weights in problem.weights[:-1]], activation="tanh", solver="sgd", alpha=0.0,
            batch_size=problem.batch_size, learning_rate_init=problem.learning_rate, max_iter=max(epochs, 1),
            momentum=0.0, nesterovs_momentum=False, shuffle=batches is not None and epochs > 0, random_state=run,
            tol=0.0, n_iter_no_change=steps + 1, warm_start=True,
        )  # fmt: skip
        # The first epoch only makes the arrays, which then get our start; fit goes on from there.
        network.partial_fit(inputs, labels, classes=np.unique(problem.labels))
        for own, start in zip(
            [*network.coefs_, *network.intercepts_], [*problem.weights, *problem.biases], strict=True
        ):
            own[...] = start[run]
        return network.fit(inputs, labels)

    def train() -> Parameters:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            networks = [train_run(run) for run in range(len(problem.configs))]
        return (
            [np.stack(layer) for layer in zip(*(network.coefs_ for network in networks), strict=True)],
            [np.stack(layer) for layer in zip(*(network.intercepts_ for network in networks), strict=True)],
        )

    return train


def largest_disagreement(problem: Problem, sides: dict[str, Side], steps: int = 3, tolerance: float = 1e-6) -> float:
    """The largest difference between the first side's training losses and another's, after ``steps`` steps.

    Raises:
        DisagreementError: it exceeds the tolerance, or training did not change the loss, so that nothing was compared.
    """
    losses = {name: problem.losses(*side(problem, steps)()) for name, side in sides.items()}
    reference_name, reference = next(iter(losses.items()))
    if np.abs(reference - problem.losses(problem.weights, problem.biases)).min() < 1e3 * tolerance:
        raise DisagreementError(f"{reference_name}: expected losses that change in {steps} steps, got {reference}")
    for name, values in losses.items():
        if not np.abs(values - reference).max() <= tolerance:
            raise DisagreementError(f"{name}: expected the losses {reference} of {reference_name}, got {values}")
    return max(float(np.abs(values - reference).max()) for values in losses.values())
