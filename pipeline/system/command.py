"""Run a command's ``main``: signals, exit codes and encodings; one line when it is stopped."""

import atexit
import gc
import os
import signal
import sys
from argparse import ArgumentParser
from collections.abc import Callable
from multiprocessing import active_children
from typing import NoReturn

from pipeline.system.broken_pipe import ignore_broken_pipes
from pipeline.system.signals import Interrupted, handle_signals, heard_signals

SETTINGS = ("MLFLOW_", "HYDRA_", "SYMMETRY_LAB_")
"""Beginnings of environment variables that commands listen to."""

NEW_OBJECTS_BEFORE_COLLECTION = 100_000
"""When Python looks for garbage in cycles. Its usual 700 make it search the objects of MLflow and Hydra again and
again: a quarter of the time of a sweep, a third of that of a report on 5000 runs."""


class OneLineParser(ArgumentParser):
    """Parses a command line; a mistake ends the process with one line and exit code 1."""

    def error(self, message: str) -> NoReturn:
        sys.exit(f"{self.prog}: {' '.join(message.split())}")


def run_command(body: Callable[[], None]) -> None:
    """Calls what a command does; Ctrl-C and SIGTERM end this process with one line and 130 or 143.

    Before and after ``body`` they end it without a word.
    """
    gc.set_threshold(NEW_OBJECTS_BEFORE_COLLECTION)
    for signum in heard_signals():
        signal.signal(signum, signal.SIG_DFL)
    check_encoding()
    try:
        with ignore_broken_pipes():
            try:
                with handle_signals(_end):
                    body()
            except Interrupted as interrupted:
                _end(interrupted)
    finally:
        # At its end Python looks for garbage among all objects: those of MLflow and Hydra take it 2 s.
        gc.freeze()


def check_encoding() -> None:
    """Ends this process with one line where arguments, folder or settings hold bytes that are no text.

    File systems take any bytes; configurations, stores and pages take UTF-8 only.
    """
    settings = {name: value for name, value in os.environ.items() if name.startswith(SETTINGS)}
    try:
        folder = os.getcwd()  # noqa: PTH109
    except FileNotFoundError:
        sys.exit("the working folder: expected one that exists, but it was deleted or replaced; type cd FOLDER")
    arguments = {f"argument {number}": argument for number, argument in enumerate(sys.argv[1:], 1)}
    for name, given in {"the working folder": folder, **arguments, **settings}.items():
        try:
            given.encode()
        except UnicodeEncodeError:
            sys.exit(f"{name}: expected text in UTF-8, got {os.fsencode(given)!r}")


def _end(interrupted: Interrupted) -> NoReturn:
    """Ends this process, wherever it is, without waiting for its threads or children: these may wait for it."""
    for signum in heard_signals():
        signal.signal(signum, signal.SIG_DFL)
    print(interrupted.message, file=sys.stderr)
    for child in active_children():
        child.kill()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    os._exit(interrupted.exit_code)
