"""A launcher that trains the jobs of a sweep as stacks of networks, on all cores, and keeps Hydra's conventions.

Hydra imports this module in every application that finds it installed; so the work is done in ``pipeline.sweep``, which
is imported only for a sweep of this project.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

STACKED_TASK = ("pipeline.sweep.job", "run")
"""Module and name of the task function whose jobs can be stacked."""


@dataclass
class StackedLauncherConf:
    """Configuration of the plugin; it has no keys."""

    _target_: str = "hydra_plugins.stacked_launcher.launcher.StackedLauncher"


ConfigStore.instance().store(group="hydra/launcher", name="stacked", node=StackedLauncherConf, provider="symmetry_lab")


class StackedLauncher(BasicLauncher):
    """Hydra's basic launcher, which for the task of this project trains many jobs at once."""

    def __init__(self) -> None:
        super().__init__()
        self._expected: tuple[Sequence[int], Sequence[Any]] | None = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Takes what a launcher works with.

        Raises:
            InputError: the jobs ask for a process of their own.
        """
        super().setup(hydra_context=hydra_context, task_function=task_function, config=config)
        if self._stacks():
            from pipeline.compose.resolve import check_working_folder
            from pipeline.errors import InputError

            check_working_folder(config.hydra.job)
            if config.hydra.job.env_set:
                raise InputError(
                    "hydra.job.env_set: expected no variables with hydra/launcher=stacked, which trains many jobs in"
                    f" one process (set them for the whole command), got {dict(config.hydra.job.env_set)}"
                )

    def _stacks(self) -> bool:
        """Whether the task is this project's."""
        task = self.task_function
        return (getattr(task, "__module__", ""), getattr(task, "__name__", "")) == STACKED_TASK

    def expect(self, numbers: Sequence[int], configs: Sequence[Any]) -> None:
        """Takes numbers and checked configurations of the jobs launched next from a sweeper that knows them."""
        self._expected = numbers, configs

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Runs the jobs, and returns what each returned in their order; a job that raised is among them as failed."""
        assert self.config is not None
        assert self.hydra_context is not None
        if not self._stacks():
            return super().launch(job_overrides, initial_job_idx)
        from pipeline.sweep.launch import launch_stacked

        expected, self._expected = self._expected, None
        numbers, configs = expected or (range(initial_job_idx, initial_job_idx + len(job_overrides)), None)
        return launch_stacked(self.hydra_context, self.config, job_overrides, numbers, configs)
