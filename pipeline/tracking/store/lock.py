"""Let one process at a time set up a tracking store: MLflow's own way fails when several do it at once."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path

from mlflow.utils.file_utils import ExclusiveFileLock
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.pool import NullPool

from pipeline.addresses import DATABASE_SERVERS, masked_address, require_reachable
from pipeline.system.slow_answer import tell_if_slow

KEY = 1_398_362_946
"""Any number that other programs are unlikely to choose; PostgreSQL has locks of its own for each database."""
LOCKS = {
    "postgresql": ("SET lock_timeout = 60000", f"SELECT pg_advisory_lock({KEY})"),
    "mysql": (f"SELECT GET_LOCK(CONCAT('{KEY} ', DATABASE()), 60)",),
}
"""Name of SQLAlchemy's dialect -> statements that take a lock, which lasts as long as the connection."""


def lock_store(address: str, path: Path | None) -> AbstractContextManager[object]:
    """A context that other processes wait for: a file beside a local database, a lock in a database server.

    A tracking server has set up its database when it answers.

    Args:
        path: of the database, if it is a local one.
    """
    if path is not None and os.name != "nt":
        path.parent.mkdir(parents=True, exist_ok=True)  # As MLflow does, but later.
        return ExclusiveFileLock(f"{path}.lock")
    return _database_lock(address) if address.partition(":")[0].partition("+")[0] in DATABASE_SERVERS else nullcontext()


@contextmanager
def _database_lock(address: str) -> Iterator[None]:
    engine = create_engine(address, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with ExitStack() as held:
        with tell_if_slow(masked_address(address)):
            require_reachable(address)
            connection = held.enter_context(engine.connect())
            for statement in LOCKS.get(make_url(address).get_backend_name(), ()):
                connection.execute(text(statement))
        yield
