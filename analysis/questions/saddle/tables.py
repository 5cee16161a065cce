"""Tables of the question ``saddle``: modes beside their exact curves, and how long a small start rests."""

from typing import Any

import numpy as np
import pandas as pd

from analysis.theory.linear_modes import coupled_strengths, exact_strength, growing_parts, largest_overlap
from analysis.tracked.tables import Tables
from pipeline import names

STARTS = {"diagonal": "aligned start", "normal": "random start"}
MODE_COLUMNS = [
    "run_id", "start", "scale", "seed", "overlap", "mode", "singular_value", "time", "measured", "alone", "together",
]  # fmt: skip
ESCAPED = 0.95
"""A run has left its plateau when its training loss is below this share of its first one."""


def modes_of(tables: Tables) -> pd.DataFrame:
    """Measured and exact strengths of two-layer linear networks, one row per run, mode and step.

    Columns: ``run_id``, ``start``, ``scale``, ``seed``, ``overlap`` (of two modes at the start), ``mode``,
    ``singular_value``, ``time``, ``measured``, ``alone`` (the exact curve of a mode that shares no hidden unit) and
    ``together`` (the exact curve of all modes with the hidden units that they share).
    """
    runs = tables.runs
    chosen = runs["init"].isin(STARTS) & (runs["model.activation"] == "identity") & (runs["data"] == "whitened")
    chosen &= (runs["model.hidden_units"].map(len) == 1) & ~runs["diverged"]
    parts = [
        _modes_of_run(tables, run) for run in runs[chosen].sort_values(["init", "seed", "run_id"]).to_dict("records")
    ]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=MODE_COLUMNS)


def _modes_of_run(tables: Tables, run: dict[Any, Any]) -> pd.DataFrame:
    weights = tables.weights(run["run_id"])
    first, second = weights["initial_weights1"], weights["initial_weights2"]
    values = np.array(run["data.correlations"]) / np.sqrt(run["data.classes"])
    growing = growing_parts(first, second)
    curves = tables.curves[tables.curves["run_id"] == run["run_id"]]
    parts = []
    for mode, place in enumerate(np.argsort(values)[::-1], start=1):
        curve = curves[curves["metric"] == names.mode_strength(mode)].sort_values("step")
        time = run[names.RATE] * curve["step"].to_numpy(float)
        parts.append(pd.DataFrame({
            "mode": mode, "singular_value": values[place], "time": time, "measured": curve["value"].to_numpy(),
            "alone": exact_strength(time, values[place], float((growing[place] ** 2).sum())),
        }))  # fmt: skip
    data = pd.concat(parts, ignore_index=True)
    times = np.unique(data["time"])
    together = pd.DataFrame(coupled_strengths(times, values, first, second), index=times)
    of_run = {"run_id": run["run_id"], "start": STARTS[run["init"]], "scale": run["init.scale"], "seed": run["seed"]}
    return data.assign(
        **of_run,
        overlap=largest_overlap(growing),
        together=[together.loc[time, mode - 1] for time, mode in zip(data["time"], data["mode"], strict=True)],
    )[MODE_COLUMNS]


def escapes_of(tables: Tables) -> pd.DataFrame:
    """One row per deep run with small layers that left its plateau while it was trained, and whose seed all did.

    Columns: ``run_id``, ``activation``, ``small`` (layers), ``epsilon``, ``group`` (depth and seed) and ``time``,
    learning rate times steps, interpolated between the measured steps. Groups that lack an epsilon are left out.
    """
    data = all_escapes(tables).dropna()
    law = ["activation", "small"]
    most = data.groupby(law)["epsilon"].transform("nunique")
    complete = data.groupby([*law, "group"])["epsilon"].transform("nunique") == most
    return data[complete].sort_values([*law, "group", "epsilon"], ignore_index=True)


def all_escapes(tables: Tables) -> pd.DataFrame:
    """As ``escapes_of``, with the runs that never left their plateau (their time is NaN)."""
    runs = tables.runs[tables.runs["init"] == "small_layers"]
    losses = tables.curves[(tables.curves["metric"] == names.LOSS_TRAIN) & tables.curves["run_id"].isin(runs["run_id"])]
    steps = {str(run_id): _escape(curve.sort_values("step")) for run_id, curve in losses.groupby("run_id")}
    rows = [
        (run["run_id"], run["model.activation"], int(run["init.small"]), run["init.epsilon"],
         f"{len(run['model.hidden_units'])}, {run['seed']}", run[names.RATE] * steps.get(run["run_id"], np.nan))
        for run in runs.to_dict("records")
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["run_id", "activation", "small", "epsilon", "group", "time"])


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
