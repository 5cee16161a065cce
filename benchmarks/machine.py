"""The machine: which cores everyone gets, what they are, and how fast they multiply. Pinning needs Linux."""

import os
import platform
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_info, threadpool_limits

ONE_XLA_THREAD = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
LIBRARIES = ("numpy", "scipy", "scikit-learn", "torch", "jax", "jaxlib", "hydra-core", "mlflow", "matplotlib")


def limit_to(cores: int) -> None:
    """Pins this process, and every thread and process it starts, to the last ``cores`` cores.

    Must come before JAX and PyTorch are imported: they size their thread pools by what they see then. NumPy's BLAS
    gets ``cores`` threads here; worker processes get one each.
    """
    available = sorted(os.sched_getaffinity(0))
    if cores > len(available):
        raise SystemExit(f"--cores: expected at most {len(available)}, the cores of this machine, got {cores}")
    os.sched_setaffinity(0, available[-cores:])
    for variable in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"):
        os.environ[variable] = "1"
    if cores == 1:
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {ONE_XLA_THREAD}".strip()
    threadpool_limits(limits=cores, user_api="blas")


def usable_cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0))


def description() -> str:
    """CPU, cores, BLAS and versions of what is installed, as a Markdown paragraph."""
    versions = ", ".join(f"{library} {known}" for library in LIBRARIES if (known := _version(library)))
    blas = {
        f"{pool['internal_api']} {pool['version']} ({pool.get('architecture', '?')} kernels)"
        for pool in threadpool_info()
        if pool["user_api"] == "blas"
    }
    return (
        f"Machine: {_cpu_model()}, {usable_cores()} of {os.cpu_count()} cores used; Python {platform.python_version()},"
        f" {versions}; NumPy and SciPy with {', '.join(sorted(blas))}."
    )


def _version(library: str) -> str | None:
    try:
        return version(library)
    except PackageNotFoundError:
        return None


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def product_peak(size: int, repetitions: int = 8) -> float:
    """The most floating-point operations a second that a float64 product of ``size`` x ``size`` matrices reached.

    It uses as many BLAS threads as ``limit_to`` allowed. One product counts 2 * size**3 operations.
    """
    left, right = np.random.default_rng(0).standard_normal((2, size, size))
    result = np.empty_like(left)
    seconds = []
    for _ in range(repetitions):
        start = time.perf_counter()
        np.matmul(left, right, out=result)
        seconds.append(time.perf_counter() - start)
    return float(2 * size**3 / min(seconds))
