"""Commands of the project called in this process, in a folder, as if it were a new one: no start, no imports."""

import gc
import importlib
import io
import logging
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
from hydra.core.global_hydra import GlobalHydra
from mlflow.tracking._tracking_service import utils as tracking_service

from pipeline import PROJECT
from pipeline.executors import processes
from pipeline.training import datasets

SETTINGS = ("MLFLOW_TRACKING_", "MLFLOW_EXPERIMENT_", "HYDRA_", "SYMMETRY_")
"""Beginnings of the environment variables that a caller may have set; the other ones of MLflow are ``pipeline``'s."""


def call(module: str, *arguments: str, folder: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    """What ``support.command_line.command`` does and returns, a second or more sooner.

    Sweeps train in this process too. Where the process is what is tested (signals, imports, exit codes of the
    interpreter), a real one is needed.
    """
    output, errors = io.StringIO(), io.StringIO()
    code: Any = 0
    with as_a_new_process(folder, environment), redirect_stdout(output), redirect_stderr(errors):
        sys.argv = [module, *arguments]
        try:
            importlib.import_module(module).main()
        except SystemExit as end:
            code = end.code or 0
        if isinstance(code, str):
            print(code, file=sys.stderr)
            code = 1
    return subprocess.CompletedProcess([module, *arguments], code, output.getvalue(), errors.getvalue())


@contextmanager
def as_a_new_process(folder: Path, environment: dict[str, str]) -> Iterator[None]:
    """A context in ``folder`` that knows nothing of former commands, and leaves nothing to later ones."""
    threshold, before = gc.get_threshold(), dict(os.environ)
    with pytest.MonkeyPatch.context() as patch, logging_put_back(), warnings.catch_warnings():
        warn_as_python_does()
        patch.setattr(sys, "argv", [])
        patch.setattr(tracking_service, "_tracking_uri", None)
        patch.setattr(processes, "cores", lambda: 1)
        patch.chdir(folder)
        forget()
        for key in [key for key in os.environ if key.startswith(SETTINGS)]:
            del os.environ[key]
        os.environ.update(environment)
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)
            gc.set_threshold(*threshold)
            forget()


def forget() -> None:
    """Forgets what depends on the working folder: Hydra's configuration, opened stores, loaded data, modules there."""
    GlobalHydra.instance().clear()
    for name, module in [*sys.modules.items()]:
        if (getattr(module, "__file__", None) or "").startswith(f"{Path.cwd()}{os.sep}") and Path.cwd() != PROJECT:
            del sys.modules[name]
    # A store keeps the folder of artifacts of the working folder in which it was opened.
    tracking_service._tracking_store_registry._get_store_with_resolved_uri.cache_clear()
    tracking_service._artifact_repos_cache.clear()
    datasets.forget_datasets()


def warn_as_python_does() -> None:
    """Tests raise all warnings; a command prints most of them to standard error, and some not at all."""

    def show(message: Any, category: type[Warning], filename: str, lineno: int, *_: Any) -> None:
        sys.stderr.write(warnings.formatwarning(message, category, filename, lineno))

    warnings.showwarning = show
    warnings.resetwarnings()
    for hidden in (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning):
        warnings.simplefilter("ignore", hidden)


@contextmanager
def logging_put_back() -> Iterator[None]:
    """Hydra sets up logging anew in every command."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        yield
    finally:
        for handler in root.handlers:
            if handler not in handlers:
                handler.close()
        root.handlers[:] = handlers
        root.setLevel(level)
        for logger in logging.Logger.manager.loggerDict.values():
            if isinstance(logger, logging.Logger):
                logger.disabled = False
