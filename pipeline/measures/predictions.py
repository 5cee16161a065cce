"""Distance between a network's predictions and the class frequencies."""

import numpy as np

from pipeline import names
from pipeline.measures.registry import StackSnapshot, measure
from pipeline.nn.arithmetic import Array
from pipeline.nn.network import forward
from pipeline.nn.problem import chunks
from pipeline.numerics.sums import mean


@measure(metrics=lambda widths: 1)
def frequency_gap(snapshot: StackSnapshot) -> dict[str, Array]:
    """``predictions/frequency_gap``: how far the predictions are from the class frequencies of the training part.

    The largest difference over all classes and training examples. A network whose weights are all 0 predicts one
    distribution for every example, and the best one it can is that of the frequencies. With squared error the
    prediction is the output itself.
    """
    problem, gap = snapshot.problem, np.zeros(len(snapshot.parameters))
    frequencies = mean(problem.train.targets)[:, None]
    for chunk in chunks(problem.train.examples):
        inputs, targets = problem.train.shared_examples(chunk)
        outputs = forward(problem.architecture, problem.arithmetic, snapshot.parameters, inputs).outputs
        # The output delta of every loss is prediction - target.
        predictions = problem.loss.delta(outputs, targets) + targets
        gap = np.maximum(gap, np.abs(predictions - frequencies).max(axis=(1, 2)))
    return {names.FREQUENCY_GAP: gap}
