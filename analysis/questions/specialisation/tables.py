"""Tables of the question ``specialisation``: overlaps of committees over time beside the equations of many inputs."""

import numpy as np
import pandas as pd

from analysis.theory.committee import generalization_error, trajectories
from analysis.tracked.tables import Tables
from pipeline import names

INPUTS, EPSILON = "data.inputs", "init.epsilon"
APART = 0.5
"""Units have found their own where the spread of their overlaps is this; it is 0 while alike and 1 at the end."""
UNITS = 2
"""Of the student, and of the teacher."""
PLACES = range(1, UNITS + 1)
ONLINE = {"data": "teacher", "data.units": UNITS, "init": "soft_committee", "optimizer": "gd", "training.batch_size": 1,
          "training.l2": 0.0, "optimizer.weight_decay": 0.0, "model.dropout": 0.0}  # fmt: skip
"""What the equations are about."""
OF_RUN = ["run_id", "inputs", "rate", "epsilon", "seed", "ends"]
PATH_COLUMNS = [
    *OF_RUN, "time", "spread", "spread_predicted", "error", "error_predicted", "deviation",
]  # fmt: skip


def paths_of(tables: Tables) -> pd.DataFrame:
    """One row per committee of two units that learned from one of two, and measured step.

    Columns: ``run_id``, ``inputs`` (N), ``rate`` (the learning rate times N), ``epsilon``, ``seed``, ``ends`` (the last
    time), ``time`` (steps / N); ``spread`` (over the teacher's units the mean of the largest overlap of a unit with it
    minus the smallest), ``error`` (of generalisation), both with ``_predicted`` behind it for the equations from the
    run's own start; and ``deviation`` (root of the sum of the mean squares by which Q and R differ from the equations).
    """
    runs = tables.runs
    if not (runs["data"] == "teacher").any() or names.GENERALIZATION_ERROR not in runs:
        return pd.DataFrame(columns=PATH_COLUMNS)
    is_online = pd.Series(True, runs.index)
    for key, value in ONLINE.items():
        is_online &= runs[key] == value
    is_online &= runs["model.hidden_units"].map(tuple) == (UNITS,)
    chosen = runs[is_online & runs[names.GENERALIZATION_ERROR].notna() & ~runs["diverged"]]
    parts = [_of_group(tables, group) for _, group in chosen.groupby([INPUTS, names.RATE, "training.steps"])]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=PATH_COLUMNS)


def _of_group(tables: Tables, runs: pd.DataFrame) -> pd.DataFrame:
    """Runs that were measured at the same times, at one learning rate."""
    inputs = int(runs[INPUTS].iloc[0])
    rate = float(runs[names.RATE].iloc[0]) * inputs
    wide = tables.curves[tables.curves["run_id"].isin(runs["run_id"])].pivot(
        index=["run_id", "step"], columns="metric", values="value"
    )
    ids = list(wide.index.get_level_values("run_id").unique())
    times = wide.loc[ids[0]].index.to_numpy(float) / inputs

    def measured(kind: str) -> np.ndarray:
        pairs = [sorted([f"{names.STUDENT}{row}", f"{kind}{column}"]) for row in PLACES for column in PLACES]
        found = [wide[names.overlap(one, other)] for one, other in pairs]
        return np.stack(found, axis=-1).reshape(len(ids), len(times), UNITS, UNITS)

    student, overlap = measured(names.STUDENT), measured(names.TEACHER)
    expected = trajectories(student[:, 0], overlap[:, 0], rate, times)
    squares = ((student - expected[0]) ** 2).mean((-2, -1)) + ((overlap - expected[1]) ** 2).mean((-2, -1))
    of_run = runs.set_index("run_id").loc[ids]
    return pd.DataFrame({
        "run_id": np.repeat(ids, len(times)), "inputs": inputs, "rate": round(rate, 9),
        "epsilon": of_run[EPSILON].to_numpy(float).repeat(len(times)),
        "seed": of_run["seed"].to_numpy(int).repeat(len(times)),
        "ends": times[-1], "time": np.tile(times, len(ids)),
        "spread": _spread(overlap).ravel(), "spread_predicted": _spread(expected[1]).ravel(),
        "error": wide[names.GENERALIZATION_ERROR].to_numpy(),
        "error_predicted": generalization_error(*expected).ravel(), "deviation": np.sqrt(squares).ravel(),
    })  # fmt: skip


def _spread(overlap: np.ndarray) -> np.ndarray:
    return np.asarray((overlap.max(axis=-2) - overlap.min(axis=-2)).mean(axis=-1))


def deviations_of(paths: pd.DataFrame) -> pd.DataFrame:
    """One row per run of the shortest time span at which several N were trained, its ``deviation`` a mean over time.

    It is the root of the mean square over evenly spaced times. Columns: those of ``paths_of`` that are of a run.
    """
    return pd.DataFrame(
        [
            {**_head(path), "deviation": _mean_over_time(path["time"].to_numpy(), path["deviation"].to_numpy())}
            for _, path in at_several_sizes(paths).groupby("run_id")
        ],
        columns=[*OF_RUN, "deviation"],
    )


def at_several_sizes(paths: pd.DataFrame) -> pd.DataFrame:
    """The paths of one rate and length of which there are several N; of more than one such, of the first."""
    sizes = paths.groupby(["rate", "ends"])["inputs"].nunique()
    if not (sizes > 1).any():
        return paths.iloc[:0]
    rate, ends = sizes.index[int(sizes.to_numpy().argmax())]
    return paths[(paths["rate"] == rate) & (paths["ends"] == ends)]


def _mean_over_time(time: np.ndarray, deviation: np.ndarray) -> float:
    return float(np.sqrt((np.interp(np.linspace(0.0, time[-1], 201), time, deviation) ** 2).mean()))


def _head(path: pd.DataFrame) -> dict[str, object]:
    return {column: path[column].iloc[0] for column in OF_RUN}


def escapes_of(paths: pd.DataFrame) -> pd.DataFrame:
    """One row per run that starts with a difference.

    Columns: ``run_id``, ``inputs``, ``rate``, ``epsilon``, ``seed``, ``ends``; ``time``, at which the spread passes
    ``APART``, and ``predicted``, the same of the equations (NaN where it has not by the end).
    """
    return pd.DataFrame(
        [
            {**_head(path), "time": _passing(path, "spread"), "predicted": _passing(path, "spread_predicted")}
            for _, path in paths[paths["epsilon"] > 0.0].groupby("run_id")
        ],
        columns=[*OF_RUN, "time", "predicted"],
    )


def _passing(path: pd.DataFrame, column: str) -> float:
    """When the spread passes ``APART``, on the line between two measurements; NaN for never."""
    time, spread = path["time"].to_numpy(), path[column].to_numpy()
    above = np.flatnonzero(spread > APART)
    if not len(above) or above[0] == 0:
        return np.nan
    after = int(above[0])
    return float(np.interp(APART, spread[after - 1 : after + 1], time[after - 1 : after + 1]))
