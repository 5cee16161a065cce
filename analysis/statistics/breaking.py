"""Breaking time: the step at which the mean distance between hidden units reaches a threshold.

Where it is measured, the distance modulo sign counts: units that mirror each other are worth one, if g is odd.
"""

import numpy as np
import pandas as pd

from analysis.tracked.tables import Tables
from pipeline import names

APART = 0.1
"""A mean distance between hidden units at which they have become different."""


def breaking_steps(tables: Tables) -> pd.Series:
    """Run id -> the step at which the mean distance between its hidden units reaches ``APART``; inf: it never does.

    Between measured steps the logarithm of the distance is taken as a line, as it is where the distance grows
    exponentially. After a distance of exactly 0 that is no line, and the measured step counts.
    """
    curves = tables.curves[tables.curves["metric"].isin([names.DISTANCE, names.DISTANCE_MODULO_SIGN])]
    modulo_sign = curves[curves["metric"] == names.DISTANCE_MODULO_SIGN]
    others = curves[~curves["run_id"].isin(modulo_sign["run_id"])]
    curves = pd.concat([others, modulo_sign]).sort_values(["run_id", "step"])
    found = {
        str(run_id): _breaking_step(curve["step"].to_numpy(float), curve["value"].to_numpy(float))
        for run_id, curve in curves.groupby("run_id")
    }
    return pd.Series(found, dtype=float)


def _breaking_step(steps: np.ndarray, distances: np.ndarray) -> float:
    reached = np.flatnonzero(distances >= APART)
    if not len(reached):
        return np.inf
    after = int(reached[0])
    if after == 0 or distances[after - 1] == 0.0:
        return float(steps[after])
    below, above = np.log(distances[after - 1 : after + 1])
    share = (np.log(APART) - below) / (above - below)
    return float(steps[after - 1] + share * (steps[after] - steps[after - 1]))
