"""Summarise a sweep: means over seeds with confidence intervals, as a table for terminals and the MLflow UI."""

import math
from collections.abc import Sequence
from textwrap import fill
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from pipeline import names
from pipeline.system.text_table import GAP, narrowed, rows_of, total_width
from pipeline.tracking.sweeps import FinishedRun

CONFIDENCE = 0.95
SEED = "seed"
COLUMNS = {
    names.LOSS_TEST: "loss/test",
    names.DISTANCE: "distance",
    names.ACCURACY_TEST: "accuracy/test",
    names.R2: "R squared",
    names.RMSE: "rmse",
    names.DISTINCT_UNITS: "distinct units",
    names.OPTIMUM_GAP: "gap to optimum",
    names.LOSS_TRAIN: "loss/train",
}
"""Metric -> header, the most telling one first: a narrow terminal shows what it has room for."""
NARROW = 80
"""Columns that every terminal has; so wide is the table in MLflow."""
MOST_GROUPS = 40


class Mean(NamedTuple):
    """A mean over seeds.

    Attributes:
        value: the mean.
        half: half the width of its 95 % confidence interval (Student's t); NaN for a single run, which has none.
        runs: over how many.
    """

    value: float
    half: float
    runs: int

    def __str__(self) -> str:
        """As many digits as a table has room for.

        >>> print(Mean(1.6512, 0.2834, 5), Mean(0.0, 0.0, 5), Mean(1.44, math.nan, 1), sep=", ")
        1.65 ± 0.28, 0 ± 0, 1.44
        """
        if self.runs == 0:
            return "-"
        return f"{self.value:.3g}" if math.isnan(self.half) else f"{self.value:.3g} ± {self.half:.2g}"


def mean_of(values: Sequence[float]) -> Mean:
    """The mean of a few runs; a bootstrap of five would give too narrow an interval."""
    if not len(values):
        return Mean(math.nan, math.nan, 0)
    with np.errstate(over="ignore", invalid="ignore"):  # The last numbers before a divergence can be of any size.
        mean = float(np.mean(values))
        if len(values) == 1:
            return Mean(mean, math.nan, 1)
        if min(values) == max(values):  # The rounding of their mean is no spread.
            return Mean(values[0], 0.0, len(values))
        quantile = float(stdtrit(len(values) - 1, (1 + CONFIDENCE) / 2))
        return Mean(mean, quantile * float(np.std(values, ddof=1)) / math.sqrt(len(values)), len(values))


class Group(NamedTuple):
    """The runs of a sweep that differ in nothing but the seed and the learning rate.

    Attributes:
        labels: their values of what tells the groups apart, as texts.
        rate: the learning rate with the fewest diverged runs, and of those the one with the lowest mean loss.
        runs: how many there are, at all rates.
        diverged: how many of those diverged.
        means: metric -> mean at that rate, over the runs that did not diverge.
    """

    labels: tuple[str, ...]
    rate: str
    runs: int
    diverged: int
    means: dict[str, Mean]


