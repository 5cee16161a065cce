"""Figure 4: every cell is the mean of its own runs, and says how many those are."""

import shutil
from collections.abc import Mapping
from itertools import product
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from mlflow import MlflowClient
from scipy.stats import sem, t

from analysis.figures.heatmaps import final_heatmaps
from analysis.figures.kit.drawing import Drawing, NotShownError
from analysis.tracked.load import load_tables
from analysis.tracked.tables import Tables
from pipeline import names
from tests.support.drawings import panels_of
from tests.support.tracked import DIVERGING, default_grid, trained_tables, with_entries

RATE = "optimizer.learning_rate"
SEEDS = 4
SCHEMES = ("zeros", "constant", "normal", "he_normal")
CELL = {"model": "mlp", "init": "normal", "learning_rate": 0.1, "quantity": "loss"}


@pytest.fixture(scope="module")
def tables() -> Tables:
    return trained_tables(default_grid(SEEDS))


@pytest.fixture(scope="module")
def drawing(tables: Tables) -> Drawing:
    return final_heatmaps(tables)


def cell_of(drawing: Drawing, **place: object) -> "pd.Series[float]":
    """The row of the data frame for one cell."""
    data = drawing.data
    for column, value in (CELL | place).items():
        data = data[data[column] == value]
    assert len(data) == 1
    return data.iloc[0]


def runs_of(tables: Tables, cell: Mapping[str, object]) -> pd.DataFrame:
    """The tracked runs that belong into a cell."""
    columns = {"model": "model", "init": "init", RATE: "learning_rate"}
    wanted = [tables.runs[column] == cell[key] for column, key in columns.items()]
    return tables.runs[np.all(wanted, axis=0)]


def panel_of(drawing: Drawing, quantity: str = "loss [nats]") -> Axes:
    (axes,) = (axes for axes in panels_of(drawing) if axes.get_title() == f"mlp: final test {quantity}")
    return axes


def test_means_and_intervals_are_those_of_the_runs_of_each_cell(tables: Tables, drawing: Drawing) -> None:
    places = drawing.data.set_index(["model", "init", "learning_rate", "quantity"]).index
    assert set(places) == set(product(("logistic", "mlp"), SCHEMES, (0.1, 1.0), ("loss", "accuracy")))
    assert places.is_unique
    for cell in drawing.data.to_dict("records"):
        values = runs_of(tables, cell)[f"{cell['quantity']}/test"].to_numpy()
        assert (len(values), cell["runs"], cell["diverged"]) == (SEEDS, SEEDS, 0)
        interval = values.mean() + t.ppf([0.025, 0.975], SEEDS - 1) * sem(values)
        # The sums run in another order: the last bits may differ.
        shown = [cell["mean"], cell["low"], cell["high"]]
        np.testing.assert_allclose(shown, [values.mean(), *interval], rtol=1e-12)


@pytest.mark.parametrize(("label", "scale", "digits"), [("loss [nats]", 1, "#.3g"), ("accuracy [%]", 100, ".1f")])
def test_the_picture_shows_each_number_in_its_row_and_column(
    drawing: Drawing, label: str, scale: int, digits: str
) -> None:
    axes = panel_of(drawing, label)
    rows, rates = (axis.get_major_formatter().format_ticks(axis.get_ticklocs()) for axis in (axes.yaxis, axes.xaxis))
    colours = np.asarray(axes.collections[0].get_array()).reshape(4, 2)
    texts = {(*text.xy, text.get_text()) for text in axes.texts}
    for init, rate in product(SCHEMES, (0.1, 1.0)):
        y, x = rows.index(init), rates.index(f"{rate:g}")
        cell = cell_of(drawing, init=init, learning_rate=rate, quantity=label.split()[0])
        assert colours[y, x] == cell["mean"] * scale
        mean, low, high = (f"{cell[end] * scale:{digits}}".rstrip(".") for end in ("mean", "low", "high"))
        assert {(x + 0.5, y + 0.5, mean), (x + 0.5, y + 0.5, f"[{low}, {high}]")} <= texts


