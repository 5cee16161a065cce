"""Figures of a set of runs: a table of functions, each from tidy frames to a matplotlib figure."""

from collections.abc import Callable
from typing import NamedTuple

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from analysis.intervals import aggregated
from pipeline import names

# One colour per initialisation in every figure: symmetric starts are dark, random ones colour-blind safe hues.
SYMMETRIC = ["zeros", "constant", "duplicated", "mirrored", "perturbed"]
RANDOM = [
    "normal", "xavier_uniform", "he_normal", "orthogonal", "uniform", "xavier_normal", "he_uniform", "lecun_uniform",
    "lecun_normal",
]  # fmt: skip
PALETTE = dict(
    zip(
        [*SYMMETRIC, *RANDOM],
        ["#000000", "#d55e00", "#882255", "#aa4499", "#661100", *sns.color_palette("colorblind").as_hex()[:3],
         *sns.color_palette("colorblind").as_hex()[4:]],
        strict=False,
    )
)  # fmt: skip
SMALLEST_SHOWN = 1e-6


class FigureSpecification(NamedTuple):
    """One figure.

    Attributes:
        metrics: the metrics whose curves it needs.
        draw: (runs, curves) -> figure.
    """

    metrics: tuple[str, ...]
    draw: Callable[[pd.DataFrame, pd.DataFrame], Figure]


def loss_over_steps(runs: pd.DataFrame, curves: pd.DataFrame) -> Figure:
    """Training loss over steps, one panel per model and learning rate, mean and 95 % interval over seeds."""
    grid = _curve_grid(runs, curves, names.LOSS_TRAIN, "training loss [nats]")
    for axes in grid.axes.flat:
        axes.set_yscale("log")
    return _titled(grid, "Loss over steps, by initialisation", runs)


def distance_over_steps(runs: pd.DataFrame, curves: pd.DataFrame) -> Figure:
    """Mean distance between hidden units over steps; the axis is linear below 1e-6, so exact zeros show."""
    grid = _curve_grid(runs, curves, names.DISTANCE, "mean distance of hidden units")
    for axes in grid.axes.flat:
        axes.set_yscale("symlog", linthresh=SMALLEST_SHOWN)
        axes.set_ylim(-0.3 * SMALLEST_SHOWN, None)
    return _titled(grid, "Distance between the incoming weights of hidden units", runs)


FIGURES = {
    "loss": FigureSpecification((names.LOSS_TRAIN,), loss_over_steps),
    "symmetry_distance": FigureSpecification((names.DISTANCE,), distance_over_steps),
}


def _curve_grid(runs: pd.DataFrame, curves: pd.DataFrame, metric: str, label: str) -> sns.FacetGrid:
    data = curves[curves["metric"] == metric].merge(runs, on="run_id")
    data = data.rename(columns={"value": label, "optimizer.learning_rate": "learning rate", "init": "initialisation"})
    means = aggregated(data, label, by=["model", "learning rate", "initialisation"])
    schemes = [scheme for scheme in PALETTE if scheme in set(means["initialisation"])]
    grid = sns.relplot(
        means,
        x="step",
        y=label,
        hue="initialisation",
        hue_order=schemes,
        style="initialisation",
        style_order=schemes,
        palette=PALETTE,
        row="model",
        col="learning rate",
        kind="line",
        height=2.6,
        aspect=1.35,
        facet_kws={"margin_titles": True},
    )
    for (model, learning_rate), axes in grid.axes_dict.items():
        panel = means[(means["model"] == model) & (means["learning rate"] == learning_rate)]
        for scheme, line in panel.groupby("initialisation"):
            axes.fill_between(line["step"], line["low"], line["high"], color=PALETTE[str(scheme)], alpha=0.2, lw=0)
        # Linear up to step 1, so that step 0 has a place on the log axis.
        axes.set_xscale("symlog", linthresh=1)
        axes.set_xlim(0, None)
    return grid


def _titled(grid: sns.FacetGrid, title: str, runs: pd.DataFrame) -> Figure:
    counts = runs.groupby(["model", "init", "optimizer.learning_rate"]).size()
    each = f"{counts.min()}" if counts.min() == counts.max() else f"{counts.min()} to {counts.max()}"
    diverged = int(runs["diverged"].sum())
    grid.figure.suptitle(
        f"{title}\nmean and 95 % bootstrap interval over {each} seeds a line; {len(runs)} runs, {diverged} diverged",
        y=1.0,
        va="bottom",
        fontsize="medium",
    )
    plt.close(grid.figure)
    return grid.figure
