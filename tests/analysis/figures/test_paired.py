"""Figure 9: every interval compares runs that differ in nothing but their start, and says how many."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import combinations, product

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from scipy.stats import ttest_1samp

from analysis.figures.kit.drawing import Drawing, NotShownError
from analysis.figures.paired import MOST_PAIRS, paired_differences
from analysis.tracked.tables import Tables
from analysis.wording import MINUS, interval
from pipeline import names
from tests.support.drawings import files_of, panels_of
from tests.support.tracked import default_grid, trained_tables, with_entries

RATE = "optimizer.learning_rate"
SEEDS = 3
PAIRS = SEEDS
RATES = (0.1, 1.0)
SHORT: dict[str, object] = {RATE: 0.1, "training.steps": 2, "training.measure_at": 2, "model.hidden_units": [2]}
SCHEMES = ["zeros", "constant", "normal", "he_normal"]


@pytest.fixture(scope="module")
def tables() -> Tables:
    return trained_tables(default_grid(SEEDS))


@pytest.fixture(scope="module")
def drawing(tables: Tables) -> Drawing:
    return paired_differences(tables)


def short_runs(inits: Iterable[str], seeds: int = 1, **changes: object) -> list[dict[str, object]]:
    return [SHORT | changes | {"init": init, "seed": seed} for init in inits for seed in range(seeds)]


def with_losses(tables: Tables, losses: dict[str, list[float]]) -> Tables:
    """The same tables with the test losses of each initialisation replaced, by seed."""
    runs = tables.runs.copy()
    for init, values in losses.items():
        for seed, value in enumerate(values):
            runs.loc[(runs["init"] == init) & (runs["seed"] == seed), names.LOSS_TEST] = value
    return replace(tables, runs=runs)


def cell_of(drawing: Drawing, init: str, against: str, rate: float = 0.1) -> "pd.Series[float]":
    data = drawing.data[drawing.data["model"] == "mlp"]
    rows = data[(data["init"] == init) & (data["against"] == against) & (data["learning_rate"] == rate)]
    assert len(rows) == 1
    return rows.iloc[0]


def drawn_at(axes: Axes, rate: float) -> dict[str, tuple[float, float, float]]:
    """Pair of starts -> mean, low and high as they are drawn."""
    labels = [tick.get_text() for tick in axes.get_yticklabels()]
    place = [line.get_gid() for line in axes.lines if line.get_gid()].index(f"rate {rate:g}")
    (dots,) = (line for line in axes.lines if line.get_gid() == f"rate {rate:g}")
    bars = [each for each in axes.collections if isinstance(each, LineCollection)][1:][place]
    ends = [(segment[0][0], segment[1][0]) for segment in bars.get_segments()]
    return {labels[round(y)]: (x, *end) for (x, y), end in zip(dots.get_xydata(), ends, strict=True)}


def test_each_cell_is_the_mean_difference_of_runs_with_equal_seed_and_rate(tables: Tables, drawing: Drawing) -> None:
    pairs = drawing.data.set_index(["model", "learning_rate", "against", "init"]).index
    places = product(("logistic", "mlp"), RATES, combinations(SCHEMES, 2))
    assert list(pairs) == [(model, rate, *pair) for model, rate, pair in places]
    for cell in drawing.data.to_dict("records"):
        there = (tables.runs["model"] == cell["model"]) & (tables.runs[RATE] == cell["learning_rate"])
        runs = tables.runs[there].set_index("seed").sort_index()
        own, other = (runs.loc[runs["init"] == cell[key], names.LOSS_TEST] for key in ("init", "against"))
        assert list(own.index) == list(other.index)
        differences = np.sort((own - other).to_numpy())
        ends = ttest_1samp(differences, 0.0).confidence_interval(0.95)
        # The sums run in another order: the last bits may differ, of losses of about 2.
        shown = [cell["mean"], cell["low"], cell["high"]]
        np.testing.assert_allclose(shown, [differences.mean(), *ends], rtol=1e-9, atol=1e-14)
        assert cell["win_rate"] == ((own < other).mean() + 0.5 * (own == other).mean())
        assert (cell["pairs"], cell["diverged"], cell["missing"]) == (PAIRS, 0, 0)


def test_the_picture_shows_each_mean_and_interval_in_the_row_of_its_pair(drawing: Drawing) -> None:
    for axes, model in zip(panels_of(drawing), ("logistic", "mlp"), strict=True):
        assert axes.get_title() == f"{model}, {PAIRS} pairs an interval"
        for rate in RATES:
            data = drawing.data[(drawing.data["model"] == model) & (drawing.data["learning_rate"] == rate)]
            wanted = {
                f"{cell.init} {MINUS} {cell.against}": (cell.mean, cell.low, cell.high) for cell in data.itertuples()
            }
            assert drawn_at(axes, rate) == wanted


def test_axes_and_caption_say_what_is_compared_and_how_much(drawing: Drawing) -> None:
    numbers = drawing.numbers
    pooled = f"seed ({SEEDS} values)"
    assert (numbers["pairs"], numbers["runs"], numbers["cells"], numbers["pooled"]) == (72, 48, 24, pooled)
    assert all("difference of the final test loss [nats]" in axes.get_xlabel() for axes in panels_of(drawing))
    mlp = drawing.data[drawing.data["model"] == "mlp"]
    most = mlp.loc[mlp["mean"].abs().idxmax()]
    assert f"mlp: {most['init']} minus {most['against']} at {most['learning_rate']:g}, " in numbers["largest"]
    assert interval(most["low"], most["high"]) in numbers["largest"]


def test_one_doctored_run_changes_the_cells_of_its_start_alone(tables: Tables, drawing: Drawing) -> None:
    chosen = (tables.runs["model"] == "mlp") & (tables.runs["init"] == "normal")
    run_id = tables.runs.loc[chosen & (tables.runs[RATE] == 0.1), "run_id"].iloc[0]
    doctored = paired_differences(with_entries(tables, run_id, {names.LOSS_TEST: 100.0}))
    changed = drawing.data[(drawing.data != doctored.data).any(axis=1)]
    cells = [("normal", "zeros"), ("normal", "constant"), ("he_normal", "normal")]
    assert sorted(zip(changed["init"], changed["against"], strict=True)) == sorted(cells)
    assert set(changed["model"]) == {"mlp"}
    assert cell_of(doctored, "normal", "zeros")["mean"] > 10.0
    assert cell_of(doctored, "he_normal", "normal")["mean"] < -10.0


@pytest.mark.parametrize("seeds", [4, 5])
def test_a_pair_counts_as_different_if_its_interval_excludes_zero(seeds: int) -> None:
    runs = trained_tables(short_runs(("zeros", "normal", "he_normal"), seeds))
    same = [1.0 + 0.1 * seed for seed in range(seeds)]
    lower, mixed = [value - 0.5 for value in same], [value + (0.3, -0.2)[seed % 2] for seed, value in enumerate(same)]
    drawing = paired_differences(with_losses(runs, {"zeros": same, "normal": lower, "he_normal": mixed}))
    assert cell_of(drawing, "normal", "zeros")["high"] < 0.0
    assert cell_of(drawing, "he_normal", "zeros")["low"] < 0.0 < cell_of(drawing, "he_normal", "zeros")["high"]
    assert drawing.numbers["marked"] == 2


def test_ties_count_half() -> None:
    runs = trained_tables(short_runs(("zeros", "constant", "normal"), 2))
    losses = {"zeros": [1.0, 2.0], "constant": [1.0, 2.0], "normal": [0.5, 2.0]}
    drawing = paired_differences(with_losses(runs, losses))
    assert cell_of(drawing, "normal", "zeros")["win_rate"] == 0.75
    assert cell_of(drawing, "constant", "zeros")["win_rate"] == 0.5


def test_a_diverged_run_loses_and_is_in_no_mean_but_is_counted() -> None:
    runs = with_losses(
        trained_tables(short_runs(("zeros", "normal"), 4)), {"zeros": [1.0] * 4, "normal": [2.0, 2.5, 1.0, 0.5]}
    )
    lost = runs.runs["diverged"].copy()
    # Against a run that did not (twice), and against another diverged one.
    lost[(runs.runs["init"] == "zeros") & (runs.runs["seed"] < 2)] = True
    lost[(runs.runs["init"] == "normal") & (runs.runs["seed"] == 0)] = True
    drawing = paired_differences(replace(runs, runs=runs.runs.assign(diverged=lost)))
    cell = cell_of(drawing, "normal", "zeros")
    assert (cell["mean"], cell["pairs"], cell["diverged"]) == (-0.25, 4, 2)
    # A tie of two diverged runs, a win against one, a tie, a win.
    assert cell["win_rate"] == (0.5 + 1.0 + 0.5 + 1.0) / 4
    assert "2 pairs with a diverged run, which loses" in drawing.numbers["incomplete"]
    assert drawing.numbers["diverged"] == 2


def test_runs_of_other_settings_are_no_pair_and_missing_partners_are_counted() -> None:
    runs = [*short_runs(("zeros", "normal"), 2), *short_runs(("he_normal",), 1, **{"training.l2": 0.5})]
    drawing = paired_differences(trained_tables(runs))
    assert (cell_of(drawing, "normal", "zeros")["pairs"], cell_of(drawing, "he_normal", "zeros")["pairs"]) == (2, 0)
    assert cell_of(drawing, "he_normal", "zeros")["missing"] == 3
    (axes,) = panels_of(drawing)
    assert axes.get_title() == "mlp, 0 to 2 pairs an interval"
    assert list(drawn_at(axes, 0.1)) == [f"normal {MINUS} zeros"]
    assert drawing.numbers["missing"] == cell_of(drawing, "he_normal", "normal")["missing"] + 3 == 6


def test_starts_of_one_name_with_other_numbers_are_compared() -> None:
    runs = [run | {"init.epsilon": epsilon} for epsilon in (0.5, 0.25) for run in short_runs(("perturbed",), 2)]
    drawing = paired_differences(trained_tables(runs))
    assert list(drawing.data["init"]) == ["perturbed, epsilon=0.5"]
    assert list(drawing.data["against"]) == ["perturbed, epsilon=0.25"]
    assert list(drawing.data["pairs"]) == [2]


def test_drawn_again_from_the_runs_in_another_order_every_byte_is_the_same(tables: Tables) -> None:
    backwards = replace(tables, runs=tables.runs[::-1].reset_index(drop=True))
    assert files_of("paired_differences", tables) == files_of("paired_differences", backwards)


def test_what_cannot_be_shown_is_a_reason_with_a_command() -> None:
    diverged = trained_tables(short_runs(("zeros", "normal")))
    diverged.runs["diverged"] = True
    many = [run | {"init.value": 0.1 * value} for value in range(11) for run in short_runs(("constant",))]
    for tables, reason in (
        (trained_tables(short_runs(("zeros",), 2)), "no two runs differ in nothing but their initialisation"),
        (trained_tables([SHORT, SHORT | {"init": "normal", "seed": 1}]), "no two runs differ in nothing but"),
        (diverged, "every two runs that differ in nothing but their initialisation include a diverged one"),
        (trained_tables(many), rf"55 pairs of initialisations, where {MOST_PAIRS} have room"),
    ):
        with pytest.raises(NotShownError, match=rf"{reason}.*python -m pipeline\.run -m .*init="):
            paired_differences(tables)
