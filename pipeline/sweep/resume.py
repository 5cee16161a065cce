"""Resume a sweep: which jobs are tracked already, which are to train, and under which number each is known."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.compose.jobs import Job
from pipeline.config.schema import Config
from pipeline.tracking.sweeps import TrackedRun, TrackedSweep
from pipeline.training.fingerprint import fingerprint


@dataclass(frozen=True)
class Resumption:
    """One start of a sweep: of its jobs, those that are tracked already and those that are left to train.

    Attributes:
        fingerprints: of all jobs that the sweep has ever had, in the order of their numbers.
        jobs: those of this start, in the order of their numbers; a repeated one counts once.
        tracked: fingerprint -> finished run, for the jobs that need no training.
    """

    fingerprints: tuple[str, ...]
    jobs: tuple[Job, ...]
    tracked: dict[str, TrackedRun]

    @property
    def remaining(self) -> list[Job]:
        """The jobs to train."""
        return [job for job in self.jobs if job.fingerprint not in self.tracked]

    def __str__(self) -> str:
        return f"{len(self.jobs)} jobs: {len(self.tracked)} already tracked, {len(self.remaining)} to train"


def fingerprints_of(configs: Sequence[Config]) -> tuple[str, ...]:
    """The fingerprint of each configuration."""
    return tuple(map(fingerprint, configs))


def resumption(
    overrides: Sequence[Sequence[str]],
    configs: Sequence[Config],
    fingerprints: Sequence[str],
    begun: TrackedSweep | None,
    finished: dict[str, TrackedRun],
) -> Resumption:
    """Numbers the jobs as in the sweep that they continue; jobs that are new in it follow.

    Args:
        overrides: of each job.
        configs: of each job.
        fingerprints: of each job.
        begun: the sweep that goes on, or None.
        finished: fingerprint -> finished run, of which jobs are not trained again.
    """
    known = () if begun is None else begun.fingerprints
    numbers = {each: number for number, each in enumerate(dict.fromkeys([*known, *fingerprints]))}
    jobs = {
        each: Job(numbers[each], override, config, each)
        for override, config, each in zip(overrides, configs, fingerprints, strict=True)
    }
    return Resumption(
        fingerprints=tuple(numbers),
        jobs=tuple(sorted(jobs.values(), key=lambda job: job.number)),
        tracked={each: finished[each] for each in jobs if each in finished},
    )


def launches(jobs: Sequence[Job], at_most: int | None) -> Iterator[Sequence[Job]]:
    """The jobs of each call of the launcher: at most so many (``hydra.sweeper.max_batch_size``)."""
    size = at_most or max(len(jobs), 1)
    for start in range(0, len(jobs), size):
        yield jobs[start : start + size]


def consecutive_parts(jobs: Sequence[Job]) -> Iterator[Sequence[Job]]:
    """The jobs in parts of consecutive numbers, because Hydra's launchers count on from the first one."""
    start = 0
    for end in range(1, len(jobs) + 1):
        if end == len(jobs) or jobs[end].number != jobs[end - 1].number + 1:
            yield jobs[start:end]
            start = end


def create_sweep_folder(wanted: Path, begun: TrackedSweep | None, *, is_chosen: bool) -> Path:
    """Makes the folder of a sweep and returns it: that of the sweep that goes on, else ``wanted``.

    A sweep that starts in the same second as another would get the same folder, so then a number is added. A folder
    that the user has chosen is taken as it is.
    """
    if begun is not None and begun.folder and not is_chosen and Path(begun.folder).is_dir():
        return Path(begun.folder)
    folder, number = wanted, 1
    while True:
        try:
            folder.mkdir(parents=True, exist_ok=is_chosen)
        except FileExistsError:
            number += 1
            folder = wanted.with_name(f"{wanted.name}_{number}")
        else:
            return folder
