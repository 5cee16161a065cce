"""The training loop of a stack: gradient steps, and measurements at chosen steps. It knows no files and no tracker."""

from collections.abc import Iterator, Sequence
from math import ceil, log
from typing import NamedTuple

import numpy as np

from pipeline import names
from pipeline.measures import StackSnapshot, measurements
from pipeline.measures.reference_optimum import Optimum
from pipeline.nn.arithmetic import Array
from pipeline.nn.network import Architecture, backward, forward
from pipeline.nn.optimizers import Optimizer
from pipeline.nn.problem import Problem, chunks
from pipeline.nn.teacher import fresh_rows
from pipeline.numerics import elementary
from pipeline.numerics.draws import Draws
from pipeline.numerics.workspace import Workspace, numpy_set_for_training


class RunGenerators(NamedTuple):
    """Independent random streams of one run, so that one kind of draw never shifts another."""

    initial: Draws
    batches: Draws
    dropout: Draws
    biases: Draws
    labels: Draws

    @classmethod
    def from_seed(cls, seed: int) -> "RunGenerators":
        return cls(*Draws.spawned(seed, 5))


class Measured(NamedTuple):
    """Metrics of a stack after ``step`` updates.

    Attributes:
        step: 0 is before the first update.
        metrics: metric key -> (R,), one number per run.
        parameters: (R, P), the parameters measured; they change when the loop goes on.
        recorded: (R,) bool, the runs that these metrics belong to. A run is recorded at the measured steps until it
            diverges, and a last time at the step where it does.
        diverged: (R,) bool, the runs whose weights or training loss have stopped being finite.
    """

    step: int
    metrics: dict[str, Array]
    parameters: Array
    recorded: Array
    diverged: Array


def log_spaced_steps(steps: int, count: int) -> tuple[int, ...]:
    """About ``count`` steps, evenly spaced on a log axis from 1 to ``steps``; 0, 1 and the last are always in."""
    if _dense(steps, count) >= steps:
        return tuple(range(steps + 1))
    spaced = elementary.exp(np.linspace(0.0, 1.0, count) * elementary.log(steps)).round().tolist()
    return tuple(sorted({0, *(int(step) for step in spaced), 1, steps}))


def measured_count(steps: int, count: int) -> int:
    """About how many steps ``log_spaced_steps`` gives, however large both numbers are."""
    dense = _dense(steps, count)
    return steps + 1 if dense >= steps else ceil(dense * (1.0 + log(max(1.0, steps / dense)))) + 1


def _dense(steps: int, count: int) -> float:
    """The step up to which every step is measured: there neighbours on the log axis lie 1 apart."""
    return (count - 1) / log(steps) if steps > 1 else steps


def train(
    problem: Problem,
    initial: Array,
    optimizer: Optimizer,
    generators: Sequence[RunGenerators],
    measures: Sequence[str] = (),
    optimum: Optimum | None = None,
) -> Iterator[Measured]:
    """Trains a stack and yields its metrics at every measured step.

    Runs never influence each other: one that diverges carries its NaN to the end without warning, and its stack-mates
    keep the bits they would have alone. When all runs have diverged, the loop ends.

    Args:
        initial: (R, P), the initial parameters; left as they are.
        optimizer: the update rule with its state.
        generators: the random streams of each run.
        measures: the optional measurements to take.
        optimum: the reference optimum to compare with, if there is one.
    """
    parameters = initial.copy()
    batches, measured = _batches(problem, generators), set(problem.measured_steps)
    workspace = Workspace(parameters.dtype, in_place=True)
    snapshot = StackSnapshot(problem, parameters, initial, optimum, Workspace(parameters.dtype))
    diverged: Array = np.zeros(len(parameters), bool)
    steps = iter(range(problem.steps + 1))
    while not diverged.all():
        with numpy_set_for_training():
            for step in steps:
                if step:
                    _update(problem, parameters, optimizer, next(batches), generators, workspace)
                broken = ~(_finite(parameters) | diverged)
                if step in measured or broken.any():
                    break
            else:
                return
            metrics = measurements(measures, snapshot)
        recorded = ~diverged if step in measured else broken
        diverged = diverged | broken | (recorded & ~np.isfinite(metrics[names.LOSS_TRAIN]))
        yield Measured(step, metrics, parameters, recorded, diverged)


