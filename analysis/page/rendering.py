"""Pages from templates; all texts from params, tags and file names are escaped."""

import re

from jinja2 import Environment, PackageLoader, StrictUndefined

from analysis.wording import number


def rendered(template: str, **values: object) -> str:
    """A page as HTML, from the template of this name."""
    environment = Environment(loader=PackageLoader("analysis.page"), autoescape=True, undefined=StrictUndefined)
    environment.filters |= {"unbroken": unbroken, "number": number}
    return environment.get_template(template).render(values)


def unbroken(text: str) -> str:
    r"""The text with true minus signs, and no line that ends at one of = < > ± or begins with it, or with %.

    >>> unbroken("> 0") == "> 0", unbroken("<i> no"), unbroken("12 %") == "12 %"
    (False, '<i> no', False)
    >>> ascii(unbroken("off by -0.2 [-1, 2] where N = 4, python -m"))
    "'off by \\u22120.2 [\\u22121, 2] where N\\xa0=\\xa04, python -m'"
    """
    signed = re.sub(r"(?<=\de)-(?=\d)|(?<![^\s\[(])-(?=\d)", "\N{MINUS SIGN}", text)
    return re.sub(r" (?=[=<>±] )|(?<=[=<>±])(?<!\S[=<>±]) |(?<=\d) (?=%)", "\N{NO-BREAK SPACE}", signed)
