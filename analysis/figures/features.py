"""Weights of hidden units beside the names of the features, where these are known and few enough to be read."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, Normalize

from analysis.figures.kit.words import literal
from analysis.tracked.tables import Tables

MOST_NAMED = 40
LONGEST_NAME = 24


def named_features(tables: Tables, run: "pd.Series[Any]", inputs: int) -> list[str]:
    """The names of a run's features, shortened; none where they are not known, or too many to be read."""
    found = tables.features.get(str(run.get("data.digest")), [])
    if len(found) != inputs or inputs > MOST_NAMED:
        return []
    return [literal(name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…") for name in found]


def draw_named_weights(axes: Axes, units: np.ndarray, features: list[str], colours: Colormap, scale: Normalize) -> None:
    """One row a feature, by its name, and one column a unit, counted from 1.

    Args:
        units: (units, features).
    """
    count = len(units)
    edges = (0.5, count + 0.5, len(features) - 0.5, -0.5)
    axes.imshow(units.T, cmap=colours, norm=scale, extent=edges, aspect="auto", interpolation="none")
    axes.set_yticks(range(len(features)), features, size=8)
    axes.set_xticks(range(1, count + 1, 1 if count <= 8 else 3))
    axes.set_xlabel("hidden unit")
    axes.tick_params(length=0)
