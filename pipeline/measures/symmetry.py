"""Symmetry among the hidden units of a layer: distances, spreads, distinct units. Exact symmetry is 0.0."""

import numpy as np

from pipeline.nn.arithmetic import Array
from pipeline.numerics.sums import mean, total


def pairwise_distances(vectors: Array) -> Array:
    """Euclidean distances between all pairs of units of each run.

    The difference is taken before squaring. The cheaper Gram form |a|^2 + |b|^2 - 2 a.b cancels when units nearly
    coincide: at a true distance of 8e-9 it returns 1.2e-7, and for equal units not exactly 0. Subtraction, square and
    sum are operations of their own, because a compiler that fuses two of them rounds once instead of twice.

    Args:
        vectors: (R, units, d), one vector per unit.

    Returns:
        (R, units * (units - 1) / 2): of the first unit to all after it, of the second to all after it, and so on.

    >>> pairwise_distances(np.array([[[0.0, 0.0], [3.0, 4.0], [3.0, 4.0]]]))  # units 1 and 2, 1 and 3, 2 and 3
    array([[5., 5., 0.]])
    """
    runs, units, _ = vectors.shape
    found, end = np.empty((runs, units * (units - 1) // 2)), 0
    for unit in range(units - 1):
        start, end = end, end + units - 1 - unit
        found[:, start:end] = distances(vectors[:, unit, None], vectors[:, unit + 1 :])
    return found


def distances(left: Array, right: Array) -> Array:
    """Euclidean distances along the last axis; the others are broadcast."""
    difference = np.subtract(left, right, order="C")
    return norms(difference, out=difference)


def norms(vectors: Array, out: Array | None = None) -> Array:
    """Euclidean norms along the last axis; ``out`` may be the vectors and takes their squares."""
    return np.asarray(np.sqrt(total(np.square(vectors, out=out))))


def spread(values: Array) -> Array:
    """Largest difference between two units, maximised over the examples: (R, units, n) -> (R,)."""
    return np.asarray((values.max(axis=1) - values.min(axis=1)).max(axis=1))


def distinct_units(vectors: Array) -> Array:
    """How many different units each run has, compared bit by bit (0.0 equals -0.0); NaN in a run gives NaN.

    Args:
        vectors: (R, units, d), everything that makes up a unit: incoming weights, bias, outgoing weights.

    Returns:
        (R,) float64.
    """
    without_negative_zero = vectors + 0.0
    counts = [float(len({unit.tobytes() for unit in run})) for run in without_negative_zero]
    return np.where(np.isnan(vectors).any(axis=(1, 2)), np.nan, counts)


def layer_measures(incoming: Array, outgoing: Array, biases: Array | None) -> dict[str, Array]:
    """Weight symmetry of one hidden layer, a number per run.

    Args:
        incoming: (R, fan_in, units), column j holds the incoming weights of unit j.
        outgoing: (R, units, fan_out), row j holds the outgoing weights of unit j.
        biases: (R, units), or None.

    Returns:
        ``distance``, ``distance_min``, ``distance_max`` (incoming weights of all pairs of units),
        ``relative_distance`` (mean distance over mean norm; 0 where all weights are 0), ``outgoing_distance``
        (mean over all pairs) and ``distinct_units``. A single unit has no pairs and only the last one.
    """
    vectors = np.ascontiguousarray(incoming.swapaxes(1, 2))
    whole = [vectors, outgoing] if biases is None else [vectors, biases[:, :, None], outgoing]
    measures = {"distinct_units": distinct_units(np.concatenate(whole, axis=2))}
    if vectors.shape[1] == 1:
        return measures
    distances = pairwise_distances(vectors)
    mean_distance = mean(distances)
    norm = mean(norms(vectors))
    return measures | {
        "distance": mean_distance,
        "distance_min": distances.min(axis=1),
        "distance_max": distances.max(axis=1),
        "relative_distance": np.divide(mean_distance, norm, out=np.zeros_like(norm), where=norm != 0.0),
        "outgoing_distance": mean(pairwise_distances(outgoing)),
    }
