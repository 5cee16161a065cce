"""The figures of the report; importing this package registers all of them."""

from analysis.figures.kit.drawing import FIGURES, Drawing, NotShownError

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
