"""The grid of Hydra's basic sweeper, run as one tracked sweep.

Hydra imports this module in every application that finds it installed; so the work is done in ``pipeline.sweep``, which
is imported only for a sweep of this project.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn


@dataclass
class SymmetrySweeperConf:
    """Configuration of the plugin.

    Attributes:
        params: the sweep that ``-m`` runs, key -> values.
        large: keys that replace those of ``params`` with ``size=large``.
        grids: parts of a sweep that is no single grid: each adds keys to ``params`` or replaces them.
        size: which sweep.

    In each of the three null takes a key out; a key on the command line replaces them all.
    """

    _target_: str = "hydra_plugins.symmetry_sweeper.sweeper.SymmetrySweeper"
    max_batch_size: int | None = None
    params: dict[str, Any] | None = None
    large: dict[str, Any] = field(default_factory=dict)
    grids: list[dict[str, Any]] = field(default_factory=lambda: [{}])
    size: str = "${size}"


ConfigStore.instance().store(group="hydra/sweeper", name="symmetry", node=SymmetrySweeperConf, provider="symmetry_lab")


class SymmetrySweeper(BasicSweeper):
    """Hydra's basic sweeper over one or several grids, with the checks and the parent run around it."""

    def __init__(
        self,
        max_batch_size: int | None,
        params: dict[str, Any] | None,
        large: dict[str, Any],
        grids: list[dict[str, Any]],
        size: str,
    ) -> None:
        super().__init__(max_batch_size, params)
        self._grids = [{**self.params, **(large if size == "large" else {}), **grid} for grid in grids]

    def jobs(self, arguments: list[str]) -> list[list[str]]:
        """The overrides of every job, those of the first grid first; a job that several grids hold comes once."""
        assert self.hydra_context is not None
        from pipeline.compose.grid import jobs_of_grid

        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        jobs: dict[frozenset[str], list[str]] = {}
        for grid in self._grids:
            swept = [f"{key}={value}" for key, value in grid.items() if value is not None]
            for job in jobs_of_grid(parser.parse_overrides([*swept, *arguments])):
                jobs.setdefault(frozenset(job), job)
        return list(jobs.values())

    def sweep(self, arguments: list[str]) -> list[Sequence[JobReturn]]:
        """Runs the jobs of the grids that the configuration and the command line span and that are not tracked yet.

        Returns:
            The job returns of each batch, as Hydra's sweepers do.

        Raises:
            InputError: a job's configuration is wrong; nothing has been trained or tracked.
            FailedJobsError: some jobs raised; all others are trained and tracked.
        """
        assert self.config is not None
        assert self.hydra_context is not None
        assert self.launcher is not None
        jobs = self.jobs(arguments)

        from pipeline.sweep.run_sweep import run_sweep

        return run_sweep(self.hydra_context, self.config, self.launcher, jobs, self.max_batch_size, arguments).returns
