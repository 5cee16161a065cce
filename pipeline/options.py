"""Keys that a function or class brings along: its keyword-only parameters, with the annotated ranges."""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib import import_module
from inspect import Parameter, signature
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from pipeline.described import described
from pipeline.errors import InputError, shown
from pipeline.known_keys import unknown_key

STRICT = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


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
        return dict(_options_model(function).model_validate_json(json.dumps(values)))
    except ValidationError as error:
        key = str(error.errors()[0]["loc"][0])
        given = shown(values[key]) if key in values else "nothing"
        raise InputError(f"{group}.{key}: expected {described(specification[key])}, got {given}") from None


def callable_named(key: str, name: object, methods: Sequence[str] = ()) -> Callable[..., Any]:
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
    except Exception as error:  # The module is the user's own, and may raise anything.
        raise InputError(f"{expected}, got {shown(name)} ({error or type(error).__name__})") from error
    if not callable(found):
        raise InputError(f"{expected}, got {shown(name)}, which is none")
    if isinstance(found, type) and not all(callable(getattr(found, method, None)) for method in methods):
        missing = [method for method in methods if not callable(getattr(found, method, None))]
        raise InputError(f"{expected}, got {shown(name)} without {', '.join(missing)}")
    try:
        option_types(found)
    except (ValueError, TypeError, NameError) as error:
        raise InputError(f"{expected}, got {shown(name)} ({error})") from None
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
