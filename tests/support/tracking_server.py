"""A real tracking server on loopback that tests kill."""

import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path

from tests.support.sweeps import clean_environment


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


class TrackingServer:
    """``mlflow server`` with one process, on a port where it can be killed and started again.

    Args:
        folder: for its artifacts and its output.
        backend: address of its database.
    """

    def __init__(self, folder: Path, port: int, backend: str) -> None:
        self._folder = folder
        self._port = port
        self._backend = backend
        self.start()

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Starts it and waits until it answers."""
        # Its queue of jobs, which nothing here uses, would start eight more processes.
        environment = clean_environment(MLFLOW_DISABLE_TELEMETRY="true", MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false")
        with self._output.open("ab") as output:
            self._process = subprocess.Popen(
                [
                    sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self._port),
                    "--workers", "1", "--backend-store-uri", self._backend, "--serve-artifacts",
                    "--artifacts-destination", str(self._folder / "kept"),
                ],
                cwd=self._folder, env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        deadline = time.monotonic() + 120.0
        while not self._answers():
            assert self._process.poll() is None, self._output.read_text(encoding="utf-8")
            assert time.monotonic() < deadline
            time.sleep(0.2)

    def kill(self) -> None:
        """Kills it and the processes that it has started."""
        subprocess.run(["pkill", "-9", "--session", str(self._process.pid)], check=False)
        self._process.wait()

    def requests(self) -> int:
        """How many requests it has answered, its health aside."""
        # What it says of a request comes after the answer, but before what it says of the next one.
        assert self._answers()
        before, _ = self._asked()
        deadline = time.monotonic() + 60.0
        while True:
            assert self._answers()
            time.sleep(0.05)
            health, others = self._asked()
            if health > before or time.monotonic() > deadline:
                return others

    def _asked(self) -> tuple[int, int]:
        """How many requests for its health it has told of, and how many others."""
        asked = re.findall(r'"(\S+ \S+) HTTP/1', self._output.read_text(encoding="utf-8"))
        health = asked.count("GET /health")
        return health, len(asked) - health

    def _answers(self) -> bool:
        with suppress(OSError), closing(HTTPConnection("127.0.0.1", self._port, timeout=5)) as connection:
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
        return False

    @property
    def _output(self) -> Path:
        return self._folder / "server.txt"


@contextmanager
def tracking_server(folder: Path, port: int, backend: str) -> Iterator[TrackingServer]:
    """A tracking server, killed at the end."""
    server = TrackingServer(folder, port, backend)
    try:
        yield server
    finally:
        server.kill()
