"""Override of Hydra's config loader: it refuses lists of options, and leaves keys of swept options to the jobs.

Every composition passes through it: of single runs, of multiruns, and of each job under any sweeper and launcher.
"""

from collections.abc import Sequence
from contextlib import suppress

import hydra._internal.hydra as hydra_main
from hydra._internal.config_loader_impl import ConfigLoaderImpl, get_overrides_dirname
from hydra._internal.config_repository import ConfigRepository
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.default_element import GroupDefault
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import ConfigCompositionException
from hydra.plugins.config_source import ConfigResult
from hydra.types import RunMode
from omegaconf import DictConfig, open_dict

from pipeline.errors import InputError

MERGED_GROUPS = ("hydra/callbacks", "hydra/env")
"""Groups whose options add up; of all others one is meant, and Hydra's list would let the last one win in silence."""
ONE_PER_SWEEP = ("experiment", "executor")


def use_config_loader() -> None:
    """Lets Hydra compose, in this process, with this loader."""
    hydra_main.ConfigLoaderImpl = ConfigLoader  # type: ignore[attr-defined]


class ConfigLoader(ConfigLoaderImpl):
    """Hydra's, with two differences.

    A list for a group is refused. And a key that the options of a multirun's defaults do not have is no error of the
    multirun, because the swept options may have it: the jobs are composed with it, each with its own options.
    """

    def __init__(self, config_search_path: ConfigSearchPath) -> None:
        super().__init__(config_search_path)
        self.repository = _Repository(config_search_path)

    def load_configuration(
        self,
        config_name: str | None,
        overrides: list[str],
        run_mode: RunMode,
        from_shell: bool = True,
        validate_sweep_overrides: bool = True,
    ) -> DictConfig:
        """The composed configuration.

        Raises:
            InputError: a group is given a list; the errors of Hydra.
        """
        self._refuse_lists(overrides)
        options = {"from_shell": from_shell, "validate_sweep_overrides": validate_sweep_overrides}
        try:
            return super().load_configuration(config_name, overrides, run_mode, **options)
        except ConfigCompositionException:
            if run_mode != RunMode.MULTIRUN:
                raise
        parsed = OverridesParser.create().parse_overrides(overrides)
        values = [override for override in parsed if self._is_value(override)]
        others = [str(override.input_line) for override in parsed if override not in values]
        config = super().load_configuration(config_name, others, run_mode, **options)
        for override in values:
            with suppress(ConfigCompositionException):
                ConfigLoaderImpl._apply_overrides_to_config([override], config)
        describe_overrides(config, [override for override in parsed if not override.is_hydra_override()])
        return config

    def _is_value(self, override: Override) -> bool:
        if override.is_hydra_override() or override.is_sweep_override():
            return False
        return isinstance(override.value(), dict) or not self.repository.group_exists(override.key_or_group)

    def _refuse_lists(self, overrides: Sequence[str]) -> None:
        for override in OverridesParser.create().parse_overrides([each for each in overrides if "[" in each]):
            value = None if override.is_sweep_override() else override.value()
            if isinstance(value, list) and self.repository.group_exists(override.key_or_group):
                # Only a second place for a group takes a +.
                _refuse_list(override.get_key_element() if override.package else override.key_or_group, value)


class _Repository(ConfigRepository):
    """Hydra's, which refuses lists of options in the defaults lists of files too."""

    def load_config(self, config_path: str) -> ConfigResult | None:
        result = super().load_config(config_path)
        for default in (result.defaults_list or []) if result else []:
            if isinstance(default, GroupDefault) and default.is_options():
                _refuse_list(str(default.group).strip("/"), default.get_options(), f"{config_path}: defaults: ")
        return result


def describe_overrides(config: DictConfig, parsed: Sequence[Override]) -> None:
    """Writes into the ``hydra`` section what Hydra derives from all overrides of the task together."""
    job = config.hydra.job
    config.hydra.overrides.task = [str(override.input_line) for override in parsed]
    with open_dict(job):
        job.override_dirname = get_overrides_dirname(list(parsed), **job.config.override_dirname)


def _refuse_list(key: str, listed: Sequence[object], where: str = "") -> None:
    group, options = key.lstrip("+"), [str(option) for option in listed]
    if group.partition("@")[0] in MERGED_GROUPS:
        return
    if where or group.startswith("hydra/") or group in ONE_PER_SWEEP or len(options) < 2:
        advice = f"{key}={options[0] if options else 'OPTION'}"
    else:
        advice = f"-m {key}={','.join(options)}"
    raise InputError(f"{where}{group}: expected one option, got the list [{','.join(options)}]; say: {advice}")
