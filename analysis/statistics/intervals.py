"""Means over seeds with bootstrap confidence intervals."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import bootstrap, rankdata

CONFIDENCE = 0.95
RESAMPLES = 2000
MOST_RESAMPLED = 4_000_000
"""How many resampled numbers are held at once; 32 MB."""


def mean_with_interval(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean, and the ends of its 95 % percentile bootstrap interval (Efron and Tibshirani 1993, chapter 13).

    The resamples are the same in every call, so figures are reproducible. A single run has no interval: both ends
    are then the mean.

    Args:
        values: (runs, points).

    Returns:
        Three arrays (points,).
    """
    mean = values.mean(axis=0)
    if len(values) == 1:
        return mean, mean, mean
    # SciPy also computes the standard error, whose squares overflow for the last values of runs that diverge.
    with np.errstate(over="ignore", invalid="ignore"):
        return mean, *_bootstrapped((values,), np.mean, axis=0)


def _bootstrapped(samples: Sequence[np.ndarray], statistic: Callable[..., Any], **options: Any) -> tuple[Any, Any]:
    """The ends of the percentile interval of a statistic; the resamples are the same in every call."""
    fixed = {"n_resamples": RESAMPLES, "confidence_level": CONFIDENCE, "method": "percentile"}
    interval = bootstrap(samples, statistic, rng=np.random.default_rng(0), **fixed, **options).confidence_interval
    return interval.low, interval.high


def sample_mean(values: ArrayLike) -> tuple[float, float, float]:
    """Mean of one sample, and the ends of its interval, as in ``mean_with_interval``.

    >>> sample_mean([2.0])
    (2.0, 2.0, 2.0)
    """
    mean, low, high = mean_with_interval(np.asarray(values, float)[:, None])
    return float(mean[0]), float(low[0]), float(high[0])


def aggregated(data: pd.DataFrame, value: str, by: Sequence[str]) -> pd.DataFrame:
    """Mean and interval of ``value`` over the runs of each group, at each step.

    A diverged run has no finite value after its divergence; the mean is then over the runs that are left.

    Args:
        data: columns ``run_id``, ``step``, ``value`` and those in ``by``.

    Returns:
        One row per group and step, with columns ``value``, ``low``, ``high`` and ``runs``.
    """
    parts = []
    group: Any
    for group, rows in data[np.isfinite(data[value])].groupby(list(by), sort=True, observed=True):
        matrix = rows.pivot(index="run_id", columns="step", values=value)
        # Steps at which the same runs are left share one call; without divergence that is all of them.
        for present, steps in matrix.T.groupby(matrix.notna().T.apply(tuple, axis=1)):
            mean, low, high = mean_with_interval(steps.T.to_numpy()[list(present)])
            part = pd.DataFrame({"step": steps.index, value: mean, "low": low, "high": high, "runs": sum(present)})
            for column, key in zip(by, group, strict=True):
                part[column] = key
            parts.append(part)
    # A constant column has lost its type, and with it the order of its categories.
    table = pd.concat(parts, ignore_index=True).astype({column: data[column].dtype for column in by})
    return table.sort_values([*by, "step"], ignore_index=True)


def means_with_intervals(samples: Sequence[np.ndarray]) -> np.ndarray:
    """Mean and interval of each of many samples, as in ``mean_with_interval``; NaN for an empty sample.

    Samples of one size share a call, because a call costs a millisecond however small its sample. Each is sorted
    first, so the order in which runs were read changes nothing.

    Args:
        samples: one-dimensional, of any sizes.

    Returns:
        (samples, 3): mean, low, high.
    """
    result = np.full((len(samples), 3), np.nan)
    sizes = np.array([len(sample) for sample in samples], dtype=int)
    for size in np.unique(sizes[sizes > 0]):
        of_size = np.flatnonzero(sizes == size)
        together = max(1, MOST_RESAMPLED // (RESAMPLES * int(size)))
        for start in range(0, len(of_size), together):
            chosen = of_size[start : start + together]
            matrix = np.stack([np.sort(samples[index]) for index in chosen], axis=1)
            result[chosen] = np.stack(mean_with_interval(matrix), axis=1)
    return result


def rank_correlation(one: np.ndarray, other: np.ndarray) -> tuple[float, float, float]:
    """Spearman's rank correlation, and the ends of its 95 % percentile bootstrap interval over the pairs.

    Tied values share their mean rank. A resample in which one side does not vary shows no association and counts
    as 0.

    Args:
        one: (pairs,).
        other: (pairs,).

    Returns:
        Correlation, low, high; NaN for fewer than three pairs, or where one side does not vary at all.
    """
    if len(one) < 3 or np.ptp(one) == 0.0 or np.ptp(other) == 0.0:
        return np.nan, np.nan, np.nan
    order = np.lexsort((other, one))
    sample = one[order], other[order]
    batch = max(1, MOST_RESAMPLED // (4 * len(one)))
    low, high = _bootstrapped(sample, _spearman, paired=True, vectorized=True, batch=batch)
    return float(_spearman(*sample)), float(low), float(high)


def _spearman(one: np.ndarray, other: np.ndarray, axis: int = -1) -> np.ndarray:
    """Pearson's correlation of the ranks along an axis."""
    first, second = (rankdata(values, axis=axis) for values in (one, other))
    first, second = (ranks - ranks.mean(axis=axis, keepdims=True) for ranks in (first, second))
    norm = np.sqrt((first**2).sum(axis=axis) * (second**2).sum(axis=axis))
    product = (first * second).sum(axis=axis)
    return np.divide(product, norm, out=np.zeros_like(product), where=norm > 0.0)
