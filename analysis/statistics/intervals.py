"""Means over runs with Student's t intervals; rank correlations.

A percentile bootstrap of five runs, often seen, covers the mean of normal data in 84 of 100 cases where it says 95.
Student's interval covers it in 95, whatever the number of runs; the tests repeat both. It assumes that the runs are
independent and that their mean is nearly normal: with five runs of a skewed quantity it covers less (0.88 for the
exponential distribution), so what is a product of many factors is compared by its logarithm or its median.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import bdtr, ndtri, stdtrit

CONFIDENCE = 0.95


def quantile_of_t(degrees: int, intervals: int = 1) -> float:
    """By how many standard errors each end of an interval lies from the mean.

    Args:
        degrees: of freedom.
        intervals: how many are to cover their means together (Bonferroni: each errs so many times more rarely).

    >>> round(quantile_of_t(4), 3), round(quantile_of_t(4, intervals=8), 3)
    (2.776, 5.261)
    """
    return float(stdtrit(degrees, 1.0 - 0.5 * (1.0 - CONFIDENCE) / intervals))


def mean_with_interval(values: np.ndarray, intervals: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean, and the ends of its 95 % t interval (Student 1908).

    A single run has no interval: both ends are then the mean.

    Args:
        values: (runs, points).
        intervals: as in ``quantile_of_t``.

    Returns:
        Three arrays (points,).
    """
    # The last values of runs that diverge may be of any size.
    with np.errstate(over="ignore", invalid="ignore"):
        mean = values.mean(axis=0)
        if len(values) == 1:
            return mean, mean, mean
        half = quantile_of_t(len(values) - 1, intervals) * values.std(axis=0, ddof=1) / np.sqrt(len(values))
        # Equal values have no spread; their deviations from a rounded mean are no noise.
        half = np.where(values.min(axis=0) == values.max(axis=0), 0.0, half)
        return mean, mean - half, mean + half


def sample_mean(values: ArrayLike) -> tuple[float, float, float]:
    """Mean of one sample, and the ends of its interval, as in ``mean_with_interval``.

    >>> sample_mean([2.0])
    (2.0, 2.0, 2.0)
    """
    mean, low, high = mean_with_interval(np.asarray(values, float)[:, None])
    return float(mean[0]), float(low[0]), float(high[0])


def aggregated(data: pd.DataFrame, value: str, by: Sequence[str]) -> pd.DataFrame:
    """Mean and interval of ``value`` over the runs of each group, at each step.

    A diverged run has no finite value after its divergence; the mean is then over the runs that are left. Where no run
    has a value below 0, neither has the interval: losses and distances are drawn on logarithmic axes.

    Args:
        data: columns ``run_id``, ``step``, ``value`` and those in ``by``.

    Returns:
        One row per group and step, with columns ``value``, ``low``, ``high`` and ``runs``.
    """
    groups, parts = [], []
    for group, rows in data[np.isfinite(data[value])].groupby(list(by), sort=True, observed=True):
        run, _ = pd.factorize(rows["run_id"], sort=True)
        steps, place = np.unique(rows["step"], return_inverse=True)
        matrix = np.full((run.max() + 1, len(steps)), np.nan)
        matrix[run, place] = rows[value]
        # Steps at which the same runs are left share one call; without divergence that is all of them.
        for present in np.unique(~np.isnan(matrix), axis=1).T:
            shared = (~np.isnan(matrix) == present[:, None]).all(axis=0)
            means = mean_with_interval(matrix[present][:, shared])
            parts.append(np.stack([steps[shared], *means, np.full(len(means[0]), present.sum())]))
            groups += [group] * len(means[0])
    numbers = dict(zip(["step", value, "low", "high", "runs"], np.concatenate(parts, axis=1), strict=True))
    keys = pd.DataFrame(groups, columns=list(by)).astype({column: data[column].dtype for column in by})
    table = pd.DataFrame(numbers).join(keys).astype({"step": data["step"].dtype, "runs": int})
    if not (data[value] < 0.0).any():
        table["low"] = table["low"].clip(lower=0.0)
    return table.sort_values([*by, "step"], ignore_index=True)


