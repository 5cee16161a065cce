"""Tell what a command waits for, when an answer is slow to come."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Timer

log = logging.getLogger(__name__)

PATIENCE = 5.0
"""Seconds of silence."""


@contextmanager
def tell_if_slow(awaited: str) -> Iterator[None]:
    """A context after some seconds of which, and only then, a line says what is awaited."""
    timer = Timer(PATIENCE, log.warning, [f"Waiting for {awaited}, silent for {PATIENCE:g} s (Ctrl-C gives up)"])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
