"""A tracking store that goes away while a sweep runs: server killed, database locked, disk full. Real ones."""

import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from analysis.audit import Audit, audit_of, differences
from tests.command_line import command
from tests.sweeps import JOBS, SWEEP, audited, clean_environment, completed, started, wait_for

pytestmark = pytest.mark.usefixtures("with_database")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def server(folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A real tracking server on loopback with its database and artifacts in ``folder``; killed at the end."""
    with suppress(FileNotFoundError):
        (folder / "mlflow.db").rename(folder / "server.db")
    # Its queue of jobs, which nothing here uses, would start eight more processes.
    environment = clean_environment(MLFLOW_DISABLE_TELEMETRY="true", MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false")
    process = subprocess.Popen(
        [
            sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
            "--backend-store-uri", f"sqlite:///{folder}/server.db", "--artifacts-destination", str(folder / "kept"),
        ],
        cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 120.0
        while True:
            with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
                break
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.2)
        yield process
    finally:
        subprocess.run(["pkill", "-9", "--session", str(process.pid)], check=False)
        process.wait()


def test_a_server_that_is_killed_and_comes_back_misses_nothing(tmp_path: Path, undisturbed: Audit) -> None:
    port = free_port()
    uri = f"http://127.0.0.1:{port}"
    with server(tmp_path, port), started(tmp_path, MLFLOW_TRACKING_URI=uri) as process:
        assert wait_for(tmp_path, "jobs: best loss", process)
        subprocess.run(["pkill", "-9", "--full", f"port {port}"], check=False)
        subprocess.run(["pkill", "-9", "--full", f"127.0.0.1:{port}"], check=False)
        assert wait_for(tmp_path, "The tracking store refuses results", process)
        with server(tmp_path, port):
            code = process.wait(timeout=120)
            output = (tmp_path / "output.txt").read_text(encoding="utf-8")
            assert code == 0, output
            assert "The tracking store is back" in output
            assert "Traceback" not in output
            audit = audit_of("symmetry", thorough=True, tracking_uri=uri)
            assert (audit.problems, audit.jobs, audit.finished) == ([], JOBS, JOBS)
            assert differences(audit, undisturbed) == []
            again = command("pipeline.run", *SWEEP, folder=tmp_path, MLFLOW_TRACKING_URI=uri)
            assert f"{JOBS} already tracked, 0 to train" in again.stdout


@pytest.mark.slow
def test_results_for_a_server_that_stays_away_wait_for_the_next_start(tmp_path: Path, undisturbed: Audit) -> None:
    port = free_port()
    uri = f"http://127.0.0.1:{port}"
    with ExitStack() as sweep:
        with server(tmp_path, port):
            process = sweep.enter_context(started(tmp_path, MLFLOW_TRACKING_URI=uri, SYMMETRY_LAB_PATIENCE="2"))
            assert wait_for(tmp_path, "jobs: best loss", process)
        assert process.wait(timeout=120) == 1
    output = (tmp_path / "output.txt").read_text(encoding="utf-8")
    assert "the tracking store does not answer" in output
    assert "to go on, say again: python -m pipeline.run -m" in output
    assert "Traceback" not in output
    assert list(tmp_path.glob("multirun/*/*/waiting-*/*.json"))
    with server(tmp_path, port):
        again = command("pipeline.run", *SWEEP, folder=tmp_path, MLFLOW_TRACKING_URI=uri)
        assert again.returncode == 0, again.stderr
        assert f"{JOBS} already tracked, 0 to train" in again.stdout
        audit = audit_of("symmetry", thorough=True, tracking_uri=uri)
    assert (audit.problems, audit.finished) == ([], JOBS)
    assert differences(audit, undisturbed) == []
    assert not list(tmp_path.glob("multirun/*/*/waiting-*"))


@pytest.mark.slow
def test_a_database_that_another_program_locks_is_waited_for(tmp_path: Path, undisturbed: Audit) -> None:
    with started(tmp_path) as process:
        assert wait_for(tmp_path, "Training", process)
        with sqlite3.connect(tmp_path / "mlflow.db", isolation_level=None, timeout=30) as other:
            other.execute("BEGIN EXCLUSIVE")
            assert wait_for(tmp_path, "The tracking store refuses results", process)
            other.execute("ROLLBACK")
        assert process.wait(timeout=120) == 0
    output = (tmp_path / "output.txt").read_text(encoding="utf-8")
    assert "locked" in output
    assert "Traceback" not in output
    audited(tmp_path, like=undisturbed)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 12 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(place)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {mounted.stderr.strip()}")
    # What the sweep says is not on the full disk.
    (tmp_path / "output.txt").touch()
    (place / "output.txt").symlink_to(tmp_path / "output.txt")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def filled(place: Path) -> Path:
    """Fills a file system to the last byte."""
    filler = place / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    return filler


def test_a_full_disk_pauses_the_sweep_until_there_is_room(small_disk: Path, undisturbed: Audit) -> None:
    with started(small_disk) as process:
        assert wait_for(small_disk, "Training", process)
        filler = filled(small_disk)
        time.sleep(6.0)
        assert process.poll() is None
        filler.unlink()
        assert process.wait(timeout=120) == 0, (small_disk / "output.txt").read_text(encoding="utf-8")
    assert "Traceback" not in (small_disk / "output.txt").read_text(encoding="utf-8")
    audited(small_disk, like=undisturbed)


@pytest.mark.slow
def test_a_disk_that_stays_full_ends_the_sweep_and_room_lets_it_go_on(small_disk: Path, undisturbed: Audit) -> None:
    with started(small_disk, SYMMETRY_LAB_PATIENCE="1") as process:
        assert wait_for(small_disk, "Training", process)
        filler = filled(small_disk)
        assert process.wait(timeout=120) not in (0, -signal.SIGKILL)
        filler.unlink()
    assert "Traceback" not in (small_disk / "output.txt").read_text(encoding="utf-8")
    completed(small_disk)
    audited(small_disk, like=undisturbed)
