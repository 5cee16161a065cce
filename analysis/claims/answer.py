"""What a prepared question's runs say: verdicts and a conclusion, computed by a function of the tables."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from analysis.claims.claim import Claim
from analysis.tracked.tables import Tables


class Answer(NamedTuple):
    """The answer to a prepared question.

    Attributes:
        claims: its statements with their verdicts, as in the general table of claims.
        conclusion: two or three sentences with the measured numbers; a prediction that fails is named first.
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


def question(
    name: str, figures: Sequence[str] | None = None
) -> Callable[[Callable[[Tables], Answer]], Callable[[Tables], Answer]]:
    """Registers the function that answers a prepared question.

    Args:
        name: the question's.
        figures: the general figures that its page shows after its own; None for all that its runs can make.
    """

    def register(function: Callable[[Tables], Answer]) -> Callable[[Tables], Answer]:
        ANSWERS[name] = Answering(function, figures)
        return function

    return register
