"""Figure 9: initialisations compared run against run, with everything else equal."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from analysis.figures.kit.drawing import Drawing, NotShownError, figure
from analysis.figures.kit.pairs import paired_table
from analysis.figures.kit.style import SHADES, add_legend_above
from analysis.figures.kit.words import distinguishing, literal, loss_label, own_and_shared, param_texts, part_of
from analysis.tracked.tables import Tables
from analysis.wording import MINUS, SWEEP, amount, counted, interval, number
from pipeline import names

MOST_PAIRS = 45
"""Rows of a panel: those of ten starts."""
SMALLEST = 1e-4
"""Differences below this part of the largest are drawn on a linear scale around 0."""
ROW_INCHES = 0.2
COMMAND = f"{SWEEP} init=zeros,constant,xavier_uniform 'seed=range(5)'"


@figure
def paired_differences(tables: Tables) -> Drawing:
    """Mean difference of the final loss between two starts that share seed, rate and settings, with its interval."""
    pairs = paired_table(tables.runs)
    if not (pairs["pairs"] > 0).any():
        raise NotShownError("no two runs differ in nothing but their initialisation", COMMAND)
    if pairs["mean"].isna().all():
        raise NotShownError(
            "every two runs that differ in nothing but their initialisation include a diverged one",
            f"{COMMAND} optimizer.learning_rate=0.01,0.1",
        )
    found = pairs.groupby("model")["pairs"].transform("sum") > 0
    shown = pairs[found].reset_index(drop=True)
    names_of_pairs = {model: list(dict.fromkeys(_pair_names(of))) for model, of in shown.groupby("model", sort=True)}
    most = max(map(len, names_of_pairs.values()))
    if most > MOST_PAIRS:
        raise NotShownError(
            f"{most} pairs of initialisations, where {MOST_PAIRS} have room", f"{SWEEP} experiment_name=NAME init=..."
        )
    rates = sorted(set(shown["learning_rate"]))
    shades = SHADES(np.linspace(0.0, 1.0, len(rates)))
    colours = dict(zip(rates, map(to_hex, shades), strict=True))
    height = 1.3 + ROW_INCHES * most * max(1.0, 0.45 * len(rates))
    canvas = Figure(figsize=(min(11.0, 2.4 + 4.3 * len(names_of_pairs)), height), layout="constrained")
    grid = canvas.subplots(1, len(names_of_pairs), squeeze=False)[0]
    metric = str(shown["metric"].iloc[0])
    for axes, (model, rows) in zip(grid, names_of_pairs.items(), strict=True):
        panel = shown[shown["model"] == model]
        _draw_intervals(axes, panel, rows, colours)
        axes.set_title(f"{literal(model)}, {_pairs_a_cell(panel['pairs'])}")
        axes.set_xlabel(
            f"difference of the final {loss_label(tables.runs, metric)}\nleft of 0: the first start ends lower"
        )
    add_legend_above(
        canvas, {f"learning rate {rate:g}": {"color": colour, "marker": "o"} for rate, colour in colours.items()}
    )
    return Drawing(canvas, shown, _numbers(tables.runs[tables.runs["model"].isin(names_of_pairs)], shown))


def _pair_names(pairs: pd.DataFrame) -> "pd.Series[str]":
    return pairs["init"] + f" {MINUS} " + pairs["against"]


def _draw_intervals(axes: Axes, panel: pd.DataFrame, rows: list[str], colours: dict[float, str]) -> None:
    """A row for each pair of starts, in it a mean with its interval for each learning rate."""
    largest = float(np.nanmax(np.abs(panel[["mean", "low", "high"]].to_numpy(float))))
    axes.set_xscale("symlog", linthresh=SMALLEST * largest if largest > 0.0 else 1.0)
    axes.axvline(0.0, color="0.6", lw=0.8, zorder=0)
    axes.hlines(np.arange(1, len(rows)) - 0.5, 0.0, 1.0, transform=axes.get_yaxis_transform(), color="0.92", lw=0.8)
    for place, (rate, colour) in enumerate(colours.items()):
        at_rate = panel[panel["learning_rate"] == rate].dropna(subset=["mean"])
        heights = [rows.index(name) + 0.7 * ((place + 0.5) / len(colours) - 0.5) for name in _pair_names(at_rate)]
        axes.hlines(heights, at_rate["low"], at_rate["high"], color=colour, lw=2.0)
        axes.plot(at_rate["mean"], heights, "o", color=colour, ms=4, gid=f"rate {rate:g}")
    axes.set_yticks(range(len(rows)), [literal(name) for name in rows], size=8)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    last = math.floor(math.log10(largest)) if largest > 0.0 else 0
    powers = [10.0**power for power in (last - 2, last)]
    axes.set_xticks([*(-power for power in powers[::-1]), 0.0, *powers])


def _signed(value: float) -> str:
    return f"{'+' if value > 0.0 else ''}{number(value)}"


def _pairs_a_cell(counts: Iterable[int]) -> str:
    text = counted(list(counts))
    return f"{text} {'pair' if text == '1' else 'pairs'} an interval"


def _numbers(runs: pd.DataFrame, shown: pd.DataFrame) -> dict[str, Any]:
    """Values for the caption and the title."""
    metric = str(shown["metric"].iloc[0])
    models = list(dict.fromkeys(shown["model"]))
    diverged = int(shown["diverged"].sum())
    texts = param_texts(runs)
    pooled = distinguishing(
        texts, ["model"], [key for key in own_and_shared(texts)[1] if key not in ("model", names.RATE)]
    )
    return {
        "part": part_of(metric),
        "runs": len(runs),
        "pairs": int(shown["pairs"].sum()),
        "pairs_a_cell": _pairs_a_cell(shown["pairs"]),
        "pooled": ", ".join(f"{key} ({amount(texts[key].nunique(), 'value')})" for key in pooled) or "one setting",
        "cells": len(shown),
        "marked": int(((shown["low"] > 0.0) | (shown["high"] < 0.0)).sum()),
        "diverged": diverged,
        "incomplete": _incomplete(diverged, int(shown["missing"].sum())),
        "missing": int(shown["missing"].sum()),
        "largest": "; ".join(_largest(shown[shown["model"] == model]) for model in models),
    }


def _incomplete(diverged: int, missing: int) -> str:
    """What the caption says of pairs without a difference."""
    loses = f" {amount(diverged, 'pair')} with a diverged run, which loses to every other and is in no mean."
    absent = f" {amount(missing, 'pair')} left out, because one of the two runs was not trained or failed."
    return (loses if diverged else "") + (absent if missing else "")


def _largest(panel: pd.DataFrame) -> str:
    """The pair of starts of one model that differ most, in words."""
    measured = panel.dropna(subset=["mean"])
    if measured.empty:
        return f"{panel['model'].iloc[0]}: no pair without a diverged run"
    most = measured.sort_values("mean", key=lambda means: -means.abs(), kind="stable").iloc[0]
    ends = f" {interval(most['low'], most['high'])}" if most["pairs"] - most["diverged"] > 1 else ""
    return (
        f"{most['model']}: {most['init']} minus {most['against']} at {most['learning_rate']:g},"
        f" {_signed(most['mean'])}{ends}, {most['init']} wins {100 * most['win_rate']:.0f} %"
    )
