"""Addresses of tracking stores: no secret of one is ever shown, and what is said of a store opens that store."""

import shlex
import subprocess
from pathlib import Path

import pytest

from pipeline.addresses import database_path, masked, masked_address, require_reachable, ui_command
from pipeline.errors import InputError

HIDDEN = "s3same"
"""Part of every password and token below; no other text may hold it."""
PLACES = {
    f"postgresql://me:{HIDDEN}@host:5432/runs": "postgresql://***@host:5432/runs",
    f"postgresql+psycopg2://host/runs?user=me&password={HIDDEN}": "postgresql+psycopg2://host/runs?***",
    f"postgresql://host/runs?user=me@corp&password={HIDDEN}": "postgresql://***",
    f"postgresql://host/runs?sslmode=require&password={HIDDEN}@x": "postgresql://***",
    f"postgresql://me:{HIDDEN}/x@host/runs": "postgresql://***@host/runs",
    f"postgresql://me:x/{HIDDEN}@host/runs": "postgresql://***@host/runs",
    f"postgresql://me:{HIDDEN}@x@host/runs": "postgresql://***@host/runs",
    f"postgresql://me:x?{HIDDEN}@host/runs": "postgresql://***",
    f"postgresql://me:1#{HIDDEN}@host/runs": "postgresql://***@host/runs",
    f"mysql+pymysql://me:{HIDDEN}%40x@[::1]:3306/runs": "mysql+pymysql://***@[::1]:3306/runs",
    f"http://host/?token={HIDDEN}": "http://host/?***",
    f"https://{HIDDEN}@host/mlflow": "https://***@host/mlflow",
    f"https://me:a/{HIDDEN}@host:8080/mlflow": "https://***@host:8080/mlflow",
}
COMPLAINTS = [
    "cannot reach {}",
    "API request to {}/api/2.0/mlflow failed",
    '"{}": no such host',
    "({})",
]


@pytest.mark.parametrize("address", PLACES)
def test_an_address_is_shown_without_its_secrets(address: str) -> None:
    assert masked_address(address) == PLACES[address]
    for complaint in COMPLAINTS:
        # Known or not: the addresses of artifacts and of schedulers stand in messages too.
        for shown in (masked(complaint.format(address)), masked(complaint.format(address), address)):
            assert HIDDEN not in shown
            assert PLACES[address] in shown or "://***" in shown


@pytest.mark.parametrize("address", PLACES)
def test_no_part_of_an_address_that_a_library_quotes_tells_a_secret(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As parsers cut it up: at the first sign, at the last one, or the path with its query alone."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    rest = address.partition("://")[2]
    parts = [rest.partition(sign)[index] for sign in "/?#@:" for index in (0, 2)]
    parts += [rest.rpartition(sign)[index] for sign in "/?#@:" for index in (0, 2)]
    for part in parts:
        assert HIDDEN not in masked(f'could not translate host name "{part}" to address')
        assert HIDDEN not in masked(f"Max retries exceeded with url: /{part}/api/2.0/mlflow")


def test_the_token_of_a_server_is_not_shown_where_a_library_quotes_a_header(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", f"{HIDDEN}\n")
    assert HIDDEN not in masked(f"Invalid header value: 'Bearer {HIDDEN}\n'")


@pytest.mark.parametrize(
    "text",
    [
        "sqlite:////home/me@work/mlflow.db is locked",
        "file:///home/a@b/mlruns cannot be read",
        "cannot reach http://host:5000: no route to it (tried twice)",
        "python -m pipeline.run -m executor=dask executor.address=tcp://10.0.0.1:8786 seed=0,1",
        "a line with an @ and a ? but no address",
    ],
)
def test_what_is_no_secret_is_shown(text: str) -> None:
    assert masked(text, "sqlite:////home/me@work/mlflow.db") == text


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("sqlite://mlflow.db", "two slashes: sqlite://mlflow.db; did you mean sqlite:///mlflow.db?"),
        ("sqlite://folder/mlflow.db", "did you mean sqlite:///folder/mlflow.db?"),
        ("sqlite:mlflow.db", "got sqlite:mlflow.db"),
        ("sqlite:/mlflow.db", "got sqlite:/mlflow.db"),
        ("sqlite://", "in memory"),
        ("sqlite+pysqlite:///", "in memory"),
        ("sqlite:///:memory:", "in memory"),
        ("sqlite:///file:mlflow.db?uri=true", "SQLite's own"),
    ],
)
def test_an_address_of_sqlite_that_names_no_file_is_told_with_what_to_write(address: str, words: str) -> None:
    with pytest.raises(InputError) as caught:
        database_path(address)
    assert str(caught.value).startswith("MLFLOW_TRACKING_URI: expected sqlite:///FILE ")
    assert words in str(caught.value)


def test_a_local_database_is_one_whatever_its_driver_is_called() -> None:
    assert database_path("sqlite+pysqlite:///a/b.db") == database_path("sqlite:///a/b.db?timeout=3") == Path("a/b.db")
    assert database_path("sqlite:////a/it%27s.db") == Path("/a/it's.db")
    assert database_path("http://host") is database_path("postgresql://host/runs") is None


@pytest.mark.parametrize(
    "address",
    ["http://me:{}/x@host", "https://me:a?{}@host", "postgresql://me:a@{}@host/runs", "mysql+pymysql://me:{}@host:x/r"],
)
def test_a_password_of_which_a_part_would_be_looked_up_as_a_host_is_refused(address: str) -> None:
    with pytest.raises(InputError, match="with @ as %40, / as %2F") as caught:
        require_reachable(address.format(HIDDEN))
    assert HIDDEN not in str(caught.value)


@pytest.mark.parametrize("name", ["mlflow.db", "it's $HOME; 50% ä.db", 'a "b" \\c.db'])
def test_the_command_that_is_printed_opens_this_store_from_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    printed = ui_command(f"sqlite:///{name}")
    echoed = subprocess.run(
        ["bash", "-c", printed.replace("mlflow ui", "printf '%s\\n'")], capture_output=True, text=True
    )
    option, address = echoed.stdout.splitlines()
    assert option == "--backend-store-uri"
    assert database_path(address) == tmp_path / name
    assert shlex.split(printed)[-1] == address


def test_the_command_that_is_printed_for_a_store_with_a_password_takes_it_from_the_shell() -> None:
    assert ui_command("postgresql://host/runs") == "mlflow ui --backend-store-uri postgresql://host/runs"
    for address in PLACES:
        assert ui_command(address) == 'mlflow ui --backend-store-uri "$MLFLOW_TRACKING_URI"'
