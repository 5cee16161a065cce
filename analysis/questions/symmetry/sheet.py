"""The exercise sheet, part by part: its texts (``sheet.yaml``), with numbers of these runs, verdicts and figures."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from importlib.resources import files
from typing import Any

import numpy as np
import pandas as pd
import yaml

from analysis.claims.claim import Claim
from analysis.figures import NotShownError
from analysis.figures.recordings import tracked_distance
from analysis.figures.starts import Recorded, recorded_starts
from analysis.page.formulas import in_latex, inline, prose
from analysis.page.page import Part, Shown
from analysis.questions.symmetry.figures import pair_of
from analysis.theory.descent import FEATURES, descent_from_zeros
from analysis.theory.equal_linear import SINGULAR_VALUES, UNITS, linear_descents
from analysis.theory.gradient_check import gradient_check
from analysis.tracked.tables import Tables, Weights
from pipeline import names

PLACE = re.compile(r"\[\[(\w+)\]\]")
G = {"tanh": r"\tanh", "sigmoid": "s"}
"""How activations are called in formulas; others by their names."""
SLOPES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "tanh": lambda x: 1.0 - x**2,
    "sigmoid": lambda x: x * (1.0 - x),
    "relu": lambda x: x > 0.0,
    "identity": np.ones_like,
}
"""g'(S) from x = g(S), where x tells it."""


def parts_of(tables: Tables, claims: Sequence[Claim], shown: Mapping[str, Shown]) -> list[Part]:
    """The parts of the sheet in its order.

    Args:
        claims: the general ones.
        shown: figures by name.
    """
    texts = yaml.safe_load((files(__package__) / "sheet.yaml").read_text(encoding="utf-8"))
    numbers = numbers_of(tables)
    return [_part(identity, part, claims, shown, numbers) for identity, part in texts.items()]


def _part(
    identity: str,
    texts: Mapping[str, Any],
    claims: Sequence[Claim],
    shown: Mapping[str, Shown],
    numbers: dict[str, str],
) -> Part:
    paragraphs = [_filled(text, numbers) for text in texts.get("seen", "").split("\n\n")]
    return Part(
        identity=identity,
        heading=inline(texts["heading"]),
        question=inline(texts["question"]),
        derivation=prose(texts["derivation"]),
        slips=[inline(_filled(slip, numbers)) for slip in texts.get("slips", ())],
        seen=prose("\n\n".join(filter(None, paragraphs))),
        claims=[claim for claim in claims if claim.identity in texts["claims"]],
        figures=[shown[name] for name in texts["figures"] if name in shown],
        command=texts.get("command", ""),
    )


def _filled(text: str, numbers: Mapping[str, str]) -> str:
    """The text with its numbers put in; empty where one of them is not known."""
    if any(name not in numbers for name in PLACE.findall(text)):
        return ""
    return PLACE.sub(lambda place: numbers[place[1]], text)


def numbers_of(tables: Tables) -> dict[str, str]:
    """The numbers for the texts, as LaTeX inside formulas: of theory, and of the recorded symmetric run."""
    return dict([*_of_theory(), *_of_the_run(tables), *_of_the_push(tables)])


def _of_theory() -> Iterator[tuple[str, str]]:
    check, descent, linear = gradient_check(), descent_from_zeros(), linear_descents()
    yield "gradient_corrected", f"${in_latex(check.corrected, 2)}$"
    yield "gradient_printed", f"${in_latex(check.printed, 2)}$"
    yield "descent_data", f"{len(descent.labels)} tumours ({' and '.join(FEATURES)})"
    yield "descent_gap", f"${in_latex(float(descent.losses[-1]) - descent.least, 2)}$"
    yield "descent_steps", str(len(descent.path) - 1)
    yield "descent_loss", f"${descent.losses[-1]:.4f}$"
    yield "descent_zero", f"${descent.losses[0]:.4f}$"
    yield "linear_units", str(UNITS)
    yield "linear_steps", str(len(linear.equal) - 1)
    yield "linear_values", ", ".join(f"${value:g}$" for value in SINGULAR_VALUES)
    yield "linear_formula", f"${in_latex(linear.floor, 4)}$"
    for kind in ("equal", "random", "model"):
        yield f"linear_{kind}", f"${in_latex(float(getattr(linear, kind)[-1]), 4)}$"


