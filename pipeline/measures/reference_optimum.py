"""The reference optimum of logistic, softmax and linear regression, with the same bits on every processor.

The objective is J(W) = mean_i [loss of example i] + l2 / 2 * |W|^2, biases not penalised. It is convex. With the
squared error it is quadratic, so that one step of Newton's method is the closed form. With the log-loss it need not
have a minimiser: where a hyperplane separates the classes (even weakly, touching some points), J falls for ever along
one direction, |W| grows like log t and only the direction converges (Albert and Anderson 1984; Soudry et al. 2018).
Then there is no distance to report. Whether it has one is decided by a linear program (SciPy).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse

from pipeline.measures.newton import minimised
from pipeline.nn.accurate import accurate_product
from pipeline.nn.losses import LOSSES, Loss
from pipeline.numerics.functions import PRECISE
from pipeline.numerics.orthogonal import inverse_of_triangular, orthonormal, triangular
from pipeline.numerics.sums import mean, total
from pipeline.numerics.workspace import Array

CROSS_ENTROPY = "cross_entropy"
ATTAINED = "attained"
SEPARABLE = "separable: no optimum, the loss tends to its infimum without reaching it"
UNDECIDED = "undecided: too large for the separability test, or the solver did not converge"

LARGEST_GRADIENT = 1e-6
LARGEST_LINEAR_PROGRAM = 5_000_000
SMALLEST_MARGIN = 1e-6
CURVATURE_SLICES = 2


@dataclass(frozen=True, eq=False)
class Optimum:
    """The optimum of a convex objective, or why there is none.

    Attributes:
        status: one of ``ATTAINED``, ``SEPARABLE``, ``UNDECIDED``.
        objective: J, for the gap.
        weights: (k, d + 1) minimiser with the biases in the last column, or None.
        row_space: (d + 1, rank) orthonormal basis of the span of the examples; None with a penalty.
    """

    status: str
    objective: "Objective"
    weights: Array | None
    row_space: Array | None

    @property
    def exists(self) -> bool:
        return self.weights is not None

    @np.errstate(all="ignore")
    def gap_and_distance(self, weights: Array) -> tuple[Array, Array]:
        """Gap J(W) - J(W*) and distance from the set of minimisers.

        Args:
            weights: (R, k, d + 1), biases in the last column.

        Returns:
            Two arrays (R,).

        Softmax does not change when one vector is added to the weights of every class, and no loss sees weights
        outside the span of the examples. Such directions lead from one minimiser to another, so they are projected
        out of the distance; with a penalty only the shift of all biases is left.
        """
        assert self.weights is not None
        gap = self.objective.values(weights) - self.objective.value(self.weights)
        difference = weights - self.weights
        is_softmax = difference.shape[1] > 1 and self.objective.loss == CROSS_ENTROPY
        if self.row_space is None:
            if self.objective.bias and is_softmax:
                difference[:, :, -1] -= mean(difference[:, :, -1], keepdims=True)
        else:
            difference = accurate_product(accurate_product(difference, self.row_space), self.row_space.T)
            if is_softmax:
                difference -= mean(difference, 1, keepdims=True)
        return gap, np.sqrt(total(total(difference**2)))


@dataclass(frozen=True, eq=False)
class Objective:
    """J for one data set.

    Attributes:
        examples: (n, d + 1), with the column of ones if there is a bias.
        targets: (k, n), as in ``losses.targets_of``.
        l2: weight of the penalty.
        bias: whether the last column of the weights holds biases.
        loss: a key of ``LOSSES``.
    """

    examples: Array
    targets: Array
    l2: float
    bias: bool
    loss: str

    @cached_property
    def _loss(self) -> Loss:
        return LOSSES[self.loss](len(self.targets), PRECISE)

    def _penalised(self, weights: Array) -> Array:
        weights = weights.copy()
        if self.bias:
            weights[..., -1] = 0.0
        return weights

    def values(self, weights: Array) -> Array:
        """J(W) of every run, (R, k, d + 1) -> (R,)."""
        logits = accurate_product(weights, self.examples.T)
        data_loss: Array = mean(self._loss.value(logits, self.targets))
        return data_loss + 0.5 * self.l2 * total(total(self._penalised(weights) ** 2))

    def value(self, point: Array) -> float:
        """J(W) for (k, d + 1)."""
        return float(self.values(point[None])[0])

    def _delta(self, point: Array) -> Array:
        return self._loss.delta(accurate_product(point, self.examples.T)[None], self.targets)[0]

    def gradient(self, point: Array) -> Array:
        """dJ/dW = (p - y) X / n + l2 W, (k, d + 1): the theory's X^T (s - y), transposed, for the mean loss."""
        data_part = accurate_product(self._delta(point), self.examples) / len(self.examples)
        return data_part + self.l2 * self._penalised(point)

    def curvature(self, point: Array) -> Callable[[Array], Array]:
        """The Hessian times a direction V: (p * (Z - sum_c p_c Z_c)) X / n + l2 V with the logits Z = V X^T.

        With one output it is X^T diag(p (1 - p)) X / n, as in the theory.
        """
        probabilities = self._delta(point) + self.targets

        def product(direction: Array) -> Array:
            logits = accurate_product(direction, self.examples.T, CURVATURE_SLICES)
            if self.loss != CROSS_ENTROPY:
                weighted = logits
            elif len(self.targets) == 1:
                weighted = probabilities * (1.0 - probabilities) * logits
            else:
                weighted = probabilities * (logits - total(probabilities * logits, 0))
            data_part = accurate_product(weighted, self.examples, CURVATURE_SLICES) / len(self.examples)
            return data_part + self.l2 * self._penalised(direction)

        return product


