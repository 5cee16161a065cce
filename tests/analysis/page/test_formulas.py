"""Texts with formulas as HTML."""

from xml.etree import ElementTree

import pytest

from analysis.page.formulas import inline, mathml, prose


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
