"""Figure 7: every network is a point where its numbers say, and the correlations are those of SciPy."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.lines import Line2D
from scipy.stats import norm, spearmanr

from analysis.figures.kit.drawing import Drawing, NotShownError
from analysis.figures.kit.style import PALETTE
from analysis.figures.scatter import distance_and_loss
from analysis.statistics.intervals import rank_correlation
from analysis.tracked.tables import Tables
from analysis.wording import MINUS
from pipeline import names
from pipeline.names import RATE
from tests.support.tracked import DIVERGING, default_grid, trained_tables, with_entries


@pytest.fixture(scope="module")
def tables() -> Tables:
    return trained_tables(default_grid(seeds=3))


def networks(tables: Tables) -> pd.DataFrame:
    return tables.runs[tables.runs["model"] == "mlp"]


def scipy_words(distance: np.ndarray, loss: np.ndarray) -> str:
    """Spearman's correlation by SciPy, with the interval that is computed from it, as text."""
    value = spearmanr(distance, loss).statistic
    error = np.sqrt((1.0 + value**2 / 2.0) / (len(loss) - 3.0))
    low, high = np.tanh(np.arctanh(value) + np.array([-1.0, 1.0]) * norm.ppf(0.975) * error)
    np.testing.assert_allclose(rank_correlation(distance, loss), (value, low, high), rtol=1e-12)
    return in_words(value, low, high)


def in_words(value: float, low: float, high: float) -> str:
    return f"{value:.2f} [{low:.2f}, {high:.2f}]".replace("-", MINUS)


def points_of(drawing: Drawing) -> list[Line2D]:
    """The groups of points; the line at 0 has no marker."""
    return [line for axes in drawing.figure.axes for line in axes.lines if line.get_marker() != "None"]


def test_every_network_is_a_point_at_its_distance_and_loss(tables: Tables) -> None:
    drawing = distance_and_loss(tables)
    runs = networks(tables).set_index("run_id")
    columns = {"init": "init", RATE: "learning_rate", names.DISTANCE: "distance", names.LOSS_TEST: "loss"}
    wanted = runs[list(columns)].rename(columns=columns).sort_index()
    pd.testing.assert_frame_equal(drawing.data.set_index("run_id").sort_index()[list(wanted)], wanted)
    drawn = []
    for line in points_of(drawing):
        rate = float(line.axes.get_title().split(",")[0].removeprefix("learning rate "))
        drawn += [(to_hex(line.get_color()), rate, x, y) for x, y in line.get_xydata()]
    points = wanted.itertuples(index=False, name=None)
    assert sorted(drawn) == sorted((PALETTE[init], rate, x, y) for init, rate, x, y in points)


def test_the_correlations_are_those_of_scipy_with_and_without_the_symmetric_networks(tables: Tables) -> None:
    drawing = distance_and_loss(tables)
    runs = networks(tables)
    broken = runs[runs["init"].isin(("normal", "he_normal"))]
    assert (len(runs), len(broken)) == (24, 12)
    all_of, without = (scipy_words(*part[[names.DISTANCE, names.LOSS_TEST]].to_numpy().T) for part in (runs, broken))
    assert all_of != without
    assert drawing.numbers["correlation"] == all_of
    assert drawing.numbers["correlation_without_symmetric"] == without
    assert (drawing.numbers["runs"], drawing.numbers["symmetric"]) == (24, 12)
    for rate, axes in zip((0.1, 1.0), drawing.figure.axes, strict=True):
        at_rate, apart = (part[part[RATE] == rate][[names.DISTANCE, names.LOSS_TEST]] for part in (runs, broken))
        assert axes.get_title().splitlines() == [
            f"learning rate {rate:g}, 12 networks",
            f"rank correlation {in_words(*rank_correlation(*at_rate.to_numpy().T))}",
            f"without exact symmetry {in_words(*rank_correlation(*apart.to_numpy().T))}",
        ]


def test_one_doctored_run_changes_the_correlation(tables: Tables) -> None:
    best = networks(tables).nsmallest(1, names.LOSS_TEST)["run_id"].item()
    doctored = with_entries(tables, best, {names.LOSS_TEST: 9.0})
    before, after = (distance_and_loss(each).numbers["correlation"] for each in (tables, doctored))
    value = spearmanr(*networks(doctored)[[names.DISTANCE, names.LOSS_TEST]].to_numpy().T).statistic
    assert after.startswith(f"{value:.2f} [".replace("-", MINUS))
    assert after != before


def test_a_diverged_network_is_no_point_but_is_counted(tables: Tables) -> None:
    run_id = networks(tables)["run_id"].iloc[-1]
    # Also a run whose test loss alone has overflowed.
    for changes in ({"diverged": True, names.LOSS_TEST: np.nan, names.DISTANCE: np.nan}, {names.LOSS_TEST: np.inf}):
        drawing = distance_and_loss(with_entries(tables, run_id, changes))
        assert run_id not in set(drawing.data["run_id"])
        assert (drawing.numbers["runs"], drawing.numbers["diverged"]) == (23, 1)
        assert drawing.numbers["lost"] == "1 run diverged: they have no final loss and are left out."
        assert [axes.get_title().splitlines()[0] for axes in drawing.figure.axes][-1].endswith(", 11 networks")


def test_exact_zeros_have_a_place_on_the_axis_the_schemes_side_by_side(tables: Tables) -> None:
    drawing = distance_and_loss(replace(tables, runs=tables.runs[tables.runs[RATE] == 0.1]))
    (axes,) = drawing.figure.axes
    places = {}
    for line in points_of(drawing):
        places[line] = line.get_transform().transform(line.get_xydata())[:, 0]
        assert ((places[line] > axes.bbox.x0) & (places[line] < axes.bbox.x1)).all()
    at_zero = {to_hex(line.get_color()): set(places[line]) for line in places if (line.get_xdata() == 0.0).all()}
    assert at_zero.keys() == {PALETTE["zeros"], PALETTE["constant"]}
    assert at_zero[PALETTE["zeros"]].isdisjoint(at_zero[PALETTE["constant"]])


def test_too_few_runs_have_no_correlation() -> None:
    for count in (2, 3):
        numbers = distance_and_loss(trained_tables({"init": "normal", "seed": seed} for seed in range(count))).numbers
        assert numbers["correlation"].startswith("not defined (fewer than three runs") == (count == 2)


def test_what_cannot_be_shown_is_a_reason_with_a_command() -> None:
    one_unit: dict[str, object] = {"model.hidden_units": [1]}
    for changes, reason in ((one_unit, "distance was measured"), (DIVERGING, r"every network diverged \(1 run\)")):
        with pytest.raises(NotShownError, match=rf"{reason}.*python -m pipeline\.run -m model=mlp"):
            distance_and_loss(trained_tables([changes]))