def aggregated_geometrically(data: pd.DataFrame, value: str, by: Sequence[str]) -> pd.DataFrame:
    """Geometric means with the intervals of their logarithms, as ``aggregated``; values of 0 are left out."""
    positive = data[(data[value] > 0.0) & np.isfinite(data[value])]
    largest = positive[value].max()  # Its logarithm becomes 0, and every other one less.
    table = aggregated(positive.assign(**{value: np.log(positive[value] / largest)}), value, by)
    means = [value, "low", "high"]
    return table.assign(**largest * np.exp(table[means]))


def aggregated_by_size(data: pd.DataFrame, value: str, by: Sequence[str]) -> pd.DataFrame:
    """Geometric means of the groups that hold no 0, which may grow by powers of ten, and plain means of the others."""
    data = data[np.isfinite(data[value])]
    least = data.groupby(list(by), observed=True)[value].transform("min")
    parts = [
        means(data[chosen], value, by)
        for means, chosen in ((aggregated, ~(least > 0.0)), (aggregated_geometrically, least > 0.0))
        if chosen.any()
    ]
    return pd.concat(parts).sort_values([*by, "step"], ignore_index=True)


def means_with_intervals(samples: Sequence[np.ndarray], together: bool = False) -> np.ndarray:
    """Mean and interval of each of many samples, as in ``mean_with_interval``; NaN for an empty sample.

    Each sample is sorted first, so the order in which runs were read changes nothing.

    Args:
        samples: one-dimensional, of any sizes.
        together: whether all intervals are to cover their means at once; else each of them in 95 of 100 cases.

    Returns:
        (samples, 3): mean, low, high.
    """
    count = len(samples) if together else 1
    means = [mean_with_interval(np.sort(sample)[:, None], count) for sample in samples if len(sample)]
    result = np.full((len(samples), 3), np.nan)
    result[[len(sample) > 0 for sample in samples]] = np.array(means).reshape(-1, 3)
    return result


def geometric_means(samples: Sequence[np.ndarray]) -> np.ndarray:
    """Geometric means with the intervals of their logarithms, as ``means_with_intervals``; all values are above 0.

    On a logarithmic axis their bars are as long above the mean as below it, and none reaches down to 0.

    >>> geometric_means([np.array([1.0, 100.0])]).round(2).tolist()[0][0]
    10.0
    """
    return np.exp(means_with_intervals([np.log(sample) for sample in samples]))


def median_with_interval(values: np.ndarray) -> tuple[float, float, float]:
    """Median, and the ends of an interval that covers it in 95 of 100 cases or more, whatever the distribution.

    Its ends are order statistics, chosen by the binomial distribution (Thompson 1936). Fewer than six values have no
    such interval: it is then unbounded.

    >>> median_with_interval(np.arange(10.0))
    (4.5, 1.0, 8.0)
    """
    ordered, count = np.sort(np.asarray(values, float)), len(values)
    outside = np.count_nonzero(bdtr(np.arange(count), count, 0.5) <= 0.5 * (1.0 - CONFIDENCE)) - 1
    ends = (ordered[outside], ordered[-1 - outside]) if outside >= 0 else (-np.inf, np.inf)
    return float(np.median(ordered)), float(ends[0]), float(ends[1])


def rank_correlation(one: np.ndarray, other: np.ndarray) -> tuple[float, float, float]:
    """Spearman's rank correlation, and the ends of its 95 % interval over the pairs.

    Fisher's z with the standard error of Bonett and Wright (2000), sqrt((1 + r^2 / 2) / (pairs - 3)). Tied values share
    their mean rank.

    Args:
        one: (pairs,).
        other: (pairs,).

    Returns:
        Correlation, low, high; NaN for fewer than three pairs, or where one side does not vary at all.
    """
    if len(one) < 3 or np.ptp(one) == 0.0 or np.ptp(other) == 0.0:
        return np.nan, np.nan, np.nan
    first, second = (ranks - ranks.mean() for ranks in (pd.Series(side).rank().to_numpy() for side in (one, other)))
    correlation = float((first * second).sum() / np.sqrt((first**2).sum() * (second**2).sum()))
    # A perfect correlation of a sample does not make the true one perfect: it counts as the next one below.
    inner = 1.0 - 12.0 / (len(one) ** 3 - len(one))
    z = np.arctanh(np.clip(correlation, -inner, inner))
    with np.errstate(divide="ignore"):
        half = ndtri(0.5 + 0.5 * CONFIDENCE) * np.sqrt((1.0 + 0.5 * correlation**2) / np.float64(len(one) - 3))
    return correlation, min(correlation, float(np.tanh(z - half))), max(correlation, float(np.tanh(z + half)))
