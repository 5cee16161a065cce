"""Ignore broken pipes (EPIPE) on stdout and stderr: ``python -m pipeline.run -m | head`` must not stop a sweep.

It is started for what it tracks; that its messages reach nobody is no reason to stop it.
"""

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO, cast

NOBODY_READS = (errno.EPIPE, errno.EIO)
"""A pipe that was closed, a terminal that is gone; what else goes wrong, such as a full disk, is told at the end."""


class _UnbreakableStream:
    """A stream that is redirected to /dev/null once it cannot be written to; all else is the stream's own."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
        if isinstance(self._stream, io.TextIOWrapper):
            self._stream.reconfigure(errors="backslashreplace")  # File names may hold bytes that are no text.
        self.lost = ""

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError as error:
            self._redirect_to_devnull(error)
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError as error:
            self._redirect_to_devnull(error)

    def _redirect_to_devnull(self, error: OSError) -> None:
        if error.errno not in NOBODY_READS:
            self.lost = error.strerror or str(error)
        # What the stream still holds goes there too, else Python would complain of it at its end.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def ignore_broken_pipes() -> Iterator[None]:
    """A context in which nothing that happens to standard output or standard error stops the work.

    Raises:
        SystemExit: at the end of the context, where that was asked for, or where output was lost.
    """
    _open_standard_files()
    before = sys.stdout, sys.stderr
    output, errors = _UnbreakableStream(sys.stdout), _UnbreakableStream(sys.stderr)
    sys.stdout, sys.stderr = cast("tuple[TextIO, TextIO]", (output, errors))
    code: str | int | None = None
    try:
        yield
    except SystemExit as end:
        code = end.code
    finally:
        output.flush()
        if output.lost:
            code = code or f"standard output: {output.lost}; the work was done all the same"
        if isinstance(code, str):
            # Told here, for Python would end with another code if it could not.
            print(code, file=sys.stderr)
            code = 1
        errors.flush()
        sys.stdout, sys.stderr = before
    if code:
        sys.exit(code)


def _open_standard_files() -> None:
    """Opens what the caller has closed (``>&-``), else the next file would get its number, and the messages."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # The lowest number that is free.
