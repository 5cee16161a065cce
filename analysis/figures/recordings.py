"""Figure 10: the hidden units of recorded runs over the steps, as the slider of the page shows them."""

import numpy as np
import pandas as pd
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from analysis.figures.kit.drawing import Drawing, figure
from analysis.figures.kit.style import colours_of
from analysis.figures.kit.words import literal
from analysis.figures.starts import Recorded, image_side, recorded_starts
from analysis.figures.units import BETWEEN_TILES, mosaic
from analysis.tracked.tables import Tables
from analysis.wording import amount
from pipeline import names

COLUMNS = 6
UNITS = 16


@figure
def weights_over_steps(tables: Tables) -> Drawing:
    """Incoming weights of hidden units at some measured steps (columns), from the recorded starts (rows).

    The data frame has one row per start, step, unit and input.

    Raises:
        NotShownError: nothing was recorded.
    """
    starts = recorded_starts(tables)
    steps = starts[0].arrays["steps"]
    places = sorted({*np.linspace(0, len(steps) - 1, COLUMNS).round().astype(int).tolist()})
    canvas = Figure(figsize=(1.75 * len(places), 0.4 + 2.15 * len(starts)), layout="constrained")
    grid = canvas.subplots(len(starts), len(places), squeeze=False)
    rows = []
    for start, panels in zip(starts, grid, strict=True):
        scale = scale_of(start)
        for axes, place in zip(panels, places, strict=True):
            weights = start.arrays["weights1"][place][:, :UNITS]
            axes.imshow(picture(start, weights), cmap=BETWEEN_TILES, norm=scale, interpolation="none", aspect="auto")
            axes.set_xticks([])
            axes.set_yticks([])
            axes.spines[:].set_visible(False)
            distance = distance_at(tables, start, int(steps[place]))
            axes.set_title(f"step {int(steps[place])}\ndistance {distance}", size=9)
            inputs, units = (index.ravel() + 1 for index in np.indices(weights.shape))
            facts = {"run_id": start.run["run_id"], "init": start.run["init"], "step": int(steps[place])}
            rows.append(pd.DataFrame(facts | {"unit": units, "input": inputs, "weight": weights.ravel()}))
        colour = colours_of([start.run["init"]])[start.run["init"]]
        panels[0].set_ylabel(literal(start.title.replace(": ", ":\n")), weight="bold", color=colour)
    numbers = {
        "starts": ", ".join(start.scheme for start in starts),
        "data": starts[0].run["data"],
        "rate": starts[0].run[names.RATE],
        "seed": starts[0].run["seed"],
        "units": amount(min(UNITS, starts[0].arrays["weights1"].shape[2]), "unit"),
    }
    return Drawing(canvas, pd.concat(rows, ignore_index=True), numbers)


def scale_of(start: Recorded) -> Normalize:
    """The scale of a start's colours: that of its largest weight at any step."""
    largest = float(np.abs(start.arrays["weights1"]).max()) or 1.0
    return Normalize(-largest, largest)


def picture(start: Recorded, weights: np.ndarray) -> np.ndarray:
    """Incoming weights (inputs, units) as an image: tiles of pixels, or a column a unit."""
    side = image_side(str(start.run["data"]), len(weights))
    return mosaic(weights.T, side, a_row=4) if side else weights


def tracked_distance(tables: Tables, start: Recorded, step: int) -> float:
    """The mean distance between hidden units at a measured step."""
    of_run = (tables.curves["run_id"] == start.run["run_id"]) & (tables.curves["metric"] == names.DISTANCE)
    return float(tables.curves.loc[of_run & (tables.curves["step"] == step), "value"].iloc[0])


def distance_at(tables: Tables, start: Recorded, step: int) -> str:
    """The same as titles show it."""
    value = tracked_distance(tables, start, step)
    return "exactly 0" if value == 0.0 else f"{value:.3g}"
