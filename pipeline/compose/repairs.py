"""Suggest corrections of arguments that Hydra cannot parse, as something that can be pasted into a shell."""

import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, Quote, QuotedString
from hydra.errors import HydraException

from pipeline.config.known_keys import did_you_mean, known_keys, options_by_group
from pipeline.config.messages import allows, basis
from pipeline.config.parse import annotation_of, kind_of
from pipeline.errors import shown

COMMAND = "python -m pipeline.run"
ALONE = "hydra.sweeper.params=null"
"""Sweeps over what the command line says, and over nothing else."""
PARTS = re.compile(r"([+~]*)([\w./@-]+)(\s*[:=][:=\s]*|\s+)(.*)", re.DOTALL)
"""Prefix, key, what stands where the one ``=`` belongs, and value."""
DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+")
UNKNOWN_FUNCTION = re.compile(r"Unknown function '(\w+)'\s+Available: (\S+)")
OPENING = dict(zip("[({", "])}", strict=True))
SQUARE = str.maketrans("(){};", "[][],")
BENT = "\u2018\u2019\u201c\u201d"
TYPED = str.maketrans(f"{BENT}\u2010\u2011\u2013\u2014\u2212", "''\"\"-----")
"""Quotes and dashes as documents print them, and as they are typed."""


@cache
def _parser() -> OverridesParser:
    return OverridesParser.create()


def parsed(argument: str) -> Override | None:
    """An override, or None where Hydra cannot read it."""
    try:
        return _parser().parse_override(argument)
    except (HydraException, ValueError, RecursionError):
        return None


def typed(key: str, value: str) -> str:
    """The argument that gives a key a value, perhaps as a list; nothing where the key takes it in no way.

    >>> typed("model.hidden_units", "64"), typed("data", "moons"), typed("training.l2", "0,0.1"), typed("seed", "x")
    ("'model.hidden_units=[64]'", 'data=moons', 'training.l2=0,0.1', '')
    """
    spelled = (f"{key}={value}", f"{key}=[{value}]")
    return next((shlex.quote(argument) for argument in spelled if _is_taken(key, argument)), "")


def _is_taken(key: str, argument: str) -> bool:
    override = parsed(argument)
    if override is None or override.is_interval_sweep():
        return False
    values = [override.value()]
    if override.is_sweep_override():
        values = [part.value() for text in override.sweep_string_iterator() if (part := parsed(f"{key}={text}"))]
    if key in options_by_group():
        return all(str(value) in options_by_group()[key] for value in values)
    annotation = annotation_of(key)
    if annotation is not None and basis(annotation) in (int, float):  # Numbers may come as texts.
        values = [_number_in(key, value) for value in values]
    return key in known_keys() if annotation is None else all(allows(annotation, value) for value in values)


def _number_in(key: str, value: Any) -> Any:
    override = parsed(f"{key}={value}") if isinstance(value, str | QuotedString) else None
    return override.value() if override else value


def _is_of_its_kind(key: str, argument: str) -> bool:
    """Whether an argument can be read, holds something, and a number where the key takes numbers."""
    override = parsed(argument)
    if override is None or argument.endswith("="):
        return False
    is_number = override.is_sweep_override() or isinstance(_number_in(key, override.value()), int | float)
    return is_number or kind_of(key) not in (int, float)


def explained(given: str, arguments: Sequence[str]) -> str:
    """One line for an argument that Hydra cannot read: what is wrong with it, and what to type.

    Args:
        arguments: all overrides of the command line, as the shell has cut them.
    """
    for parts, joined in _joined(given, arguments):
        return f"{shlex.join(parts)}: the shell cuts arguments at blanks; type {shlex.quote(joined)}"
    plain = given.translate(TYPED)
    if plain != given and plain.startswith("-"):
        return f"{shown(given)}: expected a plain dash; type {'-' * min(2, len(plain) - 1)}{plain.lstrip('-')}"
    several = re.split(r"[\s,;]+", given)
    if len(several) > 1 and all("=" in each and parsed(each) is not None for each in several):
        return f"{shown(given)}: expected one key in each argument; type {shlex.join(several)}"
    for reason, repaired in _repaired(given):
        key = repaired.partition("=")[0].lstrip("+~")
        if _is_of_its_kind(key, repaired):
            return f"{shown(given)}: {reason}; type {shlex.quote(repaired)}"
    if match := UNKNOWN_FUNCTION.search(str(_failure(given))):
        name, functions = match.groups()
        return f"{shown(given)}: expected one of {functions}, got {name}{did_you_mean(name, functions.split(','))}"
    if "=" in given:
        return f"{shown(given)}: cannot be read from {shown(_unread(given))} on; special characters need quotes"
    if choices := options_by_group().get(given):
        return f"{shown(given)}: expected {given}=OPTION, one of {', '.join(choices)}"
    if given in known_keys():
        return f"{shown(given)}: expected {given}=VALUE, got the key alone"
    groups = [f"{group}={given}" for group, options in options_by_group().items() if given in options]
    hint = f" (did you mean {' or '.join(groups)}?)" if groups else did_you_mean(given, known_keys())
    return f"{shown(given)}: expected key=value{hint}"


