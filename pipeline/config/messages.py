"""Error messages of the configuration: annotations in words, and pydantic's validation errors as one line."""

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from annotated_types import Ge, Gt, Le, Len, Lt
from pydantic import GetCoreSchemaHandler, TypeAdapter, ValidationError
from pydantic_core import CoreSchema, core_schema

from pipeline.config.known_keys import did_you_mean, unknown_key
from pipeline.errors import shown

WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text", NoneType: "null"}
PLURALS = {"a whole number": "whole numbers", "a number": "numbers", "text": "texts"}
NOTHING = ("none", "nil", "auto", "default", "full")
AFFIRMATIVE, NEGATIVE = ("yes", "y", "on", "1", "t"), ("no", "n", "off", "0", "f")


class OneOf:
    """Annotation of a text that must be a key of a table: ``Annotated[str, OneOf(table)]``."""

    def __init__(self, table: Iterable[str]) -> None:
        self.choices = list(table)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.literal_schema(self.choices)


def described(annotation: Any) -> str:
    """What an annotation allows, in words.

    >>> from pipeline.ranges import Count
    >>> described(Count | None)
    'a whole number >= 1 or null'
    """
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType):
        return " or ".join(described(argument) for argument in arguments)
    if origin is not tuple and (choices := _choices(annotation)):
        return "one of " + ", ".join(choices)
    if origin is Annotated:
        signs = {
            Ge: ">= {0.ge}", Gt: "> {0.gt}", Lt: "< {0.lt}", Le: "<= {0.le}",
            Len: "of {0.min_length} to {0.max_length} characters",
        }  # fmt: skip
        bounds = [signs[type(bound)].format(bound) for bound in arguments[1:] if type(bound) in signs]
        return " ".join([described(arguments[0]), " and ".join(bounds)]).strip()
    if origin is tuple:
        kind, _, bound = described(arguments[0]).partition(" >")
        kinds = kind.split(" or ")
        plural = " or ".join(map(PLURALS.__getitem__, kinds)) if PLURALS.keys() >= set(kinds) else kind
        return f"a list of {plural}{' >' + bound if bound else ''}"
    if is_dataclass(annotation) or origin is dict:
        return "a group of keys"
    return WORDS.get(annotation) or str(getattr(annotation, "__name__", annotation))


def _choices(annotation: Any) -> list[str]:
    """The values that an annotation lists, such as the keys of a table."""
    if isinstance(annotation, OneOf):
        return annotation.choices
    if get_origin(annotation) is Literal:
        return list(map(str, get_args(annotation)))
    return [choice for argument in get_args(annotation) for choice in _choices(argument)]


def basis(annotation: Any) -> Any:
    """What an annotation is without its ranges and without null: a type, ``tuple`` or ``Literal``.

    >>> from pipeline.ranges import Count
    >>> basis(Count | None), basis(tuple[Count, ...] | None)
    (<class 'int'>, <class 'tuple'>)
    """
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType, Annotated):
        return basis(next(argument for argument in arguments if argument is not NoneType))
    return origin or annotation


def one_line(error: ValidationError, schema: Any, values: Mapping[str, Any]) -> str:
    """The first validation error of a nested dataclass as one line: key, what is allowed, what came."""
    first = error.errors()[0]
    path = [part for part in first["loc"] if isinstance(part, str)]
    key = ".".join(path)
    if first["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        return unknown_key(key, [field.name for field in fields(annotation_at(schema, path[:-1]))])
    annotation = annotation_at(schema, path)
    expected = described(annotation)
    if first["type"] == "missing":
        return f"{key}: expected {expected}, got nothing"
    given: Any = values
    for part in path:
        given = given[part]
    return f"{key.removesuffix('.name')}: expected {expected}, got {shown(given)}{hint(key, annotation, given)}"


def hint(key: str, annotation: Any, given: Any) -> str:
    """What to type instead of a wrong value, in brackets to append to a message; nothing where that is not known."""
    kind = basis(annotation)
    if str(given).lower() in NOTHING and not _choices(annotation) and allows(annotation, None):
        return f" (type {key}=null)"
    if kind is str and isinstance(given, int) and not isinstance(given, bool):
        quoted = json.dumps(str(given))
        return f" (type {shlex.quote(f'{key}={quoted}')})"
    if kind is tuple and allows(annotation, [given]):
        return f" (type {shlex.quote(f'{key}=[{given}]')})"
    if kind is bool and str(given).lower() in (*AFFIRMATIVE, *NEGATIVE):
        return f" (type {key}={str(str(given).lower() in AFFIRMATIVE).lower()})"
    if kind is not tuple and isinstance(given, list) and len(given) > 1:
        return f" (several values are a sweep: -m {shlex.quote(f'{key}=' + ','.join(map(str, given)))})"
    choices = _choices(annotation)
    wrong = [each for each in (given if isinstance(given, list) else [given]) if each not in choices]
    near = did_you_mean(wrong[0], choices) if wrong and isinstance(wrong[0], str) else ""
    examples = [[each] for each in (*choices, 0, 1) if kind is tuple and allows(annotation, [each])]
    return near or (f" (for example {shlex.quote(f'{key}=[{examples[0][0]}]')})" if examples else "")


def allows(annotation: Any, value: Any) -> bool:
    """Whether a key with this annotation takes a value."""
    try:
        TypeAdapter(annotation).validate_json(json.dumps(value, default=str), strict=True)
    except ValidationError:
        return False
    return True


def annotation_at(schema: Any, path: Sequence[str]) -> Any:
    """The annotation of a key, given as its parts, of a nested dataclass."""
    for part in path:
        # Of an optional group, the group.
        group = next((option for option in get_args(schema) if is_dataclass(option)), schema)
        schema = get_type_hints(group, include_extras=True)[part]
    return schema
