"""The recording of a run (``record_weights``): its weights, and what one example does to it, at every measured step."""

from dataclasses import dataclass, field

import numpy as np

from pipeline.nn.arithmetic import Array
from pipeline.nn.network import Architecture, backward, forward
from pipeline.nn.problem import Problem

EXAMPLE = slice(0, 1)
"""The example that is recorded: the first of the training part."""


@dataclass
class Recording:
    """What a recorded run keeps of each measured step; lists grow by one array a step.

    Attributes:
        steps: the measured steps.
        parameters: (P,) each.
        activations: x(1) ... x(L - 1) of the example, (units,) each.
        outputs: S(L) of the example, (k,).
        deltas: delta(1) ... delta(L) of the example's own loss, (units,) each.
        inputs: x(0) of the example, (d(0),), rounded as an operand.
        targets: of the example, (k,).
    """

    inputs: Array
    targets: Array
    steps: list[int] = field(default_factory=list)
    parameters: list[Array] = field(default_factory=list)
    activations: list[list[Array]] = field(default_factory=list)
    outputs: list[Array] = field(default_factory=list)
    deltas: list[list[Array]] = field(default_factory=list)

    @classmethod
    def of(cls, problem: Problem) -> "Recording":
        """An empty recording of a run that trains on this problem."""
        inputs, targets = problem.train.shared_examples(EXAMPLE)
        return cls(inputs[: problem.architecture.widths[0], 0].copy(), targets[:, 0].copy())

    def add(self, step: int, problem: Problem, parameters: Array) -> None:
        """Keeps the parameters (P,) of a step, and the activations and deltas of the example; dropout is off."""
        inputs, targets = problem.train.shared_examples(EXAMPLE)
        with np.errstate(all="ignore"):  # A run that diverges is reported as such.
            state = forward(problem.architecture, problem.arithmetic, parameters[None], inputs)
            self.activations.append([each[0, :, 0].copy() for each in state.activations])
            self.outputs.append(state.outputs[0, :, 0].copy())
            delta = problem.loss.delta(state.outputs, targets)
            gradient = np.empty((1, len(parameters)), parameters.dtype)
            deltas = backward(problem.architecture, problem.arithmetic, state, delta, gradient)
            self.deltas.append([each[0, :, 0].copy() for each in deltas])
        self.steps.append(step)
        self.parameters.append(parameters.copy())

    def arrays(self, architecture: Architecture) -> dict[str, Array]:
        """The recording by name, layers counted from 1, the T measured steps first.

        ``steps`` (T,), ``weights1`` (T, fan_in, fan_out), ``biases1`` (T, fan_out), ``example_inputs`` (d(0),),
        ``example_targets`` (k,), ``example_outputs`` (T, k), ``example_activations1``, ``example_deltas1`` (T, d(1)).
        """
        parameters = np.array(self.parameters)
        by_layer = {
            "weights": architecture.weights(parameters),
            "biases": architecture.biases(parameters),
            "example_activations": [np.array(of_layer) for of_layer in zip(*self.activations, strict=True)],
            "example_deltas": [np.array(of_layer) for of_layer in zip(*self.deltas, strict=True)],
        }
        return {
            "steps": np.array(self.steps, float),
            "example_inputs": self.inputs,
            "example_targets": self.targets,
            "example_outputs": np.array(self.outputs),
            **{
                f"{kind}{layer}": each
                for kind, layers in by_layer.items()
                for layer, each in enumerate(layers, start=1)
            },
        }


def recorded_values(architecture: Architecture) -> int:
    """How many numbers a recording keeps of each measured step."""
    hidden, outputs = sum(architecture.widths[1:-1]), architecture.widths[-1]
    return 1 + architecture.parameter_count + 2 * hidden + 2 * outputs
