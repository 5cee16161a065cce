"""Newton's method for smooth convex functions of many variables (Nocedal and Wright 2006, section 7.1)."""

from collections.abc import Callable
from typing import Protocol

import numpy as np

from pipeline.numerics.sums import total
from pipeline.numerics.workspace import Array

SMALL_ENOUGH = 1e-13
NEWTON_STEPS, CONJUGATE_STEPS = 200, 2000
SUFFICIENT_DECREASE = 1e-4
ROUNDING = 4e-16


class Smooth(Protocol):
    """A function of an array, with its gradient and the product of its Hessian with a direction."""

    def value(self, point: Array) -> float: ...
    def gradient(self, point: Array) -> Array: ...
    def curvature(self, point: Array) -> Callable[[Array], Array]: ...


def minimised(function: Smooth, start: Array) -> tuple[Array, float]:
    """The point where Newton's method stops, and the largest element of the gradient there.

    It stops when rounding keeps the gradient from falling further. All sums have their own order, so the point has the
    same bits on every processor if the function has.
    """
    point, gradient = start, function.gradient(start)
    best, size = point, float(np.abs(gradient).max())
    idle = 0
    for _ in range(NEWTON_STEPS):
        if size <= SMALL_ENOUGH or idle == 3:
            break
        point = _searched(function, point, gradient, _newton_step(function.curvature(point), gradient))
        gradient = function.gradient(point)
        now = float(np.abs(gradient).max())
        idle = 0 if now < size else idle + 1
        if now < size:
            best, size = point, now
    return best, size


def _newton_step(curvature: Callable[[Array], Array], gradient: Array) -> Array:
    """The solution p of H p = -g, by conjugate gradients, the closer the smaller the gradient is."""
    step, residual = np.zeros_like(gradient), -gradient
    direction, square = residual, _inner_product(residual, residual)
    closeness = min(0.1, np.sqrt(np.sqrt(square)))
    tolerance = closeness * closeness * square
    for _ in range(CONJUGATE_STEPS):
        curved = curvature(direction)
        bend = _inner_product(direction, curved)
        if not bend > ROUNDING * _inner_product(direction, direction):
            break
        step = step + square / bend * direction
        residual = residual - square / bend * curved
        previous, square = square, _inner_product(residual, residual)
        if square <= tolerance:
            break
        direction = residual + square / previous * direction
    return step if step.any() else -gradient


def _searched(function: Smooth, point: Array, gradient: Array, step: Array) -> Array:
    """The first of point + step, point + step / 2, ... where the function has fallen enough."""
    value, slope = function.value(point), _inner_product(gradient, step)
    share = 1.0
    while share > 2.0**-40:
        candidate = point + share * step
        if function.value(candidate) <= value + SUFFICIENT_DECREASE * share * slope + ROUNDING * (1.0 + abs(value)):
            return candidate
        share *= 0.5
    return point


def _inner_product(left: Array, right: Array) -> float:
    return float(total((left * right).ravel()))
