"""Ctrl-C and SIGTERM: they end a command at once, except where something must be finished, tracked or closed first.

There (``stoppable``) a first signal only sets a flag. Whoever waits or begins something new looks at it
(``raise_if_stopped``), so that nothing is torn apart; a second signal, and the end of the user's patience, raise
wherever they come.
"""

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.resource_tracker import ensure_running
from types import FrameType
from typing import NoReturn

SIGNALS = (signal.SIGINT, signal.SIGTERM)
PATIENCE = 3.5
"""Seconds after the first signal in which results are still tracked: a server that hangs must not keep the user."""
LAST_PATIENCE = 0.5
"""Seconds for each thing that is still to be done after that."""


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

    sections = 0
    requested: int | None = None
    raises = False


@contextmanager
def handle_signals(end: Callable[[Interrupted], NoReturn], signals: Sequence[int] = SIGNALS) -> Iterator[None]:
    """A context, in the main thread, in which Ctrl-C and SIGTERM call ``end`` at once, or as ``stoppable`` says.

    ``end`` must not raise in a command: OmegaConf stumbles over exceptions thrown into it, and Python drops those
    thrown into destructors and callbacks of weak references.

    Args:
        signals: which of the two.
    """

    def handle(signum: int, frame: FrameType | None) -> None:
        is_first, _State.requested = _State.requested is None, _State.requested or signum
        interruption = Interrupted(_State.requested)
        if not _State.sections:
            end(interruption)
        _set_alarm(PATIENCE if is_first else LAST_PATIENCE)
        if _State.raises or not is_first:
            raise interruption

    _State.requested = None
    heard = [
        *(each for each in heard_signals() if each in signals),
        *([signal.SIGALRM] if hasattr(signal, "setitimer") else []),
    ]
    before = {signum: signal.signal(signum, handle) for signum in heard}
    try:
        yield
    finally:
        _stop_alarm()
        _State.requested = None
        for signum, handler in before.items():
            signal.signal(signum, handler)


@contextmanager
def stoppable() -> Iterator[None]:
    """A context of which a first signal tears nothing apart: ``Interrupted`` is raised where it asks, or at its end."""
    _State.sections += 1
    try:
        yield
    finally:
        _State.sections -= 1
        if not _State.sections:
            _stop_alarm()
    raise_if_stopped()


@contextmanager
def stop_at_once() -> Iterator[None]:
    """A context within ``stoppable`` of what takes long and loses nothing: a first signal raises ``Interrupted``."""
    _State.raises = True
    try:
        raise_if_stopped()
        yield
    finally:
        _State.raises = False


def raise_if_stopped() -> None:
    """Raises ``Interrupted`` if a signal has come."""
    if _State.requested is not None:
        raise Interrupted(_State.requested)


def pause(seconds: float) -> None:
    """Sleeps, unless a signal comes or has come."""
    with stop_at_once():
        time.sleep(seconds)


def heard_signals() -> list[signal.Signals]:
    """SIGINT and SIGTERM, without those already ignored (shells ignore SIGINT in background jobs)."""
    return [signum for signum in SIGNALS if signal.getsignal(signum) is not signal.SIG_IGN]


def ignore_signals() -> None:
    """Lets a worker process ignore both signals.

    Ctrl-C, and often SIGTERM, reach the whole process group; only the driver decides what they mean.
    """
    for signum in SIGNALS:
        signal.signal(signum, signal.SIG_IGN)


@contextmanager
def block_signals() -> Iterator[None]:
    """A context in which processes start that hear neither signal, from their first instruction on.

    A child that is just starting could not yet have called ``ignore_signals``. The signals are blocked, which a child
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


def _set_alarm(seconds: float) -> None:
    """Lets the time run after which the handler is called again, and then again and again; 0 stops it."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, seconds, LAST_PATIENCE if seconds else 0.0)


def _stop_alarm() -> None:
    """Stops the time that a signal has set running; any other alarm is the caller's."""
    if _State.requested is not None:
        _set_alarm(0.0)
