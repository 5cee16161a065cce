"""Error messages for the command line and for Hydra's exceptions, in one line: the key, what is allowed, what came."""

import re
import traceback
from argparse import ArgumentError
from collections.abc import Mapping, Sequence
from typing import Any

from hydra import compose, initialize
from hydra._internal.utils import get_args_parser
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.types import Override
from hydra.errors import OverrideParseException
from omegaconf import OmegaConf

from pipeline.compose.repairs import decimal_point, explained, more_than_one, parsed, typed
from pipeline.config.known_keys import (
    NAMING,
    PRESETS,
    did_you_mean,
    known_keys,
    meant_by,
    nearest,
    options_by_group,
    unknown_key,
)
from pipeline.errors import ExecutorLostError, FailedJobsError, InputError, StoreLostError, shown

HYDRA_PACKAGES = ("hydra", "omegaconf", "antlr4")
OWN_PACKAGES = ("pipeline", "hydra_plugins")
FILE_READER = "hydra._internal.core_plugins.file_config_source"
LONGEST = 800
"""Characters of a complaint."""
UNKNOWN_KEY = re.compile(r"Could not (?:override|append value at|delete from config\.) '([^']+)'")
FULL_KEY = re.compile(r"full_key: (\S+)")
UNKNOWN_OPTION = re.compile(r"Could not find '(.+)/([^/']*)'")
RERUN = (
    "--experimental-rerun: not offered, for it loads a pickle, which may run anything; the configuration of a job is in"
    " its folder, in .hydra/overrides.yaml"
)


def overrides_among(arguments: Sequence[str]) -> list[str]:
    """The overrides of a command line.

    Raises:
        InputError: there is a flag among the arguments that does not exist, which no abbreviation does, or a wrong one.
    """
    parser = get_args_parser()
    parser.allow_abbrev = parser.exit_on_error = False
    try:
        known, unknown = parser.parse_known_args(arguments)
    except ArgumentError as error:
        raise InputError(str(error).removeprefix("argument ")) from None
    if known.experimental_rerun is not None:
        raise InputError(RERUN)
    if unknown:
        raise InputError(_unknown_flag(unknown[0], arguments, list(parser._option_string_actions)))
    return list(known.overrides)


def _unknown_flag(given: str, arguments: Sequence[str], flags: Sequence[str]) -> str:
    if not given.startswith("-"):
        return f"{shown(given)}: expected all keys side by side, before or after the flags"
    flag, has_value, value = given.partition("=")
    following = arguments[arguments.index(given) + 1 :][:1]
    if not has_value:
        value = following[0] if following and "=" not in following[0] and following[0][:1] != "-" else "VALUE"
    name = flag.lstrip("-").replace("-", "_")
    keys = [name] if name in known_keys() else nearest(name, known_keys())
    if near := nearest(flag, flags) or [known for known in flags if len(flag) > 3 and known.startswith(flag)]:
        return f"{flag}: no such flag (did you mean {' or '.join(near)}?)"
    typed = " or ".join(f"{key}={value}" for key in keys)
    return f"{flag}: no such flag; keys have no dashes: {typed or 'key=value'}"


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


