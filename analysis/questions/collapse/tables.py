"""Tables of the question ``collapse``: how fast one unit and the difference between two grow, beside the theory."""

from collections.abc import Sequence
from functools import cache

import numpy as np
import pandas as pd

from analysis.statistics.fits import exponential_fit
from analysis.theory import noisy_labels
from analysis.theory.noisy_labels import Batches
from analysis.tracked.tables import Tables, Weights
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
LARGE = 0.1


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
def unit_rates(examples: int, ones: int, batch: int, rate: float, noise: float) -> tuple[float, float]:
    """The growth rate of one unit near 0, and what the limit of small steps says."""
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
    runs = _joined(runs, ["predicted", "diffusion"], [unit_rates(*key) for key in keys])
    return runs.assign(scale=runs[names.RATE] * np.sqrt(runs["variance"] + runs["mean"] ** 2))


def growing_units(tables: Tables) -> pd.DataFrame:
    """The ``single_units`` from a tiny start, with the growth rate of their norm (NaN where it becomes too large)."""
    runs = single_units(tables)
    runs = runs[runs.get("init.value", pd.Series(np.inf, runs.index)) < TINY]
    curves = tables.values(runs, [names.WEIGHT_NORM]).sort_values("step")
    ends = curves.groupby("run_id").agg(first=("value", "first"), last=("value", "last"), steps=("step", "last"))
    ends = ends[(ends["last"] < LINEAR) & (ends["last"] > 0.0)]
    return runs.assign(growth=runs["run_id"].map(np.log(ends["last"] / ends["first"]) / ends["steps"]).astype(float))


def fates(tables: Tables) -> pd.DataFrame:
    """The ``single_units`` from an ordinary start: whether they have ``vanished``, and were ``to_vanish``.

    ``is_decidable``: the predicted growth of the logarithm is three times its spread, or more, by the last step.
    """
    runs = single_units(tables)
    runs = runs[runs.get("init.value", pd.Series(0.0, runs.index)) >= TINY]
    steps = runs["training.steps"].astype(float)
    return runs.assign(
        vanished=(runs.get(names.WEIGHT_NORM, np.inf) < VANISHED) & ~runs["diverged"],
        to_vanish=runs["predicted"] < 0.0,
        is_decidable=runs["predicted"].abs() * steps > 3.0 * runs["scale"] * np.sqrt(steps),
    )


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


def different_pairs(tables: Tables, runs: pd.DataFrame) -> pd.DataFrame:
    """The ``pairs`` without a penalty that start different, with ``relative_distance`` and ``smaller`` at the end.

    The size of a unit is the norm of its two weights; ``smaller`` is that of the smaller one over that of the larger.
    """
    runs = runs[(runs[L2] == 0.0) & (runs.get("init.epsilon", pd.Series(0.0, runs.index)) > LINEAR) & ~runs["diverged"]]
    sizes = []
    for run_id in runs["run_id"]:
        weights = tables.weights(run_id)
        sizes.append(np.hypot(weights["final_weights1"][0], weights["final_weights2"][:, 0]))
    return runs.assign(
        effective_width=runs.get(names.EFFECTIVE_WIDTH, np.nan),
        relative_distance=runs.get(names.symmetry("relative_distance"), np.nan),
        smaller=[size.min() / size.max() for size in sizes],
    )


def kept_ratios(tables: Tables, runs: pd.DataFrame) -> pd.DataFrame:
    """The ``pairs`` of identity units with noise: how much (u1 - u2) / (u1 + u2), u = a + w, changes, as ``value``."""
    runs = runs[(runs[ACTIVATION] == "identity") & ~runs["diverged"] & (runs["noise"] > 0.0)]
    changes = []
    for run_id in runs["run_id"]:
        weights = tables.weights(run_id)
        sums = [weights[f"{end}_weights1"][0] + weights[f"{end}_weights2"][:, 0] for end in ("initial", "final")]
        before, after = ((one - other) / (one + other) for one, other in sums)
        changes.append(abs(after / before - 1.0))
    return runs.assign(value=changes, step=runs["training.steps"])


def noisy_networks(tables: Tables) -> pd.DataFrame:
    """Networks of one hidden layer with replaced labels, beside their twins without: each column also ``without ...``.

    A twin differs in the noise alone. Columns: the effective width; ``relative_distance``, modulo sign where that is
    measured; ``large_units``, how many are larger than ``LARGE`` times the largest, by all weights of a unit.
    """
    runs = tables.runs[(tables.runs["data"] != "coin") & (tables.runs[UNITS].map(len) == 1) & ~tables.runs["diverged"]]
    measured = (names.EFFECTIVE_WIDTH, names.DISTANCE, names.DISTANCE_MODULO_SIGN, names.symmetry("relative_distance"))
    runs = runs.reindex(columns=[*runs, *(key for key in (NOISE, *measured) if key not in runs)])
    width, distance, modulo_sign, relative = (runs[key] for key in measured)
    runs = runs.assign(
        noise=runs[NOISE].astype(float).fillna(0.0),
        effective_width=width,
        relative_distance=(relative * modulo_sign / distance).fillna(relative),
    )
    key = ["data", UNITS, ACTIVATION, "init", names.RATE, BATCH, L2, "training.steps", "seed"]
    columns = ["run_id", "effective_width", "relative_distance"]
    plain = runs[runs["noise"] == 0.0].drop_duplicates(key)[[*key, *columns]]
    plain = plain.rename(columns={column: f"without {column}" for column in columns})
    both = runs[runs["noise"] > 0.0].merge(plain, on=key)
    for prefix in ("", "without "):
        both[f"{prefix}large_units"] = [_large_units(tables.weights(run_id)) for run_id in both[f"{prefix}run_id"]]
    return both


def _large_units(weights: Weights) -> float:
    parts = [weights["final_weights1"], weights["final_weights2"].T]
    if "final_biases1" in weights:
        parts.append(weights["final_biases1"][None])
    sizes = np.sqrt((np.concatenate(parts) ** 2).sum(axis=0))
    return float((sizes > LARGE * sizes.max()).sum())


def _growth(curve: pd.DataFrame) -> float:
    outside = ~curve["value"].between(RESOLVED, LINEAR).to_numpy()
    # From where it first leaves the range on, nothing is linear.
    linear = curve.iloc[: int(outside.argmax()) if outside.any() else len(curve)]
    linear = linear[linear["step"] >= SETTLED * linear["step"].max()] if len(linear) else linear
    if len(linear) < FEWEST_POINTS:
        return np.nan
    return exponential_fit(linear["step"].to_numpy(), linear["value"].to_numpy(), np.zeros(len(linear))).slope
