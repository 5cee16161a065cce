"""Ctrl-C and SIGTERM as one exception, which never tears apart what must be done as a whole."""

import math
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.resource_tracker import ensure_running
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)
PATIENCE = 3.5
"""Seconds after the first signal in which results are still tracked: a server that hangs must not keep the user."""
LAST_PATIENCE = 0.5
"""Seconds for each thing that is still to be done after that."""
MOMENT = 0.01
"""Seconds after which an interruption that Python dropped comes again."""


class Interrupted(KeyboardInterrupt):
    """The user or the system asked this process to stop.

    Args:
        signum: the signal.
        message: what was reached, and how to go on.
    """

    def __init__(self, signum: int, message: str = "") -> None:
        self.signum = signum
        self.message = message or f"Stopped by {signal.Signals(signum).name}"
        super().__init__(self.message)

    @property
    def exit_code(self) -> int:
        """128 + the signal, as shells have it: 130 after Ctrl-C, 143 after SIGTERM."""
        return 128 + self.signum


class _State:
    """What the handlers know; there is one set of handlers in a process."""

    depth = 0
    pending: int | None = None
    deadline = math.inf
    in_hook = False


@contextmanager
def interruptible() -> Iterator[None]:
    """A context, in the main thread, in which Ctrl-C and SIGTERM raise ``Interrupted``.

    A signal may come while the garbage collector calls a destructor or the callback of a weak reference. Python prints
    and drops what these raise, so there the interruption comes again a moment later.
    """
    hook = sys.unraisablehook
    _State.deadline = math.inf

    def again_or_told(unraisable: "sys.UnraisableHookArgs") -> None:
        if not isinstance(unraisable.exc_value, Interrupted):
            return hook(unraisable)
        _State.in_hook = True
        _set_alarm(MOMENT, unraisable.exc_value.signum)
        _State.in_hook = False

    before = {signum: signal.signal(signum, _raise_or_wait) for signum in heard_signals()}
    sys.unraisablehook = again_or_told
    try:
        yield
    finally:
        sys.unraisablehook = hook
        _clear_alarm()
        for signum, handler in before.items():
            signal.signal(signum, handler)


def heard_signals() -> list[signal.Signals]:
    """Those of the two that this process was not made deaf to, as scripts make what they start in the background."""
    return [signum for signum in SIGNALS if signal.getsignal(signum) is not signal.SIG_IGN]


def leave_to_driver() -> None:
    """Makes a worker process deaf to both signals.

    Ctrl-C, and often SIGTERM, reach the whole process group; only the driver decides what they mean.
    """
    for signum in SIGNALS:
        signal.signal(signum, signal.SIG_IGN)


@contextmanager
def deaf_children() -> Iterator[None]:
    """A context in which processes start that hear neither signal, from their first instruction on.

    A child that is just starting could not yet have called ``leave_to_driver``. The signals are blocked, which a child
    inherits, and not ignored: this process hears them through another thread, or when the context ends.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    ensure_running()  # When it starts, the tracker of multiprocessing lifts every block of these signals.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """A context that a first signal does not interrupt: ``Interrupted`` is raised when it ends.

    A second signal raises it at once, and so does the end of the user's patience.
    """
    _State.depth += 1
    try:
        yield
    finally:
        _State.depth -= 1
        if _State.depth == 0 and _State.pending is not None:
            signum, _State.pending = _State.pending, None
            _clear_alarm()
            raise Interrupted(signum)


@contextmanager
def last_words(interruption: KeyboardInterrupt) -> Iterator[None]:
    """A context for what is still to be done after an interruption, which is raised again when it ends.

    It ends early as ``uninterrupted`` does, where a first signal has just come.
    """
    with uninterrupted():
        _raise_or_wait(getattr(interruption, "signum", signal.SIGINT), None)
        yield


def raise_interruption_behind(error: BaseException) -> None:
    """Raises the ``Interrupted`` that an error came from, if any.

    OmegaConf, interrupted while it builds a list, stumbles over the half of it in a ``finally``, and raises that.
    """
    before: BaseException | None = error
    while before is not None:
        if isinstance(before, Interrupted):
            raise before
        before = before.__cause__ or before.__context__


def _raise_or_wait(signum: int, frame: FrameType | None) -> None:
    if _State.in_hook:  # What is raised there is dropped too.
        _set_alarm(MOMENT, signum)
        return
    if _State.depth and _State.pending is None:
        _State.pending = signum
        _set_alarm(_patience_left(), signum)
        return
    # Raised once: whoever catches it cleans up, and must not meet it again at the end of the context.
    first, _State.pending = _State.pending or signum, None
    _clear_alarm()
    _patience_left()
    raise Interrupted(first)


def _patience_left() -> float:
    """Seconds; they count from the first call."""
    now = time.monotonic()
    _State.deadline = min(_State.deadline, now + PATIENCE)
    return max(_State.deadline - now, LAST_PATIENCE)


def _set_alarm(seconds: float, signum: int) -> None:
    """Lets a signal come once more."""
    if hasattr(signal, "setitimer"):
        signal.signal(signal.SIGALRM, lambda _, frame: _raise_or_wait(signum, frame))
        signal.setitimer(signal.ITIMER_REAL, seconds)


def _clear_alarm() -> None:
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, 0.0)
