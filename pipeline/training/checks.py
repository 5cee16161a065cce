"""Checks of a configuration against its data: memory, batch size, feature scales, layers of the initialiser."""

import json
from dataclasses import asdict
from functools import lru_cache

import numpy as np

from pipeline.config.schema import Config, DataConfig, InitConfig
from pipeline.errors import InputError
from pipeline.nn.arithmetic import ARITHMETICS
from pipeline.nn.network import Architecture
from pipeline.training.datasets import dataset_of
from pipeline.training.footprint import announced_shape, check_memory, shape_of
from pipeline.training.loop import RunGenerators
from pipeline.training.stack import architecture_of, initial_parameters

COARSEST_FEATURE = 1e-3


def check_against_data(config: Config) -> None:
    """Checks what only the data can tell: memory, batch size, feature scales, layers of the initialiser.

    Nothing large is drawn or loaded before it is known to fit into memory.

    Raises:
        InputError: in one line, the key to change.
    """
    announced = announced_shape(config)
    if announced is not None:
        check_memory(config, announced)
    dataset = dataset_of(config.data)
    if announced is None:
        check_memory(config, shape_of(dataset))
    examples = len(dataset.train_inputs)
    batch_size = config.training.batch_size
    if batch_size is not None and batch_size > examples:
        raise InputError(
            f"training.batch_size: expected at most {examples}, the training examples of data={dataset.name}"
            f" (or null for the full batch), got {batch_size}"
        )
    if config.arithmetic == "exact":
        _check_feature_scales(json.dumps(asdict(config.data)))
    _check_initializer(json.dumps(asdict(config.init)), architecture_of(config, dataset))


@lru_cache(maxsize=256)
def _check_initializer(key: str, architecture: Architecture) -> None:
    # One draw is the check: the scheme itself knows which layers it fits.
    initial_parameters(architecture, InitConfig(**json.loads(key)), RunGenerators.from_seed(0))


@lru_cache(maxsize=256)
def _check_feature_scales(key: str) -> None:
    """Exact products keep 21 bits below the largest input, which features of tiny scale would not survive."""
    dataset = dataset_of(DataConfig(**json.loads(key)))
    inputs = dataset.train_inputs
    rounded = ARITHMETICS["exact"].operand(inputs)
    deviation = inputs.std(axis=0)
    lost = np.abs(rounded - inputs).max(axis=0) > COARSEST_FEATURE * deviation
    lost &= deviation > 0.0
    if lost.any():
        feature = dataset.feature_names[int(lost.argmax())]
        raise InputError(
            f"data.standardize: expected true (or arithmetic=blas) where features differ this much in scale: feature"
            f" {feature!r} would be rounded away beside the largest input {np.abs(inputs).max():g}, got false"
        )
