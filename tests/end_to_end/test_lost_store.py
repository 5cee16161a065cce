"""A tracking store that goes away while a sweep runs: server killed, database locked, disk full. Real ones."""

import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

import pytest
from mlflow import MlflowClient

from analysis.audit import Audit, audit_of, differences
from pipeline import names
from tests.support.command_line import command
from tests.support.sweeps import JOBS, SWEEP, audited, completed, started, wait_for
from tests.support.tracking_server import TrackingServer, free_port, tracking_server

pytestmark = pytest.mark.usefixtures("with_database")


@contextmanager
def server(folder: Path, port: int) -> Iterator[TrackingServer]:
    """A tracking server with its database and artifacts in ``folder``."""
    with suppress(FileNotFoundError):
        (folder / "mlflow.db").rename(folder / "server.db")
    with tracking_server(folder, port, f"sqlite:///{folder}/server.db") as started:
        yield started


@pytest.mark.soak
def test_a_server_that_is_killed_and_comes_back_misses_nothing(tmp_path: Path, undisturbed: Audit) -> None:
    port = free_port()
    uri = f"http://127.0.0.1:{port}"
    with server(tmp_path, port) as tracking, started(tmp_path, MLFLOW_TRACKING_URI=uri) as process:
        assert wait_for(tmp_path, "jobs: best loss", process)
        tracking.kill()
        assert wait_for(tmp_path, "The tracking store refuses results", process)
        with server(tmp_path, port):
            code = process.wait(timeout=300)
            output = (tmp_path / "output.txt").read_text(encoding="utf-8")
            assert code == 0, output
            assert "The tracking store is back" in output
            assert "Traceback" not in output
            audit = audit_of("symmetry", thorough=True, tracking_uri=uri)
            assert (audit.problems, audit.jobs, audit.finished) == ([], JOBS, JOBS)
            assert differences(audit, undisturbed) == []
            again = command("pipeline.run", *SWEEP, folder=tmp_path, MLFLOW_TRACKING_URI=uri)
            assert f"{JOBS} already tracked, 0 to train" in again.stdout


@pytest.mark.soak
def test_results_for_a_server_that_stays_away_wait_for_the_next_start(tmp_path: Path, undisturbed: Audit) -> None:
    port = free_port()
    uri = f"http://127.0.0.1:{port}"
    with ExitStack() as sweep:
        with server(tmp_path, port):
            process = sweep.enter_context(started(tmp_path, MLFLOW_TRACKING_URI=uri, SYMMETRY_LAB_PATIENCE="2"))
            assert wait_for(tmp_path, "jobs: best loss", process)
        assert process.wait(timeout=300) == 1
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


@pytest.mark.soak
def test_a_database_that_another_program_locks_is_waited_for(tmp_path: Path, undisturbed: Audit) -> None:
    with started(tmp_path) as process:
        assert wait_for(tmp_path, "Training", process)
        with sqlite3.connect(tmp_path / "mlflow.db", isolation_level=None, timeout=30) as other:
            other.execute("BEGIN EXCLUSIVE")
            assert wait_for(tmp_path, "The tracking store refuses results", process)
            other.execute("ROLLBACK")
        assert process.wait(timeout=300) == 0
    output = (tmp_path / "output.txt").read_text(encoding="utf-8")
    assert "locked" in output
    assert "Traceback" not in output
    audited(tmp_path, like=undisturbed)


LAST_WRITES = {
    "conclusion": f"BEFORE UPDATE ON tags WHEN NEW.key = '{names.NOTE_TAG}'",
    "description": f"BEFORE INSERT ON experiment_tags WHEN NEW.key = '{names.NOTE_TAG}'",
    "end": "BEFORE UPDATE ON runs WHEN NEW.status = 'FINISHED' AND NEW.name LIKE 'sweep of %'",
    "views": f"BEFORE INSERT ON experiment_tags WHEN NEW.key LIKE '{names.VIEW_TAG_PREFIX}%'",
}
"""What a sweep writes after its results -> the event in the database."""


@pytest.mark.slow
def test_a_store_that_refuses_the_last_words_of_a_sweep_is_asked_again(tmp_path: Path) -> None:
    database = tmp_path / "mlflow.db"
    with closing(sqlite3.connect(database, isolation_level=None, timeout=30)) as store:
        for name, moment in LAST_WRITES.items():
            store.execute(f"CREATE TRIGGER {name} {moment} BEGIN SELECT RAISE(ABORT, 'no {name}'); END")
        arguments = ("-m", "model=logistic", "init=zeros,normal", "optimizer.learning_rate=0.1", "seed=0", "data=iris",
                     "training.steps=5", "executor=inline")  # fmt: skip
        with started(tmp_path, *arguments) as process:
            for name in ("conclusion", "description", "end"):
                assert wait_for(tmp_path, f"no {name}", process)
                store.execute(f"DROP TRIGGER {name}")
            assert process.wait(timeout=300) == 0
        output = (tmp_path / "output.txt").read_text(encoding="utf-8")
        assert "Traceback" not in output
        assert output.count("The tracking store is back") == 3
        (line,) = [line for line in output.splitlines() if "no views" in line]
        assert "The views in the MLflow UI are missing" in line
        assert "the sweep's next start prepares them" in line
        assert "Mean of each" in output
        # Views are for convenience, so the sweep has ended well without them.
        store.execute("DROP TRIGGER views")
    audited(tmp_path, jobs=2)
    client = MlflowClient(f"sqlite:///{database}")
    assert "Lowest" in client.get_experiment("1").tags[names.NOTE_TAG]
    (parent,) = client.search_runs(["1"], f"tags.`{names.SWEEP_TAG}` != ''")
    assert (parent.info.status, "Lowest" in parent.data.tags[names.NOTE_TAG]) == ("FINISHED", True)
    assert "0 to train" in completed(tmp_path, *arguments)
    tags = client.get_experiment("1").tags
    assert all(names.view_tag(parent.info.run_id, view) in tags for view in (names.RUNS_VIEW, names.CURVES_VIEW))


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


@pytest.mark.soak
def test_a_full_disk_pauses_the_sweep_until_there_is_room(small_disk: Path, undisturbed: Audit) -> None:
    with started(small_disk) as process:
        assert wait_for(small_disk, "Training", process)
        filler = filled(small_disk)
        time.sleep(6.0)
        assert process.poll() is None
        filler.unlink()
        assert process.wait(timeout=300) == 0, (small_disk / "output.txt").read_text(encoding="utf-8")
    assert "Traceback" not in (small_disk / "output.txt").read_text(encoding="utf-8")
    audited(small_disk, like=undisturbed)


@pytest.mark.soak
def test_a_disk_that_stays_full_ends_the_sweep_and_room_lets_it_go_on(small_disk: Path, undisturbed: Audit) -> None:
    with started(small_disk, SYMMETRY_LAB_PATIENCE="1") as process:
        assert wait_for(small_disk, "Training", process)
        filler = filled(small_disk)
        assert process.wait(timeout=300) not in (0, -signal.SIGKILL)
        filler.unlink()
    assert "Traceback" not in (small_disk / "output.txt").read_text(encoding="utf-8")
    completed(small_disk)
    audited(small_disk, like=undisturbed)
