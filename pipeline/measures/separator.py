"""Margins of logistic regression, and its angle to the separator of largest margin (hard-margin SVM)."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from pipeline import names
from pipeline.measures.registry import StackSnapshot, measure
from pipeline.nn.arithmetic import Array
from pipeline.nn.network import forward
from pipeline.nn.problem import Problem
from pipeline.numerics.angles import arcsine
from pipeline.numerics.orthogonal import inverse_of_triangular, triangular
from pipeline.numerics.sums import total

SMALLEST_MARGIN = 1e-6
"""Smaller margins are rounding; without a separator the least squares leave nothing else."""


class Separator(NamedTuple):
    """The hyperplanes that separate the classes with the largest margin.

    Attributes:
        weights: (P,) of Euclidean norm 1, laid out as the parameters of logistic regression.
        margin: the smallest margin of an example; negative where the classes are not separable.
    """

    weights: Array
    margin: float


@measure(metrics=lambda widths: 3)
def separator(snapshot: StackSnapshot) -> dict[str, Array]:
    """Margins and angle of logistic regression on separable data; nothing where the classes are not separable.

    ``separator/margin``, the smallest margin of an example under the weights W / |W|: how far its logit (with more
    classes: its advantage over every other class) is on the right side. ``separator/largest_margin``, the largest that
    any direction has, the same at every step. ``separator/angle``, radians between W and that direction. Gradient
    descent converges to it, and |W| grows like log t / largest_margin (Soudry et al. 2018, theorems 3 and 7).
    """
    problem = snapshot.problem
    best = _separator(problem)
    if not best.margin > SMALLEST_MARGIN:
        return {}
    norms = np.sqrt(total(snapshot.parameters**2, keepdims=True))
    directions = snapshot.parameters / norms
    # The chord keeps its digits at small angles, where the cosine has lost them.
    chords = np.sqrt(total((directions - best.weights) ** 2))
    return {
        names.MARGIN: _smallest_margins(problem, directions),
        names.LARGEST_MARGIN: np.full(len(directions), best.margin),
        names.SEPARATOR_ANGLE: 2.0 * arcsine(np.minimum(chords / 2.0, 1.0)),
    }


def _smallest_margins(problem: Problem, parameters: Array) -> Array:
    """(R,): the smallest margin of an example."""
    inputs, targets = problem.train.shared_examples(slice(None))
    logits = forward(problem.architecture, problem.arithmetic, parameters, inputs).outputs
    if len(targets) == 1:
        margins = np.where(targets == 1.0, logits, -logits)[:, 0]
    else:
        own = np.where(targets == 1.0, logits, -np.inf).max(axis=1)
        margins = own - np.where(targets == 1.0, -np.inf, logits).max(axis=1)
    smallest: Array = margins.min(axis=1)
    return smallest


def _separator(problem: Problem) -> Separator:
    part = problem.train
    assert part.labels is not None
    examples = part.rows[:, : -len(part.targets)].astype(np.float64)
    weights = _largest_margin_weights(examples.tobytes(), part.labels.astype(np.int64).tobytes(), len(part.targets))
    return Separator(weights, float(_smallest_margins(problem, weights[None])[0]))


@lru_cache(maxsize=8)
def _largest_margin_weights(examples: bytes, labels: bytes, outputs: int) -> Array:
    """(P,) of norm 1: the smallest weights that give every advantage of an example's class the value 1, rescaled.

    That is the least distance problem min |w| with Z w >= 1, which non-negative least squares solve (Lawson and Hanson
    1974, chapter 23): of min |E u - f| with u >= 0, E = (Z, 1)^T and f = (0, 1), the residual is proportional to
    (-w, 1). For more than two classes it is the machine of Crammer and Singer (2001) with a hard margin. A column of
    ones counts as a feature, because gradient descent makes no difference between weight and bias.
    """
    classes = np.frombuffer(labels, np.int64)
    features = np.frombuffer(examples).reshape(len(classes), -1)
    if outputs == 1:
        advantages = np.where(classes == 1, 1.0, -1.0)[:, None] * features
    else:
        # One row for each example and other class: the example in the block of its class, its negative in the other's.
        one_hot = np.eye(outputs)
        pairs = one_hot[classes][:, None] - one_hot[None]
        rivals = ~one_hot.astype(bool)[classes]
        advantages = (pairs[:, :, :, None] * features[:, None, None])[rivals].reshape(rivals.sum(), -1)
    from scipy.optimize import nnls  # A fifth of a second, which most processes need not wait.

    stacked = np.vstack([advantages.T, np.ones(len(advantages))])
    unit = np.append(np.zeros(len(stacked) - 1), 1.0)
    solution, _ = nnls(stacked, unit, maxiter=100 * stacked.shape[1])
    weights = _smallest_with_unit_advantages(advantages[solution > 0.0])
    return weights / np.sqrt(total(weights**2))


def _smallest_with_unit_advantages(support: Array) -> Array:
    """The smallest w with support w = 1, (s, P) -> (P,): what is left to compute when the support is known.

    With support^T = Q R it is Q R^-T 1. Plain sums give it the same bits on every processor, which SciPy's solver, that
    found the support, does not.
    """
    factor, pivots = triangular(support.T, max(support.shape) * float(np.finfo(np.float64).eps))
    inverse = inverse_of_triangular(factor[:, pivots])
    multipliers = total(inverse * total(inverse, 0))
    weights: Array = total(support[pivots].T * multipliers)
    return weights
