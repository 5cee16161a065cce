"""Composes the jobs of a sweep once per distinct choice of groups, node by node equal to Hydra's own composition.

Hydra composes a job from its YAML files in about 70 ms, most of it for the defaults tree, which depends on the chosen
options alone. Here each choice is composed by Hydra once. A job is a copy of it, on which Hydra's own code applies the
value overrides: about 1 ms. ``tests/test_cached_composition.py`` compares both over all forms of overrides.
"""

import pickle
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from functools import cache, lru_cache
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl, get_overrides_dirname
from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, flag_override, open_dict

from pipeline.composition import checked_config
from pipeline.config import Config
from pipeline.errors import InputError

KEPT_CHOICES = 256


class CachedComposition:
    """The configurations of one sweep's jobs.

    Args:
        config_loader: Hydra's.
        master: the composed configuration of the multirun, from which all jobs derive.
    """

    def __init__(self, config_loader: ConfigLoader, master: DictConfig) -> None:
        assert isinstance(config_loader, ConfigLoaderImpl)
        self._config_loader = config_loader
        self._master = master
        self._parser = OverridesParser.create(config_loader=config_loader)
        # Bounded, because a sweep may visit any number of choices and values.
        self._chosen = lru_cache(maxsize=KEPT_CHOICES)(self._composed_choice)
        self._chosen_without_hydra = lru_cache(maxsize=KEPT_CHOICES)(self._composed_choice_without_hydra)
        self._parsed = lru_cache(maxsize=4096)(self._parsed_override)
        self._is_group = cache(config_loader.repository.group_exists)

    def choices(self, overrides: Sequence[str]) -> tuple[str, ...] | None:
        """Those overrides that choose options of groups, or None where only Hydra knows what they mean."""
        try:
            parsed = [self._parsed(override) for override in overrides]
        except HydraException:
            return None
        return None if any(self._is_unusual(override) for override in parsed) else self._choices(parsed)

    def override_dirname(self, overrides: Sequence[str], names: Mapping[str, Any]) -> str:
        """``hydra.job.override_dirname``, given ``hydra.job.config.override_dirname``."""
        return get_overrides_dirname(
            overrides=[self._parsed(override) for override in overrides],
            kv_sep=names["kv_sep"],
            item_sep=names["item_sep"],
            exclude_keys=names["exclude_keys"],
        )

    def compose(self, overrides: Sequence[str]) -> DictConfig:
        """The configuration of one job: what ``ConfigLoader.load_sweep_config`` gives.

        Raises:
            The same errors as Hydra, from Hydra.
        """
        try:
            parsed = [self._parsed(override) for override in overrides]
            if any(self._is_unusual(override) for override in parsed):
                return self._composed_by_hydra(overrides)
            config: DictConfig = pickle.loads(self._chosen(self._choices(parsed)))  # noqa: S301 - from this process
            ConfigLoaderImpl._apply_overrides_to_config(self._values(parsed), config)
            self._describe_overrides(config, parsed)
        except Exception:
            return self._composed_by_hydra(overrides)
        return config

    def compose_without_hydra(self, overrides: Sequence[str]) -> DictConfig:
        """The same without the ``hydra`` section, which is most of it, four times as fast."""
        try:
            parsed = [self._parsed(override) for override in overrides]
            if any(self._is_unusual(override) for override in parsed):
                return self._composed_by_hydra(overrides)
            config: DictConfig = pickle.loads(self._chosen_without_hydra(self._choices(parsed)))  # noqa: S301
            ConfigLoaderImpl._apply_overrides_to_config(self._values(parsed), config)
        except Exception:
            return self._composed_by_hydra(overrides)
        return config

    def _composed_by_hydra(self, overrides: Sequence[str]) -> DictConfig:
        return self._config_loader.load_sweep_config(self._master, list(overrides))

    def _composed_choice(self, choices: tuple[str, ...]) -> bytes:
        # A pickle is copied by loading it, five times as fast as a deep copy.
        return pickle.dumps(self._composed_by_hydra(choices))

    def _composed_choice_without_hydra(self, choices: tuple[str, ...]) -> bytes:
        config: DictConfig = pickle.loads(self._chosen(choices))  # noqa: S301
        with flag_override(config, ["struct", "readonly"], False):
            del config["hydra"]
        return pickle.dumps(config)

    def _parsed_override(self, override: str) -> Override:
        return self._parser.parse_override(override)

    @staticmethod
    def _is_unusual(override: Override) -> bool:
        # Overrides of Hydra itself act on more than the composed nodes; sweeps inside a job are Hydra's to refuse.
        return override.key_or_group.startswith("hydra") or override.is_sweep_override()

    def _is_choice(self, override: Override) -> bool:
        return self._is_group(override.key_or_group) and not isinstance(override.value(), dict)

    def _choices(self, parsed: Sequence[Override]) -> tuple[str, ...]:
        return tuple(str(override.input_line) for override in parsed if self._is_choice(override))

    def _values(self, parsed: Sequence[Override]) -> list[Override]:
        return [override for override in parsed if not self._is_choice(override)]

    def _describe_overrides(self, config: DictConfig, parsed: Sequence[Override]) -> None:
        """Writes into the ``hydra`` section what Hydra derives from all overrides together."""
        job = config.hydra.job
        task_overrides = [str(override.input_line) for override in parsed]
        config.hydra.overrides.task = task_overrides
        with open_dict(job):
            job.override_dirname = self.override_dirname(task_overrides, job.config.override_dirname)
        OmegaConf.copy_cache(from_config=self._master, to_config=config)


def checked_configs(composition: CachedComposition, jobs: Iterable[Sequence[str]]) -> list[Config]:
    """The checked configurations of jobs, given by their overrides.

    Equal groups are one object, so that the configurations of 100,000 jobs take little memory.

    Raises:
        InputError: a configuration is wrong, in one line that names the job.
    """
    known: dict[str, Any] = {}
    configs = []
    for overrides in jobs:
        try:
            config = checked_config(composition.compose_without_hydra(overrides))
        except InputError as error:
            raise InputError(f"{error} (in job: {' '.join(overrides)})") from None
        groups = {field.name: getattr(config, field.name) for field in fields(config)}
        configs.append(
            replace(config, **{name: known.setdefault(repr(group), group) for name, group in groups.items()})
        )
    return configs