def _finite(parameters: Array) -> Array:
    """(R,) bool: whether all parameters of a run are finite."""
    # The squared norm is finite only then, and costs next to nothing; only where it is not, every element is seen.
    finite: Array = np.isfinite(np.vecdot(parameters, parameters))
    if not finite.all():
        finite[~finite] = np.isfinite(parameters[~finite]).all(axis=1)
    return finite


def _update(
    problem: Problem,
    parameters: Array,
    optimizer: Optimizer,
    batch: Array | None,
    generators: Sequence[RunGenerators],
    workspace: Workspace,
) -> None:
    """One step of every run along the gradient of mean loss + l2 / 2 * |W|^2 over its batch."""
    gradient = _mean_gradient(problem, parameters, batch, generators, workspace)
    if problem.l2:
        gradient += problem.l2 * problem.architecture.weight_mask * parameters
    optimizer.update(parameters, gradient)


def _batches(problem: Problem, generators: Sequence[RunGenerators]) -> Iterator[Array | None]:
    """Endless batches: None for the full training part, else example indices (R, batch), or fresh rows (R, batch, d).

    Each epoch visits the examples in a new order from the run's own generator; its last batch may be smaller.
    """
    examples = problem.train.examples
    if problem.teacher is not None:
        yield from fresh_rows(problem, [run.batches for run in generators], problem.batch_size or examples)
    while True:
        if problem.batch_size is None:
            yield None
        else:
            order = np.stack([run.batches.permutation(examples) for run in generators])
            for start in range(0, examples, problem.batch_size):
                yield order[:, start : start + problem.batch_size]


def _mean_gradient(
    problem: Problem, parameters: Array, batch: Array | None, generators: Sequence[RunGenerators], workspace: Workspace
) -> Array:
    """Gradient (R, P) of the mean loss over the batch, without the penalty; added up chunk by chunk."""
    examples = problem.train.examples if batch is None else batch.shape[1]
    gradient = workspace.array("gradient", parameters.shape)
    for chunk in chunks(examples):
        inputs, targets = _examples(problem, batch, chunk, workspace)
        if problem.label_noise is not None:
            targets = problem.label_noise(targets, [run.labels for run in generators])
        masks = (
            _dropout_masks(problem.architecture, generators, inputs.shape[-1]) if problem.architecture.dropout else None
        )
        state = forward(problem.architecture, problem.arithmetic, parameters, inputs, masks, workspace)
        delta = problem.loss.delta(state.outputs, targets, workspace.array("output delta", state.outputs.shape))
        delta *= 1.0 / examples
        if chunk.start == 0:
            backward(problem.architecture, problem.arithmetic, state, delta, gradient)
        else:
            part = workspace.array("part of the gradient", parameters.shape)
            backward(problem.architecture, problem.arithmetic, state, delta, part)
            gradient += part
    return gradient


def _examples(problem: Problem, batch: Array | None, chunk: slice, workspace: Workspace) -> tuple[Array, Array]:
    """Inputs and targets of a part of a step's batch."""
    if batch is None:
        return problem.train.shared_examples(chunk)
    if problem.teacher is not None:
        return problem.train.split_rows(batch[:, chunk])
    return problem.train.gathered_examples(batch[:, chunk], workspace)


def _dropout_masks(architecture: Architecture, generators: Sequence[RunGenerators], examples: int) -> list[Array]:
    """Inverted dropout (Srivastava et al. 2014): 0 with the given probability, else 1 / (1 - probability)."""
    kept = 1.0 - architecture.dropout
    return [
        np.stack([run.dropout.uniform((units, examples)) < kept for run in generators]) / kept
        for units in architecture.widths[1:-1]
    ]
