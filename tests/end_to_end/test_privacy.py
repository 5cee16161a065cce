"""No command of this project looks up or contacts anybody but the tracking store."""

import json
import subprocess
import sys

import pytest

from tests.support.command_line import PROJECT
from tests.support.sweeps import clean_environment

RECORDER = """
import json, os, socket, sys
log = os.environ["RECORDED"]
def record(kind, host):
    with open(log, "a") as file:
        file.write(json.dumps([kind, str(host), sys.argv[:3]]) + chr(10))
def recorded(kind, function, host_of):
    def wrapper(*arguments, **options):
        if (host := host_of(arguments)) is not None:
            record(kind, host)
        return function(*arguments, **options)
    return wrapper
for name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex", "gethostbyaddr", "getfqdn"):
    setattr(socket, name, recorded(name, getattr(socket, name), lambda arguments: arguments[0] if arguments else ""))
class Socket(socket.socket):
    pass
def address_of(arguments):
    return arguments[1] if isinstance(arguments[1], tuple) else None
for name in ("connect", "connect_ex", "sendto"):
    setattr(Socket, name, recorded(name, getattr(socket.socket, name), address_of))
socket.socket = Socket
record("started", "")
"""
"""A sitecustomize: each process writes down whom it looks up and contacts over a network."""


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, str, list[str]]]:
    """Kind, host and process of all that a sweep with workers and the report do."""
    folder = tmp_path_factory.mktemp("recorded")
    (folder / "sitecustomize.py").write_text(RECORDER, encoding="utf-8")
    small = ("data=moons", "training.steps=5", "training.batch_size=null", "optimizer.learning_rate=0.1")
    swept = ("-m", "model=mlp", "init=zeros,normal", "seed=0,1", "model.hidden_units=[2],[3]", "executor.workers=2")
    # Where tests run, MLflow may tell its makers nothing anyway; this environment is a user's.
    environment = {
        key: value
        for key, value in clean_environment(RECORDED=str(folder / "log.jsonl")).items()
        if key not in ("CI", "GITHUB_ACTIONS", "GITLAB_CI", "DO_NOT_TRACK", "PYTEST_CURRENT_TEST")
    }
    for module, *arguments in (
        ("pipeline.run", *swept, *small),
        ("analysis.report", "--only", "loss_over_steps"),
    ):
        completed = subprocess.run(
            [sys.executable, "-m", module, *arguments], cwd=folder, capture_output=True, text=True, check=False,
            env=environment | {"PYTHONPATH": f"{folder}:{PROJECT}"},
        )  # fmt: skip
        assert completed.returncode == 0, completed.stdout + completed.stderr
    return [tuple(json.loads(line)) for line in (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.mark.slow
def test_no_command_looks_up_or_contacts_anybody(recorded: list[tuple[str, str, list[str]]]) -> None:
    # The two commands and the two workers at least.
    assert sum(kind == "started" for kind, _, _ in recorded) >= 4
    assert [entry for entry in recorded if entry[0] != "started"] == []
