"""Options that a function or class defines by its signature: keyword-only parameters with annotated ranges."""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib import import_module
from inspect import Parameter, signature
from typing import Any

from pydantic import BaseModel, ConfigDict, PydanticUserError, ValidationError, create_model

from pipeline.config.known_keys import unknown_key
from pipeline.config.messages import described, hint
from pipeline.errors import InputError, shown

STRICT = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)
EXECUTOR_METHODS = ("submit", "wait", "done", "close")


def checked_options(
    group: str, owner: str, function: Callable[..., Any], values: Mapping[str, Any], others: Sequence[str] = ()
) -> dict[str, Any]:
    """The keyword arguments of a function, checked against its signature.

    Args:
        group: in which the keys stand.
        owner: what has these keys, as messages call it.
        others: keys of the group that are not the function's, for messages.

    Raises:
        InputError: a key is missing, unknown or of the wrong type.
    """
    specification = option_types(function)
    for key in values:
        if key not in specification:
            raise InputError(unknown_key(f"{group}.{key}", [*specification, *others], owner))
    try:
        return dict(_options_model(function).model_validate_json(as_json(group, values)))
    except ValidationError as error:
        key = str(error.errors()[0]["loc"][0])
        expected = f"{group}.{key}: expected {described(specification[key])}"
        if key not in values:
            raise InputError(f"{expected}, got nothing") from None
        remedy = hint(f"{group}.{key}", specification[key], values[key])
        raise InputError(f"{expected}, got {shown(values[key])}{remedy}") from None


def as_json(key: str, values: Mapping[str, Any]) -> bytes:
    """Values as JSON, of which strict validation takes a list for a tuple and a mapping for a dataclass.

    Raises:
        InputError: a text, such as one from the environment, holds bytes that are not UTF-8.
    """
    text = json.dumps(values, ensure_ascii=False)
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        before = text[max(0, error.start - 40) : error.end]
        raise InputError(f"{key}: expected text in UTF-8, got {before!r}") from None


def checked_target(group: str, values: Mapping[str, Any], methods: Sequence[str]) -> dict[str, Any]:
    """A class that a group names by ``_target_``, and its keyword arguments, checked against its signature.

    Raises:
        InputError: it is none that can be created with ``room`` and the keys, or has not the methods.
    """
    target = values.get("_target_")
    function = import_callable(f"{group}._target_", target, methods)
    options = checked_options(group, str(target), function, {key: values[key] for key in values if key != "_target_"})
    try:
        signature(function).bind(1, **options)
    except TypeError as error:
        raise InputError(f"{group}._target_: expected what takes (room, *, keys), got {target} ({error})") from None
    return {"target": target, "options": options}


def import_callable(key: str, name: object, methods: Sequence[str] = ()) -> Callable[..., Any]:
    """The class of a dotted name, or the function that makes an object of one.

    Args:
        key: that holds the name.
        methods: what such a class must have.

    Raises:
        InputError: there is none, its module cannot be imported, or it cannot be what is wanted.
    """
    module, _, attribute = str(name).rpartition(".")
    expected = f"{key}: expected the dotted name of a class{' with ' if methods else ''}{', '.join(methods)}"
    try:
        found = getattr(import_module(module or attribute), attribute)
    except InputError:  # It says already what is missing.
        raise
    except Exception as error:  # The module is the user's own, and may raise anything.
        raise InputError(f"{expected}, got {shown(name)} ({error or type(error).__name__})") from error
    if not callable(found):
        raise InputError(f"{expected}, got {shown(name)}, which is none")
    missing = [method for method in methods if isinstance(found, type) and not callable(getattr(found, method, None))]
    if missing:
        raise InputError(f"{expected}, got {shown(name)} without {', '.join(missing)}")
    try:
        _options_model(found)
    except (ValueError, TypeError, NameError, PydanticUserError) as error:
        cause = str(error).splitlines()[0]
        raise InputError(f"{expected}, got {shown(name)}, whose keys cannot be checked ({cause})") from None
    return found


@cache
def option_types(function: Callable[..., Any]) -> dict[str, Any]:
    """The keyword-only parameters of a function and their annotations: the keys of its YAML file."""
    return {
        name: parameter.annotation
        for name, parameter in signature(function, eval_str=True).parameters.items()
        if parameter.kind is Parameter.KEYWORD_ONLY
    }


@cache
def _options_model(function: Callable[..., Any]) -> type[BaseModel]:
    keys: dict[str, Any] = {key: (kind, ...) for key, kind in option_types(function).items()}
    return create_model(function.__name__, __config__=STRICT, **keys)
