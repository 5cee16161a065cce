"""A real ``mlflow ui`` on loopback, and what its tables show in a browser."""

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from pipeline.addresses import ui_command
from tests.support.tracking_server import free_port

START_SECONDS = 120
CELLS = """cells => cells.map(cell => [
    cell.closest(".ag-row").getAttribute("row-index"), cell.getAttribute("col-id"), cell.textContent.trim()])"""
"""The table as (row, column, text): the UI keeps parts of a row in containers of their own."""


@contextmanager
def served_ui(folder: Path, elsewhere: Path) -> Iterator[str]:
    """The address at which the printed command serves the store of a folder, given in another one."""
    printed = ui_command(f"sqlite:///{folder}/mlflow.db")
    assert printed is not None
    port = free_port()
    clean = {key: value for key, value in os.environ.items() if not key.startswith("MLFLOW_")}
    served = f"http://127.0.0.1:{port}"
    with (folder / "ui.log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", *shlex.split(printed), "--port", str(port), "--workers", "1"],
            cwd=elsewhere,
            env=clean | {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            wait_until_healthy(served, server, folder / "ui.log")
            yield served
        finally:
            # The command starts workers of its own; nothing in the copied folder needs an orderly end.
            with suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGKILL)
            server.wait(timeout=30)


def wait_until_healthy(served: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urlopen(f"{served}/health", timeout=5):  # noqa: S310
                return
        except (URLError, OSError):
            time.sleep(0.2)
    pytest.fail(f"mlflow ui does not answer:\n{log.read_text(encoding='utf-8', errors='replace')[-3000:]}")


def table_of(page: Any) -> list[dict[str, str]]:
    """What a table shows when it has come to rest: cells are filled one after the other."""
    before: list[Any] = []
    while not (cells := page.locator(".ag-row .ag-cell").evaluate_all(CELLS)) or cells != before:
        before = cells
        page.wait_for_timeout(500)
    rows: dict[int, dict[str, str]] = {}
    for row, column, text in cells:
        rows.setdefault(int(row), {})[column] = text
    return [rows[row] for row in sorted(rows)]
