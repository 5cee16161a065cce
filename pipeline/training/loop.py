"""The training loop of a stack: gradient steps, and measurements at chosen steps. It knows no files and no tracker."""

from collections.abc import Iterator, Sequence
from math import ceil, log
from typing import NamedTuple

import numpy as np

from pipeline import names
from pipeline.measures.standard import measure
from pipeline.nn.arithmetic import Array
from pipeline.nn.network import Architecture, backward, forward
from pipeline.nn.optimizers import Optimizer
from pipeline.nn.problem import Task, chunks
from pipeline.nn.workspace import Workspace, numpy_set_for_training


class RunGenerators(NamedTuple):
    """Independent random streams of one run, so that one kind of draw never shifts another."""

    initial: np.random.Generator
    batches: np.random.Generator
    dropout: np.random.Generator
    biases: np.random.Generator

    @classmethod
    def from_seed(cls, seed: int) -> "RunGenerators":
        return cls(*(np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(4)))


class Snapshot(NamedTuple):
    """Measurements of a stack after ``step`` updates.

    Attributes:
        step: 0 is before the first update.
        metrics: metric key -> (R,), one number per run.
        parameters: (R, P), the parameters measured; they change when the loop goes on.
        recorded: (R,) bool, the runs that this snapshot belongs to. A run is recorded at the measured steps until it
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
    spaced = np.geomspace(1, steps, count).round().tolist()
    return tuple(sorted({0, *(int(step) for step in spaced), 1, steps}))


def measured_count(steps: int, count: int) -> int:
    """About how many steps ``log_spaced_steps`` gives, however large both numbers are."""
    dense = _dense(steps, count)
    return steps + 1 if dense >= steps else ceil(dense * (1.0 + log(max(1.0, steps / dense)))) + 1


def _dense(steps: int, count: int) -> float:
    """The step up to which every step is measured: there neighbours on the log axis lie 1 apart."""
    return (count - 1) / log(steps) if steps > 1 else steps


def train(
    task: Task, parameters: Array, optimizer: Optimizer, generators: Sequence[RunGenerators]
) -> Iterator[Snapshot]:
    """Trains a stack and yields a snapshot at every measured step.

    Runs never influence each other: one that diverges carries its NaN to the end without warning, and its stack-mates
    keep the bits they would have alone. When all runs have diverged, the loop ends.

    Args:
        parameters: (R, P), the initial parameters; changed in place.
        optimizer: the update rule with its state.
        generators: the random streams of each run.
    """
    batches, measured = _batches(task, generators), set(task.measured_steps)
    workspace, room_to_measure = Workspace(parameters.dtype, in_place=True), Workspace(parameters.dtype)
    diverged: Array = np.zeros(len(parameters), bool)
    steps = iter(range(task.steps + 1))
    while not diverged.all():
        with numpy_set_for_training():
            for step in steps:
                if step:
                    _update(task, parameters, optimizer, next(batches), generators, workspace)
                broken = ~(_finite(parameters) | diverged)
                if step in measured or broken.any():
                    break
            else:
                return
            metrics = measure(task, parameters, room_to_measure)
        recorded = ~diverged if step in measured else broken
        diverged = diverged | broken | (recorded & ~np.isfinite(metrics[names.LOSS_TRAIN]))
        yield Snapshot(step, metrics, parameters, recorded, diverged)


def _finite(parameters: Array) -> Array:
    """(R,) bool: whether all parameters of a run are finite."""
    # The squared norm is finite only then, and costs next to nothing; only where it is not, every element is seen.
    finite: Array = np.isfinite(np.vecdot(parameters, parameters))
    if not finite.all():
        finite[~finite] = np.isfinite(parameters[~finite]).all(axis=1)
    return finite


def _update(
    task: Task,
    parameters: Array,
    optimizer: Optimizer,
    batch: Array | None,
    generators: Sequence[RunGenerators],
    workspace: Workspace,
) -> None:
    """One step of every run along the gradient of mean loss + l2 / 2 * |W|^2 over its batch."""
    gradient = _mean_gradient(task, parameters, batch, generators, workspace)
    if task.l2:
        gradient += task.l2 * task.architecture.weight_mask * parameters
    optimizer.update(parameters, gradient)


def _batches(task: Task, generators: Sequence[RunGenerators]) -> Iterator[Array | None]:
    """Endless batches: None for the full training part, else example indices (R, batch).

    Each epoch visits the examples in a new order from the run's own generator; its last batch may be smaller.
    """
    examples = task.train.examples
    while True:
        if task.batch_size is None:
            yield None
        else:
            order = np.stack([run.batches.permutation(examples) for run in generators])
            for start in range(0, examples, task.batch_size):
                yield order[:, start : start + task.batch_size]


def _mean_gradient(
    task: Task, parameters: Array, batch: Array | None, generators: Sequence[RunGenerators], workspace: Workspace
) -> Array:
    """Gradient (R, P) of the mean loss over the batch, without the penalty; added up chunk by chunk."""
    examples = task.train.examples if batch is None else batch.shape[1]
    gradient = workspace.array("gradient", parameters.shape)
    for chunk in chunks(examples):
        if batch is None:
            inputs, targets = task.train.whole(chunk)
        else:
            inputs, targets = task.train.gathered(batch[:, chunk], workspace)
        masks = _dropout_masks(task.architecture, generators, inputs.shape[-1]) if task.architecture.dropout else None
        state = forward(task.architecture, task.arithmetic, parameters, inputs, masks, workspace)
        delta = task.loss.delta(state.outputs, targets, workspace.array("output delta", state.outputs.shape))
        delta *= 1.0 / examples
        if chunk.start == 0:
            backward(task.architecture, task.arithmetic, state, delta, gradient)
        else:
            part = workspace.array("part of the gradient", parameters.shape)
            backward(task.architecture, task.arithmetic, state, delta, part)
            gradient += part
    return gradient


def _dropout_masks(architecture: Architecture, generators: Sequence[RunGenerators], examples: int) -> list[Array]:
    """Inverted dropout (Srivastava et al. 2014): 0 with the given probability, else 1 / (1 - probability)."""
    kept = 1.0 - architecture.dropout
    return [
        np.stack([run.dropout.random((units, examples)) < kept for run in generators]) / kept
        for units in architecture.widths[1:-1]
    ]
