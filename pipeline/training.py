"""The training loop of a stack: gradient steps, and measurements at chosen steps. It knows no files and no tracker."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from pipeline import names, symmetry
from pipeline.arithmetic import BLOCK, Arithmetic, Array
from pipeline.losses import Loss
from pipeline.network import Architecture, backward, forward, input_operand
from pipeline.optimizers import Optimizer


class Split(NamedTuple):
    """One part of the data, ready for products.

    Attributes:
        inputs: operand (n, d(0) + 1); examples in rows, because minibatches gather whole examples.
        targets: (n, k).
        labels: (n,) integers, or None where there are no classes (then no accuracy is measured).
    """

    inputs: Array
    targets: Array
    labels: Array | None

    @property
    def examples(self) -> int:
        return len(self.inputs)


@dataclass(frozen=True)
class Task:
    """What all runs of a stack share.

    Attributes:
        architecture: the shape of the networks.
        arithmetic: the matrix product.
        loss: the loss of one example.
        l2: weight of the penalty l2 / 2 * |W|^2 in the objective; biases are not penalised.
        steps: number of updates.
        batch_size: examples per step, or None for the full training part.
        measured_steps: ascending steps at which to measure.
        train: the training part.
        test: the test part; it may hold no examples.
    """

    architecture: Architecture
    arithmetic: Arithmetic
    loss: Loss
    l2: float
    steps: int
    batch_size: int | None
    measured_steps: tuple[int, ...]
    train: Split
    test: Split


class RunGenerators(NamedTuple):
    """Independent random streams of one run, so that one kind of draw never shifts another."""

    initial: np.random.Generator
    batches: np.random.Generator
    dropout: np.random.Generator

    @classmethod
    def from_seed(cls, seed: int) -> "RunGenerators":
        return cls(*(np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(3)))


class Snapshot(NamedTuple):
    """Measurements of a stack after ``step`` updates.

    Attributes:
        step: 0 is before the first update.
        metrics: metric key -> (R,), one number per run.
        parameters: (R, P), the parameters measured; they change when the loop goes on.
        recorded: (R,) bool, the runs that this snapshot belongs to. A run is recorded at the measured steps until it
            diverges, and a last time at the step where it does.
        diverged: (R,) bool, the runs whose weights or training loss have stopped being finite.
    """

    step: int
    metrics: dict[str, Array]
    parameters: Array
    recorded: Array
    diverged: Array


def log_spaced_steps(steps: int, count: int) -> tuple[int, ...]:
    """About ``count`` steps, evenly spaced on a log axis from 1 to ``steps``; 0, 1 and the last are always in."""
    spaced = np.round(np.geomspace(1, steps, count)).astype(int) if steps else []
    return tuple(sorted({0, *(int(step) for step in spaced), min(1, steps), steps}))


def train(
    task: Task, parameters: Array, optimizer: Optimizer, generators: Sequence[RunGenerators]
) -> Iterator[Snapshot]:
    """Trains a stack and yields a snapshot at every measured step.

    Runs never influence each other: one that diverges carries its NaN to the end without warning, and its stack-mates
    keep the bits they would have alone. When all runs have diverged, the loop ends.

    Args:
        parameters: (R, P), the initial parameters; changed in place.
        optimizer: the update rule with its state.
        generators: the random streams of each run.
    """
    weight_mask = task.architecture.weight_mask()
    batches = _batches(task, generators)
    diverged = np.zeros(len(parameters), bool)
    measured = set(task.measured_steps)
    # Overflow and NaN are results here, reported as divergence; NumPy's warnings would only repeat them.
    with np.errstate(all="ignore"):
        for step in range(task.steps + 1):
            if step:
                gradient = _batch_gradient(task, parameters, next(batches), generators)
                if task.l2:
                    gradient += task.l2 * weight_mask * parameters
                optimizer.update(parameters, gradient)
            active = ~diverged
            diverged = ~np.isfinite(parameters).all(axis=1)
            if step in measured or (diverged & active).any():
                metrics = measure(task, parameters)
                recorded = active if step in measured else active & diverged
                diverged = diverged | ~active | ~np.isfinite(metrics[names.LOSS_TRAIN]) & recorded
                yield Snapshot(step, metrics, parameters, recorded, diverged)
            if diverged.all():
                return


def _batches(task: Task, generators: Sequence[RunGenerators]) -> Iterator[Array | None]:
    """Endless batches: None for the full training part, else example indices (R, batch).

    Each epoch visits the examples in a new order from the run's own generator; its last batch may be smaller.
    """
    examples = task.train.examples
    while True:
        if task.batch_size is None:
            yield None
        else:
            order = np.stack([run.batches.permutation(examples) for run in generators])
            for start in range(0, examples, task.batch_size):
                yield order[:, start : start + task.batch_size]


def _batch_gradient(
    task: Task, parameters: Array, indices: Array | None, generators: Sequence[RunGenerators]
) -> Array:
    """Gradient (R, P) of the mean loss over the batch, without the penalty."""
    gradient = np.zeros_like(parameters)
    batch = slice(None) if indices is None else indices
    inputs, targets = task.train.inputs[batch], task.train.targets[batch]
    examples = inputs.shape[-2]
    masks = _dropout_masks(task.architecture, generators, examples) if task.architecture.dropout else None
    state = forward(task.architecture, task.arithmetic, parameters, inputs.swapaxes(-1, -2), masks)
    output_delta = task.loss.delta(state.outputs, targets.swapaxes(-1, -2))
    backward(task.architecture, task.arithmetic, state, output_delta, gradient)
    gradient /= examples
    return gradient


def _dropout_masks(
    architecture: Architecture, generators: Sequence[RunGenerators], examples: int
) -> list[Array]:
    """Inverted dropout (Srivastava et al. 2014): 0 with the given probability, else 1 / (1 - probability)."""
    kept = 1.0 - architecture.dropout
    return [
        np.stack([run.dropout.random((units, examples)) < kept for run in generators]) / kept
        for units in architecture.widths[1:-1]
    ]


def measure(task: Task, parameters: Array) -> dict[str, Array]:
    """All metrics of the contract for the current parameters (R, P), each (R,).

    Losses are means of the data loss without the penalty, so that they compare across l2; ``gradient/norm`` is the
    norm of the full training objective's gradient. Dropout is off. Deltas belong to each example's own loss.
    """
    gradient = np.zeros_like(parameters)
    metrics, spreads = _evaluate(task, parameters, task.train, gradient)
    gradient /= task.train.examples
    gradient += task.l2 * task.architecture.weight_mask() * parameters
    result = {names.LOSS_TRAIN: metrics["loss"]}
    if "accuracy" in metrics:
        result[names.ACCURACY_TRAIN] = metrics["accuracy"]
    if task.test.examples:
        test_metrics, _ = _evaluate(task, parameters, task.test, None)
        result[names.LOSS_TEST] = test_metrics["loss"]
        if "accuracy" in test_metrics:
            result[names.ACCURACY_TEST] = test_metrics["accuracy"]
    result[names.GRADIENT_NORM] = np.sqrt((gradient**2).sum(axis=1))
    return result | spreads | _weight_symmetry(task.architecture, parameters)


def _evaluate(
    task: Task, parameters: Array, split: Split, gradient: Array | None
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Mean loss, accuracy and spreads over one part of the data; adds the summed gradient if an array is given.

    The examples go through in chunks, which bounds the memory.
    """
    architecture = task.architecture
    loss_sum = np.zeros(len(parameters))
    correct = np.zeros(len(parameters))
    spreads: dict[str, Array] = {}
    for start in range(0, split.examples, BLOCK):
        chunk = slice(start, start + BLOCK)
        targets = split.targets[chunk].T
        state = forward(architecture, task.arithmetic, parameters, split.inputs[chunk].T)
        loss_sum += task.loss.value(state.outputs, targets).sum(axis=1)
        if split.labels is not None:
            correct += (task.loss.predicted(state.outputs) == split.labels[chunk]).sum(axis=1)
        if gradient is not None:
            output_delta = task.loss.delta(state.outputs, targets)
            deltas = backward(architecture, task.arithmetic, state, output_delta, gradient)
            for key, value in _spreads(state.activations, deltas).items():
                spreads[key] = np.maximum(spreads[key], value) if key in spreads else value
    metrics = {"loss": loss_sum / split.examples}
    if split.labels is not None:
        metrics["accuracy"] = correct / split.examples
    return metrics, spreads


