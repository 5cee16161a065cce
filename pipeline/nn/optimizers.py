"""Optimisers: a registry of update rules, all of them elementwise, so that they keep every symmetry.

A rule is called as ``rule(gradient, step, *slots, **hyperparameters)`` and returns what is subtracted from the
parameters; it may use the memory of the gradient for that. Every positional parameter after ``step`` is a slot: an
array of the parameters' shape that starts at zero and that the rule updates in place. The keyword-only parameters are
the keys of the rule's YAML file; within a stack each is a column (R, 1), one number per run. Only ``learning_rate`` may
be (R, P), one number per parameter, where ``optimizer.rate_factors`` gives the layers rates of their own.

>>> gd(np.array([[0.5, -2.0]]), 1, learning_rate=0.1)
array([[ 0.05, -0.2 ]])
>>> velocity = np.zeros((1, 2))
>>> [momentum(np.ones((1, 2)), step, velocity, learning_rate=0.1, momentum=0.5).tolist() for step in (1, 2, 3)]
[[[0.1, 0.1]], [[0.15000000000000002, 0.15000000000000002]], [[0.17500000000000002, 0.17500000000000002]]]
"""

from collections.abc import Callable
from inspect import Parameter, signature
from typing import Any

import numpy as np

from pipeline.nn.arithmetic import Array
from pipeline.ranges import Fraction, Positive

Rule = Callable[..., Array]
OPTIMIZERS: dict[str, Rule] = {}


def optimizer(rule: Rule) -> Rule:
    """Registers an update rule under its function name."""
    OPTIMIZERS[rule.__name__] = rule
    return rule


@optimizer
def gd(gradient: Array, step: int, *, learning_rate: Positive) -> Array:
    """Gradient descent: learning_rate * gradient. With a batch_size it is minibatch SGD."""
    return np.multiply(learning_rate, gradient, out=gradient)


@optimizer
def momentum(gradient: Array, step: int, velocity: Array, *, learning_rate: Positive, momentum: Fraction) -> Array:
    """Heavy-ball momentum (Polyak 1964): v <- momentum * v + gradient, update learning_rate * v, as in PyTorch."""
    velocity *= momentum
    velocity += gradient
    return np.multiply(learning_rate, velocity, out=gradient)


@optimizer
def adam(
    gradient: Array,
    step: int,
    first_moment: Array,
    second_moment: Array,
    *,
    learning_rate: Positive,
    beta1: Fraction,
    beta2: Fraction,
    epsilon: Positive,
) -> Array:
    """Adam (Kingma and Ba 2015, algorithm 1); epsilon is added outside the square root, as there and in PyTorch."""
    first_moment *= beta1
    first_moment += (1.0 - beta1) * gradient
    second_moment *= beta2
    second_moment += (1.0 - beta2) * gradient**2
    corrected_first = first_moment / (1.0 - _power(beta1, step))
    corrected_second = second_moment / (1.0 - _power(beta2, step))
    update: Array = learning_rate * corrected_first / (np.sqrt(corrected_second) + epsilon)
    return update


def _power(base: Any, exponent: int) -> Array:
    # By squaring: the power functions of NumPy and of the C library have other last bits on other processors.
    result, square = np.ones_like(base), base
    while exponent:
        result = result * square if exponent % 2 else result
        square, exponent = square * square, exponent // 2
    return result


class Optimizer:
    """An update rule with its state, for a stack of runs.

    Weight decay is decoupled from the rule (Loshchilov and Hutter 2019): before each update the weights, not the
    biases, shrink by the factor 1 - learning_rate * weight_decay.

    Args:
        name: key of ``OPTIMIZERS``.
        parameters: (R, P), whose shape and type the state takes.
        hyperparameters: the rule's keyword arguments, each (R, 1); ``learning_rate`` may be (R, P).
        weight_decay: (R, 1).
        weight_mask: (P,), 1 for weights and 0 for biases.
    """

    def __init__(
        self, name: str, parameters: Array, hyperparameters: dict[str, Array], weight_decay: Array, weight_mask: Array
    ) -> None:
        self._rule = OPTIMIZERS[name]
        self._hyperparameters = hyperparameters
        self._slots = [np.zeros_like(parameters) for _ in range(slot_count(name))]
        self._decay = weight_decay * weight_mask if weight_decay.any() else None
        self._step = 0

    def update(self, parameters: Array, gradient: Array) -> None:
        """Changes ``parameters`` (R, P) in place by one step along ``gradient`` (R, P), which it may overwrite."""
        self._step += 1
        if self._decay is not None:
            parameters -= self._hyperparameters["learning_rate"] * self._decay * parameters
        parameters -= self._rule(gradient, self._step, *self._slots, **self._hyperparameters)


def slot_count(name: str) -> int:
    """How many state arrays a rule keeps, read off its signature."""
    positional = [p for p in signature(OPTIMIZERS[name]).parameters.values() if p.kind is not Parameter.KEYWORD_ONLY]
    return len(positional) - 2
