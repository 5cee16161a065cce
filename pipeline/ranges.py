"""Ranges of hyperparameters, written as annotations so that a function's signature is its specification.

``config`` reads them from the signature of an initialiser, optimiser or data source and checks the
user's values against them. NaN and infinity are never allowed.
"""

from typing import Annotated, Any

from annotated_types import Ge, Gt, Lt
from pydantic import BeforeValidator

EXACT_INTEGERS = 2**53
"""Below this float64 holds every whole number; stores of metrics know no more steps either."""


def whole(value: Any) -> Any:
    """A float without a fraction as the integer that it is: ``training.steps=1e3`` means 1000."""
    is_whole = isinstance(value, float) and value.is_integer() and abs(value) < EXACT_INTEGERS
    return int(value) if is_whole else value


Whole = Annotated[int, BeforeValidator(whole)]

Positive = Annotated[float, Gt(0)]
NonNegative = Annotated[float, Ge(0)]
Fraction = Annotated[float, Ge(0), Lt(1)]
Count = Annotated[Whole, Ge(1)]
