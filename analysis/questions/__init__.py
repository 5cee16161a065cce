"""Prepared questions, one folder each; importing this package registers all of them.

The folder ``rounding`` holds the answer of that question, as verdicts computed from the runs, and the figures that show
it; ``tables.py`` where both need large tables. The words of its figures are in ``captions.yaml``, and why one expects
the answer in ``derivation.txt``::

    @question(figures=())  # answer.py; figures: the general ones that fit
    def answer(tables: Tables) -> Answer: ...

    @figure  # figures.py
    def rounding_distance(tables: Tables) -> Drawing: ...

``conf/experiment/rounding.yaml`` holds what it asks and predicts, and its sweep. From outside: ANSWERS, by name.
"""

from importlib import import_module
from importlib.resources import files
from pkgutil import walk_packages

from analysis.claims.answer import ANSWERS, Answer

__all__ = ["ANSWERS", "Answer", "derivation_of"]


def derivation_of(question: str) -> str:
    """Why one expects the answer to a question, with formulas (``derivation.txt``); empty where its folder has none."""
    text = files(f"{__name__}.{question}") / "derivation.txt"
    return text.read_text(encoding="utf-8") if text.is_file() else ""


def register_questions() -> None:
    """Imports all modules in the folders of questions; each registers what it holds."""
    for module in walk_packages(__path__, f"{__name__}."):
        import_module(module.name)


register_questions()
