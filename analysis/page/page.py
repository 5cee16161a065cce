"""The report as one self-contained HTML page."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import pandas as pd
from markupsafe import Markup

from analysis.arguments import experiment_option
from analysis.claims.answer import Answer
from analysis.claims.claim import EXACTLY, FAILS, NOT_TESTED, UNDECIDED, WITHIN, Claim
from analysis.page.formulas import prose
from analysis.page.player import Player
from analysis.page.rendering import rendered
from analysis.tracked.tables import FACTS, Tables
from analysis.wording import natural_order
from pipeline import addresses

VERDICT_CLASS = {EXACTLY: "exact", WITHIN: "within", FAILS: "fails", UNDECIDED: "undecided", NOT_TESTED: "untested"}
NOT_PARAMS = {*FACTS} - {"optimum"}
MOST_VALUES = 12


class Part(NamedTuple):
    """A part of the exercise sheet: what it asks, why the answer is so, and what these runs show of it.

    Attributes:
        identity: "2b".
        heading: the answer in a few words.
        question: in one sentence.
        derivation: with formulas.
        slips: of the sheet, mended.
        seen: the numbers of these runs put into the formulas; empty where they cannot be.
        claims: with their verdicts.
        figures: shown or not.
        command: runs just this; empty where nothing has to run.
    """

    identity: str
    heading: Markup
    question: Markup
    derivation: Markup
    slips: Sequence[Markup]
    seen: Markup
    claims: Sequence[Claim]
    figures: Sequence["Shown"]
    command: str

    @property
    def label(self) -> str:
        """As the sheet numbers it: "2(b)"."""
        return f"{self.identity[0]}({self.identity[1:]})" if self.identity[1:] else self.identity


class Shown(NamedTuple):
    """One figure on the page, or the reason why it is missing.

    Attributes:
        number: of a general figure, or a letter of a figure that only this question has.
        image: the picture, as an address that needs no request; empty when it is missing.
        narrow: the same for a phone; empty where there is none.
        reason: why; empty when it is there.
        command: makes runs that can show it.
        claims: numbers of the question's statements that it shows.
    """

    name: str
    number: int | str
    title: str
    question: str
    caption: str
    image: Markup = Markup("")
    narrow: Markup = Markup("")
    reason: str = ""
    command: str = ""
    claims: Sequence[int] = ()

    def shows(self, claim: Claim) -> bool:
        """Whether the statement is one of ``claims``; that of another arithmetic has the same number."""
        return claim.identity.split()[-1] in map(str, self.claims)


def rendered_page(
    tables: Tables,
    claims: Sequence[Claim],
    figures: Sequence[Shown],
    answer: Answer | None = None,
    own_figures: Sequence[Shown] = (),
    parts: Sequence[Part] = (),
    players: Sequence[Player] = (),
    still: Shown | None = None,
    derivation: str = "",
) -> str:
    """The page as HTML. Texts from params, tags and file names are escaped; nothing is loaded from elsewhere.

    Args:
        claims: the general ones.
        figures: the general ones.
        answer: of the prepared question; it comes first, then ``own_figures``.
        parts: of the exercise sheet, on the page of runs that answer no prepared question.
        players: the sliders.
        still: the figure that stands for the first slider on paper and without scripts.
        derivation: why one expects the answer to the prepared question (``analysis.page.formulas``).
    """
    in_parts = {figure.name for part in parts for figure in part.figures} | ({still.name} if still else set())
    return rendered(
        "report.html",
        experiment_name=tables.experiment_name,
        question=tables.question,
        lead=lead(tables, claims, answer),
        notes=tables.notes,
        answer=answer,
        own_figures=own_figures,
        parts=parts,
        part_of={claim.identity: part for part in parts for claim in part.claims},
        players=players,
        still=still,
        derivation=prose(derivation),
        claims=claims,
        verdict_class=VERDICT_CLASS,
        has_blas=any(claim.arithmetic == "blas" for claim in claims),
        exact="exact" in set(tables.runs["arithmetic"]),
        figures=[figure for figure in figures if figure.name not in in_parts],
        methods=methods_of(tables.runs),
        report_command=report_command(tables),
        commands=commands_of(tables),
        digests=tables.digests,
        tracking_link=f"{tables.ui_address}/#/experiments/{tables.experiment_id}",
        ui_command=tables.ui_command if tables.ui_address == addresses.UI_ADDRESS else "",
        views=list(tables.views.items()),
    )


def lead(tables: Tables, claims: Sequence[Claim], answer: Answer | None = None) -> str:
    """The conclusion in two or three sentences; also the first line of the descriptions in MLflow."""
    diverged = int(tables.runs["diverged"].sum())
    runs = f"{len(tables.runs)} finished runs, {f'of which {diverged}' if diverged else 'none of which'} diverged."
    if answer is not None:
        return f"{answer.conclusion} {runs}"
    counts = {verdict: sum(claim.verdict == verdict for claim in claims) for verdict in VERDICT_CLASS}
    of_many = {EXACTLY: "hold exactly", WITHIN: "hold within tolerance", FAILS: "fail"}
    failed = [
        f"{claim.identity}{' with blas' if claim.arithmetic == 'blas' else ''}"
        for claim in claims
        if claim.verdict == FAILS
    ]
    verdicts = [
        f"{count} {verdict if count == 1 else of_many.get(verdict, verdict)}"
        + (f" ({', '.join(failed)})" if verdict == FAILS else "")
        for verdict, count in counts.items()
        if count
    ]
    return f"Of {len(claims)} statements about symmetry, {', '.join(verdicts)}. {runs}"


def methods_of(runs: pd.DataFrame) -> dict[str, list[tuple[str, str]]]:
    """What was trained and with what, as heading -> keys with the values that occur: params, versions and machine.

    A commit with a star had changes that were not committed.
    """
    params = {
        str(column): {_text(value) for value in runs[column]}
        for column in sorted(map(str, runs))
        if "/" not in column and column not in NOT_PARAMS
    }
    known = {key: values - {""} for key, values in params.items()}
    environment: dict[str, set[str]] = {"commit": set(runs["commit"]) - {""}}
    for facts in runs["environment"]:
        for key, value in facts.items():
            environment.setdefault(key, set()).add(value)
    groups = {
        "Compared": {key: values for key, values in known.items() if len(values) > 1},
        "The same in all runs": {key: values for key, values in known.items() if len(params[key]) == 1},
        "The same in all runs that have it": {
            key: values for key, values in known.items() if len(values) == 1 < len(params[key])
        },
        "Versions and machine": dict(sorted(environment.items())),
    }
    return {
        heading: [(key, _listed(values)) for key, values in group.items() if values]
        for heading, group in groups.items()
        if any(group.values())
    }


def _listed(values: set[str]) -> str:
    ordered = sorted(values, key=natural_order)
    more = f", ... ({len(ordered)} values)" if len(ordered) > MOST_VALUES else ""
    return ", ".join(ordered[:MOST_VALUES]) + more


def _text(value: Any) -> str:
    """A param's value as the page shows it; a column with gaps has turned 64 into 64.0.

    >>> _text((64, 32)), _text(64.0), _text(0.5), _text("v1.0"), _text(float("nan"))
    ('[64, 32]', '64', '0.5', 'v1.0', '')
    """
    if isinstance(value, tuple):
        return f"[{', '.join('null' if part is None else str(part) for part in value)}]"
    if value is None or value != value:
        return ""
    return str(value).removesuffix(".0") if isinstance(value, float) else str(value)


def report_command(tables: Tables) -> str:
    """The command that writes this report again."""
    return f"python -m analysis.report {experiment_option(tables.experiment_name)}"


def commands_of(tables: Tables) -> list[str]:
    """The commands that made the runs, as tracked, and the one that makes the report of them."""
    return [*tables.commands, report_command(tables)]
