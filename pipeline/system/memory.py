"""The memory limit of this process (RAM, ulimit, cgroups), and the refusal of what needs more."""

import os
from collections.abc import Iterator, Mapping
from decimal import Decimal
from functools import cache
from pathlib import Path
from sys import maxsize

from pipeline.errors import InputError, shown

CGROUPS = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")


@cache
def machine_memory() -> int:
    """Bytes that this process may use: the RAM of the machine, or a lower limit set for the process.

    All of it counts, not what happens to be free now, so that the same command is refused today and tomorrow. The
    limits are those of the process's control groups (containers, batch systems) and of ``ulimit -v``.
    """
    return min([_physical(), _address_space(), *_group_limits(MEMBERSHIP, CGROUPS)])


def require_memory(base: int, needed: Mapping[str, int], given: Mapping[str, object]) -> None:
    """Refuses what needs more memory than there is, before any of it is taken.

    Args:
        base: bytes that are needed in any case.
        needed: key -> bytes of what that key decides; all are needed at once.
        given: key -> the value that came.

    Raises:
        InputError: it names the key that needs most.
    """
    total, memory = base + sum(needed.values()), machine_memory()
    if total > memory:
        key = max(needed, key=needed.__getitem__)
        raise InputError(
            f"{key}: expected what fits into the {in_units(memory)} of memory here, got {shown(given[key])},"
            f" with which a run needs about {in_units(total)}"
        )


def in_units(size: int) -> str:
    """Bytes as people write them.

    >>> in_units(2_500_000_000), in_units(3 * 10**15)
    ('2.5 GB', '3e+03 TB')
    """
    amount = Decimal(size)  # A user may ask for more bytes than a float can count.
    for unit in ("bytes", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{float(amount):.3g} {unit}"
        amount /= 1000
    return f"{float(amount):.3g} TB"


def _physical() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Systems that do not say.
        return maxsize


def _address_space() -> int:
    try:
        import resource
    except ImportError:
        return maxsize
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return maxsize if limit == resource.RLIM_INFINITY else limit


def _group_limits(membership: Path, root: Path) -> Iterator[int]:
    """The limits of this process's control groups and of those around them, in both versions of the file system."""
    try:
        lines = membership.read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if controllers not in ("", "memory"):
            continue
        top, name = (root / "memory", "memory.limit_in_bytes") if controllers else (root, "memory.max")
        # Inside a container the group's own folder is often the top one.
        folder = top / group.lstrip("/")
        for each in [folder, *folder.parents]:
            if each.is_relative_to(top):
                yield from _limit(each / name)


def _limit(path: Path) -> Iterator[int]:
    try:
        text = path.read_text(encoding="utf-8").strip()
    except OSError:
        return
    if text.isdigit():
        yield int(text)
