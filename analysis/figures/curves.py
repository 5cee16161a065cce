"""Figures 2 and 3: loss and symmetry over the steps of training."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.figures.drawing import Drawing, NotShownError, figure
from analysis.figures.style import SYMMETRIC, axis_with_zero, colours_of, schemes_in, step_axis
from analysis.intervals import aggregated
from analysis.tables import Tables
from pipeline import names

PANEL_KEYS = ("model", "arithmetic", "data", "optimizer", "model.activation", "model.hidden_units")
MOST_ROWS = 6
RATE = "optimizer.learning_rate"


@figure
def loss_over_steps(tables: Tables) -> Drawing:
    """Training (solid) and test loss (dotted) over steps by initialisation, a panel per model and learning rate."""
    metrics = {"train": names.LOSS_TRAIN, "test": names.LOSS_TEST}
    means = _means(tables, {part: metric for part, metric in metrics.items() if metric in tables.runs})
    canvas, panels = _grid(means, height=2.4)
    for (row, rate), axes in panels.items():
        panel = means[(means["row"] == row) & (means[RATE] == rate)]
        for (scheme, part), line in panel.groupby(["init", "metric"], sort=True):
            _line(axes, line, str(scheme), dotted=part == "test", band=part == "train")
        step_axis(axes)
        axes.set_yscale("log")
    for axes in _first_column(panels):
        axes.set_ylabel("mean loss of an example [nats]")
    _legend(canvas, means, [("training", "-"), ("test", ":")] if "test" in set(means["metric"]) else [])
    end = tables.runs[~tables.runs["diverged"]].groupby(["model", "init"])[names.LOSS_TRAIN].min()
    numbers = _counts(tables, means) | {"conclusion": _loss_conclusion(end)}
    return Drawing(canvas, means, numbers)


@figure
def symmetry_over_steps(tables: Tables) -> Drawing:
    """Mean distance between hidden units (above) and number of distinct units (below) over steps."""
    if names.DISTANCE not in tables.runs or tables.runs[names.DISTANCE].isna().all():
        raise NotShownError("no run has hidden units to compare; add model=mlp to the sweep")
    parts = {"distance": names.DISTANCE, "distinct units": names.DISTINCT_UNITS}
    means = _means(tables, parts)
    rows = list(dict.fromkeys(means["row"]))
    doubled = means.assign(row=means["row"] + "\n" + means["metric"])
    order = [f"{row}\n{part}" for row in rows for part in parts]
    canvas, panels = _grid(doubled, height=2.0, order=order)
    for (row, rate), axes in panels.items():
        panel = doubled[(doubled["row"] == row) & (doubled[RATE] == rate)]
        for scheme, line in panel.groupby("init", sort=True):
            _line(axes, line, str(scheme))
        step_axis(axes)
        if row.endswith("\ndistance"):
            axis_with_zero(axes)
        else:
            axes.set_yscale("log", base=2)
            axes.set_ylim(0.8, None)
            axes.yaxis.set_major_formatter("{x:g}")
    for axes, row in zip(_first_column(panels), order, strict=True):
        axes.set_ylabel("mean distance" if row.endswith("\ndistance") else "distinct units")
    _legend(canvas, means, [])
    symmetric = tables.runs[tables.runs["init"].isin(SYMMETRIC) & tables.runs[names.DISTANCE].notna()]
    numbers = _counts(tables, means) | {
        "symmetric_runs": len(symmetric),
        "largest_symmetric": float(symmetric[names.DISTANCE].max()) if len(symmetric) else float("nan"),
    }
    return Drawing(canvas, means, numbers)


def _means(tables: Tables, metrics: dict[str, str]) -> pd.DataFrame:
    """Means and intervals of some metrics: columns ``row``, learning rate, ``init``, ``metric``, ``step``, ``value``,
    ``low``, ``high``, ``runs``."""
    labels = _row_labels(tables.runs)
    parts = [
        aggregated(curve.assign(row=curve["run_id"].map(labels)), "value", by=["row", RATE, "init"]).assign(metric=part)
        for part, metric in metrics.items()
        if len(curve := tables.curve(metric)[["run_id", RATE, "init", "step", "value"]])
    ]
    return pd.concat(parts, ignore_index=True)


def _row_labels(runs: pd.DataFrame) -> "pd.Series[str]":
    """Run id -> the row of panels that it belongs to: the model and what else the runs compare, six rows at most."""
    varying = [key for key in PANEL_KEYS if key == "model" or runs[key].nunique() > 1]
    # A key that already follows from the others (logistic regression has no hidden units) needs no row of its own.
    while len(varying) > 1 and (
        runs.groupby(varying[:-1])[varying[-1]].nunique().max() == 1 or len(runs[varying].drop_duplicates()) > MOST_ROWS
    ):
        varying.pop()
    texts = runs[varying].map(str).agg(", ".join, axis=1)
    return pd.Series(texts.to_numpy(), index=runs["run_id"])


def _grid(
    means: pd.DataFrame, height: float, order: Sequence[str] | None = None
) -> tuple[Figure, dict[tuple[str, float], Axes]]:
    rows = order or sorted(set(means["row"]))
    rates = sorted(set(means[RATE]))
    canvas = Figure(figsize=(min(11.0, 2.2 + 2.9 * len(rates)), 0.9 + height * len(rows)), layout="constrained")
    grid = canvas.subplots(len(rows), len(rates), sharex=True, sharey="row", squeeze=False)
    panels = {}
    for row, line in zip(rows, grid, strict=True):
        for rate, axes in zip(rates, line, strict=True):
            panels[row, rate] = axes
            axes.set_title(f"{row.splitlines()[0]}, learning rate {rate:g}".replace("$", r"\$"))
    for axes in grid[-1]:
        axes.set_xlabel("step")
    return canvas, panels


def _first_column(panels: dict[tuple[str, float], Axes]) -> list[Axes]:
    first = min(rate for _, rate in panels)
    return [axes for (_, rate), axes in panels.items() if rate == first]


def _line(axes: Axes, line: pd.DataFrame, scheme: str, dotted: bool = False, band: bool = True) -> None:
    colour = colours_of([scheme])[scheme]
    # Symmetric starts are drawn first and wider, constant over zeros, so that lines on top leave the others visible.
    width = 2.6 if scheme in SYMMETRIC and not dotted else 1.3
    style = ":" if dotted else "--" if scheme == "constant" else "-"
    axes.plot(
        line["step"],
        line["value"],
        style,
        color=colour,
        lw=width,
        zorder={"zeros": 2.0, "constant": 2.5}.get(scheme, 3.0),
    )
    if band:
        axes.fill_between(line["step"], line["low"], line["high"], color=colour, alpha=0.2, lw=0)


def _legend(canvas: Figure, means: pd.DataFrame, styles: Sequence[tuple[str, str]]) -> None:
    schemes = schemes_in(means["init"])
    lines = [
        Line2D([], [], color=colour, lw=2.6 if scheme in SYMMETRIC else 1.3, ls="--" if scheme == "constant" else "-")
        for scheme, colour in colours_of(schemes).items()
    ]
    lines += [Line2D([], [], color="0.4", ls=style) for _, style in styles]
    labels = [scheme.replace("$", r"\$") for scheme in schemes] + [label for label, _ in styles]
    canvas.legend(lines, labels, loc="outside upper center", ncols=min(len(labels), 8), handlelength=2.4)


def _counts(tables: Tables, means: pd.DataFrame) -> dict[str, object]:
    runs = means.groupby(["row", RATE, "init"])["runs"].max()
    each = f"{runs.min()}" if runs.min() == runs.max() else f"{runs.min()} to {runs.max()}"
    shown = tables.runs
    return {"runs": len(shown), "runs_a_line": each, "diverged": int(shown["diverged"].sum())}


def _loss_conclusion(best: "pd.Series[float]") -> str:
    """The best final training loss of each start of the networks and of the spread of logistic regression."""
    models = best.unstack("init")
    sentences = []
    for model, losses in models.iterrows():
        known = losses.dropna().sort_values()
        listed = ", ".join(f"{scheme} {loss:.3g}" for scheme, loss in known.items())
        sentences.append(f"{model}: {listed}")
    return "; ".join(sentences)
