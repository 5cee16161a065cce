"""The verdicts of ``zero`` on really trained runs, and on runs doctored so that one prediction fails."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.colors import to_hex

from analysis.claims.claim import EXACTLY, FAILS, NOT_TESTED, WITHIN
from analysis.figures.kit.drawing import NotShownError
from analysis.questions.zero.answer import answer
from analysis.questions.zero.figures import first_moves, way_to_the_frequencies
from analysis.tracked.tables import Tables
from pipeline import names
from tests.support.tracked import trained_tables, with_entries, with_twins, with_value

STEPS = 300
WINE: dict[str, object] = {
    "init": "zeros", "data": "wine", "data.limit": None, "training.steps": STEPS, "training.batch_size": None,
    "training.l2": 0.0, "training.measure_at": 20, "optimizer.learning_rate": 0.5,
    "measures": ["movement", "frequency_gap"], "model.hidden_units": [4],
}  # fmt: skip
MOONS = WINE | {"data": "moons", "data.test_fraction": 0.0}
DEEP = WINE | {"data": "breast_cancer", "model.hidden_units": [16, 16]}
BATCHES = WINE | {"optimizer": "adam", "optimizer.learning_rate": 0.01, "training.batch_size": 32}
TANH, SIGMOID, DEEP_TANH, DEEP_SOFTPLUS, BALANCED, NOISY = (f"run{number:03d}" for number in range(6))


@pytest.fixture(scope="module")
def tables() -> Tables:
    return trained_tables(
        [
            WINE | {"model.activation": "tanh"},
            WINE | {"model.activation": "sigmoid"},
            DEEP | {"model.activation": "tanh"},
            DEEP | {"model.activation": "softplus", "training.steps": 600},
            MOONS | {"model.activation": "sigmoid"},
            BATCHES | {"model.activation": "relu"},
        ]
    )  # fmt: skip


def test_every_prediction_holds_for_trained_runs(tables: Tables) -> None:
    answered = answer(tables)
    assert [claim.identity for claim in answered.claims] == list("12345678")
    verdicts = {claim.identity: claim.verdict for claim in answered.claims}
    assert verdicts == dict.fromkeys("124567", EXACTLY) | {"3": WITHIN, "8": NOT_TESTED}
    assert [claim.runs for claim in answered.claims] == [3, 3, 2, 2, 2, 1, 1, 0]
    assert answered.conclusion.startswith("Where g(0) = 0, the largest movement of any weight or hidden bias is 0; ")
    assert "each layer as one unit; with one layer 1 of 1 gain" in answered.conclusion


@pytest.mark.parametrize(
    ("identity", "run_id", "metric", "step", "value"),
    [
        ("1", TANH, names.movement("weights", 2), STEPS, 1e-300),
        ("1", DEEP_TANH, names.movement("biases", 2), 1, 1e-300),
        ("1", NOISY, names.movement("weights", 1), STEPS, 1e-300),
        ("2", TANH, names.movement("biases", 2), 1, 0.0),
        ("3", DEEP_TANH, names.FREQUENCY_GAP, STEPS, 1e-5),
        ("4", SIGMOID, names.movement("weights", 1), 1, 1e-300),
        ("4", DEEP_SOFTPLUS, names.movement("biases", 1), 3, 0.0),
        ("5", DEEP_SOFTPLUS, names.symmetry("distance_max", 2), 600, 1e-300),
        ("7", BALANCED, names.movement("biases", 2), STEPS, 1e-300),
    ],
)
def test_one_doctored_number_fails_its_statement_alone(
    tables: Tables, identity: str, run_id: str, metric: str, step: int, value: float
) -> None:
    answered = answer(with_value(tables, run_id, metric, step, value))
    (failed,) = (claim for claim in answered.claims if claim.verdict == FAILS)
    assert (failed.identity, failed.worst_run) == (identity, run_id)
    assert answered.conclusion.startswith(f"Predictions that fail: {identity}. ")


def test_a_network_that_stays_at_the_class_frequencies_fails_and_is_named(tables: Tables) -> None:
    rest = tables.runs.set_index("run_id").loc[TANH, names.LOSS_TRAIN]
    answered = answer(with_entries(tables, SIGMOID, {names.LOSS_TRAIN: rest}))
    (failed,) = (claim for claim in answered.claims if claim.verdict == FAILS)
    assert (failed.identity, failed.number, failed.worst_run) == ("6", 0.0, SIGMOID)
    assert "1 stay at the class frequencies (sigmoid on wine with 1 hidden layer)" in answered.conclusion


@pytest.mark.parametrize(("first_gap", "verdict"), [(0.01, WITHIN), (0.3, FAILS)])
def test_what_stays_on_the_plateau_has_classes_of_nearer_sizes_or_the_statement_fails(
    tables: Tables, first_gap: float, verdict: str
) -> None:
    twins = with_twins(tables, {"model.hidden_units": (4, 4)})
    rest = tables.runs.set_index("run_id").loc[TANH, names.LOSS_TRAIN]
    deep = twins.runs["run_id"].isin([*tables.runs["run_id"], f"twin of {TANH}", f"twin of {SIGMOID}"])
    stuck = with_entries(replace(twins, runs=twins.runs[deep]), f"twin of {SIGMOID}", {names.LOSS_TRAIN: rest})
    claim = answer(with_value(stuck, f"twin of {SIGMOID}", names.FREQUENCY_GAP, 0, first_gap)).claims[7]
    assert (claim.verdict, claim.runs) == (verdict, 2)
    assert "1 of 2 gain" in claim.measured
    assert "1 stay at the class frequencies (sigmoid on wine with 2 hidden layers)" in claim.measured


def test_runs_from_elsewhere_or_without_these_measurements_decide_nothing() -> None:
    others = trained_tables([{"init": "zeros"}, WINE | {"init": "normal"}, {"model": "logistic", "init": "zeros"}])
    assert {claim.verdict for claim in answer(others).claims} == {NOT_TESTED}
    assert answer(others).conclusion == ""
    for figure in (first_moves, way_to_the_frequencies):
        with pytest.raises(NotShownError, match=r"python -m pipeline\.run -m experiment=zero"):
            figure(others)


def test_the_cells_show_the_first_movement_of_the_deepest_networks(tables: Tables) -> None:
    (deep,) = first_moves(tables).figure.axes
    assert [label.get_text() for label in deep.get_yticklabels()] == ["tanh", "softplus"]
    shown = {text.get_position(): text.get_text() for text in deep.texts}
    assert [shown[column, 0] for column in range(6)] == ["\N{EN DASH}"] * 5 + ["1"]
    assert [shown[column, 1] for column in range(6)] == ["3", "3", "2", "2", "1", "1"]
    filled = {(round(patch.get_x() + 0.5), round(patch.get_y() + 0.5)) for patch in deep.patches
              if to_hex(patch.get_facecolor()) != "#ffffff"}  # fmt: skip
    assert filled == {place for place, text in shown.items() if text.isdigit()}


def test_the_lines_show_the_measured_gaps_and_losses(tables: Tables) -> None:
    drawing = way_to_the_frequencies(tables)
    assert {axes.get_title() for axes in drawing.figure.axes if axes.get_title()} == {
        "moons\n1 hidden layer", "wine\n1 hidden layer", "breast_cancer\n2 hidden layers",
    }  # fmt: skip
    above = next(axes for axes in drawing.figure.axes if axes.get_title() == "wine\n1 hidden layer")
    expected = tables.curves[(tables.curves["run_id"] == TANH) & (tables.curves["metric"] == names.FREQUENCY_GAP)]
    tanh = next(line for line in above.lines if line.get_color() == "#0173b2")
    np.testing.assert_array_equal(tanh.get_xydata(), expected[["step", "value"]])
    assert drawing.numbers["runs"] == 5
