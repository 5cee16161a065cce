"""The registry of prepared questions: the answer of each, a function from the tables to verdicts and a conclusion."""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, NamedTuple

from analysis.claims.claim import NOT_TESTED, UNDECIDED, Claim
from analysis.claims.verdicts import failures
from analysis.tracked.tables import Tables
from analysis.wording import sweep_of


class Answer(NamedTuple):
    """The answer to a prepared question.

    Attributes:
        claims: its statements with their verdicts, as in the general table of claims.
        conclusion: two or three sentences with the measured numbers.
    """

    claims: Sequence[Claim]
    conclusion: str


class Answering(NamedTuple):
    """How a prepared question is answered.

    Attributes:
        function: from the tables to the answer.
        figures: names of the general figures that fit, in the order of the page; None for all that can be drawn.
    """

    function: Callable[[Tables], Answer]
    figures: Sequence[str] | None


ANSWERS: dict[str, Answering] = {}
"""Question -> how it is answered."""


def question_of(function: Callable[..., Any]) -> str:
    """The question in whose folder ``analysis/questions/NAME`` a function stands; empty for other functions."""
    package, _, name = function.__module__.rpartition(".")[0].rpartition(".")
    return name if package == "analysis.questions" else ""


def question(
    figures: Sequence[str] | None = None,
) -> Callable[[Callable[[Tables], Answer]], Callable[[Tables], Answer]]:
    """Registers the function that answers the question of its folder.

    What all answers share is added here: claims are numbered, untested and undecided ones get the question's command,
    and the conclusion begins with the predictions that fail.

    Args:
        figures: the general figures that its page shows after its own; None for all that its runs can make.
    """

    def register(function: Callable[[Tables], Answer]) -> Callable[[Tables], Answer]:
        name = question_of(function)

        @wraps(function)
        def answer(tables: Tables) -> Answer:
            claims, conclusion = function(tables)
            commands = {NOT_TESTED: sweep_of(name), UNDECIDED: f"{sweep_of(name)} size=large"}
            claims = [
                claim._replace(identity=claim.identity or str(place), command=commands.get(claim.verdict, ""))
                for place, claim in enumerate(claims, start=1)
            ]
            return Answer(claims, f"{failures(claims)} {conclusion}".strip())

        ANSWERS[name] = Answering(answer, figures)
        return answer

    return register
