"""Identify a process by host, pid and start time, so that runs left open by a dead process can be recognised."""

import json
import os
import platform
from functools import lru_cache
from pathlib import Path


def this_driver() -> str:
    """The identity of this process, the driver of its runs."""
    return _own_identity(os.getpid())


@lru_cache(maxsize=1)
def _own_identity(pid: int) -> str:
    # Kept, for every run asks and the system answers slowly; by the pid, for a forked process is another one.
    return driver_of(pid)


def driver_of(pid: int) -> str:
    """The identity of a process of this host: host, pid, start time."""
    return json.dumps([platform.node(), pid, _start_of(pid)])


def is_gone(driver: str | None) -> bool:
    """Whether an identified process has certainly ended; of other hosts nobody here knows."""
    return _lives(driver) is False


def is_another(driver: str | None) -> bool:
    """Whether it certainly lives, and is not this process."""
    return _lives(driver) is True and driver != this_driver()


def _lives(driver: str | None) -> bool | None:
    try:
        host, pid, start = json.loads(driver or "")
        pid = int(pid)
    except (TypeError, ValueError):  # A tag of this name that somebody else has set.
        return None
    if host != platform.node():
        return None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return bool(start == _start_of(pid))


def _start_of(pid: int) -> str:
    """The start time of a process, in ticks since the boot, where the system says so: pids are used again.

    Of a process that has ended, and for whose end its parent has not asked yet, it is empty.
    """
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if state in "ZX" else fields[18]
