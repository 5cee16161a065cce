"""The verdicts come from the data: real runs pass, one doctored number flips them."""

from dataclasses import replace

import numpy as np
import pytest

from analysis.claims.claim import EXACTLY, FAILS, NOT_TESTED, WITHIN, Claim
from analysis.claims.source_text import claims_of, claims_table
from analysis.figures.architecture import tracked_networks
from analysis.figures.kit.words import loss_label
from analysis.theory.gradient_check import gradient_check, negative_log_likelihood
from analysis.tracked.tables import Tables
from pipeline import names
from tests.support.tracked import default_grid, trained_tables, with_entries, with_value

RATE = "optimizer.learning_rate"


@pytest.fixture(scope="module")
def tables() -> Tables:
    # A longer training, so that logistic regression comes near its optimum.
    settings = {"training.steps": 600, "training.l2": 0.01, "training.batch_size": None}
    return trained_tables([changes | settings for changes in default_grid()])


def verdict(tables: Tables, identity: str, arithmetic: str | None = None) -> Claim:
    (claim,) = [
        claim for claim in claims_of(tables) if claim.identity == identity and arithmetic in (None, claim.arithmetic)
    ]
    return claim


def run_of(tables: Tables, params: dict[str, object]) -> str:
    runs = tables.runs
    for key, value in params.items():
        runs = runs[runs[key] == value]
    return str(runs["run_id"].iloc[0])


def test_real_runs_confirm_every_statement(tables: Tables) -> None:
    found = {claim.identity: claim.verdict for claim in claims_of(tables)}
    exact = {"2b", "2c", "2d", "2e, hidden", "2e, outputs", "2e, a = 0", "2f", "2g-i", "2g-iii"}
    assert found == dict.fromkeys(exact, EXACTLY) | {"1": WITHIN, "2g-ii": WITHIN}


def test_each_claim_counts_the_runs_that_decide_it(tables: Tables) -> None:
    claim = verdict(tables, "2f")
    assert claim.runs == 8  # 2 symmetric starts x 2 learning rates x 2 seeds
    steps = tables.curves[(tables.curves["run_id"] == run_of(tables, {"model": "mlp"}))]["step"].nunique()
    assert claim.steps == 8 * steps
    assert claim.widths == "32"
    assert verdict(tables, "2e, hidden").steps == 8


@pytest.mark.parametrize(
    ("identity", "metric", "step", "value", "params"),
    [
        ("2b", "symmetry/activation_spread", 600, 1e-17, {"model": "mlp", "init": "constant"}),
        ("2c", "symmetry/delta_spread", 0, 1e-300, {"model": "mlp", "init": "zeros"}),
        ("2d", names.OUTPUT_DELTA_SPREAD, 1, 0.0, {"model": "mlp", "init": "constant"}),
        ("2e, hidden", "symmetry/outgoing_distance", 1, 1e-12, {"model": "mlp", "init": "constant"}),
        ("2e, outputs", names.OUTPUT_WEIGHT_SPREAD, 1, 0.0, {"model": "mlp", "init": "constant"}),
        ("2e, a = 0", names.OUTPUT_WEIGHT_SPREAD, 600, 1e-9, {"model": "mlp", "init": "zeros"}),
        ("2f", "symmetry/distance_max", 600, 1e-16, {"model": "mlp", "init": "constant"}),
        ("2g-i", "symmetry/distance_min", 0, 0.0, {"model": "mlp", "init": "he_normal"}),
        ("2g-ii", names.OPTIMUM_GAP, 600, 0.5, {"model": "logistic", "init": "normal", RATE: 1.0}),
    ],
)  # fmt: skip
def test_one_doctored_number_flips_the_verdict_and_names_the_run(
    tables: Tables, identity: str, metric: str, step: int, value: float, params: dict[str, object]
) -> None:
    run_id = run_of(tables, params)
    claim = verdict(with_value(tables, run_id, metric, step, value), identity)
    assert claim.verdict == FAILS
    assert claim.worst_run == run_id
    others = {c.identity: c.verdict for c in claims_of(tables) if c.identity not in (identity, "2f")}
    assert FAILS not in others.values()


