"""The standard metrics: losses, accuracies, gradient norm and symmetry of a stack at one measured step."""

from itertools import pairwise

import numpy as np

from pipeline import names
from pipeline.measures import symmetry
from pipeline.nn.arithmetic import Array
from pipeline.nn.network import Architecture, backward, forward
from pipeline.nn.problem import Split, Task, chunks
from pipeline.nn.workspace import Workspace


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
