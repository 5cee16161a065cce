"""Command line: the page of all configuration keys, from the typed configuration and the files of ``conf/``.

python -m symmetry_lab.reference [FILE]          # writes docs/configuration.md

Types and ranges are those that values are checked against. Defaults stand in ``conf/``, as do the meanings: the comment
beside a key, or at the head of its option's file.
"""

import ast
import re
import sys
import typing
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, NamedTuple, get_args, get_type_hints

import annotated_types
import yaml

from pipeline import PROJECT, ranges
from pipeline.config.messages import described
from pipeline.config.options import option_types
from pipeline.config.schema import FAMILIES, Config, Group

PAGE = PROJECT / "docs" / "configuration.md"
CONF = PROJECT / "conf"
GROUPS = ("model", "init", "data", "optimizer", "training", "executor")
HEAD = """# Configuration

Written by `python -m symmetry_lab.reference`; do not edit. Every key can be set on the command line (`key=value`) or
swept with `-m` (`key=1,2`), and likewise in `symmetry_lab.sweep`. `group=option` chooses an option, and with it its own
keys. A default that differs among the options is given for each. `???` must be set.
"""
COMMENT = re.compile(r"^(?P<key>\w+):.*?\s#\s*(?P<text>.*)$|^\s+#\s*(?P<more>.*)$")


class ConfFile(NamedTuple):
    """A file of ``conf/``.

    Attributes:
        head: the comment at its head.
        values: its keys.
        meanings: key -> the comment beside it.
    """

    head: str
    values: dict[str, Any]
    meanings: dict[str, str]


def conf_file(path: Path) -> ConfFile:
    """Reads a file of ``conf/`` with its comments."""
    text = path.read_text(encoding="utf-8")
    head = [
        line for line in re.split("^[a-z_]+:", text, maxsplit=1, flags=re.MULTILINE)[0].splitlines() if line[:1] == "#"
    ]
    meanings: dict[str, str] = {}
    key = ""
    for line in text.splitlines():
        found = COMMENT.match(line)
        if found is None:
            key = ""
        elif found["key"]:
            key = found["key"]
            meanings[key] = found["text"]
        elif key:
            meanings[key] += f" {found['more']}"
    return ConfFile(" ".join(line.strip("# ") for line in head), yaml.safe_load(text), meanings)


def page() -> str:
    """The page as Markdown."""
    return "\n".join([HEAD, *(line for group in GROUPS for line in _group_lines(group)), *_top_lines()])


def _group_lines(group: str) -> Iterator[str]:
    files = {path.stem: conf_file(path) for path in sorted((CONF / group).glob("*.yaml"))}
    top = conf_file(CONF / "config.yaml")
    chosen = next(default[group] for default in top.values["defaults"] if group in default)
    common = {} if group == "executor" else _common_types(group)
    meanings: dict[str, str] = {}
    for file in files.values():
        meanings = file.meanings | meanings
    meanings |= _nested_meanings(group)
    yield f"## `{group}`\n"
    if len(files) > 1:
        yield f"Default: `{group}={chosen}`.\n"
    if common:
        yield "| key | type and range | default | meaning |\n|---|---|---|---|"
        for key, kind in common.items():
            defaults = {name: file.values[key] for name, file in files.items() if key in file.values}
            given = _defaults(defaults) if defaults else _shown((top.values.get(group) or {})[key])
            yield _row(f"{group}.{key}", kind, given, meanings[key])
        yield ""
    if len(files) > 1:
        yield "| option | key | type and range | default | meaning |\n|---|---|---|---|---|"
        for name, file in files.items():
            yield f"| `{group}={name}` | | | | {_cell(file.head)} |"
            for key, kind in _own_types(group, name, file).items():
                meaning = file.meanings.get(key) or meanings.get(key) or file.head
                yield f"| {_row(f'{group}.{key}', kind, _shown(file.values[key]), meaning)}"
        yield ""


