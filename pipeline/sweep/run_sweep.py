"""A sweep that is checked as a whole before its first job, tracked as one parent run, and goes on where it stopped.

Hydra's own sweeper would find a wrong value in job 37 after 36 jobs were trained. Only the sweeper sees all jobs of a
multirun under every launcher, so this is also where it is decided which jobs are to train, and where the parent run
opens and closes.
"""

import logging
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from shutil import get_terminal_size
from typing import Protocol, runtime_checkable

from hydra.core.override_parser.types import Quote, QuotedString
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf, open_dict

from pipeline.compose.cache import CachedComposition, keep_current_hydra
from pipeline.compose.dump import plain
from pipeline.compose.jobs import Job, checked_configs, settled_jobs
from pipeline.compose.resolve import check_working_folder
from pipeline.config.schema import Config
from pipeline.errors import (
    DataChangedError,
    ExecutorLostError,
    FailedJobsError,
    InputError,
    StoreLostError,
    TrainingError,
)
from pipeline.sweep.grid import check_max_batch_size
from pipeline.sweep.job import varying_keys
from pipeline.sweep.resume import consecutive_parts, create_sweep_folder, fingerprints_of, launches, resumption
from pipeline.system.atomic_file import write_atomically
from pipeline.system.signals import Interrupted, stoppable
from pipeline.tracking.sweeps import Sweep

log = logging.getLogger(__name__)

FOLDER_KEY = "hydra.sweep.dir"


@runtime_checkable
class TakesJobs(Protocol):
    """A launcher that needs not compose and check all jobs again, and whose jobs need not be numbered consecutively."""

    def expect(self, numbers: Sequence[int], configs: Sequence[Config]) -> None:
        """Takes numbers and checked configurations of the jobs that are launched next, in their order."""
        ...


def run_sweep(
    hydra_context: HydraContext,
    master: DictConfig,
    launcher: Launcher,
    jobs: Sequence[Sequence[str]],
    max_batch_size: int | None,
    arguments: Sequence[str],
) -> list[Sequence[JobReturn]]:
    """Checks, launches and tracks the jobs of a sweep that are not tracked yet.

    Args:
        master: the composed configuration of the multirun.
        jobs: the overrides of each job.
        max_batch_size: how many jobs are launched together at the most.
        arguments: the overrides on the command line.

    Returns:
        What each launch returned.
    """
    if not jobs:
        raise InputError("hydra.sweeper.grids: expected at least one grid, got none")
    check_max_batch_size(max_batch_size)
    check_working_folder(master.hydra.job)
    composition = CachedComposition(hydra_context.config_loader, master)
    configs = checked_configs(composition, jobs)
    experiment_name = str(_common("experiment_name", [config.experiment_name for config in configs]))
    rerun = bool(_common("rerun", [config.rerun for config in configs]))
    _common("executor", [repr(config.executor) for config in configs])
    with keep_current_hydra():
        composition.prepare(0, jobs[0])  # A folder that has no name is told now.
    _common("experiment", [config.question.name if config.question else "none" for config in configs])

    if _common("plan", [config.plan for config in configs]):
        _tell_plan(experiment_name, jobs, configs, max_batch_size, rerun=rerun)
        return []

    # Importing MLflow takes seconds, and a wrong key should not have to wait for it.
    from mlflow import get_tracking_uri

    from pipeline.addresses import masked
    from pipeline.sweep.summary import Findings, best_first, next_steps
    from pipeline.tracking.tracker import Tracker

    tracker = Tracker(experiment_name)
    fingerprints = fingerprints_of(configs)
    begun = tracker.begun_sweep(fingerprints, rerun=rerun)
    if begun is not None:
        tracker.deliver_waiting(begun)
    tracker.close_leftovers(begun)
    kept = tracker.delete_repeated_runs()
    if rerun:
        kept = [run for run in kept if begun is not None and run.parent == begun.run_id]
    finished = {run.fingerprint: run for run in kept}
    plan = resumption(jobs, configs, fingerprints, begun, finished)
    swept_keys = varying_keys(jobs)
    command = masked(shlex.join(["python", "-m", "pipeline.run", "-m", *arguments]))
    log.info(f"{plan} (over {', '.join(swept_keys) or 'nothing'})")
    returns: list[Sequence[JobReturn]] = []
    parent = begun.run_id if begun else None

    def tell() -> Findings:
        """Prints what the runs of all jobs say, whichever sweep has trained them, and prepares the views."""
        runs = tracker.runs_with(fingerprints)
        links = tracker.share_views(parent, swept_keys, best_first(runs)) if parent is not None else {}
        findings = Findings(runs, swept_keys, len(plan.jobs) - len(runs))
        steps = next_steps(experiment_name, get_tracking_uri(), links)
        log.info(f"{findings.summary(get_terminal_size().columns)}\n{steps}")
        return findings

    goes_on = bool(plan.remaining) or (begun is not None and not begun.finished)
    if goes_on:
        is_chosen = any(override.startswith(f"{FOLDER_KEY}=") for override in plain(master.hydra.overrides.hydra))
        folder = create_sweep_folder(Path(master.hydra.sweep.dir), begun, is_chosen=is_chosen)
        use_folder(master, folder)
        remaining = settled_jobs(CachedComposition(hydra_context.config_loader, master), plan.remaining)
        try:
            with stoppable():
                parent = tracker.open_sweep(begun, plan.fingerprints, configs, swept_keys, command, str(folder))
                sweep = Sweep(parent, len(plan.jobs), swept_keys, str(folder.absolute()))
                with tracker.closing_sweep(sweep):
                    with sweep.announce():
                        returns = list(_launched(launcher, remaining, max_batch_size))
                    tracker.finish_sweep(sweep)
                    found = tell()
                    tracker.describe_sweep(parent, found.conclusion(), found.table(), found.metrics())
                    _require_success(returns)
        except Interrupted as interrupted:
            raise Interrupted(
                interrupted.signum, f"{interrupted}. What was trained is tracked; to go on, say again: {command}"
            ) from None
        except (DataChangedError, ExecutorLostError) as error:
            raise type(error)(f"{error}. What was trained is tracked; to go on, say again: {command}") from None
        except StoreLostError as error:
            raise StoreLostError(
                f"{error}. What it has not taken waits in {folder} or is trained again; to go on, say again: {command}"
            ) from None
    else:
        tell()
    return returns


