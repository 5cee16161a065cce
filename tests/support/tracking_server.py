"""A real tracking server on loopback that tests kill, and a throw-away PostgreSQL for it."""

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from http.client import HTTPConnection
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support.sweeps import clean_environment

DEBIAN = Path("/usr/lib/postgresql")
"""Where Debian keeps the programs of PostgreSQL, by version, out of everybody's path."""
SYSTEM_USER = "postgres"


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


class PostgreSQL:
    """A database server with one database, whose files are in a folder of its own.

    PostgreSQL refuses to be run by root, so then the user runs it that Debian makes for it.
    """

    def __init__(self, folder: Path, programs: Path, port: int) -> None:
        self._folder = folder
        self._programs = programs
        self._port = port
        if os.getuid() == 0:
            shutil.chown(folder, SYSTEM_USER)
        self._run("initdb", "-D", self._data, "-U", "mlflow", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C")
        self.start()
        self.create("mlflow")

    def address(self, database: str = "mlflow") -> str:
        return f"postgresql+psycopg2://mlflow@127.0.0.1:{self._port}/{database}"

    def create(self, database: str) -> None:
        """Makes one more database."""
        self._run("createdb", "-h", "127.0.0.1", "-p", str(self._port), "-U", "mlflow", database)

    def start(self) -> None:
        """Starts it and waits until it answers."""
        options = ("listen_addresses=127.0.0.1", f"port={self._port}", f"unix_socket_directories={self._folder}")
        settings = " ".join(f"-c {option}" for option in (*options, "fsync=off"))
        self._run("pg_ctl", "-D", self._data, "-w", "-l", f"{self._folder}/log", "-o", settings, "start")

    def stop(self) -> None:
        """Ends it as a crash would: nothing is closed or written any more."""
        self._run("pg_ctl", "-D", self._data, "-m", "immediate", "stop")

    @property
    def _data(self) -> str:
        return f"{self._folder}/data"

    def _run(self, program: str, *arguments: str) -> None:
        user = ("runuser", "-u", SYSTEM_USER, "--") if os.getuid() == 0 else ()
        with (self._folder / "output.txt").open("ab") as output:
            subprocess.run(
                [*user, str(self._programs / program), *arguments],
                cwd="/", stdout=output, stderr=subprocess.STDOUT, check=True,
            )  # fmt: skip


@contextmanager
def postgresql() -> Iterator[PostgreSQL]:
    """A throw-away PostgreSQL on loopback; the test is skipped where there is none."""
    found = [*sorted(DEBIAN.glob("*/bin/initdb")), *filter(None, [shutil.which("initdb")])]
    if not found:
        pytest.skip("needs: apt-get install postgresql")
    if find_spec("psycopg2") is None:
        pytest.skip("needs: pip install psycopg2-binary")
    if os.getuid() == 0 and subprocess.run(["id", SYSTEM_USER], capture_output=True, check=False).returncode:
        pytest.skip(f"PostgreSQL is not run as root, and there is no user {SYSTEM_USER}")
    # Not a folder of pytest's, which nobody else may enter.
    with tempfile.TemporaryDirectory(prefix="postgresql-") as folder:
        server = PostgreSQL(Path(folder), Path(found[0]).resolve().parent, free_port())
        try:
            yield server
        finally:
            server.stop()
