"""Tables of the question ``saddle``: modes beside their exact curves, and how long a small start rests."""

from typing import Any

import numpy as np
import pandas as pd

from analysis.figures.words import RATE
from analysis.tables import Tables
from pipeline import names

STARTS = {"diagonal": "aligned start", "normal": "random start"}
ESCAPED = 0.95
"""A run has left its plateau when its training loss is below this share of its first one."""


def exact_strength(time: np.ndarray, singular_value: float, start: float) -> np.ndarray:
    """Strength of a mode over time, a(t) = s e^(2 s t) / (e^(2 s t) - 1 + s / a(0)) (Saxe et al. 2014, equation 8).

    Args:
        time: learning rate times steps.
        singular_value: s, of the correlation between white inputs and targets.
        start: a(0).
    """
    growth = np.exp(2.0 * singular_value * time)
    return np.asarray(singular_value * growth / (growth - 1.0 + singular_value / start))


def balanced_starts(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The a(0) of every mode with which small weights join the exact curve.

    As long as weights are small, the incoming weights p of mode i and its outgoing ones q follow p' = s q, q' = s p:
    their half sum grows like e^(s t) and their difference dies, so the mode becomes |p + q|^2 / 4 times e^(2 s t). In
    ``data=whitened`` mode i is feature i and class i.

    Args:
        first: (features, units).
        second: (units, classes).
    """
    modes = min(len(first), second.shape[1])
    return np.asarray(((first[:modes] + second.T[:modes]) ** 2).sum(axis=1) / 4.0)


def modes_of(tables: Tables) -> pd.DataFrame:
    """Measured and exact strengths of two-layer linear networks, one row per run, mode and step.

    Columns: ``run_id``, ``start``, ``scale``, ``seed``, ``mode``, ``singular_value``, ``time``, ``measured`` and
    ``exact``.
    """
    runs = tables.runs
    chosen = runs["init"].isin(STARTS) & (runs["model.activation"] == "identity") & (runs["data"] == "whitened")
    chosen &= (runs["model.hidden_units"].map(len) == 1) & ~runs["diverged"]
    parts = []
    run: Any
    for run in runs[chosen].sort_values(["init", "seed", "run_id"]).to_dict("records"):
        weights = tables.weights(run["run_id"])
        starts = balanced_starts(weights["initial_weights1"], weights["initial_weights2"])
        values = np.sort(np.array(run["data.correlations"]) / np.sqrt(run["data.classes"]))[::-1]
        order = np.argsort(run["data.correlations"])[::-1]
        curves = tables.curves[tables.curves["run_id"] == run["run_id"]]
        for mode, (value, start) in enumerate(zip(values, starts[order], strict=True), start=1):
            curve = curves[curves["metric"] == names.mode_strength(mode)].sort_values("step")
            time = run[RATE] * curve["step"].to_numpy(float)
            parts.append(pd.DataFrame({
                "run_id": run["run_id"], "start": STARTS[run["init"]], "scale": run["init.scale"], "seed": run["seed"],
                "mode": mode, "singular_value": value, "time": time, "measured": curve["value"].to_numpy(),
                "exact": exact_strength(time, value, start),
            }))  # fmt: skip
    columns = ["run_id", "start", "scale", "seed", "mode", "singular_value", "time", "measured", "exact"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def escapes_of(tables: Tables) -> pd.DataFrame:
    """One row per deep run with small layers that left its plateau while it was trained.

    Columns: ``run_id``, ``activation``, ``small`` (layers), ``epsilon``, ``group`` (depth and seed) and ``time``,
    learning rate times steps, interpolated between the measured steps. Groups that lack an epsilon are left out.
    """
    runs = tables.runs[tables.runs["init"] == "small_layers"]
    losses = tables.curves[(tables.curves["metric"] == names.LOSS_TRAIN) & tables.curves["run_id"].isin(runs["run_id"])]
    steps = {str(run_id): _escape(curve.sort_values("step")) for run_id, curve in losses.groupby("run_id")}
    rows = [
        (run["run_id"], run["model.activation"], int(run["init.small"]), run["init.epsilon"],
         f"{len(run['model.hidden_units'])}, {run['seed']}", run[RATE] * steps.get(run["run_id"], np.nan))
        for run in runs.to_dict("records")
    ]  # fmt: skip
    data = pd.DataFrame(rows, columns=["run_id", "activation", "small", "epsilon", "group", "time"]).dropna()
    law = ["activation", "small"]
    most = data.groupby(law)["epsilon"].transform("nunique")
    complete = data.groupby([*law, "group"])["epsilon"].transform("nunique") == most
    return data[complete].sort_values([*law, "group", "epsilon"], ignore_index=True)


def _escape(curve: pd.DataFrame) -> float:
    """The step at which the loss falls below its threshold, on the line between two measurements; NaN for never."""
    step, loss = curve["step"].to_numpy(float), curve["value"].to_numpy(float)
    below = np.flatnonzero(loss < ESCAPED * loss[0])
    if not len(below):
        return np.nan
    after = int(below[0])
    share = (loss[after - 1] - ESCAPED * loss[0]) / (loss[after - 1] - loss[after])
    return float(step[after - 1] + share * (step[after] - step[after - 1]))


def costs_of_smallness(escapes: pd.DataFrame) -> pd.DataFrame:
    """What a smaller epsilon adds to the escape time, d time / d ln(1 / epsilon): between each two neighbouring ones.

    By the law it goes like epsilon^-(r-2), for r = 2 too, where it is constant; the time's own constant drops out.
    Columns: ``group``, ``epsilon`` (geometric mean of both) and ``cost``.
    """
    rows = []
    for group, points in escapes.sort_values("epsilon").groupby("group"):
        epsilon, time = points["epsilon"].to_numpy(), points["time"].to_numpy()
        costs = -np.diff(time) / np.diff(np.log(epsilon))
        rows += list(zip([group] * len(costs), np.sqrt(epsilon[1:] * epsilon[:-1]), costs, strict=True))
    return pd.DataFrame(rows, columns=["group", "epsilon", "cost"])
