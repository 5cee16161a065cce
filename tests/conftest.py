"""Fixtures of all tests."""

import gc
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import mlflow
import pytest
from mlflow import MlflowClient
from threadpoolctl import threadpool_limits

from analysis.audit import Audit
from analysis.figures import Drawing
from pipeline.system.signals import Interrupted, handle_signals
from tests.support.in_process import call
from tests.support.sweeps import audited, completed

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A script has started the tests in the background; the commands that they start shall hear Ctrl-C all the same.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure(config: pytest.Config) -> None:
    """``-m slow`` leaves out what is marked as soak too, and starts each cluster and server once: a file a worker."""
    if config.option.markexpr == "slow":
        config.option.markexpr = "slow and not soak"
    if "not slow" not in config.option.markexpr and "dist" in config.option:
        config.option.dist = "loadfile"


SWEEP = [
    "-m",
    "model=logistic,mlp",
    "init=constant,normal",
    "optimizer.learning_rate=0.5",
    "seed=0,1",
    "training.steps=40",
    "data.limit=300",
]


@pytest.fixture(autouse=True, scope="session")
def one_blas_thread() -> Iterator[None]:
    """As on the command line: small products gain nothing from threads, and lose much when cores are busy."""
    with threadpool_limits(limits=1, user_api="blas"):
        yield


@pytest.fixture(scope="session")
def swept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder in which a two-by-two-by-two sweep was run, and what it printed. Read it; do not write into it."""
    folder = tmp_path_factory.mktemp("swept")
    done = call("pipeline.run", *SWEEP, folder=folder)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return folder, done.stdout


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Audit:
    """What an undisturbed sweep leaves."""
    folder = tmp_path_factory.mktemp("undisturbed")
    completed(folder)
    return audited(folder)


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow database without runs, which takes seconds to make."""
    path = tmp_path_factory.mktemp("empty") / "mlflow.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def with_database(tmp_path: Path, empty_database: Path) -> None:
    """Spares the commands of a test the making of a database in ``tmp_path``."""
    shutil.copy(empty_database, tmp_path / "mlflow.db")


@pytest.fixture
def handlers() -> Iterator[None]:
    """Ctrl-C and SIGTERM are what they are in a command."""

    def end(interrupted: Interrupted) -> NoReturn:
        raise interrupted

    with handle_signals(end):
        yield


@pytest.fixture
def blank_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spares a test of a page's words the drawing of its pictures; their data and captions are the real ones."""

    def save(drawing: Drawing, name: str, folder: Path) -> tuple[bytes, bytes]:
        for ending in ("svg", "png"):
            (folder / f"{name}.{ending}").touch()
        drawing.data.to_csv(folder / f"{name}.csv", index=False)
        return b"<svg/>", b""

    monkeypatch.setattr("analysis.page.drawn._save", save)


@pytest.fixture
def tracking_to() -> Iterator[None]:
    """Puts MLflow's global tracking address back after a test."""
    before = mlflow.get_tracking_uri()
    yield
    mlflow.set_tracking_uri(before)


def pytest_collection_finish() -> None:
    """What is loaded by now stays: the collector of garbage need not look through it again and again."""
    gc.freeze()
