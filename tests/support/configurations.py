"""Checked configurations for tests, read from the real ``conf/``, so that no test repeats a default."""

from collections.abc import Mapping
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from pipeline.config.parse import parse_config
from pipeline.config.schema import Config

CONF = Path(__file__).parents[2] / "conf"
EXPERIMENT_NAME = "tests"


def configuration(overrides: Mapping[str, Any] | None = None) -> Config:
    """The default configuration with overrides written as on the command line.

    A group's name chooses its option (``"model": "logistic"``); a dotted key sets one value, after all choices.
    Not for ``experiment``, whose overlays only Hydra can compose; nor is anything checked against the data.

    >>> config = configuration({"model": "logistic", "training.steps": 50})
    >>> config.model.name, config.training.steps, config.data.name
    ('logistic', 50, 'digits')
    """
    return parse_config(composed(overrides))


def composed(overrides: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The nested plain values behind ``configuration``, before any check."""
    choices = _default_choices()
    values = {key: value for key, value in _yaml("config").items() if key not in ("defaults", "hydra")}
    values["experiment_name"] = EXPERIMENT_NAME
    changes = dict(overrides or {})
    choices |= {group: changes.pop(group) for group in choices if group in changes}
    for group, option in choices.items():
        # What config.yaml itself holds of a group is common to all its options.
        values[group] = _option(group, option) | values.get(group, {})
    for key, value in changes.items():
        *path, last = key.split(".")
        section = values
        for part in path:
            section = section[part]
        section[last] = value
    return values


def _default_choices() -> dict[str, str]:
    """The options that the defaults list chooses: group -> option."""
    entries = [entry for entry in _yaml("config")["defaults"] if isinstance(entry, dict)]
    return {
        group: option
        for entry in entries
        for group, option in entry.items()
        if option is not None and not group.startswith("override ")
    }


def _option(group: str, option: str) -> dict[str, Any]:
    """An option's keys, with those of the options of its group that it begins with."""
    own = _yaml(f"{group}/{option}")
    bases = [_option(group, base) for base in own.pop("defaults", []) if base != "_self_"]
    return {key: value for values in (*bases, own) for key, value in values.items()}


def _yaml(name: str) -> dict[str, Any]:
    return deepcopy(_read(CONF / f"{name}.yaml"))


@cache
def _read(path: Path) -> dict[str, Any]:
    content = yaml.safe_load(path.read_text())
    assert isinstance(content, dict)
    return content
