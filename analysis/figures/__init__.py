"""General figures, one module a family, for every experiment; importing this package registers all of them.

curves: loss and symmetry over the steps. heatmaps: final loss and accuracy by learning rate. units: the hidden units of
two runs (``starts``: which two; ``features``: beside names). recordings: the same over the steps. scatter: distance
against loss. logistic: the gap to the optimum from every start (``arrivals``: its tables). paired: starts compared run
against run. diagram: the network (``architecture``: which one).
captions.yaml: their words. kit: what figures share, those of questions too (drawing, style, words, pairs).

From outside: FIGURES, Drawing, NotShownError and ``kit``.
"""

from importlib import import_module
from pkgutil import iter_modules

from analysis.figures.kit.drawing import FIGURES, Drawing, NotShownError

__all__ = ["FIGURES", "Drawing", "NotShownError"]

for module in iter_modules(__path__):
    import_module(f"{__name__}.{module.name}")
