"""Addresses at which there is no tracking store: pipeline, report and auditor say so in one line and soon."""

import os
import socket
import time
from pathlib import Path

import mlflow
import pytest

from analysis.errors import ReportError
from pipeline.errors import InputError
from pipeline.system import slow_answer
from tests.end_to_end.test_broken_stores import USERS

ADDRESSES = [
    "nonsense://x",
    "http://127.0.0.1:9",
    "http://",
    "https://user:secret@127.0.0.1:9",
    "sqlite://",
    "sqlite:///:memory:",
    "sqlite://mlflow.db",
    "sqlite:mlflow.db",
    "postgresql://user:secret@127.0.0.1:9/mlflow",
    "postgresql+psycopg2://127.0.0.1:9/mlflow?user=me&password=secret",
    "postgresql+psycopg2://user:secret/part@127.0.0.1:9/mlflow",
    "postgresql+psycopg2://user:part@secret@127.0.0.1:9/mlflow",
    "http://127.0.0.1:9/?token=secret",
    "http://user:secret/part@127.0.0.1:9",
    "\x01",
]


@pytest.mark.parametrize("address", ADDRESSES, ids=ascii)
@pytest.mark.parametrize("user", USERS)
def test_an_address_without_a_store_is_told_in_one_line(
    tmp_path: Path, tracking_to: None, monkeypatch: pytest.MonkeyPatch, user: str, address: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    mlflow.set_tracking_uri(address)
    with pytest.raises((InputError, ReportError)) as caught:
        USERS[user]("symmetry")
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    assert "secret" not in message
    assert message.startswith(("MLFLOW_TRACKING_URI: ", "no tracked runs here: "))
    assert not list(tmp_path.rglob("*.db"))


def test_a_driver_that_is_not_installed_is_named(tracking_to: None) -> None:
    mlflow.set_tracking_uri("postgresql+asyncpg://user:secret@127.0.0.1:9/mlflow")
    with pytest.raises(InputError, match=r"No module named 'asyncpg' \(install it, or name a driver that is installed"):
        USERS["pipeline"]("symmetry")


@pytest.mark.parametrize("scheme", ["http", "postgresql+psycopg2"])
@pytest.mark.parametrize("user", USERS)
def test_a_server_that_never_replies_is_given_up(
    tracking_to: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, user: str, scheme: str
) -> None:
    if "psycopg2" in scheme:
        pytest.importorskip("psycopg2")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setattr(slow_answer, "PATIENCE", 0.5)
    monkeypatch.setenv("PGCONNECT_TIMEOUT", "2")  # It takes no less.
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"{scheme}://127.0.0.1:{silent.getsockname()[1]}"
        mlflow.set_tracking_uri(address)
        start = time.monotonic()
        with pytest.raises((InputError, ReportError)) as caught:
            USERS[user]("symmetry")
        assert time.monotonic() - start < 20.0
    message = str(caught.value)
    assert [record.getMessage() for record in caplog.records] == [
        f"Waiting for {address}, silent for 0.5 s (Ctrl-C gives up)"
    ]
    assert message.startswith("MLFLOW_TRACKING_URI: ")
    assert address in message
    assert len(message.splitlines()) == 1


def test_no_wait_for_a_server_is_left_to_the_system() -> None:
    """Two minutes, in silence."""
    assert 0 < int(os.environ["PGCONNECT_TIMEOUT"]) <= 10
    assert 0 < int(os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"]) <= 30
