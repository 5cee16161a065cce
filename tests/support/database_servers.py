"""Throw-away database servers on loopback, each with its files in a folder of its own."""

import os
import shutil
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support.tracking_server import free_port

DEBIAN = Path("/usr/lib/postgresql")
"""Where Debian keeps the programs of PostgreSQL, by version, out of everybody's path."""
SYSTEM_USER = "postgres"


class DatabaseServer(ABC):
    """A server of databases."""

    @abstractmethod
    def address(self, database: str = "mlflow") -> str:
        """The tracking URI of a database."""

    @abstractmethod
    def create(self, database: str) -> None:
        """Makes one more database."""


class PostgreSQL(DatabaseServer):
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


class MySQL(DatabaseServer):
    """MariaDB, which speaks MySQL's protocol and dialect."""

    def __init__(self, folder: Path, port: int) -> None:
        self._port = port
        self._options = (
            (f"--datadir={folder}/data", "--user=root") if os.getuid() == 0 else (f"--datadir={folder}/data",)
        )
        with (folder / "output.txt").open("ab") as output:
            install = (
                "mariadb-install-db",
                "--no-defaults",
                *self._options,
                "--auth-root-authentication-method=normal",
            )
            subprocess.run(install, stdout=output, stderr=subprocess.STDOUT, check=True)
            options = (
                "--bind-address=127.0.0.1",
                f"--port={port}",
                f"--socket={folder}/socket",
                f"--pid-file={folder}/pid",
            )
            command = (_mariadbd(), "--no-defaults", *self._options, *options)
            self._process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        deadline = time.monotonic() + 60.0
        while not (folder / "socket").exists():
            assert self._process.poll() is None, (folder / "output.txt").read_text(encoding="utf-8")
            assert time.monotonic() < deadline
            time.sleep(0.1)

    def address(self, database: str = "mlflow") -> str:
        return f"mysql+pymysql://root@127.0.0.1:{self._port}/{database}"

    def create(self, database: str) -> None:
        import pymysql

        with pymysql.connect(host="127.0.0.1", port=self._port, user="root") as connection:
            connection.cursor().execute(f"CREATE DATABASE {database}")

    def stop(self) -> None:
        """Kills it: nothing of it is wanted any more."""
        self._process.kill()
        self._process.wait()


def _mariadbd() -> str | None:
    return shutil.which("mariadbd") or shutil.which("mariadbd", path="/usr/sbin")


@contextmanager
def mysql() -> Iterator[MySQL]:
    """A throw-away MariaDB; the test is skipped where there is none."""
    if _mariadbd() is None:
        pytest.skip("needs: apt-get install mariadb-server-core")
    if find_spec("pymysql") is None:
        pytest.skip("needs: pip install pymysql")
    with tempfile.TemporaryDirectory(prefix="mysql-") as folder:
        server = MySQL(Path(folder), free_port())
        try:
            yield server
        finally:
            server.stop()


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
