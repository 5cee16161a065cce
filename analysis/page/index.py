"""The folders of reports, and one page that links them all."""

import json
import re
import unicodedata
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

from analysis.page.rendering import rendered
from analysis.tracked.tables import Tables
from pipeline.system.atomic_file import write_atomically

ENTRY_FILE = "report.json"
INDEX_FILE = "index.html"
CLAIMS_FILE = "claims.csv"
ENTRY_KEYS = {"experiment_name": str, "asks": str, "conclusion": str, "runs": int}
NOT_IN_NAMES = frozenset('/\\:*?"<>|~')
"""What some file system refuses, and what stands before a mark."""
TAKEN_NAMES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?" + f"|{re.escape(ENTRY_FILE)}|{re.escape(INDEX_FILE)}")
"""Devices of Windows, and what the folder of all reports holds itself or takes for a report."""
LONGEST_NAME = 120
"""Bytes; file systems take 255, and some of them count whole paths."""


def report_folder(experiment_name: str) -> str:
    """Name of the folder of an experiment's report: that of the experiment, or one with a mark like it.

    No two experiments share a folder, also where upper case and lower case are the same to the file system, or two
    spellings of one letter: what any file system could take for another name gets a mark.

    >>> report_folder("wide nets"), report_folder("a/b"), report_folder("Wide nets"), report_folder("..")
    ('wide nets', 'a_b~c14cddc033', 'Wide nets~860ace3210', '_~5ec1f7e700')
    """
    readable = "".join(each if each.isprintable() and each not in NOT_IN_NAMES else "_" for each in experiment_name)
    readable = readable.encode()[:LONGEST_NAME].decode(errors="ignore").strip(". ") or "_"
    folded = unicodedata.normalize("NFKC", experiment_name.upper()).casefold()
    if experiment_name == readable == folded and not TAKEN_NAMES.fullmatch(experiment_name):
        return experiment_name
    return f"{readable}~{sha256(experiment_name.encode(errors='surrogatepass')).hexdigest()[:10]}"


def write_entry(folder: Path, tables: Tables, conclusion: str, picture: str = "") -> Path:
    """Writes beside a report what the page of all reports says of it.

    Args:
        picture: file in the folder that stands for the report; empty where nothing could be drawn.
    """
    entry = {
        "experiment_name": tables.experiment_name,
        "asks": tables.question.asks if tables.question else "",
        "conclusion": conclusion,
        "runs": len(tables.runs),
        "picture": picture,
    }
    path = folder / ENTRY_FILE
    write_atomically(path, f"{json.dumps(entry, indent=2, ensure_ascii=False)}\n".encode())
    return path


def write_index(output: Path) -> Path:
    """Writes the page of all reports under ``output``, ordered by experiment; a reader never sees half of it.

    An entry that is broken is told and left out.
    """
    entries = []
    for path in sorted(output.rglob(ENTRY_FILE)):
        if (entry := read_entry(path)) is None:
            print(f"{path} is broken, so {output / INDEX_FILE} leaves that report out; make it again")
            continue
        ours = path.parent.with_name(report_folder(str(entry["experiment_name"]))) / ENTRY_FILE
        if ours != path and ours.is_file():
            continue  # Made before its folder was called so.
        folder = quote(path.parent.relative_to(output).as_posix())
        picture = path.with_name(Path(str(entry.get("picture") or "none")).name)
        shown = f"{folder}/{quote(picture.name)}" if picture.is_file() else ""
        entries.append(entry | {"link": f"{folder}/index.html", "picture": shown})
    write_atomically(output / INDEX_FILE, rendered("index.html", entries=entries).encode())
    return output / INDEX_FILE


def read_entry(path: Path) -> dict[str, object] | None:
    """What a report has left for the page, or None if that is damaged or another program's."""
    try:
        entry = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    is_whole = isinstance(entry, dict) and all(isinstance(entry.get(key), kind) for key, kind in ENTRY_KEYS.items())
    return entry if is_whole else None
