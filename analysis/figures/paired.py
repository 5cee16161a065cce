"""Figure 9: initialisations compared run against run, with everything else equal."""

from collections.abc import Iterable, Sequence
from textwrap import fill
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis.figures.heatmaps import text_colour, write_lines
from analysis.figures.kit.drawing import Drawing, NotShownError, figure
from analysis.figures.kit.pairs import paired_table
from analysis.figures.kit.words import distinguishing, literal, loss_label, own_and_shared, param_texts, part_of
from analysis.tracked.tables import Tables
from analysis.wording import SWEEP, amount, counted, interval, number

MOST_STARTS = 16
SIDE_BY_SIDE = 4
"""With more starts than this, the models go below each other."""
CHARACTERS_AN_INCH = 18
"""Of text in 6.5 points, the smallest that can be read."""
FEWEST_MARKED = 6
"""Five pairs can all have one sign by chance with a probability of 2 / 2^5 > 5 %; six cannot (sign test)."""
LINE_HEIGHT, LINES = 0.17, 4
"""Inches of a line of text, and the lines of a cell without a count of its pairs."""
LABEL_WIDTH = 17
"""Characters of a start's label in one line."""
COLOURS = "RdBu_r"
COMMAND = f"{SWEEP} init=zeros,constant,xavier_uniform 'seed=range(5)'"


@figure
def paired_differences(tables: Tables) -> Drawing:
    """Mean difference of the final loss between two starts that share seed and settings, a triangle per model."""
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
    models = list(dict.fromkeys(shown["model"]))
    starts = {model: _starts(shown[shown["model"] == model]) for model in models}
    sizes = [len(starts[model]) for model in models]
    most = max(sizes)
    if most > MOST_STARTS:
        raise NotShownError(
            f"{most} initialisations, where {MOST_STARTS} have room", f"{SWEEP} experiment_name=NAME init=..."
        )
    metric = str(shown["metric"].iloc[0])
    same_starts = all(starts[model] == starts[models[0]] for model in models)
    counted_apart = bool(shown["diverged"].any()) or shown["pairs"].nunique() > 1
    canvas, grid, width = _grid(sizes, same_starts, LINE_HEIGHT * (LINES + counted_apart))
    largest = float(shown["mean"].abs().max())
    norm = Normalize(-largest, largest) if largest > 0.0 else Normalize(-1.0, 1.0)
    for axes, model in zip(grid, models, strict=True):
        panel = shown[shown["model"] == model]
        mesh = _draw_triangle(axes, panel, starts[model], norm, width)
        axes.set_title(f"{literal(model)}, {_pairs_a_cell(panel['pairs'])}")
        axes.set_xlabel("... minus that from this start")
        if axes.get_subplotspec().is_first_col():
            axes.set_ylabel(f"final {part_of(metric)} loss\nfrom this start ...")
    bar = canvas.colorbar(mesh, ax=grid, location="bottom", aspect=50, shrink=0.6, pad=0.02)
    bar.ax.xaxis.set_major_locator(MaxNLocator(5))
    bar.set_label(f"mean difference of the final {loss_label(tables.runs, metric)}; blue: the row's start ends lower")
    numbers = _numbers(tables.runs[tables.runs["model"].isin(models)], shown)
    heading = [
        "each cell: mean difference over pairs of runs, [95 % t interval], how often the row ends lower",
        f"bold*: the interval excludes 0, with {FEWEST_MARKED} pairs or more",
        f"{amount(numbers['pairs'], 'pair')} of {numbers['runs']} runs; {numbers['fate']}",
        # Between two params, not inside one, may a line break.
        f"a cell pools {numbers['pooled']}".replace(" (", "\xa0(").replace(" value", "\xa0value"),
    ]
    lines = [fill(line, int(13 * canvas.get_figwidth())) for line in heading]
    canvas.suptitle(literal("\n".join(lines)), fontsize="medium")
    return Drawing(canvas, shown, numbers)


def _starts(panel: pd.DataFrame) -> list[str]:
    """The starts of one model in order: the first is a column only, the last a row only."""
    return list(dict.fromkeys([*panel["against"], *panel["init"]]))


def _grid(sizes: Sequence[int], same_starts: bool, height: float) -> tuple[Figure, list[Any], float]:
    """The axes of each model, beside or (with many starts) below each other, and the width of a cell in inches.

    Args:
        sizes: starts of each model.
        same_starts: whether all models have the same starts, so that one set of labels is enough.
        height: of a cell in inches.
    """
    most = max(sizes)
    columns = len(sizes) if most <= SIDE_BY_SIDE else 1
    rows = [most - 1] if most <= SIDE_BY_SIDE else [size - 1 for size in sizes]
    labels = 1.4 if same_starts else 1.3 * columns
    width = min(11.0, max(8.2, labels + 1.1 * columns * (most - 1)))
    canvas = Figure(figsize=(width, 2.0 + 1.1 * len(rows) + height * sum(rows)), layout="constrained")
    ratios = {"height_ratios": rows}
    grid = canvas.subplots(len(rows), columns, squeeze=False, sharey=same_starts, gridspec_kw=ratios)
    return canvas, grid.ravel().tolist(), (width - labels - 0.2 * columns) / columns / (most - 1)


