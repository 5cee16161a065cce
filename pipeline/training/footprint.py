"""Memory estimates of a configuration, from its numbers alone, before anything is allocated.

The coefficients count arrays that the code holds at the same time; ``test_footprint.py`` compares the estimate
with the real peak of processes that train.
"""

from collections import Counter
from collections.abc import Mapping
from itertools import pairwise
from math import prod
from typing import NamedTuple

import numpy as np

from pipeline.config.schema import Config
from pipeline.data.dataset import Dataset
from pipeline.data.examples import TEACHERS, drawn_shape
from pipeline.errors import InputError, shown
from pipeline.measures import metric_count
from pipeline.measures.curvature.lanczos import MOST_STEPS
from pipeline.measures.curvature.stability import MOST_NUMBERS
from pipeline.measures.reference_optimum import LARGEST_LINEAR_PROGRAM
from pipeline.nn.losses import output_count
from pipeline.nn.network import Architecture
from pipeline.nn.optimizers import slot_count
from pipeline.nn.problem import chunk_size
from pipeline.nn.teacher import DRAWN_TOGETHER
from pipeline.system.memory import in_units, machine_memory, require_memory
from pipeline.training.loop import measured_count
from pipeline.training.recording import recorded_values

PROCESS = 350_000_000
"""A process with its libraries: 200 MB where it trains, 330 MB with MLflow."""
FLOAT = np.dtype(np.float64).itemsize
CURVE_POINT, TRACKED_POINT = 100, 1000
"""A measured number of one step in the curve of its run, and while it is tracked."""
PROGRAM_ENTRY = 250
"""An entry of the linear program that decides separability."""
JOB = 5000
"""What the driver knows of a job: overrides, configuration, fingerprint, number."""


class DataShape(NamedTuple):
    """The sizes of a data set, from which with the configuration those of all arrays follow.

    Attributes:
        drawn: examples that the source gives.
        train: those of the training part.
        test: those of the test part.
        features: d.
        classes: k.
    """

    drawn: int
    train: int
    test: int
    features: int
    classes: int

    @property
    def outputs(self) -> int:
        return output_count(self.classes)


def announced_shape(config: Config) -> DataShape | None:
    """The shape of a data set that is not loaded yet, or None where only loading tells."""
    drawn = drawn_shape(config.data.name, config.data.options)
    if drawn is None:
        return None
    examples, features, classes = drawn
    kept = examples if config.data.limit is None else min(examples, config.data.limit)
    test = int(config.data.test_fraction * min(kept, 2**53))
    return DataShape(examples, kept - test, test, features, classes)


def shape_of(dataset: Dataset) -> DataShape:
    """The shape of a data set that is loaded."""
    train, test = len(dataset.train_inputs), len(dataset.test_inputs)
    return DataShape(train + test, train, test, dataset.train_inputs.shape[1], len(dataset.classes))


def check_memory(config: Config, shape: DataShape) -> None:
    """Refuses a run that needs more memory than the machine has.

    Raises:
        InputError: in one line, the key to change, and the estimate.
    """
    flat = config.flattened()
    for needed in (loading(config, shape), prepared(config, shape) + training(config, shape)):
        require_memory(PROCESS, needed, {key: flat[key] for key in needed})


def loading(config: Config, shape: DataShape) -> Counter[str]:
    """Key -> bytes while the data set is made: examples are drawn, shuffled, split, standardised and hashed."""
    return Counter({_size_key(config): shape.drawn * (5 * FLOAT * shape.features + 60)})


def prepared(config: Config, shape: DataShape) -> Counter[str]:
    """Key -> bytes that a process takes once for training: the data set, its operands, and the reference optimum."""
    examples = shape.train + shape.test
    needed = Counter({_size_key(config): examples * 3 * FLOAT * (shape.features + 1)})
    needed["data.classes" if "classes" in config.data.options else _size_key(config)] += (
        examples * 5 * FLOAT * shape.outputs // 2
    )
    if config.model.name == "logistic":
        needed[_size_key(config)] += _optimum_bytes(config, shape)
    return needed


