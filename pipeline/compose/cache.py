"""Cache of compositions (LRU): one per distinct choice of groups, node by node equal to Hydra's own composition.

Hydra composes a job from its YAML files in about 70 ms, most of it for the defaults tree, which depends on the chosen
options alone. Here each choice is composed by Hydra once. A job is a copy of it, on which Hydra's own code applies the
value overrides: about 4 ms. Most jobs are wanted as plain values only, and differ in few sections (the keys at the top,
such as ``seed`` or ``optimizer``): then only a section that no job had before is composed.
``tests/compose/test_cache.py`` compares all of it with Hydra over all forms of overrides.
"""

import pickle
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl, get_overrides_dirname
from hydra.core.config_loader import ConfigLoader
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import ConfigCompositionException, HydraException
from omegaconf import DictConfig, OmegaConf, flag_override, open_dict

from pipeline.compose.config_loader import describe_overrides
from pipeline.compose.dump import plain, yaml_text
from pipeline.compose.resolve import REFERS, resolved_alone, resolved_values, share_times

KEPT_CHOICES = 256
KEPT_VALUES = 2**15


@dataclass(frozen=True)
class Section:
    """One key at the top of a job's configuration.

    Attributes:
        key: its name.
        values: what it holds, interpolations unresolved. Many jobs share it: not to be changed.
    """

    key: str
    values: Any

    @cached_property
    def resolved(self) -> Any:
        """What it holds with interpolations resolved, or ``REFERS`` where other sections decide."""
        return resolved_alone(self.key, self.values)

    @cached_property
    def text(self) -> str:
        """The section as Hydra writes it into a file."""
        return yaml_text({self.key: self.values})


@lru_cache(maxsize=KEPT_VALUES)
def parsed_override(config_loader: ConfigLoader, override: str) -> Override:
    """One override as Hydra parses it, which is slow; sweeper and launcher both ask for each."""
    return _parser(config_loader).parse_override(override)


@lru_cache(maxsize=1)
def _parser(config_loader: ConfigLoader) -> OverridesParser:
    return OverridesParser.create(config_loader=config_loader)


class CachedComposition:
    """The configurations of one sweep's jobs.

    Args:
        config_loader: Hydra's.
        master: the composed configuration of the multirun, from which all jobs derive.
    """

    def __init__(self, config_loader: ConfigLoader, master: DictConfig) -> None:
        assert isinstance(config_loader, ConfigLoaderImpl)
        share_times(master)
        self._config_loader = config_loader
        self._master = master
        # Bounded, because a sweep may visit any number of choices and values.
        self._chosen = lru_cache(maxsize=KEPT_CHOICES)(self._composed_choice)
        self._chosen_sections = lru_cache(maxsize=KEPT_CHOICES)(self._sections_of_choice)
        self._chosen_section = lru_cache(maxsize=KEPT_CHOICES)(self._section_of_choice)
        self._changed = lru_cache(maxsize=KEPT_VALUES)(self._changed_section)
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
        return get_overrides_dirname([self._parsed(override) for override in overrides], **names)

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
            describe_overrides(config, parsed)
            OmegaConf.copy_cache(from_config=self._master, to_config=config)
        except Exception:
            return self._composed_by_hydra(overrides)
        return config

    def sections(self, overrides: Sequence[str]) -> list[Section] | None:
        """The configuration of one job without ``hydra``, in order, or None where only ``compose`` knows it."""
        try:
            parsed = [self._parsed(override) for override in overrides]
            # What is deleted may come back, but at the end.
            if any(self._is_unusual(override) or override.is_delete() for override in parsed):
                return None
            choices = self._choices(parsed)
            changes: dict[str, list[str]] = {}
            for override in self._values(parsed):
                changes.setdefault(override.key_or_group.partition(".")[0], []).append(str(override.input_line))
            changed = {key: self._changed(choices, key, tuple(lines)) for key, lines in changes.items()}
            return list((self._chosen_sections(choices) | changed).values())
        except Exception:
            return None

    def prepare(self, number: int, overrides: Sequence[str]) -> DictConfig:
        """The configuration of one job as ``hydra.core.utils.run_job`` prepares it: number and output folder set.

        It becomes Hydra's current configuration, which the ``hydra`` resolver reads.
        """
        config = self.compose(overrides)
        with open_dict(config):
            config.hydra.job.id = number
            config.hydra.job.num = number
            HydraConfig.instance().cfg = config  # type: ignore[assignment]
            folder = Path(str(config.hydra.sweep.dir)) / str(config.hydra.sweep.subdir)
            config.hydra.runtime.output_dir = str(folder.absolute())
        return config

    def values(self, number: int, overrides: Sequence[str]) -> dict[str, Any]:
        """The configuration of one job without ``hydra`` as plain values, interpolations resolved; not to be changed.

        Raises:
            The errors of Hydra; InputError: an interpolation leads nowhere.
        """
        sections = self._resolved_sections(overrides)
        if sections is not None:
            return {section.key: section.resolved for section in sections}
        with keep_current_hydra():
            config = self.prepare(number, overrides)
            # As in a job, which is given its configuration without the section, and reads that with ${hydra:...} only.
            task = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
            OmegaConf.copy_cache(from_config=config, to_config=task)
            return resolved_values(task)

    def is_alike(self, overrides: Sequence[str]) -> bool:
        """Whether the values of a job are the same whatever its number and its folder."""
        return self._resolved_sections(overrides) is not None

    def has_key(self, choices: Sequence[str], override: str) -> bool:
        """Whether the configuration of these choices has the key of an override."""
        config: DictConfig = pickle.loads(self._chosen(tuple(choices)))  # noqa: S301
        try:
            ConfigLoaderImpl._apply_overrides_to_config([self._parsed(override)], config)
        except ConfigCompositionException:
            return False
        return True

    def _resolved_sections(self, overrides: Sequence[str]) -> list[Section] | None:
        sections = self.sections(overrides)
        return None if sections is None or any(section.resolved is REFERS for section in sections) else sections

    def _composed_by_hydra(self, overrides: Sequence[str]) -> DictConfig:
        return self._config_loader.load_sweep_config(self._master, list(overrides))

    def _composed_choice(self, choices: tuple[str, ...]) -> bytes:
        # A pickle is copied by loading it, five times as fast as a deep copy.
        return pickle.dumps(self._composed_by_hydra(choices))

    def _sections_of_choice(self, choices: tuple[str, ...]) -> dict[str, Section]:
        config: DictConfig = pickle.loads(self._chosen(choices))  # noqa: S301
        return {str(key): Section(str(key), plain(config._get_node(key))) for key in config if key != "hydra"}

    def _section_of_choice(self, choices: tuple[str, ...], key: str) -> bytes:
        config: DictConfig = pickle.loads(self._chosen(choices))  # noqa: S301
        with flag_override(config, ["struct", "readonly"], False):
            for other in [other for other in config if other != key]:
                del config[other]
        return pickle.dumps(config)

    def _changed_section(self, choices: tuple[str, ...], key: str, lines: tuple[str, ...]) -> Section:
        config: DictConfig = pickle.loads(self._chosen_section(choices, key))  # noqa: S301
        ConfigLoaderImpl._apply_overrides_to_config([self._parsed(line) for line in lines], config)
        return Section(key, plain(config._get_node(key)))

    def _parsed(self, override: str) -> Override:
        return parsed_override(self._config_loader, override)

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


@contextmanager
def keep_current_hydra() -> Iterator[None]:
    """What is Hydra's current configuration before is it again after."""
    before = HydraConfig.instance().cfg
    try:
        yield
    finally:
        HydraConfig.instance().cfg = before
