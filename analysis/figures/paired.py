"""Figure 9: initialisations compared run against run, and what two runs have in common."""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from analysis.figures.drawing import Drawing, NotShownError, figure
from analysis.figures.style import schemes_in
from analysis.intervals import means_with_intervals
from analysis.tables import Tables
from pipeline import names

FAMILIES = ("model", "data", "optimizer", "arithmetic", "dtype", "training", "init", "seed")
"""First parts of the params' keys."""
FINAL = {"loss": (names.LOSS_TEST, names.LOSS_TRAIN), "accuracy": (names.ACCURACY_TEST, names.ACCURACY_TRAIN)}
MOST_SCHEMES = 16
SIDE_BY_SIDE = 7
COLOURS = "RdBu_r"
COLUMNS = ["model", "row", "column", "metric", "mean", "low", "high", "win_rate", "pairs", "diverged", "missing"]


@figure
def paired_differences(tables: Tables) -> Drawing:
    """Mean difference of the final loss between two starts that share seed and settings, a matrix per model."""
    pairs = paired_table(tables.runs)
    models = list(dict.fromkeys(pairs.loc[pairs["pairs"] > 0, "model"]))
    if not models:
        raise NotShownError(
            "no two runs differ in nothing but their initialisation; python -m pipeline.run -m"
            " init=zeros,constant,xavier_uniform 'seed=range(5)'"
        )
    shown = pairs[pairs["model"].isin(models)].reset_index(drop=True)
    schemes = {model: list(dict.fromkeys(shown.loc[shown["model"] == model, "row"])) for model in models}
    most = max(map(len, schemes.values()))
    if most > MOST_SCHEMES:
        raise NotShownError(
            f"{most} initialisations to compare; the matrix has room for {MOST_SCHEMES}; python -m pipeline.run -m"
            " experiment_name=NAME init=... with fewer"
        )
    metric = str(shown["metric"].iloc[0])
    largest = float(shown["mean"].abs().max()) or 1.0
    columns = len(models) if most <= SIDE_BY_SIDE else 1
    rows = -(-len(models) // columns)
    width = min(11.0, max(6.5, columns * (1.2 + 0.85 * most)))
    canvas = Figure(figsize=(width, 1.4 + rows * (0.9 + 0.62 * most)), layout="constrained")
    grid = canvas.subplots(rows, columns, squeeze=False).ravel()
    cell = 0.8 * width / columns / (most + 1.5)
    for axes, model in zip(grid, models, strict=True):
        panel = shown[shown["model"] == model]
        mesh = _matrix(axes, panel, schemes[model], Normalize(-largest, largest), cell)
        axes.set_title(f"{literal(model)}: {_range(panel['pairs'])} pairs a cell")
        axes.set_xlabel("against this initialisation")
    for axes in grid[::columns]:
        axes.set_ylabel("this initialisation")
    bar = canvas.colorbar(mesh, ax=list(grid), location="bottom", aspect=50, shrink=0.6)
    bar.set_label(f"row minus column, final {loss_label(tables.runs, metric)} (below 0, blue: the row ends lower)")
    half = shown[shown["row"].map(str) < shown["column"].map(str)]
    numbers = {
        "part": part_of(metric),
        "runs": len(tables.runs[tables.runs["model"].isin(models)]),
        "pairs": int(half["pairs"].sum()),
        "pairs_a_cell": _range(shown["pairs"]),
        "diverged": int(half["diverged"].sum()),
        "missing": int(half["missing"].sum()),
        "cells": len(half),
        "marked": int(_excludes_zero(half).sum()),
        "conclusion": "; ".join(_conclusion(shown[shown["model"] == model]) for model in models),
    }
    canvas.suptitle(
        f"Paired differences of the final {part_of(metric)} loss: mean [95 % bootstrap interval], wins of the row\n"
        f"* and bold: the interval excludes 0; {numbers['pairs']} pairs; left out: {numbers['diverged']} with a"
        f" diverged run, {numbers['missing']} without a partner",
        fontsize="medium",
    )
    return Drawing(canvas, shown, numbers)


def paired_table(runs: pd.DataFrame) -> pd.DataFrame:
    """One row per model and ordered pair of initialisations.

    Two runs are a pair if all their params agree but the initialisation and its numbers. A pair with a diverged run
    is counted in ``diverged``, a run without a partner (never trained, or failed) in ``missing``; neither enters the
    mean.

    Returns:
        Columns ``model``, ``row``, ``column``, ``metric``, ``mean`` (final loss of the row's start minus the
        column's), ``low``, ``high``, ``win_rate`` (share of pairs in which the row's loss is lower; ties count half),
        ``pairs``, ``diverged``, ``missing``.
    """
    metric = final_metric(runs, "loss")
    if metric is None:
        return pd.DataFrame(columns=COLUMNS)
    texts = param_texts(runs)
    own = [key for key in texts if key.startswith("init.")]
    scheme_keys = ["init", *distinguishing(texts, ["model", "init"], own)]
    schemes = labelled(texts, scheme_keys)
    shared = [key for key in texts if key != "init" and key not in own]
    frame = pd.DataFrame(
        {
            "model": texts["model"],
            "setting": texts.groupby(shared, sort=True).ngroup(),
            "scheme": schemes,
            "value": runs[metric].where(_counts(runs, metric)),
            "lost": ~_counts(runs, metric),
        }
    )
    parts = []
    for model, of_model in frame.groupby("model", sort=True):
        cells = of_model.groupby(["setting", "scheme"], observed=True, sort=True).agg({"value": "mean", "lost": "any"})
        lost = cells["lost"].unstack("scheme").sort_index(axis=1)
        # A repeated run that diverged once is not a result to build on.
        values = cells["value"].where(~cells["lost"]).unstack("scheme").sort_index(axis=1)
        parts.append(_compared(values, lost.notna()).assign(model=str(model), metric=metric))
    return pd.concat(parts, ignore_index=True)[COLUMNS]


def _compared(values: pd.DataFrame, present: pd.DataFrame) -> pd.DataFrame:
    """All ordered pairs of the columns of two frames (settings, schemes): losses, NaN where diverged; run or no run."""
    losses, there = values.to_numpy(float), present.to_numpy(bool)
    pairs = list(combinations(range(losses.shape[1]), 2))
    differences = [losses[:, one] - losses[:, other] for one, other in pairs]
    complete = [difference[~np.isnan(difference)] for difference in differences]
    rows = []
    for (one, other), sample, (mean, low, high) in zip(pairs, complete, means_with_intervals(complete), strict=True):
        both = there[:, one] & there[:, other]
        counts = {
            "pairs": len(sample),
            "diverged": int(both.sum()) - len(sample),
            "missing": int((there[:, one] ^ there[:, other]).sum()),
        }
        wins = float(((sample < 0) + 0.5 * (sample == 0)).mean()) if len(sample) else np.nan
        there_and_back = ((one, other, mean, low, high, wins), (other, one, -mean, -high, -low, 1.0 - wins))
        for row, column, *numbers in there_and_back:
            labels = {"row": str(values.columns[row]), "column": str(values.columns[column]), "position": (row, column)}
            rows.append(labels | dict(zip(("mean", "low", "high", "win_rate"), numbers, strict=True)) | counts)
    table = pd.DataFrame(rows, columns=["position", *COLUMNS])
    return table.sort_values("position").drop(columns=["position", "model", "metric"])


def _matrix(axes: Axes, panel: pd.DataFrame, schemes: list[str], norm: Normalize, cell: float) -> Any:
    place = {scheme: index for index, scheme in enumerate(schemes)}
    colours = np.full((len(schemes), len(schemes)), np.nan)
    colours[panel["row"].map(place), panel["column"].map(place)] = panel["mean"]
    mesh = axes.pcolormesh(np.ma.masked_invalid(colours), cmap=COLOURS, norm=norm, edgecolors="white", linewidth=1)
    axes.set_facecolor("0.93")
    size = min(8.0, 72 * cell / 8.5)
    for row, marked in zip(panel.itertuples(), _excludes_zero(panel), strict=True):
        x, y = place[str(row.column)] + 0.5, place[str(row.row)] + 0.5
        colour = text_colour(COLOURS, norm, float(row.mean)) if row.pairs else "0.4"
        lines = _lines(row, bool(marked))
        for index, (text, smaller) in enumerate(lines):
            axes.annotate(
                text,
                (x, y),
                xytext=(0, 1.35 * size * ((len(lines) - 1) / 2 - index)),
                textcoords="offset points",
                ha="center",
                va="center",
                fontsize=0.85 * size if smaller else size,
                fontweight="bold" if marked and not smaller else "normal",
                color=colour,
            )
    ticks = np.arange(len(schemes)) + 0.5
    axes.set_xticks(ticks, [literal(scheme) for scheme in schemes], rotation=30, ha="right", rotation_mode="anchor")
    axes.set_yticks(ticks, [literal(scheme) for scheme in schemes])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.invert_yaxis()
    return mesh


def _lines(row: Any, marked: bool) -> list[tuple[str, bool]]:
    """The texts of a cell, and whether each is a smaller one."""
    if not row.pairs:
        return [("no pair", True)]
    wins = (f"wins {100 * row.win_rate:.0f} %", True)
    mean = (f"{short(row.mean)}{'*' if marked else ''}", False)
    return [mean, wins] if row.pairs == 1 else [mean, (interval_text(row.low, row.high), True), wins]


def _excludes_zero(pairs: pd.DataFrame) -> "pd.Series[bool]":
    # One pair has no interval.
    return (pairs["pairs"] > 1) & ((pairs["low"] > 0.0) | (pairs["high"] < 0.0))


def _conclusion(panel: pd.DataFrame) -> str:
    """The largest advantage of one start over another, in words."""
    measured = panel[panel["pairs"] > 0]
    best = measured.loc[measured["mean"].idxmin()]
    return (
        f"{best['model']}: {best['row']} against {best['column']} {short(best['mean'])}"
        f" {interval_text(best['low'], best['high'])}, wins {100 * best['win_rate']:.0f} % of {best['pairs']} pairs"
    )


def _range(counts: "pd.Series[int]") -> str:
    return f"{counts.min()}" if counts.min() == counts.max() else f"{counts.min()} to {counts.max()}"
