"""The slider: hidden units' incoming weights, loss and distance of recorded runs, as data for one inline script.

A player has frames (measured steps, or sizes of a push) and panels (starts). The script shows one frame of every panel.
"""

import base64
import json
import math
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis.errors import ReportError
from analysis.figures.kit.drawing import NotShownError
from analysis.figures.kit.style import colours_of
from analysis.figures.starts import Recorded, image_side, is_recorded, recorded_starts
from analysis.tracked.tables import Tables
from pipeline import names

MOST_UNITS = 16
MOST_INPUTS = 1024
LEVELS = 127
"""A weight is shown as a whole number from -127 to 127: the colour has no more."""
WIDTH, HEIGHT = 300.0, 84.0
FEWEST_SIZES = 3
PUSHED_COLOURS = {"exact": "#0173b2", "blas": "#d62728"}


class Panel(NamedTuple):
    """One picture with its numbers, at every frame.

    Attributes:
        title: above it.
        colour: of its lines.
        loss: (frames,), of the training part.
        distance: (frames,), mean distance between hidden units.
        weights: (frames, inputs, units), incoming weights of the first hidden layer.
    """

    title: str
    colour: str
    loss: Sequence[float]
    distance: Sequence[float]
    weights: np.ndarray


class Player(NamedTuple):
    """What a slider shows.

    Attributes:
        name: of the player; also of the figure that stands for it on paper and without scripts.
        axis: what the slider moves along: "step".
        frames: its places, as text.
        panels: side by side.
        side: of the square whose pixels the inputs are; 0 where they are none.
    """

    name: str
    axis: str
    frames: Sequence[str]
    panels: Sequence[Panel]
    side: int

    @property
    def data(self) -> str:
        """All that the script reads, as JSON that may stand inside an element ``script``."""
        panels = [
            {
                "loss": panel.loss,
                "distance": panel.distance,
                "largest": largest,
                "weights": base64.b64encode(levels).decode(),
            }
            for panel in self.panels
            for largest, levels in [_levels(panel.weights)]
        ]
        _, inputs, units = self.panels[0].weights[:, :, :MOST_UNITS].shape
        found = {
            "axis": self.axis,
            "frames": self.frames,
            "side": self.side,
            "inputs": inputs,
            "units": units,
            "panels": panels,
        }
        return json.dumps(found, separators=(",", ":")).replace("<", r"\u003c")

    def curves(self, quantity: str) -> list[dict[str, str]]:
        """The lines of ``loss`` or ``distance``: colour, and points in a box of ``WIDTH`` x ``HEIGHT``."""
        values = np.array([getattr(panel, quantity) for panel in self.panels], float)
        heights = _heights(values)
        across = np.linspace(0.0, WIDTH, values.shape[1])
        return [
            {
                "colour": panel.colour,
                "points": " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(across, line, strict=True) if math.isfinite(y)),
            }
            for panel, line in zip(self.panels, heights, strict=True)
        ]


def _levels(weights: np.ndarray) -> tuple[float, bytes]:
    """The weight that has the last level, and all weights as levels, frame by frame and unit by unit."""
    shown = weights[:, :MOST_INPUTS, :MOST_UNITS].swapaxes(1, 2)
    largest = float(np.abs(shown).max()) or 1.0
    return largest, np.rint(LEVELS * shown / largest).astype(np.int8).tobytes()


def _heights(values: np.ndarray) -> np.ndarray:
    """Where values stand in the box, from above, on a logarithmic scale; 0 on its floor."""
    positive = values[(values > 0.0) & np.isfinite(values)]
    if not len(positive):
        return np.full(values.shape, HEIGHT - 2.0)
    low, high = math.log10(positive.min()), math.log10(positive.max())
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = (np.log10(values) - low) / (high - low or 1.0)
    floor = 12.0 if (values == 0.0).any() else 2.0
    return np.where(values == 0.0, HEIGHT - 2.0, HEIGHT - floor - shares * (HEIGHT - floor - 3.0))


def players_of(tables: Tables) -> list[Player]:
    """The sliders of a page: over the measured steps, and over the size of a push where runs differ in that."""
    found: list[Player] = []
    with suppress(NotShownError, ReportError):
        found.append(step_player(recorded_starts(tables), tables))
    with suppress(ReportError):
        found += pushed_players(tables)
    return found


def step_player(starts: Sequence[Recorded], tables: Tables) -> Player:
    """The slider over the measured steps."""
    steps = [int(step) for step in starts[0].arrays["steps"]]
    colours = colours_of([start.run["init"] for start in starts])
    panels = [
        Panel(
            start.title,
            colours[start.run["init"]],
            *_numbers(tables, start.run["run_id"], steps),
            start.arrays["weights1"],
        )
        for start in starts
    ]
    return Player(
        "steps",
        "step",
        [str(step) for step in steps],
        panels,
        image_side(starts[0].run["data"], len(starts[0].arrays["example_inputs"])),
    )


def _numbers(tables: Tables, run_id: str, steps: Sequence[int]) -> tuple[list[float], list[float]]:
    """Training loss and distance of a run at these steps."""
    curves = tables.curves[tables.curves["run_id"] == run_id]
    found = []
    for metric in (names.LOSS_TRAIN, names.DISTANCE):
        values = curves[curves["metric"] == metric].set_index("step")["value"]
        found.append([float(values[step]) for step in steps])
    return found[0], found[1]


def pushed_players(tables: Tables) -> list[Player]:
    """A slider over the size of the push, where recorded runs differ in that; it shows their ends.

    Of each size the run with the lowest seed is shown, for each arithmetic apart.
    """
    runs = tables.runs[is_recorded(tables.runs) & (tables.runs["init"] == "perturbed") & ~tables.runs["diverged"]]
    if runs.empty or runs["init.epsilon"].nunique() < FEWEST_SIZES:
        return []
    order = ["init.epsilon", "seed", "run_id"]
    chosen = runs.sort_values(order).drop_duplicates(["arithmetic", "init.epsilon"])
    common = chosen["init.epsilon"].value_counts() == chosen["arithmetic"].nunique()
    sizes = sorted(common.index[common])
    chosen = chosen[chosen["init.epsilon"].isin(sizes)]
    panels = [
        _pushed_panel(tables, chosen[chosen["arithmetic"] == arithmetic], f"{arithmetic} products", colour)
        for arithmetic, colour in PUSHED_COLOURS.items()
        if arithmetic in set(chosen["arithmetic"])
    ]
    side = image_side(str(chosen["data"].iloc[0]), panels[0].weights.shape[1])
    return [Player("pushes", "epsilon", [f"{size:g}" for size in sizes], panels, side)]


def _pushed_panel(tables: Tables, runs: pd.DataFrame, title: str, colour: str) -> Panel:
    """The ends of runs, a frame each."""
    weights = np.stack([tables.recorded(run_id)["weights1"][-1] for run_id in runs["run_id"]])
    return Panel(title, colour, runs[names.LOSS_TRAIN].tolist(), runs[names.DISTANCE].tolist(), weights)
