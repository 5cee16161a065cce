"""Scratch memory of a training step: cache-aligned arrays allocated once, and NumPy's settings for training."""

from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

CACHE_LINE = 64


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


@contextmanager
def numpy_set_for_training() -> Iterator[None]:
    """A context in which NumPy neither warns of overflow nor copies what is broadcast.

    Overflow and NaN are reported as divergence; warnings would only repeat them. With its usual buffer of 8192
    elements NumPy repeats a short operand until the buffer is full before it computes; without that one number for
    each run is added in 0.17 instead of 0.38 ns an element.
    """
    with np.errstate(all="ignore"):  # also puts the buffer's size back
        np.setbufsize(256)
        yield
