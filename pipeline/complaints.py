"""Hydra's complaints in one line: the key, what is allowed, what came."""

import re
import traceback
from collections.abc import Sequence
from typing import Any

from hydra import compose, initialize
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import OverrideParseException
from omegaconf import OmegaConf

from pipeline.errors import shown
from pipeline.known_keys import unknown_key

HYDRA_PACKAGES = ("hydra", "omegaconf", "antlr4")
OWN_PACKAGES = ("pipeline", "hydra_plugins")
FILE_READER = "hydra._internal.core_plugins.file_config_source"
LONGEST = 800
"""Characters of a complaint."""
UNKNOWN_KEY = re.compile(r"Could not (?:override|append value at|delete from config\.) '([^']+)'")
UNKNOWN_OPTION = re.compile(r"Could not find '(.+)/([^/']*)'")


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
