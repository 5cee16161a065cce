"""URIs of tracking stores and links into the MLflow UI: parsed, checked, and shown without their passwords."""

import os
import re
import shlex
from contextlib import suppress
from pathlib import Path
from urllib.parse import parse_qsl, quote, quote_plus, unquote, unquote_plus, urlencode, urlsplit

from sqlalchemy import create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from pipeline import names
from pipeline.errors import InputError

VARIABLE = "MLFLOW_TRACKING_URI"
LOCAL = ("sqlite", "file")
WEB = ("http", "https")
DATABASE_SERVERS = ("postgresql", "mysql", "mssql")
SECRET_VARIABLES = ("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")
MASK = "***"
UI_ADDRESS = "http://127.0.0.1:5000"
"""Where a bare ``mlflow ui`` listens."""

_ADDRESS = re.compile(r"\b[A-Za-z][A-Za-z0-9+.-]*://[^\s'\"<>]+")
_SECRET_KEY = re.compile("pass|pwd|token|secret|key|auth|sig", re.IGNORECASE)


def masked(text: str, *addresses: str) -> str:
    """A text without passwords and tokens: those of all addresses in it, and those of the stores in use.

    Libraries quote an address in parts when they complain of it, so each secret of a known address is sought too.

    Args:
        addresses: of stores that the text may speak of; that in ``MLFLOW_TRACKING_URI`` is known.

    >>> masked("cannot reach postgresql://me:secret@runs.example.org/mlflow?sslmode=require: no route")
    'cannot reach postgresql://***@runs.example.org/mlflow?***: no route'
    >>> masked("no route to /db?token=t/api", "https://runs.example.org/db?token=t")
    'no route to /db?token=***/api'
    """
    known = {address for address in (*addresses, os.environ.get(VARIABLE, "")) if address}
    for address in sorted(known, key=len, reverse=True):
        text = text.replace(address, masked_address(address))
    text = _ADDRESS.sub(_masked_match, text)
    secrets = {os.environ.get(variable, "") for variable in SECRET_VARIABLES}.union(*map(_secrets, known))
    spellings = {spell(secret) for secret in secrets for spell in (str, quote, quote_plus, unquote, unquote_plus)}
    for secret in sorted(spellings - {""}, key=len, reverse=True):
        # A short one shall not be found inside of words.
        start, end = (r"\b" if re.match(r"\w", character) else "" for character in (secret[0], secret[-1]))
        text = re.sub(f"{start}{re.escape(secret)}{end}", MASK, text)
    return text


def _masked_match(match: re.Match[str]) -> str:
    address = match[0].rstrip(".,:;)]}")
    return masked_address(address) + match[0][len(address) :]


def masked_address(address: str) -> str:
    """An address without user, password and query; of one that parsers cut differently, what is surely none of these.

    >>> masked_address("postgresql://me:a/b@c@host:5432/runs"), masked_address("sqlite:////home/me@work/mlflow.db")
    ('postgresql://***@host:5432/runs', 'sqlite:////home/me@work/mlflow.db')
    """
    scheme, separator, rest = address.partition("://")
    if not separator:
        return address
    place, query, _ = rest.partition("?")
    if scheme.partition("+")[0] in LOCAL:
        return f"{scheme}://{place}{query and '?' + MASK}"
    if not _is_plain(address):
        before, _, place = rest.rpartition("@")
        if "?" in before + place:
            return f"{scheme}://{MASK}"
    _, user, place = place.rpartition("@")
    hidden = f"{MASK}@" if user or "@" in rest else ""
    return f"{scheme}://{hidden}{place}{query and '?' + MASK}"


def _is_plain(address: str) -> bool:
    """Whether all parsers agree where the user, the host and the rest of an address begin and end."""
    try:
        parts = urlsplit(address)
        # The port is read to see that it is one.
        user, port = parts.netloc.rpartition("@")[0], parts.port
    except ValueError:
        return False
    return "@" not in f"{user}{port}{parts.path}{parts.query}{parts.fragment}"


def _secrets(address: str) -> set[str]:
    """What must not be shown of an address: its password, or what a server takes for one, and the like in its query."""
    scheme, _, rest = address.partition("://")
    if scheme.partition("+")[0] in LOCAL:
        return set()
    user, _, _ = rest.rpartition("@")
    found = {user.partition(":")[2] or (user if scheme in WEB else "")}
    if not _is_plain(address):  # Others take its parts for a host, a port, a path.
        found |= {part for part in re.split(r"[/?#@:&=]", user) if len(part) > 1}
    with suppress(ValueError, ArgumentError):
        found.add(str(make_url(address).password or ""))
    return found | {value for key, value in parse_qsl(rest.partition("?")[2]) if _SECRET_KEY.search(key)}


def database_path(address: str) -> Path | None:
    """The file of a local SQLite store, or None for any other store.

    Raises:
        InputError: it is an address of SQLite, but of no file.
    """
    if not re.match(r"sqlite\b", address):
        return None
    advice = "expected sqlite:///FILE (with four slashes from the root: sqlite:////FOLDER/FILE)"
    try:
        url = make_url(address)
    except ArgumentError:
        raise InputError(f"{VARIABLE}: {advice}, got {masked_address(address)}") from None
    if url.host:
        suggestion = f"sqlite:///{url.host}{f'/{url.database}' if url.database else ''}"
        raise InputError(f"{VARIABLE}: {advice}, got two slashes: {address}; did you mean {suggestion}?")
    if url.database in (None, "", ":memory:"):
        raise InputError(f"{VARIABLE}: {advice}, got one in memory, which would be lost")
    if url.database.startswith("file:"):
        raise InputError(f"{VARIABLE}: {advice}, got an address of SQLite's own, {url.database}")
    return Path(url.database)


