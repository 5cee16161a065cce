"""The grid of Hydra's basic sweeper, run as one tracked sweep.

Hydra imports this module in every application that finds it installed, but none whose name begins with ``_``; so the
work is done there, and is imported only for a sweep of this project.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn


@dataclass
class SymmetrySweeperConf:
    """Configuration of the plugin: ``params`` holds the sweep that ``-m`` runs; null takes a key out of it."""

    _target_: str = "hydra_plugins.symmetry_sweeper.sweeper.SymmetrySweeper"
    max_batch_size: int | None = None
    params: dict[str, Any] | None = None


ConfigStore.instance().store(group="hydra/sweeper", name="symmetry", node=SymmetrySweeperConf, provider="symmetry_lab")


class SymmetrySweeper(BasicSweeper):
    """Hydra's basic sweeper, with the checks and the parent run around it."""

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
        assert self.hydra_context is not None
        assert self.launcher is not None
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        overrides = parser.parse_overrides([*self._parse_config(), *arguments])
        batches = self.split_arguments(overrides, self.max_batch_size)

        from hydra_plugins.symmetry_sweeper._sweep import run_sweep

        return run_sweep(self.hydra_context, self.config, self.launcher, batches, arguments)
