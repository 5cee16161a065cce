"""Figure 7: does breaking the symmetry predict learning? And the words for runs that all comparisons share."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullLocator
from matplotlib.transforms import ScaledTranslation

from analysis.figures.architecture import amount
from analysis.figures.drawing import Drawing, NotShownError, figure
from analysis.figures.style import colours_of, schemes_in
from analysis.intervals import rank_correlation
from analysis.tables import Tables
from pipeline import names

RATE = "optimizer.learning_rate"
OPTIONS = ("model", "init", "data", "optimizer", "arithmetic", "dtype")
"""Params that hold the name of a chosen option; a label shows it without its key."""
FAMILIES = (*OPTIONS, "training", "seed")
"""First parts of all params' keys."""
FINAL = {"loss": (names.LOSS_TEST, names.LOSS_TRAIN), "accuracy": (names.ACCURACY_TEST, names.ACCURACY_TRAIN)}
MINUS = "\N{MINUS SIGN}"
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*")


def param_texts(runs: pd.DataFrame) -> pd.DataFrame:
    """All params as text: the chosen options first, then their keys by name.

    The digest of the data comes last: it follows from the others unless a data file has changed.
    """
    keys = [key for key in map(str, runs) if key.partition(".")[0] in FAMILIES]
    keys.sort(key=lambda key: (key == names.DATA_DIGEST_PARAM, key not in OPTIONS, key))
    return runs[keys].map(_text)


def _text(value: Any) -> str:
    """A param's value; numbers that are equal have equal texts (a column with gaps turns 64 into 64.0)."""
    if isinstance(value, tuple):
        return "x".join(map(str, value)) or "none"
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "none"
    if isinstance(value, (bool, np.bool_)):
        return str(value).lower()
    return repr(float(value)).removesuffix(".0") if isinstance(value, float) else str(value)


def distinguishing(texts: pd.DataFrame, within: Sequence[str], candidates: Sequence[str]) -> list[str]:
    """The candidate params in which runs differ that agree in ``within`` and in the candidates already taken."""
    taken: list[str] = []
    for key in candidates:
        if (texts.groupby([*within, *taken])[key].nunique() > 1).any():
            taken.append(key)
    return taken


def labelled(texts: pd.DataFrame, keys: Sequence[str]) -> pd.Series:
    """One label a run, such as ``perturbed, epsilon=0.1``: an ordered categorical.

    Initialisations are in the order of the palette, numbers in their own.
    """
    different = texts[list(keys)].drop_duplicates()
    order = {scheme: rank for rank, scheme in enumerate(schemes_in(texts["init"]))}
    ranked = sorted(
        different.itertuples(index=False, name=None),
        key=lambda row: [
            (order[text],) if key == "init" else _natural(text) for key, text in zip(keys, row, strict=True)
        ],
    )
    label_of = {row: _label(keys, row) for row in ranked}
    labels = [label_of[row] for row in texts[list(keys)].itertuples(index=False, name=None)]
    categories = list(dict.fromkeys(label_of.values()))
    return pd.Series(pd.Categorical(labels, categories, ordered=True), index=texts.index)


def _natural(text: str) -> tuple[int, float, str]:
    try:
        return 0, float(text), ""
    except ValueError:
        return 1, 0.0, text


def _label(keys: Sequence[str], row: Sequence[str]) -> str:
    # A key of another option ("none") says nothing about this one.
    shown = [(key, text) for key, text in zip(keys, row, strict=True) if text != "none" or key.startswith("training.")]
    return ", ".join(text if key in OPTIONS else f"{key.rpartition('.')[2]}={text}" for key, text in shown)


def final_metric(runs: pd.DataFrame, quantity: str) -> str | None:
    """Key of the final loss or accuracy: of the test part where every run has one, else of the training part."""
    trained = runs[~runs["diverged"]]
    found = [key for key in FINAL[quantity] if key in runs and runs[key].notna().any()]
    return next((key for key in found if trained[key].notna().all()), found[0] if found else None)


