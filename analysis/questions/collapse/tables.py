"""Tables of the question ``collapse``: how fast one unit and the difference between two grow, beside the theory."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from analysis.statistics.fits import exponential_fit
from analysis.theory import noisy_labels
from analysis.theory.noisy_labels import Batches
from analysis.tracked.tables import Tables
from pipeline import names

NOISE, EXAMPLES, L2, BATCH, UNITS, ACTIVATION = (
    "data.label_noise", "data.examples", "training.l2", "training.batch_size", "model.hidden_units",
    "model.activation",
)  # fmt: skip
TINY = 1e-9
"""A unit that starts smaller is to show its growth near 0."""
LINEAR = 1e-3
"""Below this size the output does not count beside the labels, and a difference between units is small."""
RESOLVED = 1e-12
"""Smaller differences between units are rounding."""
SETTLED = 0.3
"""By this share of the steps two units have learned what there is to learn, and drifted to where noise leaves them."""
FEWEST_POINTS = 5
VANISHED = 1e-3


def networks_of_one_number(tables: Tables) -> pd.DataFrame:
    """Runs that learn one number (``data=coin``, squared error, no biases, gradient descent), diverged ones too.

    The runs' columns, ``noise`` (of the labels), ``batch`` (examples in one), ``ones`` (labels 1 among the examples),
    ``mean`` (of the labels) and ``variance`` (of the gradient by the output where that is 0).
    """
    runs = tables.runs[(tables.runs["data"] == "coin") & (tables.runs["training.loss"] == "squared_error")]
    runs = runs[(runs["optimizer"] == "gd") & ~runs["model.bias"].astype(bool)]
    noise, examples, share = (
        runs.get(key, pd.Series(0.0, runs.index)).astype(float).fillna(0.0) for key in (NOISE, EXAMPLES, "data.share")
    )
    whole = {
        EXAMPLES: examples,
        "batch": runs[BATCH].astype(float).fillna(examples),
        "ones": (examples * share).round(),
    }
    runs = runs.assign(noise=noise, **{key: values.astype(int) for key, values in whole.items()})
    keys = runs[[EXAMPLES, "ones", "batch", "noise"]].itertuples(index=False)
    return _joined(runs, ["mean", "variance"], [_moments(*key) for key in keys])


def _joined(runs: pd.DataFrame, columns: list[str], values: Sequence[Sequence[float]]) -> pd.DataFrame:
    return runs.join(pd.DataFrame(values, runs.index, columns, dtype=float))


@cache
def _moments(examples: int, ones: int, batch: int, noise: float) -> tuple[float, float]:
    return ones / examples, Batches.of(examples, ones, batch).variance(noise)


@cache
def _unit_rates(examples: int, ones: int, batch: int, rate: float, noise: float) -> tuple[float, float]:
    batches = Batches.of(examples, ones, batch)
    return noisy_labels.unit_rate(rate, noise, batches), noisy_labels.diffusion_rate(rate, noise, batches)


pair_rate = cache(noisy_labels.pair_rate)


def single_units(tables: Tables) -> pd.DataFrame:
    """Runs of one identity unit from a constant, with ``predicted`` and ``diffusion``, its growth rates near 0.

    ``scale`` is the root mean square of the learning rate times the gradient by the output, by which one step changes
    the unit there.
    """
    runs = networks_of_one_number(tables)
    runs = runs[runs[UNITS].map(lambda units: units == (1,)) & (runs[ACTIVATION] == "identity")]
    runs = runs[(runs["init"] == "constant") & (runs[L2] == 0.0)]
    keys = runs[[EXAMPLES, "ones", "batch", names.RATE, "noise"]].itertuples(index=False)
    runs = _joined(runs, ["predicted", "diffusion"], [_unit_rates(*key) for key in keys])
    return runs.assign(scale=runs[names.RATE] * np.sqrt(runs["variance"] + runs["mean"] ** 2))


def growing_units(tables: Tables) -> pd.DataFrame:
    """The ``single_units`` from a tiny start, with the growth rate of their norm (NaN where it becomes too large)."""
    runs = single_units(tables)
    runs = runs[runs.get("init.value", pd.Series(np.inf, runs.index)) < TINY]
    curves = tables.values(runs, [names.WEIGHT_NORM]).sort_values("step")
    ends = curves.groupby("run_id").agg(first=("value", "first"), last=("value", "last"), steps=("step", "last"))
    ends = ends[(ends["last"] < LINEAR) & (ends["last"] > 0.0)]
    return runs.assign(growth=runs["run_id"].map(np.log(ends["last"] / ends["first"]) / ends["steps"]).astype(float))


def pairs(tables: Tables) -> pd.DataFrame:
    """Runs of two units from a constant plus a push, in full batches.

    ``growth`` is the rate of their distance once they have settled, while it is small (NaN: too few steps were
    measured then); ``predicted`` that of the theory, and ``without_noise`` what it would be without noise.
    """
    runs = networks_of_one_number(tables)
    runs = runs[runs[UNITS].map(lambda units: units == (2,)) & runs[ACTIVATION].isin(noisy_labels.ACTIVATIONS)]
    runs = runs[(runs["init"] == "perturbed") & runs[BATCH].isna()]
    curves = tables.values(runs, [names.DISTANCE]).sort_values("step")
    growth = {str(run_id): _growth(curve) for run_id, curve in curves.groupby("run_id")}
    keys = [
        (run[ACTIVATION], run["mean"], run[names.RATE], run["variance"], run[L2]) for run in runs.to_dict("records")
    ]
    return runs.assign(
        growth=runs["run_id"].map(growth).astype(float),
        predicted=[pair_rate(*key) for key in keys],
        without_noise=[pair_rate(*key[:3], 0.0, key[4]) for key in keys],
    )


def _growth(curve: pd.DataFrame) -> float:
    outside = ~curve["value"].between(RESOLVED, LINEAR).to_numpy()
    # From where it first leaves the range on, nothing is linear.
    linear = curve.iloc[: int(outside.argmax()) if outside.any() else len(curve)]
    linear = linear[linear["step"] >= SETTLED * linear["step"].max()] if len(linear) else linear
    if len(linear) < FEWEST_POINTS:
        return np.nan
    return exponential_fit(linear["step"].to_numpy(), linear["value"].to_numpy(), np.zeros(len(linear))).slope


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


def unit_thresholds(tables: Tables) -> pd.DataFrame:
    """The ``thresholds`` of one unit, by learning rate and batch size."""

    def exact(case: dict[str, Any]) -> float:
        examples, ones, batch = case[EXAMPLES], case["ones"], case["batch"]
        least = Batches.of(examples, ones, batch).variance(0.0)

        def rate_at(variance: float) -> float:
            noise = np.sqrt(max(variance - least, 0.0) * batch)
            return _unit_rates(examples, ones, batch, case[names.RATE], float(noise))[0]

        return noisy_labels.threshold(rate_at, case["low"], case["high"])

    runs = growing_units(tables)
    return thresholds(runs, [EXAMPLES, "ones", "batch", names.RATE], exact)


def pair_thresholds(tables: Tables) -> pd.DataFrame:
    """The ``thresholds`` of two units with a penalty, by activation and learning rate."""

    def exact(case: dict[str, Any]) -> float:
        def rate_at(variance: float) -> float:
            return noisy_labels.pair_rate(case[ACTIVATION], case["mean"], case[names.RATE], variance, case[L2])

        return noisy_labels.threshold(rate_at, case["low"], case["high"])

    runs = pairs(tables)
    runs = runs[(runs[L2] > 0.0) & (runs[ACTIVATION] != "identity")]
    return thresholds(runs, [ACTIVATION, names.RATE, L2, "mean"], exact)
