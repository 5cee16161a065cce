"""The question ``rounding`` on made-up runs: its numbers, its verdicts, and what doctored runs do to them."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from analysis.claims.claim import EXACTLY, FAILS, NOT_TESTED, WITHIN, Claim
from analysis.figures.kit.drawing import FIGURES_OF_QUESTIONS, NotShownError
from analysis.questions.rounding.answer import answer, symmetric_networks
from analysis.tracked.tables import Tables
from pipeline import names
from tests.support.tracked import made_up_tables, with_value

STEPS = range(0, 1001, 20)
RATE = 0.05
BASE = {"init": "constant", "optimizer.learning_rate": 0.5}
Run = tuple[dict[str, Any], dict[str, dict[int, float]]]


def run(width: int, product: str, distances: dict[int, float], loss: float) -> Run:
    arithmetic, _, dtype = product.partition(" ")
    changes = BASE | {"model.hidden_units": [width], "arithmetic": arithmetic, "dtype": dtype or "float64"}
    keys = (names.DISTANCE, names.symmetry("distance_max"), names.symmetry("outgoing_distance"))
    return changes, dict.fromkeys(keys, distances) | {names.LOSS_TRAIN: {0: 2.3, 1000: loss}}


def never() -> dict[int, float]:
    return dict.fromkeys(STEPS, 0.0)


def growing(leaves: int, first: float, rate: float = RATE) -> dict[int, float]:
    """Exactly 0, then an exponential up to 1."""
    return {step: min(first * np.exp(rate * (step - leaves)), 1.0) if step >= leaves else 0.0 for step in STEPS}


def runs() -> list[Run]:
    return [
        run(4, "exact", never(), 1.5),
        run(5, "exact", never(), 1.4),
        run(4, "blas float64", never(), 1.5),
        run(5, "blas float64", growing(40, 1e-17), 0.9),
        run(4, "blas float32", never(), 1.5),
        run(5, "blas float32", growing(20, 1e-9), 0.8),
    ]


@pytest.fixture
def tables() -> Tables:
    return made_up_tables(runs())


def claims(tables: Tables) -> dict[str, Claim]:
    return {claim.identity: claim for claim in answer(tables).claims}


def test_what_a_distance_did_is_read_off_its_curve(tables: Tables) -> None:
    networks = symmetric_networks(tables).set_index(["product", "width"])
    assert networks["leaves"].dropna().to_dict() == {("blas, float64", 5): 40.0, ("blas, float32", 5): 20.0}
    rates = networks["rate"].dropna()
    # The logarithm of an exponential, rounded; and its end at 1e-3 excludes the plateau.
    np.testing.assert_allclose(rates, RATE, rtol=1e-12)
    assert len(rates) == 2
    assert networks.loc[("blas, float64", 5), "amplified"] == pytest.approx(1.0 / (1e-17 * 960))


def test_runs_as_predicted_hold(tables: Tables) -> None:
    found = claims(tables)
    assert {identity: claim.verdict for identity, claim in found.items()} == {
        "1": EXACTLY, "2": EXACTLY, "3": EXACTLY, "4": EXACTLY, "5": WITHIN, "6": EXACTLY,
    }  # fmt: skip
    assert found["1"].runs == 2
    assert found["1"].steps == 2 * len(STEPS)
    assert found["2"].measured == "1 of 2 widths break; not 4"
    assert found["6"].number == pytest.approx(0.5)
    conclusion = answer(tables).conclusion
    assert "at distance 0 at all 2 widths" in conclusion
    assert "1 of 2 widths (blas, float64) and 1 of 2 widths (blas, float32)" in conclusion
    assert "ends lower by 0.5 to 0.6" in conclusion
    assert "Predictions that fail" not in conclusion


@pytest.mark.parametrize("metric", [names.symmetry("distance_max"), names.symmetry("outgoing_distance")])
def test_the_smallest_distance_with_exact_products_fails(tables: Tables, metric: str) -> None:
    doctored = with_value(tables, "run001", metric, 500, 5e-324)
    claim = claims(doctored)["1"]
    assert (claim.verdict, claim.worst_run) == (FAILS, "run001")
    assert "Products that do not round keep" not in answer(doctored).conclusion
    assert answer(doctored).conclusion.startswith("Predictions that fail: 1. On this machine, products that round")


def doctored_runs(place: int, replacement: Run) -> Tables:
    changed = runs()
    changed[place] = replacement
    return made_up_tables(changed)


@pytest.mark.parametrize(
    ("identity", "place", "replacement"),
    [
        ("2", 3, run(5, "blas float64", never(), 1.4)),
        ("3", 5, run(5, "blas float32", never(), 1.4)),
        # One rounding error a step, and nothing amplifies it.
        ("4", 3, run(5, "blas float64", {step: 1e-17 * max(step - 40, 0) for step in STEPS}, 1.4)),
        # Growth that starts again: two exponentials of very different rates.
        ("5", 3, run(5, "blas float64", {s: growing(40, 1e-17)[s] if s < 300 else growing(40, 1e-17)[280] * np.exp(
            0.005 * (s - 280)) for s in STEPS}, 0.9)),
        ("6", 3, run(5, "blas float64", growing(40, 1e-17), 1.45)),
    ],
)  # fmt: skip
def test_a_doctored_run_flips_its_verdict_alone(identity: str, place: int, replacement: Run) -> None:
    found = claims(doctored_runs(place, replacement))
    assert found[identity].verdict == FAILS
    others = {claim.verdict for key, claim in found.items() if key != identity}
    assert FAILS not in others


def test_what_another_machine_may_do_otherwise_says_its_machine(tables: Tables) -> None:
    facts = {"machine.cpu": "x86_64", "machine.simd": "AVX2", "machine.blas": "openblas Haswell", "version.numpy": "2"}
    found = claims(replace(tables, runs=tables.runs.assign(environment=[facts] * len(tables.runs))))
    assert {claim.machine for key, claim in found.items() if key != "1"} == {"x86_64, AVX2, openblas Haswell"}
    assert found["1"].machine == ""


def test_without_runs_of_its_kind_a_claim_is_not_tested() -> None:
    found = claims(made_up_tables(runs()[:2]))
    assert found["1"].verdict == EXACTLY
    assert {found[identity].verdict for identity in "23456"} == {NOT_TESTED}
    assert "experiment=rounding" in found["2"].command
    random = made_up_tables([({"init": "normal"}, {names.DISTANCE: {0: 1.0}, names.LOSS_TRAIN: {0: 1.0}})])
    assert {claim.verdict for claim in claims(random).values()} == {NOT_TESTED}
    for draw in FIGURES_OF_QUESTIONS["rounding"].values():
        with pytest.raises(NotShownError, match="experiment=rounding"):
            draw(random)


def test_the_figures_show_every_measured_distance_and_every_run(tables: Tables) -> None:
    draw = FIGURES_OF_QUESTIONS["rounding"]
    drawing = draw["rounding_distance"](tables)
    assert len(drawing.data) == 6 * len(STEPS)
    lines = [[line for line in axes.lines if len(line.get_xdata()) == len(STEPS)] for axes in drawing.figure.axes[:3]]
    assert [len(found) for found in lines] == [2, 2, 2]
    shown = sorted(tuple(line.get_ydata()) for line in lines[1])
    assert shown == sorted([tuple(never().values()), tuple(growing(40, 1e-17).values())])
    assert drawing.numbers["broken"] == "0 of 2 (exact), 1 of 2 (blas, float64), 1 of 2 (blas, float32)"
    overview = draw["rounding_widths"](tables)
    assert overview.data["leaves"].notna().sum() == 2
    distance, leaves, rate, loss = overview.figure.axes
    assert distance.get_ylabel().startswith("final distance")
    assert distance.get_ylim()[0] < 0.0
    assert [list(line.get_xdata()) for line in loss.lines] == [[4, 5]] * 3
    assert rate.get_ylabel() == "growth rate\nper step"
    assert leaves.get_yscale() == "log"