def _draw_triangle(axes: Axes, panel: pd.DataFrame, starts: Sequence[str], norm: Normalize, width: float) -> Any:
    """One cell for each pair: rows without the first start, columns without the last."""
    place = {start: index for index, start in enumerate(starts)}
    longest = max(len(interval(low, high)) for low, high in zip(panel["low"], panel["high"], strict=True))
    two_lines = CHARACTERS_AN_INCH * width < longest
    show_counts = panel["pairs"].nunique() > 1
    size = len(starts) - 1
    colours = np.full((size, size), np.nan)
    for cell, marked in zip(panel.itertuples(), _marked(panel), strict=True):
        x, y = place[str(cell.against)], place[str(cell.init)] - 1
        colours[y, x] = cell.mean
        lines = _lines(cell, bool(marked), show_counts, two_lines)
        write_lines(axes, (x, y), lines, text_colour(COLOURS, norm, colours[y, x]), width, bold=bool(marked))
    for text in axes.texts:
        # They lie inside the axes; measuring hundreds of them takes seconds.
        text.set_in_layout(False)
    # Grey behind pairs without a mean; nothing above the diagonal, where each pair would be seen a second time.
    axes.pcolormesh(np.where(np.tri(size, dtype=bool), 0.9, np.nan), cmap="gray", vmin=0.0, vmax=1.0)
    mesh = axes.pcolormesh(np.ma.masked_invalid(colours), cmap=COLOURS, norm=norm, edgecolors="white", linewidth=1)
    labels = [literal(fill(start, LABEL_WIDTH)) for start in starts]
    axes.set_xticks(np.arange(size) + 0.5, labels[:-1], rotation=25, ha="right", rotation_mode="anchor")
    axes.set_yticks(np.arange(size) + 0.5, labels[1:])
    axes.set_ylim(size, 0)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return mesh


def _lines(cell: Any, marked: bool, show_counts: bool, two_lines: bool) -> list[tuple[str, bool]]:
    """The texts of a cell, the interval in one line or two, and whether each text is a smaller one."""
    if not cell.pairs:
        return [("no pair", True)]
    compared = cell.pairs - cell.diverged
    counts = [(amount(cell.pairs, "pair"), True)] if show_counts else []
    if cell.diverged:
        counts = [(f"{cell.diverged} of {cell.pairs} diverged", True)]
    wins = (f"wins {100 * cell.win_rate:.0f} %", True)
    if not compared:
        return [wins, *counts]
    if cell.mean == cell.low == cell.high == 0.0 and cell.win_rate == 0.5:
        return [("0", False), ("always equal", True), *counts]
    ends = interval(cell.low, cell.high) if compared > 1 else ""
    parts = ends.replace(", ", ",\n").splitlines() if two_lines else [ends] * (compared > 1)
    return [(f"{_signed(cell.mean)}{'*' if marked else ''}", False), *((part, True) for part in parts), wins, *counts]


def _signed(value: float) -> str:
    return f"{'+' if value > 0.0 else ''}{number(value)}"


def _marked(pairs: pd.DataFrame) -> "pd.Series[bool]":
    enough = pairs["pairs"] - pairs["diverged"] >= FEWEST_MARKED
    return enough & ((pairs["low"] > 0.0) | (pairs["high"] < 0.0))


def _pairs_a_cell(counts: Iterable[int]) -> str:
    text = counted(list(counts))
    return f"{text} {'pair' if text == '1' else 'pairs'} a cell"


def _numbers(runs: pd.DataFrame, shown: pd.DataFrame) -> dict[str, Any]:
    """Values for the caption and the title."""
    metric = str(shown["metric"].iloc[0])
    models = list(dict.fromkeys(shown["model"]))
    diverged = int(shown["diverged"].sum())
    texts = param_texts(runs)
    pooled = distinguishing(texts, ["model"], [key for key in own_and_shared(texts)[1] if key != "model"])
    return {
        "part": part_of(metric),
        "runs": len(runs),
        "pairs": int(shown["pairs"].sum()),
        "pairs_a_cell": _pairs_a_cell(shown["pairs"]),
        "pooled": ", ".join(f"{key} ({amount(texts[key].nunique(), 'value')})" for key in pooled) or "one setting",
        "cells": len(shown),
        "marked": int(_marked(shown).sum()),
        "fewest_marked": FEWEST_MARKED,
        "diverged": diverged,
        "incomplete": _incomplete(diverged, int(shown["missing"].sum())),
        "fate": f"{diverged} with a diverged run, which loses and is in no mean" if diverged else "no run diverged",
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
        f"{most['model']}: {most['init']} minus {most['against']}, {_signed(most['mean'])}{ends},"
        f" {most['init']} wins {100 * most['win_rate']:.0f} %"
    )
