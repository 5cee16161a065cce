"""Annotations and validation errors in the words of a user."""

from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from annotated_types import Ge, Gt, Len, Lt
from pydantic import GetCoreSchemaHandler, ValidationError
from pydantic_core import CoreSchema, core_schema

from pipeline.errors import shown

WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text", NoneType: "null"}
PLURALS = {"a whole number": "whole numbers", "a number": "numbers"}


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
    if origin is Annotated:
        for choices in arguments[1:]:
            if isinstance(choices, OneOf):
                return "one of " + ", ".join(choices.choices)
        signs = {Ge: ">= {0.ge}", Gt: "> {0.gt}", Lt: "< {0.lt}", Len: "of {0.min_length} to {0.max_length} characters"}
        bounds = [signs[type(bound)].format(bound) for bound in arguments[1:] if type(bound) in signs]
        return " ".join([described(arguments[0]), " and ".join(bounds)]).strip()
    if origin is Literal:
        return "one of " + ", ".join(str(choice) for choice in arguments)
    if origin is tuple:
        kind, _, bound = described(arguments[0]).partition(" >")
        return f"a list of {PLURALS.get(kind, kind)}{' >' + bound if bound else ''}"
    if is_dataclass(annotation) or origin is dict:
        return "a group of keys"
    return WORDS[annotation]


def one_line(error: ValidationError, schema: Any, values: Mapping[str, Any]) -> str:
    """The first validation error of a nested dataclass as one line: key, what is allowed, what came."""
    first = error.errors()[0]
    path = [part for part in first["loc"] if isinstance(part, str)]
    key = ".".join(path)
    if first["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        return unknown_key(key, [field.name for field in fields(_schema_at(schema, path[:-1]))])
    expected = described(_schema_at(schema, path))
    if first["type"] == "missing":
        return f"{key}: expected {expected}, got nothing"
    given: Any = values
    for part in path:
        given = given[part]
    return f"{key.removesuffix('.name')}: expected {expected}, got {shown(given)}"


def unknown_key(key: str, allowed: list[str]) -> str:
    """One line for a key that does not exist, with the nearest one that does."""
    *group, name = key.split(".")
    near = get_close_matches(name, allowed, n=1)
    hint = f" (did you mean {'.'.join([*group, near[0]])}?)" if near else ""
    return f"{key}: no such key{hint}; {'.'.join(group) or 'the top level'} has {', '.join(allowed)}"


def _schema_at(schema: Any, path: list[str]) -> Any:
    for part in path:
        # Of an optional group, the group.
        group = next((option for option in get_args(schema) if is_dataclass(option)), schema)
        schema = get_type_hints(group, include_extras=True)[part]
    return schema
