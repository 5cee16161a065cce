"""Exceptions that the command line turns into a message without a traceback."""


class InputError(ValueError):
    """A user's mistake, told in one line: the key or file, what is allowed, what came instead."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


class FailedJobsError(RuntimeError):
    """Some jobs of a sweep raised; their tracebacks are tracked with their runs."""


class TrainingError(RuntimeError):
    """A job raised while it trained; the message is the type and message of what it raised."""


class StoreLostError(RuntimeError):
    """The tracking store stopped taking results while a sweep ran."""
