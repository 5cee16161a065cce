"""Opens the user's data files, gzipped or not, and refuses what does not fit into memory."""

import gzip
import io
import os
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import InputError
from pipeline.system.memory import in_units, machine_memory

CHUNK = 2**20


def unusable(place: str | Path, expected: str, got: object) -> InputError:
    """An error about a data file: where in it, what is expected there, what is there instead."""
    return InputError(f"data.path: {place}: expected {expected}, got {got}")


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turns the system's refusals, such as a missing permission or too long a name, into an InputError."""
    try:
        yield
    except OSError as error:
        raise unusable(path, "something readable", error.strerror or error) from error


def status_of(path: Path) -> os.stat_result | None:
    """The ``stat`` of a path; None if there is nothing.

    Raises:
        InputError: there may be something, but nobody gets there: a loop of links, a folder that is closed.
    """
    with readable(path):
        try:
            return path.stat()
        except (FileNotFoundError, ValueError):  # No name holds the character that it is refused for.
            return None


def _require_file(path: Path) -> None:
    status = status_of(path)
    if status is None:
        raise unusable(path, "a file", "a link to what does not exist" if path.is_symlink() else "no such file")
    if not stat.S_ISREG(status.st_mode):
        # A pipe could block, a device never end.
        raise unusable(path, "a file", "a folder" if stat.S_ISDIR(status.st_mode) else "a pipe or a device")
    if status.st_size == 0:
        # Of what the kernel shows as files it says so too; to read those could take for ever, or what others wait for.
        raise unusable(path, "a file that holds something", "one of 0 bytes")


@contextmanager
def opened(path: Path) -> Iterator[io.BufferedIOBase]:
    """The file's bytes, unpacked if they are gzipped; what fails while they are read becomes an InputError."""
    _require_file(path)
    with readable(path), path.open("rb") as raw:
        gzipped = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        if not gzipped:
            yield raw
            return
        unpacked = gzip.GzipFile(fileobj=raw)
        try:
            yield unpacked
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise unusable(f"{path}: byte {unpacked.tell()} unpacked", "sound gzip data", error) from error


def content_of(path: Path, stream: io.BufferedIOBase, size: int | None, *, held: int) -> bytearray:
    """The next bytes of a file, read in chunks, so that memory grows with what the file holds.

    A packed file of a few megabytes may unpack to more than any memory holds.

    Args:
        path: of the file, for messages.
        size: how many bytes at the most; None for all.
        held: bytes of memory that each of them will take.

    Raises:
        InputError: there are more than fit into memory.
    """
    content, largest = bytearray(), machine_memory() // held
    while chunk := stream.read(CHUNK if size is None else min(CHUNK, size - len(content))):
        content += chunk
        if len(content) > largest:
            expected = f"a file of at most {in_units(largest)}, which takes all {in_units(machine_memory())} of memory"
            raise unusable(path, expected, f"more than {in_units(len(content))}")
    return content
