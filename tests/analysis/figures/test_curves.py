"""Figures 2 and 3: every line is a mean over runs of one start and setting, and exact zeros have a place."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from scipy.stats import gmean

from analysis.figures.curves import HIGHEST, MOST_PANELS, loss_over_steps, symmetry_over_steps
from analysis.figures.kit.drawing import Drawing, NotShownError
from analysis.figures.kit.style import PALETTE
from analysis.statistics.intervals import mean_with_interval
from analysis.tracked.tables import Tables
from pipeline import names
from tests.support.drawings import files_of
from tests.support.tracked import DIVERGING, default_grid, trained_tables

RATE = "optimizer.learning_rate"
SCHEMES = ("zeros", "constant", "normal", "he_normal")
SEEDS = 3
SHORT: dict[str, object] = {"training.steps": 3, "training.measure_at": 3}


@pytest.fixture(scope="module")
def tables() -> Tables:
    return trained_tables(default_grid(SEEDS))


@pytest.fixture(scope="module")
def losses(tables: Tables) -> Drawing:
    return loss_over_steps(tables)


@pytest.fixture(scope="module")
def symmetry(tables: Tables) -> Drawing:
    return symmetry_over_steps(tables)


def curves_of(tables: Tables, metric: str, **place: object) -> pd.DataFrame:
    """Tracked curves, steps by runs."""
    curve = tables.curve(metric)
    for key, value in place.items():
        curve = curve[curve[RATE if key == "rate" else key] == value]
    return curve.pivot(index="step", columns="run_id", values="value")


def lines_of(axes: Axes) -> dict[tuple[str, str], np.ndarray]:
    """(Colour, dashes) -> points of the lines of data; the line at 0 spans the axes in their own units."""
    return {
        (to_hex(line.get_color()), line.get_linestyle()): line.get_xydata()
        for line in axes.lines
        if len(line.get_xdata()) > 2
    }


def titles_of(drawing: Drawing) -> list[str]:
    return [title for axes in drawing.figure.axes if (title := axes.get_title())]


def legend_of(drawing: Drawing) -> list[str]:
    return [text.get_text() for text in drawing.figure.legends[0].get_texts()]


def test_each_panel_has_the_mean_losses_of_its_model_and_learning_rate(tables: Tables, losses: Drawing) -> None:
    places = [(model, rate) for model in ("logistic", "mlp") for rate in (0.1, 1.0)]
    runs = SEEDS * len(SCHEMES)
    assert [title.rsplit("\n", title.count("starts end"))[0] for title in titles_of(losses)] == [
        f"{model}, learning rate {rate:g}\n{runs} runs" for model, rate in places
    ]
    for both, (model, rate) in zip(np.reshape(losses.figure.axes, (4, 2)), places, strict=True):
        for axes, metric in zip(both, (names.LOSS_TRAIN, names.LOSS_TEST), strict=True):
            drawn = lines_of(axes)
            assert len(drawn) == len(SCHEMES)
            for scheme in SCHEMES:
                curves = curves_of(tables, metric, model=model, rate=rate, init=scheme)
                assert curves.shape[1] == SEEDS
                points = drawn[PALETTE[scheme], "--" if scheme == "constant" else "-"]
                np.testing.assert_array_equal(points[:, 0], curves.index)
                np.testing.assert_allclose(points[:, 1], gmean(curves, axis=1), rtol=1e-12)
    assert [axes.get_ylabel() for axes in losses.figure.axes[:2]] == ["training loss [nats]", "test loss [nats]"]
    assert losses.figure.axes[-1].get_xlabel() == "step"
    assert legend_of(losses) == [*SCHEMES]


def test_a_title_says_where_all_starts_end_together(tables: Tables) -> None:
    def titles(loss: float) -> list[str]:
        runs = tables.runs[(tables.runs[RATE] == 0.1) & (tables.runs["model"] == "logistic")]
        curves, last = tables.curves.copy(), tables.curves["step"].max()
        chosen = (curves["metric"] == names.LOSS_TRAIN) & (curves["step"] == last)
        zeros = curves["run_id"].isin(runs.loc[runs["init"] == "zeros", "run_id"])
        curves.loc[chosen, "value"] = 1.0
        curves.loc[chosen & zeros, "value"] = loss
        return titles_of(loss_over_steps(replace(tables, runs=runs, curves=curves)))

    assert titles(1.01)[0].endswith("\n4 starts end within 1 %")
    assert "end within" not in titles(1.2)[0]


def test_the_data_frame_has_the_intervals_over_seeds(tables: Tables, losses: Drawing) -> None:
    data = losses.data
    chosen = data[(data["setting"] == "mlp") & (data["learning_rate"] == 1.0) & (data["init"] == "he_normal")]
    lines = chosen[chosen["metric"] == "training"].set_index("step")
    curves = curves_of(tables, names.LOSS_TRAIN, model="mlp", rate=1.0, init="he_normal")
    expected = np.exp(mean_with_interval(np.log(curves.T.to_numpy())))
    for column, values in zip(("value", "low", "high"), expected, strict=True):
        np.testing.assert_allclose(lines.loc[curves.index, column], values, rtol=1e-12)
    assert (lines["runs"] == SEEDS).all()
    assert losses.numbers["runs_a_line"] == f"{SEEDS}"
    best = tables.runs[tables.runs["model"] == "mlp"].groupby("init")[names.LOSS_TRAIN].min()
    assert f"mlp: {best.idxmin()} {best.min():.3g}, " in losses.numbers["conclusion"]


def test_distances_and_distinct_units_of_the_networks_stand_below_each_other(tables: Tables, symmetry: Drawing) -> None:
    assert len(symmetry.figure.axes) == 4
    for (above, below), rate in zip(np.reshape(symmetry.figure.axes, (2, 2)), (0.1, 1.0), strict=True):
        assert above.get_title() == f"mlp, learning rate {rate:g}\n{SEEDS * len(SCHEMES)} runs"
        for axes, metric in ((above, names.DISTANCE), (below, names.DISTINCT_UNITS)):
            for scheme in SCHEMES:
                curves = curves_of(tables, metric, model="mlp", rate=rate, init=scheme)
                points = lines_of(axes)[PALETTE[scheme], "--" if scheme == "constant" else "-"]
                is_apart = metric == names.DISTANCE and curves.to_numpy().all()
                means = np.exp(np.log(curves).mean(axis=1)) if is_apart else curves.mean(axis=1)
                np.testing.assert_allclose(points[:, 1], means, rtol=1e-12)
    above, below = symmetry.figure.axes[:2]
    assert (above.get_ylabel(), below.get_ylabel()) == ("mean distance\nbetween units", "distinct\nunits")
    assert [tick.get_text() for tick in below.get_yticklabels()] == ["1", "32"]


def test_exact_zeros_are_inside_the_axis_of_distances(symmetry: Drawing) -> None:
    axes = symmetry.figure.axes[0]
    points = lines_of(axes)[PALETTE["zeros"], "-"]
    assert (points[:, 1] == 0.0).all()
    place = axes.transData.transform((1.0, 0.0))[1]
    assert axes.bbox.y0 < place < axes.bbox.y1
    assert 0.0 in axes.get_yticks()
    assert "in any of the 12 runs from zeros or a constant is 0." in symmetry.numbers["largest_symmetric"]


def test_starts_that_differ_in_numbers_only_have_lines_and_shades_of_their_own() -> None:
    epsilons = (0.0, 1e-6, 1e-3)
    tables = trained_tables(SHORT | {"init": "perturbed", "init.epsilon": epsilon} for epsilon in epsilons)
    drawing = loss_over_steps(tables)
    assert legend_of(drawing)[:3] == [f"perturbed, epsilon={epsilon:g}" for epsilon in epsilons]
    colours = [colour for colour, dashes in lines_of(drawing.figure.axes[0]) if dashes == "-"]
    assert colours[0] == PALETTE["perturbed"]
    assert len(set(colours)) == 3


def test_settings_have_panels_in_the_order_of_their_numbers() -> None:
    widths = (8, 10, 100)
    drawing = symmetry_over_steps(trained_tables(SHORT | {"model.hidden_units": [width]} for width in widths))
    assert titles_of(drawing) == [f"mlp, hidden_units={width}, learning rate 0.1\n1 run" for width in widths]
    assert drawing.numbers["pooled"] == ""


def test_more_settings_than_panels_are_pooled_and_the_caption_says_so() -> None:
    values = range(MOST_PANELS + 1)
    drawing = loss_over_steps(trained_tables(SHORT | {"training.l2": 0.1 * value} for value in values))
    assert titles_of(drawing) == [f"mlp, learning rate 0.1\n{len(values)} runs"]
    assert f"A line pools training.l2 ({len(values)} values)" in drawing.numbers["pooled"]
    assert drawing.numbers["runs_a_line"] == f"{len(values)}"


def test_what_diverges_leaves_the_panel_and_does_not_flatten_the_others() -> None:
    # 30 steps, in which the loss of the second run goes beyond the range of the numbers.
    tables = trained_tables([{"init": "normal", "training.loss": "squared_error"}, DIVERGING])
    drawing = loss_over_steps(tables)
    first = drawing.data.loc[drawing.data["step"] == 0, "value"].max()
    last = tables.runs.loc[~tables.runs["diverged"], [names.LOSS_TRAIN, names.LOSS_TEST]].to_numpy().max()
    for axes in drawing.figure.axes:
        assert axes.get_ylim()[1] == HIGHEST * max(first, last)
        assert axes.get_ylabel() in ("training loss", "test loss", "")
    assert titles_of(drawing)[0] == "mlp, activation=relu, learning rate 1e+06\n1 run, diverged"
    assert drawing.data["value"].max() > 1e20  # Far beyond the panel; how far depends on the draws.
    assert "1 run diverged: their lines end early, or leave the panel at" in drawing.numbers["lost"]


def test_a_sweep_without_a_hidden_layer_is_a_reason_with_a_command() -> None:
    logistic = trained_tables([SHORT | {"model": "logistic"}])
    with pytest.raises(NotShownError, match=r"no run has hidden units.*python -m pipeline\.run -m model=mlp init="):
        symmetry_over_steps(logistic)


@pytest.mark.parametrize("name", ["loss_over_steps", "symmetry_over_steps"])
def test_drawn_again_from_the_runs_in_another_order_every_byte_is_the_same(tables: Tables, name: str) -> None:
    backwards = replace(tables, runs=tables.runs[::-1].reset_index(drop=True))
    assert files_of(name, tables) == files_of(name, backwards)
