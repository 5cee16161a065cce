"""Pairs of runs that differ in nothing but their initialisation, for figure 9."""

from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from analysis.figures.kit.words import final_metric, own_and_shared, param_texts, start_labels, usable
from analysis.statistics.intervals import means_with_intervals
from pipeline import names

COLUMNS = [
    "model",
    "learning_rate",
    "init",
    "against",
    "metric",
    "mean",
    "low",
    "high",
    "win_rate",
    "pairs",
    "diverged",
    "missing",
]


def paired_table(runs: pd.DataFrame) -> pd.DataFrame:
    """One row per model, learning rate and pair of initialisations (with their numbers, where these vary).

    Two runs are a pair if all their params agree but those of the initialisation. A diverged run loses to every run
    that did not diverge, two diverged runs tie, and such pairs enter no mean.

    Returns:
        Columns ``model``, ``learning_rate``, ``init``, ``against``, ``metric``, ``mean`` (final loss of ``init`` minus
        that of ``against``), ``low``, ``high`` (95 % t interval over pairs), ``win_rate`` (share of pairs in
        which ``init`` ends lower; ties count half), ``pairs``, ``diverged`` (of them, with a diverged run),
        ``missing`` (runs of either without a partner: never trained, or failed).
    """
    metric = final_metric(runs, "loss")
    if metric is None:
        return pd.DataFrame(columns=COLUMNS)
    texts = param_texts(runs)
    _, shared = own_and_shared(texts)
    frame = runs[["model"]].assign(
        learning_rate=runs[names.RATE],
        setting=texts.groupby(shared, sort=True).ngroup(),
        start=start_labels(texts),
        loss=runs[metric].astype(float).where(usable(runs, metric), np.inf),
    )
    parts = []
    place: Any
    for place, runs_there in frame.groupby(["model", "learning_rate"], sort=True):
        losses = runs_there.pivot(index="setting", columns="start", values="loss").sort_index(axis=1)
        parts.append(_compared(losses).assign(model=str(place[0]), learning_rate=place[1], metric=metric))
    return pd.concat(parts, ignore_index=True)[COLUMNS]


def _compared(losses: pd.DataFrame) -> pd.DataFrame:
    """All pairs of the columns of a frame (settings, starts) of final losses: NaN where no run, inf where diverged."""
    values = losses.to_numpy(float)
    rows, samples = [], []
    for against, init in combinations(range(values.shape[1]), 2):
        there = ~np.isnan(values[:, [init, against]])
        one, other = values[there.all(axis=1)][:, [init, against]].T
        finite = np.isfinite(one) & np.isfinite(other)
        samples.append(one[finite] - other[finite])
        rows.append(
            {
                "init": str(losses.columns[init]),
                "against": str(losses.columns[against]),
                "win_rate": float(((one < other) + 0.5 * (one == other)).mean()) if len(one) else np.nan,
                "pairs": len(one),
                "diverged": len(one) - int(finite.sum()),
                "missing": int((there.sum(axis=1) == 1).sum()),
            }
        )
    table = pd.DataFrame(
        rows, columns=[column for column in COLUMNS if column not in ("model", "learning_rate", "metric")]
    )
    table[["mean", "low", "high"]] = means_with_intervals(samples)
    return table
