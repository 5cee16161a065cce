"""Mean squares of pre-activations, activations and deltas, layer by layer."""

import numpy as np

from pipeline import names
from pipeline.measures.registry import StackSnapshot, measure
from pipeline.nn.arithmetic import Array
from pipeline.nn.network import backward, forward
from pipeline.nn.problem import chunks
from pipeline.numerics.sums import mean, total


@measure(metrics=lambda widths: 3 * len(widths) - 4)
def layer_moments(snapshot: StackSnapshot) -> dict[str, Array]:
    """Mean squares over the units of a layer and all training examples.

    ``layer1/pre_activation_mean_square`` (all layers), ``layer1/activation_mean_square`` (hidden layers) and
    ``layer1/delta_mean_square`` (all layers). Weights of mean 0 make them the variances that the derivations of the
    random schemes keep constant from layer to layer (Glorot and Bengio 2010, section 4.2.1; He et al. 2015, section
    2.2). Deltas are those of each example's own loss.
    """
    problem = snapshot.problem
    sums: dict[str, Array] = {}
    for chunk in chunks(problem.train.examples):
        for key, values in _squares(snapshot, chunk).items():
            sums[key] = sums.get(key, 0.0) + total(mean(values, 1))
    return {key: total / problem.train.examples for key, total in sums.items()}


def _squares(snapshot: StackSnapshot, chunk: slice) -> dict[str, Array]:
    """Metric key -> squares (R, units, n) for consecutive examples."""
    architecture, arithmetic = snapshot.problem.architecture, snapshot.problem.arithmetic
    inputs, targets = snapshot.problem.train.shared_examples(chunk)
    state = forward(architecture, arithmetic, snapshot.parameters, inputs)
    pre_activations = [
        arithmetic.product(weights, operand) for weights, operand in zip(state.weights, state.inputs, strict=True)
    ]
    # Back-propagation uses up the activations, so they are squared first.
    squares = {
        names.layer_measure(f"{kind}_mean_square", layer): values**2
        for kind, layers in (("pre_activation", pre_activations), ("activation", state.activations))
        for layer, values in enumerate(layers, start=1)
    }
    output_delta = snapshot.problem.loss.delta(state.outputs, targets)
    deltas = backward(architecture, arithmetic, state, output_delta, np.empty_like(snapshot.parameters))
    return squares | {
        names.layer_measure("delta_mean_square", layer): delta**2 for layer, delta in enumerate(deltas, start=1)
    }
