"""One page that links all reports in a folder."""

import json
import os
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined

from analysis.tables import Tables

ENTRY_FILE = "report.json"
INDEX_FILE = "index.html"
ENTRY_KEYS = {"experiment_name": str, "asks": str, "conclusion": str, "runs": int}


def write_entry(folder: Path, tables: Tables, conclusion: str) -> Path:
    """Leaves beside a report what the page of all reports says of it."""
    entry = {
        "experiment_name": tables.experiment_name,
        "asks": tables.question.asks if tables.question else "",
        "conclusion": conclusion,
        "runs": len(tables.runs),
    }
    path = folder / ENTRY_FILE
    _replace(path, json.dumps(entry, indent=2, ensure_ascii=False) + "\n")
    return path


def write_index(output: Path) -> Path:
    """Writes the page of all reports under ``output``, ordered by experiment; a reader never sees half of it.

    An entry that is broken is told and left out.
    """
    entries = []
    for path in sorted(output.rglob(ENTRY_FILE)):
        if (entry := _entry(path)) is None:
            print(f"{path} is broken, so {output / INDEX_FILE} leaves that report out; make it again")
            continue
        folder = quote(path.parent.relative_to(output).as_posix())
        entries.append(entry | {"link": f"{folder}/index.html"})
    environment = Environment(loader=PackageLoader("analysis"), autoescape=True, undefined=StrictUndefined)
    page = environment.get_template("index.html").render(entries=entries)
    _replace(output / INDEX_FILE, page)
    return output / INDEX_FILE


def _entry(path: Path) -> dict[str, object] | None:
    """What a report has left for the page, or None if that is damaged or another program's."""
    try:
        entry = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    is_whole = isinstance(entry, dict) and all(isinstance(entry.get(key), kind) for key, kind in ENTRY_KEYS.items())
    return entry if is_whole else None


def _replace(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)