def test_a_symmetric_run_that_learns_too_well_flips_2g_iii(tables: Tables) -> None:
    runs = tables.runs.copy()
    run_id = run_of(tables, {"model": "mlp", "init": "constant"})
    runs.loc[runs["run_id"] == run_id, names.LOSS_TRAIN] = 1e-6
    claim = verdict(replace(tables, runs=runs), "2g-iii")
    assert (claim.verdict, claim.worst_run) == (FAILS, run_id)
    runs = tables.runs.copy()
    runs.loc[runs["run_id"] == run_id, names.DISTINCT_UNITS] = 2.0
    assert verdict(replace(tables, runs=runs), "2g-iii").verdict == FAILS


@pytest.mark.parametrize(("part", "found"), [(1.02, EXACTLY), (1.005, NOT_TESTED), (0.995, NOT_TESTED), (0.98, FAILS)])
def test_starts_that_end_alike_do_not_decide_2g_iii(part: float, found: str) -> None:
    tables = trained_tables([{"init": "constant"}, {"init": "normal"}])
    constant, random = tables.runs["run_id"]
    loss = float(tables.runs.loc[tables.runs["run_id"] == random, names.LOSS_TRAIN].item())
    claim = verdict(with_entries(tables, constant, {names.LOSS_TRAIN: part * loss}), "2g-iii")
    assert claim.verdict == found
    assert claim.worst_run == (constant if found == FAILS else "")


def test_starts_of_other_settings_do_not_decide_2g_iii() -> None:
    for key, value in (("training.steps", 10), ("optimizer", "adam"), ("training.batch_size", 16)):
        tables = trained_tables([{"init": "constant"}, {"init": "normal", key: value}])
        assert verdict(tables, "2g-iii").verdict == NOT_TESTED


def test_claims_without_runs_say_so_and_how_to_test_them() -> None:
    only_random = trained_tables([{"init": "normal"}])
    found = {claim.identity: claim for claim in claims_of(only_random)}
    assert found["2g-i"].verdict == EXACTLY
    for identity in ("2b", "2c", "2d", "2e, hidden", "2f", "2g-ii", "2g-iii"):
        assert found[identity].verdict == NOT_TESTED
        assert found[identity].command.startswith("python -m pipeline.run -m")
        assert np.isnan(found[identity].number)


def test_separable_data_do_not_decide_2g_ii() -> None:
    separable = trained_tables([{"model": "logistic", "training.l2": 0.0}])
    claim = verdict(separable, "2g-ii")
    assert claim.verdict == NOT_TESTED
    assert "separable" in claim.measured
    assert "experiment=logistic" in claim.command


