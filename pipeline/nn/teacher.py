"""Online learning: Gaussian examples that are drawn anew in every step and labelled by a teacher."""

from collections.abc import Iterator, Sequence

import numpy as np

from pipeline.nn.activations import ACTIVATIONS
from pipeline.nn.arithmetic import Array
from pipeline.nn.network import input_operand
from pipeline.nn.problem import Problem
from pipeline.numerics.draws import Draws, normal_draws
from pipeline.numerics.sums import total

DRAWN_TOGETHER = 2**14
"""Numbers of a run that are drawn at once: calls cost little then, and the numbers stay in the cache."""


def fresh_rows(problem: Problem, streams: Sequence[Draws], examples: int) -> Iterator[Array]:
    """Endless steps of fresh examples: rows as in ``Part.rows``, (R, examples, d(0) + 1 + 1).

    Args:
        problem: with its teacher.
        streams: of each run.
        examples: in a step.
    """
    assert problem.teacher is not None
    features = problem.teacher.shape[1]
    steps = max(1, DRAWN_TOGETHER // (examples * features))
    arithmetic, teacher = problem.arithmetic, problem.arithmetic.operand(problem.teacher)
    while True:
        drawn, places = normal_draws(streams, (steps * examples, features))
        # The grid of an operand is that of its largest element, so each stream is rounded as if it were alone.
        rows = np.stack([input_operand(each, problem.architecture, arithmetic) for each in drawn.astype(teacher.dtype)])
        fields = arithmetic.product(rows[..., :features], teacher.T)
        outputs = np.empty_like(fields)
        ACTIVATIONS["erf"].function(fields, outputs, arithmetic.functions)
        labelled = np.concatenate([rows, total(outputs, keepdims=True)], axis=2)
        for step in range(steps):
            yield labelled[places, step * examples : (step + 1) * examples]
