"""Data sets by configuration: checked against the driver's digest, kept in an LRU cache bounded by bytes."""

import json
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import asdict
from typing import Generic, TypeVar

from pipeline.config.schema import DataConfig
from pipeline.data.dataset import Dataset, load_dataset
from pipeline.errors import DataChangedError, InputError
from pipeline.system.memory import machine_memory

Value = TypeVar("Value")
KEPT_SHARE = 8
"""A cache may fill one such part of the memory."""


class SizedCache(Generic[Value]):
    """An LRU cache of a function's values, bounded by a share of the memory.

    Args:
        function: key -> value.
        size: value -> its bytes.
    """

    def __init__(self, function: Callable[[str], Value], size: Callable[[Value], int]) -> None:
        self._function = function
        self._size = size
        self._kept: OrderedDict[str, Value] = OrderedDict()

    def __call__(self, key: str) -> Value:
        if key not in self._kept:
            self._kept[key] = self._function(key)
            while len(self._kept) > 1 and sum(map(self._size, self._kept.values())) > machine_memory() // KEPT_SHARE:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]

    def clear(self) -> None:
        """Forgets all values."""
        self._kept.clear()


_digests: dict[str, str] = {}
"""Data configuration -> digest at the first time; kept for ever, unlike the data sets themselves."""


def dataset_of(config: DataConfig, digest: str | None = None) -> Dataset:
    """The data set of a configuration, from the cache or loaded again, and refused if it has changed meanwhile.

    Args:
        digest: that it must have; None for the one that it had when this process first loaded it.

    Raises:
        DataChangedError: what is there now has another digest, or cannot be read.
        InputError: it cannot be read, and nobody could before.
    """
    key = _key(config)
    return _dataset(json.dumps([key, None if digest == _digests.get(key) else digest]))


def forget_datasets() -> None:
    """Lets files be read anew: to a new sweep of the same process, they are what they are by then."""
    _digests.clear()
    _dataset.clear()


def digest_of(config: DataConfig) -> str:
    """The digest of a configuration's data set as this process first loaded it, whatever has become of its files."""
    return _digests.get(_key(config)) or dataset_of(config).digest


def _key(config: DataConfig) -> str:
    """What the examples follow from: the noise of the labels is drawn in training."""
    return json.dumps({key: value for key, value in asdict(config).items() if key != "label_noise"})


def _load(key: str) -> Dataset:
    config, digest = json.loads(key)
    expected = digest or _digests.get(config)
    try:
        dataset = load_dataset(**json.loads(config))
    except InputError as error:
        if expected is None:
            raise
        raise DataChangedError(f"{error} (it has changed: at the start it could be read, digest {expected})") from error
    if expected not in (None, dataset.digest):
        raise data_changed(DataConfig(**json.loads(config)), expected, dataset.digest)
    if digest is None:
        _digests[config] = dataset.digest
    return dataset


_dataset = SizedCache(_load, size=lambda dataset: dataset.size)


def data_changed(config: DataConfig, expected: str, got: str) -> DataChangedError:
    """The error for a data set whose digest is not the driver's; it names the file, or both of a data set of two."""
    files = [f"data.{key}: {config.options[key]}" for key in ("path", "test_path") if config.options.get(key)]
    data = f"{config.name} as it was" if not files else "the file as it was" if len(files) == 1 else "both as they were"
    place = ", ".join(files) or "data"
    return DataChangedError(
        f"{place}: expected {data} at the start (digest {expected}), got a changed one (digest {got})"
    )
