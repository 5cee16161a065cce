"""Fully connected networks of a stack of runs: layers, architecture, forward pass and back-propagation."""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from pipeline.nn.activations import ACTIVATIONS
from pipeline.nn.arithmetic import Arithmetic, Array
from pipeline.numerics.workspace import Workspace


class Layer(NamedTuple):
    """One layer of a network, as an initialiser sees it.

    Attributes:
        fan_in: units of the layer below.
        fan_out: units of this layer.
        activation: name of the activation that follows, or None for the output layer.
        number: its place in the network, from 1.
        depth: how many layers the network has.
    """

    fan_in: int
    fan_out: int
    activation: str | None
    number: int
    depth: int

    @property
    def is_hidden(self) -> bool:
        return self.number < self.depth

    @property
    def below_is_hidden(self) -> bool:
        """Whether the layer's inputs are hidden units; their outgoing weights are its rows."""
        return self.number > 1


@dataclass(frozen=True)
class Architecture:
    """The shape of a network, which all runs of a stack share.

    Attributes:
        widths: units per layer, d(0) ... d(L): inputs first, outputs last.
        activation: name of g, or None where there is no hidden layer.
        bias: whether the layers have biases.
        dropout: probability that a hidden activation is zeroed in a training step.
    """

    widths: tuple[int, ...]
    activation: str | None
    bias: bool
    dropout: float = 0.0

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """The layers from the first to the output layer."""
        depth = len(self.widths) - 1
        return tuple(
            Layer(fan_in, fan_out, self.activation if number < depth else None, number, depth)
            for number, (fan_in, fan_out) in enumerate(pairwise(self.widths), start=1)
        )

    @cached_property
    def block_shapes(self) -> tuple[tuple[int, int], ...]:
        """(fan_out, fan_in + 1) of every layer, or (fan_out, fan_in) without biases."""
        return tuple((layer.fan_out, layer.fan_in + self.bias) for layer in self.layers)

    @property
    def parameter_count(self) -> int:
        """P, the number of weights and biases of one run."""
        return sum(rows * columns for rows, columns in self.block_shapes)

    def blocks(self, parameters: Array) -> list[Array]:
        """Views (R, fan_out, fan_in + 1) of the layers inside ``parameters`` (R, P)."""
        views, start = [], 0
        for rows, columns in self.block_shapes:
            views.append(parameters[:, start : start + rows * columns].reshape(-1, rows, columns))
            start += rows * columns
        return views

    def weights(self, parameters: Array) -> list[Array]:
        """Views (R, fan_in, fan_out) of the weights W(l) inside ``parameters`` (R, P), biases left out."""
        return [
            block[:, :, : layer.fan_in].swapaxes(1, 2)
            for block, layer in zip(self.blocks(parameters), self.layers, strict=True)
        ]

    def biases(self, parameters: Array) -> list[Array]:
        """Views (R, fan_out) of the biases b(l) inside ``parameters`` (R, P); empty without biases."""
        return [block[:, :, -1] for block in self.blocks(parameters)] if self.bias else []

    @cached_property
    def weight_mask(self) -> Array:
        """(P,) float64: 1 where a parameter is a weight, 0 where it is a bias."""
        mask = np.zeros((1, self.parameter_count))
        for weights in self.weights(mask):
            weights[...] = 1.0
        return mask[0]


class ForwardPass(NamedTuple):
    """The intermediate values of a forward pass, for back-propagation and measurements; lists go from layer 1 up.

    Attributes:
        weights: operands (R, fan_out, fan_in + 1) of all layers.
        inputs: operands x(l-1) with the row of ones, (R, fan_in + 1, n), or (fan_in + 1, n) where the runs share
            the examples.
        activations: x(l) = g(S(l)) of the hidden layers, (R, units, n).
        slopes: g'(S(l)) of the hidden layers, (R, units, n).
        outputs: S(L), (R, k, n).
        memory: the arrays above, and room for those of back-propagation.
    """

    weights: list[Array]
    inputs: list[Array]
    activations: list[Array]
    slopes: list[Array]
    outputs: Array
    memory: Workspace


def input_operand(inputs: Array, architecture: Architecture, arithmetic: Arithmetic) -> Array:
    """Examples (n, d(0)) as an operand (n, d(0) + 1) with the column of ones that carries the bias."""
    ones = np.ones((len(inputs), int(architecture.bias)), inputs.dtype)
    rows = np.concatenate([inputs, ones], axis=1)
    return arithmetic.operand(rows) if rows.size else rows


