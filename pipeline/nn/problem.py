"""The training problem that all runs of a stack share: architecture, loss, training and test part, and its batches."""

from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np

from pipeline.nn.arithmetic import Arithmetic, Array
from pipeline.nn.losses import LabelNoise, Loss
from pipeline.nn.network import Architecture, input_operand
from pipeline.numerics.workspace import Workspace

LARGEST_CHUNK = 1024
"""Examples that go through the network together. With 32 units their arrays take 0.4 MB a run."""


class Part(NamedTuple):
    """One part of the data, ready for products.

    Attributes:
        rows: (n, d(0) + 1 + k), each example's inputs as an operand and its targets side by side, because a minibatch
            gathers whole examples.
        targets: (k, n), once more, as the loss reads them.
        labels: (n,) integers, or None where there are no classes (then no accuracy is measured).
    """

    rows: Array
    targets: Array
    labels: Array | None

    @property
    def examples(self) -> int:
        return len(self.rows)

    def shared_examples(self, chunk: slice) -> tuple[Array, Array]:
        """Inputs (d(0) + 1, n) and targets (k, n) of consecutive examples, which all runs share."""
        return self.rows[chunk, : -len(self.targets)].T, self.targets[:, chunk]

    def gathered_examples(self, indices: Array, workspace: Workspace) -> tuple[Array, Array]:
        """Inputs (R, d(0) + 1, n) and targets (R, k, n) of the examples that each run has chosen.

        Args:
            indices: (R, n).
            workspace: the memory of the result.
        """
        rows = workspace.array("batch", (*indices.shape, self.rows.shape[1]))
        # An unclipped take checks the indices first, and copies the result once more.
        np.take(self.rows, indices, axis=0, out=rows, mode="clip")
        return self.split_rows(rows)

    def split_rows(self, rows: Array) -> tuple[Array, Array]:
        """Inputs (R, d(0) + 1, n) and targets (R, k, n) of each run's own rows (R, n, d(0) + 1 + k)."""
        columns = rows.swapaxes(1, 2)
        return columns[:, : -len(self.targets)], columns[:, -len(self.targets) :]


@dataclass(frozen=True)
class Problem:
    """The training problem that all runs of a stack share.

    Attributes:
        architecture: the shape of the networks.
        arithmetic: the matrix product.
        loss: the loss of one example.
        l2: weight of the penalty l2 / 2 * |W|^2 in the objective; biases are not penalised.
        steps: number of updates.
        batch_size: examples per step, or None for the full training part.
        measured_steps: ascending steps at which to measure.
        train: the training part.
        test: the test part; it may hold no examples.
        unit: in regression, what the targets were divided by; else None.
        teacher: (units, d(0)), the weights of a committee that labels fresh examples in every step; else None.
        label_noise: from the targets of a step's examples to noisy ones, or None: the labels are as they are.
    """

    architecture: Architecture
    arithmetic: Arithmetic
    loss: Loss
    l2: float
    steps: int
    batch_size: int | None
    measured_steps: tuple[int, ...]
    train: Part
    test: Part
    unit: float | None = None
    teacher: Array | None = None
    label_noise: LabelNoise | None = None


def prepared_part(
    inputs: Array, targets: Array, labels: Array | None, architecture: Architecture, arithmetic: Arithmetic
) -> Part:
    """A part of the data, its inputs rounded once as an operand of every product.

    Args:
        inputs: (n, d(0)).
        targets: (n, k).
        labels: (n,) or None.
    """
    operand = input_operand(inputs, architecture, arithmetic)
    return Part(np.concatenate([operand, targets], axis=1), np.ascontiguousarray(targets.T), labels)


def chunk_size(examples: int) -> int:
    """How many examples go through the network together: parts of nearly equal size, in whole eights."""
    # In whole numbers, rounded up by -(-a // b): a user may ask for more examples than a float can count.
    return -(-examples // -(-examples // LARGEST_CHUNK) // 8) * 8 if examples else 1


@cache
def chunks(examples: int) -> list[slice]:
    """The examples in pieces of nearly equal size, so that what one piece needs fits the processor's cache.

    The pieces do not depend on the number of runs: they decide in which order a gradient is added up.
    """
    size = chunk_size(examples)
    return [slice(start, min(start + size, examples)) for start in range(0, examples, size)]
