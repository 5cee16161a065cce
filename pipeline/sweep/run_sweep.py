"""Run a sweep: check all of its jobs before the first one trains, track it as one parent run, resume where it stopped.

Hydra's own sweeper would find a wrong value in job 37 after 36 jobs were trained. Only the sweeper sees all jobs of a
multirun under every launcher, so this is also where it is decided which jobs are to train, and where the parent run
opens and closes.
"""

import logging
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from shutil import get_terminal_size
from typing import NamedTuple, Protocol, runtime_checkable

from hydra.core.override_parser.types import Quote, QuotedString
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf, open_dict

from pipeline import names
from pipeline.compose.cache import CachedComposition, keep_current_hydra
from pipeline.compose.dump import plain
from pipeline.compose.jobs import Job, checked_configs, settled_jobs
from pipeline.compose.resolve import check_working_folder
from pipeline.config.parse import check_measures
from pipeline.config.schema import Config
from pipeline.errors import InputError
from pipeline.sweep.job import log_data, varying_keys
from pipeline.sweep.resume import consecutive_parts, create_sweep_folder, fingerprints_of, launches, resumption
from pipeline.system.atomic_file import write_atomically
from pipeline.system.signals import stoppable
from pipeline.tracking.sweeps import FinishedRun, Sweep

log = logging.getLogger(__name__)

FOLDER_KEY = "hydra.sweep.dir"


@runtime_checkable
class TakesJobs(Protocol):
    """A launcher that needs not compose and check all jobs again, and whose jobs need not be numbered consecutively."""

    def expect(self, numbers: Sequence[int], configs: Sequence[Config]) -> None:
        """Takes numbers and checked configurations of the jobs that are launched next, in their order."""
        ...


class Swept(NamedTuple):
    """What has become of a sweep.

    Attributes:
        returns: what each launch returned.
        fingerprints: of its jobs, in their order.
        runs: the finished runs of its jobs, in their order, whichever sweep has trained them.
    """

    returns: list[Sequence[JobReturn]]
    fingerprints: tuple[str, ...] = ()
    runs: Sequence[FinishedRun] = ()


def run_sweep(
    hydra_context: HydraContext,
    master: DictConfig,
    launcher: Launcher,
    jobs: Sequence[Sequence[str]],
    max_batch_size: int | None,
    arguments: Sequence[str],
) -> Swept:
    """Checks, launches and tracks the jobs of a sweep that are not tracked yet.

    Args:
        master: the composed configuration of the multirun.
        jobs: the overrides of each job.
        max_batch_size: how many jobs are launched together at the most.
        arguments: the overrides on the command line.
    """
    # 1. Check the configuration of every job; a wrong one ends the sweep here, and plan=true with an estimate.
    # 2. Resume: find the sweep that this one continues and which of its jobs are tracked, and clean up the store.
    # 3. Train: open the parent run, launch the remaining jobs, close the parent run whatever happens.
    # 4. Tell what the runs of all jobs say, whichever sweep has trained them.
    configs = checked_sweep(hydra_context, master, jobs, max_batch_size)
    experiment_name, rerun, swept_keys = configs[0].experiment_name, configs[0].rerun, varying_keys(jobs)
    log_data(configs)
    if configs[0].plan:
        from pipeline.sweep.estimate import log_estimate

        log_estimate(jobs, configs, max_batch_size)
        return Swept([])

    # Importing MLflow takes seconds, and a wrong key should not have to wait for it.
    from mlflow import get_tracking_uri

    from pipeline.addresses import masked
    from pipeline.sweep.ending import digest_line, next_steps, require_success, say_how_to_go_on
    from pipeline.sweep.summary import COLUMNS, Findings, best_first
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
    resumed = resumption(jobs, configs, fingerprints, begun, {run.fingerprint: run for run in kept})
    log.info(f"{resumed} (over {', '.join(swept_keys) or 'nothing'})")
    parent = begun.run_id if begun else None

    def tell() -> tuple[Sequence[FinishedRun], Findings]:
        """The runs of all jobs in their order, and what they say, which is printed; prepares the views."""
        runs = tracker.runs_with(fingerprints, {*names.NAMING_KEYS, *swept_keys}, COLUMNS)
        links = tracker.share_views(parent, swept_keys, best_first(runs)) if parent is not None else {}
        findings = Findings(runs, swept_keys, len(resumed.jobs) - len(runs))
        ending = [digest_line(runs, fingerprints), next_steps(experiment_name, get_tracking_uri(), links)]
        log.info("\n".join([findings.summary(get_terminal_size().columns), *ending]))
        places = {fingerprint: place for place, fingerprint in enumerate(fingerprints)}
        return sorted(runs, key=lambda run: places[run.fingerprint]), findings

    if not resumed.remaining and (begun is None or begun.finished):
        return Swept([], fingerprints, tell()[0])
    of_hydra = [override for override in plain(master.hydra.overrides.hydra) if not override.startswith("hydra.mode=")]
    is_chosen = any(override.startswith(f"{FOLDER_KEY}=") for override in of_hydra)
    command = masked(shlex.join(["python", "-m", "pipeline.run", "-m", *of_hydra, *arguments]))
    folder = create_sweep_folder(Path(master.hydra.sweep.dir), begun, is_chosen=is_chosen)
    is_as_checked = begun is None and len(resumed.jobs) == len(jobs) and str(folder) == str(master.hydra.sweep.dir)
    use_folder(master, folder)
    remaining = resumed.remaining
    if not is_as_checked:
        remaining = settled_jobs(CachedComposition(hydra_context.config_loader, master), remaining)
    with say_how_to_go_on(command, folder), stoppable():
        parent = tracker.open_sweep(begun, resumed.fingerprints, configs, swept_keys, command, str(folder))
        sweep = Sweep(parent, len(resumed.jobs), swept_keys, str(folder.absolute()))
        with tracker.closing_sweep(sweep):
            with sweep.announce():
                returns = list(_launch_all(launcher, remaining, max_batch_size))
            tracker.finish_sweep(sweep)
            runs, found = tell()
            tracker.describe_sweep(parent, found.conclusion(), found.table(), found.metrics())
            require_success(returns, runs)
    return Swept(returns, fingerprints, runs)