def _top_lines() -> Iterator[str]:
    top, types = conf_file(CONF / "config.yaml"), get_type_hints(Config, include_extras=True)
    yield "## Top level\n"
    yield "| key | type and range | default | meaning |\n|---|---|---|---|"
    for key in (field.name for field in fields(Config) if field.name not in GROUPS):
        yield _row(key, types[key], _shown(top.values[key]), top.meanings[key])
    options = ", ".join(f"`{path.stem}`" for path in sorted((CONF / "experiment").glob("*.yaml")))
    yield f"| `experiment` | one of {options} | `null` | a prepared sweep with its question, with `-m` |"
    yield ""


def _common_types(group: str) -> dict[str, Any]:
    """The keys that all options of a group have."""
    hints = get_type_hints(get_type_hints(Config)[group], include_extras=True)
    return {key: kind for key, kind in hints.items() if key not in ("name", "options")}


def _own_types(group: str, name: str, file: ConfFile) -> Mapping[str, Any]:
    """The keys that only this option has; of one that inherits another's, those that it sets itself."""
    if group in FAMILIES:
        return option_types(FAMILIES[group][name])
    if group != "executor":
        return {}
    if "_target_" in file.values:
        return _target_types(file.values["_target_"])
    base, _ = file.values["defaults"]
    inherited = _own_types(group, base, conf_file(CONF / group / f"{base}.yaml"))
    return {key: kind for key, kind in inherited.items() if key in file.values}


def _target_types(target: str) -> dict[str, Any]:
    """The keyword-only parameters of an executor, read without importing it: it may need an extra."""
    module, _, name = target.rpartition(".")
    tree = ast.parse((PROJECT / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8"))
    (found,) = (node for node in tree.body if getattr(node, "name", "") == name)
    known = {**vars(typing), **vars(annotated_types), **vars(ranges)}
    functions = [node for node in ast.walk(found) if isinstance(node, ast.FunctionDef)]
    function = next((node for node in functions if node.name == "__init__"), functions[0])
    return {
        argument.arg: eval(ast.unparse(argument.annotation), known)  # noqa: S307 - our own code
        for argument in function.args.kwonlyargs
        if argument.annotation is not None
    }


def _nested_meanings(group: str) -> dict[str, str]:
    """The comments of keys that stand under a group in ``config.yaml``."""
    text = (CONF / "config.yaml").read_text(encoding="utf-8")
    block = re.search(rf"^{group}:.*\n((?:  .*\n)+)", text, re.MULTILINE)
    lines = block[1].splitlines() if block else []
    return {match[1]: match[2] for line in lines if (match := re.match(r"  (\w+):.*?#\s*(.*)$", line))}


def _row(key: str, kind: Any, default: str, meaning: str) -> str:
    return f"| `{key}` | {_cell(_words(kind))} | {default} | {_cell(meaning)} |"


def _words(kind: Any) -> str:
    groups = [option for option in get_args(kind) if isinstance(option, type) and is_dataclass(option)]
    keys = [field.name for group in groups if issubclass(group, Group) for field in fields(group)]
    return f"a group of {', '.join(keys)}, or null" if keys else described(kind)


def _defaults(values: Mapping[str, Any]) -> str:
    """One default, or each with the options that have it; that of more than half of them stands without."""
    texts: dict[str, list[str]] = {}
    for name, value in values.items():
        texts.setdefault(_shown(value), []).append(name)
    usual = max(texts, key=lambda text: len(texts[text]))
    is_usual = 2 * len(texts[usual]) > len(values)
    rare = [f"{text} ({', '.join(names)})" for text, names in texts.items() if not (is_usual and text == usual)]
    return "; ".join([usual, *rare] if is_usual else rare)


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else yaml.safe_dump(value, default_flow_style=True).partition("\n")[0]
    return f"`{text}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main() -> None:
    """Writes the page."""
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else PAGE
    target.write_text(page(), encoding="utf-8")
    print(target)


if __name__ == "__main__":
    main()
