"""The verdicts of ``perturbation`` on runs that grow as predicted, on doctored ones, and on really trained ones."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from analysis.claims.answer import Answer
from analysis.claims.claim import EXACTLY, FAILS, NOT_TESTED, WITHIN
from analysis.figures.kit.drawing import NotShownError
from analysis.questions.perturbation.answer import answer
from analysis.questions.perturbation.figures import perturbation_distance, perturbation_size
from analysis.questions.perturbation.tables import pushed_networks, time_fit
from analysis.statistics.fits import Fit
from analysis.tracked.tables import Tables
from pipeline import names
from tests.support.tracked import made_up_tables, trained_tables, with_twins

STEPS = range(0, 801, 10)
RATE, SETTLED = 0.05, 100
EPSILONS = (0.0, 1e-16, 1e-12, 1e-8, 1e-4)
Grown = Callable[[float, int, int], float]


def grown(epsilon: float, seed: int, step: int) -> float:
    """As predicted: exponential up to 1, from a start that depends on the seed."""
    return float(min(1.0, epsilon * (1.0 + 0.1 * seed) * np.exp(RATE * step)))


def made_up(distance: Grown = grown, loss: float = 0.1) -> Tables:
    def run(epsilon: float, seed: int) -> tuple[Mapping[str, Any], Mapping[str, Mapping[int, float]]]:
        distances = {step: distance(epsilon, seed, step) for step in STEPS}
        losses = {step: 0.2 if step >= SETTLED else 0.5 for step in STEPS}
        if epsilon and distances[800] >= 0.1:
            losses[800] = loss
        changes = {
            "init": "perturbed",
            "init.epsilon": epsilon,
            "seed": seed,
            "arithmetic": "blas",
            "training.steps": 800,
        }
        curves = {names.DISTANCE: distances, names.symmetry("distance_max"): distances, names.LOSS_TRAIN: losses}
        return changes, curves

    return made_up_tables(run(epsilon, seed) for epsilon in EPSILONS for seed in range(3))


def verdicts(answered: Answer) -> list[str]:
    by_identity = {claim.identity: claim for claim in answered.claims}
    assert {by_identity[f"exact {place}"].verdict for place in range(1, 6)} == {NOT_TESTED}
    return [by_identity[f"blas {place}"].verdict for place in range(1, 6)]


def fitted(tables: Tables) -> Fit:
    fit = time_fit(pushed_networks(tables))
    assert fit is not None
    return fit


def test_every_prediction_holds_for_runs_that_grow_as_predicted() -> None:
    tables = made_up()
    answered = answer(tables)
    assert verdicts(answered) == [EXACTLY, EXACTLY, WITHIN, WITHIN, EXACTLY]
    networks = pushed_networks(tables)
    # Straight lines: their slopes are exact up to rounding.
    rates = networks["rate"].dropna()
    np.testing.assert_allclose(rates, RATE, rtol=1e-9)
    assert set(networks["settles_at"]) == {SETTLED}
    assert fitted(tables).slope == pytest.approx(-1.0 / RATE, rel=1e-9)
    assert answered.claims[8].number == pytest.approx(1.0, rel=1e-9)
    assert answered.conclusion.startswith(
        "With ordinary products the symmetry is broken in 12 of 12 runs, from 1e-16 up."
    )
    assert "costs 46.1 steps more" in answered.conclusion


@pytest.mark.parametrize(
    ("distance", "failing"),
    [
        (lambda epsilon, seed, step: grown(epsilon or 1e-300, seed, step), [1]),
        (lambda epsilon, seed, step: epsilon if 0.0 < epsilon < 1e-14 else grown(epsilon, seed, step), [2]),
        (lambda epsilon, seed, step: grown(epsilon, seed, 2 * step if epsilon < 1e-14 else step), [3, 4]),
        (lambda epsilon, seed, step: grown(epsilon if epsilon > 1e-10 else 100 * epsilon, seed, step), [4]),
    ],
    ids=["grows from nothing", "too small", "another rate", "an early start"],
)
def test_runs_that_grow_otherwise_fail(distance: Grown, failing: list[int]) -> None:
    answered = answer(made_up(distance))
    assert [place for place, verdict in enumerate(verdicts(answered), start=1) if verdict == FAILS] == failing
    listed = ", ".join(f"blas {place}" for place in failing)
    assert answered.conclusion.startswith(f"Predictions that fail: {listed}. ")


STABILITY = names.stability("smallest_eigenvalue")


def beside_a_minimum(
    decay: float = float(np.log(0.97)), eigenvalue: float = 0.03, growth: float = 1.0 - float(np.exp(RATE))
) -> Tables:
    """``made_up``, and pushed networks under a strong penalty, whose difference changes by e^decay a step."""
    changes = {"init": "perturbed", "arithmetic": "blas", "training.steps": 800, "optimizer.learning_rate": 1.0}
    runs = []
    for l2, value in ((0.001, growth), (0.3, eigenvalue)):
        losses = {step: 0.2 if step >= SETTLED else 0.5 for step in STEPS}
        still = dict.fromkeys(STEPS, 0.0)
        curves = {names.DISTANCE: still, STABILITY: {0: -9.0, 800: value}, names.LOSS_TRAIN: losses}
        runs.append((changes | {"training.l2": l2, "init.epsilon": 0.0}, curves))
    for seed in range(3):
        distances = {step: 1e-4 * (1.0 + seed) * float(np.exp(decay * step)) for step in STEPS}
        curves = {names.DISTANCE: distances, names.LOSS_TRAIN: dict.fromkeys(STEPS, 0.2)}
        runs.append((changes | {"training.l2": 0.3, "init.epsilon": 1e-4, "seed": seed}, curves))
    saddle, beside = made_up(), made_up_tables(runs)
    of_saddle = saddle.runs.assign(**{"training.l2": 0.001, names.RATE: 1.0})
    of_minimum = beside.runs.assign(run_id="beside " + beside.runs["run_id"])
    curves_beside = beside.curves.assign(run_id="beside " + beside.curves["run_id"])
    return replace(
        saddle, runs=pd.concat([of_saddle, of_minimum], ignore_index=True),
        curves=pd.concat([saddle.curves, curves_beside], ignore_index=True),
    )  # fmt: skip


def test_beside_a_minimum_small_pushes_die_at_the_rate_of_its_eigenvalue() -> None:
    claims = {claim.identity: claim for claim in answer(beside_a_minimum()).claims}
    assert {claims[f"blas {place}"].verdict for place in range(1, 8)} == {EXACTLY, WITHIN}
    assert claims["blas 2"].runs == 12  # Those that die beside a minimum contradict no statement about saddles.
    assert claims["blas 6"].runs == 3
    rate = "\N{MINUS SIGN}0.03046"
    assert f"l2 = 0.3: {rate} where {rate} was predicted" in claims["blas 7"].measured


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        # With a negative eigenvalue it is a saddle, too: then its pushes must break it.
        ({"decay": 0.001, "eigenvalue": -0.001}, 2),
        ({"decay": 1e-4}, 6),
        ({"decay": float(np.log(0.9))}, 7),
        ({"growth": -0.02}, 7),
    ],
)
def test_another_fate_or_rate_beside_a_minimum_fails(changes: dict[str, float], place: int) -> None:
    claims = {claim.identity: claim for claim in answer(beside_a_minimum(**changes)).claims}
    assert claims[f"blas {place}"].verdict == FAILS


def test_breaking_without_learning_fails_the_last_claim() -> None:
    answered = answer(made_up(loss=0.21))
    assert verdicts(answered)[-1] == FAILS
    assert answered.claims[-3].number == pytest.approx(-0.01)


def test_trained_networks_see_a_push_above_the_grid_of_exact_products_and_none_below() -> None:
    base = {
        "init": "perturbed",
        "data": "iris",
        "data.limit": None,
        "model.hidden_units": [8],
        "optimizer.learning_rate": 1.0,
        "training.l2": 0.03,
        "training.batch_size": None,
        "training.steps": 400,
        "training.measure_at": 60,
    }
    starts = [
        base | {"init.epsilon": epsilon, "seed": seed} for epsilon in (0.0, 1e-13, 1e-6, 1e-3) for seed in range(2)
    ]
    by_identity = {claim.identity: claim for claim in answer(trained_tables(starts)).claims}
    assert by_identity["exact 1"].verdict == EXACTLY
    assert by_identity["exact 2"].measured == "4 of 6 runs, from 1e-06 up; never within 400 steps from 1e-13 down"
    assert by_identity["exact 5"].verdict == EXACTLY


def test_other_runs_test_nothing() -> None:
    tables = trained_tables([{"init": "normal"}])
    assert {claim.verdict for claim in answer(tables).claims} == {NOT_TESTED}
    for figure in (perturbation_distance, perturbation_size):
        with pytest.raises(NotShownError, match="plus a push"):
            figure(tables)


def test_the_figures_show_every_push_where_its_numbers_are() -> None:
    tables = made_up()
    networks = pushed_networks(tables)
    drawing = perturbation_distance(tables)
    panel = drawing.figure.axes[0]
    lines = [line for line in panel.lines if len(line.get_ydata()) == len(STEPS)]
    assert len(lines) == len(EPSILONS)
    for epsilon, line in zip(EPSILONS, lines, strict=True):
        mean = scipy.stats.gmean if epsilon else np.mean
        expected = [mean([grown(epsilon, seed, step) for seed in range(3)]) for step in STEPS]
        np.testing.assert_allclose(line.get_ydata(), expected, rtol=1e-12)
    size = perturbation_size(tables)
    assert size.numbers["runs"] == drawing.numbers["runs"] == len(networks)
    found = size.data[size.data["quantity"] == "breaks_at"].set_index("epsilon")["value"]
    for epsilon in EPSILONS[1:]:
        assert found[epsilon] == pytest.approx(networks.loc[networks["init.epsilon"] == epsilon, "breaks_at"].mean())
    assert [axes.get_ylabel().split("\n")[0] for axes in size.figure.axes] == [
        "growth rate",
        "step at which the",
        "final training loss [nats]",
    ]


def test_beside_longer_runs_shorter_ones_decide_nothing() -> None:
    both = with_twins(made_up(), {"training.steps": 700, names.LOSS_TRAIN: 9.0})
    assert answer(both) == answer(made_up())