def _spreads(activations: list[Array], deltas: list[Array]) -> dict[str, Array]:
    spreads = {}
    for layer, (activation, delta) in enumerate(zip(activations, deltas[:-1], strict=True), start=1):
        spreads[names.symmetry("activation_spread", layer)] = symmetry.spread(activation)
        spreads[names.symmetry("delta_spread", layer)] = symmetry.spread(delta)
    if deltas[-1].shape[1] > 1:
        spreads[names.OUTPUT_DELTA_SPREAD] = symmetry.spread(deltas[-1])
    return spreads


def _weight_symmetry(architecture: Architecture, parameters: Array) -> dict[str, Array]:
    weights, biases = architecture.weights(parameters), architecture.biases(parameters)
    result = {}
    for layer, (incoming, outgoing) in enumerate(zip(weights[:-1], weights[1:], strict=True), start=1):
        bias = biases[layer - 1] if biases else None
        for measure_name, value in symmetry.layer_measures(incoming, outgoing, bias).items():
            result[names.symmetry(measure_name, layer)] = value
    if len(weights) > 1 and weights[-1].shape[2] > 1:
        # max - min over the outputs of each hidden unit's outgoing weights: the columns of W(L) differ.
        result[names.OUTPUT_WEIGHT_SPREAD] = symmetry.spread(weights[-1].swapaxes(1, 2))
    return result


def split_of(
    inputs: Array, targets: Array, labels: Array | None, architecture: Architecture, arithmetic: Arithmetic
) -> Split:
    """A part of the data as operands.

    Args:
        inputs: (n, d(0)).
        targets: (n, k).
        labels: (n,) or None.
    """
    operand = input_operand(inputs, architecture, arithmetic)
    return Split(operand, np.ascontiguousarray(targets), labels)
