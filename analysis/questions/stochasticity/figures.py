"""Figures of the question ``stochasticity``: the distance source by source, how fast it grows and what it is worth."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures.kit.drawing import Drawing, NotShownError, figure
from analysis.figures.kit.style import add_legend_above, set_step_axis, set_value_axis, text_colour
from analysis.figures.kit.words import loss_label
from analysis.questions.stochasticity.answer import PREDICTED_TO_BREAK, networks_with_one_source
from analysis.statistics.breaking import APART
from analysis.statistics.intervals import aggregated, sample_mean
from analysis.tracked.tables import Tables
from pipeline import names

HUES = ("#000000", "#d62728", "#949494", "#882255", "#0173b2", "#de8f05", "#029e73", "#cc78bc")
COLOURS = dict(zip(PREDICTED_TO_BREAK, HUES, strict=True))


@figure
def stochasticity_distance(tables: Tables) -> Drawing:
    """The distance between the units over the steps, one line per source; what is to keep it at 0 on the left.

    Raises:
        NotShownError: no such networks.
    """
    networks = networks_with_one_source(tables)
    if networks.empty:
        raise NotShownError("no network has equal weights and one source of randomness")
    curves = tables.curves[tables.curves["metric"] == names.DISTANCE]
    curves = curves.merge(networks[["run_id", "source"]], on="run_id")
    data = aggregated(curves, "value", by=["source"])
    canvas = Figure(figsize=(9.0, 4.4), layout="constrained")
    both = canvas.subplots(1, 2, sharex=True, sharey=True)
    shown = [source for source in PREDICTED_TO_BREAK if source in set(data["source"])]
    styles = dict(zip(shown, _styles(shown), strict=True))
    for axes, breaks, title in zip(both, (False, True), ("acts on all units alike", "tells units apart"), strict=True):
        for source in (source for source in shown if PREDICTED_TO_BREAK[source] == breaks):
            line = data[data["source"] == source]
            axes.plot(line["step"], line["value"], **styles[source])
            axes.fill_between(line["step"], line["low"], line["high"], color=COLOURS[source], alpha=0.2, lw=0)
        axes.set(title=title, xlabel="step")
        set_step_axis(axes)
    set_value_axis(both[0], data["value"])
    both[0].set_ylabel("mean distance between hidden units")
    add_legend_above(canvas, styles)
    kept = networks[~networks["source"].map(PREDICTED_TO_BREAK).astype(bool)]
    numbers = {
        "runs": len(networks),
        "runs_a_line": int(networks.groupby("source").size().max()),
        "largest": f"{kept[names.DISTANCE].max():.3g}" if len(kept) else "not measured",
    }
    return Drawing(canvas, data, numbers)


def _styles(sources: list[str]) -> Iterator[dict[str, Any]]:
    """Lines that coincide become narrower and dashed in turn, so that each stays visible."""
    for place, source in enumerate(sources):
        keeps = not PREDICTED_TO_BREAK[source]
        yield {
            "color": COLOURS[source],
            "lw": 4.5 - place if keeps else 1.5,
            "ls": (0, (2 + place, place)) if keeps and place else "-",
        }


@figure
def stochasticity_speed(tables: Tables) -> Drawing:
    """For every source the step at which units are apart, and the final loss: mean, interval and single runs.

    Raises:
        NotShownError: no such networks.
    """
    networks = networks_with_one_source(tables)
    if networks.empty:
        raise NotShownError("no network has equal weights and one source of randomness")
    shown = [source for source in reversed(PREDICTED_TO_BREAK) if source in set(networks["source"])]
    columns = {"breaks_at": f"step at which the distance is {APART:g}", names.LOSS_TRAIN: ""}
    columns[names.LOSS_TRAIN] = f"final {loss_label(networks, names.LOSS_TRAIN)}"
    canvas = Figure(figsize=(9.0, 0.9 + 0.36 * len(shown)), layout="constrained")
    panels = canvas.subplots(1, 2, sharey=True)
    for axes, (column, label) in zip(panels, columns.items(), strict=True):
        for place, source in enumerate(shown):
            _draw_points(axes, place, networks.loc[networks["source"] == source, column].to_numpy(float), source)
        axes.set_xlabel(label)
        axes.grid(axis="y", color="0.92")
    set_step_axis(panels[0])
    panels[0].set_xlim(-0.2, 1.5 * float(networks["training.steps"].max()))
    panels[1].set_xscale("log")
    panels[0].set_yticks(range(len(shown)), shown)
    data = networks[["run_id", "source", "seed", *columns]].sort_values(["source", "seed", "run_id"])
    return Drawing(canvas, data, {"runs": len(networks), "times": _times(networks), "apart": APART})


def _draw_points(axes: Axes, height: int, values: np.ndarray, source: str) -> None:
    """The runs as small points, their mean with its interval; a word where there is nothing to show."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        axes.text(1.0, height, "never", va="center", color=text_colour(COLOURS[source]))
        return
    axes.plot(finite, np.full(len(finite), height), "o", ms=3, color=COLOURS[source], alpha=0.4)
    mean, low, high = sample_mean(finite)
    axes.errorbar(
        mean, height, xerr=[[mean - max(low, 0.0)], [high - mean]], fmt="D", ms=5, capsize=3, color=COLOURS[source]
    )


def _times(networks: pd.DataFrame) -> str:
    """Source by source the mean step with its interval, in the order of the figure."""
    parts = []
    for source in PREDICTED_TO_BREAK:
        steps = networks.loc[networks["source"] == source, "breaks_at"].to_numpy()
        if len(steps) and np.isfinite(steps).all():
            mean, low, high = sample_mean(steps)
            parts.append(f"{source} {mean:.0f} [{max(low, 0.0):.0f}, {high:.0f}]")
    return "; ".join(parts) or "none"
