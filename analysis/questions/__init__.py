"""Prepared questions, one module each; importing this package registers all of them.

A module holds the answer of its question, as verdicts computed from the runs, and the figures that show it::

    @question("rounding")
    def answer(tables: Tables) -> Answer: ...

    @figure_of("rounding")
    def rounding_distance(tables: Tables) -> Drawing: ...  # its words: analysis/captions/rounding_distance.yaml

``conf/experiment/rounding.yaml`` holds what it asks and predicts, and its sweep.
"""

from importlib import import_module
from pkgutil import iter_modules

from analysis.claims.answer import ANSWERS, Answer

__all__ = ["ANSWERS", "Answer"]

for module in iter_modules(__path__):
    import_module(f"{__name__}.{module.name}")
