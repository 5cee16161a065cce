"""Batching: how many runs train as one stack (cache size), and how many workers at once (memory)."""

from collections.abc import Sequence
from math import ceil

import joblib
import numpy as np

from pipeline.config.schema import Config
from pipeline.nn.problem import chunk_size
from pipeline.system.memory import machine_memory
from pipeline.training.datasets import KEPT_SHARE, dataset_of
from pipeline.training.footprint import PROCESS, loading, prepared, shape_of, training
from pipeline.training.stack import architecture_of, stack_key

CACHE_BYTES = 3 * 2**19
"""Bytes that the runs of a stack touch in a step: about the second-level cache of a core."""
MAX_STACK_BYTES = 2**29
"""Memory limit of one stack, curves included; the limit of the cache is usually reached first."""


def cores() -> int:
    """How many cores this process may use."""
    return int(joblib.cpu_count())


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
    in_cache = CACHE_BYTES // (values * np.dtype(config.dtype).itemsize)
    return max(1, min(in_cache, MAX_STACK_BYTES // training(config, shape_of(dataset)).total()))


def batches_of(configs: Sequence[Config], workers: int) -> list[list[int]]:
    """The batches of a sweep: jobs that train together, as positions in ``configs``, in the order of their first job.

    Jobs of one ``stack_key`` are cut into batches of about equal size: small enough for the cache, and enough of them
    for all workers.
    """
    stacks: dict[str, list[int]] = {}
    for position, config in enumerate(configs):
        stacks.setdefault(stack_key(config), []).append(position)
    batches = []
    for stack in stacks.values():
        at_most = min(runs_per_batch(configs[stack[0]]), ceil(len(stack) / workers))
        size = ceil(len(stack) / ceil(len(stack) / at_most))
        batches += [stack[start : start + size] for start in range(0, len(stack), size)]
    return sorted(batches)


def room_for(configs: Sequence[Config]) -> int:
    """The most workers for which this machine has memory, and the jobs make batches; at least 1."""
    batches = batches_of(configs, cores())
    return min(len(batches), workers_that_fit([[configs[job] for job in batch] for batch in batches]))


def workers_that_fit(batches: Sequence[Sequence[Config]]) -> int:
    """How many worker processes may train at once beside this one; 1 if it is better to train in this one."""
    return max(1, (machine_memory() - PROCESS - _kept_bytes(batches)) // worker_bytes(batches))


def worker_bytes(batches: Sequence[Sequence[Config]]) -> int:
    """The most memory that a worker takes which trains these batches one after the other."""
    return PROCESS + _kept_bytes(batches) + max(map(_batch_bytes, batches))


def _kept_bytes(batches: Sequence[Sequence[Config]]) -> int:
    """Data sets and their reference optima."""
    distinct = {repr(batch[0].data): batch[0].data for batch in batches}.values()
    return min(machine_memory() // KEPT_SHARE, 2 * sum(dataset_of(data).size for data in distinct))


def _batch_bytes(batch: Sequence[Config]) -> int:
    config = batch[0]
    shape = shape_of(dataset_of(config.data))
    runs = len(batch) * training(config, shape).total()
    return max(loading(config, shape).total(), prepared(config, shape).total() + runs)
