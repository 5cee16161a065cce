"""Ranges of hyperparameters, written as annotations so that a function's signature is its specification.

``config.parse`` reads them from the signature of an initialiser, optimiser or data source and checks the
user's values against them. NaN and infinity are never allowed.
"""

import json
from contextlib import suppress
from typing import Annotated, Any

from annotated_types import Ge, Gt, Lt
from pydantic import BeforeValidator

EXACT_INTEGERS = 2**53
"""Below this float64 holds every whole number; stores of metrics know no more steps either."""

MOST_TEACHER_UNITS = 8
"""Memory is planned for so many overlaps of each unit with a teacher's."""


def number_in(value: Any) -> Any:
    """The number that a text spells, or the value as it is: what environment variables hold is always text.

    As in JSON no number begins with a zero that says nothing: ``0,01`` is a decimal comma, not the sweep 0 and 1.

    >>> number_in("7"), number_in("0.5"), number_in("01"), number_in("seven"), number_in(True)
    (7, 0.5, '01', 'seven', True)
    """
    if isinstance(value, str):
        with suppress(ValueError, RecursionError):
            number = json.loads(value)
            return number if type(number) in (int, float) else value
    return value


def whole(value: Any) -> Any:
    """A number without a fraction as the integer that it is: ``training.steps=1e3`` means 1000.

    >>> whole(1e3), whole("0012"), whole(0.5)
    (1000, 12, 0.5)
    """
    number = int(value) if isinstance(value, str) and value.isdecimal() else number_in(value)
    is_whole = isinstance(number, float) and number.is_integer() and abs(number) < EXACT_INTEGERS
    return int(number) if is_whole else number


Whole = Annotated[int, BeforeValidator(whole)]
Number = Annotated[float, BeforeValidator(number_in)]

Positive = Annotated[Number, Gt(0)]
NonNegative = Annotated[Number, Ge(0)]
Fraction = Annotated[Number, Ge(0), Lt(1)]
Count = Annotated[Whole, Ge(1)]