def more_than_one(argument: str, arguments: Sequence[str]) -> str:
    """One line for several values where one run takes one: how to sweep over them, and what else they may mean."""
    key, _, value = argument.partition("=")
    # Else the default sweep would span all that is not said.
    is_whole = any(each.startswith(("experiment=", "hydra.sweeper.")) for each in arguments)
    swept, as_one = argument, _as_one(key, value)
    if kind_of(key.lstrip("+")) is tuple and not _is_taken(key.lstrip("+"), argument):
        override = parsed(argument)
        values = list(override.sweep_string_iterator()) if override and not override.is_interval_sweep() else [value]
        one = ",".join(values)
        swept = f"{key}={','.join(f'[{each}]' for each in values)}"
        as_one = f" (as a list: {shlex.quote(f'{key}=[{one}]')})"
    typed_again = [swept if each == argument else each for each in arguments]
    command = shlex.join([*COMMAND.split(), "-m", *typed_again, *([] if is_whole else [ALONE])])
    return f"{argument}: several values are a sweep: {command}{as_one}"


def _as_one(key: str, value: str) -> str:
    kind = kind_of(key.lstrip("+"))
    if kind is str:
        return f" (as one text: {shlex.quote(f'{key}={_quoted(value)[0]}')})"
    return decimal_point(key, value)


def decimal_point(key: str, value: str) -> str:
    """A hint for numbers with a decimal comma, or nothing."""
    is_number = kind_of(key.lstrip("+")) is float and DECIMAL_COMMA.fullmatch(value)
    return f" (with a decimal point: {key}={value.replace(',', '.')})" if is_number else ""


def _joined(given: str, arguments: Sequence[str]) -> Iterator[tuple[Sequence[str], str]]:
    """Arguments that make one override together, which blanks have cut: beside a comma, bracket or ``=``, or in a text.

    What may stand together with blanks is a value that is a text.
    """
    if given in arguments:
        parts = _run_around(arguments.index(given), arguments, _is_seam)
        if parsed("".join(parts)) is not None:
            yield parts, "".join(parts)
        parts = _run_around(arguments.index(given), arguments, lambda left, right: "=" not in right)
        if kind_of(parts[0].partition("=")[0]) is str and parsed(" ".join(parts)) is not None:
            yield parts, " ".join(parts)


def _run_around(position: int, arguments: Sequence[str], belongs: Callable[[str, str], bool]) -> Sequence[str]:
    """The arguments around one of which each belongs to its neighbour."""
    start, end = position, position + 1
    while start > 0 and belongs(arguments[start - 1], arguments[start]):
        start -= 1
    while end < len(arguments) and belongs(arguments[end - 1], arguments[end]):
        end += 1
    return arguments[start:end]


def _is_seam(left: str, right: str) -> bool:
    return left.endswith((",", "=", "[", "(", "{", ":")) or right.startswith((",", "=", "]", ")", "}", ":"))


def _repaired(given: str) -> Iterator[tuple[str, str]]:
    """Reasons why an argument may be unreadable, and what would be readable then."""
    match = PARTS.fullmatch(given)
    if match is None:
        return
    prefix, key, separator, value = match.groups()
    kind, assigned = kind_of(key), f"{prefix}{key}="
    if separator.lstrip().startswith("=") and kind is str:
        value = given.partition("=")[2]  # A text may begin with any of them.
    elif separator != "=" and key in known_keys():
        yield "expected one = between key and value", assigned + value
    elif not separator.lstrip().startswith("="):
        return
    if kind is not str and value != (plain := value.translate(TYPED)):
        yield "expected plain quotes and dashes", assigned + plain
    if "${" in value:
        yield "expected } after ${", assigned + _closed(value)
    if kind is str:
        value = value.strip(BENT)  # They were meant as quotes.
        yield from (("special characters need quotes", f"{assigned}{quoted}") for quoted in _quoted(value))
    elif kind is tuple:
        yield "expected a list in square brackets", assigned + _closed(value.translate(SQUARE))
    else:
        yield "expected brackets and quotes in pairs", assigned + _closed(value)
        yield "expected it without brackets", assigned + value.strip("[](){}'\" ")
        if kind is None:
            yield from (("special characters need quotes", f"{assigned}{quoted}") for quoted in _quoted(value))


def _quoted(value: str) -> list[str]:
    return [QuotedString(value, quote).with_quotes() for quote in (Quote.double, Quote.single)]


def _closed(value: str) -> str:
    """A value with each bracket or quote that stands open closed, and without superfluous ones at its end.

    >>> _closed("[64,[32"), _closed("[8]]"), _closed("'a")
    ('[64,[32]]', '[8]', "'a'")
    """
    open_brackets: list[str] = []
    quote = ""
    stripped = value.rstrip("])},")
    for character in stripped:
        if quote:
            quote = "" if character == quote else quote
        elif character in "\"'":
            quote = character
        elif character in OPENING:
            open_brackets.append(OPENING[character])
        elif open_brackets and character == open_brackets[-1]:
            open_brackets.pop()
    return stripped + quote + "".join(reversed(open_brackets))


def _failure(given: str) -> HydraException | None:
    """Why Hydra cannot read an argument."""
    try:
        _parser().parse_override(given)
    except HydraException as error:
        return error
    return None


def _unread(given: str) -> str:
    """The part of an argument that Hydra could not read."""
    cause: Any = getattr(_failure(given), "__cause__", None)
    token = getattr(cause, "offendingToken", None)
    start = getattr(cause, "startIndex", None) if token is None else token.start
    return given[start:] if isinstance(start, int) else given
