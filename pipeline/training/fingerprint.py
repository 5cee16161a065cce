"""The fingerprint of a run: a hash of everything that determines its bits, by which a sweep is resumed."""

import hashlib
import json

from pipeline.config.schema import Config
from pipeline.data.examples import FILES
from pipeline.training.datasets import digest_of

RESULT_VERSION = 3
"""Raised by every change of the code that changes a result's bits."""


def fingerprint(config: Config) -> str:
    """Hash of everything that determines a run's bits: the scientific configuration, the data, ``RESULT_VERSION``.

    The keys of the user's files are no part of it: equal examples in another file or format are known as equal. Which
    other seeds are recorded says nothing about this run.
    """
    scientific = config.scientific()
    if config.data.name in FILES:
        del scientific["data"]
        if config.data.label_noise:
            scientific["label_noise"] = config.data.label_noise
    del scientific["record_weights"]
    if config.is_recorded:
        scientific["recorded"] = True
    determined_by = [scientific, digest_of(config.data), RESULT_VERSION]
    return hashlib.sha256(json.dumps(determined_by, sort_keys=True).encode()).hexdigest()[:32]
