"""How many runs a stack may have before a training step outgrows the processor's cache."""

import numpy as np

from pipeline.config import Config
from pipeline.measurements import chunks
from pipeline.stacking import architecture_of, dataset_of

CACHE = 3 * 2**19
"""Bytes that the runs of a stack touch in a step: about the second-level cache of a core."""


def runs_per_batch(config: Config) -> int:
    """How many runs of this configuration train best as one stack; how a stack is split changes no bit of a result.

    More runs share the cost of calling NumPy, 50 to 100 calls of a microsecond in each step; but beyond what the cache
    holds every elementwise operation takes two to three times as long. What a run touches in each step: for every
    example that goes through at once two arrays of each hidden layer (activations and slopes), two of the outputs, and
    a minibatch of its own; and three times its parameters (with gradient and operands). The best numbers measured
    agree: 48 runs of 8 units on 200 examples, 2 of 32 units on 1797, 16 of 32 units on batches of 64, 1 of 256 units
    on batches of 128.
    """
    dataset = dataset_of(config.data)
    architecture = architecture_of(config, dataset)
    features, *hidden, outputs = architecture.widths
    batch_size = config.training.batch_size
    examples = len(dataset.train_inputs) if batch_size is None else batch_size
    values_of_example = 2 * sum(hidden) + 2 * outputs + (0 if batch_size is None else features + outputs)
    values = chunks(examples)[0].stop * values_of_example + 3 * architecture.parameter_count
    return max(1, CACHE // (values * np.dtype(config.dtype).itemsize))
