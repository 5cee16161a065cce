"""Thresholds of the question ``collapse``: the noise at which units begin to vanish, to merge or to part."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.questions.collapse.tables import ACTIVATION, EXAMPLES, L2, pair_rate, unit_rates
from analysis.theory import noisy_labels
from analysis.theory.noisy_labels import Batches
from pipeline import names


def thresholds(runs: pd.DataFrame, by: Sequence[str], exact: Callable[[dict[str, Any]], float]) -> pd.DataFrame:
    """Where rates change their sign as the noise grows, one row per group and seed.

    Between the two noises around the sign change of the predicted rates, both predicted and measured rates are taken as
    lines of the variance. ``value`` are jackknife pseudovalues of the measured threshold over the predicted one (their
    mean and t interval are those of the jackknife; Tukey 1958), ``exact`` the threshold without that interpolation.

    Args:
        runs: with ``growth``, ``predicted`` and ``variance``.
        by: the columns of which each combination has a threshold.
        exact: from the values of these columns, with ``low`` and ``high`` variance, to the threshold.
    """
    parts = []
    for case, alike in runs[runs["growth"].notna()].groupby(list(by)):
        predicted = alike.groupby("variance")["predicted"].mean()
        # What was trained by chance from fewer seeds at one noise has no place in a jackknife over seeds.
        table = alike.pivot_table(index="seed", columns="variance", values="growth").dropna()
        changes = np.flatnonzero(np.diff(np.sign(predicted.to_numpy())))
        if not len(changes) or len(table) < 2:
            continue
        bracket = predicted.index[changes[0] : changes[0] + 2]
        expected = _crossing(bracket.to_numpy(), predicted[bracket].to_numpy())
        rates = table[bracket].to_numpy()
        whole = _crossing(bracket.to_numpy(), rates.mean(axis=0))
        without = [
            _crossing(bracket.to_numpy(), np.delete(rates, seed, axis=0).mean(axis=0)) for seed in range(len(rates))
        ]
        values = (len(rates) * whole - (len(rates) - 1) * np.array(without)) / expected
        facts = dict(zip(by, case, strict=True))
        found = exact(facts | {"low": bracket[0], "high": bracket[1]})
        ids = alike.drop_duplicates("seed").set_index("seed")["run_id"]
        parts.append(pd.DataFrame({**facts, "value": values, "exact": found, "run_id": ids[table.index].to_numpy()}))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=[*by, "value", "exact", "run_id"])


def _crossing(x: np.ndarray, y: np.ndarray) -> float:
    """Where the line through two points is 0."""
    return float(x[0] - y[0] * (x[1] - x[0]) / (y[1] - y[0]))


def unit_thresholds(runs: pd.DataFrame) -> pd.DataFrame:
    """The ``thresholds`` of ``growing_units``, by learning rate and batch size."""

    def exact(case: dict[str, Any]) -> float:
        examples, ones, batch = case[EXAMPLES], case["ones"], case["batch"]
        least = Batches.of(examples, ones, batch).variance(0.0)

        def rate_at(variance: float) -> float:
            noise = np.sqrt(max(variance - least, 0.0) * batch)
            return unit_rates(examples, ones, batch, case[names.RATE], float(noise))[0]

        return noisy_labels.threshold(rate_at, case["low"], case["high"])

    return thresholds(runs, [EXAMPLES, "ones", "batch", names.RATE], exact)


def pair_thresholds(runs: pd.DataFrame) -> pd.DataFrame:
    """The ``thresholds`` of those of the ``pairs`` that have a penalty, by activation and learning rate."""

    def exact(case: dict[str, Any]) -> float:
        def rate_at(variance: float) -> float:
            return pair_rate(case[ACTIVATION], case["mean"], case[names.RATE], variance, case[L2])

        return noisy_labels.threshold(rate_at, case["low"], case["high"])

    runs = runs[(runs[L2] > 0.0) & (runs[ACTIVATION] != "identity")]
    return thresholds(runs, [ACTIVATION, names.RATE, L2, "mean"], exact)
