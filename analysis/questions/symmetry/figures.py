"""Figures of the sheet: what one example does in a symmetric and in a random start, and two derivations."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from analysis.figures.kit.drawing import Drawing, NotShownError, figure
from analysis.figures.kit.style import PALETTE, SHADES, colours_of, set_step_axis
from analysis.figures.kit.words import literal
from analysis.figures.starts import Recorded, recorded_starts
from analysis.figures.units import BETWEEN_TILES
from analysis.theory.descent import FEATURES, RATE, descent_from_zeros, mean_loss
from analysis.theory.equal_linear import UNITS, linear_descents
from analysis.tracked.tables import Tables
from analysis.wording import MINUS, amount, number

MOST_UNITS = 64
LEVELS = 14


def pair_of(tables: Tables) -> tuple[Recorded, Recorded]:
    """The recorded runs that stand for the symmetric and the random start."""
    first, *_, last = recorded_starts(tables)
    return first, last


@figure
def descent_to_optimum(tables: Tables) -> Drawing:
    """The way of gradient descent from zeros over the contours of the loss. It needs no run."""
    found = descent_from_zeros()
    canvas = Figure(figsize=(7.0, 4.6), layout="constrained")
    axes = canvas.subplots()
    low, high = np.minimum(found.optimum, 0.0) - (1.0, 1.6), np.maximum(found.optimum, 0.0) + 1.0
    first, second = (np.linspace(start, end, 64) for start, end in zip(low, high, strict=True))
    losses = mean_loss(np.stack(np.meshgrid(first, second), axis=-1), found.inputs, found.labels)
    levels = found.least + (losses.max() - found.least) * np.linspace(0.0, 1.0, LEVELS) ** 2
    lines = axes.contour(first, second, losses, levels[1:], cmap=SHADES.reversed(), linewidths=0.9)
    axes.clabel(lines, fmt="%.2f", fontsize=8)
    axes.plot(*found.path.T, color=PALETTE["constant"], marker=".", ms=4, lw=1.0, label="gradient descent from zeros")
    axes.plot(*found.optimum, "*", color="black", ms=13, label="optimum (Newton's method)")
    axes.set(xlabel=f"weight of {FEATURES[0]}", ylabel=f"weight of {FEATURES[1]}")
    canvas.legend(loc="outside upper center", ncols=2)
    data = pd.DataFrame({"step": range(len(found.path)), "w1": found.path[:, 0], "w2": found.path[:, 1]})
    numbers = {"steps": len(found.path) - 1, "rate": RATE, "least": found.least, "examples": len(found.labels)}
    return Drawing(canvas, data.assign(loss=found.losses), numbers)


@figure
def hidden_activations(tables: Tables) -> Drawing:
    """The activations of one example in all hidden units, at the start and at the end, of two starts."""
    return _bars(tables, "example_activations1", "activation $x_j^{(1)}$")


@figure
def hidden_deltas(tables: Tables) -> Drawing:
    """The deltas of one example in all hidden units, at the start and at the end, of two starts."""
    return _bars(tables, "example_deltas1", r"delta $\delta_j^{(1)}$")


def _bars(tables: Tables, name: str, label: str) -> Drawing:
    """A panel for each start (columns) and for the first and the last measured step (rows), a bar a unit."""
    starts = pair_of(tables)
    canvas = Figure(figsize=(9.0, 4.0), layout="constrained")
    grid = canvas.subplots(2, 2, sharex=True)
    rows = []
    for start, column in zip(starts, grid.T, strict=True):
        colour = colours_of([start.run["init"]])[start.run["init"]]
        for axes, place in zip(column, (0, -1), strict=True):
            values, step = start.arrays[name][place], int(start.arrays["steps"][place])
            shown = values[:MOST_UNITS]
            axes.bar(np.arange(1, len(shown) + 1), shown, color=colour, width=0.8)
            axes.axhline(0.0, color="0.5", lw=0.8)
            spread = np.ptp(values)
            size = max(np.abs(shown).max(), np.finfo(float).tiny)
            axes.set_ylim(*_limits(shown, size))
            axes.set_title(literal(f"{start.title}, {_when(step)}\n{_equality(values, spread)}"), size=9)
            rows += [
                (start.run["run_id"], start.run["init"], step, unit, value) for unit, value in enumerate(values, 1)
            ]
        column[-1].set_xlabel("hidden unit $j$")
    for axes in grid[:, 0]:
        axes.set_ylabel(label)
    data = pd.DataFrame(rows, columns=["run_id", "init", "step", "unit", "value"])
    return Drawing(canvas, data, _numbers(starts) | {"largest": _spread_in_words(starts[0].arrays[name])})


def _limits(values: np.ndarray, size: float) -> tuple[float, float]:
    return (-1.15 * size if values.min() < 0.0 else 0.0, 1.15 * size if values.max() > 0.0 else 0.15 * size)


def _equality(values: np.ndarray, spread: float) -> str:
    units = amount(len(values), "unit")
    return (
        f"all {units} equal: {number(values[0], 3)}"
        if spread == 0.0
        else f"{units}, from {number(values.min(), 3)} to {number(values.max(), 3)}"
    )


def _spread_in_words(values: np.ndarray) -> str:
    """The largest difference between two units at any measured step."""
    largest = float(np.ptp(values, axis=1).max())
    return "exactly 0" if largest == 0.0 else f"{largest:.3g}"


@figure
def output_deltas(tables: Tables) -> Drawing:
    """Outputs, target and deltas of one example at both starts, by output; it needs more than one.

    Raises:
        NotShownError: nothing was recorded, or there is a single output.
    """
    starts = pair_of(tables)
    outputs = len(starts[0].arrays["example_targets"])
    if outputs == 1:
        raise NotShownError("a single output has no other to differ from", "python -m pipeline.run -m data=digits")
    layer = _layers(starts[0])
    canvas = Figure(figsize=(9.0, 3.0), layout="constrained")
    panels = canvas.subplots(1, 2, sharey=True)
    rows = []
    place = np.arange(outputs)
    for start, axes in zip(starts, panels, strict=True):
        targets, deltas = start.arrays["example_targets"], start.arrays[f"example_deltas{layer}"][0]
        bars = {
            "target $y_j$": (targets, "0.75"),
            "output $q_j$": (deltas + targets, "#56b4e9"),
            r"delta $q_j - y_j$": (deltas, "#d55e00"),
        }
        for shift, (label, (values, colour)) in enumerate(bars.items()):
            axes.bar(place + (shift - 1) * 0.27, values, 0.27, color=colour, label=label)
        axes.axhline(0.0, color="0.5", lw=0.8)
        axes.set_xticks(place)
        axes.set(xlabel="output $j$", title=literal(f"{start.title}, before training"))
        rows += [(start.run["run_id"], start.run["init"], j, targets[j], deltas[j]) for j in range(outputs)]
    canvas.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    data = pd.DataFrame(rows, columns=["run_id", "init", "output", "target", "delta"])
    return Drawing(canvas, data, _numbers(starts))


@figure
def weights_after_one_step(tables: Tables) -> Drawing:
    """Both weight matrices of a symmetric and of a random start after the first step, less their means, in colour."""
    starts = pair_of(tables)
    if _layers(starts[0]) != 2:
        raise NotShownError(
            "the figure is that of one hidden layer", "python -m pipeline.run -m model=mlp init=constant"
        )
    canvas = Figure(figsize=(9.0, 5.4), layout="constrained")
    rows = []
    for start, half in zip(starts, canvas.subfigures(1, 2, squeeze=False)[0], strict=True):
        half.suptitle(literal(start.title), weight="bold", size=10)
        panels = half.subplots(2, 1, height_ratios=(2, 1))
        place = int(np.flatnonzero(start.arrays["steps"] >= 1)[0]) if start.arrays["steps"].max() >= 1 else 0
        when = _when(int(start.arrays["steps"][place]))
        for layer, axes in enumerate(panels, start=1):
            weights = start.arrays[f"weights{layer}"][place]
            _draw_matrix(axes, weights if layer == 1 else weights.T)
            axes.set_xlabel("hidden unit" if layer == 2 else "")
            axes.set_ylabel("input $i$" if layer == 1 else "output $j$")
            axes.set_title(
                rf"$W^{{({layer})}}$ {('incoming', 'outgoing')[layer - 1]} weights, {when}",
                size=9,
            )
            inputs, units = np.indices(weights.shape)
            rows.append(
                pd.DataFrame(
                    {
                        "run_id": start.run["run_id"],
                        "init": start.run["init"],
                        "layer": layer,
                        "from": inputs.ravel() + 1,
                        "to": units.ravel() + 1,
                        "weight": weights.ravel(),
                    }
                )
            )
    return Drawing(canvas, pd.concat(rows, ignore_index=True), _numbers(starts))


def _draw_matrix(axes: Axes, matrix: np.ndarray) -> None:
    """A matrix in colour around its mean, (rows, hidden units)."""
    middle = float(matrix.mean())
    largest = float(np.abs(matrix - middle).max()) or 1.0
    image = axes.imshow(
        matrix - middle, cmap=BETWEEN_TILES, norm=Normalize(-largest, largest), aspect="auto", interpolation="none"
    )
    axes.spines[["top", "right"]].set_visible(True)
    axes.set_xticks([])
    axes.set_yticks([])
    bar = axes.figure.colorbar(image, ax=axes, aspect=12)
    bar.set_label(f"weight {MINUS} {number(middle, 3)}", size=8)
    bar.ax.tick_params(labelsize=8)


@figure
def linear_from_equal(tables: Tables) -> Drawing:
    """A linear network from equal and from random weights, and the linear model from zeros. It needs no run."""
    found = linear_descents()
    canvas = Figure(figsize=(7.0, 3.6), layout="constrained")
    axes = canvas.subplots()
    lines = {
        "linear network, equal weights": (found.equal, PALETTE["constant"], "-"),
        "linear network, random weights": (found.random, PALETTE["he_normal"], "-"),
        "linear model, zeros": (found.model, PALETTE["zeros"], "--"),
    }
    steps = np.unique(np.geomspace(1, len(found.equal), 150).round().astype(int)) - 1
    data = pd.concat(
        [pd.DataFrame({"model": label, "step": steps, "error": values[steps]}) for label, (values, *_) in lines.items()]
    )
    for label, (values, colour, dash) in lines.items():
        axes.plot(steps, np.maximum(values[steps], 1e-12), color=colour, ls=dash, lw=1.8, label=label)
    axes.axhline(found.floor, color="0.5", lw=0.9, ls=":", label="what rank one leaves")
    axes.set_yscale("log")
    axes.set_ylim(1e-6, None)
    set_step_axis(axes)
    axes.set(xlabel="step", ylabel="squared error above\nthe optimum")
    canvas.legend(loc="outside upper center", ncols=2)
    numbers = {"units": UNITS, "floor": found.floor, "equal": found.equal[-1], "steps": len(found.equal) - 1}
    return Drawing(canvas, data.reset_index(drop=True), numbers)


def _layers(start: Recorded) -> int:
    return sum(name.startswith("weights") for name in start.arrays)


def _when(step: int) -> str:
    return "before training" if step == 0 else f"after {amount(step, 'step')}"


def _numbers(starts: tuple[Recorded, Recorded]) -> dict[str, Any]:
    """Values for the captions."""
    symmetric, random = starts
    return {
        "symmetric": symmetric.scheme,
        "random": random.scheme,
        "rate": symmetric.run["optimizer.learning_rate"],
        "seed": symmetric.run["seed"],
        "data": symmetric.run["data"],
        "last": int(symmetric.arrays["steps"][-1]),
        "units": symmetric.arrays["weights1"].shape[2],
    }
