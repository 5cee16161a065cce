"""Open the tracking store: create a local database atomically, refuse one whose schema this MLflow does not know."""

import logging
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from urllib.parse import quote, unquote

from mlflow import MlflowClient, get_tracking_uri
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository
from mlflow.store.db.utils import (
    _get_latest_schema_revision,
    _get_schema_version,
    _initialize_tables,
    create_sqlalchemy_engine,
)
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

from pipeline import names
from pipeline.addresses import database_path, masked, masked_address, require_reachable, store_address
from pipeline.errors import InputError
from pipeline.relocate import require_in_place
from pipeline.system.slow_answer import tell_if_slow
from pipeline.tracking.store.lock import lock_store

# A new database logs a line per table and migration, a busy one a traceback, a lost server the address with a token in
# it; all are told in other words here.
for noisy in ("alembic", "mlflow.store.db.utils", "urllib3.connectionpool"):
    logging.getLogger(noisy).setLevel(logging.CRITICAL)

KNOWN_REVISIONS = {"dc11669786a5"}
"""Schema revisions (MLflow 3.17) of which this project knows the rows."""
KNOWN_DATABASES = ("sqlite", "postgresql", "mysql")
NO_SUCH = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
"""How stores answer to the id of no experiment."""


def first_line(error: BaseException) -> str:
    """The message of an error from one of MLflow's many stores, in one line."""
    return masked((str(error) or type(error).__name__).splitlines()[0], get_tracking_uri())


