"""Command line: claims, figures and a page, from the tracked runs.

python -m analysis.report [--experiment NAME] [--output DIR] [--only FIGURE ...]
"""

import argparse
import io
import os
import sys
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import yaml

from analysis.claims import claims_of, claims_table
from analysis.errors import ReportError
from analysis.figures import FIGURES, Drawing, NotShownError
from analysis.figures.style import house_style
from analysis.page import Shown, lead, rendered_page
from analysis.publishing import publish
from analysis.runs import load_tables
from analysis.tables import Tables

PAGE_FILE = "index.html"
CLAIMS_FILE = "claims.csv"


def write_report(experiment_name: str, output: Path, only: Sequence[str] = ()) -> list[Path]:
    """Writes figures (PNG, SVG, CSV), claims and page into ``output`` / experiment name.

    The page also goes to the newest sweep's parent run in MLflow. With ``only``, just these figures are drawn.

    Returns:
        The files written.

    Raises:
        ReportError: there is nothing to report on.
    """
    tables = load_tables(experiment_name)
    folder = output / experiment_name
    folder.mkdir(parents=True, exist_ok=True)
    with house_style():
        shown = [_shown(name, tables, folder) for name in only or FIGURES]
    for figure in shown:
        if figure.reason:
            print(f"{figure.name} is not shown: {figure.reason}")
    written = [folder / f"{figure.name}.{ending}" for figure in shown if figure.svg for ending in ("png", "svg", "csv")]
    if only:
        return written
    claims = claims_of(tables)
    claims_table(claims).to_csv(folder / CLAIMS_FILE, index=False)
    page = rendered_page(tables, claims, sorted(shown, key=lambda figure: figure.number))
    (folder / PAGE_FILE).write_text(page, encoding="utf-8")
    publish(tables, folder / PAGE_FILE, lead(tables, claims))
    return [*written, folder / CLAIMS_FILE, folder / PAGE_FILE]


def _shown(name: str, tables: Tables, folder: Path) -> Shown:
    """Draws one figure and writes its three files."""
    words = yaml.safe_load((files("analysis") / "captions" / f"{name}.yaml").read_text(encoding="utf-8"))
    try:
        drawing = FIGURES[name](tables)
    except (NotShownError, ReportError) as error:
        return Shown(name, words["number"], words["title"], words["question"], "", b"", str(error))
    svg = _saved(drawing, name, folder)
    caption = words["caption"].format(**drawing.numbers).strip()
    return Shown(name, words["number"], words["title"], words["question"], caption, svg, "")


def _saved(drawing: Drawing, name: str, folder: Path) -> bytes:
    buffer = io.BytesIO()
    # Without a date, equal runs give equal bytes.
    drawing.figure.savefig(buffer, format="svg", metadata={"Date": None})
    (folder / f"{name}.svg").write_bytes(buffer.getvalue())
    drawing.figure.savefig(folder / f"{name}.png")
    drawing.data.to_csv(folder / f"{name}.csv", index=False)
    return buffer.getvalue()


def main() -> None:
    """Runs the command line; a user's mistake ends in one line and exit code 1."""
    parser = argparse.ArgumentParser(prog="python -m analysis.report", description="Reports on the tracked runs.")
    default = os.environ.get("MLFLOW_EXPERIMENT_NAME", "symmetry")
    parser.add_argument("--experiment", default=default, help="MLflow experiment (default: %(default)s)")
    parser.add_argument("--output", type=Path, default=Path("reports"), help="folder to write into (default: reports)")
    parser.add_argument("--only", nargs="+", default=[], metavar="FIGURE", help=f"some of: {', '.join(FIGURES)}")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.only if name not in FIGURES]
    if unknown:
        sys.exit(f"--only: expected some of {', '.join(FIGURES)}, got {', '.join(unknown)}")
    # MLflow would retry a server that does not answer for minutes.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
    try:
        for path in write_report(arguments.experiment, arguments.output, arguments.only):
            print(path)
    except (ReportError, OSError) as error:
        sys.exit(" ".join(str(error).split()))


if __name__ == "__main__":
    main()
