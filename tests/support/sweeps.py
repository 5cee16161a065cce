"""Sweeps as real processes that tests kill, starve and start again, and the audit of what they leave."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from mlflow.tracking._tracking_service import utils as tracking_service

from analysis.audit import Audit, audit_of, differences
from tests.support.command_line import PROJECT, command
from tests.support.in_process import call
from tests.support.slurm_cluster import wait_until

SWEEP = (
    "-m", "model=mlp", "init=zeros,normal", "optimizer.learning_rate=0.1,1e300", "seed=range(4)", "data=iris",
    "model.hidden_units=[3],[4],[5],[6]", "training.steps=300", "training.batch_size=16", "training.measure_at=8",
)  # fmt: skip
JOBS = 64
"""Four stacks of 16 runs, half of which diverge."""


def clean_environment(**changes: str) -> dict[str, str]:
    """The caller's environment without its tracking settings."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("MLFLOW_", "HYDRA_", "SYMMETRY_"))}
    return kept | {"PYTHONPATH": str(PROJECT), "PYTHONUNBUFFERED": "1"} | changes


@contextmanager
def started(folder: Path, *arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """A sweep under way, whose output goes to ``output.txt``; its whole process group is killed at the end."""
    with (folder / "output.txt").open("a", encoding="utf-8") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "pipeline.run", *(arguments or SWEEP)],
            cwd=folder,
            env=clean_environment(**environment),
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


INTERRUPTED = """
import importlib.abc, os, signal, sys
module, _, name = "{place}".partition(":")
class Patched(importlib.abc.MetaPathFinder):
    def find_spec(self, fullname, path, target=None):
        if fullname == module:
            sys.meta_path.remove(self)
            spec = importlib.util.find_spec(fullname)
            load = spec.loader.exec_module
            def loaded(namespace):
                load(namespace)
                owner, _, attribute = name.rpartition(".")
                place = getattr(namespace, owner) if owner else namespace
                function = getattr(place, attribute)
                def interrupted(*arguments, **options):
                    setattr(place, attribute, function)
                    os.kill(os.getpid(), signal.SIGINT)
                    return function(*arguments, **options)
                setattr(place, attribute, interrupted)
            spec.loader.exec_module = loaded
            return spec
sys.meta_path.insert(0, Patched())
"""
"""A sitecustomize: Ctrl-C comes when a certain function is called for the first time."""


def interrupted_at(folder: Path, place: str) -> dict[str, str]:
    """Environment variables of a command that is interrupted when it first calls a function.

    Args:
        folder: of the command.
        place: ``module:function`` or ``module:class.method``.
    """
    here = folder / "interrupted"
    here.mkdir()
    (here / "sitecustomize.py").write_text(INTERRUPTED.format(place=place), encoding="utf-8")
    return {"PYTHONPATH": f"{here}:{PROJECT}"}


HALT = """
import functools, time
from pathlib import Path
from pipeline.executors import batch
here = Path(__file__).parent
train = batch.train_batch
@functools.wraps(train)
def train_when_released(*batch):
    while (here / "halt").exists():
        try:
            (here / "pass").unlink()
            break
        except FileNotFoundError:
            time.sleep(0.01)
    return train(*batch)
batch.train_batch = train_when_released
"""
"""A sitecustomize: whoever trains a batch first waits for a pass, which is good for one, or for the end of the halt."""


class HaltedTraining:
    """Training of which a test says how far it goes, so that no sweep ends before what shall happen to it.

    The first batch may be trained, each other one only when the test lets it.

    Args:
        folder: of the sweep.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "halted"
        self._folder.mkdir()
        (self._folder / "sitecustomize.py").write_text(HALT, encoding="utf-8")
        (self._folder / "halt").touch()
        self.let_one_pass()

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables of all processes that train."""
        return {"PYTHONPATH": f"{self._folder}:{PROJECT}"}

    def let_one_pass(self) -> None:
        (self._folder / "pass").touch()

    def let_pass(self, batches: int) -> None:
        """Lets so many more batches be trained, and waits until they have begun."""
        for _ in range(batches):
            self.let_one_pass()
            wait_until(lambda: not (self._folder / "pass").exists())

    def end(self) -> None:
        (self._folder / "halt").unlink()


def wait_for(folder: Path, words: str, process: subprocess.Popen[str], seconds: float = 300.0, times: int = 1) -> bool:
    """Waits until the output holds these words so many times; False if the process ends before."""
    deadline = time.monotonic() + seconds
    while (folder / "output.txt").read_text(encoding="utf-8").count(words) < times:
        if process.poll() is not None:
            return False
        assert time.monotonic() < deadline, (folder / "output.txt").read_text(encoding="utf-8")
        time.sleep(0.02)
    return True


def workers_of(process: subprocess.Popen[str]) -> list[int]:
    """Process ids of the workers: children that were spawned to train (one more child only tracks resources)."""
    children = subprocess.run(
        ["pgrep", "--parent", str(process.pid), "--full", "spawn_main"], capture_output=True, text=True, check=False
    )
    return [int(child) for child in children.stdout.split()]


def completed(folder: Path, *arguments: str) -> str:
    """Runs a sweep to its end in this process, which must be a good one; returns what it printed."""
    done = call("pipeline.run", *(arguments or SWEEP), folder=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def completed_apart(folder: Path, *arguments: str, **environment: str) -> str:
    """``completed`` in a process of its own, with all its workers."""
    done = command("pipeline.run", *(arguments or SWEEP), folder=folder, **environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def audited(folder: Path, *, jobs: int = JOBS, like: Audit | None = None) -> Audit:
    """The audit of a store in a folder: no problem, all jobs, and the numbers of an undisturbed sweep."""
    audit = audit_of("symmetry", thorough=True, tracking_uri=f"sqlite:///{folder}/mlflow.db")
    assert audit.problems == []
    assert audit.jobs == audit.finished == jobs
    if like is not None:
        assert differences(audit, like) == []
    return audit


def copied_store(original: Path, target: Path) -> Path:
    """A copy of a folder with its database and artifacts; what is written into the copy leaves the original alone."""
    shutil.copytree(original, target)
    with closing(sqlite3.connect(target / "mlflow.db")) as connection, connection:
        for table, column in (("runs", "artifact_uri"), ("experiments", "artifact_location")):
            connection.execute(f"UPDATE {table} SET {column} = replace({column}, ?, ?)", (str(original), str(target)))
    tracking_service._artifact_repos_cache.clear()  # It knows runs by their ids, which all copies share.
    return target
