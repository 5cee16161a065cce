"""Train a batch on another machine after checking that its code and data, and what else counts, equal the driver's.

Exact runs have the same bits on every processor and with every supported version of the libraries (as shown by
``benchmarks.machines``), so their workers may be of any kind. Plain products are what a NumPy release and its BLAS make
of them.
"""

import hashlib
import platform
from functools import cache
from importlib.metadata import version
from pathlib import Path
from threading import Lock
from typing import NamedTuple

from threadpoolctl import threadpool_limits

from pipeline.config.schema import Config
from pipeline.errors import InputError
from pipeline.executors.batch import Batch, Trained, train_batch

PACKAGE = Path(__file__).resolve().parents[1]
CODE, LIBRARIES = "symmetry-lab", ("numpy", "scipy")
"""This package, and those whose version may change the bits of a run with ``arithmetic=blas``."""

_ONE_AT_A_TIME = Lock()
"""A worker may run several threads, but the caches of a process are not made for them, and its BLAS has one limit."""


class Work(NamedTuple):
    """A batch on its way to another machine, and what its results depend on besides its configurations.

    Attributes:
        configs: those of the batch.
        code: of the driver's ``code_here``, what counts for these configurations.
        data: digest of the driver's data set.
    """

    configs: tuple[Config, ...]
    code: dict[str, str]
    data: str


def work_of(batch: Batch) -> Work:
    """A batch as it travels."""
    counts = (CODE, *LIBRARIES) if batch.configs[0].arithmetic == "blas" else (CODE,)
    return Work(batch.configs, {name: code_here()[name] for name in counts}, batch.data)


def train_elsewhere(work: Work) -> Trained:
    """Trains a batch with one BLAS thread, as the driver would.

    Raises:
        InputError: code or libraries that count are not those of the driver; nothing is trained with others.
    """
    here = code_here()
    different = [f"{name} {here[name]}, not {there}," for name, there in work.code.items() if here[name] != there]
    if different:
        raise InputError(
            f"executor: expected workers with the driver's code, got {' '.join(different)} on {platform.node()}"
        )
    with _ONE_AT_A_TIME, threadpool_limits(limits=1, user_api="blas"):
        trained = train_batch(work.configs, work.data)
    return trained._replace(refusal=trained.refusal and f"{trained.refusal} on {platform.node()}")


def without_code(error: Exception) -> InputError:
    """What an error means that comes from elsewhere: what a job raises comes back as its Failure."""
    cause = f"{type(error).__name__}: {error}".splitlines()[0]
    return InputError(f"executor: expected workers (and a scheduler) with the driver's code, got {cause}")


@cache
def code_here() -> dict[str, str]:
    """What a result depends on besides configuration and data: a digest of this package's source, and versions."""
    digest = hashlib.sha256()
    for path in sorted(PACKAGE.rglob("*.py")):
        digest.update(f"{path.relative_to(PACKAGE).as_posix()}\n".encode() + path.read_bytes())
    return {CODE: digest.hexdigest()[:12]} | {name: version(name) for name in LIBRARIES}
