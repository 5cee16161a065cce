"""A real Dask scheduler and workers on loopback, as processes that tests kill."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.sweeps import clean_environment

QUIET = ("--dashboard-address", "127.0.0.1:0")
"""Otherwise its web server listens on all interfaces."""


class Cluster:
    """A scheduler on one port, and workers that join it.

    Args:
        folder: where their output goes.
    """

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            self._port = server.getsockname()[1]
        self._folder = folder
        self._started: list[subprocess.Popen[str]] = []
        self.scheduler = self.start_scheduler()
        self.nannies = [self.start_worker(), self.start_worker()]

    @property
    def address(self) -> str:
        return f"tcp://127.0.0.1:{self._port}"

    def start_scheduler(self) -> subprocess.Popen[str]:
        """A scheduler that answers."""
        process = self._start("scheduler", "--host", "127.0.0.1", "--port", str(self._port))
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self._port), timeout=1):
                return process
            time.sleep(0.05)
        raise TimeoutError(self.output)

    def start_worker(self) -> subprocess.Popen[str]:
        """A nanny, which starts a worker of one thread and a new one when that dies."""
        return self._start("worker", self.address, "--nthreads", "1", "--memory-limit", "0", "--local-directory", ".")

    @property
    def output(self) -> str:
        return (self._folder / "dask.txt").read_text(encoding="utf-8")

    def _start(self, kind: str, *arguments: str) -> subprocess.Popen[str]:
        with (self._folder / "dask.txt").open("a", encoding="utf-8") as output:
            process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    f"distributed.cli.dask_{kind}",
                    *arguments,
                    "--dashboard-address",
                    "127.0.0.1:0",
                ],
                cwd=self._folder,
                env=clean_environment(),
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        self._started.append(process)
        return process

    def close(self) -> None:
        """Kills all that is left, workers of nannies included."""
        for process in self._started:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """A scheduler and two workers."""
    started = Cluster(folder)
    try:
        yield started
    finally:
        started.close()