def _of_the_run(tables: Tables) -> Iterator[tuple[str, str]]:
    """The numbers of parts 2(b) to 2(e), of the run that stands for the symmetric start."""
    try:
        symmetric, random = pair_of(tables)
    except NotShownError:
        return
    arrays, run = symmetric.arrays, symmetric.run
    outputs, first_weights = arrays["example_targets"], arrays["weights1"][0]
    yield "units", str(first_weights.shape[1])
    yield "rate", f"{run[names.RATE]:g}"
    yield "last", str(int(arrays["steps"][-1]))
    yield "delta_first", common(arrays["example_deltas1"][0])
    yield "delta_last", common(arrays["example_deltas1"][-1])
    if np.ptp(first_weights) == 0.0 and not arrays.get("biases1", np.zeros(1))[0].any():
        a, total = float(first_weights[0, 0]), float(arrays["example_inputs"].sum())
        yield "a", in_latex(a)
        yield "input_sum", in_latex(total, 6)
        yield "S", in_latex(a * total, 6)
        yield "g", G.get(run["model.activation"], rf"\mathrm{{{run['model.activation']}}}".replace("_", r"\_"))
        yield "x", common(arrays["example_activations1"][0], 6)
    if "weights3" in arrays:
        return
    yield from _of_the_way_back(random)
    deltas = arrays["example_deltas2"]
    if len(outputs) > 1:
        yield from _of_output_deltas(deltas[0], outputs, run)
    if 1.0 in arrays["steps"]:
        yield from _of_one_step(arrays)


def _of_the_way_back(start: Recorded) -> Iterator[tuple[str, str]]:
    """The network of part 2(a), and how far the recorded hidden deltas are from its formula."""
    arrays, slope = start.arrays, SLOPES.get(start.run["model.activation"])
    if slope is None:
        return
    deltas = arrays["example_deltas1"]
    from_above = np.einsum("tij,tj->ti", arrays["weights2"], arrays["example_deltas2"])
    errors = np.abs(slope(arrays["example_activations1"]) * from_above - deltas)
    yield "inputs", str(arrays["weights1"].shape[1])
    yield "outputs", str(arrays["weights2"].shape[2])
    yield "measured", str(len(deltas))
    yield "back_error", f"${in_latex(float(errors.max() / np.abs(deltas).max()), 2)}$"


def _of_the_push(tables: Tables) -> Iterator[tuple[str, str]]:
    """How far a small push has brought the units apart, in the run that stands for the perturbed start."""
    with suppress(NotShownError):
        for pushed in (start for start in recorded_starts(tables) if start.kind == "perturbed"):
            steps = pushed.arrays["steps"]
            yield "push", in_latex(float(pushed.run["init.epsilon"]))
            yield "pushed_rate", f"{pushed.run[names.RATE]:g}"
            yield "pushed_steps", str(int(steps[-1]))
            yield "pushed_first", in_latex(tracked_distance(tables, pushed, int(steps[0])))
            yield "pushed_last", in_latex(tracked_distance(tables, pushed, int(steps[-1])))


def _of_output_deltas(deltas: np.ndarray, targets: np.ndarray, run: "pd.Series[Any]") -> Iterator[tuple[str, str]]:
    true, others = deltas[targets == 1.0], deltas[targets == 0.0]
    if len(true) == 1 and np.ptp(others) == 0.0:
        yield "q", in_latex(float(others[0]))
        yield "delta_true", in_latex(float(true[0]))
        yield "delta_other", in_latex(float(others[0]))
    if run["training.loss"] != "squared_error":
        total = f"The output deltas of this example add up to ${in_latex(float(deltas.sum()), 2)}$"
        rounding = ": exact products first round their factors to 21 bits, and the first number holds nothing but that"
        yield "delta_note", f"{total}{rounding if run['arithmetic'] == 'exact' else ''}."


def _of_one_step(arrays: Weights) -> Iterator[tuple[str, str]]:
    place = arrays["steps"].tolist().index(1.0)
    first, second = arrays["weights1"][place], arrays["weights2"][place]
    yield "columns_first", f"${in_latex(float(np.ptp(first, axis=1).max()))}$"
    yield "rows_second", f"${in_latex(float(np.ptp(second, axis=0).max()))}$"
    if second.shape[1] > 1:
        yield "columns_second", f"${in_latex(float(np.ptp(second, axis=1).max()))}$"


def common(values: np.ndarray, digits: int = 3) -> str:
    r"""The value that all units share, as LaTeX, or the ends of what they have.

    >>> common(np.array([0.5, 0.5])), common(np.array([0.5, 0.75]))
    ('0.5', '0.5\\ \\mathrm{to}\\ 0.75')
    """
    low, high = float(values.min()), float(values.max())
    return (
        in_latex(low, digits) if low == high else rf"{in_latex(low, digits)}\ \mathrm{{to}}\ {in_latex(high, digits)}"
    )