def checked_sweep(
    hydra_context: HydraContext, master: DictConfig, jobs: Sequence[Sequence[str]], max_batch_size: int | None
) -> list[Config]:
    """The configurations of all jobs.

    Raises:
        InputError: one of them is wrong, or they differ in what a sweep has once.
    """
    if not jobs:
        raise InputError("hydra.sweeper.grids: expected at least one grid, got none")
    if max_batch_size is not None and max_batch_size < 1:  # Hydra would take none for no limit.
        raise InputError(f"hydra.sweeper.max_batch_size: expected a whole number >= 1 or null, got {max_batch_size}")
    check_working_folder(master.hydra.job)
    composition = CachedComposition(hydra_context.config_loader, master)
    configs = checked_configs(composition, jobs)
    check_measures(configs)
    with keep_current_hydra():
        composition.prepare(0, jobs[0])  # A folder that has no name is told now.
    _check_common("experiment", [config.question.name if config.question else "none" for config in configs])
    for key in ("experiment_name", "rerun", "executor", "plan"):
        _check_common(key, [getattr(config, key) for config in configs])
    return configs


def _check_common(key: str, values: Sequence[object]) -> None:
    different = sorted({str(value) for value in values})
    if len(different) > 1:
        raise InputError(f"{key}: expected one for the whole sweep, got {', '.join(different)}")


def use_folder(master: DictConfig, folder: Path) -> None:
    """Lets all jobs keep their folders in this one, and leaves the configuration of the multirun there."""
    if str(folder) != str(master.hydra.sweep.dir):
        quoted = QuotedString(str(folder), Quote.single).with_quotes()
        with open_dict(master):
            master.hydra.sweep.dir = str(folder)
            # From these, every job is composed; what they refer to is the job's, not the multirun's.
            master.hydra.overrides.hydra = [*plain(master.hydra.overrides.hydra), f"{FOLDER_KEY}={quoted}"]
    write_atomically(folder / "multirun.yaml", OmegaConf.to_yaml(master).encode())


def _launch_all(launcher: Launcher, jobs: Sequence[Job], max_batch_size: int | None) -> Iterator[Sequence[JobReturn]]:
    for launch in launches(jobs, max_batch_size):
        if isinstance(launcher, TakesJobs):
            launcher.expect([job.number for job in launch], [job.config for job in launch])
            yield launcher.launch([job.overrides for job in launch], initial_job_idx=launch[0].number)
        else:
            for part in consecutive_parts(launch):
                yield launcher.launch([job.overrides for job in part], initial_job_idx=part[0].number)
