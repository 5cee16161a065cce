"""Names this process, so that another one can tell whether what it left unfinished is still being worked on."""

import json
import os
import platform
from pathlib import Path


def this_driver() -> str:
    """Names this process, so that others can tell whether it still lives."""
    return driver_of(os.getpid())


def driver_of(process: int) -> str:
    """Names a process of this host: host, process id, start of the process."""
    return json.dumps([platform.node(), process, _start_of(process)])


def is_gone(driver: str | None) -> bool:
    """Whether a process named by ``this_driver`` has certainly ended; of other hosts nobody here knows."""
    return _lives(driver) is False


def is_another(driver: str | None) -> bool:
    """Whether it certainly lives, and is not this process."""
    return _lives(driver) is True and driver != this_driver()


def _lives(driver: str | None) -> bool | None:
    try:
        host, process, start = json.loads(driver or "")
        process = int(process)
    except (TypeError, ValueError):  # A tag of this name that somebody else has set.
        return None
    if host != platform.node():
        return None
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return bool(start == _start_of(process))


def _start_of(process: int) -> str:
    """When a process started, in ticks since the boot, where the system says so: process ids are used again.

    Of a process that has ended, and for whose end its parent has not asked yet, it is empty.
    """
    try:
        state, *fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if state in "ZX" else fields[18]