def test_one_doctored_run_moves_its_cell_and_no_other(tables: Tables, drawing: Drawing) -> None:
    run = runs_of(tables, CELL).iloc[2]
    doctored = final_heatmaps(with_entries(tables, run["run_id"], {names.LOSS_TEST: run[names.LOSS_TEST] + 1.0}))
    assert cell_of(doctored)["mean"] == pytest.approx(cell_of(drawing)["mean"] + 1.0 / SEEDS, rel=1e-12)
    assert len(drawing.data.compare(doctored.data)) == 1


@pytest.mark.parametrize("changes", [{"diverged": True}, {names.LOSS_TEST: np.inf}], ids=["diverged", "infinite loss"])
def test_a_diverged_run_leaves_the_mean_and_is_counted(tables: Tables, changes: dict[str, object]) -> None:
    runs = runs_of(tables, CELL)
    drawing = final_heatmaps(with_entries(tables, runs["run_id"].iloc[1], changes))
    cell = cell_of(drawing)
    assert (cell["runs"], cell["diverged"], drawing.numbers["diverged"]) == (3, 1, 1)
    assert cell["mean"] == pytest.approx(runs[names.LOSS_TEST].drop(runs.index[1]).mean(), rel=1e-12)
    assert "1 of 4 diverged" in [text.get_text() for text in panel_of(drawing).texts]
    title = "64 runs, mean of 4 runs a cell [95 % t interval]; 1 diverged, in no mean"
    assert drawing.figure.get_suptitle() == title


def test_a_cell_without_any_mean_says_so_and_has_no_colour(tables: Tables) -> None:
    for run_id in runs_of(tables, CELL)["run_id"]:
        tables = with_entries(tables, run_id, {"diverged": True, names.LOSS_TEST: np.nan})
    axes = panel_of(final_heatmaps(tables))
    assert np.flatnonzero(np.ma.getmaskarray(axes.collections[0].get_array())).tolist() == [4]
    assert [tuple(text.xy) for text in axes.texts if text.get_text() == "diverged"] == [(0.5, 2.5)]


def test_the_caption_names_the_cell_with_the_lowest_mean_loss(tables: Tables, drawing: Drawing) -> None:
    for model, words in zip(("logistic", "mlp"), drawing.numbers["best"].split("; "), strict=True):
        losses = tables.runs[tables.runs["model"] == model].groupby(["init", RATE])[names.LOSS_TEST].mean()
        init, rate = losses.idxmin()
        assert words.startswith(f"{model}: {init} at learning rate {rate:g}, {losses.min():.3g} [")


def test_runs_that_differ_in_more_have_rows_of_their_own() -> None:
    tables = trained_tables({"init": "normal", "model.hidden_units": [width], "seed": 0} for width in (8, 16))
    losses = final_heatmaps(tables).data.query("quantity == 'loss'")
    assert losses["row"].to_list() == ["normal, hidden_units=8", "normal, hidden_units=16"]
    assert losses["mean"].to_list() == tables.runs[names.LOSS_TEST].to_list()


def test_a_run_tracked_twice_counts_once(swept: tuple[Path, str], tmp_path: Path, tracking_to: None) -> None:
    shutil.copy(swept[0] / "mlflow.db", tmp_path)
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    before, client = load_tables("symmetry"), MlflowClient()
    first, other = runs_of(before, CELL | {"learning_rate": 0.5}).to_dict("records")
    tracked = client.get_run(first["run_id"])
    again = client.create_run(tracked.info.experiment_id, tracked.info.start_time + 1, tracked.data.tags)
    for key, text in tracked.data.params.items():
        client.log_param(again.info.run_id, key, text)
    for key in (names.LOSS_TRAIN, names.LOSS_TEST):
        client.log_metric(again.info.run_id, key, 9.0)
    client.set_terminated(again.info.run_id)

    cell = cell_of(final_heatmaps(load_tables("symmetry")), learning_rate=0.5)
    assert cell["runs"] == 2
    assert cell["mean"] == pytest.approx((9.0 + other[names.LOSS_TEST]) / 2)


def test_where_every_run_diverged_the_reason_names_a_smaller_learning_rate() -> None:
    with pytest.raises(NotShownError, match=r"every run diverged.*python -m pipeline\.run -m .*learning_rate=0\.01"):
        final_heatmaps(trained_tables([DIVERGING]))
