"""The reference optimum of logistic and softmax regression, from SciPy's solvers, and of linear regression.

The objective is J(W) = mean_i [loss of example i] + l2 / 2 * |W|^2, biases not penalised. It is convex. With the
squared error it is quadratic, and least squares give a minimiser in closed form. With the log-loss it need not have
one: where a hyperplane separates the classes (even weakly, touching some points), J falls for ever along one direction,
|W| grows like log t and only the direction converges (Albert and Anderson 1984; Soudry et al. 2018). Then there is no
distance to report.
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.optimize import linprog, minimize

from pipeline.nn.arithmetic import Array
from pipeline.nn.losses import LOSSES, SQUARED_ERROR, Loss

ATTAINED = "attained"
SEPARABLE = "separable: no optimum, the loss tends to its infimum without reaching it"
UNDECIDED = "undecided: too large for the separability test, or the solver did not converge"

GRADIENT_TOLERANCE = 1e-9
LARGEST_GRADIENT = 1e-6
LARGEST_LINEAR_PROGRAM = 5_000_000
SMALLEST_MARGIN = 1e-6


@dataclass(frozen=True, eq=False)
class Optimum:
    """The optimum of a convex objective, or why there is none.

    Attributes:
        status: one of ``ATTAINED``, ``SEPARABLE``, ``UNDECIDED``.
        objective: J, for the gap.
        weights: (k, d + 1) minimiser with the biases in the last column, or None.
        penalised: whether l2 > 0.
        row_space: (d + 1, rank) orthonormal basis of the span of the examples.
    """

    status: str
    objective: "Objective"
    weights: Array | None
    penalised: bool
    row_space: Array

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
        best = self.objective.value(self.weights)
        gap = np.array([self.objective.value(run) - best for run in weights])
        difference = weights - self.weights
        is_softmax = difference.shape[1] > 1 and self.objective.loss is not SQUARED_ERROR
        if self.penalised:
            if self.objective.bias and is_softmax:
                difference[:, :, -1] -= difference[:, :, -1].mean(axis=1, keepdims=True)
        else:
            difference = difference @ self.row_space @ self.row_space.T
            if is_softmax:
                difference -= difference.mean(axis=1, keepdims=True)
        return gap, np.sqrt((difference**2).sum(axis=(1, 2)))


@dataclass(frozen=True, eq=False)
class Objective:
    """J for one data set.

    Attributes:
        examples: (n, d + 1), with the column of ones if there is a bias.
        targets: (k, n), as in ``losses.targets_of``.
        l2: weight of the penalty.
        bias: whether the last column of the weights holds biases.
        loss: of one example.
    """

    examples: Array
    targets: Array
    l2: float
    bias: bool
    loss: Loss

    def _penalised(self, weights: Array) -> Array:
        weights = weights.copy()
        if self.bias:
            weights[:, -1] = 0.0
        return weights

    def value(self, weights: Array) -> float:
        """J(W) for (k, d + 1)."""
        logits = weights @ self.examples.T
        data_loss = float(self.loss.value(logits[None], self.targets).mean())
        return data_loss + 0.5 * self.l2 * float((self._penalised(weights) ** 2).sum())

    def gradient(self, weights: Array) -> Array:
        """dJ/dW = (p - y) X / n + l2 W, (k, d + 1): the theory's X^T (s - y), transposed, for the mean loss."""
        delta = self.loss.delta((weights @ self.examples.T)[None], self.targets)[0]
        return delta @ self.examples / len(self.examples) + self.l2 * self._penalised(weights)


def reference_optimum(inputs: Array, targets: Array, *, l2: float, bias: bool, loss: str = "cross_entropy") -> Optimum:
    """Finds the minimiser of J, or the reason why there is none.

    Args:
        inputs: (n, d).
        targets: (k, n), as in ``losses.targets_of``.
        l2: weight of the penalty.
        bias: whether there are biases.
        loss: a key of ``LOSSES``.
    """
    examples = np.concatenate([inputs, np.ones((len(inputs), int(bias)))], axis=1)
    objective = Objective(examples, targets, l2, bias, LOSSES[loss](len(targets)))
    shift = _centring(examples, bias)
    centred = examples @ shift
    if loss == "squared_error":
        solution = _least_squares(centred, targets, l2, bias) @ shift.T
        return Optimum(ATTAINED, objective, solution, l2 > 0.0, _row_space(examples))
    weights, status = None, ATTAINED
    if l2 == 0.0:
        status = _separability(centred, targets)
    if status == ATTAINED:
        # Centred features leave the objective alone, because the bias is free, and the solver's steps stay balanced.
        scaling = np.eye(len(shift)) if l2 > 0.0 else _whitening(centred)
        coordinates = Objective(centred @ scaling, targets, l2, bias and l2 > 0.0, objective.loss)
        weights = _minimiser(coordinates)
        if weights is None:
            status = UNDECIDED
        else:
            weights = weights @ scaling.T @ shift.T
    return Optimum(status, objective, weights, l2 > 0.0, _row_space(examples))


