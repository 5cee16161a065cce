"""A sweep that is checked as a whole before its first job, and tracked as one parent run.

Hydra's own sweeper would find a wrong value in job 37 after 36 jobs were trained. Only the sweeper sees all jobs of a
multirun under every launcher, so this is also where the parent run opens and closes.
"""

import logging
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn, JobStatus
from omegaconf import DictConfig, OmegaConf

from pipeline.composition import checked_config
from pipeline.config import Config
from pipeline.errors import FailedJobsError, InputError
from pipeline.sweep import Sweep, collected_curves, varying_keys

log = logging.getLogger(__name__)


@dataclass
class SymmetrySweeperConf:
    """Configuration of the plugin: ``params`` holds the sweep that ``-m`` runs; null takes a key out of it."""

    _target_: str = "hydra_plugins.symmetry_sweeper.sweeper.SymmetrySweeper"
    max_batch_size: int | None = None
    params: dict[str, Any] | None = None


ConfigStore.instance().store(group="hydra/sweeper", name="symmetry", node=SymmetrySweeperConf, provider="symmetry_lab")


class SymmetrySweeper(BasicSweeper):
    """The grid of Hydra's basic sweeper, with the checks and the parent run around it."""

    def _parse_config(self) -> list[str]:
        return [f"{key}={value}" for key, value in self.params.items() if value is not None]

    def sweep(self, arguments: list[str]) -> list[Sequence[JobReturn]]:
        """Runs all jobs of the grid that ``params`` and the command line span.

        Returns:
            The job returns of each batch, as Hydra's sweepers do.

        Raises:
            InputError: a job's configuration is wrong; nothing has been trained or tracked.
            FailedJobsError: some jobs raised; all others are trained and tracked.
        """
        assert self.config is not None
        assert self.launcher is not None
        batches = self._batches(arguments)
        jobs = [overrides for batch in batches for overrides in batch]
        configs = [self._checked(overrides) for overrides in jobs]
        self._save_multirun(self.config)

        # Importing MLflow takes seconds, and a wrong key should not have to wait for it.
        from pipeline.summary import conclusion_of, sweep_summary
        from pipeline.tracking import Tracker

        experiment_name = _experiment_name(configs)
        tracker = Tracker(experiment_name)
        swept_keys = varying_keys(jobs)
        command = shlex.join(["python", "-m", "pipeline.run", "-m", *arguments])
        log.info(f"{len(configs)} jobs over {', '.join(swept_keys) or 'nothing'}")
        returns: list[Sequence[JobReturn]] = []
        with tracker.sweep(configs, swept_keys, command) as parent, Sweep(parent, len(configs), swept_keys).announced():
            first_job = 0
            for batch in batches:
                returns.append(self.launcher.launch(batch, initial_job_idx=first_job))
                first_job += len(batch)
            finished = [job for batch in returns for job in batch if job.status == JobStatus.COMPLETED]
            if finished:
                tracker.log_curves(parent, collected_curves(_output_folder(job) for job in finished))
            failed = [job for batch in returns for job in batch if job.status == JobStatus.FAILED]
            if failed:
                raise FailedJobsError(
                    f"{len(failed)} of {len(configs)} jobs failed: "
                    + "; ".join(f"{' '.join(job.overrides or [])} ({_cause(job)})" for job in failed)
                )
        runs = tracker.runs_of(parent)
        tracker.describe_sweep(parent, conclusion_of(runs))
        log.info(sweep_summary(runs, experiment_name))
        return returns

    def _batches(self, arguments: list[str]) -> list[list[list[str]]]:
        assert self.hydra_context is not None
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        overrides = parser.parse_overrides([*self._parse_config(), *arguments])
        return self.split_arguments(overrides, self.max_batch_size)

    def _checked(self, overrides: list[str]) -> Config:
        assert self.hydra_context is not None
        assert self.config is not None
        composed = self.hydra_context.config_loader.load_sweep_config(self.config, list(overrides))
        try:
            return checked_config(composed)
        except InputError as error:
            raise InputError(f"{error} (in job: {' '.join(overrides)})") from None

    @staticmethod
    def _save_multirun(config: DictConfig) -> None:
        folder = Path(config.hydra.sweep.dir)
        folder.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(config, folder / "multirun.yaml")


def _experiment_name(configs: Sequence[Config]) -> str:
    experiment_names = sorted({config.experiment_name for config in configs})
    if len(experiment_names) > 1:
        raise InputError(f"experiment_name: expected one for the whole sweep, got {', '.join(experiment_names)}")
    return experiment_names[0]


def _output_folder(job: JobReturn) -> Path:
    assert job.hydra_cfg is not None
    return Path(job.hydra_cfg.hydra.runtime.output_dir)


def _cause(job: JobReturn) -> str:
    # The public property raises the error instead of returning it.
    error = job._return_value
    return f"{type(error).__name__}: {error}"
