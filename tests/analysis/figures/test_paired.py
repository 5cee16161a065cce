"""Figure 9: every cell compares runs that differ in nothing but their start, and says how many."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from scipy.stats import ttest_1samp

from analysis.figures.kit.drawing import Drawing, NotShownError
from analysis.figures.kit.style import PALETTE
from analysis.figures.paired import FEWEST_MARKED, MOST_STARTS, SIDE_BY_SIDE, paired_differences
from analysis.tracked.tables import Tables
from analysis.wording import interval, number
from pipeline import names
from tests.support.drawings import files_of, panels_of
from tests.support.tracked import default_grid, trained_tables, with_entries

RATE = "optimizer.learning_rate"
SEEDS = 3
PAIRS = 2 * SEEDS
SHORT: dict[str, object] = {"training.steps": 2, "training.measure_at": 2, "model.hidden_units": [2]}
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


def cell_of(drawing: Drawing, init: str, against: str, model: str = "mlp") -> "pd.Series[float]":
    data = drawing.data
    rows = data[(data["init"] == init) & (data["against"] == against) & (data["model"] == model)]
    assert len(rows) == 1
    return rows.iloc[0]


def texts_at(axes: Axes, init: str, against: str) -> list[str]:
    """The lines of text in a cell, from the top; the labels of the rows stand on the left of all panels."""
    left = axes.get_figure().axes[0]
    columns, rows = ([tick.get_text() for tick in axis.get_ticklabels()] for axis in (axes.xaxis, left.yaxis))
    place = (columns.index(against) + 0.5, rows.index(init) + 0.5)
    found = [text for text in axes.texts if text.xy == place]
    return [text.get_text() for text in sorted(found, key=lambda text: -text.xyann[1])]


def heading_of(drawing: Drawing) -> str:
    return " ".join(drawing.figure.get_suptitle().split())


def test_each_cell_is_the_mean_difference_of_runs_with_equal_seed_and_rate(tables: Tables, drawing: Drawing) -> None:
    pairs = drawing.data.set_index(["model", "against", "init"]).index
    assert list(pairs) == [(model, *pair) for model in ("logistic", "mlp") for pair in combinations(SCHEMES, 2)]
    for cell in drawing.data.to_dict("records"):
        runs = tables.runs[tables.runs["model"] == cell["model"]].set_index([RATE, "seed"]).sort_index()
        own, other = (runs.loc[runs["init"] == cell[key], names.LOSS_TEST] for key in ("init", "against"))
        assert list(own.index) == list(other.index)
        differences = np.sort((own - other).to_numpy())
        ends = ttest_1samp(differences, 0.0).confidence_interval(0.95)
        # The sums run in another order: the last bits may differ, of losses of about 2.
        shown = [cell["mean"], cell["low"], cell["high"]]
        np.testing.assert_allclose(shown, [differences.mean(), *ends], rtol=1e-9, atol=1e-14)
        assert cell["win_rate"] == ((own < other).mean() + 0.5 * (own == other).mean())
        assert (cell["pairs"], cell["diverged"], cell["missing"]) == (PAIRS, 0, 0)


def test_the_picture_shows_each_cell_in_the_row_and_column_of_its_starts(drawing: Drawing) -> None:
    for axes, model in zip(panels_of(drawing), ("logistic", "mlp"), strict=True):
        assert axes.get_title() == f"{model}, {PAIRS} pairs a cell"
        assert [tick.get_text() for tick in axes.get_xticklabels()] == SCHEMES[:-1]
        assert [tick.get_text() for tick in panels_of(drawing)[0].get_yticklabels()] == SCHEMES[1:]
        colours = axes.collections[-1].get_array().reshape(3, 3)
        for against, init in combinations(SCHEMES, 2):
            cell = cell_of(drawing, init, against, model)
            mean, ends, wins = texts_at(axes, init, against)
            assert mean.strip("+*") == number(cell["mean"])
            assert mean.startswith("+") == (cell["mean"] > 0.0)
            assert (ends, wins) == (interval(cell["low"], cell["high"]), f"wins {100 * cell['win_rate']:.0f} %")
            assert colours[SCHEMES.index(init) - 1, SCHEMES.index(against)] == cell["mean"]
        assert np.ma.count(colours) == 6


def test_title_axes_and_caption_say_what_is_compared_and_how_much(drawing: Drawing) -> None:
    pooled = f"{RATE} (2 values), seed ({SEEDS} values)"
    assert f"72 pairs of 48 runs; no run diverged a cell pools {pooled}" in heading_of(drawing)
    numbers = drawing.numbers
    assert (numbers["pairs"], numbers["runs"], numbers["cells"], numbers["pooled"]) == (72, 48, 12, pooled)
    left, _ = panels_of(drawing)
    assert left.get_ylabel() == "final test loss\nfrom this start ..."
    assert left.get_xlabel() == "... minus that from this start"
    (bar,) = (axes for axes in drawing.figure.axes if axes.get_label() == "<colorbar>")
    assert "final test loss [nats]; blue: the row's start ends lower" in bar.get_xlabel()
    mlp = drawing.data[drawing.data["model"] == "mlp"]
    most = mlp.loc[mlp["mean"].abs().idxmax()]
    assert f"mlp: {most['init']} minus {most['against']}, " in numbers["largest"]
    assert interval(most["low"], most["high"]) in numbers["largest"]


def test_one_doctored_run_changes_the_cells_of_its_start_alone(tables: Tables, drawing: Drawing) -> None:
    chosen = (tables.runs["model"] == "mlp") & (tables.runs["init"] == "normal")
    run_id = tables.runs.loc[chosen, "run_id"].iloc[0]
    doctored = paired_differences(with_entries(tables, run_id, {names.LOSS_TEST: 100.0}))
    changed = drawing.data[(drawing.data != doctored.data).any(axis=1)]
    cells = [("normal", "zeros"), ("normal", "constant"), ("he_normal", "normal")]
    assert sorted(zip(changed["init"], changed["against"], strict=True)) == sorted(cells)
    assert set(changed["model"]) == {"mlp"}
    assert cell_of(doctored, "normal", "zeros")["mean"] > 10.0
    assert cell_of(doctored, "he_normal", "normal")["mean"] < -10.0


@pytest.mark.parametrize("seeds", [FEWEST_MARKED - 1, FEWEST_MARKED])
def test_a_cell_is_marked_if_its_interval_excludes_zero_with_enough_pairs(seeds: int) -> None:
    runs = trained_tables(short_runs(("zeros", "normal", "he_normal"), seeds))
    same = [1.0 + 0.1 * seed for seed in range(seeds)]
    lower, mixed = [value - 0.5 for value in same], [value + (0.3, -0.2)[seed % 2] for seed, value in enumerate(same)]
    drawing = paired_differences(with_losses(runs, {"zeros": same, "normal": lower, "he_normal": mixed}))
    assert cell_of(drawing, "normal", "zeros")["high"] < 0.0
    assert cell_of(drawing, "he_normal", "zeros")["low"] < 0.0 < cell_of(drawing, "he_normal", "zeros")["high"]
    (axes,) = panels_of(drawing)
    enough = seeds == FEWEST_MARKED
    assert texts_at(axes, "normal", "zeros")[0].endswith("*") == enough
    assert not texts_at(axes, "he_normal", "zeros")[0].endswith("*")
    bold = {text.get_text() for text in axes.texts if text.get_fontweight() == "bold"}
    assert (texts_at(axes, "normal", "zeros")[0] in bold) == enough
    assert drawing.numbers["marked"] == (2 if enough else 0)


def test_ties_count_half_and_equal_starts_are_called_equal() -> None:
    runs = trained_tables(short_runs(("zeros", "constant", "normal"), 2))
    losses = {"zeros": [1.0, 2.0], "constant": [1.0, 2.0], "normal": [0.5, 2.0]}
    drawing = paired_differences(with_losses(runs, losses))
    assert cell_of(drawing, "normal", "zeros")["win_rate"] == 0.75
    (axes,) = panels_of(drawing)
    assert texts_at(axes, "constant", "zeros") == ["0", "always equal"]
    assert texts_at(axes, "normal", "zeros")[-1] == "wins 75 %"


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
    (axes,) = panels_of(drawing)
    assert texts_at(axes, "normal", "zeros")[-1] == "2 of 4 diverged"
    assert "2 with a diverged run, which loses and is in no mean" in heading_of(drawing)
    assert drawing.numbers["diverged"] == 2


def test_runs_of_other_settings_are_no_pair_and_missing_partners_are_counted() -> None:
    runs = [*short_runs(("zeros", "normal"), 2), *short_runs(("he_normal",), 1, **{"training.l2": 0.5})]
    drawing = paired_differences(trained_tables(runs))
    assert (cell_of(drawing, "normal", "zeros")["pairs"], cell_of(drawing, "he_normal", "zeros")["pairs"]) == (2, 0)
    assert cell_of(drawing, "he_normal", "zeros")["missing"] == 3
    (axes,) = panels_of(drawing)
    assert axes.get_title() == "mlp, 0 to 2 pairs a cell"
    assert texts_at(axes, "he_normal", "zeros") == ["no pair"]
    assert texts_at(axes, "normal", "zeros")[-1] == "2 pairs"
    assert drawing.numbers["missing"] == cell_of(drawing, "he_normal", "normal")["missing"] + 3 == 6


def test_starts_of_one_name_with_other_numbers_are_compared() -> None:
    runs = [run | {"init.epsilon": epsilon} for epsilon in (0.5, 0.25) for run in short_runs(("perturbed",), 2)]
    drawing = paired_differences(trained_tables(runs))
    assert list(drawing.data["init"]) == ["perturbed, epsilon=0.5"]
    assert list(drawing.data["against"]) == ["perturbed, epsilon=0.25"]
    assert list(drawing.data["pairs"]) == [2]


def test_many_starts_go_below_each_other_with_rows_of_one_height() -> None:
    inits = [scheme for scheme in PALETTE if scheme not in ("mirrored", "duplicated")][: SIDE_BY_SIDE + 1]
    logistic = [run | {"model": "logistic", "model.hidden_units": []} for run in short_runs(inits[:3])]
    one, other = panels_of(paired_differences(trained_tables([*short_runs(inits), *logistic])))
    assert one.get_subplotspec().colspan == other.get_subplotspec().colspan
    assert one.get_subplotspec().get_gridspec().get_height_ratios() == [2, SIDE_BY_SIDE]


def test_drawn_again_from_the_runs_in_another_order_every_byte_is_the_same(tables: Tables) -> None:
    backwards = replace(tables, runs=tables.runs[::-1].reset_index(drop=True))
    assert files_of("paired_differences", tables) == files_of("paired_differences", backwards)


def test_what_cannot_be_shown_is_a_reason_with_a_command() -> None:
    diverged = trained_tables(short_runs(("zeros", "normal")))
    diverged.runs["diverged"] = True
    many = [run | {"init.value": 0.1 * value} for value in range(MOST_STARTS + 1) for run in short_runs(("constant",))]
    for tables, reason in (
        (trained_tables(short_runs(("zeros",), 2)), "no two runs differ in nothing but their initialisation"),
        (trained_tables([SHORT, SHORT | {"init": "normal", "seed": 1}]), "no two runs differ in nothing but"),
        (diverged, "every two runs that differ in nothing but their initialisation include a diverged one"),
        (trained_tables(many), rf"{MOST_STARTS + 1} initialisations, where {MOST_STARTS} have room"),
    ):
        with pytest.raises(NotShownError, match=rf"{reason}.*python -m pipeline\.run -m .*init="):
            paired_differences(tables)
