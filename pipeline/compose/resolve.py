"""Resolve interpolations: from a configuration that Hydra has composed to a checked ``Config``."""

import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.conf import JobConf
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from pipeline.config.parse import parse_config
from pipeline.config.schema import Config
from pipeline.errors import InputError
from pipeline.training.checks import check_against_data

MISSING = "???"
REFERS = object()
ENVIRONMENT = re.compile(r"\$\{oc\.env:[^${}]*\}")


def check_working_folder(job: DictConfig | JobConf) -> None:
    """Refuses to work in the folders of the jobs: relative paths would lead elsewhere, also that of the tracking store.

    Args:
        job: the section ``hydra.job``.

    Raises:
        InputError: a job would change into its folder.
    """
    if job.chdir:
        raise InputError(
            "hydra.job.chdir: expected false, because each job would track into a store in its own folder, got true"
        )


def checked_config(composed: DictConfig) -> Config:
    """The typed configuration behind a composed one, checked against its data too.

    Raises:
        InputError: anything is wrong with it, in one line.
    """
    config = typed_values(resolved_values(composed))
    check_against_data(config)
    return config


def typed_values(values: Mapping[str, Any]) -> Config:
    """The typed configuration, given the resolved values of the composed one without its ``hydra`` section."""
    return parse_config(_without_missing(values))


def resolved_values(composed: DictConfig) -> dict[str, Any]:
    """A composed configuration as plain values, interpolations resolved.

    Hydra's own section is left out: it holds values that only the launcher fills in.

    Raises:
        InputError: an interpolation leads nowhere.
    """
    try:
        return {str(key): _resolved(composed, str(key)) for key in composed if key != "hydra"}
    except OmegaConfBaseException as error:
        raise InputError(f"{error.full_key}: {str(error).splitlines()[0]}") from None


def resolved_alone(key: str, values: Any) -> Any:
    """One key of a configuration, interpolations resolved, or ``REFERS`` where they need other keys or lead nowhere."""
    if values is None or isinstance(values, (bool, int, float)):
        return values
    if "${" in ENVIRONMENT.sub("", repr(values)):
        return REFERS
    try:
        return _resolved(OmegaConf.create({key: values}), key)
    except OmegaConfBaseException:
        return REFERS


def has_sweep(experiment: str) -> bool:
    """Whether the file of an experiment holds a sweep."""
    loader = GlobalHydra.instance().config_loader()
    assert isinstance(loader, ConfigLoaderImpl)
    file = loader.repository.load_config(f"experiment/{experiment}")
    return file is not None and bool(OmegaConf.select(file.config, "hydra.sweeper"))


def share_times(master: DictConfig) -> None:
    """Resolves the values of a multirun once: a ``${now:...}`` in them is then the same time in all of its jobs.

    Hydra composes each job with the times that the multirun knows, and else takes the time of each job.
    """
    for key in master:
        with suppress(OmegaConfBaseException):  # The jobs may know what it refers to.
            if key != "hydra":
                _resolved(master, str(key))


def _resolved(composed: DictConfig, key: str) -> Any:
    if OmegaConf.is_missing(composed, key):
        return MISSING
    value = composed[key]
    return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value


def _without_missing(values: Mapping[Any, Any]) -> dict[str, Any]:
    return {
        key: _without_missing(value) if isinstance(value, dict) else value
        for key, value in values.items()
        if value != MISSING
    }
