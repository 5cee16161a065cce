"""The verdicts of ``one_unit`` on really trained runs, and on runs doctored so that one prediction fails."""

import numpy as np
import pytest

from analysis.claims.claim import EXACTLY, FAILS, NOT_TESTED
from analysis.figures.kit.drawing import NotShownError
from analysis.questions.one_unit.answer import answer, symmetric_networks
from analysis.questions.one_unit.figures import one_unit_best_loss, one_unit_paths
from analysis.tracked.tables import Tables, Weights
from pipeline import names
from tests.support.tracked import STEPS, trained_tables, with_entries, with_twins, with_value

SHARED = {"model.bias": False, "training.l2": 0.0, "optimizer.learning_rate": 0.5}
WIDTHS = (2, 8)
PLAIN: list[dict[str, object]] = [
    {"init": "constant", "init.value": 0.125, "model.hidden_units": [width]} for width in (1, *WIDTHS)
]
TWINS: list[dict[str, object]] = [
    {"init": "constant_layers", "init.values": [0.125, 0.125 * width], "model.hidden_units": [1],
     "optimizer.rate_factors": [1.0 / width, float(width)]}
    for width in WIDTHS
]  # fmt: skip
SCALED: list[dict[str, object]] = [
    {"init": "constant_layers", "init.values": [0.125, 0.125 / width], "model.hidden_units": [width],
     "optimizer.rate_factors": [float(width), 1.0 / width]}
    for width in WIDTHS
]  # fmt: skip
RANDOM: list[dict[str, object]] = [{"init": "xavier_normal", "model.hidden_units": [width]} for width in (1, *WIDTHS)]
LEFT_OUT: list[dict[str, object]] = [
    PLAIN[1] | {"optimizer": "adam"},
    PLAIN[1] | {"model.bias": True},
    PLAIN[1] | {"training.l2": 0.1},
    PLAIN[1] | {"model.hidden_units": [2, 2]},
    TWINS[0] | {"init.values": [0.125, None]},
]


@pytest.fixture(scope="module")
def tables() -> Tables:
    trained = [SHARED | start | {"seed": seed} for start in (*PLAIN, *TWINS, *SCALED, *RANDOM) for seed in range(2)]
    return trained_tables([*trained, *(SHARED | start for start in LEFT_OUT)])


def run_of(tables: Tables, start: str, width: int) -> str:
    networks = symmetric_networks(tables)
    return str(networks.loc[(networks["init"] == start) & (networks["width"] == width), "run_id"].iloc[0])


def test_every_prediction_holds_for_trained_runs(tables: Tables) -> None:
    answered = answer(tables)
    assert [(claim.measured, claim.verdict) for claim in answered.claims if claim.verdict != EXACTLY] == []
    assert [claim.number for claim in answered.claims[:3]] == [0.0] * 3
    assert [claim.runs for claim in answered.claims] == [14, 8, 6, 18]
    assert answered.claims[0].measured == "largest difference 0, on 6 paths with up to 3 networks"
    assert answered.conclusion.startswith("Yes: symmetric networks of width 1, 2, 8 follow the path of the single unit")


def test_a_path_holds_the_networks_that_are_worth_one_unit(tables: Tables) -> None:
    networks = symmetric_networks(tables)
    assert len(networks) == 2 * len([*PLAIN, *TWINS, *SCALED])
    members = {tuple(on_path["width"]) for _, on_path in networks.groupby("path")}
    assert members == {(1, 2, 8), (2, 1), (8, 1)}
    wide = networks[(networks["init"] == "constant") & (networks["width"] == 8)].iloc[0]
    # Theory 2g-iii: outgoing weights H times as large, rates eta / H and eta H.
    found = wide[["incoming", "outgoing", "incoming_rate", "outgoing_rate"]].to_list()
    assert found == [0.125, 1.0, 0.5 / 8, 0.5 * 8]


@pytest.mark.parametrize("metric", [names.LOSS_TRAIN, names.OUTPUT_WEIGHT_SPREAD])
def test_the_smallest_difference_on_a_path_fails_it(tables: Tables, metric: str) -> None:
    run_id = run_of(tables, "constant", 8)
    here = (tables.curves["run_id"] == run_id) & (tables.curves["metric"] == metric) & (tables.curves["step"] == 1)
    (value,) = tables.curves.loc[here, "value"]
    doctored = with_value(tables, run_id, metric, 1, float(np.nextafter(value, np.inf)))
    answered = answer(doctored)
    assert (answered.claims[0].verdict, answered.claims[0].worst_run) == (FAILS, run_id)
    assert 0.0 < answered.claims[0].number < 1e-14
    assert answered.conclusion.startswith("Predictions that fail: 1. On one path ")


