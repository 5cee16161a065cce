"""A real Dask scheduler and workers on loopback, as processes that tests kill."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support.sweeps import clean_environment


class Cluster:
    """A scheduler on one port, and workers that join it.

    Args:
        folder: where their output goes.
        host: the address of this machine at which the scheduler listens.
        environment: more environment variables.
    """

    def __init__(self, folder: Path, host: str = "127.0.0.1", **environment: str) -> None:
        with socket.create_server((host, 0)) as server:
            self._port = server.getsockname()[1]
        self._folder = folder
        self._host = host
        self._environment = clean_environment(**environment)
        self._started: list[subprocess.Popen[str]] = []
        self.scheduler = self.start_scheduler()
        self.nannies: list[subprocess.Popen[str]] = []

    @property
    def address(self) -> str:
        return f"tcp://{self._host}:{self._port}"

    def start_scheduler(self) -> subprocess.Popen[str]:
        """A scheduler that answers."""
        process = self._start("scheduler", "--host", self._host, "--port", str(self._port))
        deadline = time.monotonic() + 180
        while time.monotonic() < deadline:
            with suppress(OSError), socket.create_connection((self._host, self._port), timeout=1):
                return process
            time.sleep(0.05)
        raise TimeoutError(self.output)

    def start_worker(self, *within: str) -> subprocess.Popen[str]:
        """A nanny, which starts a worker of one thread and a new one when that dies.

        Args:
            within: a command that runs another one, elsewhere.
        """
        options = ("--nthreads", "1", "--memory-limit", "0", "--local-directory", ".")
        nanny = self._start("worker", self.address, *options, within=within)
        self.nannies.append(nanny)
        return nanny

    def wait_for_workers(self, number: int) -> None:
        """Waits until so many workers have joined."""
        from distributed import Client

        with Client(self.address, set_as_default=False) as client:
            client.wait_for_workers(number, timeout=180)

    @property
    def output(self) -> str:
        return (self._folder / "dask.txt").read_text(encoding="utf-8")

    def _start(self, kind: str, *arguments: str, within: Sequence[str] = ()) -> subprocess.Popen[str]:
        with (self._folder / "dask.txt").open("a", encoding="utf-8") as output:
            process = subprocess.Popen(
                [
                    *within,
                    sys.executable,
                    "-m",
                    f"distributed.cli.dask_{kind}",
                    *arguments,
                    "--dashboard-address",
                    "127.0.0.1:0",
                ],
                cwd=self._folder,
                env=self._environment,
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
def cluster(folder: Path, **environment: str) -> Iterator[Cluster]:
    """A scheduler and two workers that have joined."""
    started = Cluster(folder, **environment)
    try:
        for _ in range(2):
            started.start_worker()
        started.wait_for_workers(2)
        yield started
    finally:
        started.close()
