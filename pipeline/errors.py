"""Exceptions that the command line turns into a message without a traceback, and values as such messages show them."""

from collections.abc import Sequence
from reprlib import Repr
from reprlib import repr as shortened
from typing import Any

_LONG = Repr()
_LONG.maxstring = _LONG.maxother = 200
_LONG.maxlong = 40
_LONG.maxlist = _LONG.maxdict = 12


def shown(value: object) -> str:
    """A value in a message; of what would fill the screen, its beginning and its end.

    >>> shown((8, "relu")), shown(10**60)
    ("[8, 'relu']", '100000000000000000...0000000000000000000')
    """
    # Users write tuples as lists.
    return _LONG.repr(list(value) if isinstance(value, tuple) else value)


SHOWN_NAMES = 8


def quoted_names(names: Sequence[str]) -> str:
    """The names in quotes; of many only the first, and how many there are."""
    quoted = ", ".join(map(shortened, names[:SHOWN_NAMES])) or "none"
    return quoted if len(names) <= SHOWN_NAMES else f"{quoted}, ... ({len(names)} in all)"


class InputError(ValueError):
    """A user's mistake, told in one line: the key or file, what is allowed, what came instead."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


class MissingExtraError(InputError, ImportError):
    """A module needs a library that only an extra of this project installs.

    Args:
        name: of the extra.
        library: that is not installed.
        key: that asked for it, with its value.
    """

    def __init__(self, name: str, library: str, key: str) -> None:
        super().__init__(f"{key}: needs the package {library}, which is not installed: pip install -e '.[{name}]'")


class DataChangedError(InputError):
    """The data set is not, or no longer, the one that the driver fingerprinted."""


class FailedJobsError(RuntimeError):
    """Some jobs of a sweep raised; their tracebacks are tracked with their runs.

    Args:
        message: a line for each.
        finished: the runs of the others.
    """

    def __init__(self, message: str, finished: Any = ()) -> None:
        super().__init__(message)
        self.finished = finished


class TrainingError(RuntimeError):
    """A job raised while it trained; the message is the type and message of what it raised."""


class StoreLostError(RuntimeError):
    """The tracking store stopped taking results while a sweep ran."""


class ExecutorLostError(RuntimeError):
    """The engine that trained a sweep's batches is gone, and did not come back."""
