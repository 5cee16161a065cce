"""Command line: relocate a local tracking store, whose artifacts have absolute paths, after it was moved or copied.

python -m pipeline.relocate [DATABASE]

MLflow writes the whole path of every folder of artifacts into its database. In a moved project these lead to the old
folder, which would be made again, and in a copied one to the original. Runs are looked for where the database is now:
their ids are random, so whoever finds the folder of one of them has found its experiment.
"""

import os
import shlex
import shutil
import sqlite3
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from pipeline import names
from pipeline.addresses import VARIABLE, database_path, masked_address
from pipeline.errors import InputError
from pipeline.system.command import OneLineParser, run_command

PLACES = {
    "SELECT rowid, artifact_location FROM experiments": "UPDATE experiments SET artifact_location = ? WHERE rowid = ?",
    "SELECT rowid, artifact_uri FROM runs": "UPDATE runs SET artifact_uri = ? WHERE rowid = ?",
    "SELECT rowid, artifact_location FROM logged_models": (
        "UPDATE logged_models SET artifact_location = ? WHERE rowid = ?"
    ),
    # A sweep that is continued goes on in the folder that its tag names.
    "SELECT rowid, value FROM tags WHERE key = 'sweep.folder'": "UPDATE tags SET value = ? WHERE rowid = ?",
    "SELECT rowid, value FROM experiment_tags WHERE key = 'mlflow.symmetry.database'": (
        "UPDATE experiment_tags SET value = ? WHERE rowid = ?"
    ),
}
"""Where a store keeps paths: what reads them, and what writes them."""
COMMAND = "python -m pipeline.relocate"


class Move(NamedTuple):
    """A folder that a store's paths begin with, and where that folder is now."""

    old: Path
    new: Path


def require_in_place(database: Path, *, alone: bool = False) -> None:
    """Refuses a store whose artifacts are written to, or read from, the folder in which it was before.

    Args:
        alone: refuse a database that went without its artifacts too, which may be read as they are, but not added to.

    Raises:
        InputError: the project was moved or copied.
    """
    for move in moves_of(database, alone=alone):
        raise InputError(
            f"{database} was moved or copied: its artifacts belong to {move.new}, but it still names {move.old};"
            f" to mend it: {COMMAND} {shlex.quote(str(database.absolute()))}"
        )


def moves_of(database: Path, *, alone: bool = True) -> list[Move]:
    """The moves that a local store has not been told of; none where it is no database, or not MLflow's.

    Args:
        alone: whether those of databases that went without their artifacts count.
    """
    try:
        with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            rows = connection.execute("SELECT experiment_id, artifact_location FROM experiments").fetchall()
            found = [_move_of(connection, database, *row) for row in rows]
            if alone:
                found += [_move_without_artifacts(connection, database, *row) for row in rows]
            return list(dict.fromkeys(move for move in found if move is not None))
    except (sqlite3.Error, OSError):
        return []


def _move_of(connection: sqlite3.Connection, database: Path, experiment: int, location: str | None) -> Move | None:
    """Where the folder of an experiment has gone, if it is no more where the store says."""
    named = _local_path(location or "")
    if named is None:
        return None
    query = "SELECT run_uuid FROM runs WHERE experiment_id = ?"
    runs = {str(run) for (run,) in connection.execute(query, (experiment,))}
    # An empty folder is no evidence of anything, except in the place beside the database.
    nearby = database.absolute().parents if runs else database.absolute().parents[:1]
    for here in nearby:
        # The more of the old path is found here, the surer; the folder of an experiment alone is named by a number.
        for depth in range(len(named.parts) - 1, 1, -1):
            candidate = here.joinpath(*named.parts[-depth:])
            if _holds(candidate, runs):  # The nearest counts: a copy may lie inside of its original.
                is_named = candidate == named or (_is_folder(named) and candidate.samefile(named))
                return None if is_named else Move(Path(*named.parts[:-depth]), here)
    return None


def _move_without_artifacts(
    connection: sqlite3.Connection, database: Path, experiment: int, location: str | None
) -> Move | None:
    """Where a database that lay beside its artifacts has gone alone."""
    query, named = "SELECT value FROM experiment_tags WHERE experiment_id = ? AND key = ?", _local_path(location or "")
    for (value,) in connection.execute(query, (experiment, names.DATABASE_TAG)):
        was, here = Path(value), database.absolute().parent
        is_the_same = (was.exists() and was.samefile(database)) or (
            _is_folder(was.parent) and was.parent.samefile(here)
        )
        if named is not None and named.is_relative_to(was.parent) and not is_the_same:
            return Move(was.parent, here)
    return None


def _local_path(location: str) -> Path | None:
    if location.startswith("file:"):
        location = unquote(urlsplit(location).path)
    path = Path(location)
    return path if path.is_absolute() else None


def _holds(folder: Path, runs: set[str]) -> bool:
    """Whether a folder is that of an experiment with these runs; without any it must be as empty as it was made."""
    if not _is_folder(folder):
        return False
    return any(_is_folder(folder / run) for run in runs) if runs else not any(folder.iterdir())


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # Of another user, who lets nobody look.
        return False


def mend(database: Path, moves: Sequence[Move]) -> int:
    """Writes the present paths into a store, all or none; returns how many.

    Files of a run that are in the old folder only, because it was tracked there meanwhile, are copied from there.
    """
    changed = 0
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        for read, write in PLACES.items():
            for row, path in connection.execute(read).fetchall():
                if (new := _moved(path, moves)) is not None:
                    _copy_if_missing(path, new)
                    connection.execute(write, (new, row))
                    changed += 1
        connection.execute("COMMIT")
    return changed


def _moved(text: str | None, moves: Sequence[Move]) -> str | None:
    """A path or a file address in its present place, or None where it did not move."""
    for move in moves:
        for old, new in (map(str, move), map(Path.as_uri, move)):
            if text is not None and f"{text}/".startswith(f"{old}/"):
                return new + text[len(old) :]
    return None


def _copy_if_missing(old: str, new: str) -> None:
    before, now = _local_path(old), _local_path(new)
    if before is not None and now is not None and _is_folder(before) and not now.exists():
        shutil.copytree(before, now)


def main() -> None:
    """Mends a store, and says what it did."""
    parser = OneLineParser(prog=COMMAND, description="Tells a moved or copied store where its artifacts are.")
    parser.add_argument("database", nargs="?", type=Path, help="its file (default: the store that is in use)")
    database = parser.parse_args().database
    try:
        if database is None:
            address = os.environ.get(VARIABLE) or "sqlite:///mlflow.db"
            database = database_path(address)
            if database is None:
                raise InputError(f"{VARIABLE}: expected a local database sqlite:///FILE, got {masked_address(address)}")
        database = database.absolute()
        if not database.is_file():
            raise InputError(
                f"no tracked runs here: {database} {'is a folder' if database.is_dir() else 'does not exist'}"
            )
        with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
            connection.execute("SELECT 1 FROM experiments")
        moves = moves_of(database)
        changed = mend(database, moves) if moves else 0
    except InputError as error:
        sys.exit(str(error))
    except (sqlite3.Error, OSError, shutil.Error) as error:  # No database, not MLflow's, or one that takes nothing.
        sys.exit(f"{database}: {' '.join(str(error).split())}; nothing was changed")
    for move in moves:
        print(f"{database} names {move.new} now, and no more {move.old}, which was left alone")
    print(f"{changed} paths mended" if moves else f"{database} names its folders as they are: nothing to mend")


if __name__ == "__main__":
    run_command(main)
