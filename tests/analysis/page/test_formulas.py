"""Texts with formulas as HTML."""

from importlib.resources import files
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

from analysis.page.formulas import inline, mathml, prose
from analysis.questions import ANSWERS, derivation_of
from analysis.questions.symmetry.sheet import PLACE
from tests.support.browser import open_browser

TOO_WIDE = """Array.from(document.querySelectorAll("math, .formula, p"))
  .filter(each => each.scrollWidth > each.clientWidth + 1 && each.clientWidth
    || each.getBoundingClientRect().right > innerWidth).map(each => each.textContent)"""


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("a < b & c", "<p>a &lt; b &amp; c</p>"),
        ("say `x=<y>` **loudly**", "<p>say <code>x=&lt;y&gt;</code> <strong>loudly</strong></p>"),
        ("one\n\n\n two", "<p>one</p>\n<p>two</p>"),
        ("", ""),
    ],
)
def test_all_but_the_marks_is_escaped(text: str, html: str) -> None:
    assert prose(text) == html


def test_a_formula_is_well_formed_mathml_and_keeps_the_point_behind_it() -> None:
    found = str(inline(r"So $\delta_j^{(2)} < 0$, and"))
    assert found.startswith('So <span class="whole"><math')
    assert found.endswith("</math>,</span> and")
    (formula,) = ElementTree.fromstring(f"<p>{found}</p>").iter("{http://www.w3.org/1998/Math/MathML}math")  # noqa: S314
    assert formula.attrib["display"] == "inline"
    assert 'display="block"' in mathml("a", is_block=True)


@pytest.fixture(scope="module")
def texts() -> str:
    """All texts with formulas, as one page; a number of usual length stands at each place of the sheet."""
    sheet = yaml.safe_load((files("analysis.questions.symmetry") / "sheet.yaml").read_text(encoding="utf-8"))
    parts = [part[key] for part in sheet.values() for key in ("derivation", "seen") if key in part]
    written = [*(PLACE.sub("0.974828", part) for part in parts), *map(derivation_of, ANSWERS)]
    style = (files("analysis.page") / "templates/style.css").read_text(encoding="utf-8")
    body = "".join(f"<div class='seen'>{prose(text)}</div>" for text in written)
    return (
        f"<!DOCTYPE html><meta name='viewport' content='width=device-width'><style>{style}</style><main>{body}</main>"
    )


def test_each_text_is_well_formed(texts: str) -> None:
    assert texts.count("<math") > 100
    ElementTree.fromstring(f"<p>{texts.partition('<main>')[2].removesuffix('</main>')}</p>")  # noqa: S314


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1280])
def test_no_formula_scrolls_sideways(texts: str, width: int, tmp_path: Path) -> None:
    page = tmp_path / "formulas.html"
    page.write_text(texts, encoding="utf-8")
    with open_browser() as browser:
        opened = browser.new_page(viewport={"width": width, "height": 800})
        opened.goto(page.as_uri())
        assert opened.locator(".formula math").count() > 20
        assert not (wide := opened.evaluate(TOO_WIDE)), "\n".join(wide)
