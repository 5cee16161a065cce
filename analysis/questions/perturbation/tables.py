"""Tables of the question ``perturbation``: what the distance between pushed units did."""

import numpy as np
import pandas as pd

from analysis.statistics.breaking import breaking_steps
from analysis.statistics.fits import Fit, exponential_fit, line_fit
from analysis.tracked.tables import Tables
from pipeline import names

EPSILON, L2 = "init.epsilon", "training.l2"
SMALLEST = names.stability("smallest_eigenvalue")
RESOLVED = {"blas": 1e-12, "exact": 1e-6}
"""Smaller distances are rounding: near the last bits of the weights, and of the 21 that exact products see."""
LINEAR = 1e-3
"""Below this distance the units' difference is small beside their weights, and grows as its linear equation says."""
SETTLED = 1e-3
"""The unpushed network has settled once its loss stays within this part of the last one."""
FEWEST_POINTS = 5
GROWTH = ["rate", "residual"]


def pushed_networks(tables: Tables) -> pd.DataFrame:
    """One row per run from a constant plus a push, with what its units' distance did; only the longest runs count.

    The columns of ``runs``; ``breaks_at`` (inf: never); ``settles_at``, the step from which the unpushed network of the
    same arithmetic and penalty has settled (NaN: there is none); ``rate`` and ``residual`` of the line through the
    logarithm of the distance, from that step on and below ``LINEAR`` (NaN: too few steps were measured then);
    ``smallest``, the smallest eigenvalue of the Hessian in the directions that break the symmetry, where the unpushed
    network with the same penalty ended (NaN: not measured).
    """
    runs = tables.runs.assign(**{EPSILON: tables.runs.get(EPSILON, np.nan)})
    runs = runs[(runs["init"] == "perturbed") & ~runs["diverged"]]
    runs = runs[runs["training.steps"] == runs["training.steps"].max()]
    runs = runs.assign(breaks_at=runs["run_id"].map(breaking_steps(tables)).astype(float))
    settled = {setting: _settling_step(tables, alike) for setting, alike in runs.groupby(["arithmetic", L2])}
    settings = list(zip(runs["arithmetic"], runs[L2], strict=True))
    eigenvalues = runs[runs[EPSILON] == 0.0].groupby(L2)[SMALLEST].mean() if SMALLEST in runs else {}
    runs = runs.assign(settles_at=[settled[setting] for setting in settings],
                       smallest=runs[L2].map(eigenvalues).astype(float))  # fmt: skip
    curves = tables.values(runs, [names.DISTANCE]).sort_values("step")
    curve_of = {str(run_id): curve for run_id, curve in curves.groupby("run_id")}
    shown = zip(runs["run_id"], runs["settles_at"], runs["arithmetic"].map(RESOLVED), strict=True)
    fits = [_growth(curve_of[run_id], start, resolved) for run_id, start, resolved in shown]
    runs = runs.join(pd.DataFrame(fits, index=runs.index, columns=GROWTH, dtype=float))
    return runs.sort_values(["arithmetic", EPSILON, "seed"], ignore_index=True)


def _settling_step(tables: Tables, runs: pd.DataFrame) -> float:
    """The first measured step after which the loss of every unpushed run has come to rest."""
    losses = tables.values(runs[runs[EPSILON] == 0.0], [names.LOSS_TRAIN]).sort_values("step")
    if losses.empty:
        return np.nan
    last = losses.groupby("run_id")["value"].transform("last")
    moving = losses.loc[(losses["value"] - last).abs() > SETTLED * last, "step"].max()
    return float(losses.loc[losses["step"] > (-1 if np.isnan(moving) else moving), "step"].min())


def _growth(curve: pd.DataFrame, start: float, resolved: float) -> tuple[float, float]:
    """Slope and largest residual of ln(distance) while the growth is linear and the unpushed network rests."""
    growing = curve[(curve["step"] >= start) & curve["value"].between(resolved, LINEAR)]
    # By the later half the directions that shrink faster, or grow more slowly, have fallen behind.
    growing = growing.iloc[len(growing) // 2 :]
    if len(growing) < FEWEST_POINTS:
        return np.nan, np.nan
    fit = exponential_fit(growing["step"].to_numpy(), growing["value"].to_numpy(), np.zeros(len(growing)))
    return fit.slope, fit.largest_residual


def seen_pushes(networks: pd.DataFrame) -> pd.DataFrame:
    """The runs with a push that their products see from the start: exact ones round it away below their grid."""
    grid = networks["arithmetic"].map({"blas": 0.0, "exact": RESOLVED["exact"]}).astype(float)
    return networks[(networks[EPSILON] > 0.0) & (networks[EPSILON] >= grid)]


def late_breaks(networks: pd.DataFrame) -> pd.DataFrame:
    """The seen runs that break after the unpushed network has settled: all their time is bought at one rate."""
    pushed = seen_pushes(networks)
    pushed = pushed[np.isfinite(pushed["breaks_at"]) & ~(pushed["smallest"] > 0.0)]
    return pushed[pushed["breaks_at"] > pushed["settles_at"]]


def time_fit(networks: pd.DataFrame) -> Fit | None:
    """The line through (ln epsilon, step of breaking) of ``late_breaks``; None with fewer than two sizes of push."""
    late = late_breaks(networks)
    if late[EPSILON].nunique() < 2:
        return None
    return line_fit(np.log(late[EPSILON].to_numpy(float)), late["breaks_at"].to_numpy(), late["seed"].to_numpy())
