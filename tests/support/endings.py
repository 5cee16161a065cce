"""How command lines end, run in this process up to the point where the tracking store is opened."""

import io
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from hypothesis import HealthCheck

from pipeline.executors import processes
from pipeline.run import main
from pipeline.sweep import launch
from pipeline.tracking import tracker as tracking
from tests.support.in_process import logging_put_back

CHEAP: dict[str, Any] = {
    "deadline": None, "database": None, "derandomize": True, "suppress_health_check": list(HealthCheck),
}  # fmt: skip
LONGEST = 60.0
"""Seconds after which a command counts as hanging, on a busy machine too."""


class Checked(BaseException):
    """All checks are passed: here the tracking store would be opened."""


class HangError(BaseException):
    """A command takes too long."""


@contextmanager
def limited_time() -> Iterator[None]:
    def stop(signum: int, frame: FrameType | None) -> None:
        raise HangError

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, LONGEST)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


class NoTracker:
    """Stands where the tracking store is opened."""

    def __init__(self, experiment_name: str) -> None:
        raise Checked


def ending_of(folder: Path, arguments: list[str], *, tracks: bool = False) -> tuple[str, str]:
    """How a command line ends: "checked", "done" or "refused", and what it says on standard error."""
    errors, output = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, logging_put_back(), warnings.catch_warnings(), limited_time():
        warnings.simplefilter("ignore")
        patch.chdir(folder)
        patch.setattr(sys, "argv", ["run.py", *arguments])
        patch.setenv("HYDRA_FULL_ERROR", "0")
        patch.delenv("MLFLOW_EXPERIMENT_NAME", raising=False)
        patch.setattr(processes, "cores", lambda: 1)
        if not tracks:
            for module in (tracking, launch):
                patch.setattr(module, "Tracker", NoTracker)
        with redirect_stderr(errors), redirect_stdout(output):
            try:
                main()
            except Checked:
                return "checked", errors.getvalue()
            except SystemExit as end:
                if isinstance(end.code, str):
                    errors.write(end.code)
                return ("refused" if end.code else "done"), errors.getvalue()
    return "done", errors.getvalue()


def after_the_shell(typed: str) -> list[str]:
    """The arguments that a command gets which a user pastes into a shell."""
    printed = subprocess.run(["sh", "-c", f"printf '%s\\0' {typed}"], capture_output=True, check=True)
    return printed.stdout.decode().split("\0")[:-1]
