"""The standard metrics: losses, accuracies, gradient norm, symmetry, and the distance from a known optimum."""

from itertools import pairwise

import numpy as np

from pipeline import names
from pipeline.measures import symmetry
from pipeline.measures.registry import StackSnapshot, measure
from pipeline.nn.arithmetic import Array
from pipeline.nn.network import backward, forward
from pipeline.nn.problem import Part, chunks
from pipeline.numerics.sums import mean, total
from pipeline.numerics.workspace import Workspace


@measure(metrics=lambda widths: 6 + 2 * (len(widths) - 2), standard=True)
def objective(snapshot: StackSnapshot) -> dict[str, Array]:
    """Losses, accuracies, gradient norm, and spreads of activations and deltas: what takes a pass over the data.

    Losses are means of the data loss without the penalty, so that they compare across l2; ``gradient/norm`` is the
    norm of the full training objective's gradient. Dropout is off. Deltas belong to each example's own loss.
    """
    problem, parameters = snapshot.problem, snapshot.parameters
    gradient = np.zeros_like(parameters)
    metrics, spreads = _evaluate(snapshot, problem.train, gradient)
    gradient /= problem.train.examples
    gradient += problem.l2 * problem.architecture.weight_mask * parameters
    result = {names.LOSS_TRAIN: metrics["loss"]}
    if "accuracy" in metrics:
        result[names.ACCURACY_TRAIN] = metrics["accuracy"]
    if problem.test.examples:
        test_metrics, _ = _evaluate(snapshot, problem.test, None)
        result[names.LOSS_TEST] = test_metrics["loss"]
        if "accuracy" in test_metrics:
            result[names.ACCURACY_TEST] = test_metrics["accuracy"]
    if problem.unit is not None:
        part, losses = (
            (problem.test, test_metrics["loss"]) if problem.test.examples else (problem.train, metrics["loss"])
        )
        result |= _errors(part, losses, problem.unit)
    result[names.GRADIENT_NORM] = np.sqrt(total(gradient**2))
    return result | spreads


def _errors(part: Part, losses: Array, unit: float) -> dict[str, Array]:
    """In regression, of the test part (without one, the training part): root mean square error and R squared.

    The loss is half the mean square. ``error/rmse`` is in the units of the target; ``error/r2`` is 1 - mean square /
    variance of that part, where the targets vary.
    """
    variance = float(mean((part.targets[0] - mean(part.targets[0])) ** 2))
    errors = {names.RMSE: unit * np.sqrt(2.0 * losses)}
    return errors | ({names.R2: 1.0 - 2.0 * losses / variance} if variance else {})


def _evaluate(snapshot: StackSnapshot, part: Part, gradient: Array | None) -> tuple[dict[str, Array], dict[str, Array]]:
    """Mean loss, accuracy and spreads over one part of the data; adds the summed gradient if an array is given."""
    problem, parameters = snapshot.problem, snapshot.parameters
    architecture, workspace = problem.architecture, snapshot.workspace or Workspace(parameters.dtype)
    loss_sum = np.zeros(len(parameters))
    correct = np.zeros(len(parameters))
    spreads: dict[str, Array] = {}
    for chunk in chunks(part.examples):
        inputs, targets = part.shared_examples(chunk)
        state = forward(architecture, problem.arithmetic, parameters, inputs, workspace=workspace)
        loss_sum += total(problem.loss.value(state.outputs, targets))
        if part.labels is not None:
            correct += (problem.loss.predicted(state.outputs) == part.labels[chunk]).sum(axis=1)
        if gradient is not None:
            spreads_of_chunk = _activation_spreads(state.activations)
            output_delta = problem.loss.delta(state.outputs, targets)
            of_chunk = workspace.array("gradient", parameters.shape)
            deltas = backward(architecture, problem.arithmetic, state, output_delta, of_chunk)
            gradient += of_chunk
            for key, value in (spreads_of_chunk | _delta_spreads(deltas)).items():
                spreads[key] = np.maximum(spreads[key], value) if key in spreads else value
    metrics = {"loss": loss_sum / part.examples}
    if part.labels is not None:
        metrics["accuracy"] = correct / part.examples
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


@measure(metrics=lambda widths: 6 * (len(widths) - 2) + (len(widths) > 2), standard=True)
def weight_symmetry(snapshot: StackSnapshot) -> dict[str, Array]:
    """How equal the hidden units of each layer are, and their outgoing weights to all outputs (``symmetry``)."""
    architecture = snapshot.problem.architecture
    weights, biases = architecture.weights(snapshot.parameters), architecture.biases(snapshot.parameters)
    result = {}
    for layer, (incoming, outgoing) in enumerate(pairwise(weights), start=1):
        bias = biases[layer - 1] if biases else None
        for measure_name, value in symmetry.layer_measures(incoming, outgoing, bias).items():
            result[names.symmetry(measure_name, layer)] = value
    if len(weights) > 1 and weights[-1].shape[2] > 1:
        # max - min over the outputs of each hidden unit's outgoing weights: the columns of W(L) differ.
        result[names.OUTPUT_WEIGHT_SPREAD] = symmetry.spread(weights[-1].swapaxes(1, 2))
    return result


@measure(metrics=lambda widths: 2 if len(widths) == 2 else 0, standard=True)
def optimum(snapshot: StackSnapshot) -> dict[str, Array]:
    """How far logistic regression is from its reference optimum, where it exists: in the objective, and in weights."""
    if snapshot.optimum is None or not snapshot.optimum.exists:
        return {}
    gap, distance = snapshot.optimum.gap_and_distance(snapshot.problem.architecture.blocks(snapshot.parameters)[0])
    return {names.OPTIMUM_GAP: gap, names.OPTIMUM_DISTANCE: distance}
