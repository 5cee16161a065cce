"""Elementwise functions of many operations: a block of elements at a time, in memory that each thread keeps."""

from collections.abc import Callable
from functools import wraps
from threading import local
from typing import Any

import numpy as np

from pipeline.numerics.workspace import Array, Workspace

BLOCK = 2**17
"""Elements that are worked on together, so that the memory between the operations is bounded."""


class _Scratch(local):
    """Memory of a thread for what a function needs between its operations."""

    def __init__(self) -> None:
        self.memory = Workspace(np.float64)


_SCRATCH = _Scratch()


def scratch_arrays(count: int, like: Array) -> list[Array]:
    """So many arrays of this shape, valid until the next function takes them."""
    return [_SCRATCH.memory.array(number, like.shape) for number in range(count)]


def blockwise(function: Callable[[Array, Array], object]) -> Callable[..., Array]:
    """Makes ``function(values, out)`` take numbers and arrays of every size, silently, with or without ``out``."""

    def in_blocks(values: Array, out: Array) -> None:
        if values.size <= BLOCK:
            function(values, out)
            return
        axis = next(number for number, length in enumerate(values.shape) if length > 1)
        half = values.shape[axis] // 2
        for part in (slice(None, half), slice(half, None)):
            chosen = (slice(None),) * axis + (part,)
            in_blocks(values[chosen], out[chosen])

    @wraps(function)
    def of_array(values: Any, out: Array | None = None) -> Array:
        values = np.asarray(values, np.float64)
        result = np.empty(values.shape) if out is None else out
        with np.errstate(all="ignore"):
            in_blocks(np.atleast_1d(values), np.atleast_1d(result))
        return result

    return of_array