def usable(runs: pd.DataFrame, metric: str) -> "pd.Series[bool]":
    """Whether a run counts: it did not diverge, and its final value is a finite number."""
    return ~runs["diverged"] & np.isfinite(runs[metric].astype(float))


def part_of(metric: str) -> str:
    """``test`` or ``training``: the part of the data that a metric was measured on."""
    return {"test": "test", "train": "training"}[metric.rpartition("/")[2]]


def loss_label(runs: pd.DataFrame, metric: str) -> str:
    """What a loss is called on an axis; only a cross-entropy has the unit nats."""
    losses = set(runs["training.loss"].map(_text)) if "training.loss" in runs else set()
    return f"{part_of(metric)} loss" + (" [nats]" if losses <= {"none", "cross_entropy"} else "")


def number(value: float, digits: int = 2) -> str:
    """A number in few characters, with a true minus sign."""
    return f"{value:.{digits}g}".replace("-", MINUS)


def interval(low: float, high: float) -> str:
    """The ends of an interval in brackets."""
    return f"[{number(low)}, {number(high)}]"


def counted(counts: Sequence[int]) -> str:
    """``5``, or ``3 to 5`` where the counts differ."""
    return f"{min(counts)}" if min(counts) == max(counts) else f"{min(counts)} to {max(counts)}"


def literal(text: object) -> str:
    """A text that matplotlib draws as it is, also with dollar signs."""
    return str(text).replace("$", r"\$")


def plain_log_ticks(axis: Axis, low: float, high: float) -> None:
    """Ticks 1, 2, 5, 10 ... on a logarithmic axis that spans too little for powers of ten alone."""
    if high / low < 1e3:
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.set_major_formatter("{x:g}")
        axis.set_minor_locator(NullLocator())


@figure
def distance_and_loss(tables: Tables) -> Drawing:
    """Final loss of every network against the final distance between its hidden units."""
    runs = tables.runs[tables.runs["model"] == "mlp"]
    distances = runs.get(names.DISTANCE, pd.Series(np.nan, runs.index)).astype(float)
    # A diverged run has neither a final distance nor a final loss, but it is counted.
    measured = runs[runs["diverged"] | distances.notna()]
    if measured.empty:
        raise NotShownError(
            "no run has hidden units whose distance was measured; python -m pipeline.run -m model=mlp"
            " init=zeros,constant,xavier_uniform"
        )
    metric = final_metric(measured, "loss")
    kept = measured[usable(measured, metric) & np.isfinite(distances)[measured.index]] if metric else measured[:0]
    if metric is None or kept.empty:
        raise NotShownError(
            f"every network diverged ({amount(len(measured), 'run')});"
            " python -m pipeline.run -m model=mlp optimizer.learning_rate=0.01,0.1"
        )
    keys = ["init", RATE, "seed", names.DISTANCE, metric]
    data = kept[[*keys, "run_id"]].assign(metric=metric).sort_values([*keys, "run_id"], ignore_index=True)
    data.columns = pd.Index(["init", "learning_rate", "seed", "distance", "loss", "run_id", "metric"])
    broken = data[data["distance"] > 0.0]
    overall, without_symmetric = (_correlation(part) for part in (data, broken))
    texts = param_texts(kept)
    also = distinguishing(
        texts, ["init", RATE, "seed"], [key for key in map(str, texts) if key not in (*keys, "model")]
    )
    numbers = {
        "part": part_of(metric),
        "runs": len(data),
        "diverged": len(measured) - len(kept),
        "symmetric": len(data) - len(broken),
        "correlation": overall,
        "correlation_without_symmetric": without_symmetric,
        "also": f"The runs also differ in {', '.join(also)}." if also else "",
    }
    canvas = Figure(figsize=(9.0, 5.6), layout="constrained")
    axes = canvas.subplots()
    _distance_axis(axes, data["distance"].to_numpy())
    _points(axes, data)
    axes.set_yscale("log")
    plain_log_ticks(axes.yaxis, data["loss"].min(), data["loss"].max())
    axes.set_ylabel(f"final {loss_label(runs, metric)}")
    heading = (
        f"{amount(len(data), 'network')}, one point each; {numbers['diverged']} more diverged\n"
        f"rank correlation of distance and loss [95 % interval over runs]: {overall}\n"
        f"without the {numbers['symmetric']} exactly symmetric networks: {without_symmetric}\n{numbers['also']}"
    )
    axes.set_title(literal(heading.rstrip()), loc="left")
    return Drawing(canvas, data, numbers)


