"""A sweep called from Python: as on the command line, but mistakes are raised, and the process is left as it was."""

import gc
import os
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from signal import SIGINT
from typing import Any, NamedTuple, NoReturn

import pandas as pd

from pipeline.compose.complaints import told
from pipeline.compose.session import open_hydra, open_multirun
from pipeline.data.table_files import save_frame
from pipeline.errors import ExecutorLostError, FailedJobsError, InputError, StoreLostError
from pipeline.executors.batch import Failure
from pipeline.nn.arithmetic import Array
from pipeline.run import settle_experiment_of
from pipeline.sweep.job import run, run_name, varying_keys
from pipeline.sweep.launch import Done, StackedTraining
from pipeline.sweep.resume import fingerprints_of
from pipeline.sweep.run_sweep import TakesJobs, checked_sweep, run_sweep
from pipeline.system.command import NEW_OBJECTS_BEFORE_COLLECTION
from pipeline.system.signals import Interrupted, handle_signals, stoppable
from pipeline.tracking.records import Record, Times, named_weights, record_of
from pipeline.training.datasets import forget_datasets

ONE_AT_A_TIME = threading.Lock()
"""Hydra has one configuration in a process, so a sweep waits for that of another thread."""


class UntrackedRun(NamedTuple):
    """A run that is in memory only.

    Attributes:
        record: what would have been tracked.
        weights: its initial and final weights by name, as in ``names.WEIGHTS_FILE``.
    """

    record: Record
    weights: dict[str, Array]


def sweep_runs(overrides: Sequence[str], *, track: bool, frame: pd.DataFrame | None = None) -> Sequence[Any]:
    """The finished runs of a sweep in the order of its jobs; those that are tracked already are not trained again.

    Args:
        overrides: as on the command line, after ``python -m pipeline.run -m``.
        track: whether the runs are tracked; else nothing is written, and all are trained.
        frame: the table to train on, as if it were the file of ``data=parquet``.

    Returns:
        A ``FinishedRun`` of the store each, or an ``UntrackedRun``.

    Raises:
        InputError: a mistake of the user's, in one line; nothing has been trained.
        FailedJobsError: some jobs raised; it holds the runs of the others.
        StoreLostError, ExecutorLostError: what was trained is tracked; the same call goes on.
        KeyboardInterrupt: likewise.
    """
    for override in overrides:
        if not isinstance(override, str) or override.startswith("-"):
            raise InputError(f"sweep: expected texts such as 'model=mlp' or 'seed=range(5)', got {override!r}")
    if not isinstance(track, bool):
        raise InputError(f"track: expected True or False, got {track!r}")
    with (
        _saved(frame, overrides, track) as keys,
        ONE_AT_A_TIME, _process_left_alone(), open_hydra() as hydra, _hear_interrupts(),
    ):  # fmt: skip
        overrides = [*keys, *overrides]
        forget_datasets()
        try:
            settle_experiment_of(overrides)
            with open_multirun(hydra, run, overrides) as (sweeper, arguments):
                return (_tracked if track else _untracked)(sweeper, arguments)
        except (FailedJobsError, StoreLostError, ExecutorLostError):
            raise
        except Exception as error:
            line, is_of_the_system = told(error, overrides), isinstance(error, OSError) and error.strerror
            if line is None or line == str(error) or is_of_the_system:
                raise
            raise InputError(line) from error.__cause__


@contextmanager
def _saved(frame: Any, overrides: Sequence[str], track: bool) -> Iterator[list[str]]:
    """A context in which a table is a file, and the overrides that train on it; none without a table.

    Jobs of other processes, a sweep that goes on and the report read it again, so tracked runs keep their file.
    """
    if frame is None:
        yield []
        return
    if not isinstance(frame, pd.DataFrame):
        raise InputError(f"frame: expected a pandas DataFrame, got {type(frame).__name__}")
    for override in overrides:
        if override.lstrip("+~").partition("=")[0] in ("data", "data.path"):
            raise InputError(f"frame: expected no other data beside it, got {override}")
    with nullcontext("data") if track else tempfile.TemporaryDirectory() as folder:
        path = str(save_frame(frame, Path(folder))).replace("'", r"\'")
        yield ["data=parquet", f"data.path='{path}'"]


def _tracked(sweeper: Any, arguments: Sequence[str]) -> Sequence[Any]:
    jobs = _jobs_of(sweeper, arguments)
    swept = run_sweep(sweeper.hydra_context, sweeper.config, sweeper.launcher, jobs, sweeper.max_batch_size, arguments)
    if not swept.fingerprints:
        raise InputError("plan: expected false from Python (the command line tells the plan), got true")
    return swept.runs


def _untracked(sweeper: Any, arguments: Sequence[str]) -> Sequence[Any]:
    jobs = _jobs_of(sweeper, arguments)
    configs = checked_sweep(sweeper.hydra_context, sweeper.config, jobs, sweeper.max_batch_size)
    if configs[0].plan:
        raise InputError("plan: expected false with track=False (the command line tells the plan), got true")
    training = _KeptTraining([*dict(zip(fingerprints_of(configs), configs, strict=True)).values()], varying_keys(jobs))
    with stoppable():
        training.run()
    return training.runs()


def _jobs_of(sweeper: Any, arguments: Sequence[str]) -> list[list[str]]:
    if not hasattr(sweeper, "jobs") or not isinstance(sweeper.launcher, TakesJobs):
        raise InputError(
            "hydra/sweeper, hydra/launcher: expected symmetry and stacked from Python, got"
            f" {type(sweeper).__name__} and {type(sweeper.launcher).__name__}"
        )
    return sweeper.jobs(arguments)


class _KeptTraining(StackedTraining):
    """Jobs whose results stay in memory."""

    def __init__(self, configs: Sequence[Any], naming_keys: Sequence[str]) -> None:
        super().__init__(configs)
        self._naming_keys = naming_keys
        self._done: list[Done] = []

    def keep(self, done: Sequence[Done]) -> None:
        self._done += done

    def runs(self) -> list[UntrackedRun]:
        """The finished runs, in the order of the jobs.

        Raises:
            FailedJobsError: some jobs raised.
        """
        runs, failed = [], []
        for job, outcome, trained in sorted(self._done, key=lambda each: each[0]):
            config = self._configs[job]
            name = run_name(config, self._naming_keys)
            if isinstance(outcome, Failure):
                failed.append(f"  {name}: {outcome.cause}")
            else:
                record = record_of(config, outcome, name, None, Times(trained.start, trained.end))
                runs.append(UntrackedRun(record, named_weights(outcome)))
        if failed:
            raise FailedJobsError("\n".join([f"{len(failed)} of {len(self._done)} jobs failed:", *failed]), runs)
        return runs


@contextmanager
def _process_left_alone() -> Iterator[None]:
    """A context after which environment and garbage collection are as before."""
    before, threshold = dict(os.environ), gc.get_threshold()
    gc.set_threshold(NEW_OBJECTS_BEFORE_COLLECTION)
    try:
        yield
    finally:
        gc.set_threshold(*threshold)
        for key in os.environ.keys() - before.keys():
            del os.environ[key]
        os.environ.update({key: value for key, value in before.items() if os.environ.get(key) != value})


def _hear_interrupts() -> AbstractContextManager[None]:
    """A context in which Ctrl-C lets the sweep track what is trained; only the main thread hears signals."""

    def end(interrupted: Interrupted) -> NoReturn:
        raise interrupted

    is_main = threading.current_thread() is threading.main_thread()
    return handle_signals(end, [SIGINT]) if is_main else nullcontext()
