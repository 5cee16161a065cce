"""Losses (cross-entropy and squared error), their derivatives by the outputs, predicted classes, noisy targets.

All arrays hold one example a column: outputs (R, k, n); targets (k, n) when the runs share the examples, or
(R, k, n). A problem with two classes has one output (k = 1) and targets 0 and 1; with more classes the targets
are one-hot columns. Values and deltas belong to each example's own loss; the factor 1/n of the mean enters with
the gradient.
"""

from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import NamedTuple

import numpy as np

from pipeline.numerics.draws import Draws, normal_quantile
from pipeline.numerics.functions import Functions
from pipeline.numerics.sums import total
from pipeline.numerics.workspace import Array


class Loss(NamedTuple):
    """A loss of one example.

    Attributes:
        value: (outputs, targets) -> (R, n), the loss of each example.
        delta: (outputs, targets, out=None) -> (R, k, n), the derivative of that loss with respect to the outputs,
            written into ``out`` if that is given.
        predicted: outputs -> (R, n) integers, the class that the outputs name.
        curvature: (predictions, change) -> (R, k, n), how delta changes with the outputs; predictions: delta + targets.
    """

    value: Callable[[Array, Array], Array]
    delta: Callable[..., Array]
    predicted: Callable[[Array], Array]
    curvature: Callable[[Array, Array], Array]


def output_count(classes: int) -> int:
    """k, the outputs that tell classes apart: one for two classes, else one per class; for a quantity (0) one."""
    return 1 if classes in (0, 2) else classes


def targets_of(labels: Array, classes: int) -> Array:
    """The labels as target columns: one row of 0 and 1 for two classes, one-hot columns for more; quantities unchanged.

    Args:
        labels: (n,) integers in 0 .. classes - 1, or with 0 classes quantities.

    Returns:
        (k, n) float64.
    """
    if output_count(classes) == 1:
        return labels[None, :].astype(np.float64)
    return (labels[None, :] == np.arange(classes)[:, None]).astype(np.float64)


def _below_largest(logits: Array, out: Array | None = None) -> tuple[Array, Array]:
    # Subtracting the largest logit of each example keeps exp from overflowing and changes no probability.
    largest = logits.max(axis=-2, keepdims=True)
    return np.subtract(logits, largest, out=out), largest


def softmax(elementary: Functions, logits: Array, out: Array | None = None) -> Array:
    """exp(z_j) / sum_c exp(z_c) over the class axis; (R, k, n) -> (R, k, n)."""
    exponentials, _ = _below_largest(logits, out)
    elementary.decay(exponentials, out=exponentials)
    exponentials /= total(exponentials, -2, keepdims=True)
    return exponentials


def _sigmoid(elementary: Functions, logits: Array, out: Array | None = None) -> Array:
    return elementary.sigmoid(logits, out=out)


def _softmax_cross_entropy(elementary: Functions, logits: Array, targets: Array) -> Array:
    below, largest = _below_largest(logits)
    log_normaliser = elementary.log(total(elementary.exp(below), -2)) + largest[..., 0, :]
    value: Array = log_normaliser - total(targets * logits, -2)
    return value


def _sigmoid_cross_entropy(elementary: Functions, logits: Array, targets: Array) -> Array:
    # -y log s(z) - (1 - y) log(1 - s(z)) = log(1 + exp(z)) - y z
    value: Array = (elementary.softplus(logits) - targets * logits)[..., 0, :]
    return value


def _probability_minus_target(probability: Callable[..., Array]) -> Callable[..., Array]:
    def delta(logits: Array, targets: Array, out: Array | None = None) -> Array:
        result = probability(logits, out)
        result -= targets
        return result

    return delta


def _squared_error(outputs: Array, targets: Array) -> Array:
    value: Array = 0.5 * total((outputs - targets) ** 2, -2)
    return value


def _predicted(outputs: Array, threshold: float) -> Array:
    if outputs.shape[-2] == 1:
        return (outputs[..., 0, :] > threshold).astype(np.int64)
    return outputs.argmax(axis=-2)


def _softmax_curvature(probabilities: Array, change: Array) -> Array:
    return probabilities * (change - total(probabilities * change, axis=-2, keepdims=True))


def _sigmoid_curvature(probabilities: Array, change: Array) -> Array:
    return probabilities * (1.0 - probabilities) * change


def _squared_error_curvature(outputs: Array, change: Array) -> Array:
    return change


@cache
def _cross_entropy(outputs: int, elementary: Functions) -> Loss:
    # With softmax or sigmoid outputs and the cross-entropy the derivative of the activation cancels: what is left is
    # probability - target (Bishop 2006, section 5.3.2; theory: X^T (s - y)).
    value, probability = (_sigmoid_cross_entropy, _sigmoid) if outputs == 1 else (_softmax_cross_entropy, softmax)
    return Loss(
        value=partial(value, elementary),
        delta=_probability_minus_target(partial(probability, elementary)),
        predicted=partial(_predicted, threshold=0.0),
        curvature=_sigmoid_curvature if outputs == 1 else _softmax_curvature,
    )


@cache
def _half_squared_error(outputs: int, elementary: Functions) -> Loss:
    return Loss(
        value=_squared_error,
        delta=np.subtract,
        predicted=partial(_predicted, threshold=0.5),
        curvature=_squared_error_curvature,
    )


def loss_name(chosen: str | None, classes: int) -> str:
    """The key of the loss in ``LOSSES``: the chosen one, else that of maximum likelihood for classes or quantities."""
    return chosen or ("cross_entropy" if classes else "squared_error")


LOSSES: dict[str, Callable[[int, Functions], Loss]] = {
    "cross_entropy": _cross_entropy,
    "squared_error": _half_squared_error,
}

LabelNoise = Callable[[Array, Sequence[Draws]], Array]
"""(targets, a stream for each run) -> noisy targets (R, k, n), drawn anew in each step; what is measured knows none."""


def label_noise(loss: str, amount: float) -> LabelNoise | None:
    """The label noise that fits a loss; None where there is none.

    Args:
        loss: with ``squared_error`` every target gets normal noise; else a label may be replaced by another one.
        amount: the noise's standard deviation, or the probability that a label is replaced.
    """
    if not amount:
        return None
    return partial(with_normal_noise if loss == "squared_error" else with_replaced_labels, amount)


def with_normal_noise(deviation: float, targets: Array, streams: Sequence[Draws]) -> Array:
    """Every target plus independent normal noise of this standard deviation."""
    noise = deviation * normal_quantile(_uniform(streams, targets.shape[-2:]))
    return np.asarray(targets + noise.astype(targets.dtype))


def with_replaced_labels(probability: float, targets: Array, streams: Sequence[Draws]) -> Array:
    """Each label, with this probability, replaced by one of all classes alike, which may be the same again."""
    outputs, examples = targets.shape[-2:]
    classes = max(outputs, 2)
    uniform = _uniform(streams, (1, examples))
    # Below the probability a uniform number is uniform again; the division may round up to 1.
    drawn = np.minimum(np.floor(uniform / probability * classes), classes - 1)
    replaced = drawn if outputs == 1 else drawn == np.arange(classes)[:, None]
    return np.where(uniform < probability, replaced, targets).astype(targets.dtype)


def _uniform(streams: Sequence[Draws], shape: tuple[int, ...]) -> Array:
    return np.stack([stream.uniform(shape) for stream in streams])
