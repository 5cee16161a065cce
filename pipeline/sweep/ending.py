"""What a sweep says when it ends: how to go on, which jobs have failed, what to do with the runs."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from hydra.core.utils import JobReturn, JobStatus
from omegaconf import OmegaConf

from pipeline.addresses import WEB, ui_command
from pipeline.digest import sweep_digest
from pipeline.errors import DataChangedError, ExecutorLostError, FailedJobsError, StoreLostError, TrainingError
from pipeline.system.signals import Interrupted
from pipeline.tracking.sweeps import FinishedRun


@contextmanager
def say_how_to_go_on(command: str, folder: Path) -> Iterator[None]:
    """A context whose sweep can be continued: what ends it early says so.

    Args:
        command: what continues it.
        folder: where Hydra keeps it.
    """
    again = f"to go on, say again: {command}"
    try:
        yield
    except Interrupted as interrupted:
        raise Interrupted(interrupted.signum, f"{interrupted}. What was trained is tracked; {again}") from None
    except (DataChangedError, ExecutorLostError) as error:
        raise type(error)(f"{error}. What was trained is tracked; {again}") from None
    except StoreLostError as error:
        raise StoreLostError(f"{error}. What it has not taken waits in {folder} or is trained again; {again}") from None


def require_success(returns: Sequence[Sequence[JobReturn]], finished: Sequence[FinishedRun]) -> None:
    """Raises with a line for each failed job: its overrides, its cause, its log.

    Args:
        finished: the runs of the others.
    """
    jobs = [job for launch in returns for job in launch]
    failed = [job for job in jobs if job.status == JobStatus.FAILED]
    if failed:
        lines = [f"  {' '.join(job.overrides or [])}: {_cause(job)} ({_log_file(job)})" for job in failed]
        raise FailedJobsError("\n".join([f"{len(failed)} of {len(jobs)} jobs failed:", *lines]), finished)


def _cause(job: JobReturn) -> str:
    # The public property raises the error instead of returning it.
    error = job._return_value
    return str(error) if isinstance(error, TrainingError) else f"{type(error).__name__}: {error}"


def _log_file(job: JobReturn) -> str:
    assert job.hydra_cfg is not None
    configured = OmegaConf.select(job.hydra_cfg, "hydra.job_logging.handlers.file.filename")
    return f"log: {configured}" if configured else "no log file"


def digest_line(runs: Sequence[FinishedRun], fingerprints: Sequence[str]) -> str:
    """The digest of a sweep's jobs, for people who compare theirs with somebody's.

    Args:
        runs: their finished runs.
        fingerprints: of all jobs.
    """
    digests = {run.fingerprint: run.digest for run in runs}
    return f"Digest of all their numbers: {sweep_digest(digests, fingerprints)}\n"


def next_steps(experiment_name: str, tracking_uri: str, links: Mapping[str, str]) -> str:
    """What to do with a sweep that has ended, in commands that can be pasted into a shell.

    Args:
        links: view -> link, as of ``Tracker.share_views``.
    """
    width = max(map(len, links), default=0)
    shown = [f"{view:{width}}  {link}" for view, link in links.items()]
    if urlsplit(tracking_uri).scheme not in WEB:  # A server shows itself.
        shown.insert(0, ui_command(tracking_uri))
    name = shlex.quote(experiment_name)
    option = f"--experiment={name}" if experiment_name.startswith("-") else f"--experiment {name}"
    return "\n".join(
        [
            f"Browse the runs{' (by these links: the first page of the UI is for GenAI)' if links else ''}:",
            *(f"  {line}" for line in shown),
            f"Draw the figures: python -m analysis.report {option}",
        ]
    )
