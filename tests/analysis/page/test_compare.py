"""Two reports side by side."""

import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from analysis.page.compare import write_comparison
from analysis.writer import write_report
from tests.support.browser import open_browser
from tests.support.in_process import call
from tests.support.tracked import trained_tables


@pytest.fixture
def reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, blank_pictures: None) -> Path:
    """A folder with the reports of ``ours`` and ``a <b>``."""
    for name, inits in (("ours", ("constant", "normal")), ("a <b>", ("constant",))):
        tables = replace(trained_tables({"init": init} for init in inits), experiment_name=name, parent=None)
        monkeypatch.setattr("analysis.writer.load_tables", lambda _, tables=tables: tables)
        write_report(name, tmp_path)
    return tmp_path


def test_verdicts_and_figures_of_both_experiments_stand_beside_each_other(reports: Path) -> None:
    turned = pd.read_csv(reports / "ours" / "claims.csv").iloc[::-1]
    turned.to_csv(reports / "ours" / "claims.csv", index=False)
    path = write_comparison(reports, "ours", "a <b>")
    page = path.read_text(encoding="utf-8")
    assert path.parent == reports
    assert "a &lt;b&gt;" in page
    assert "<b>" not in page
    shown = re.findall(r"<tr><td><strong>(.*?)</strong>", page)
    assert shown[: len(turned)] == turned["identity"].tolist()
    (row,) = (row for row in page.split("<tr>") if "Random initialisation breaks the symmetry." in row)
    assert row.index("holds exactly") < row.index("not tested by these runs")
    for link in ("ours/loss_over_steps.svg", "ours/index.html"):
        assert f'"{link}"' in page
        assert (reports / link).exists()
    # Only one of the two has a pair of starts.
    assert "paired_differences.svg" not in page


@pytest.mark.slow
def test_nothing_of_them_scrolls_sideways_on_a_phone(reports: Path) -> None:
    with open_browser() as browser:
        page = browser.new_page(viewport={"width": 390, "height": 800})
        page.goto(write_comparison(reports, "ours", "a <b>").as_uri())
        wide = "each => each.getBoundingClientRect().right > innerWidth && each.textContent"
        assert page.evaluate(f"Array.from(document.querySelectorAll('td, p, h2')).map({wide}).filter(Boolean)") == []
        assert page.locator("td[data-label='a <b>']").count() > 5


def test_whole_reports_are_compared(tmp_path: Path) -> None:
    ended = call("analysis.report", "--compare", "other", "--only", "loss_over_steps", folder=tmp_path)
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
    assert ended.stderr.startswith("--compare: expected no --only beside it")
