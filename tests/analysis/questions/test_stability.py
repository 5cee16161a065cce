"""The verdicts of ``stability`` on runs that do as predicted, on doctored ones, and on really trained ones."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pytest

from analysis.claims.claim import EXACTLY, FAILS, NOT_TESTED, UNDECIDED, WITHIN
from analysis.figures.kit.drawing import NotShownError
from analysis.questions.stability.answer import answer
from analysis.questions.stability.figures import stability_phases, stability_rates, stability_steps
from analysis.questions.stability.tables import MINIMUM, OSCILLATION, SADDLE, pushed_networks, twins_of
from analysis.tracked.tables import Tables
from pipeline import names
from tests.support.tracked import made_up_tables, trained_tables

LAST, RESTS_AT = 400, 10
STEPS = [*range(61), *range(65, LAST + 1, 5)]
WHOLE = 0.7
"""Largest eigenvalue of the whole Hessian at rest from a constant; the learning rates 0.5 and 1 are below 2 over it."""


class Cell(NamedTuple):
    """A cell of the phase diagram and what its made-up runs do.

    Attributes:
        smallest: eigenvalue in the breaking directions; they cross 0 at l2 = 0.16 from a constant, at 1 from 0.
        rate: of the distance.
        apart: the distance modulo sign at the end.
        gradient: norm of the last gradient of the pushed runs.
        is_resting: whether the unpushed twin rests.
    """

    value: float
    l2: float
    eta: float
    smallest: float
    largest: float
    rate: float
    apart: float
    gradient: float
    is_resting: bool

    @property
    def kind(self) -> str:
        """As the eigenvalues say."""
        return OSCILLATION if self.eta * self.largest > 2.0 else SADDLE if self.smallest < 0.0 else MINIMUM


Doctor = Callable[[Cell], Cell]


def predicted_cells() -> Iterator[Cell]:
    """From 0.1 below and above the boundary, and too fast; from 0, where nothing else than the boundaries differs."""
    for value, l2, eta in [
        *((0.1, l2, eta) for l2 in (0.1, 0.2) for eta in (0.5, 1.0, 3.0)),
        *((0.0, l2, eta) for l2 in (0.1, 0.2, 1.2) for eta in (0.5, 1.0)),
    ]:
        smallest, largest = (l2 - 0.16, l2 + 0.2) if value else (l2 - 1.0, l2 + 1.0)
        rate = max(float(np.log(np.abs(1.0 - eta * end))) for end in (smallest, largest))
        cell = Cell(value, l2, eta, smallest, largest, rate, 0.0, 1e-6, is_resting=not value or eta * WHOLE < 2.0)
        is_several = cell.kind == OSCILLATION or (cell.smallest < 0.0 and l2 < 0.16)
        yield cell._replace(apart=0.3 if is_several else 1e-9, gradient=5.0 if cell.kind == OSCILLATION else 1e-6)


def runs_of(cell: Cell) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Mapping[int, float]]]]:
    """The unpushed twin, and two pushed runs."""
    changes = {"init": "perturbed", "model.hidden_units": [8], "training.steps": LAST, "init.value": cell.value,
               "training.l2": cell.l2, names.RATE: cell.eta}  # fmt: skip
    yield (
        changes | {"init.epsilon": 0.0},
        {
            names.GRADIENT_NORM: {
                step: 1e-6 if not cell.value or (cell.is_resting and step >= RESTS_AT) else 1.0 for step in STEPS
            },
            names.stability("smallest_eigenvalue"): {0: 9.0, LAST: cell.smallest},
            names.stability("largest_eigenvalue"): {0: 9.0, LAST: cell.largest},
            names.hessian("largest_eigenvalue"): {0: 9.0, LAST: max(cell.largest, WHOLE)},
        },
    )
    epsilon = 1e-7 if cell.rate > 0.0 else 1e-4
    for seed in range(2):
        distances = {step: min(1.0, epsilon * (1.0 + seed) * float(np.exp(cell.rate * step))) for step in STEPS}
        yield (
            changes | {"init.epsilon": epsilon, "seed": seed},
            {
                names.DISTANCE: distances,
                names.symmetry("relative_distance"): distances,
                names.DISTANCE_MODULO_SIGN: {0: epsilon, LAST: cell.apart},
                names.GRADIENT_NORM: {0: 1.0, LAST: cell.gradient},
            },
        )


def made_up(doctor: Doctor = lambda cell: cell) -> Tables:
    return made_up_tables(run for cell in predicted_cells() for run in runs_of(doctor(cell)))


def test_every_prediction_holds_for_runs_that_do_as_predicted() -> None:
    tables = made_up()
    answered = answer(tables)
    assert [claim.verdict for claim in answered.claims] == [
        WITHIN, WITHIN, WITHIN, EXACTLY, WITHIN, EXACTLY, EXACTLY, *[WITHIN] * 5,
    ]  # fmt: skip
    pushed = pushed_networks(tables)
    np.testing.assert_allclose(pushed["rate"].dropna(), pushed["predicted"].dropna(), rtol=1e-9)
    assert pushed.groupby("kind").size().to_dict() == {"": 4, SADDLE: 12, MINIMUM: 6, OSCILLATION: 2}
    assert set(pushed.loc[(pushed["init.value"] != 0.0) & (pushed["kind"] != ""), "rests_at"]) == {RESTS_AT}
    assert answered.claims[4].measured.startswith("l2 = 0.16 where 0.16 was predicted")
    assert "attracts above l2 = 0.16" in answered.conclusion
    assert "In 2 cells the unpushed network does not come to rest" in answered.conclusion


def of_kind(kind: str, times: float = 1.0, **changes: Any) -> Doctor:
    """Multiplies the rate of what rests of a kind, and changes what else it does."""
    return lambda cell: (
        cell._replace(rate=times * cell.rate, **changes) if cell.kind == kind and cell.is_resting else cell
    )


def where(*place: float, **changes: Any) -> Doctor:
    """Changes the cells of a start, a penalty and, if given, a learning rate."""
    return lambda cell: cell._replace(**changes) if cell[: len(place)] == place else cell


@pytest.mark.parametrize(
    ("doctor", "failing"),
    [
        (of_kind(SADDLE, times=1.02), "1"),
        (of_kind(MINIMUM, times=0.98), "2"),
        (of_kind(OSCILLATION, times=1.02), "3"),
        (of_kind(OSCILLATION, times=-1.0), "3, 4"),
        (where(0.1, 0.1, rate=0.07), "1, 5"),
        (where(0.1, 0.2, largest=5.0), "3, 4, 6, 7, 12"),
        (lambda cell: cell._replace(is_resting=True), "7"),
        (of_kind(MINIMUM, apart=0.3), "8"),
        (where(0.1, 0.1, apart=1e-9), "9"),
        (where(0.0, 0.2, apart=0.3), "10"),
        (where(0.0, 0.1, apart=1e-9), "11"),
        (of_kind(OSCILLATION, gradient=1e-6), "12"),
    ],
    ids=["saddle", "minimum", "oscillation", "wrong side", "another penalty", "an oscillation at rest",
         "rests too fast", "dies into many", "grows into one", "mirrors apart", "mirrors together", "rests elsewhere"],
)  # fmt: skip
def test_runs_that_do_otherwise_fail(doctor: Doctor, failing: str) -> None:
    answered = answer(made_up(doctor))
    assert ", ".join(claim.identity for claim in answered.claims if claim.verdict == FAILS) == failing
    assert answered.conclusion.startswith(f"Predictions that fail: {failing}.")
    assert all(claim.worst_run for claim in answered.claims if claim.verdict == FAILS)


def test_what_cannot_be_measured_is_counted_and_not_dropped() -> None:
    """Pushes that outgrow the linear range before their twin rests, those that have not left it, and near misses."""
    outgrown = answer(made_up(where(0.1, 0.1, 1.0, rate=1.0))).claims[0]
    assert outgrown.runs == 10
    assert outgrown.measured.endswith("; 1 more cell without a rate: the push was no longer small when its twin rested")
    slow = answer(made_up(where(0.1, 0.1, rate=0.02))).claims[8]
    assert (slow.verdict, slow.measured) == (NOT_TESTED, "4 runs had not left the linear range (distance 0.001)")
    tables = made_up()
    near = 2.0 / WHOLE + 1e-3
    tables = replace(tables, runs=tables.runs.assign(**{names.RATE: tables.runs[names.RATE].replace(3.0, near)}))
    rest = answer(tables).claims[6]
    assert (rest.verdict, rest.runs) == (EXACTLY, 4)
    assert rest.measured.endswith("; 2 cells too near the boundary for so few steps")


def test_odd_and_even_steps_have_lines_of_their_own() -> None:
    """Two eigenvectors with factors of opposite signs: the norm alternates, its slope does not."""
    tables = made_up()
    run_id = pushed_networks(tables).query("kind == 'minimum'")["run_id"].iloc[0]
    before = pushed_networks(tables).set_index("run_id").loc[run_id, "rate"]
    is_odd = (tables.curves["run_id"] == run_id) & (tables.curves["step"] % 2 == 1)
    curves = tables.curves.assign(value=tables.curves["value"].where(~is_odd, 3.0 * tables.curves["value"]))
    after = pushed_networks(replace(tables, curves=curves)).set_index("run_id").loc[run_id, "rate"]
    assert after == pytest.approx(before, rel=1e-9)


def test_where_neither_end_of_the_spectrum_dominates_the_cell_is_named_and_decides_nothing() -> None:
    # |1 - eta lambda| is 0.94 and 0.93: their ratio after 60 steps is below e.
    claim = answer(made_up(where(0.1, 0.2, 1.0, smallest=0.06, largest=1.93, rate=-0.07))).claims[1]
    assert (claim.verdict, claim.runs) == (WITHIN, 4)
    assert (
        "left out, because neither end of the spectrum dominated within the measured steps: at l2 = 0.2,"
        in claim.measured
    )


def test_a_single_seed_decides_no_rate() -> None:
    tables = made_up()
    tables = replace(tables, runs=tables.runs[tables.runs["seed"] == 0])
    assert [claim.verdict for claim in answer(tables).claims[:5]] == [UNDECIDED] * 5


def trained() -> Tables:
    base = {"init": "perturbed", "data": "iris", "data.limit": None, "data.test_fraction": 0.0, "model.bias": False,
            "model.hidden_units": [4], "training.batch_size": None, "training.measure_at": 110,
            "training.steps": 260}  # fmt: skip
    twin = {"init.epsilon": 0.0, "measures": ["stability", "hessian"], "training.measure_at": 12}
    pushed = {"arithmetic": "blas", "measures": ["distance_modulo_sign"]}
    cells: list[tuple[float, float, float, float]] = [
        (0.1, 0.1, 2.0, 1e-11), (0.1, 0.3, 1.0, 1e-4), (0.1, 0.3, 4.0, 1e-4),
        (0.0, 0.3, 1.0, 1e-9), (0.0, 1.3, 1.0, 1e-9),
    ]  # fmt: skip
    return trained_tables(
        base | {"init.value": value, "training.l2": l2, names.RATE: eta} | one
        for value, l2, eta, epsilon in cells
        for one in (twin, *(pushed | {"init.epsilon": epsilon, "seed": seed} for seed in range(3)))
    )


def test_trained_networks_do_as_their_hessians_say() -> None:
    tables = trained()
    claims = answer(tables).claims
    # A saddle from 0.1 and one from 0, a minimum, an oscillation from 0, and a network that does not rest.
    assert [claims[place].verdict for place in (0, 1, 2, 3)] == [WITHIN, WITHIN, WITHIN, EXACTLY]
    assert [claims[place].runs for place in (0, 1, 2)] == [6, 3, 3]
    assert [claims[place].verdict for place in (5, 6, 7, 8, 11)] == [EXACTLY, EXACTLY, WITHIN, WITHIN, WITHIN]
    twins = twins_of(tables)
    assert list(twins["rests_at"].isna()) == [False, False, False, False, True]
    # At 0 the breaking directions have the penalty plus and minus the singular values of inputs times deltas.
    at_zero = twins[twins["init.value"] == 0.0]
    np.testing.assert_allclose(at_zero["smallest"] + at_zero["largest"], 2.0 * at_zero["training.l2"], rtol=1e-6)


def test_other_runs_test_nothing() -> None:
    tables = trained_tables([{"init": "normal"}, {"init": "perturbed"}])
    assert {claim.verdict for claim in answer(tables).claims} == {NOT_TESTED}
    for figure in (stability_phases, stability_rates, stability_steps):
        with pytest.raises(NotShownError, match="unpushed twin"):
            figure(tables)


def test_the_figures_show_every_cell() -> None:
    tables = made_up()
    phases, rates, steps = stability_phases(tables), stability_rates(tables), stability_steps(tables)
    left, right = phases.figure.axes[:2]
    assert [axes.get_title() for axes in (left, right)] == ["push from 0.1, 6 cells", "push from 0, 6 cells"]
    assert [len(axes.collections[0].get_offsets()) for axes in (left, right)] == [4, 6]
    no_rest = left.lines[0]
    assert sorted(map(tuple, np.transpose(no_rest.get_data()))) == [(3.0, 0.1), (3.0, 0.2)]
    solid, dashed = left.lines[-2:]
    np.testing.assert_allclose(solid.get_ydata(), 0.16)
    np.testing.assert_allclose(dashed.get_xdata(), 2.0 / WHOLE)
    marks = [line for line in rates.figure.axes[0].lines if line.get_linestyle() == "None"]
    points = np.concatenate([np.transpose(line.get_data()) for line in marks])
    assert len(points) == len(rates.data) == 10
    np.testing.assert_allclose(points[:, 0], points[:, 1], rtol=1e-9)
    assert [axes.get_title().split(",")[0] for axes in steps.figure.axes] == [SADDLE, MINIMUM, OSCILLATION]
