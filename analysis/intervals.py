"""Means over seeds with bootstrap confidence intervals."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import bootstrap

CONFIDENCE = 0.95
RESAMPLES = 2000


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
    interval = bootstrap(
        (values,),
        np.mean,
        axis=0,
        n_resamples=RESAMPLES,
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return mean, interval.low, interval.high


def aggregated(data: pd.DataFrame, value: str, by: Sequence[str]) -> pd.DataFrame:
    """Mean and interval of ``value`` over the runs of each group, at each step.

    A diverged run has no value after its divergence; the mean is then over the runs that are left.

    Args:
        data: columns ``run_id``, ``step``, ``value`` and those in ``by``.

    Returns:
        One row per group and step, with columns ``value``, ``low``, ``high`` and ``runs``.
    """
    parts = []
    group: Any
    for group, rows in data.groupby(list(by), sort=True):
        matrix = rows.pivot(index="run_id", columns="step", values=value)
        # Steps at which the same runs are left share one call; without divergence that is all of them.
        for present, steps in matrix.T.groupby(matrix.notna().T.apply(tuple, axis=1)):
            mean, low, high = mean_with_interval(steps.T.to_numpy()[list(present)])
            part = pd.DataFrame({"step": steps.index, value: mean, "low": low, "high": high, "runs": sum(present)})
            for column, key in zip(by, group, strict=True):
                part[column] = key
            parts.append(part)
    return pd.concat(parts, ignore_index=True).sort_values([*by, "step"], ignore_index=True)
