"""Texts with formulas: LaTeX between dollar signs becomes MathML, which browsers show without any request."""

import math
import re
from functools import lru_cache

from latex2mathml.converter import convert
from markupsafe import Markup, escape

FORMULA = re.compile(r"\$\$(.+?)\$\$|\$(.+?)\$|`(.+?)`|\*\*(.+?)\*\*", re.DOTALL)

BARE_LOG = re.compile(r"<mi>log</mi>(?!(<mrow>)?<mo)")
PRIME = re.compile(r"<msup>(<mi>[^<]*</mi>)<mi>(&#x0203[23];)</mi></msup>")
CLOSING = re.compile(r"[.,;:)?!]+")


def prose(text: str) -> Markup:
    """Paragraphs as HTML: ``$..$`` a formula in the line, ``$$..$$`` one of its own, ```..``` code, ``**..**`` strong.

    All else is escaped. An empty line begins a paragraph.

    >>> prose("Where a < b.")
    Markup('<p>Where a &lt; b.</p>')
    >>> str(prose("$a$"))[:27], "display" in prose("$$a$$")
    ('<p><math xmlns="http://www.', True)
    """
    paragraphs = filter(None, re.split(r"\n\s*\n\s*", text.strip()))
    return Markup("\n").join(Markup("<p>{}</p>").format(inline(each)) for each in paragraphs)


def inline(text: str) -> Markup:
    """One paragraph of ``prose``, without its tag."""
    parts, end = [], 0
    for found in FORMULA.finditer(text):
        parts.append(escape(text[end : found.start()]))
        block, formula, code, strong = found.groups()
        if code or strong:
            parts.append(Markup("<{0}>{1}</{0}>").format("code" if code else "strong", code or strong))
        else:
            parts.append(blocks(block) if block else mathml(" ".join(formula.split())))
        end = found.end()
        if formula and (close := CLOSING.match(text, end)):  # No line begins with it.
            parts[-1] = Markup('<span class="whole">{}{}</span>').format(parts[-1], close[0])
            end = close.end()
    return Markup("").join([*parts, escape(text[end:])])


def blocks(latex: str) -> Markup:
    """Formulas of their own, which ``\\qquad`` separates: beside each other where there is room, else below."""
    formulas = [mathml(" ".join(each.split()), is_block=True) for each in latex.split(r"\qquad")]
    return Markup('<span class="formulas">{}</span>').format(Markup("").join(formulas))


@lru_cache(maxsize=1024)
def mathml(latex: str, *, is_block: bool = False) -> Markup:
    r"""A formula as MathML, with the space that TeX puts behind a logarithm without brackets.

    A prime is raised and small in every font; as an exponent it would be a dot.

    >>> "mspace" in mathml(r"\log q"), "mspace" in mathml(r"\log(q)"), "mspace" in mathml(r"\log\left(q\right)")
    (True, False, False)
    >>> "<msup>" in mathml("g'(s)"), "<msup>" in mathml("g^2")
    (False, True)
    """
    converted = convert(latex, display="block" if is_block else "inline")
    converted = PRIME.sub(r'<mrow>\1<mo lspace="0" rspace="0">\2</mo></mrow>', converted)
    return Markup(BARE_LOG.sub(r'\g<0><mspace width="0.167em" />', converted))  # noqa: S704 (made by the converter)


def in_latex(value: float, digits: int = 3) -> str:
    r"""A number as LaTeX.

    >>> in_latex(0.954603), in_latex(-8.46e-9), in_latex(0.0), in_latex(18.8125, 4)
    ('0.955', '-8.46\\times 10^{-9}', '0', '18.81')
    """
    if value == 0.0 or not math.isfinite(value):
        return "0" if value == 0.0 else r"\infty"
    mantissa, _, exponent = f"{value:.{digits}g}".partition("e")
    return rf"{mantissa}\times 10^{{{int(exponent)}}}" if exponent else mantissa
