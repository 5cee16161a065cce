"""Texts with formulas: LaTeX between dollar signs becomes MathML, which browsers show without any request."""

import math
import re
from functools import lru_cache

from latex2mathml.converter import convert
from markupsafe import Markup, escape

FORMULA = re.compile(r"\$\$(.+?)\$\$|\$(.+?)\$|`(.+?)`|\*\*(.+?)\*\*", re.DOTALL)

SPACED = {
    re.compile(
        r"<msup>(<mi>[^<]*</mi>)<mi>(&#x0203[23];)</mi></msup>"
    ): r'<mrow>\1<mo lspace="0" rspace="0">\2</mo></mrow>',
    re.compile(
        r"(?<=&#x0003D;</mo>|&#x0003C;</mo>|&#x0002C;</mo>|&#x00028;</mo>)<mo>(?=&#x02212;</mo>)"
    ): '<mo form="prefix">',
    re.compile(r"(?<=<mrow>)<mo>(?=&#x0002B;</mo>)"): '<mo form="infix">',
    re.compile(r'<mo stretchy="false">(?=&#x0007C;</mo>)'): '<mo stretchy="false" lspace="0" rspace="0">',
    re.compile(
        r"<mi>(?:log|arcsin)</mi>(?!(<mrow>)?<mo)|(?:</mi>|</mn>|</m(?:sub|sup|frac)>|&#x00029;</mo>)(?=<mi>(?:log|arcsin)<)"
    ): r'\g<0><mspace width="0.167em" />',
}
"""What the converter spaces otherwise than TeX -> better: primes, signs, a sum that goes on, bars, logarithms."""
BREAK = re.compile(r"[{}()]|\\(?:left|right|begin|end)\b|[=+]|\\(?:leq|geq|approx|leftarrow)\b")
NESTING = {"{": 1, "(": 1, r"\left": 1, r"\begin": 1, "}": -1, ")": -1, r"\right": -1, r"\end": -1}
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
    """Formulas of their own, which ``\\qquad`` separates: beside each other where there is room, else below.

    Where a line has no room for a formula, it goes on in the next one, from a relation or a plus on.
    """
    formulas = [
        Markup("").join(mathml(part, is_block=True) for part in parts_of(each)) for each in latex.split(r"\qquad")
    ]
    wrapped = Markup("").join(Markup('<span class="formula">{}</span>').format(each) for each in formulas)
    return Markup('<span class="formulas">{}</span>').format(wrapped)


def parts_of(latex: str) -> list[str]:
    r"""A formula, cut before its relations and pluses; not inside of brackets.

    >>> parts_of(r"x = g\left(\sum_{i=1}^n w_i + b\right) = 0.5 + y")
    ['x', '= g\\left(\\sum_{i=1}^n w_i + b\\right)', '= 0.5', '+ y']
    """
    depth, cuts = 0, [0]
    for found in BREAK.finditer(latex):
        opens = NESTING.get(found[0], 0)
        depth += opens
        if not depth and not opens:
            cuts.append(found.start())
    return [" ".join(latex[start:end].split()) for start, end in zip(cuts, [*cuts[1:], None], strict=True)]


@lru_cache(maxsize=1024)
def mathml(latex: str, *, is_block: bool = False) -> Markup:
    r"""A formula as MathML, spaced as TeX does: around a logarithm, behind a minus that is a sign, inside of bars.

    A prime is raised and small in every font; as an exponent it would be a dot.

    >>> "mspace" in mathml(r"\log q"), "mspace" in mathml(r"\log(q)"), "mspace" in mathml(r"\log\left(q\right)")
    (True, False, False)
    >>> "<msup>" in mathml("g'(s)"), "<msup>" in mathml("g^2")
    (False, True)
    >>> [mathml(each).count("prefix") for each in ("a = -1", "(-1, -1)", "a - 1")]
    [1, 2, 0]
    >>> "mspace" in mathml(r"y\log(q)"), "mspace" in mathml(r"= \log(q)"), 'lspace="0" rspace="0"' in mathml("|w|")
    (True, False, True)
    """
    converted = convert(latex, display="block" if is_block else "inline")
    for found, better in SPACED.items():
        converted = found.sub(better, converted)
    return Markup(converted)  # noqa: S704 (made by the converter)


def in_latex(value: float, digits: int = 3) -> str:
    r"""A number as LaTeX.

    >>> in_latex(0.954603), in_latex(-8.46e-9), in_latex(0.0), in_latex(18.8125, 4)
    ('0.955', '-8.46\\times 10^{-9}', '0', '18.81')
    """
    if value == 0.0 or not math.isfinite(value):
        return "0" if value == 0.0 else r"\infty"
    mantissa, _, exponent = f"{value:.{digits}g}".partition("e")
    return rf"{mantissa}\times 10^{{{int(exponent)}}}" if exponent else mantissa