class Findings:
    """What a sweep found.

    Args:
        runs: the finished runs of its jobs.
        swept_keys: keys whose values differ between the jobs; those that are not tracked are left out.
        failed: how many jobs have no finished run.
    """

    def __init__(self, runs: Sequence[FinishedRun], swept_keys: Sequence[str], failed: int) -> None:
        self._runs = pd.DataFrame([_row(run) for run in runs])
        self._failed = failed
        tracked = [key for key in swept_keys if key in self._runs]
        self._keys = [key for key in tracked if key not in (SEED, names.RATE)] or ["model", "init"]
        self._is_rate_swept = names.RATE in tracked
        self._loss = names.final_loss(self._runs)
        self._groups = [] if self._runs.empty else self._best_first()

    def _best_first(self) -> list[Group]:
        labelled = self._runs.fillna(dict.fromkeys(self._keys, "-")).groupby(self._keys, sort=False)
        groups = [self._group(tuple(map(str, labels)), rows) for labels, rows in labelled]
        return sorted(groups, key=lambda group: self._rank(group.means))

    def _group(self, labels: tuple[str, ...], rows: pd.DataFrame) -> Group:
        def means(at_rate: pd.DataFrame) -> dict[str, Mean]:
            whole = at_rate[~at_rate["diverged"]]
            return {key: mean_of(whole[key].dropna().tolist()) for key in COLUMNS if key in whole}

        rates = {str(rate): (at_rate["diverged"].mean(), means(at_rate)) for rate, at_rate in rows.groupby(names.RATE)}
        best = min(rates, key=lambda rate: (rates[rate][0], self._rank(rates[rate][1]), float(rate)))
        return Group(labels, best, len(rows), int(rows["diverged"].sum()), rates[best][1])

    def _rank(self, means: dict[str, Mean]) -> float:
        loss = means[self._loss].value if self._loss in means else math.nan
        return math.inf if math.isnan(loss) else loss  # NaN compares with nothing.

    @property
    def counts(self) -> dict[str, int]:
        """How the jobs ended: finished (diverged ones too), diverged, failed."""
        diverged = 0 if self._runs.empty else int(self._runs["diverged"].sum())
        return {"finished": len(self._runs), "diverged": diverged, "failed": self._failed}

    def metrics(self) -> dict[str, float]:
        """What the parent run is to show as numbers: metric -> value."""
        found = {f"sweep/{key}": float(count) for key, count in self.counts.items()}
        if self._groups and math.isfinite(loss := self._rank(self._groups[0].means)):
            found[f"sweep/lowest_mean/{self._loss}"] = loss
        return found

    def conclusion(self) -> str:
        """What came out, in two or three sentences: symmetry at the end, and the best group of each model."""
        if not self._groups:
            return "No run finished."
        sentences = []
        if names.DISTANCE in self._runs:
            networks = self._runs.dropna(subset=[names.DISTANCE])
            symmetric = networks[networks[names.DISTANCE] == 0.0]
            starts = ", ".join(dict.fromkeys(symmetric["init"])) or "none"
            sentences.append(
                f"The hidden units end exactly equal in {len(symmetric)} of {len(networks)} network runs"
                f" (from {starts})."
            )
        place = self._keys.index("model") if "model" in self._keys else None
        best: dict[str, Group] = {}
        for group in self._groups:
            best.setdefault("" if place is None else group.labels[place], group)
        sentences.append(f"Lowest mean {self._loss}: {'; '.join(map(self._in_words, best.values()))}.")
        if self.counts["diverged"] or self._failed:
            sentences.append(f"{self.counts['diverged']} runs diverged, {self._failed} failed.")
        return " ".join(sentences)

    def _in_words(self, group: Group) -> str:
        loss = group.means.get(self._loss, mean_of([]))
        runs = f"{loss.runs} run{'' if loss.runs == 1 else 's'}"
        return f"{' '.join(group.labels)} {loss} ({runs} at learning rate {group.rate})"

    def summary(self, width: int = NARROW) -> str:
        """The counts and the table."""
        counts = self.counts
        jobs = counts["finished"] + counts["failed"]
        return (
            f"{jobs} jobs: {counts['finished']} finished ({counts['diverged']} diverged), {counts['failed']} failed\n"
            + (f"\n{self.table(width)}\n" if self._groups else "")
        )

    def table(self, width: int = NARROW) -> str:
        """One row for each group, with as many metrics as fit into ``width`` columns; of many groups the best ones."""
        if not self._groups:
            return "No run finished."
        shown = sorted(self._groups[:MOST_GROUPS], key=lambda group: [*map(_order, group.labels)])
        numbers = [("runs", *(str(group.means[self._loss].runs) for group in shown))]
        if self._is_rate_swept:
            numbers.insert(0, ("rate", *(group.rate for group in shown)))
        if self.counts["diverged"]:
            numbers.append(("diverged", *(f"{group.diverged} of {group.runs}" for group in shown)))
        metrics = [
            (header, *(str(group.means.get(key, NOTHING)) for group in shown))
            for key, header in COLUMNS.items()
            if any(group.means.get(key, NOTHING).runs for group in shown)
        ]
        labels = list(zip(*(group.labels for group in shown), strict=True))
        headed = [(header, *cells) for header, cells in zip(_short(self._keys), labels, strict=True)]
        beside = total_width([*numbers, *metrics[:1]]) + len(GAP)
        fixed = [*narrowed(headed, width - beside), *numbers]
        fitting = len(metrics)
        while fitting > 1 and total_width([*fixed, *metrics[:fitting]]) > width:
            fitting -= 1
        rate = f", at the learning rate with the lowest mean {self._loss}" if self._is_rate_swept else ""
        title = f"Mean of each {', '.join(self._keys)}{rate} (± half of the 95 % t interval over the runs):"
        left_out = [header for header, *_ in metrics[fitting:]]
        notes = [f"A wider terminal also shows {', '.join(left_out)}."] if left_out else []
        if len(self._groups) > len(shown):
            notes.append(f"{len(self._groups) - len(shown)} more groups have higher means.")
        rows = rows_of([*fixed, *metrics[:fitting]], texts=len(headed))
        return "\n".join([fill(title, width), "", *rows, *(["", fill(" ".join(notes), width)] if notes else [])])


NOTHING = mean_of([])


def _row(run: FinishedRun) -> dict[str, object]:
    metrics = {key: names.infinite(value) for key, value in run.metrics.items() if key in COLUMNS}
    return {**run.params, **metrics, "diverged": run.has_diverged}


def best_first(runs: Sequence[FinishedRun]) -> list[FinishedRun]:
    """The finished runs by their final loss, diverged ones last."""
    loss = names.final_loss({key for run in runs for key in run.metrics})

    def rank(run: FinishedRun) -> tuple[bool, float, str]:
        value = run.metrics.get(loss, math.nan)
        # NaN compares with nothing. Equal losses (all seeds of a start from zeros) are ordered by name.
        return run.has_diverged, math.inf if math.isnan(value) else value, run.name

    return sorted(runs, key=rank)


def _order(label: str) -> tuple[float, str]:
    """Numbers by their size, lists by that of their first one, then words."""
    numbers = label.strip("[]")
    try:
        return float(numbers.partition(",")[0]), numbers
    except ValueError:
        return math.inf, label


def _short(keys: Sequence[str]) -> list[str]:
    """The last parts of the keys, where these differ."""
    last = [key.rpartition(".")[2] for key in keys]
    return last if len(set(last)) == len(last) else [*keys]
