"""One page that links all reports in a folder."""

import json
import os
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined

from analysis.tables import Tables

ENTRY_FILE = "report.json"
INDEX_FILE = "index.html"


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
    """Writes the page of all reports under ``output``, ordered by experiment; a reader never sees half of it."""
    entries = []
    for path in sorted(output.rglob(ENTRY_FILE)):
        folder = quote(path.parent.relative_to(output).as_posix())
        entries.append(json.loads(path.read_text(encoding="utf-8")) | {"link": f"{folder}/index.html"})
    environment = Environment(loader=PackageLoader("analysis"), autoescape=True, undefined=StrictUndefined)
    page = environment.get_template("index.html").render(entries=entries)
    _replace(output / INDEX_FILE, page)
    return output / INDEX_FILE


def _replace(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)
