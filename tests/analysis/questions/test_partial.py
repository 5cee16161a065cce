"""The verdicts of ``partial`` on really trained runs, and on runs doctored so that one prediction fails."""

from dataclasses import replace

import numpy as np
import pytest

from analysis.claims.claim import EXACTLY, FAILS, NOT_TESTED, WITHIN
from analysis.figures.kit.drawing import NotShownError
from analysis.questions.partial.answer import (
    COPIES,
    MERGED,
    MIRROR_DISTANCE,
    MIRRORED,
    PLAIN,
    RATES,
    SIZES,
    answer,
    final_losses,
    partial_networks,
)
from analysis.questions.partial.figures import copies_and_mirrors, worth_of_distinct_units
from analysis.tracked.tables import Tables
from pipeline import names
from tests.support.tracked import STEPS, trained_tables, with_twins, with_value

SHARED = {"model.bias": False, "model.hidden_units": [8], "training.l2": 0.0, "optimizer.learning_rate": 0.5,
          "measures": ["mirror_distance"]}  # fmt: skip
WITH_BIASES = {"model.bias": True}
HALVES: dict[str, object] = {"init": "duplicated", "init.copies": 2}
STARTS: list[dict[str, object]] = [
    *({"init": "duplicated", "init.copies": copies} for copies in (1, 2, 4)),
    *({"init": "merged", "init.copies": copies, "model.hidden_units": [8 // copies],
       "optimizer.rate_factors": [1.0 / copies, float(copies)]} for copies in (2, 4)),
    *({"init": "xavier_normal", "model.hidden_units": [width]} for width in (2, 4, 8)),
    {"init": "mirrored"},
    {"init": "mirrored"} | WITH_BIASES,
    HALVES | WITH_BIASES,
]  # fmt: skip
LEFT_OUT: list[dict[str, object]] = [
    HALVES | {"optimizer": "adam"},
    HALVES | WITH_BIASES | {"init.bias_scale": 0.1},
    HALVES | {"model.hidden_units": [4, 4]},
    HALVES | {"arithmetic": "blas"},
]


@pytest.fixture(scope="module")
def trained() -> Tables:
    starts = [start | {"seed": seed} for start in STARTS for seed in range(2)]
    return trained_tables([SHARED | start for start in [*starts, *LEFT_OUT]])


@pytest.fixture(scope="module")
def tables(trained: Tables) -> Tables:
    """The same runs with final losses that go like 1 / distinct units, lowest from plain random starts."""
    networks = partial_networks(trained).set_index("run_id")
    losses = 1.0 / networks["distinct"] + 0.001 * networks["seed"] - 0.01 * (networks["kind"] == PLAIN)
    final = trained.runs["run_id"].map(losses).fillna(trained.runs[names.LOSS_TRAIN])
    return replace(trained, runs=trained.runs.assign(**{names.LOSS_TRAIN: final}))


def run_of(tables: Tables, kind: str, distinct: int) -> str:
    networks = partial_networks(tables)
    return str(networks.loc[(networks["kind"] == kind) & (networks["distinct"] == distinct), "run_id"].iloc[0])


def with_losses(tables: Tables, kind: str, distinct: int, change: float) -> Tables:
    networks = partial_networks(tables)
    chosen = networks.loc[(networks["kind"] == kind) & (networks["distinct"] == distinct), "run_id"]
    moved = tables.runs[names.LOSS_TRAIN] + change * tables.runs["run_id"].isin(chosen)
    return replace(tables, runs=tables.runs.assign(**{names.LOSS_TRAIN: moved}))


def test_every_prediction_holds(tables: Tables) -> None:
    answered = answer(tables)
    verdicts = {claim.identity: claim.verdict for claim in answered.claims}
    assert verdicts == dict.fromkeys("1234", EXACTLY) | dict.fromkeys("56", WITHIN) | dict.fromkeys("78", NOT_TESTED)
    # Halves, halves with biases, quarters and eight single units; pairs of runs; seeds count.
    assert [claim.runs for claim in answered.claims] == [8, 4, 4, 4, 6, 12, 0, 0]
    assert answered.claims[1].measured == "largest difference 0, in 4 pairs of runs"
    assert answered.conclusion == (
        "The largest change of the number of distinct units is 0;"
        " the largest difference of a loss from that of the distinct units alone is 0;"
        " the largest mirror distance of mirrored pairs is 0;"
        " the largest difference of their losses from those of copies is 0."
    )


def test_the_runs_learn_and_only_mirrored_pairs_have_a_mirror(trained: Tables) -> None:
    """Else differences of 0 would say nothing."""
    losses = trained.curves[trained.curves["metric"] == names.LOSS_TRAIN].pivot(
        index="run_id", columns="step", values="value"
    )
    assert (losses[STEPS] < 0.9 * losses[0]).sum() > len(losses) / 2
    distances = trained.curves[trained.curves["metric"] == MIRROR_DISTANCE].groupby("run_id")["value"].min()
    networks = partial_networks(trained).set_index("run_id")
    assert ((distances[networks.index] == 0.0) == (networks["kind"] == MIRRORED)).all()


@pytest.mark.parametrize(
    ("identity", "kind", "distinct", "metric", "value"),
    [
        ("1", COPIES, 8, names.DISTINCT_UNITS, 7.0),
        ("1", COPIES, 2, names.DISTINCT_UNITS, 3.0),
        ("3", MIRRORED, 4, MIRROR_DISTANCE, 1e-300),
    ],
)
def test_one_doctored_number_fails_its_statement_alone(
    tables: Tables, identity: str, kind: str, distinct: int, metric: str, value: float
) -> None:
    run_id = run_of(tables, kind, distinct)
    answered = answer(with_value(tables, run_id, metric, STEPS, value))
    (failed,) = (claim for claim in answered.claims if claim.verdict == FAILS)
    assert (failed.identity, failed.worst_run) == (identity, run_id)
    assert answered.conclusion.startswith(f"Predictions that fail: {identity}. ")


@pytest.mark.parametrize(("identity", "kind"), [("2", MERGED), ("4", MIRRORED)])
def test_a_loss_in_another_bit_fails(tables: Tables, identity: str, kind: str) -> None:
    run_id = run_of(tables, kind, 4)
    loss = tables.curves.set_index(["run_id", "metric", "step"])["value"][run_id, names.LOSS_TRAIN, 1]
    doctored = with_value(tables, run_id, names.LOSS_TRAIN, 1, np.nextafter(loss, 9.0))
    assert [claim.identity for claim in answer(doctored).claims if claim.verdict == FAILS] == [identity]


def test_a_doubling_that_does_not_help_fails(tables: Tables) -> None:
    answered = answer(with_losses(tables, COPIES, 8, 0.126))
    (failed,) = (claim for claim in answered.claims if claim.verdict == FAILS)
    assert failed.identity == "5"
    assert failed.measured.endswith("of 2 cases; against the prediction: from 4 tanh units to twice as many")


def test_copies_that_end_lower_than_plain_units_fail_and_are_named(tables: Tables) -> None:
    answered = answer(with_losses(tables, PLAIN, 4, 0.1))
    (failed,) = (claim for claim in answered.claims if claim.verdict == FAILS)
    assert (failed.identity, round(failed.number, 3)) == ("6", 0.736)
    assert "With 4 tanh units that differ, copies end lower" in answered.conclusion
    assert answered.conclusion.endswith("The sizes alone were not tried; the rates alone were not tried.")


@pytest.mark.parametrize(("kind", "place"), [(SIZES, 6), (RATES, 7)])
@pytest.mark.parametrize(("change", "verdict"), [(-0.2, WITHIN), (0.2, FAILS)])
def test_sizes_and_rates_are_told_apart(tables: Tables, kind: str, place: int, change: float, verdict: str) -> None:
    """Runs of the distinct units are made to have their sizes only, runs of plain units their rates only."""
    lower = with_losses(tables, PLAIN, 4, 0.1)
    twins = with_twins(lower, {})
    is_twin = twins.runs["run_id"].str.startswith("twin of ")
    networks = partial_networks(lower)
    is_source = (networks["kind"] == (MERGED if kind == SIZES else PLAIN)) & (networks["distinct"] == 4)
    chosen = set(networks.loc[is_source, "run_id"])
    kept = twins.runs[~is_twin | twins.runs["run_id"].str.removeprefix("twin of ").isin(chosen)].copy()
    altered = kept["run_id"].str.startswith("twin of ")
    factors = None if kind == SIZES else (0.5, 2.0)
    kept["optimizer.rate_factors"] = [
        factors if changed else given for changed, given in zip(altered, kept["optimizer.rate_factors"], strict=True)
    ]
    plain = 0.35 + 0.001 * kept["seed"]
    kept.loc[altered, names.LOSS_TRAIN] = (plain + change)[altered]
    answered = answer(replace(twins, runs=kept))
    assert set(partial_networks(replace(twins, runs=kept))["kind"]) > {kind}
    assert answered.claims[place].verdict == verdict


def test_rates_that_are_not_scaled_by_the_copies_are_no_path(tables: Tables) -> None:
    factors = tables.runs["optimizer.rate_factors"].map(lambda factors: (2.0, 0.5) if factors else factors)
    doctored = replace(tables, runs=tables.runs.assign(**{"optimizer.rate_factors": factors}))
    assert answer(doctored).claims[1].verdict == NOT_TESTED


def test_without_such_runs_nothing_is_tested_or_shown() -> None:
    others = trained_tables([{"init": "zeros"}, {"model": "logistic", "init": "normal"}, SHARED | LEFT_OUT[0]])
    assert {claim.verdict for claim in answer(others).claims} == {NOT_TESTED}
    assert answer(others).conclusion == ""
    for figure in (copies_and_mirrors, worth_of_distinct_units):
        with pytest.raises(NotShownError, match=r"python -m pipeline\.run -m experiment=partial"):
            figure(others)


def test_lines_show_distinct_units_and_mirror_distances(tables: Tables) -> None:
    drawing = copies_and_mirrors(tables)
    counts, distances = drawing.figure.axes
    assert sorted({value for line in counts.lines for value in line.get_ydata()}) == [2.0, 4.0, 8.0]
    exact = [line for line in distances.lines if len(line.get_xdata()) > 2 and not np.any(line.get_ydata())]
    assert len(exact) == 4
    assert drawing.numbers == {"runs": 12, "mirrored": "0"}


def test_the_points_are_geometric_means_of_final_losses(tables: Tables) -> None:
    (axes,) = worth_of_distinct_units(tables).figure.axes
    data = final_losses(partial_networks(tables))
    for kind, line in zip((PLAIN, COPIES, MERGED, MIRRORED), axes.lines, strict=True):
        expected = data[data["kind"] == kind][["distinct", "loss"]]
        np.testing.assert_array_equal(line.get_xydata(), expected)
    expected = [np.sqrt(loss * (loss + 0.001)) for loss in (0.5, 0.25, 0.125)]
    np.testing.assert_allclose(data.loc[data["kind"] == COPIES, "loss"], expected, rtol=1e-12)
    assert axes.get_title() == "tanh"
