"""A sweep that is checked as a whole before its first job, and tracked as one parent run.

Hydra's own sweeper would find a wrong value in job 37 after 36 jobs were trained. Only the sweeper sees all jobs of a
multirun under every launcher, so this is also where the parent run opens and closes.
"""

import logging
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf

from pipeline.cached_composition import CachedComposition, checked_configs
from pipeline.config import Config
from pipeline.errors import FailedJobsError, InputError, TrainingError
from pipeline.sweep import Sweep, varying_keys

log = logging.getLogger(__name__)


@runtime_checkable
class TakesConfigs(Protocol):
    """A launcher that needs not compose and check all jobs again."""

    def expect(self, configs: Sequence[Config]) -> None:
        """Takes the checked configurations of all jobs, in their order."""
        ...


def run_sweep(
    hydra_context: HydraContext,
    master: DictConfig,
    launcher: Launcher,
    batches: Sequence[Sequence[Sequence[str]]],
    arguments: Sequence[str],
) -> list[Sequence[JobReturn]]:
    """Checks, launches and tracks all jobs of a sweep, and returns what the launcher returned for each batch.

    Args:
        master: the composed configuration of the multirun.
        batches: the overrides of each job, in the groups in which they are launched.
        arguments: the overrides on the command line.
    """
    jobs = [overrides for batch in batches for overrides in batch]
    configs = checked_configs(CachedComposition(hydra_context.config_loader, master), jobs)
    experiment_name = _common("experiment_name", [config.experiment_name for config in configs])
    _common("experiment", [config.question.name if config.question else "none" for config in configs])
    if isinstance(launcher, TakesConfigs):
        launcher.expect(configs)
    folder = Path(master.hydra.sweep.dir).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    OmegaConf.save(master, folder / "multirun.yaml")

    # Importing MLflow takes seconds, and a wrong key should not have to wait for it.
    from pipeline.summary import best_first, conclusion_of, sweep_summary
    from pipeline.tracking import Tracker

    tracker = Tracker(experiment_name)
    swept_keys = varying_keys(jobs)
    command = shlex.join(["python", "-m", "pipeline.run", "-m", *arguments])
    log.info(f"{len(jobs)} jobs over {', '.join(swept_keys) or 'nothing'}")
    returns: list[Sequence[JobReturn]] = []
    with tracker.sweep(configs, swept_keys, command) as parent:
        sweep = Sweep(parent, len(jobs), swept_keys, str(folder))
        with sweep.announced():
            first_job = 0
            for batch in batches:
                returns.append(launcher.launch(batch, initial_job_idx=first_job))
                first_job += len(batch)
        tracker.log_curves(sweep)
        failed = [job for batch in returns for job in batch if job.status == JobStatus.FAILED]
        if failed:
            raise FailedJobsError(
                f"{len(failed)} of {len(jobs)} jobs failed: "
                + "; ".join(f"{' '.join(job.overrides or [])} ({_cause(job)})" for job in failed)
            )
    runs = tracker.runs_of(parent)
    tracker.describe_sweep(parent, conclusion_of(runs))
    links = tracker.share_views(parent, swept_keys, best_first(runs))
    log.info(sweep_summary(runs, experiment_name, links))
    return returns


def _common(key: str, values: Sequence[str]) -> str:
    """The value that all jobs share."""
    different = sorted(set(values))
    if len(different) > 1:
        raise InputError(f"{key}: expected one for the whole sweep, got {', '.join(different)}")
    return different[0]


def _cause(job: JobReturn) -> str:
    # The public property raises the error instead of returning it.
    error = job._return_value
    return str(error) if isinstance(error, TrainingError) else f"{type(error).__name__}: {error}"
