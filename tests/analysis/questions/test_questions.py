"""What all prepared questions keep to, and their pages."""

import json
import re
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from textwrap import dedent

import pytest
import yaml

import analysis.questions
from analysis.claims.claim import WITHIN
from analysis.figures import FIGURES
from analysis.figures.kit.drawing import FIGURES_OF_QUESTIONS, words_of
from analysis.page.formulas import prose
from analysis.page.index import write_entry, write_index
from analysis.questions import ANSWERS, derivation_of, register_questions
from analysis.tracked.tables import Question, Tables
from analysis.writer import SHEET, write_report
from tests.support.configurations import CONF
from tests.support.tracked import trained_tables

FOLDERS = {path.name for path in Path(analysis.questions.__file__).parent.iterdir() if (path / "answer.py").exists()}
PREPARED = {path.stem for path in (CONF / "experiment").glob("*.yaml")}


def test_every_folder_answers_the_prepared_question_of_its_name_and_draws_for_it() -> None:
    assert set(ANSWERS) == FOLDERS < FOLDERS | {SHEET} == set(FIGURES_OF_QUESTIONS) <= PREPARED
    for answering in ANSWERS.values():
        assert set(answering.figures or ()) <= set(FIGURES)


@pytest.mark.parametrize("name", sorted(FOLDERS | {SHEET}))
def test_every_figure_of_a_question_has_its_words_and_a_letter(name: str) -> None:
    captions = files(f"analysis.questions.{name}") / "captions.yaml"
    assert yaml.safe_load(captions.read_text(encoding="utf-8")).keys() == FIGURES_OF_QUESTIONS[name].keys()
    words = [words_of(draw) for draw in FIGURES_OF_QUESTIONS[name].values()]
    linked = set() if name == SHEET else {"claims"}  # The sheet's figures stand in its parts.
    assert all(each.keys() == {"number", "title", "question", "caption"} | linked for each in words)
    assert sorted(each["number"] for each in words) == list("ABCDEFG"[: len(words)])
    assert not FIGURES_OF_QUESTIONS[name].keys() & FIGURES.keys()


@pytest.mark.parametrize("name", sorted(FOLDERS))
def test_every_question_says_why_one_expects_its_answer_in_formulas(name: str) -> None:
    html = prose(derivation_of(name))
    assert html.count("<math") > 3
    assert not re.search(r"[$\\]", re.sub(r"<[^>]*>", "", html))


NEW_QUESTION = {
    "__init__.py": """
        '''Do two runs differ?'''
        """,
    "answer.py": """
        from analysis.claims.answer import Answer, question
        from analysis.claims.claim import UNDECIDED, WITHIN, Claim

        @question(figures=())
        def answer(tables):
            decided = Claim("1", "", "They do.", "> 1 run", verdict=WITHIN, command="forgotten")
            check = decided._replace(identity="3", is_check=True, machine="a machine of 1984")
            undecided = decided._replace(identity="4", verdict=UNDECIDED, measured="hardly", runs=2)
            claims = [decided, Claim("2", "", "They always will.", "> 1 run"), check, undecided]
            return Answer(claims, "Two runs differ.")
        """,
    "figures.py": """
        from matplotlib.figure import Figure

        from analysis.figures.kit.drawing import Drawing, NotShownError, figure

        @figure
        def two_runs(tables):
            return Drawing(Figure(), tables.runs[["run_id"]], {"runs": len(tables.runs)})

        @figure
        def a_third_run(tables):
            raise NotShownError("there are two only")
        """,
    "captions.yaml": """
        two_runs: {number: A, claims: [1, 4], title: Two, question: "Which?", caption: "Runs: {runs}."}
        a_third_run: {number: B, claims: [], title: Three, question: "Which third?", caption: ""}
        """,
}


def test_a_new_question_is_a_folder_of_its_own_and_nothing_else(
    tables: Tables, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, blank_pictures: None
) -> None:
    (tmp_path / "new").mkdir()
    for name, content in NEW_QUESTION.items():
        (tmp_path / "new" / name).write_text(dedent(content), encoding="utf-8")
    for registry in (ANSWERS, FIGURES_OF_QUESTIONS):
        monkeypatch.setitem(registry, "new", {})  # Taken out again at the end.
    monkeypatch.setattr(analysis.questions, "__path__", [*analysis.questions.__path__, str(tmp_path)])
    register_questions()
    command = "python -m pipeline.run -m experiment=new"
    claims = ANSWERS["new"].function(tables).claims
    assert [(claim.verdict == WITHIN, claim.command) for claim in claims] == [
        (True, ""), (False, command), (True, ""), (False, f"{command} size=large"),
    ]  # fmt: skip
    asked = replace(tables, question=Question("new", "Do two runs differ?", "They do."), parent=None)
    monkeypatch.setattr("analysis.writer.load_tables", lambda _: asked)
    write_report("mine", tmp_path / "reports")
    page = (tmp_path / "reports" / "mine" / "index.html").read_text(encoding="utf-8")
    for words in ("Two runs differ.", "They do.", "Figure A. Two.</strong> Runs: 2.", "there are two only",
                  "Not decided by these runs: 4.", "they test the code", "were trained on a machine of 1984",
                  '<span class="kind">check</span>', "size=large</code>"):  # fmt: skip
        assert words in page
    shown = '<a href="#claim-1">1</a>, <a href="#claim-4">4</a>. '
    assert f"Shows statements {shown}" in page
    assert page.count('<a class="kind" href="#two_runs">Figure A</a>') == 2
    assert page.count("#a_third_run") == 0
    assert page.count(f"<code>{command}</code>") == 2  # The untested claim's and the missing figure's.


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
    assert '<p class="kind">2 runs</p>' in page
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
