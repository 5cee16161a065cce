"""What is trained on, and what is measured: a task, and all metrics of a stack at one moment."""

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from pipeline import names, symmetry
from pipeline.arithmetic import BLOCK, Arithmetic, Array
from pipeline.losses import Loss
from pipeline.network import Architecture, backward, forward, input_operand


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


overflow_is_a_result = np.errstate(all="ignore")
"""Decorator. Overflow and NaN are reported as divergence; NumPy's warnings would only repeat them."""


@overflow_is_a_result
def measure(task: Task, parameters: Array) -> dict[str, Array]:
    """All metrics of the contract for the current parameters (R, P), each (R,).

    Losses are means of the data loss without the penalty, so that they compare across l2; ``gradient/norm`` is the
    norm of the full training objective's gradient. Dropout is off. Deltas belong to each example's own loss.
    """
    gradient = np.zeros_like(parameters)
    metrics, spreads = _evaluate(task, parameters, task.train, gradient)
    gradient /= task.train.examples
    gradient += task.l2 * task.architecture.weight_mask * parameters
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
    for layer, (incoming, outgoing) in enumerate(pairwise(weights), start=1):
        bias = biases[layer - 1] if biases else None
        for measure_name, value in symmetry.layer_measures(incoming, outgoing, bias).items():
            result[names.symmetry(measure_name, layer)] = value
    if len(weights) > 1 and weights[-1].shape[2] > 1:
        # max - min over the outputs of each hidden unit's outgoing weights: the columns of W(L) differ.
        result[names.OUTPUT_WEIGHT_SPREAD] = symmetry.spread(weights[-1].swapaxes(1, 2))
    return result
