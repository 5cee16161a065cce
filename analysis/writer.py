"""Writes a report: figures, claims and a page, from the tracked runs."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from analysis.claims.source_text import claims_of, claims_table
from analysis.errors import ReportError
from analysis.figures import FIGURES
from analysis.figures.kit.drawing import FIGURES_OF_QUESTIONS
from analysis.page.animation import ANIMATION_FILE, write_animation
from analysis.page.drawn import drawing
from analysis.page.index import CLAIMS_FILE, report_folder, write_entry, write_index
from analysis.page.page import lead, rendered_page
from analysis.page.player import players_of
from analysis.page.publish import publish
from analysis.questions import ANSWERS, derivation_of
from analysis.questions.symmetry.sheet import parts_of
from analysis.tracked.load import load_tables

PAGE_FILE = "index.html"
SHEET = "symmetry"
"""The question whose folder holds the figures of the exercise sheet."""
STILL = "weights_over_steps"
"""The figure that stands for the slider on paper."""


def write_report(experiment_name: str, output: Path, only: Sequence[str] = (), workers: int = 1) -> list[Path]:
    """Writes figures (PNG, SVG, CSV), claims and page into the experiment's folder in ``output``.

    The page also goes to the newest sweep's parent run in MLflow. With ``only``, just these figures are drawn.

    Args:
        workers: how many processes draw.

    Returns:
        The files written.

    Raises:
        ReportError: there is nothing to report on.
    """
    tables = load_tables(experiment_name)
    answering = ANSWERS.get(tables.question.name) if tables.question else None
    # Runs that answer no prepared question of their own are read as answers to the sheet.
    own = FIGURES_OF_QUESTIONS.get(tables.question.name if answering and tables.question else SHEET, {})
    general = FIGURES if answering is None or answering.figures is None else answering.figures
    drawable = {**own, **FIGURES}
    if unknown := [name for name in only if name not in drawable]:
        raise ReportError(f"--only: expected some of {', '.join(drawable)}, got {', '.join(unknown)}")
    folder = output / report_folder(experiment_name)
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {name: drawable[name] for name in only or [*own, *general]}
    with drawing(wanted, tables, folder, workers) as drawn:
        # Meanwhile, here.
        claims, players = ([], []) if only else (claims_of(tables), players_of(tables))
        answer = answering.function(tables) if answering and not only else None
        shown = dict(zip(wanted, drawn, strict=True))
    for figure in shown.values():
        if figure.reason:
            remedy = f"; try {figure.command}" if figure.command else ""
            print(f"{figure.name} is not shown: {figure.reason}{remedy}")
    written = [folder / f"{name}.{ending}" for name in shown if shown[name].image for ending in ("png", "svg", "csv")]
    if only:
        return written
    own_figures = sorted((shown[name] for name in own), key=lambda figure: figure.number)
    figures = sorted((shown[name] for name in general), key=lambda figure: figure.number)
    if answering is not None:
        claims = [claim for claim in claims if claim.runs]
        figures = [figure for figure in figures if figure.image]
    decided = [*(answer.claims if answer else ()), *claims]
    claims_table(decided).to_csv(folder / CLAIMS_FILE, index=False)
    parts = [] if answering else parts_of(tables, claims, shown)
    still = shown.get(STILL)
    why = derivation_of(tables.question.name) if answering and tables.question else ""
    page = rendered_page(tables, claims, figures, answer, own_figures if answering else (), parts, players, still, why)
    (folder / PAGE_FILE).write_text(page, encoding="utf-8")
    conclusion = lead(tables, claims, answer)
    publish(tables, folder / PAGE_FILE, conclusion, Counter(claim.verdict for claim in decided))
    picture = next((f"{figure.name}.png" for figure in (*own_figures, *figures) if figure.image), "")
    thumbnail = shown[STILL] if STILL in shown and shown[STILL].image else None
    entry = write_entry(folder, tables, conclusion, f"{STILL}.png" if thumbnail else picture)
    return [*written, folder / CLAIMS_FILE, folder / PAGE_FILE, entry, write_index(output)]


def write_report_animation(experiment_name: str, output: Path) -> Path:
    """Writes the slider of an experiment's page as an animated GIF into the experiment's folder.

    Raises:
        ReportError: there is nothing to show.
    """
    tables = load_tables(experiment_name)
    folder = output / report_folder(experiment_name)
    folder.mkdir(parents=True, exist_ok=True)
    return write_animation(tables, folder / ANIMATION_FILE)
