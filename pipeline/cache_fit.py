"""How many runs of a stack the processor's cache has room for, and how many workers the memory."""

from collections.abc import Sequence

import numpy as np

from pipeline.config import Config
from pipeline.footprint import PROCESS, loading, prepared, shape_of, training
from pipeline.measurements import chunk_size
from pipeline.memory import KEPT_SHARE, machine_memory
from pipeline.stacking import architecture_of, dataset_of

CACHE = 3 * 2**19
"""Bytes that the runs of a stack touch in a step: about the second-level cache of a core."""
BATCH = 2**29
"""Bytes that the runs of a stack may take in all, with their curves; seldom reached before the cache is full."""


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
    values = chunk_size(examples) * values_of_example + 3 * architecture.parameter_count
    in_cache = CACHE // (values * np.dtype(config.dtype).itemsize)
    return max(1, min(in_cache, BATCH // training(config, shape_of(dataset)).total()))


def workers_that_fit(batches: Sequence[Sequence[Config]]) -> int:
    """How many worker processes may train at once beside this one; 1 if it is better to train in this one."""
    distinct = {repr(batch[0].data): batch[0].data for batch in batches}.values()
    # Data sets and their reference optima.
    kept = min(machine_memory() // KEPT_SHARE, 2 * sum(dataset_of(data).size for data in distinct))
    each = PROCESS + kept + max(map(_batch_bytes, batches))
    return max(1, (machine_memory() - PROCESS - kept) // each)


def _batch_bytes(batch: Sequence[Config]) -> int:
    config = batch[0]
    shape = shape_of(dataset_of(config.data))
    runs = len(batch) * training(config, shape).total()
    return max(loading(config, shape).total(), prepared(config, shape).total() + runs)
