"""A journal on disk of results that the tracking store would not take, replayed when it does."""

import base64
import hashlib
import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from pipeline.system.atomic_file import write_atomically
from pipeline.tracking.records import Record

log = logging.getLogger(__name__)


class Journal:
    """A folder of files, each with the records of one delivery; the file's name is the digest of its content.

    Args:
        folder: need not exist.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, records: Sequence[Record]) -> None:
        """Keeps records, on disk before it returns.

        Raises:
            OSError: the disk is full or refuses.
        """
        content = json.dumps([_plain(record) for record in records]).encode()
        write_atomically(self._folder / f"{hashlib.sha256(content).hexdigest()[:32]}.json", content)

    def read_entries(self) -> Iterator[tuple[Path, list[Record]]]:
        """The files with their records, in the order of their names; a damaged file is told and set aside.

        The jobs in a damaged file are not tracked, so the sweep trains them again.
        """
        for path in sorted(self._folder.glob("*.json")):
            content = path.read_bytes()
            if hashlib.sha256(content).hexdigest()[:32] != path.stem:
                log.warning(f"{path} is damaged: its results are trained again")
                path.rename(path.with_suffix(".damaged"))
                continue
            yield path, [_record(values) for values in json.loads(content)]

    def remove(self, path: Path) -> None:
        """Forgets a file whose records are tracked."""
        path.unlink(missing_ok=True)
        if not any(self._folder.iterdir()):
            self._folder.rmdir()


def _plain(record: Record) -> dict[str, object]:
    artifacts = {name: base64.b64encode(content).decode() for name, content in record.artifacts.items()}
    return asdict(record) | {"artifacts": artifacts}


def _record(values: dict[str, object]) -> Record:
    plain = dict(values)
    artifacts = plain.pop("artifacts")
    assert isinstance(artifacts, dict)
    record = Record(
        **plain,  # type: ignore[arg-type]
        artifacts={name: base64.b64decode(text) for name, text in artifacts.items()},
    )
    # JSON has no tuples.
    record.metrics[:] = [(key, value, step) for key, value, step in record.metrics]
    return record
