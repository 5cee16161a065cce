"""Two reports side by side: verdicts in one table, and each figure that both have beside its twin."""

from pathlib import Path
from urllib.parse import quote

import pandas as pd

from analysis.figures.kit.drawing import FIGURES, FIGURES_OF_QUESTIONS, words_of
from analysis.page.index import CLAIMS_FILE, ENTRY_FILE, read_entry, report_folder
from analysis.page.rendering import rendered
from pipeline.system.atomic_file import write_atomically

CLAIM = ["identity", "arithmetic", "statement"]


def write_comparison(output: Path, one: str, other: str) -> Path:
    """Writes a page that lays the reports of two experiments, which are there already, side by side.

    It links their files, so it stays in the folder of all reports.
    """
    folders = [output / report_folder(name) for name in (one, other)]
    claims = [pd.read_csv(folder / CLAIMS_FILE, keep_default_na=False) for folder in folders]
    order = pd.concat([each[CLAIM] for each in claims]).drop_duplicates()
    first = order.merge(claims[0], on=CLAIM, how="left")
    both = first.merge(claims[1], on=CLAIM, how="left", suffixes=("_one", "_other")).fillna("")
    titles = {
        name: words_of(draw)["title"]
        for figures in (FIGURES, *FIGURES_OF_QUESTIONS.values())
        for name, draw in figures.items()
        if all((folder / f"{name}.svg").exists() for folder in folders)
    }
    page = rendered(
        "compare.html",
        sides=[
            {"name": name, "link": quote(folder.name), "entry": read_entry(folder / ENTRY_FILE) or {}}
            for name, folder in zip((one, other), folders, strict=True)
        ],
        claims=both.to_dict("records"),
        figures=titles,
    )
    path = output / f"{report_folder(f'compare {one} with {other}')}.html"
    write_atomically(path, page.encode())
    return path
