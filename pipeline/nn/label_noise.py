"""Label noise: the targets of a step's examples, disturbed anew in every step from each run's own draws.

What is measured, the reference optimum included, knows the true labels only.
"""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from pipeline.numerics.draws import Draws, normal_quantile
from pipeline.numerics.workspace import Array

LabelNoise = Callable[[Array, Sequence[Draws]], Array]
"""(targets, a stream for each run) -> noisy targets (R, k, n); targets (k, n) or (R, k, n)."""


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