def _centring(examples: Array, bias: bool) -> Array:
    """(d + 1, d + 1) matrix by which the column of ones takes its mean away from every other column."""
    shift = np.eye(examples.shape[1])
    if bias:
        shift[-1, :-1] = -examples[:, :-1].mean(axis=0)
    return shift


def _least_squares(centred: Array, targets: Array, l2: float, bias: bool) -> Array:
    """(k, d + 1): the minimiser of |X w - y|^2 / (2 n) + l2 / 2 |w|^2, the bias free; of several, the shortest.

    The penalty is a row below X for each weight (Golub and Van Loan 2013, section 6.1.4).
    """
    penalty = np.sqrt(l2 * len(centred)) * np.eye(centred.shape[1])[: centred.shape[1] - bias]
    stacked = np.concatenate([centred, penalty]) if l2 else centred
    padded = np.concatenate([targets.T, np.zeros((len(stacked) - len(centred), len(targets)))])
    return np.asarray(np.linalg.lstsq(stacked, padded)[0].T)


def _whitening(centred: Array) -> Array:
    """(d + 1, rank) map to coordinates of unit covariance: without a penalty the minimum does not depend on units."""
    scale = _column_scale(centred)
    _, singular_values, directions = np.linalg.svd(centred / scale, full_matrices=False)
    kept = _significant(singular_values, centred.shape)
    whitening: Array = directions[kept].T / scale[:, None] / singular_values[kept] * np.sqrt(len(centred))
    return whitening


def _column_scale(centred: Array) -> Array:
    scale = np.abs(centred).max(axis=0)
    scale[scale == 0.0] = 1.0
    return scale


def _minimiser(objective: Objective) -> Array | None:
    """(k, d + 1) weights with a gradient of at most ``LARGEST_GRADIENT``, or None if the solver did not get there."""
    shape = (len(objective.targets), objective.examples.shape[1])
    solution = minimize(
        lambda flat: objective.value(flat.reshape(shape)),
        np.zeros(shape[0] * shape[1]),
        jac=lambda flat: objective.gradient(flat.reshape(shape)).ravel(),
        method="L-BFGS-B",
        options={"maxiter": 50_000, "maxfun": 100_000, "maxcor": 30, "ftol": 0.0, "gtol": GRADIENT_TOLERANCE},
    )
    return solution.x.reshape(shape) if np.abs(solution.jac).max() <= LARGEST_GRADIENT else None


def _row_space(examples: Array) -> Array:
    _, singular_values, directions = np.linalg.svd(examples, full_matrices=False)
    return np.asarray(directions[_significant(singular_values, examples.shape)].T)


def _significant(singular_values: Array, shape: tuple[int, ...]) -> Array:
    # Anything smaller is rounding (Golub and Van Loan 2013, section 5.4).
    return np.asarray(singular_values > singular_values.max() * max(shape) * np.finfo(np.float64).eps)


def _separability(examples: Array, targets: Array) -> str:
    """Decides separability by a linear program (Albert and Anderson 1984; Konis 2007, chapter 4).

    Over |W_ij| <= 1, the sum of all margins (w_label - w_other) . x is maximised while no margin is negative. The
    maximum is 0 if and only if the classes overlap, so that J has a minimiser.
    """
    count = len(examples) * max(1, len(targets) - 1) * 2 * examples.shape[1]
    if count > LARGEST_LINEAR_PROGRAM:
        return UNDECIDED
    margins = _margin_rows(examples / _column_scale(examples), targets)
    solution = linprog(
        -np.asarray(margins.sum(axis=0)).ravel(),
        A_ub=-margins,
        b_ub=np.zeros(margins.shape[0]),
        bounds=(-1.0, 1.0),
        method="highs",
    )
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