@contextmanager
def translate_store_errors() -> Iterator[None]:
    """A context in which what a store raises, each its own types, becomes an ``InputError`` that names the store."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        address = masked_address(get_tracking_uri())
        is_driver = isinstance(error, ModuleNotFoundError)
        hint = " (install it, or name a driver that is installed: postgresql+psycopg2://...)" if is_driver else ""
        raise InputError(f"MLFLOW_TRACKING_URI: cannot track to {address}: {first_line(error)}{hint}") from None


def retry_once(write: Callable[[], None]) -> None:
    """Writes rows again if another process wrote them at the same time.

    MLflow looks whether a row is there and then inserts it, which fails in a race. The second time it finds the row.
    """
    try:
        write()
    except MlflowException:
        write()


@contextmanager
def open_store(experiment_name: str) -> Iterator[tuple[MlflowClient, str]]:
    """A context with the client and the id of the experiment; store and experiment are created if they do not exist.

    Within it no other process of this project opens the same database.

    Raises:
        InputError: the store does not answer, is of another MLflow, takes no artifacts, or the experiment is deleted.
    """
    with translate_store_errors():
        path = database_path(get_tracking_uri())
        _require_plain_path(str(path or ""), "database")
        with lock_store(get_tracking_uri(), path):
            if path is not None:
                _create_or_check_database(path)
                require_in_place(path, alone=True)
            client = _client(path)
            experiment_id = _find_or_create_experiment(client, experiment_name)
            experiment = client.get_experiment(experiment_id)
            _require_artifact_folder(str(experiment.artifact_location))
            if path is not None and names.DATABASE_TAG not in experiment.tags:
                client.set_experiment_tag(experiment_id, names.DATABASE_TAG, str(path.absolute()))
            yield client, experiment_id


def experiment_to_read(experiment_name: str) -> tuple[MlflowClient, str] | None:
    """The client and the id of an experiment, or None where there is none yet; makes neither.

    Raises:
        InputError: the store does not answer, or is of another MLflow.
    """
    with translate_store_errors():
        client = _client_to_read()
        experiment = client.get_experiment_by_name(experiment_name) if client else None
        return None if client is None or experiment is None else (client, str(experiment.experiment_id))


def name_of_experiment(experiment_id: str) -> str:
    """The name of an experiment that exists.

    Raises:
        InputError: it does not, or the store does not answer.
    """
    with translate_store_errors():
        client = _client_to_read()
        try:
            if client is not None:
                return str(client.get_experiment(experiment_id).name)
        except MlflowException as error:
            if error.error_code not in NO_SUCH:
                raise
        raise InputError(
            f"{names.EXPERIMENT_ID}: no experiment {experiment_id!r} in {masked_address(get_tracking_uri())}"
        )


def _client_to_read() -> MlflowClient | None:
    """A client of the store, or None where a local one is yet to be made."""
    path = database_path(get_tracking_uri())
    if path is not None:
        if not path.exists() or path.stat().st_size == 0:
            return None
        _create_or_check_database(path)
    return _client(path)


def _client(database: Path | None) -> MlflowClient:
    """A client of the store, whose database is in order if it is a local one."""
    address = get_tracking_uri()
    if database is not None:
        require_in_place(database)
        return MlflowClient(store_address(address))
    with tell_if_slow(masked_address(address)):
        require_reachable(address)
        client = MlflowClient(address)
        client.search_experiments(max_results=1)
    return client


def sql_store(client: MlflowClient) -> SqlAlchemyStore | None:
    """The SQL database behind a client, if it is of a kind and a schema whose rows are known; else None."""
    store = client._tracking_client.store
    if not isinstance(store, SqlAlchemyStore) or store.engine.dialect.name not in KNOWN_DATABASES:
        return None
    return store if _get_schema_version(store.engine) in KNOWN_REVISIONS else None  # type: ignore[no-untyped-call]


def _create_or_check_database(path: Path) -> None:
    """Makes a new database, or refuses one of another MLflow (MLflow itself would migrate an older one unasked)."""
    if path.is_dir():
        raise InputError(f"MLFLOW_TRACKING_URI: expected a database file, got the folder {path}")
    if not path.exists() or path.stat().st_size == 0:
        _create_database(path)
        return
    found, expected = _revisions(path), _get_latest_schema_revision()  # type: ignore[no-untyped-call]
    if found == [expected]:
        return
    if not found:
        raise InputError(f"MLFLOW_TRACKING_URI: {path} is a database, but not one of MLflow; name another file")
    raise InputError(
        f"MLFLOW_TRACKING_URI: {path} is of another version of MLflow (schema {', '.join(found)}, this one has"
        f" {expected}); make a copy of it, then: mlflow db upgrade sqlite:///{path}"
        " (if that does not know the schema, the database is newer: pip install --upgrade mlflow)"
    )


def _require_plain_path(path: str, kind: str) -> None:
    """Refuses a path that MLflow would take for another one, and lose there what it writes."""
    if "#" in path or "?" in path or unquote(path) != path:
        raise InputError(
            f"the folder of the {kind} {path}: expected a path without #, ? and % before two hexadecimal digits, which"
            " MLflow would take for another path"
        )


def _require_artifact_folder(location: str) -> None:
    """Tries to write where the artifacts of runs will go, if that is on this machine: later, training would be lost."""
    repository = get_artifact_repository(location)
    if not isinstance(repository, LocalArtifactRepository):
        return
    if not location.startswith("file:"):
        _require_plain_path(location, "artifacts")
    folder = Path(repository.artifact_dir)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(f"the folder of artifacts {folder} cannot be written to: {error.strerror}") from None


def _revisions(path: Path) -> list[str]:
    """The schema revisions written in a database; empty where it is not MLflow's."""
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
    try:
        has_table = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone()
        rows = connection.execute("SELECT version_num FROM alembic_version").fetchall() if has_table else []
    finally:
        connection.close()
    return sorted(str(row[0]) for row in rows)


def _create_database(path: Path) -> None:
    """A database with all tables, under its name only when it is complete: a kill in between leaves no half of one."""
    partial = path.with_name(f"{path.name}.part")
    partial.unlink(missing_ok=True)
    engine = create_sqlalchemy_engine(f"sqlite:///{quote(str(partial))}")  # type: ignore[no-untyped-call]
    try:
        _initialize_tables(engine)  # type: ignore[no-untyped-call]
    finally:
        engine.dispose()
    partial.replace(path)


def _find_or_create_experiment(client: MlflowClient, name: str) -> str:
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        try:
            return str(client.create_experiment(name))
        except MlflowException:
            # Another process, on another machine perhaps, may have created it in between.
            experiment = client.get_experiment_by_name(name)
            if experiment is None:
                raise
    if experiment.lifecycle_stage == "deleted":
        raise InputError(
            f"experiment_name: {name!r} is deleted; choose another or restore it with"
            f" mlflow experiments restore --experiment-id {experiment.experiment_id}"
        )
    return str(experiment.experiment_id)