def test_a_gap_that_still_falls_decides_nothing_and_one_that_stalls_refutes_2g_ii() -> None:
    setting = {"model": "logistic", "training.l2": 0.01, "training.batch_size": None, "init": "normal"}
    short = trained_tables([setting])
    claim = verdict(short, "2g-ii")
    assert claim.verdict == NOT_TESTED
    assert "still falls" in claim.measured
    curve = short.curve(names.OPTIMUM_GAP).sort_values("step")
    last = curve.iloc[-1]
    half = curve.loc[curve["step"] <= last["step"] // 2, "value"].iloc[-1]
    stalled = with_value(short, last["run_id"], names.OPTIMUM_GAP, int(last["step"]), 0.995 * half)
    assert verdict(stalled, "2g-ii").verdict == FAILS


def test_rounding_is_judged_apart() -> None:
    setting = {"init": "constant", "training.steps": 20, "model.hidden_units": [16]}
    tables = trained_tables([setting | {"arithmetic": arithmetic} for arithmetic in ("exact", "blas")])
    rounded = tables.runs.set_index("arithmetic")["run_id"]["blas"]
    tables = with_value(tables, rounded, names.symmetry("distance_max"), 20, 0.1)
    assert verdict(tables, "2f", "exact").verdict == EXACTLY
    assert verdict(tables, "2f", "blas").verdict == FAILS


def test_the_number_of_a_diverged_run_after_its_overflow_does_not_count() -> None:
    tables = trained_tables([{"init": "constant", "model.activation": "relu", "optimizer.learning_rate": 1e30}])
    assert tables.runs["diverged"].all()
    assert verdict(tables, "2f").verdict == EXACTLY


def test_the_corrected_gradient_matches_finite_differences_and_the_printed_one_does_not() -> None:
    check = gradient_check()
    # Central differences of step 1e-6 are right to about 1e-8 here: truncation 1e-12, cancellation 1e-16 * J / 1e-6.
    assert check.corrected < 1e-6
    assert check.printed > 1.0


def test_the_negative_log_likelihood_is_minus_the_log_of_the_likelihood() -> None:
    inputs, labels, weights = np.array([[1.0], [2.0]]), np.array([1.0, 0.0]), np.array([0.3])
    probabilities = 1.0 / (1.0 + np.exp(-inputs[:, 0] * 0.3))
    likelihood = probabilities[0] * (1.0 - probabilities[1])
    assert negative_log_likelihood(weights, inputs, labels) == pytest.approx(-np.log(likelihood), rel=1e-12)


def test_the_table_has_a_row_a_claim(tables: Tables) -> None:
    frame = claims_table(claims_of(tables))
    assert list(frame.columns) == list(Claim._fields)
    assert frame["verdict"].isin([EXACTLY, WITHIN]).all()


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_units_that_an_exploding_run_rounds_together_do_not_refute_2g_i(tables: Tables, dtype: str) -> None:
    run_id = run_of(tables, {"model": "mlp", "init": "he_normal"})
    runs = tables.runs.assign(dtype=dtype)
    merged = with_value(replace(tables, runs=runs), run_id, "symmetry/distance_min", 600, 0.0)
    assert verdict(merged, "2g-i").verdict == FAILS
    for growth, found in ((0.5, FAILS), (4.0, EXACTLY)):
        loss = growth * float(tables.curve(names.LOSS_TRAIN).query("run_id == @run_id and step == 0")["value"].iloc[0])
        exploded = with_value(merged, run_id, names.LOSS_TRAIN, 600, loss / float(np.finfo(dtype).eps))
        assert verdict(exploded, "2g-i").verdict == found


def test_the_noise_of_batches_does_not_refute_2g_ii(tables: Tables) -> None:
    run_id = run_of(tables, {"model": "logistic", "init": "normal", RATE: 1.0})
    noisy = with_value(tables, run_id, names.OPTIMUM_GAP, 600, 0.5)
    claim = verdict(replace(noisy, runs=noisy.runs.assign(**{"training.batch_size": 64})), "2g-ii")
    assert claim.verdict == NOT_TESTED
    assert claim.measured.endswith("with the noise of batches of 64: set training.batch_size=null, or")


def test_a_quantity_as_target_makes_it_linear_regression(tables: Tables) -> None:
    runs = tables.runs.assign(**{"training.loss": None, "data.task": "regression"})
    statement = verdict(replace(tables, runs=runs), "2g-ii").statement
    assert statement == "Linear regression reaches its global optimum from every start."
    assert verdict(tables, "2g-ii").statement.startswith("Logistic regression ")
    (outputs,) = {network.outputs.function for network in tracked_networks(replace(tables, runs=runs))}
    assert outputs == "identity"
    assert loss_label(runs, names.LOSS_TRAIN) == "training loss"
    assert loss_label(tables.runs, names.LOSS_TRAIN) == "training loss [nats]"
