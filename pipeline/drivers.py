"""Names this process, so that another one can tell whether what it left unfinished is still being worked on."""

import json
import os
import platform
from pathlib import Path


def this_driver() -> str:
    """Names this process, so that others can tell whether it still lives: host, process id, start of the process."""
    return json.dumps([platform.node(), os.getpid(), _start_of(os.getpid())])


def is_gone(driver: str | None) -> bool:
    """Whether a process named by ``this_driver`` has certainly ended; of other hosts nobody here knows."""
    if driver is None:
        return False
    try:
        host, process, start = json.loads(driver)
    except ValueError:
        return False
    if host != platform.node():
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return bool(start != _start_of(int(process)))


def _start_of(process: int) -> str:
    """When a process started, in ticks since the boot, where the system says so: process ids are used again."""
    try:
        return Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
    except OSError:
        return ""