def reference_optimum(inputs: Array, targets: Array, *, l2: float, bias: bool, loss: str = CROSS_ENTROPY) -> Optimum:
    """Finds the minimiser of J, or the reason why there is none.

    Args:
        inputs: (n, d).
        targets: (k, n), as in ``losses.targets_of``.
        l2: weight of the penalty.
        bias: whether there are biases.
        loss: a key of ``LOSSES``.
    """
    examples = np.concatenate([inputs, np.ones((len(inputs), int(bias)))], axis=1)
    objective = Objective(examples, targets, l2, bias, loss)
    means = mean(examples, 0)
    # Without a bias nothing could make up for a shift.
    means[-1 if bias else slice(None)] = 0.0
    centred = examples - means
    weights, status, row_space = None, ATTAINED, None
    if l2 == 0.0 and loss == CROSS_ENTROPY:
        status = _separability(centred, targets)
    if status == ATTAINED:
        # Centred features leave the objective alone, because the bias is free, and the solver's steps stay balanced.
        scaling = np.eye(len(means)) if l2 > 0.0 else _whitening(centred)
        coordinates = Objective(accurate_product(centred, scaling), targets, l2, bias and l2 > 0.0, loss)
        minimiser, largest_gradient = minimised(coordinates, np.zeros((len(targets), scaling.shape[1])))
        if largest_gradient <= LARGEST_GRADIENT:
            weights = accurate_product(minimiser, scaling.T)
            weights[:, len(means) - bias :] -= total(weights * means, keepdims=True)
            row_space = None if l2 > 0.0 else _row_space(examples)
        else:
            status = UNDECIDED
    return Optimum(status, objective, weights, row_space)


def _whitening(centred: Array) -> Array:
    """(d + 1, rank) map to coordinates of unit covariance: without a penalty the minimum does not depend on units."""
    scale = _column_scale(centred)
    factor, pivots = triangular(centred / scale, _rounding(centred))
    whitening = np.zeros((centred.shape[1], len(pivots)))
    whitening[pivots] = inverse_of_triangular(factor[:, pivots])
    return whitening / scale[:, None] * np.sqrt(len(centred))


def _column_scale(centred: Array) -> Array:
    scale = np.abs(centred).max(axis=0)
    scale[scale == 0.0] = 1.0
    return scale


def _row_space(examples: Array) -> Array:
    """(d + 1, rank) orthonormal basis of the span of the examples."""
    factor, _ = triangular(examples, _rounding(examples))
    return orthonormal(factor.T)


def _rounding(matrix: Array) -> float:
    # Anything smaller is rounding (Golub and Van Loan 2013, section 5.4).
    return float(max(matrix.shape) * np.finfo(np.float64).eps)


def _separability(examples: Array, targets: Array) -> str:
    """Decides separability by a linear program (Albert and Anderson 1984; Konis 2007, chapter 4).

    Over |W_ij| <= 1, the sum of all margins (w_label - w_other) . x is maximised while no margin is negative. The
    maximum is 0 if and only if the classes overlap, so that J has a minimiser.
    """
    count = len(examples) * max(1, len(targets) - 1) * 2 * examples.shape[1]
    if count > LARGEST_LINEAR_PROGRAM:
        return UNDECIDED
    from scipy.optimize import linprog  # A fifth of a second, which most processes need not wait.

    margins = _margin_rows(examples / _column_scale(examples), targets)
    objective, zeros = -np.asarray(margins.sum(axis=0)).ravel(), np.zeros(margins.shape[0])
    solution = linprog(objective, A_ub=-margins, b_ub=zeros, bounds=(-1.0, 1.0), method="highs")
    if solution.status != 0:
        return UNDECIDED
    return SEPARABLE if -solution.fun > SMALLEST_MARGIN * len(examples) else ATTAINED


def _margin_rows(examples: Array, targets: Array) -> sparse.csr_array:
    """One row for each example and each other class: its product with W.ravel() is that margin."""
    classes, (count, inputs) = len(targets), examples.shape
    if classes == 1:
        return sparse.csr_array(examples * (2.0 * targets.T - 1.0))
    labels = targets.argmax(axis=0)
    example, other = np.nonzero(labels[:, None] != np.arange(classes))
    row = np.arange(count * (classes - 1)).repeat(inputs)
    values = examples[example].ravel()

    def columns(of_class: Array) -> Array:
        return (of_class[:, None] * inputs + np.arange(inputs)).ravel()

    entries = (
        np.concatenate([values, -values]),
        (np.concatenate([row, row]), np.concatenate([columns(labels[example]), columns(other)])),
    )
    return sparse.csr_array(entries, shape=(count * (classes - 1), classes * inputs))
