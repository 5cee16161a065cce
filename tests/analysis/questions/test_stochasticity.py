"""The verdicts of ``stochasticity`` on really trained runs, and on runs doctored so that one prediction fails."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from analysis.claims.claim import EXACTLY, FAILS, NOT_TESTED, UNDECIDED, Claim
from analysis.figures.kit.drawing import NotShownError
from analysis.questions.stochasticity.answer import (
    BREAKING,
    KEEPING,
    PREDICTED_TO_BREAK,
    answer,
    networks_with_one_source,
)
from analysis.questions.stochasticity.figures import stochasticity_distance, stochasticity_speed
from analysis.statistics.breaking import APART, breaking_steps
from analysis.tracked.tables import Tables
from pipeline import names
from tests.support.tracked import made_up_tables, trained_tables, with_entries, with_value

STEPS = 150
SHARED = {
    "training.steps": STEPS,
    "training.measure_at": 12,
    "init": "constant",
    "model.hidden_units": [6],
    "training.l2": 0.0,
    "optimizer.learning_rate": 1.0,
}
SOURCES: dict[str, dict[str, object]] = {
    "minibatch order": {},
    "momentum": {"optimizer": "momentum"},
    "Adam": {"optimizer": "adam", "optimizer.learning_rate": 0.05},
    "weight decay": {"optimizer.weight_decay": 0.01},
    "dropout": {"model.dropout": 0.4},
    "random biases": {"init.bias_scale": 0.5},
    "random outgoing weights": {"init": "constant_layers", "init.values": [0.1, None]},
    "random incoming weights": {"init": "constant_layers", "init.values": [None, 0.1]},
}
LEFT_OUT: list[dict[str, object]] = [
    {"init": "normal"},
    {"model.dropout": 0.4, "init.bias_scale": 0.5},
    {"training.batch_size": None},
    {"arithmetic": "blas"},
    {"init": "constant_layers", "init.values": [None, None]},
]


@pytest.fixture(scope="module")
def tables() -> Tables:
    starts = [SHARED | changes | {"seed": seed} for changes in SOURCES.values() for seed in range(3)]
    return trained_tables([*starts, *(SHARED | changes for changes in LEFT_OUT)])


def claim_about(tables: Tables, source: str) -> Claim:
    return answer(tables).claims[list(PREDICTED_TO_BREAK).index(source)]


def run_with(tables: Tables, source: str) -> str:
    networks = networks_with_one_source(tables)
    return str(networks.loc[networks["source"] == source, "run_id"].iloc[0])


def test_every_prediction_holds_for_trained_runs(tables: Tables) -> None:
    answered = answer(tables)
    assert [(claim.measured, claim.verdict) for claim in answered.claims if claim.verdict != EXACTLY] == []
    assert [claim.identity for claim in answered.claims] == list("123456789")
    assert [claim.runs for claim in answered.claims[:-1]] == [3] * 8
    assert answered.conclusion.startswith(
        "With minibatch order, momentum, Adam and weight decay the hidden units stay exactly equal (distance 0) at"
        f" every step up to {STEPS}. Each of these drives them 0.1 apart, on average at the step given: random incoming"
    )
    losses = networks_with_one_source(tables).groupby("source")["loss/train"].mean()
    gains = (losses["minibatch order"] - losses)[list(BREAKING)]
    words = f"loss is then lower by {gains.min():.3g} to {gains.max():.3g} than with minibatches alone."
    assert answered.conclusion.endswith(words)


def test_the_source_of_randomness_follows_from_the_params(tables: Tables) -> None:
    found = networks_with_one_source(tables).set_index("run_id")["source"]
    assert list(found) == [source for source in SOURCES for _ in range(3)]


@pytest.mark.parametrize("source", ["minibatch order", *KEEPING])
@pytest.mark.parametrize("measure", ["outgoing_distance", "delta_spread"])
def test_the_smallest_difference_fails_what_is_to_keep_the_symmetry(tables: Tables, source: str, measure: str) -> None:
    run_id = run_with(tables, source)
    doctored = with_value(tables, run_id, names.symmetry(measure), 1, 1e-300)
    claim = claim_about(doctored, source)
    assert (claim.verdict, claim.number, claim.worst_run) == (FAILS, 1e-300, run_id)
    assert answer(doctored).conclusion.startswith(f"Predictions that fail: {claim.identity}. With ")


@pytest.mark.parametrize("source", BREAKING)
def test_a_run_that_keeps_the_symmetry_fails_what_is_to_break_it(tables: Tables, source: str) -> None:
    run_id, curves = run_with(tables, source), tables.curves.copy()
    curves.loc[(curves["run_id"] == run_id) & (curves["metric"] == names.DISTANCE), "value"] = 0.0
    claim = claim_about(replace(tables, curves=curves), source)
    assert (claim.verdict, claim.number, claim.worst_run) == (FAILS, np.inf, run_id)
    assert claim.measured.endswith(f"0.1 not reached by 1 of 3 runs in {STEPS} steps")


@pytest.mark.parametrize("source", BREAKING)
def test_one_late_distance_of_0_fails_it_too(tables: Tables, source: str) -> None:
    later = min(step for step in tables.curves["step"] if step >= 2)
    assert (
        claim_about(with_value(tables, run_with(tables, source), names.DISTANCE, later, 0.0), source).verdict == FAILS
    )


def test_breaking_without_learning_fails_the_last_claim(tables: Tables) -> None:
    networks = networks_with_one_source(tables)
    runs = networks.loc[networks["source"] == "dropout", "run_id"]
    doctored = with_entries(tables, runs.iloc[0], {names.LOSS_TRAIN: 9.0})
    claim = answer(doctored).claims[-1]
    assert claim.verdict == UNDECIDED
    assert claim.measured.startswith("higher by ") == (claim.number < 0.0)
    assert "with dropout, width 6, the furthest of 4 cases; undecided: with dropout, width 6" in claim.measured
    assert claim.low < 0.0 < claim.high
    for place, run_id in enumerate(runs):
        doctored = with_entries(doctored, run_id, {names.LOSS_TRAIN: 9.0 + 0.01 * place})
    claim = answer(doctored).claims[-1]
    assert claim.verdict == FAILS
    assert claim.worst_run in set(runs)


def test_steps_are_found_between_measured_ones() -> None:
    grown = {0: 1e-9, 10: APART * np.exp(-1.0), 20: APART * np.exp(3.0), 30: APART}
    curves = [grown, {0: 0.0, 5: 1.0}, {0: 1.0, 5: 0.0}, {0: 0.0, 5: 0.09}]
    tables = made_up_tables([(SHARED, {names.DISTANCE: curve}) for curve in curves])
    # A line through logarithms -1 and 3 is at 0 after a quarter of its way.
    np.testing.assert_allclose(breaking_steps(tables).to_numpy(), [12.5, 5.0, 0.0, np.inf], rtol=1e-14)


def test_units_that_mirror_each_other_do_not_count_as_apart() -> None:
    """Where it was measured, the distance modulo sign decides."""
    far = {0: 0.0, 10: 1.0, 20: 1.0}
    near = {0: 0.0, 10: 0.0, 20: 1.0}
    tables = made_up_tables([
        (SHARED, {names.DISTANCE: far}), (SHARED, {names.DISTANCE: far, names.DISTANCE_MODULO_SIGN: near}),
    ])  # fmt: skip
    assert breaking_steps(tables).tolist() == [10.0, 20.0]


def test_the_learning_claim_tells_whether_inputs_were_told_apart(tables: Tables) -> None:
    runs = networks_with_one_source(tables)["run_id"]
    measured = pd.DataFrame({"run_id": runs, "metric": names.INPUT_DISTANCE, "step": STEPS, "value": 0.25})
    claim = answer(replace(tables, curves=pd.concat([tables.curves, measured]))).claims[-1]
    assert claim.measured.endswith("smallest mean distance between inputs at the end 0.25")


def test_other_runs_test_nothing() -> None:
    tables = trained_tables([{"init": "normal"}])
    answered = answer(tables)
    assert {claim.verdict for claim in answered.claims} == {NOT_TESTED}
    for figure in (stochasticity_distance, stochasticity_speed):
        with pytest.raises(NotShownError, match="one source of randomness"):
            figure(tables)


def test_the_figures_show_every_source_where_its_numbers_are(tables: Tables) -> None:
    networks = networks_with_one_source(tables)
    drawing = stochasticity_distance(tables)
    left, right = drawing.figure.axes
    means = drawing.data[drawing.data["step"] == STEPS].set_index("source")["value"]
    at_end = [line.get_ydata()[-1] for axes in (left, right) for line in axes.lines if len(line.get_ydata()) > 2]
    assert at_end == [means[source] for source in PREDICTED_TO_BREAK]
    expected = networks.groupby("source")[names.DISTANCE].mean()
    assert means[expected.index].to_numpy() == pytest.approx(expected.to_numpy())
    speed = stochasticity_speed(tables)
    steps, losses = speed.figure.axes
    labels = [text.get_text() for text in steps.get_yticklabels()]
    assert labels == list(reversed(PREDICTED_TO_BREAK))
    assert [text.get_text() for text in steps.texts] == ["never"] * 4
    diamonds = [float(line.get_xdata()[0]) for line in losses.lines if line.get_marker() == "D"]
    loss = networks.groupby("source")[names.LOSS_TRAIN].mean()
    assert diamonds == pytest.approx([loss[source] for source in labels])
    assert losses.get_xlabel() == "final training loss [nats]"
