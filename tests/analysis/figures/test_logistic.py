"""Figure 8: lines and spreads are those of the runs, and what has no optimum is not said to have one."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from scipy.stats import gmean

from analysis.figures.arrivals import OUTCOMES
from analysis.figures.kit.drawing import Drawing
from analysis.figures.kit.style import PALETTE
from analysis.figures.logistic import SEED_LINE, SPREAD, logistic_optimum
from analysis.tracked.tables import Tables
from analysis.wording import number
from pipeline import names
from pipeline.measures.reference_optimum import ATTAINED, SEPARABLE, UNDECIDED
from tests.support.drawings import files_of
from tests.support.tracked import default_grid, trained_tables, with_entries, with_value

RATE = "optimizer.learning_rate"
SCHEMES = ("zeros", "constant", "normal", "he_normal")
SEEDS = 3
LOGISTIC: dict[str, object] = {"model": "logistic", "training.steps": 3, "training.measure_at": 3}


@pytest.fixture(scope="module")
def tables() -> Tables:
    return trained_tables(default_grid(SEEDS))


@pytest.fixture(scope="module")
def drawing(tables: Tables) -> Drawing:
    return logistic_optimum(tables)


def grid_of(count: int = 2, **changes: object) -> list[dict[str, object]]:
    """A few short logistic runs from two starts."""
    return [LOGISTIC | changes | {"init": init, "seed": seed} for init in ("zeros", "normal") for seed in range(count)]


def curves_of(tables: Tables, metric: str, **place: object) -> pd.DataFrame:
    """The tracked curves of logistic regression, steps by runs."""
    curve = tables.curve(metric)
    for key, value in (place | {"model": "logistic"}).items():
        curve = curve[curve[RATE if key == "rate" else key] == value]
    return curve.pivot(index="step", columns="run_id", values="value")


def panels_of(drawing: Drawing, problem: int = 0) -> np.ndarray:
    """The axes of a problem: above and below, by learning rate."""
    axes = drawing.figure.subfigs[problem].axes
    return np.array(axes, dtype=object).reshape(2, -1)


def lines_of(axes: Axes) -> list[tuple[str, np.ndarray]]:
    """Colour and points of the lines of data; the line at 0 spans the axes in their own units."""
    return [(to_hex(line.get_color()), line.get_xydata()) for line in axes.lines if len(line.get_xdata()) > 2]


def words_of(drawing: Drawing) -> list[str]:
    return [subfigure.get_suptitle() for subfigure in drawing.figure.subfigs]


def test_upper_lines_are_the_means_of_the_gaps_of_each_start(tables: Tables, drawing: Drawing) -> None:
    upper, _ = panels_of(drawing)
    assert len(upper) == 2
    for axes, rate in zip(upper, (0.1, 1.0), strict=True):
        assert axes.get_title() == f"learning rate {rate:g}\n{SEEDS * len(SCHEMES)} runs"
        drawn = dict(lines_of(axes))
        assert len(lines_of(axes)) == len(SCHEMES)
        for scheme in SCHEMES:
            gaps = curves_of(tables, names.OPTIMUM_GAP, rate=rate, init=scheme)
            assert gaps.shape[1] == SEEDS
            np.testing.assert_array_equal(drawn[PALETTE[scheme]][:, 0], gaps.index)
            np.testing.assert_allclose(drawn[PALETTE[scheme]][:, 1], gmean(gaps, axis=1), rtol=1e-12)
    assert upper[0].get_ylabel() == "gap to the optimum [nats]"


def test_lower_lines_are_the_spreads_between_the_starts_of_each_seed(tables: Tables, drawing: Drawing) -> None:
    _, lower = panels_of(drawing)
    for axes, rate in zip(lower, (0.1, 1.0), strict=True):
        drawn = lines_of(axes)
        assert [colour for colour, _ in drawn] == [to_hex(SEED_LINE["color"])] * SEEDS
        for seed, (_, points) in enumerate(drawn):
            losses = curves_of(tables, names.LOSS_TRAIN, rate=rate, seed=seed)
            assert losses.shape[1] == len(SCHEMES)
            np.testing.assert_array_equal(points[:, 0], losses.index)
            np.testing.assert_array_equal(points[:, 1], losses.max(axis=1) - losses.min(axis=1))
            assert points[0, 1] > 0.01
    assert "spread of the training" in lower[0].get_ylabel()
    assert "[nats]" in lower[0].get_ylabel()


def test_the_data_frame_has_the_marks_and_how_many_runs_each_is_of(tables: Tables, drawing: Drawing) -> None:
    data = drawing.data
    assert set(data["quantity"]) == {names.OPTIMUM_GAP, SPREAD}
    gaps, spreads = (data[data["quantity"] == quantity] for quantity in (names.OPTIMUM_GAP, SPREAD))
    steps = len(curves_of(tables, names.LOSS_TRAIN))
    assert (len(gaps), len(spreads)) == (2 * len(SCHEMES) * steps, 2 * SEEDS * steps)
    assert (set(gaps["runs"]), set(spreads["runs"])) == ({SEEDS}, {len(SCHEMES)})
    assert ((gaps["low"] <= gaps["value"]) & (gaps["value"] <= gaps["high"])).all()
    assert (gaps["low"] < gaps["high"]).any()
    assert (drawing.numbers["runs_a_line"], drawing.numbers["runs_a_spread"]) == ("3", "4")


def test_one_doctored_run_changes_the_spread_of_its_seed_alone(tables: Tables, drawing: Drawing) -> None:
    run = tables.runs[(tables.runs["model"] == "logistic") & (tables.runs["seed"] == 1)].iloc[0]
    last = int(curves_of(tables, names.LOSS_TRAIN).index.max())
    doctored = logistic_optimum(with_value(tables, run["run_id"], names.LOSS_TRAIN, last, 50.0))
    changed = drawing.data[drawing.data["value"] != doctored.data["value"]]
    assert changed[["quantity", "learning_rate", "seed", "step"]].to_numpy().tolist() == [[SPREAD, run[RATE], 1, last]]
    assert doctored.data.loc[changed.index[0], "value"] > 45.0
    rate_index = (0.1, 1.0).index(run[RATE])
    _, points = lines_of(panels_of(doctored)[1, rate_index])[1]
    assert points[-1, 1] > 45.0


def test_the_caption_says_what_is_left_at_the_rate_that_leaves_least(tables: Tables, drawing: Drawing) -> None:
    final = {rate: curves_of(tables, names.OPTIMUM_GAP, rate=rate).iloc[-1].median() for rate in (0.1, 1.0)}
    assert final[1.0] < final[0.1]
    gaps = curves_of(tables, names.OPTIMUM_GAP, rate=1.0)
    by_seed = [curves_of(tables, names.LOSS_TRAIN, rate=1.0, seed=seed) for seed in range(SEEDS)]
    spreads = pd.concat([losses.max(axis=1) - losses.min(axis=1) for losses in by_seed], axis=1)
    gap, spread = (f"from {number(table.iloc[0].max())} to {number(table.iloc[-1].max())}" for table in (gaps, spreads))
    assert drawing.numbers["conclusion"] == (
        f"digits (an optimum exists), at learning rate 1, which leaves least: the largest gap goes {gap}, the largest"
        f" spread {spread}"
    )
    assert (drawing.numbers["runs"], drawing.numbers["diverged"]) == (24, 0)
    assert words_of(drawing) == ["digits: 4 starts, 24 runs\nan optimum exists"]


def test_on_separable_data_the_loss_is_shown_and_no_optimum_is_claimed() -> None:
    tables = trained_tables(grid_of(**{"training.l2": 0.0}))
    assert set(tables.runs["optimum"]) == {SEPARABLE}
    drawing = logistic_optimum(tables)
    (words,) = words_of(drawing)
    assert "the data are separable: no optimum, the loss tends to its infimum" in words
    assert "an optimum exists" not in words + drawing.numbers["conclusion"]
    assert "the largest training loss goes" in drawing.numbers["conclusion"]
    assert panels_of(drawing)[0, 0].get_ylabel() == "training loss [nats]"
    drawn = dict(lines_of(panels_of(drawing)[0, 0]))
    for init in ("zeros", "normal"):
        losses = curves_of(tables, names.LOSS_TRAIN, init=init)
        np.testing.assert_allclose(drawn[PALETTE[init]][:, 1], gmean(losses, axis=1), rtol=1e-12)


def test_every_outcome_of_the_search_for_an_optimum_has_its_words() -> None:
    assert [status.partition(":")[0] for status in (ATTAINED, SEPARABLE, UNDECIDED)] == list(OUTCOMES)
    undecided = trained_tables(grid_of())
    undecided.runs["optimum"] = UNDECIDED
    squared = trained_tables(grid_of(**{"training.loss": "squared_error"}))
    for tables, words, label in (
        (undecided, "whether an optimum exists is undecided", "training loss [nats]"),
        (squared, "an optimum exists", "gap to the optimum"),
    ):
        drawing = logistic_optimum(tables)
        assert words_of(drawing)[0].endswith(f"\n{words}")
        above, below = (axes.get_ylabel() for axes in panels_of(drawing)[:, 0])
        assert above == label
        assert below.endswith("loss between starts [nats]") == label.endswith("[nats]")


@pytest.mark.parametrize("gap", [0.0, -1e-16])
def test_gaps_that_reach_zero_have_a_place_on_the_axis(tables: Tables, drawing: Drawing, gap: float) -> None:
    assert panels_of(drawing)[0, 0].get_yscale() == "log"
    assert drawing.numbers["below_zero"] == ""
    curves = tables.curves.copy()
    zeros = tables.runs.loc[(tables.runs["init"] == "zeros") & (tables.runs[RATE] == 0.1), "run_id"]
    last = curves["step"].max()
    at_end = (curves["metric"] == names.OPTIMUM_GAP) & (curves["step"] == last) & curves["run_id"].isin(zeros)
    assert at_end.sum() == SEEDS
    curves.loc[at_end, "value"] = gap
    doctored = logistic_optimum(replace(tables, curves=curves))
    axes = panels_of(doctored)[0, 0]
    (x, y) = dict(lines_of(axes))[PALETTE["zeros"]][-1]
    assert (x, y) == (last, 0.0)
    assert axes.get_ylim()[0] < 0.0
    assert 0.0 in axes.get_yticks()
    place = axes.transData.transform((x, y))[1]
    assert axes.bbox.y0 < place < axes.bbox.y1
    assert ("3 gaps below 0" in doctored.numbers["below_zero"]) == (gap < 0.0)


def test_equal_losses_have_a_spread_of_exactly_zero_on_the_axis() -> None:
    tables = trained_tables(LOGISTIC | {"init": "constant", "init.value": value} for value in (0.5, 0.25))
    tables.curves.loc[tables.curves["metric"] == names.LOSS_TRAIN, "value"] = 0.5
    drawing = logistic_optimum(tables)
    axes = panels_of(drawing)[1, 0]
    ((_, points),) = lines_of(axes)
    assert (points[:, 1] == 0.0).all()
    assert axes.get_ylim()[0] < 0.0
    assert words_of(drawing)[0].startswith("digits: 2 starts, 2 runs")


def test_diverged_runs_are_counted_and_in_no_line(tables: Tables) -> None:
    chosen = (tables.runs["model"] == "logistic") & (tables.runs["seed"] == 2) & (tables.runs[RATE] == 1.0)
    run_id = tables.runs.loc[chosen & (tables.runs["init"] == "he_normal"), "run_id"].item()
    drawing = logistic_optimum(with_entries(tables, run_id, {"diverged": True}))
    upper, lower = panels_of(drawing)
    assert [axes.get_title().splitlines()[1] for axes in upper] == ["12 runs", "11 runs, 1 more diverged"]
    assert words_of(drawing)[0].startswith("digits: 4 starts, 23 runs, 1 more diverged")
    assert (drawing.numbers["runs"], drawing.numbers["diverged"]) == (24, 1)
    left = curves_of(tables, names.OPTIMUM_GAP, rate=1.0, init="he_normal").drop(columns=run_id)
    np.testing.assert_allclose(dict(lines_of(upper[1]))[PALETTE["he_normal"]][:, 1], gmean(left, axis=1), rtol=1e-12)
    losses = curves_of(tables, names.LOSS_TRAIN, rate=1.0, seed=2).drop(columns=run_id)
    _, points = lines_of(lower[1])[2]
    np.testing.assert_array_equal(points[:, 1], losses.max(axis=1) - losses.min(axis=1))


def test_a_learning_rate_or_a_problem_without_a_run_left_says_so(tables: Tables) -> None:
    runs = tables.runs.assign(diverged=tables.runs[RATE] == 1.0)
    upper, lower = panels_of(logistic_optimum(replace(tables, runs=runs)))
    assert upper[1].get_title().endswith("12 runs, all diverged")
    assert lines_of(upper[1]) == lines_of(lower[1]) == []
    two = trained_tables(grid_of(**{"training.l2": 0.5}) + grid_of(**{"training.l2": 0.0}))
    two.runs["diverged"] = two.runs["training.l2"] == 0.0
    drawing = logistic_optimum(two)
    assert words_of(drawing)[0].startswith("digits, l2=0: 2 starts, 4 runs, all diverged")
    assert set(drawing.data["problem"]) == {"digits, l2=0.5"}


def test_a_seed_with_one_start_has_a_gap_but_no_spread() -> None:
    tables = trained_tables([*grid_of(), LOGISTIC | {"init": "normal", "seed": 7, RATE: 0.5}])
    drawing = logistic_optimum(tables)
    upper, lower = panels_of(drawing)
    assert [len(lines_of(axes)) for axes in (*upper, *lower)] == [2, 1, 2, 0]
    assert [text.get_text() for text in lower[1].texts] == ["no two starts\nof one seed"]


def test_batches_are_named_as_a_cause_of_what_is_left_and_the_full_part_is_not(drawing: Drawing) -> None:
    assert "With 32 examples a step" in drawing.numbers["noise"]
    full = logistic_optimum(trained_tables(grid_of(**{"training.batch_size": None})))
    assert full.numbers["noise"] == ""


def test_drawn_again_from_the_runs_in_another_order_every_byte_is_the_same(tables: Tables) -> None:
    backwards = replace(tables, runs=tables.runs[::-1].reset_index(drop=True))
    assert files_of("logistic_optimum", tables) == files_of("logistic_optimum", backwards)
