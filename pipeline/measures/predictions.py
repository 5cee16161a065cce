"""Measurements of what a network predicts."""

import numpy as np

from pipeline import names
from pipeline.measures.registry import Moment, measure
from pipeline.nn.arithmetic import Array
from pipeline.nn.network import forward
from pipeline.nn.problem import chunks
from pipeline.nn.workspace import Workspace


@measure
def frequency_gap(moment: Moment) -> dict[str, Array]:
    """``predictions/frequency_gap``: how far the predictions are from the class frequencies of the training part.

    The largest difference over all classes and training examples. A network whose weights are all 0 predicts one
    distribution for every example, and the best one it can is that of the frequencies. With squared error the
    prediction is the output itself.
    """
    task, gap = moment.task, np.zeros(len(moment.parameters))
    frequencies = task.train.targets.mean(axis=1)[:, None]
    for chunk in chunks(task.train.examples):
        inputs, targets = task.train.whole(chunk)
        memory = Workspace(moment.parameters.dtype)
        outputs = forward(task.architecture, task.arithmetic, moment.parameters, inputs, workspace=memory).outputs
        # The output delta of every loss is prediction - target.
        predictions = task.loss.delta(outputs, targets) + targets
        gap = np.maximum(gap, np.abs(predictions - frequencies).max(axis=(1, 2)))
    return {names.FREQUENCY_GAP: gap}