def told(error: BaseException, overrides: Sequence[str]) -> str | None:
    """What a user is told of an error, or None where it is no error that a user can mend.

    Args:
        overrides: the command line's overrides.
    """
    if isinstance(error, InputError):
        return _with_hint(str(error), overrides)
    if isinstance(error, FailedJobsError | StoreLostError | ExecutorLostError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        # A full disk, a folder that is read-only: what the system says of it is all there is to say.
        return f"{error.filename or 'this system'}: {error.strerror}"
    return complaint(error, overrides) if comes_from_hydra(error) else None


def _with_hint(message: str, overrides: Sequence[str]) -> str:
    """The line for a wrong value, and what to type where a decimal comma has made a sweep of one number."""
    for override in reversed(overrides):  # Of two values for a key the last one counts.
        key, _, value = override.partition("=")
        group, _, name = key.lstrip("+").partition(".")
        if name == "name" and group in options_by_group() and message.startswith(f"{group}"):
            return f"{key}: options are chosen by their group; type {typed(group, value) or f'{group}=OPTION'}"
        if message.startswith(f"{key}:"):
            return message + decimal_point(key, value)
    return message


def _file_behind(error: BaseException) -> str | None:
    """The file that Hydra was reading; errors of decoding, for instance, do not tell."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    files = [frame.f_locals.get("full_path") for frame in frames if frame.f_globals.get("__name__") == FILE_READER]
    return files[-1] if files else None


def _complaint(error: BaseException, overrides: Sequence[str]) -> str:
    message = str(error)
    if isinstance(error, OverrideParseException):
        return explained(error.override, overrides)
    swept = [override for override in overrides if (known := parsed(override)) and known.is_sweep_override()]
    if "--multirun" in message and swept:
        return more_than_one(swept[0], overrides)
    for given in overrides:
        group, _, value = given.lstrip("+").partition("=")
        if not group:
            return f"{shown(given)}: expected key=value"
        if given.startswith("+") and group in options_by_group() and group in message:
            return f"{given}: groups take no +; type {given.lstrip('+')}"
        if message.startswith("Config group override") and _is_group(group) and not _is_text(given):
            choices = ", ".join(options_by_group().get(group, ()))
            return f"{group}: expected {f'one of {choices}' if choices else 'the name of an option'}, got {value}"
    if match := UNKNOWN_KEY.search(message):
        full = FULL_KEY.search(str(error.__cause__))
        return _unknown_key((full or match)[1], overrides)
    if match := UNKNOWN_OPTION.search(message):
        group, option = match.groups()
        options = re.findall(r"^\t(\w+)$", message, re.MULTILINE)
        listed = ", ".join(options) or "(there are none)"
        return f"{group}: expected one of {listed}, got {option!r}{did_you_mean(option, options)}"
    if message.startswith("Error merging override") and error.__cause__ is not None:
        message += f": {str(error.__cause__).partition(chr(10))[0]}"
    applied = _override_behind(error)
    named = f"{shown(applied)}: {message}" if applied and applied.partition("=")[0] not in message else message
    return named.partition("Config search path")[0]


def _override_behind(error: BaseException) -> str | None:
    """The override that Hydra was applying; errors of OmegaConf do not always tell."""
    applied = [frame.f_locals.get("override") for frame, _ in traceback.walk_tb(error.__traceback__)]
    lines = [each.input_line for each in applied if isinstance(each, Override)]
    return lines[-1] if lines else None


def _is_group(key: str) -> bool:
    return key in options_by_group() or "/" in key


def _is_text(given: str) -> bool:
    known = parsed(given)
    return known is None or known.is_sweep_override() or isinstance(known.value(), str)


def _unknown_key(key: str, overrides: Sequence[str]) -> str:
    """Names the keys that exist beside an unknown one, for the options that the other overrides choose."""
    GlobalHydra.instance().clear()
    with initialize(config_path="../../conf", version_base="1.3"):
        try:
            config = compose("config", _first_of_each(overrides, key), return_hydra_config=True)
        except Exception:  # These are wrong too, but Hydra has complained of the key first.
            config = compose("config", return_hydra_config=True)
    choices = config.hydra.runtime.choices
    composed: Any = OmegaConf.to_container(config)
    group, _, name = key.rpartition(".")
    for part in group.split(".") if group else []:
        composed = composed.get(part)
        if not isinstance(composed, dict):
            return unknown_key(key, [])
    if name in composed:
        return f"{key}: expected no ~ before it, for it is null already"
    owner = f"{group}={choices[group]}" if group in choices else ""
    allowed = [name for name in composed if name not in (*NAMING, "hydra")] + ([] if group else [PRESETS])
    candidates = meant_by(key, [f"{group}.{name}".strip(".") for name in allowed])
    return unknown_key(key, allowed, owner) + _to_type(candidates, key, overrides, choices)


def _to_type(candidates: Sequence[str], key: str, overrides: Sequence[str], choices: Mapping[str, str]) -> str:
    """What to type instead of an override with an unknown key, if that is but one thing, and is accepted then."""
    given = [each.input_line for each in map(parsed, overrides) if each and each.key_or_group == key]
    if not given or len(candidates) != 1:
        return ""
    (meant,) = candidates
    group, options = meant.partition(".")[0], known_keys().get(meant, ())
    if choices.get(group) in options:
        options = ()
    argument = typed(meant, str(given[0]).partition("=")[2])
    if not argument or len(options) > 1:
        return ""
    return f"; type {' '.join([*(f'{group}={option}' for option in options), argument])}"


def _first_of_each(overrides: Sequence[str], key: str) -> list[str]:
    """The overrides of a sweep's first job, but for those of one key."""
    read = [override for override in map(parsed, overrides) if override is not None]
    return [
        f"{each.key_or_group}={next(iter(each.sweep_string_iterator()))}"
        if each.is_discrete_sweep()
        else f"{each.input_line}"
        for each in read
        if each.key_or_group != key
    ]
