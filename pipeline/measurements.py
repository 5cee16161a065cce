"""What is trained on, and what is measured: a task, and all metrics of a stack at one moment."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from pipeline import names, symmetry
from pipeline.arithmetic import Arithmetic, Array, Workspace
from pipeline.losses import Loss
from pipeline.network import Architecture, backward, forward, input_operand

LARGEST_CHUNK = 1024
"""Examples that go through the network together. With 32 units their arrays take 0.4 MB a run."""


class Split(NamedTuple):
    """One part of the data, ready for products.

    Attributes:
        rows: (n, d(0) + 1 + k), each example's inputs as an operand and its targets side by side, because a minibatch
            gathers whole examples.
        targets: (k, n), once more, as the loss reads them.
        labels: (n,) integers, or None where there are no classes (then no accuracy is measured).
    """

    rows: Array
    targets: Array
    labels: Array | None

    @property
    def examples(self) -> int:
        return len(self.rows)

    def whole(self, chunk: slice) -> tuple[Array, Array]:
        """Inputs (d(0) + 1, n) and targets (k, n) of consecutive examples, which all runs share."""
        return self.rows[chunk, : -len(self.targets)].T, self.targets[:, chunk]

    def gathered(self, indices: Array, workspace: Workspace) -> tuple[Array, Array]:
        """Inputs (R, d(0) + 1, n) and targets (R, k, n) of the examples that each run has chosen.

        Args:
            indices: (R, n).
            workspace: the memory of the result.
        """
        rows = workspace.array("batch", (*indices.shape, self.rows.shape[1]))
        # An unclipped take checks the indices first, and copies the result once more.
        np.take(self.rows, indices, axis=0, out=rows, mode="clip")
        columns = rows.swapaxes(1, 2)
        return columns[:, : -len(self.targets)], columns[:, -len(self.targets) :]


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
    return Split(np.concatenate([operand, targets], axis=1), np.ascontiguousarray(targets.T), labels)


def chunk_size(examples: int) -> int:
    """How many examples go through the network together: parts of nearly equal size, in whole eights."""
    # In whole numbers, rounded up by -(-a // b): a user may ask for more examples than a float can count.
    return -(-examples // -(-examples // LARGEST_CHUNK) // 8) * 8 if examples else 1


@cache
def chunks(examples: int) -> list[slice]:
    """The examples in pieces of nearly equal size, so that what one piece needs fits the processor's cache.

    The pieces do not depend on the number of runs: they decide in which order a gradient is added up.
    """
    size = chunk_size(examples)
    return [slice(start, min(start + size, examples)) for start in range(0, examples, size)]


@contextmanager
def numpy_set_for_training() -> Iterator[None]:
    """A context in which NumPy neither warns of overflow nor copies what is broadcast.

    Overflow and NaN are reported as divergence; warnings would only repeat them. With its usual buffer of 8192
    elements NumPy repeats a short operand until the buffer is full before it computes; without that one number for
    each run is added in 0.17 instead of 0.38 ns an element.
    """
    with np.errstate(all="ignore"):  # also puts the buffer's size back
        np.setbufsize(256)
        yield


def measure(task: Task, parameters: Array, workspace: Workspace) -> dict[str, Array]:
    """All metrics of the contract for the current parameters (R, P), each (R,).

    Losses are means of the data loss without the penalty, so that they compare across l2; ``gradient/norm`` is the
    norm of the full training objective's gradient. Dropout is off. Deltas belong to each example's own loss.
    """
    gradient = np.zeros_like(parameters)
    metrics, spreads = _evaluate(task, parameters, task.train, workspace, gradient)
    gradient /= task.train.examples
    gradient += task.l2 * task.architecture.weight_mask * parameters
    result = {names.LOSS_TRAIN: metrics["loss"]}
    if "accuracy" in metrics:
        result[names.ACCURACY_TRAIN] = metrics["accuracy"]
    if task.test.examples:
        test_metrics, _ = _evaluate(task, parameters, task.test, workspace, None)
        result[names.LOSS_TEST] = test_metrics["loss"]
        if "accuracy" in test_metrics:
            result[names.ACCURACY_TEST] = test_metrics["accuracy"]
    result[names.GRADIENT_NORM] = np.sqrt((gradient**2).sum(axis=1))
    return result | spreads | _weight_symmetry(task.architecture, parameters)


def _evaluate(
    task: Task, parameters: Array, split: Split, workspace: Workspace, gradient: Array | None
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Mean loss, accuracy and spreads over one part of the data; adds the summed gradient if an array is given."""
    architecture = task.architecture
    loss_sum = np.zeros(len(parameters))
    correct = np.zeros(len(parameters))
    spreads: dict[str, Array] = {}
    for chunk in chunks(split.examples):
        inputs, targets = split.whole(chunk)
        state = forward(architecture, task.arithmetic, parameters, inputs, workspace=workspace)
        loss_sum += task.loss.value(state.outputs, targets).sum(axis=1)
        if split.labels is not None:
            correct += (task.loss.predicted(state.outputs) == split.labels[chunk]).sum(axis=1)
        if gradient is not None:
            spreads_of_chunk = _activation_spreads(state.activations)
            output_delta = task.loss.delta(state.outputs, targets)
            part = workspace.array("gradient", parameters.shape)
            deltas = backward(architecture, task.arithmetic, state, output_delta, part)
            gradient += part
            for key, value in (spreads_of_chunk | _delta_spreads(deltas)).items():
                spreads[key] = np.maximum(spreads[key], value) if key in spreads else value
    metrics = {"loss": loss_sum / split.examples}
    if split.labels is not None:
        metrics["accuracy"] = correct / split.examples
    return metrics, spreads


def _activation_spreads(activations: list[Array]) -> dict[str, Array]:
    return {
        names.symmetry("activation_spread", layer): symmetry.spread(activation)
        for layer, activation in enumerate(activations, start=1)
    }


def _delta_spreads(deltas: list[Array]) -> dict[str, Array]:
    *hidden, output = deltas
    spreads = {
        names.symmetry("delta_spread", layer): symmetry.spread(delta) for layer, delta in enumerate(hidden, start=1)
    }
    return spreads | ({names.OUTPUT_DELTA_SPREAD: symmetry.spread(output)} if output.shape[1] > 1 else {})


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
