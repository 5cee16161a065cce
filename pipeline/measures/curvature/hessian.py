"""The Hessian of the training objective times a direction, by one more forward and backward pass (Pearlmutter 1994).

Along a direction V of the parameters, RS(l) = V(l) x(l-1) + W(l) Rx(l-1) and Rx(l) = g'(S(l)) RS(l) are the derivatives
of the forward pass. Those of the deltas follow from the top down, delta(l) = g'(S(l)) e(l) with e(l) = W(l+1)^T
delta(l+1):

    Rdelta(l) = g''(S(l)) RS(l) e(l) + g'(S(l)) (V(l+1)^T delta(l+1) + W(l+1)^T Rdelta(l+1))

and the product is the sum over the examples of Rdelta(l) x(l-1)^T + delta(l) Rx(l-1)^T.
"""

from typing import NamedTuple

import numpy as np

from pipeline.nn.accurate import sliced
from pipeline.nn.activations import ACTIVATIONS, second_derivative
from pipeline.nn.arithmetic import Array, exact_product
from pipeline.nn.problem import Problem, chunks
from pipeline.numerics.functions import PRECISE


class Operand(NamedTuple):
    """An operand of ``precise_product``: the values rounded to a grid, and the rest of them."""

    coarse: Array
    fine: Array

    def transposed(self) -> "Operand":
        return Operand(self.coarse.swapaxes(-1, -2), self.fine.swapaxes(-1, -2))

    def columns(self, count: int) -> "Operand":
        return Operand(self.coarse[..., :count], self.fine[..., :count])


def precise(values: Array) -> Operand:
    """An operand that keeps 42 bits of its largest element: the 21 of the exact products are few for curvature."""
    return Operand(*sliced(values, 2))


def precise_product(left: Operand, right: Operand) -> Array:
    """The matrix product with a relative error near 2^-42, whose bits depend on no order of summation (Ozaki 2012).

    Args:
        left: (R, rows, inner).
        right: (R, inner, columns), or (inner, columns) where all runs share it.
    """
    mixed = exact_product(left.coarse, right.fine) + exact_product(left.fine, right.coarse)
    return exact_product(left.coarse, right.coarse) + mixed


class _HiddenLayer(NamedTuple):
    """g', g'' and e of a hidden layer, each (R, units, n), and its activations with the row of ones as an operand."""

    slope: Array
    bend: Array
    error: Array
    outputs: Operand


class _Pass(NamedTuple):
    """What a pass over some examples leaves for the products with all directions.

    Attributes:
        inputs: x(0) with the row of ones, shared by the runs.
        hidden: from layer 1 up.
        deltas: delta(1) ... delta(L).
        predictions: (R, k, n).
    """

    inputs: Operand
    hidden: list[_HiddenLayer]
    deltas: list[Operand]
    predictions: Array


class Hessian:
    """The Hessian of the training objective of R runs, mean loss and penalty, known by its products.

    It is that of the smooth objective in float64, whatever the arithmetic of the training. Where g has a kink (relu)
    the kink counts for nothing.

    Args:
        problem: the training problem.
        parameters: (R, P), where the derivatives are taken.
    """

    def __init__(self, problem: Problem, parameters: Array) -> None:
        self._problem = problem
        self._weights = [precise(block) for block in problem.architecture.blocks(parameters.astype(np.float64))]
        self._passes = [self._pass(chunk) for chunk in chunks(problem.train.examples)]

    def _pass(self, chunk: slice) -> _Pass:
        inputs, targets = (values.astype(np.float64) for values in self._problem.train.shared_examples(chunk))
        architecture = self._problem.architecture
        below = shared = precise(inputs)
        made = []
        for weights in self._weights[:-1]:
            assert architecture.activation is not None
            pre_activation = precise_product(weights, below)
            activation, slope = np.empty_like(pre_activation), np.empty_like(pre_activation)
            g = ACTIVATIONS[architecture.activation]
            g.function(pre_activation, activation, PRECISE)
            g.derivative(pre_activation, activation, slope, PRECISE)
            bend = second_derivative(architecture.activation, pre_activation, activation, slope, PRECISE)
            ones = np.ones((len(activation), int(architecture.bias), activation.shape[-1]))
            below = precise(np.concatenate([activation, ones], axis=1))
            made.append((slope, bend, below))
        delta = self._problem.loss.delta(precise_product(self._weights[-1], below), targets)
        predictions, deltas, hidden = delta + targets, [precise(delta)], []
        for weights, (slope, bend, outputs) in zip(self._weights[:0:-1], reversed(made), strict=True):
            error = precise_product(weights.columns(slope.shape[1]).transposed(), deltas[-1])
            hidden.append(_HiddenLayer(slope, bend, error, outputs))
            deltas.append(precise(slope * error))
        return _Pass(shared, hidden[::-1], deltas[::-1], predictions)

    def times(self, direction: Array) -> Array:
        """The product with a direction: (R, P) -> (R, P)."""
        problem, blocks = self._problem, [precise(block) for block in self._problem.architecture.blocks(direction)]
        total = np.zeros_like(direction)
        for one in self._passes:
            for found, block in zip(self._of_pass(one, blocks), problem.architecture.blocks(total), strict=True):
                block += found
        return total / problem.train.examples + problem.l2 * problem.architecture.weight_mask * direction

    def _of_pass(self, one: _Pass, blocks: list[Operand]) -> list[Array]:
        """The products (R, fan_out, fan_in + 1) of every layer, summed over some examples."""
        inputs = [one.inputs, *(layer.outputs for layer in one.hidden)]
        changes, bends = [], []
        change: Operand | None = None
        for layer, (block, below, weights) in enumerate(zip(blocks, inputs, self._weights, strict=True)):
            moved = precise_product(block, below)
            if change is not None:
                moved += precise_product(weights.columns(change.coarse.shape[1]), change)
            changes.append(change)
            if layer < len(one.hidden):
                bends.append(one.hidden[layer].bend * moved * one.hidden[layer].error)
                change = precise(one.hidden[layer].slope * moved)
        return self._backward(one, blocks, inputs, changes, bends, self._problem.loss.curvature(one.predictions, moved))

    def _backward(
        self, one: _Pass, blocks: list[Operand], inputs: list[Operand], changes: list[Operand | None],
        bends: list[Array], change_of_delta: Array,
    ) -> list[Array]:  # fmt: skip
        found = []
        for layer in reversed(range(len(blocks))):
            moved, delta = precise(change_of_delta), one.deltas[layer]
            product = precise_product(moved, inputs[layer].transposed())
            change = changes[layer]
            if change is not None:
                units = change.coarse.shape[1]
                product[:, :, :units] += precise_product(delta, change.transposed())
                below = precise_product(self._weights[layer].columns(units).transposed(), moved)
                below += precise_product(blocks[layer].columns(units).transposed(), delta)
                change_of_delta = bends[layer - 1] + one.hidden[layer - 1].slope * below
            found.append(product)
        return found[::-1]
