"""Commands as a user types them: each in a process and a folder of its own, timed, its memory watched. Needs Linux."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from threading import Event, Thread
from typing import NamedTuple

from pipeline import PROJECT

SAMPLING_INTERVAL = 0.1
"""Seconds between two looks at the memory."""


class Cost(NamedTuple):
    """What a command took.

    Attributes:
        seconds: from its start to its end.
        memory: the most bytes that it and all its children together were seen to hold. Pages that they share count
            once for each of them, so this is an upper bound.
        output: what it printed.
    """

    seconds: float
    memory: int
    output: str


def cost_of(module: str, arguments: Sequence[str], folder: Path, extra: Mapping[str, str] | None = None) -> Cost:
    """Runs ``python -m module arguments`` in a folder.

    Args:
        extra: environment variables beside those of ``clean_environment``.

    Raises:
        RuntimeError: the command failed; the message holds what it printed.
    """
    command = [sys.executable, "-m", module, *arguments]
    environment = clean_environment() | dict(extra or {})
    start = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    ended, peak = Event(), [0]

    def watch() -> None:
        while not ended.wait(SAMPLING_INTERVAL):
            peak[0] = max(peak[0], sum(_resident(pid) for pid in _family(process.pid)))

    watcher = Thread(target=watch)
    watcher.start()
    try:
        output, _ = process.communicate()
        seconds = time.perf_counter() - start
    finally:
        ended.set()
        watcher.join()
        process.kill()
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{output}")
    return Cost(seconds, peak[0], output)


def clean_environment() -> dict[str, str]:
    """The caller's environment variables without tracking settings, with one BLAS thread a process."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("MLFLOW_", "HYDRA_"))}
    return clean | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(PROJECT)}


def with_database(folder: Path) -> Path:
    """A folder that holds an empty MLflow database, which takes seconds to make, once."""
    cost_of("mlflow", ["experiments", "search"], folder)
    return folder


def _family(pid: int) -> Iterator[int]:
    """A process and all its descendants."""
    yield pid
    try:
        children = [text for task in Path(f"/proc/{pid}/task").iterdir() for text in _children(task)]
    except OSError:  # It has ended meanwhile.
        return
    for child in children:
        yield from _family(int(child))


def _children(task: Path) -> list[str]:
    try:
        return (task / "children").read_text(encoding="ascii").split()
    except OSError:
        return []


def _resident(pid: int) -> int:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
