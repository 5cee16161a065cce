"""Ranges of hyperparameters, written as annotations so that a function's signature is its specification.

``config`` reads them from the signature of an initialiser, optimiser or data source and checks the
user's values against them. NaN and infinity are never allowed.
"""

from contextlib import suppress
from typing import Annotated, Any

from annotated_types import Ge, Gt, Lt
from pydantic import BeforeValidator


def number_in(value: Any) -> Any:
    """The number that a text spells, or the value as it is: what environment variables hold is always text.

    >>> number_in("7"), number_in("0.5"), number_in("seven"), number_in(True)
    (7, 0.5, 'seven', True)
    """
    if isinstance(value, str):
        for kind in (int, float):
            with suppress(ValueError):
                return kind(value)
    return value


FROM_TEXT = BeforeValidator(number_in)
Number = Annotated[float, FROM_TEXT]
Positive = Annotated[float, Gt(0), FROM_TEXT]
NonNegative = Annotated[float, Ge(0), FROM_TEXT]
Fraction = Annotated[float, Ge(0), Lt(1), FROM_TEXT]
Count = Annotated[int, Ge(1), FROM_TEXT]
