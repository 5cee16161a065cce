"""The data sets of a process, loaded when they are needed, and never another one than the driver fingerprinted.

A file can change while a sweep trains from it, and processes, other machines and a cache that had no room load it again
and again. So the digest of what the driver loaded first goes wherever the configuration goes (``Batch.data``), and
every load is compared with it.
"""

import json
from dataclasses import asdict

from pipeline.config import DataConfig
from pipeline.data import Dataset, load_dataset
from pipeline.errors import DataChangedError, InputError
from pipeline.memory import SizedCache

_digests: dict[str, str] = {}
"""Data configuration -> digest at the first time; kept for ever, unlike the data sets themselves."""


def dataset_of(config: DataConfig, digest: str | None = None) -> Dataset:
    """The data set of a configuration, loaded anew where this process keeps it no more, but never another one.

    Args:
        digest: that it must have; None for the one that it had when this process first loaded it.

    Raises:
        DataChangedError: what is there now has another digest, or cannot be read.
        InputError: it cannot be read, and nobody could before.
    """
    key = json.dumps(asdict(config))
    return _dataset(json.dumps([key, None if digest == _digests.get(key) else digest]))


def digest_of(config: DataConfig) -> str:
    """The digest of a configuration's data set as this process first loaded it, whatever has become of its files."""
    return _digests.get(json.dumps(asdict(config))) or dataset_of(config).digest


def _loaded(key: str) -> Dataset:
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


_dataset = SizedCache(_loaded, size=lambda dataset: dataset.size)


def data_changed(config: DataConfig, expected: str, got: str) -> DataChangedError:
    """That a data set has another digest than the driver's, in one line that names its file."""
    path = config.options.get("path")
    place, data = ("data", config.name) if path is None else (f"data.path: {path}", "the file")
    return DataChangedError(
        f"{place}: expected {data} as it was at the start (digest {expected}), got a changed one (digest {got})"
    )