def _correlation(data: pd.DataFrame) -> str:
    value, low, high = rank_correlation(data["distance"].to_numpy(), data["loss"].to_numpy())
    if math.isnan(value):
        return "not defined (fewer than three runs, or no variation)"
    return f"{value:.2f} [{low:.2f}, {high:.2f}]".replace("-", MINUS)


def _points(axes: Axes, data: pd.DataFrame) -> None:
    rates = sorted(set(data["learning_rate"]))
    # More rates than markers cannot be told apart by shape.
    told_apart = len(rates) <= len(MARKERS)
    marker_of = dict(zip(rates, MARKERS, strict=False)) if told_apart else dict.fromkeys(rates, "o")
    colours = colours_of(schemes_in(data["init"]))
    at_zero = schemes_in(data.loc[data["distance"] == 0.0, "init"])
    group: Any
    for group, points in data.groupby(["init", "learning_rate", data["distance"] == 0.0], sort=True):
        scheme, rate, is_zero = group
        (line,) = axes.plot(
            points["distance"], points["loss"], marker_of[rate], color=colours[scheme],
            alpha=0.7, ms=6, markeredgecolor="white", markeredgewidth=0.4,
        )  # fmt: skip
        if is_zero:
            # Exact zeros of several schemes stand side by side.
            aside = (at_zero.index(scheme) - (len(at_zero) - 1) / 2) * 8 / 72
            line.set_transform(axes.transData + ScaledTranslation(aside, 0, axes.figure.dpi_scale_trans))
    sections = {"initialisation": [(literal(scheme), "o", colour) for scheme, colour in colours.items()]}
    if told_apart:
        sections["learning rate"] = [(f"{rate:g}", marker, "0.4") for rate, marker in marker_of.items()]
    entries = [entry for heading, section in sections.items() for entry in [(heading, "", "none"), *section]]
    handles = [Line2D([], [], ls="", marker=marker, color=colour) for _, marker, colour in entries]
    legend = axes.legend(handles, [text for text, *_ in entries], loc="upper left", bbox_to_anchor=(1.0, 1.0))
    for text in legend.get_texts():
        text.set_fontweight("bold" if text.get_text() in sections else "normal")


def _distance_axis(axes: Axes, distances: np.ndarray) -> None:
    """Logarithmic; if there are exact zeros, linear from 0 to the decade below the smallest other distance."""
    axes.set_xlabel("final mean distance between the incoming weights of two hidden units")
    positive = distances[distances > 0.0]
    if len(positive) == len(distances):
        axes.set_xscale("log")
        return
    smallest, largest = (positive.min(), positive.max()) if len(positive) else (0.1, 1.0)
    smallest = 10.0 ** math.floor(math.log10(smallest))
    # The linear part takes a tenth of the axis, however many decades the rest spans.
    axes.set_xscale("symlog", linthresh=smallest, linscale=max(1.0, 0.1 * math.log10(largest / smallest)))
    axes.set_xlim(-0.4 * smallest, largest * (largest / smallest) ** 0.05)
    axes.axvline(0.0, color="0.85", lw=0.8, zorder=0)
