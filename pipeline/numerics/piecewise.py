"""Functions made of short pieces, as accurate as the operands of exact products need them.

One table gives intercept and slope of the line at the node that is nearest to the argument: six passes over memory, and
no division. Neighbouring lines meet halfway between their nodes, so a monotone function falls nowhere by more than the
rounding of a product and a sum, 5e-16. With nodes h apart, a line is off by at most h**2 / 16 times the second
derivative.

| function | largest error | of |
|---|---|---|
| ``tanh`` | 1.2e-8 | 1; for small x 4e-8 of the value |
| ``sigmoid`` | 2.3e-8 | 1 |
| ``decay`` | 1e-8 | the value; 0 below -40 |

The operands of exact products have 21 bits, an error of 2.4e-7 of 1.
"""

from collections.abc import Callable
from functools import cache
from math import isfinite
from typing import NamedTuple

import numpy as np

from pipeline.numerics import elementary
from pipeline.numerics.workspace import Array, blockwise, scratch_array

LARGEST, LOWEST, ONE = np.array(50.0), np.array(-50.0), np.array(1.0)
"""Here every function is level; as arrays, because NumPy takes those faster than numbers."""
DECAY_NODES = 128
DECAY_GRID = np.array(elementary.TO_INTEGER / DECAY_NODES)
ONE_LESS = DECAY_GRID + ONE
FIRST_OF_DECAY = DECAY_GRID.view(np.int64) - 40 * DECAY_NODES


class Lines(NamedTuple):
    """The lines of a function.

    Attributes:
        table: (nodes, 2), intercept and slope from the lowest node to the highest.
        grid: 1.5 * 2**52 times the distance of the nodes; added to a number, it rounds that to its node.
        first: what the bits of ``x + grid`` are at the lowest node.
    """

    table: Array
    grid: Array
    first: np.int64


def _lines(function: Callable[[Array], Array], last: int, per_unit: int, lowest: float) -> Lines:
    """The lines of a function between -last and last, where it is level at the numbers lowest and 1.

    Each end of a line is moved against the curvature, so that a line is as much above the function as below it.
    """
    nodes = np.arange(-last * per_unit, last * per_unit + 1)
    at_ends = function((np.arange(nodes[0], nodes[-1] + 2) - 0.5) / per_unit)
    at_ends[1:-1] -= (at_ends[2:] - 2.0 * at_ends[1:-1] + at_ends[:-2]) / 16.0
    at_ends[:2], at_ends[-2:] = lowest, 1.0
    slopes = (at_ends[1:] - at_ends[:-1]) * per_unit
    intercepts = (at_ends[1:] + at_ends[:-1]) * 0.5 - slopes * (nodes / per_unit)
    grid = np.array(elementary.TO_INTEGER / per_unit)
    return Lines(np.stack([intercepts, slopes], axis=1), grid, grid.view(np.int64) + nodes[0])


def _on_lines(values: Array, lines: Lines, out: Array) -> None:
    # A square sum is only finite if every number is; infinity has no product with the slope 0.
    if not isfinite(np.add.reduce(np.vecdot(values, values), None)):
        values = np.clip(values, LOWEST, LARGEST)
    node, line = scratch_array("node", values.shape), scratch_array("line", (*values.shape, 2))
    number = np.add(values, lines.grid, node).view(np.int64)
    np.subtract(number, lines.first, number)
    # Numbers beyond the table are clipped to its ends.
    lines.table.take(number, 0, line, "clip")
    np.multiply(values, line[..., 1], out)
    np.add(out, line[..., 0], out)


@cache
def _lines_of_tanh() -> Lines:
    return _lines(elementary.tanh, 20, 2048, -1.0)


@cache
def _lines_of_sigmoid() -> Lines:
    return _lines(elementary.sigmoid, 39, 512, 0.0)


@blockwise
def tanh(values: Array, out: Array) -> None:
    """The hyperbolic tangent; odd to the last bit, and exactly 1 beyond 19.1."""
    _on_lines(values, _lines_of_tanh(), out)


@blockwise
def sigmoid(values: Array, out: Array) -> None:
    """1 / (1 + exp(-z)); exactly 0 and 1 beyond 39.1."""
    _on_lines(values, _lines_of_sigmoid(), out)


@cache
def _half_of_decay() -> Array:
    """exp(x) / 2 at the nodes -40 ... 0, and 0 before them."""
    values = 0.5 * elementary.exp(np.arange(-40 * DECAY_NODES, 1) / DECAY_NODES)
    values[0] = 0.0
    return values


@blockwise
def decay(values: Array, out: Array) -> None:
    """The exponential of numbers that are at most 0: exp(k + d) = exp(k) / 2 * ((1 + d)**2 + 1), but for d**3 / 6.

    Its table is small, because the numbers lie far apart: one of lines would not stay in the cache.
    """
    node, at_node = scratch_array("node", values.shape), scratch_array("at node", values.shape)
    np.add(np.maximum(values, LOWEST, out=out), DECAY_GRID, node)
    one_more = np.subtract(out, np.subtract(node, ONE_LESS, at_node), out)
    number = np.subtract(node.view(np.int64), FIRST_OF_DECAY, node.view(np.int64))
    _half_of_decay().take(number, None, at_node, "clip")
    np.multiply(one_more, one_more, out)
    np.add(out, ONE, out)
    np.multiply(out, at_node, out)
