"""Value objects of sweeps and tracked runs, and the environment variable by which jobs learn of their sweep."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import NamedTuple


class TrackedRun(NamedTuple):
    """A finished run.

    Attributes:
        start_time: milliseconds since the epoch.
        run_id: its id.
        fingerprint: of what was trained.
        parent: run id of the sweep that trained it, or None.
        rerun: whether it was trained again on purpose.
        objective: what its job returns to a sweeper.
    """

    start_time: int
    run_id: str
    fingerprint: str
    parent: str | None
    rerun: bool
    objective: float


class FinishedRun(NamedTuple):
    """What the end of a sweep tells of a finished run; a sweep may have 100,000, so it holds no more than that.

    Attributes:
        run_id: its id.
        fingerprint: of what was trained.
        digest: of its numbers.
        name: shown in the UI.
        parent: run id of the sweep that trained it, or None.
        has_diverged: whether it did.
        params: key -> text, of those that were asked for.
        metrics: key -> last value, of those that were asked for.
    """

    run_id: str
    fingerprint: str
    digest: str
    name: str
    parent: str | None
    has_diverged: bool
    params: Mapping[str, str]
    metrics: Mapping[str, float]


class TrackedSweep(NamedTuple):
    """A sweep that was begun.

    Attributes:
        run_id: id of the parent run.
        fingerprints: those of its jobs, in the order of their numbers.
        folder: where Hydra keeps it.
        finished: whether all of it is done.
    """

    run_id: str
    fingerprints: tuple[str, ...]
    folder: str
    finished: bool


VARIABLE = "SYMMETRY_LAB_SWEEP"


@dataclass(frozen=True)
class Sweep:
    """One multirun.

    Attributes:
        parent: run id of the parent run.
        jobs: how many jobs the sweep has.
        swept_keys: keys whose values differ between the jobs.
        folder: where Hydra keeps the sweep.
    """

    parent: str
    jobs: int
    swept_keys: tuple[str, ...]
    folder: str

    @contextmanager
    def announce(self) -> Iterator[None]:
        """Makes the sweep known to jobs that start within the context."""
        os.environ[VARIABLE] = json.dumps(asdict(self))
        try:
            yield
        finally:
            del os.environ[VARIABLE]


def current_sweep() -> Sweep | None:
    """The sweep that this process works for, or None for a run of its own."""
    text = os.environ.get(VARIABLE)
    if text is None:
        return None
    known = json.loads(text)
    return Sweep(**known | {"swept_keys": tuple(known["swept_keys"])})