@pytest.mark.parametrize("layer", [1, 2])
def test_one_other_final_weight_fails_the_second_claim(tables: Tables, layer: int) -> None:
    run_id, key = run_of(tables, "constant_layers", 8), f"final_weights{layer}"

    def weights(asked: str) -> Weights:
        found = tables.weights(asked)
        if asked == run_id:
            changed = found[key].copy()
            changed.flat[0] += 0.25
            found = found | {key: changed}
        return found

    claim = answer(Tables(**vars(tables) | {"weights": weights})).claims[1]
    assert (claim.verdict, claim.worst_run) == (FAILS, run_id)
    assert claim.number == pytest.approx(0.25 if layer == 1 else 8 * 0.25)


def test_a_width_that_gains_fails_the_third_claim(tables: Tables) -> None:
    run_id = run_of(tables, "constant_layers", 2)
    claim = answer(with_value(tables, run_id, names.LOSS_TRAIN, STEPS, 0.5)).claims[2]
    assert (claim.verdict, claim.worst_run) == (FAILS, run_id)


def test_random_starts_that_gain_nothing_fail_the_last_claim(tables: Tables) -> None:
    curves = tables.curves.copy()
    narrow = tables.runs[(tables.runs["init"] == "xavier_normal") & (tables.runs["model.hidden_units"].map(sum) == 2)]
    curves.loc[curves["run_id"].isin(narrow["run_id"]) & (curves["metric"] == names.LOSS_TRAIN), "value"] = 3.0
    claim = answer(Tables(**vars(tables) | {"curves": curves})).claims[3]
    assert claim.verdict == FAILS
    assert claim.worst_run in set(narrow["run_id"])
    assert claim.high < 0.0
    assert claim.measured.endswith("at width 2, the furthest of 2 cases; against the prediction: at width 2")


def test_a_single_other_rate_is_another_path(tables: Tables) -> None:
    run_id = run_of(tables, "constant", 8)
    networks = symmetric_networks(with_entries(tables, run_id, {"optimizer.learning_rate": 0.25}))
    assert (networks.groupby("path")["run_id"].transform("size")[networks["run_id"] == run_id] == 1).all()


def test_other_runs_test_nothing() -> None:
    tables = trained_tables([{"init": "normal"}])
    assert {claim.verdict for claim in answer(tables).claims} == {NOT_TESTED}
    for figure in (one_unit_paths, one_unit_best_loss):
        with pytest.raises(NotShownError, match=r"equal units|same single unit"):
            figure(tables)


def test_the_figures_draw_the_networks_of_a_path_on_each_other(tables: Tables) -> None:
    drawing = one_unit_paths(tables)
    above_left, above_right, below_left, below_right = drawing.figure.axes
    for axes, networks in ((above_left, 3), (below_left, 3), (above_right, 4), (below_right, 4)):
        assert sum(len(line.get_ydata()) > 2 for line in axes.lines) == networks
    for axes in (above_left, below_left):
        np.testing.assert_array_equal(*(line.get_ydata() for line in axes.lines[:2]))
    circles = [line for line in below_right.lines if line.get_marker() == "o"]
    lines = {line.get_color(): line for line in below_right.lines[:4] if line.get_marker() != "o"}
    assert len(circles) == 2
    for circle in circles:
        np.testing.assert_array_equal(circle.get_ydata(), lines[circle.get_color()].get_ydata())
    best = one_unit_best_loss(tables)
    found = best.data.set_index(["start", "width"])["value"]
    assert found["rates scaled to one path"].nunique() == 1
    runs = symmetric_networks(tables)
    plain = runs[(runs["init"] == "constant") & (runs["width"] == 8)]
    assert found["plain constant start", 8] == pytest.approx(plain["best"].mean())
    assert best.figure.axes[0].get_ylabel() == "best training loss [nats]"


def test_beside_longer_runs_shorter_ones_decide_nothing(tables: Tables) -> None:
    both = with_twins(tables, {"training.steps": 9, "training.measure_at": 3})
    assert answer(both) == answer(tables)