def _optimum_bytes(config: Config, shape: DataShape) -> int:
    """Centred examples, their singular value decomposition, and the linear program, if it is tried."""
    columns = shape.features + 1
    entries = 2 * shape.train * columns * max(1, shape.outputs - 1)
    is_tested = config.training.l2 == 0.0 and config.training.loss != "squared_error" and shape.classes > 0
    program = entries * PROGRAM_ENTRY if is_tested and entries <= LARGEST_LINEAR_PROGRAM else 0
    return max(program, 6 * FLOAT * shape.train * columns) + 5 * FLOAT * columns**2


def training(config: Config, shape: DataShape, *, tracked: bool = True) -> Counter[str]:
    """Key -> bytes of one run of a stack, the most at any time; with ``tracked`` those of its tracking too."""
    units, itemsize = config.model.hidden_units, np.dtype(config.dtype).itemsize
    widths = (shape.features, *units, shape.outputs)
    exact, measured_more = config.arithmetic == "exact", bool(config.measures)
    parameters = sum(fan_out * (fan_in + 1) for fan_in, fan_out in pairwise(widths))
    copies = 10 + 2 * exact + 2 * measured_more
    batch_size = min(config.training.batch_size or shape.train, shape.train)
    # Activations, slopes and what is made of them, of the examples that are measured together and of those in a step.
    measured = chunk_size(shape.train) * (3 + 2 * exact + 5 * measured_more)
    in_a_step = chunk_size(batch_size) * (3 + 3 * (config.model.dropout > 0.0))
    values = parameters * copies + parameters * 3 * slot_count(config.optimizer.name) // 2
    values += (measured + in_a_step) * sum(units) + 8 * chunk_size(shape.train) * shape.outputs
    values += 6 * (config.data.label_noise > 0.0) * chunk_size(batch_size) * shape.outputs
    # Of the widest layer: the distances of the incoming weights, and those of the outgoing ones in two copies.
    distances = 3 * max(units, default=0) ** 2 // 2
    needed = Counter({"model.hidden_units" if units else _size_key(config): itemsize * values + FLOAT * distances})
    if config.training.batch_size is not None:
        needed[_size_key(config)] += 2 * FLOAT * shape.train
        needed["training.batch_size"] += itemsize * batch_size * (shape.features + 1 + shape.outputs)
    if config.data.name in TEACHERS:
        needed["data.inputs"] += 6 * FLOAT * max(DRAWN_TOGETHER, batch_size * shape.features)
    if {"stability", "hessian"} & set(config.measures):
        # The Lanczos vectors of one run; of a stack no more runs at once than that has room for.
        needed["measures"] += max(0, 3 * FLOAT * parameters * MOST_STEPS - FLOAT * MOST_NUMBERS)
    points = metric_count(config.measures, widths) * measured_count(config.training.steps, config.training.measure_at)
    needed["training.measure_at"] += points * (CURVE_POINT + tracked * TRACKED_POINT)
    if config.is_recorded:
        # In lists of arrays, then joined; tracked as an archive.
        needed["record_weights"] += (2 + 2 * tracked) * recorded_bytes(config, shape)
    return needed


def recorded_bytes(config: Config, shape: DataShape) -> int:
    """Bytes of the recording of one run, on disk too."""
    architecture = Architecture((shape.features, *config.model.hidden_units, shape.outputs), None, config.model.bias)
    measured = measured_count(config.training.steps, config.training.measure_at)
    values = measured * recorded_values(architecture) + shape.features + shape.outputs
    return values * np.dtype(config.dtype).itemsize


def check_jobs(values: Mapping[str, int]) -> None:
    """Refuses a sweep of more jobs than fit into memory, before they are listed.

    Args:
        values: key -> how many values it takes in the sweep.

    Raises:
        InputError: it names the key with the most values.
    """
    jobs = prod(values.values())
    needed, memory = PROCESS + JOB * jobs, machine_memory()
    if needed > memory:
        key = max(values, key=values.__getitem__)
        raise InputError(
            f"{key}: expected a sweep that fits into the {in_units(memory)} of memory here, got {shown(values[key])}"
            f" values, in a sweep of {shown(jobs)} jobs, which needs about {in_units(needed)}"
        )


def _size_key(config: Config) -> str:
    """The key that decides how much data there is."""
    options = config.data.options
    return "data.examples" if "examples" in options else "data.path" if "path" in options else "data"