def store_address(address: str) -> str:
    """The address by which to open a store: that of a local database without percent signs that stand for others.

    MLflow makes the folder that the address spells, so ``it%27s`` beside the folder ``it's``, and leaves it empty. The
    path is that from the root where an address can spell it, because MLflow keeps opened stores by their addresses,
    and the process may go to another folder.

    >>> store_address("sqlite:////home/it%27s/mlflow.db"), store_address("http://host/a%20b")
    ("sqlite:////home/it's/mlflow.db", 'http://host/a%20b')
    """
    plain = unquote(address)
    is_the_same = unquote(plain) == plain and not set("?#") & set(plain)
    path = database_path(plain) if address.startswith("sqlite:") and is_the_same else None
    if path is None:
        return address
    return plain if set("?#%") & set(str(Path.cwd())) else f"sqlite:///{path.absolute()}"


def require_reachable(address: str) -> None:
    """Connects once to a database server and asks it nothing: MLflow would try ten times without a word.

    How long one attempt takes at most is in the environment (``pipeline``). It raises what the driver does.

    Raises:
        InputError: a part of a password would be taken for the host, and looked up.
    """
    scheme = address.partition(":")[0].partition("+")[0]
    try:
        host = urlsplit(address).port if scheme in WEB else make_url(address).host if scheme in DATABASE_SERVERS else ""
    except ValueError:  # The port is no number.
        host = "@"
    if "@" in str(host):
        raise InputError(
            f"{VARIABLE}: expected {scheme}://USER:PASSWORD@HOST:PORT/ with @ as %40, / as %2F, ? as %3F and # as %23"
            f" in the password, got {masked_address(address)}"
        )
    if scheme in DATABASE_SERVERS:
        engine = create_engine(address)
        try:
            engine.connect().close()
        finally:
            engine.dispose()


def ui_command(address: str) -> str:
    """The command that opens the MLflow UI on a store, from any folder; a secret is left to the shell's variable.

    >>> ui_command("sqlite:////home/it%27s/mlflow.db"), ui_command("postgresql://me:secret@host/mlflow")
    ('mlflow ui --backend-store-uri \\'sqlite:////home/it\\'"\\'"\\'s/mlflow.db\\'', \
'mlflow ui --backend-store-uri "$MLFLOW_TRACKING_URI"')
    """
    path = database_path(address)
    if masked_address(address) != address:
        shown = f'"${VARIABLE}"'
    elif path is None:
        shown = shlex.quote(address)
    else:
        shown = shlex.quote(store_address(f"sqlite:///{quote(str(path.absolute()))}"))
    return f"mlflow ui --backend-store-uri {shown}"


def view_links(experiment_id: str, parent_run_id: str, address: str = UI_ADDRESS) -> dict[str, str]:
    """View -> link that opens it in the MLflow UI at ``address``."""
    return {
        view: f"{address}/#/experiments/{experiment_id}/runs?"
        + urlencode(
            {
                "viewStateShareKey": names.view_tag(parent_run_id, view).removeprefix(names.VIEW_TAG_PREFIX),
                "workflowType": "machine_learning",
                **mode,
            }
        )
        for view, mode in ((names.RUNS_VIEW, {}), (names.CURVES_VIEW, {"compareRunsMode": "CHART"}))
    }


def linked_note(text: str, experiment_id: str, parent_run_id: str) -> str:
    """A description that begins with links to the prepared views of a sweep.

    A fresh browser shows an experiment's GenAI pages, on which this description is the only way to its runs. The
    addresses stand at the end, because the list of experiments shows the beginning as it is written.

    >>> print(linked_note("Equal.", "1", "0123456789abcdef"))  # doctest: +ELLIPSIS
    [runs], [curves]: Equal.
    <BLANKLINE>
    [runs]: #/experiments/1/runs?viewStateShareKey=sweep-01234567-runs&workflowType=machine_learning
    [curves]: #/experiments/1/runs?...&compareRunsMode=CHART
    """
    links = view_links(experiment_id, parent_run_id, address="")
    addresses = "\n".join(f"[{view}]: {link.removeprefix('/')}" for view, link in links.items())
    return f"{', '.join(f'[{view}]' for view in links)}: {text}\n\n{addresses}"


def ui_address(tracking_uri: str) -> str:
    """Where the UI of a tracking store is: at the server itself, or where a bare ``mlflow ui`` shows a local store.

    Links are printed and published, so a password in the URI is left out.

    >>> ui_address("https://me:secret@runs.example.org:8080/mlflow/"), ui_address("sqlite:///mlflow.db")
    ('https://runs.example.org:8080/mlflow', 'http://127.0.0.1:5000')
    """
    parts = urlsplit(tracking_uri)
    if parts.scheme not in WEB:
        return UI_ADDRESS
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}"
