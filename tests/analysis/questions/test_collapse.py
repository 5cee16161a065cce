"""The verdicts and figures of ``collapse`` on runs that do as predicted, and on doctored ones."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from analysis.claims.claim import EXACTLY, FAILS, NOT_TESTED, UNDECIDED, WITHIN, Claim
from analysis.questions.collapse.answer import answer
from analysis.questions.collapse.figures import collapse_fate, collapse_pairs, collapse_unit, collapse_width
from analysis.questions.collapse.tables import growing_units, noisy_networks, pairs
from analysis.questions.collapse.thresholds import pair_thresholds, unit_thresholds
from analysis.theory.noisy_labels import Batches, pair_rate, unit_rate
from analysis.tracked.tables import Tables, Weights
from pipeline import names
from tests.support.tracked import made_up_tables, with_entries

NUMBER = {"data": "coin", "training.loss": "squared_error", "model.bias": False, "training.l2": 0.0,
          "model.hidden_units": [1], "model.activation": "identity", "init": "constant", "data.limit": None,
          "measures": ["weight_norm", "effective_width"]}  # fmt: skip
TINY = NUMBER | {"init.value": 1e-60, "data.share": 0.1, "training.batch_size": 1}
PAIR = NUMBER | {"model.hidden_units": [2], "init": "perturbed", "init.value": 0.6, "data.share": 0.5,
                 "training.batch_size": None}  # fmt: skip
RELATIVE = names.symmetry("relative_distance")
STEPS = 1000
Made = tuple[Mapping[str, Any], Mapping[str, Mapping[int, float]]]


def wobble(seed: int) -> float:
    """A small difference between seeds, of mean 0 over three."""
    return (seed - 1) * 0.01


def unit(rate: float, noise: float, seed: int, factor: float = 1.0) -> Made:
    growth = factor * unit_rate(rate, noise, Batches.of(10, 1, 1)) + 0.1 * rate * wobble(seed)
    changes = TINY | {names.RATE: rate, "data.label_noise": noise, "seed": seed, "training.steps": STEPS}
    norms = {step: float(1e-60 * np.exp(growth * step)) for step in (0, STEPS)}
    return changes, {names.WEIGHT_NORM: norms, names.LOSS_TRAIN: {STEPS: 0.1}}


def ordinary(noise: float, seed: int) -> Made:
    vanishes = unit_rate(0.3, noise, Batches.of(10, 1, 1)) < 0.0
    changes = TINY | {
        "init.value": 0.3,
        names.RATE: 0.3,
        "data.label_noise": noise,
        "seed": seed,
        "training.steps": 9000,
    }
    return changes, {names.WEIGHT_NORM: {0: 0.4, 9000: 1e-20 if vanishes else 0.4}, names.LOSS_TRAIN: {9000: 0.1}}


def pair(activation: str, rate: float, noise: float, l2: float, seed: int) -> Made:
    growth = pair_rate(activation, 0.5, rate, noise**2 / 10.0, l2) * (1.0 + wobble(seed))
    changes = PAIR | {"model.activation": activation, "init.epsilon": 1e-6, names.RATE: rate, "training.l2": l2,
                      "data.label_noise": noise, "seed": seed, "training.steps": STEPS}  # fmt: skip
    distances = {step: float(1e-6 * np.exp(growth * step)) for step in range(0, STEPS + 1, 100)}
    return changes, {names.DISTANCE: distances, names.LOSS_TRAIN: {STEPS: 0.1}}


def different(activation: str, noise: float, seed: int) -> Made:
    changes = PAIR | {"model.activation": activation, "init.epsilon": 0.2, names.RATE: 0.2, "seed": seed,
                      "data.label_noise": noise, "training.steps": STEPS}  # fmt: skip
    ends = {names.EFFECTIVE_WIDTH: 1.0 if noise else 1.1, RELATIVE: 0.0 if noise and activation == "gelu" else 0.3,
            names.DISTANCE: 0.3, names.LOSS_TRAIN: 0.1}  # fmt: skip
    return changes, {metric: {0: 0.3, STEPS: value} for metric, value in ends.items()}


def usual(noise: float, seed: int) -> Made:
    changes = {
        "data": "iris",
        "training.batch_size": 10,
        "data.label_noise": noise,
        "seed": seed,
        "training.steps": STEPS,
    }
    ends = {names.EFFECTIVE_WIDTH: 1.2 if noise else 1.9, RELATIVE: 1.7 if noise else 1.4, names.DISTANCE: 1.0}
    curves = {metric: {0: 2.0, STEPS: value + wobble(seed)} for metric, value in ends.items()}
    return changes, curves | {names.LOSS_TRAIN: {STEPS: 0.1}}


def weights_of(tables: Tables, run_id: str) -> Weights:
    """As predicted: tanh units of which one has vanished, gelu units that are equal, identity units in proportion."""
    run = tables.runs.set_index("run_id").loc[run_id]
    if run["data"] == "iris":
        sizes = np.array([1.0, 0.01 if run["data.label_noise"] > 0.0 else 0.2, 0.5])
        return {"final_weights1": np.array([sizes]), "final_weights2": sizes[:, None], "final_biases1": 0.0 * sizes}
    smaller = (
        {"tanh": 1e-9, "gelu": 1.0, "identity": 0.5}[run["model.activation"]] if run["data.label_noise"] > 0.0 else 0.7
    )
    arrays = {"initial": (0.6, 0.3), "final": (0.8, 0.8 * smaller)}
    return {f"{end}_weights{layer}": np.array([units]) if layer == 1 else np.array([units]).T
            for end, units in arrays.items() for layer in (1, 2)}  # fmt: skip


@pytest.fixture(scope="module")
def tables() -> Tables:
    seeds = range(3)
    made = made_up_tables([
        *(unit(rate, noise, seed) for rate in (0.1, 1.0) for noise in (0.0, 0.5, 1.0, 1.5) for seed in seeds),
        *(ordinary(noise, seed) for noise in (0.0, 1.5) for seed in seeds),
        *(pair(activation, rate, noise, l2, seed) for activation in ("tanh", "gelu") for rate in (0.1, 0.2)
          for noise in (0.0, 1.2, 1.8) for l2 in (0.0, 0.01) for seed in seeds),
        *(different(activation, noise, seed) for activation in ("tanh", "gelu", "identity") for noise in (0.0, 2.4)
          for seed in seeds),
        *(usual(noise, seed) for noise in (0.0, 0.5) for seed in seeds),
    ])  # fmt: skip
    return replace(made, weights=lambda run_id: weights_of(made, run_id))


def claim(tables: Tables, place: int) -> Claim:
    return answer(tables).claims[place - 1]


def test_what_is_predicted_holds_for_runs_that_do_it(tables: Tables) -> None:
    answered = answer(tables)
    expected = [WITHIN, FAILS, WITHIN, EXACTLY, *[WITHIN] * 9, FAILS, WITHIN]
    assert [found.verdict for found in answered.claims] == expected
    assert answered.conclusion.startswith("Predictions that fail: 2, 14. A unit that has learned nothing yet vanishes")
    assert "(theory: 1.97), " in answered.conclusion
    # The statement that small steps are all there is fails for the large ones only.
    assert "against the prediction: at learning rate 1, noise" in answered.claims[1].measured
    small = tables.runs[(tables.runs["model.hidden_units"].map(len) == 1) & (tables.runs[names.RATE] == 0.1)]
    assert claim(replace(tables, runs=small), 2).verdict == WITHIN


def test_another_growth_rate_fails_the_rates_and_the_threshold() -> None:
    def cell(noise: float, seed: int) -> Made:
        # As if only half of the noise were felt.
        changes, curves = unit(1.0, 0.5 * noise, seed)
        return dict(changes) | {"data.label_noise": noise}, curves

    doctored = made_up_tables(cell(noise, seed) for noise in (0.0, 0.5, 1.0) for seed in range(3))
    rates, _, found, *_ = answer(doctored).claims
    assert rates.verdict == FAILS
    assert found.verdict == FAILS
    assert found.number > 1.25


def test_a_unit_that_does_not_vanish_or_diverges_fails_its_claim(tables: Tables) -> None:
    runs = tables.runs
    fated = runs[(runs["init.value"] == 0.3) & (runs["data.label_noise"] == 1.5)]["run_id"]
    found = claim(with_entries(tables, fated.iloc[0], {names.WEIGHT_NORM: 0.4}), 4)
    assert (found.verdict, found.worst_run) == (FAILS, fated.iloc[0])
    assert found.measured == "5 of 6 runs end as predicted"
    found = claim(with_entries(tables, fated.iloc[1], {"diverged": True}), 4)
    assert found.measured == "5 of 6 runs end as predicted; 1 diverged, at learning rate 0.3"
    short = replace(tables, runs=runs.assign(**{"training.steps": 1}))
    assert claim(short, 4).verdict == NOT_TESTED


def test_pairs_that_move_otherwise_fail_their_claims() -> None:
    def opposite(rate: float, noise: float, seed: int) -> Made:
        changes, curves = pair("tanh", rate, noise, 0.0, seed)
        return dict(changes) | {"model.activation": "gelu"}, curves

    doctored = made_up_tables(
        opposite(rate, noise, seed) for rate in (0.1, 0.2) for noise in (0.0, 1.8) for seed in range(3)
    )
    assert claim(doctored, 5).verdict == FAILS

    def slow(rate: float, seed: int) -> Made:
        changes, curves = pair("tanh", 0.1, 1.8, 0.0, seed)
        return dict(changes) | {names.RATE: rate}, curves

    found = claim(made_up_tables(slow(rate, seed) for rate in (0.1, 0.2) for seed in range(3)), 8)
    assert (found.verdict, round(found.number, 9)) == (FAILS, 0.0)

    def quieter(noise: float, seed: int) -> Made:
        # As if only half of the noise were felt.
        changes, curves = pair("tanh", 0.1, 0.5 * noise, 0.01, seed)
        return dict(changes) | {"data.label_noise": noise}, curves

    found = claim(made_up_tables(quieter(noise, seed) for noise in (0.0, 1.2, 2.4) for seed in range(3)), 7)
    assert found.verdict == FAILS


@pytest.mark.parametrize(
    ("place", "activation", "metric", "value"),
    [(9, "identity", names.EFFECTIVE_WIDTH, 1.5), (10, "gelu", RELATIVE, 0.01)],
)
def test_pairs_that_stay_two_fail_what_is_measured_of_them(
    tables: Tables, place: int, activation: str, metric: str, value: float
) -> None:
    runs = tables.runs
    chosen = runs[
        (runs["init.epsilon"] == 0.2) & (runs["model.activation"] == activation) & (runs["data.label_noise"] > 0.0)
    ]
    found = claim(with_entries(tables, chosen["run_id"].iloc[1], {metric: value}), place)
    assert (found.verdict, found.number, found.worst_run) == (FAILS, value, chosen["run_id"].iloc[1])


def test_pairs_with_other_weights_fail_what_follows_from_weights(tables: Tables) -> None:
    def other(run_id: str) -> Weights:
        weights = tables.weights(run_id)
        if "final_biases1" in weights:
            return weights
        return weights | {"final_weights1": np.array([[1.0, 0.05]]), "final_weights2": np.array([[1.0], [0.05]])}

    doctored = replace(tables, weights=other)
    # Identity units that have changed their proportion, tanh units of which none has vanished, identity units of which
    # one nearly has.
    claims = answer(doctored).claims
    assert [claims[place - 1].verdict for place in (6, 11, 12)] == [FAILS] * 3


def test_a_usual_network_is_compared_seed_by_seed_and_may_fail(tables: Tables) -> None:
    usual_runs = tables.runs[tables.runs["data"] == "iris"]
    noisy = usual_runs[usual_runs["data.label_noise"] > 0.0]["run_id"]
    assert len(noisy_networks(tables)) == 3
    doctored = tables
    for place, run_id in enumerate(noisy):
        doctored = with_entries(doctored, run_id, {names.EFFECTIVE_WIDTH: 3.0 + 0.01 * place, RELATIVE: 1.0})
    assert [found.verdict for found in answer(doctored).claims[-3:]] == [FAILS, WITHIN, WITHIN]
    alike = weights_of(tables, noisy.iloc[0])
    same = replace(
        tables, weights=lambda run_id: alike if run_id in set(usual_runs["run_id"]) else weights_of(tables, run_id)
    )
    assert claim(same, 15).verdict == FAILS
    assert claim(with_entries(tables, noisy.iloc[0], {names.EFFECTIVE_WIDTH: 3.0}), 13).verdict == UNDECIDED


def test_thresholds_are_those_of_the_theory(tables: Tables) -> None:
    found = unit_thresholds(growing_units(tables))
    assert sorted(set(found["exact"].round(2))) == [0.21, 1.97]
    np.testing.assert_allclose(found.groupby(names.RATE)["value"].mean(), 1.0, atol=0.01)
    found = pair_thresholds(pairs(tables))
    assert len(found.groupby(["model.activation", names.RATE])) >= 2
    np.testing.assert_allclose(found["value"].mean(), 1.0, atol=0.01)


def test_figures_show_the_measured_means_at_their_noise(tables: Tables) -> None:
    drawing = collapse_unit(tables)
    runs = growing_units(tables)
    expected = (runs["growth"] / runs[names.RATE]).groupby([runs[names.RATE], runs["noise"]]).mean()
    np.testing.assert_allclose(drawing.data["value"], expected.to_numpy())
    assert drawing.figure.axes[0].get_ylabel() == "growth rate over learning rate"
    drawing = collapse_pairs(tables)
    assert [axes.get_title() for axes in drawing.figure.axes] == ["gelu", "tanh"]
    assert (drawing.data[(drawing.data["activation"] == "gelu") & (drawing.data["l2"] == 0.0)]["value"] <= 1e-6).all()
    assert collapse_fate(tables).numbers == {"runs": 6, "diverged": 0}
    drawing = collapse_width(tables)
    titles = [axes.get_title() for axes in drawing.figure.axes[:4]]
    assert titles == ["gelu, 2 units", "identity, 2 units", "tanh, 2 units", "tanh, iris"]
    width = drawing.data[(drawing.data["metric"] == names.EFFECTIVE_WIDTH) & (drawing.data["step"] == STEPS)]
    shown = width.groupby(["panel", "is_noisy"])["value"].mean()
    assert shown["gelu, 2 units", True] == 0.0
    assert shown["tanh, iris", False] == pytest.approx(0.9)
