"""The figures of the report; importing this package registers all of them."""

from analysis.figures import curves, diagram, heatmaps, logistic, paired, scatter, units
from analysis.figures.drawing import FIGURES, Drawing, NotShownError

__all__ = [
    "FIGURES",
    "Drawing",
    "NotShownError",
    "curves",
    "diagram",
    "heatmaps",
    "logistic",
    "paired",
    "scatter",
    "units",
]
