"""What all prepared questions keep to, and their pages."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

import analysis.questions
from analysis.claims.answer import ANSWERS
from analysis.figures import FIGURES
from analysis.figures.kit.drawing import FIGURES_OF_QUESTIONS
from analysis.page.index import write_entry, write_index
from analysis.tracked.tables import Question, Tables
from tests.support.configurations import CONF
from tests.support.tracked import trained_tables

CAPTIONS = Path(analysis.questions.__file__).parents[2] / "captions"
QUESTIONS = sorted(path.stem for path in (CONF / "experiment").glob("*.yaml"))


def test_every_answer_and_figure_belongs_to_a_prepared_question() -> None:
    assert set(FIGURES_OF_QUESTIONS) <= set(QUESTIONS)
    assert set(ANSWERS) <= set(QUESTIONS)
    for answering in ANSWERS.values():
        assert set(answering.figures or ()) <= set(FIGURES)


@pytest.mark.parametrize("name", [name for figures in FIGURES_OF_QUESTIONS.values() for name in figures])
def test_every_figure_of_a_question_has_its_words_and_a_letter(name: str) -> None:
    words = yaml.safe_load((CAPTIONS / f"{name}.yaml").read_text(encoding="utf-8"))
    assert words.keys() == {"number", "title", "question", "caption"}
    assert words["number"] in "ABCDEFG"
    assert name not in FIGURES


@pytest.fixture
def tables() -> Tables:
    return trained_tables([{"init": "constant"}, {"init": "normal"}])


def test_the_page_of_all_reports_links_them_in_order_and_escapes_their_words(tables: Tables, tmp_path: Path) -> None:
    for name, asks in (("later", ""), ("early one", "Is <b>it</b> & that?")):
        (tmp_path / name).mkdir()
        question = Question("q", asks, "It is.") if asks else None
        write_entry(tmp_path / name, replace(tables, experiment_name=name, question=question), f"It <i>is</i> {name}.")
    page = write_index(tmp_path).read_text(encoding="utf-8")
    assert page.index('<a href="early%20one/index.html">Is &lt;b&gt;it&lt;/b&gt; &amp; that?</a>') < page.index(
        '<a href="later/index.html">later</a>'
    )
    assert "It &lt;i&gt;is&lt;/i&gt; later." in page
    assert "later, 2 runs" in page
    assert sorted(path.name for path in tmp_path.iterdir()) == ["early one", "index.html", "later"]
    assert json.loads((tmp_path / "later" / "report.json").read_text())["runs"] == 2
    assert write_index(tmp_path).read_text(encoding="utf-8") == page


def test_a_broken_entry_is_told_and_left_out(
    tables: Tables, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "whole").mkdir()
    write_entry(tmp_path / "whole", tables, "It is.")
    whole = (tmp_path / "whole" / "report.json").read_bytes()
    broken = (b"", b"[]", b"{}", b"\xff\xfe", whole[:-20], whole.replace(b"2", b'"two"'), b"[" * 100_000)
    for number, content in enumerate(broken):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "report.json").write_bytes(content)
    page = write_index(tmp_path).read_text(encoding="utf-8")
    assert page.count("<h2>") == 1
    assert "whole/index.html" in page
    told = capsys.readouterr().out.splitlines()
    assert len(told) == len(broken)
    assert all(f"{tmp_path / str(number)}/report.json is broken" in line for number, line in enumerate(told))
