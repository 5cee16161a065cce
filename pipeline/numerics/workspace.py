"""Scratch memory of training steps and of elementwise functions, allocated once, and NumPy's settings for training."""

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from functools import wraps
from math import prod
from threading import local
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

CACHE_LINE = 64
BLOCK = 2**17
"""Elements that are worked on together, so that the memory between the operations is bounded."""


class Workspace:
    """Preallocated arrays that every pass overwrites: no step allocates, and what it needs stays in the cache.

    Each starts on a cache line. NumPy's own arrays start 16 bytes after one, and operations that write into another
    array then take twice as long (0.45 against 0.20 ns an element).

    Args:
        dtype: of all arrays.
        in_place: whether activations and deltas are rounded in place. That needs half the cache, but what was
            there before rounding cannot be measured any more.
    """

    def __init__(self, dtype: npt.DTypeLike, *, in_place: bool = False) -> None:
        self._dtype = np.dtype(dtype)
        self._in_place = in_place
        self._memory: dict[Hashable, Array] = {}
        self._arrays: dict[tuple[Hashable, tuple[int, ...]], Array] = {}

    def array(self, name: Hashable, shape: tuple[int, ...]) -> Array:
        """The array of a name, holding what was last written to it, in whichever shape."""
        key = (name, shape)
        if key not in self._arrays:
            size = prod(shape) * self._dtype.itemsize
            if name not in self._memory or len(self._memory[name]) < size:
                self._memory[name] = _aligned(size)
                # Views of what was too small would keep it.
                self._arrays = {known: array for known, array in self._arrays.items() if known[0] != name}
            self._arrays[key] = self._memory[name][:size].view(self._dtype).reshape(shape)
        return self._arrays[key]

    def rounded(self, values: Array, name: Hashable) -> Array:
        """The array that takes ``values`` rounded to an operand: ``values`` itself, or one of that name."""
        return values if self._in_place else self.array(name, values.shape)


def _aligned(size: int) -> Array:
    """Uninitialised bytes that start on a cache line."""
    memory = np.empty(size + CACHE_LINE, np.uint8)
    start = -memory.ctypes.data % CACHE_LINE
    return memory[start : start + size]


class _Thread(local):
    """What a thread has for itself.

    Attributes:
        scratch: memory for what a function needs between its operations.
        is_silent: whether NumPy warns of nothing already; asking NumPy takes as long as telling it.
    """

    def __init__(self) -> None:
        self.scratch = Workspace(np.float64)
        self.is_silent = False


_THREAD = _Thread()


@contextmanager
def numpy_set_for_training() -> Iterator[None]:
    """A context in which NumPy neither warns of overflow nor copies what is broadcast.

    Overflow and NaN are reported as divergence; warnings would only repeat them. With its usual buffer of 8192
    elements NumPy repeats a short operand until the buffer is full before it computes; without that one number for
    each run is added in 0.17 instead of 0.38 ns an element.
    """
    before = _THREAD.is_silent
    with np.errstate(all="ignore"):  # also puts the buffer's size back
        np.setbufsize(256)
        _THREAD.is_silent = True
        try:
            yield
        finally:
            _THREAD.is_silent = before


def scratch_arrays(count: int, like: Array) -> list[Array]:
    """So many arrays of this shape, valid until the next function takes them."""
    return [scratch_array(number, like.shape) for number in range(count)]


def scratch_array(name: Hashable, shape: tuple[int, ...]) -> Array:
    """One such array."""
    return _THREAD.scratch.array(name, shape)


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

    silently = np.errstate(all="ignore")(in_blocks)

    @wraps(function)
    def of_array(values: Any, out: Array | None = None) -> Array:
        values = np.asarray(values, np.float64)
        result = np.empty(values.shape) if out is None else out
        (in_blocks if _THREAD.is_silent else silently)(np.atleast_1d(values), np.atleast_1d(result))
        return result

    return of_array
