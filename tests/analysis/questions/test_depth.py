"""The verdicts of ``depth`` on really trained runs, and on runs doctored so that one prediction fails."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle

from analysis.claims.claim import EXACTLY, FAILS, NOT_TESTED, WITHIN, Claim
from analysis.figures.kit.drawing import NotShownError
from analysis.figures.kit.style import PALETTE
from analysis.questions.depth.answer import BETWEEN, answer, cost_of_copies, hidden_layers
from analysis.questions.depth.figures import constant_layers_and_copies, distance_of_layers
from analysis.tracked.tables import Tables
from pipeline import names
from tests.support.tracked import DIVERGING, STEPS, trained_tables, with_entries, with_value

WIDTH = 6
PATTERNS = ["crr", "rcr", "rrc", "ccr", "rcc", "crc"]


def starts(seeds: int = 4) -> list[dict[str, object]]:
    shared: dict[str, object] = {"optimizer.learning_rate": 0.5, "training.l2": 0.0}
    equal = [
        {"init": init, "model.hidden_units": [WIDTH] * depth} | ({"init.value": 0.05} if init == "constant" else {})
        for init in ("constant", "xavier_normal")
        for depth in (1, 2)
    ]
    values = {"c": 0.05, "r": None}
    mixed = [
        {"init": "constant_layers", "init.values": [values[letter] for letter in pattern],
         "model.hidden_units": [WIDTH, WIDTH]}
        for pattern in PATTERNS
    ]  # fmt: skip
    return [shared | start | {"seed": seed} for start in (*equal, *mixed) for seed in range(seeds)]


@pytest.fixture(scope="module")
def tables() -> Tables:
    return trained_tables(starts())


def claim_of(tables: Tables, identity: str) -> Claim:
    (claim,) = (claim for claim in answer(tables).claims if claim.identity == identity)
    return claim


def run_of(tables: Tables, pattern: str, depth: int = 2) -> str:
    layers = hidden_layers(tables)
    return str(layers.loc[(layers["pattern"] == pattern) & (layers["depth"] == depth), "run_id"].iloc[0])


def test_every_prediction_holds_for_trained_runs(tables: Tables) -> None:
    answered = answer(tables)
    assert [claim.verdict for claim in answered.claims] == [EXACTLY] * 6 + [WITHIN]
    assert [claim.runs for claim in answered.claims] == [8, 8, 8, 16, 16, 12, 24]
    by_identity = {claim.identity: claim for claim in answered.claims}
    assert by_identity["1"].measured == "largest distance 0, in 1 to 2 hidden layers"
    assert 0.0 < by_identity["7"].low <= by_identity["7"].number <= by_identity["7"].high
    assert answered.conclusion.startswith(
        "From equal weights, the largest distance in any layer of networks with 1 to 2 hidden layers is 0. Of 48 hidden"
        " layers among constant and random weights, 8 end with copies: 8 of the 8 between two constant layers, and 0"
    )
    means = cost_of_copies(hidden_layers(tables)).groupby("case")["value"].mean()
    assert answered.conclusion.endswith(
        f"loss is higher by {means.min():.3g} to {means.max():.3g} than from random weights, over {len(means)} starts."
    )


def test_the_place_of_a_layer_follows_from_the_weights_around_it(tables: Tables) -> None:
    layers = hidden_layers(tables)
    found = layers[layers["init"] == "constant_layers"].groupby("pattern")["place"].first()
    assert found["ccr"] == BETWEEN
    assert found["crr"] == "above a constant layer"
    assert found["rcr"] == "below a constant layer"
    assert found["rrc"] == "random"
    assert set(layers.loc[layers["init"] == "constant", "place"]) == {BETWEEN}


@pytest.mark.parametrize(
    ("identity", "pattern", "metric", "step", "value"),
    [
        ("1", "ccc", names.symmetry("distance_max", 2), STEPS, 1e-300),
        ("1", "ccc", names.symmetry("outgoing_distance"), 1, 1e-300),
        ("2", "ccc", names.LOSS_TRAIN, STEPS, 99.0),
        ("3", "rcc", names.symmetry("distance_max", 2), STEPS, 1e-300),
        ("3", "ccr", names.symmetry("outgoing_distance", 1), 2, 1e-300),
        ("4", "crr", names.symmetry("distance_min", 1), STEPS, 0.0),
        ("4", "rcr", names.symmetry("distance_min", 2), 0, 0.1),
        ("5", "rcr", names.symmetry("outgoing_distance", 1), 2, 0.0),
        ("5", "rrc", names.symmetry("outgoing_distance", 2), 0, 0.1),
    ],
)
def test_one_doctored_number_fails_its_statement_alone(
    tables: Tables, identity: str, pattern: str, metric: str, step: int, value: float
) -> None:
    run_id = run_of(tables, pattern)
    answered = answer(with_value(tables, run_id, metric, step, value))
    (failed,) = (claim for claim in answered.claims if claim.verdict == FAILS)
    assert failed.identity == identity
    assert failed.worst_run == run_id
    assert answered.conclusion.startswith(f"Predictions that fail: {identity}. ")


def test_copies_that_a_single_constant_layer_keeps_fail_its_statement(tables: Tables) -> None:
    doctored = with_entries(tables, run_of(tables, "rrc"), {names.symmetry("distinct_units", 2): WIDTH - 1.0})
    failed = claim_of(doctored, "6")
    assert (failed.verdict, failed.number, failed.worst_run) == (FAILS, 1.0, run_of(tables, "rrc"))
    assert "9 end with copies: 8 of the 8 between two constant layers, and 1 others" in answer(doctored).conclusion


def test_a_start_with_copies_that_learns_better_than_a_random_one_fails(tables: Tables) -> None:
    layers = hidden_layers(tables)
    losses = tables.runs[names.LOSS_TRAIN]
    alike = tables.runs["run_id"].isin(layers.loc[layers["pattern"] == "rcc", "run_id"])
    doctored = replace(tables, runs=tables.runs.assign(**{names.LOSS_TRAIN: losses.where(~alike, losses.min() - 1.0)}))
    failed = claim_of(doctored, "7")
    assert failed.verdict == FAILS
    assert failed.number <= 0.0
    assert failed.measured.endswith("of 4 cases; against the prediction: with W(2), W(3) constant")


def test_diverged_runs_and_other_starts_decide_nothing() -> None:
    others = trained_tables([{"init": "normal"}, DIVERGING, {"model": "logistic", "init": "constant"}])
    assert {claim.verdict for claim in answer(others).claims} == {NOT_TESTED}
    assert answer(others).conclusion == ""
    for figure in (distance_of_layers, constant_layers_and_copies):
        with pytest.raises(NotShownError, match=r"python -m pipeline\.run -m experiment=depth"):
            figure(others)


def test_the_cells_show_the_largest_distance_of_each_layer(tables: Tables) -> None:
    drawing = distance_of_layers(tables)
    constant, random, losses = drawing.figure.axes
    assert [text.get_text() for text in constant.texts] == ["0", "0", "0"]
    assert {to_hex(patch.get_facecolor()) for patch in constant.patches} == {"#ffffff"}
    layers = hidden_layers(tables)
    run_ids = layers.loc[(layers["init"] == "xavier_normal") & (layers["depth"] == 2), "run_id"]
    curves = tables.curves[tables.curves["run_id"].isin(run_ids)]
    largest = curves.loc[curves["metric"] == names.symmetry("distance_max", 2), "value"].max()
    assert random.texts[-1].get_text() == f"{largest:.2g}"
    line = next(line for line in losses.lines if to_hex(line.get_color()) == PALETTE["xavier_normal"])
    finals = tables.runs[tables.runs["run_id"].isin(run_ids)][names.LOSS_TRAIN]
    np.testing.assert_allclose(line.get_ydata()[-1], finals.mean(), rtol=1e-12)


def test_circles_are_filled_exactly_between_filled_squares(tables: Tables) -> None:
    drawing = constant_layers_and_copies(tables)
    network, losses = drawing.figure.axes
    patterns = drawing.data["pattern"].unique()
    assert set(patterns) == {*PATTERNS, "ccc", "rrr"}
    red = {
        (round(patch.get_x() + 0.16), round(patch.get_y() + 0.3))
        for patch in network.patches
        if isinstance(patch, Rectangle) and to_hex(patch.get_facecolor()) == PALETTE["constant"]
    }
    black = {tuple(line.get_xydata()[0]) for line in network.lines if to_hex(line.get_markerfacecolor()) == "#000000"}
    assert black == {(x + 0.5, y) for x, y in red if (x + 1, y) in red}
    assert len(black) == drawing.numbers["with_copies"] == drawing.numbers["between"] == 4
    shown = sorted(losses.lines[0].get_xdata())
    assert shown == sorted(drawing.data.drop_duplicates("pattern")["loss"])
