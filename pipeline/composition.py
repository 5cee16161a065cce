"""Between Hydra's composed configurations and checked ones, and Hydra's complaints in one line."""

import re
import traceback
from collections.abc import Mapping, Sequence
from typing import Any

from hydra import compose, initialize
from hydra._internal.core_plugins.basic_sweeper import BasicSweeperConf
from hydra.conf import JobConf
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.plugins import Plugins
from hydra.errors import OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from pipeline.config import Config, parse_config
from pipeline.described import unknown_key
from pipeline.errors import InputError, shown
from pipeline.interrupts import raise_interruption_behind
from pipeline.stacking import check_against_data

MISSING = "???"
REFERS = object()
ENVIRONMENT = re.compile(r"\$\{oc\.env:[^${}]*\}")
HYDRA_PACKAGES = ("hydra", "omegaconf", "antlr4")
FILE_READER = "hydra._internal.core_plugins.file_config_source"
LONGEST = 800
"""Characters of a complaint."""
OWN_PACKAGES = ("pipeline", "hydra_plugins")
UNKNOWN_KEY = re.compile(r"Could not (?:override|append value at|delete from config\.) '([^']+)'")
UNKNOWN_OPTION = re.compile(r"Could not find '(.+)/([^/']*)'")


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


def bound_basic_sweeper() -> None:
    """Lets ``hydra/sweeper=basic`` name, in this process, a sweeper that refuses endless and giant grids."""
    Plugins.instance()  # Hydra's own is registered then, and comes no more.
    node = BasicSweeperConf(_target_="hydra_plugins.symmetry_sweeper.sweeper.BoundedSweeper")
    ConfigStore.instance().store(group="hydra/sweeper", name="basic", node=node, provider="symmetry_lab")


def checked_config(composed: DictConfig) -> Config:
    """The typed configuration behind a composed one, checked against its data too.

    Raises:
        InputError: anything is wrong with it, in one line.
    """
    return checked_values(resolved_values(composed))


def checked_values(values: Mapping[str, Any]) -> Config:
    """The same, given the resolved values of the configuration without its ``hydra`` section."""
    config = parse_config(_without_missing(values))
    check_against_data(config)
    return config


def resolved_values(composed: DictConfig) -> dict[str, Any]:
    """A composed configuration as plain values, interpolations resolved.

    Hydra's own section is left out: it holds values that only the launcher fills in.

    Raises:
        InputError: an interpolation leads nowhere.
    """
    try:
        return {str(key): _resolved(composed, str(key)) for key in composed if key != "hydra"}
    except OmegaConfBaseException as error:
        raise_interruption_behind(error)
        raise InputError(f"{error.full_key}: {str(error).splitlines()[0]}") from None


def resolved_alone(key: str, values: Any) -> Any:
    """One key of a configuration, interpolations resolved, or ``REFERS`` where they need other keys or lead nowhere."""
    if "${" in ENVIRONMENT.sub("", repr(values)):
        return REFERS
    try:
        return _resolved(OmegaConf.create({key: values}), key)
    except OmegaConfBaseException as error:
        raise_interruption_behind(error)
        return REFERS


def share_times(master: DictConfig) -> None:
    """Resolves the values of a multirun once: a ``${now:...}`` in them is then the same time in all of its jobs.

    Hydra composes each job with the times that the multirun knows, and else takes the time of each job.
    """
    for key in master:
        try:
            if key != "hydra":
                _resolved(master, str(key))
        except OmegaConfBaseException as error:  # The jobs may know what it refers to.
            raise_interruption_behind(error)


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


def comes_from_hydra(error: BaseException) -> bool:
    """Whether Hydra or what it called raised the error: then it is a complaint about the command line or ``conf/``."""
    modules = [str(frame.f_globals.get("__name__", "")) for frame, _ in traceback.walk_tb(error.__traceback__)]
    packages = [module.partition(".")[0] for module in modules]
    known = [package for package in packages if package in (*HYDRA_PACKAGES, *OWN_PACKAGES)]
    return bool(known) and known[-1] in HYDRA_PACKAGES


def complaint(error: BaseException, overrides: Sequence[str]) -> str:
    """An error from Hydra as one line: the key, what is allowed, what came.

    Args:
        overrides: the command line's overrides.
    """
    line = " ".join(_complaint(error, overrides).split())
    file = _file_behind(error)
    named = line if file is None or file in line else f"{file}: {line}"
    return named if len(named) <= LONGEST else f"{named[:LONGEST]}..."


def _file_behind(error: BaseException) -> str | None:
    """The file that Hydra was reading; errors of decoding, for instance, do not tell."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    files = [frame.f_locals.get("full_path") for frame in frames if frame.f_globals.get("__name__") == FILE_READER]
    return files[-1] if files else None


def _complaint(error: BaseException, overrides: Sequence[str]) -> str:
    message = str(error)
    if isinstance(error, OverrideParseException):
        given, reason = shown(error.override), message.rpartition("\nSee ")[0]
        if reason.startswith("LexerNoViableAlt"):
            return f"{given}: expected key=value, with special characters in quotes"
        return f"{given}: " + reason.removeprefix(f"Error parsing override '{error.override}'")
    if match := UNKNOWN_KEY.search(message):
        return _unknown_key(match[1], overrides)
    if match := UNKNOWN_OPTION.search(message):
        group, option = match.groups()
        options = re.findall(r"^\t(\w+)$", message, re.MULTILINE)
        return f"{group}: expected one of {', '.join(options) or '(there are none)'}, got {option!r}"
    return message.partition("Config search path")[0]


def _unknown_key(key: str, overrides: Sequence[str]) -> str:
    """Names the keys that exist beside an unknown one, for the options that the other overrides choose."""
    GlobalHydra.instance().clear()
    others = [override for override in overrides if key not in override and "=" in override and "," not in override]
    with initialize(config_path="../conf", version_base="1.3"):
        try:
            composed: Any = OmegaConf.to_container(compose("config", others))
        except Exception:  # These are wrong too, but Hydra has complained of the key first.
            composed = OmegaConf.to_container(compose("config"))
    group, _, _ = key.rpartition(".")
    for part in group.split(".") if group else []:
        composed = composed.get(part)
        if not isinstance(composed, dict):
            return f"{key}: no such key"
    return unknown_key(key, [name for name in composed if name not in ("name", "hydra", "_target_")])