def _tell_plan(
    experiment_name: str,
    jobs: Sequence[Sequence[str]],
    configs: Sequence[Config],
    max_batch_size: int | None,
    *,
    rerun: bool,
) -> None:
    """Says what the sweep would do, and what that would take; changes nothing."""
    from pipeline.sweep.estimate import estimate_sweep
    from pipeline.tracking.store.opening import experiment_to_read
    from pipeline.tracking.store.queries import finished_runs

    known = None if rerun else experiment_to_read(experiment_name)
    finished = {run.fingerprint: run for run in finished_runs(*known)} if known else {}
    plan = resumption(jobs, configs, fingerprints_of(configs), None, finished)
    log.info(f"{plan} (over {', '.join(varying_keys(jobs)) or 'nothing'})")
    if plan.remaining:
        log.info(estimate_sweep([[job.config for job in each] for each in launches(plan.remaining, max_batch_size)]))


def _common(key: str, values: Sequence[object]) -> object:
    """The value that all jobs share."""
    different = set(values)
    if len(different) > 1:
        raise InputError(f"{key}: expected one for the whole sweep, got {', '.join(sorted(map(str, different)))}")
    return different.pop()


def use_folder(master: DictConfig, folder: Path) -> None:
    """Lets all jobs keep their folders in this one, and leaves the configuration of the multirun there."""
    if str(folder) != str(master.hydra.sweep.dir):
        quoted = QuotedString(str(folder), Quote.single).with_quotes()
        with open_dict(master):
            master.hydra.sweep.dir = str(folder)
            # From these, every job is composed; what they refer to is the job's, not the multirun's.
            master.hydra.overrides.hydra = [*plain(master.hydra.overrides.hydra), f"{FOLDER_KEY}={quoted}"]
    write_atomically(folder / "multirun.yaml", OmegaConf.to_yaml(master).encode())


def _launched(launcher: Launcher, jobs: Sequence[Job], max_batch_size: int | None) -> Iterator[Sequence[JobReturn]]:
    for launch in launches(jobs, max_batch_size):
        if isinstance(launcher, TakesJobs):
            launcher.expect([job.number for job in launch], [job.config for job in launch])
            yield launcher.launch([job.overrides for job in launch], initial_job_idx=launch[0].number)
        else:
            for part in consecutive_parts(launch):
                yield launcher.launch([job.overrides for job in part], initial_job_idx=part[0].number)


def _require_success(returns: Sequence[Sequence[JobReturn]]) -> None:
    """Raises with a line for each failed job: its overrides, its cause, its log."""
    jobs = [job for launch in returns for job in launch]
    failed = [job for job in jobs if job.status == JobStatus.FAILED]
    if failed:
        lines = [f"  {' '.join(job.overrides or [])}: {_cause(job)} ({_log_file(job)})" for job in failed]
        raise FailedJobsError("\n".join([f"{len(failed)} of {len(jobs)} jobs failed:", *lines]))


def _cause(job: JobReturn) -> str:
    # The public property raises the error instead of returning it.
    error = job._return_value
    return str(error) if isinstance(error, TrainingError) else f"{type(error).__name__}: {error}"


def _log_file(job: JobReturn) -> str:
    assert job.hydra_cfg is not None
    configured = OmegaConf.select(job.hydra_cfg, "hydra.job_logging.handlers.file.filename")
    return f"log: {configured}" if configured else "no log file"
