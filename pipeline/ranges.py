"""Ranges of hyperparameters, written as annotations so that a function's signature is its specification.

``config`` reads them from the signature of an initialiser, optimiser or data source and checks the
user's values against them. NaN and infinity are never allowed.
"""

from typing import Annotated

from annotated_types import Ge, Gt, Lt

Positive = Annotated[float, Gt(0)]
NonNegative = Annotated[float, Ge(0)]
Fraction = Annotated[float, Ge(0), Lt(1)]
Count = Annotated[int, Ge(1)]