def forward(
    architecture: Architecture,
    arithmetic: Arithmetic,
    parameters: Array,
    inputs: Array,
    masks: list[Array] | None = None,
    workspace: Workspace | None = None,
) -> ForwardPass:
    """The forward pass of all runs: S(l) = W(l) x(l-1) + b(l) and x(l) = g(S(l)).

    Args:
        architecture: the shape that all runs share.
        arithmetic: the matrix product.
        parameters: (R, P).
        inputs: operand from ``input_operand``, examples last: (d(0) + 1, n), or (R, d(0) + 1, n) when every run
            has its own batch.
        masks: dropout factors of each hidden layer, (R, units, n), which scale x(l); None leaves every unit in.
        workspace: memory that this pass may overwrite; None for new memory.

    >>> from pipeline.nn.arithmetic import ARITHMETICS
    >>> network, blas = Architecture(widths=(2, 2, 1), activation="relu", bias=True), ARITHMETICS["blas"]
    >>> parameters = np.array([[1.0, 0.0, 0.5, 0.0, -1.0, 0.0, 2.0, 3.0, -1.0]])  # row by row, biases last
    >>> examples = input_operand(np.array([[1.0, 1.0], [0.0, -2.0]]), network, blas)
    >>> forward(network, blas, parameters, examples.T).outputs  # 2 relu(1.5) + 3 relu(-1) - 1 = 2
    array([[[2., 6.]]])
    """
    memory = workspace or Workspace(parameters.dtype)
    runs, examples = len(parameters), inputs.shape[-1]
    weights = [
        arithmetic.operand(block, memory.array(("weights", layer), block.shape))
        for layer, block in enumerate(architecture.blocks(parameters))
    ]
    outputs = memory.array("outputs", (runs, architecture.widths[-1], examples))
    state = ForwardPass(weights, [inputs], [], [], outputs, memory)
    for index, units in enumerate(architecture.widths[1:-1]):
        assert architecture.activation is not None
        g = ACTIVATIONS[architecture.activation]
        pre_activation = memory.array(("slopes", index), (runs, units, examples))
        with_ones = memory.array(("activations", index), (runs, units + architecture.bias, examples))
        activation = with_ones[:, :units]
        arithmetic.product(weights[index], state.inputs[index], pre_activation)
        g.function(pre_activation, activation, arithmetic.functions)
        # Anew in every pass: where an activation was beyond 2**OPERAND_BITS, rounding has taken the ones away.
        with_ones[:, units:] = 1.0
        # The activation and its slope are all that is needed of S(l), so the slope takes its place.
        g.derivative(pre_activation, activation, slope := pre_activation, arithmetic.functions)
        if masks is not None:
            activation *= masks[index]
            slope *= masks[index]
        state.activations.append(activation)
        state.slopes.append(slope)
        # The row of ones is the largest element of a bounded activation.
        exponent = 0 if g.bounded and architecture.bias and masks is None else None
        state.inputs.append(arithmetic.operand(with_ones, memory.rounded(with_ones, ("inputs", index)), exponent))
    arithmetic.product(weights[-1], state.inputs[-1], outputs)
    return state


def backward(
    architecture: Architecture, arithmetic: Arithmetic, state: ForwardPass, output_delta: Array, gradient: Array
) -> list[Array]:
    """Back-propagation: writes the gradient, summed over the examples, into ``gradient`` and returns the deltas.

    dloss/dW(l) = delta(l) x(l-1)^T and delta(l-1) = g'(S(l-1)) * W(l)^T delta(l) (Rumelhart, Hinton and Williams
    1986), summed over the examples.

    Args:
        state: the forward pass. It is used up: activations and slopes make room for the deltas.
        output_delta: delta(L) of each example's own loss, (R, k, n).
        gradient: (R, P), overwritten.

    Returns:
        delta(1) ... delta(L), each (R, units, n).
    """
    delta = output_delta
    deltas = [delta]
    blocks = architecture.blocks(gradient)
    for index in reversed(range(len(blocks))):
        operand = arithmetic.operand(delta, state.memory.rounded(delta, ("deltas", index)))
        arithmetic.product(operand, state.inputs[index].swapaxes(-1, -2), blocks[index])
        layer = architecture.layers[index]
        if layer.below_is_hidden:
            weights, slope = state.weights[index][:, :, : layer.fan_in], state.slopes[index - 1]
            propagated = arithmetic.product(weights.swapaxes(1, 2), operand, state.activations[index - 1])
            delta = np.multiply(propagated, slope, out=slope)
            deltas.append(delta)
    return deltas[::-1]
