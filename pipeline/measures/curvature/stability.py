"""Optional measurements: extreme eigenvalues of the Hessian, whole and in the directions that break the symmetry."""

from collections.abc import Callable

import numpy as np

from pipeline import names
from pipeline.measures.curvature.hessian import Hessian
from pipeline.measures.curvature.lanczos import MOST_STEPS, extreme_eigenvalues
from pipeline.measures.registry import StackSnapshot, measure
from pipeline.nn.arithmetic import Array
from pipeline.nn.network import Architecture
from pipeline.numerics.draws import Draws
from pipeline.numerics.sums import mean

MOST_NUMBERS = 2**23
"""How many numbers are held at once; 64 MB."""


@measure(metrics=lambda widths: 3 * any(width > 1 for width in widths[1:-1]))
def stability(snapshot: StackSnapshot) -> dict[str, Array]:
    """``stability/smallest_eigenvalue``, ``.../largest_eigenvalue``, ``.../residual``: whether equal units stay equal.

    Of the Hessian of the training objective, restricted to the directions that break the symmetry: those in which the
    units of a hidden layer differ. Around equal units, gradient descent at learning rate eta multiplies a difference
    by 1 - eta lambda in a step, so it grows where the smallest lambda is negative, or eta times the largest is above 2
    (Fukumizu and Amari 2000). A single unit has no such directions, and no metric.
    """
    architecture = snapshot.problem.architecture
    dimension = architecture.parameter_count - _alike(architecture)
    if dimension == 0:
        return {}
    return _extremes(snapshot, names.stability, dimension, lambda values: differences(architecture, values))


@measure(metrics=lambda widths: 3)
def hessian(snapshot: StackSnapshot) -> dict[str, Array]:
    """``hessian/smallest_eigenvalue``, ``.../largest_eigenvalue`` and ``.../residual``, of the whole Hessian.

    Gradient descent at learning rate eta tends to where the largest is near 2 / eta, the edge of stability (Cohen et
    al. 2021).
    """
    count = snapshot.problem.architecture.parameter_count
    return _extremes(snapshot, names.hessian, count, lambda values: values)


def differences(architecture: Architecture, parameters: Array) -> Array:
    """The part of the parameters (R, P) that no permutation of hidden units leaves alone.

    What all of them leave alone has equal weights for all units of a layer: weights are averaged over the hidden units
    at each of their ends. The rest is orthogonal to that.
    """
    result = parameters.copy()
    for layer, block in zip(architecture.layers, architecture.blocks(result), strict=True):
        alike = block.copy()
        if layer.is_hidden:
            alike[...] = mean(alike, axis=1, keepdims=True)
        if layer.below_is_hidden:
            weights = alike[:, :, : layer.fan_in]
            weights[...] = mean(weights, axis=2, keepdims=True)
        block -= alike
    return result


def _alike(architecture: Architecture) -> int:
    """The number of parameters that a network with a single unit in each hidden layer has."""
    first, *hidden, last = architecture.widths
    widths = (first, *(1 for _ in hidden), last)
    return Architecture(widths, architecture.activation, architecture.bias).parameter_count


def _extremes(
    snapshot: StackSnapshot, key: Callable[[str], str], dimension: int, projected: Callable[[Array], Array]
) -> dict[str, Array]:
    problem, count = snapshot.problem, snapshot.parameters.shape[1]
    # A fixed start makes the measurement a function of the weights.
    start = projected(Draws(np.random.SeedSequence(0)).uniform((1, count)) - 0.5)
    numbers = 3 * count * min(dimension, MOST_STEPS) + 8 * problem.train.examples * sum(problem.architecture.widths[1:])
    together = max(1, MOST_NUMBERS // numbers)
    parts = []
    for first in range(0, len(snapshot.parameters), together):
        parameters = snapshot.parameters[first : first + together]
        of_runs, runs = Hessian(problem, parameters), len(parameters)
        parts.append(np.array(extreme_eigenvalues(of_runs.times, projected, start.repeat(runs, axis=0), dimension)))
    smallest, largest, residual = np.concatenate(parts, axis=1)
    return {key("smallest_eigenvalue"): smallest, key("largest_eigenvalue"): largest, key("residual"): residual}
