"""Opens the user's data files, gzipped or not, and refuses what does not fit into memory."""

import gzip
import io
import os
import re
import stat
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline.errors import InputError
from pipeline.system.memory import in_units, machine_memory

CHUNK = 2**20


def unusable(place: str | Path, expected: str, got: object) -> InputError:
    """An error about a data file: where in it, what is expected there, what is there instead."""
    return InputError(f"data.path: {place}: expected {expected}, got {got}")


@contextmanager
def of_test_part(keys: str = "path") -> Iterator[None]:
    """A context in which what is refused by a key of the training file names ``data.test_path``.

    Args:
        keys: those keys, with ``|`` between them.
    """
    try:
        yield
    except InputError as error:
        raise InputError(re.sub(rf"^data\.({keys}):", "data.test_path:", str(error))) from None


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
        got = "a link to what does not exist" if path.is_symlink() else "no such file"
        is_address = path.parts and path.parts[0] in ("http:", "https:", "s3:", "ftp:")
        raise unusable(path, "a file", "an address (download it first)" if is_address else got)
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
            raise _too_large(path, largest, len(content))
    return content


class _Bounded(io.BufferedIOBase):
    """A stream that is checked while somebody else reads it, and that ends in an error where memory would."""

    def __init__(self, path: Path, stream: io.BufferedIOBase, held: int, check: Callable[[bytes, int], None]) -> None:
        self._path, self._stream, self._check = path, stream, check
        self._read, self._largest = 0, machine_memory() // held

    def readable(self) -> bool:
        return True

    def read1(self, size: int | None = -1, /) -> bytes:
        chunk = self._stream.read1(-1 if size is None else size)
        self._check(chunk, self._read)
        self._read += len(chunk)
        if self._read > self._largest:
            raise _too_large(self._path, self._largest, self._read)
        return chunk

    read = read1


def bounded(path: Path, stream: io.BufferedIOBase, held: int, check: Callable[[bytes, int], None]) -> Any:
    """The stream for a reader that holds ``held`` bytes of memory for each of its bytes.

    Args:
        check: is called with each chunk and its place in the file, and raises where it may not be read.

    Raises:
        InputError: while it is read, there is more than fits into memory.
    """
    return _Bounded(path, stream, held, check)


def _too_large(path: Path, largest: int, size: int) -> InputError:
    expected = f"a file of at most {in_units(largest)}, which takes all {in_units(machine_memory())} of memory"
    return unusable(path, expected, f"more than {in_units(size)}")


def require_room(path: Path, count: int, held: int) -> None:
    """Refuses a file that declares more values than fit into memory, of which each takes ``held`` bytes.

    Raises:
        InputError: it does.
    """
    if count * held > machine_memory():
        expected = f"at most {machine_memory() // held} values, which take all {in_units(machine_memory())} of memory"
        raise unusable(path, expected, count)


def path_of(path: str, key: str = "data.path") -> Path:
    """The path that the user gave, ~ expanded: the shell leaves that of ``data.path=~/file`` to the program."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise InputError(f"{key}: {path}: expected a user with a home folder after ~, got: {error}") from error
