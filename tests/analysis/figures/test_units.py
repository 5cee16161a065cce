"""Figures 5 and 6: which two runs are compared, and that their weights and distances are the ones shown."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.text import Text
from scipy.spatial.distance import pdist, squareform

from analysis.figures.kit.drawing import NotShownError
from analysis.figures.kit.style import PALETTE, text_colour
from analysis.figures.starts import chosen_pair
from analysis.figures.units import distance_matrices, incoming_weights
from analysis.tracked.tables import Tables
from pipeline import names
from tests.support.drawings import panels_of, texts_of
from tests.support.tracked import STEPS, trained_tables, with_entries, without_weights

NO_PARTNER = r"no run from constant or zero weights shares .* python -m pipeline\.run -m model=mlp init=constant"
Starts = list[dict[str, object]]
ONE_UNIT: Starts = [{"init": init, "model.hidden_units": [1]} for init in ("constant", "normal")]
SETTINGS = [{"optimizer.learning_rate": rate, "seed": seed} for rate in (0.1, 1.0) for seed in (0, 1)]
SWEEP: Starts = [{"init": init} | each for init in ("constant", "zeros", "normal") for each in SETTINGS]
SHOWN = [("run000", "initial"), ("run000", "final"), ("run001", "initial"), ("run001", "final")]


def trained(*overrides: dict[str, object], losses: Sequence[float] = ()) -> Tables:
    """Networks of 4 hidden units if nothing else is said; with ``losses``, doctored final test losses."""
    tables = trained_tables([{"model.hidden_units": [4]} | changes for changes in overrides])
    for number, loss in enumerate(losses):
        tables = with_entries(tables, f"run{number:03d}", {names.LOSS_TEST: loss})
    return tables


def pair_of(**changes: object) -> Tables:
    """A constant run ``run000`` and a random run ``run001`` that differ in nothing else."""
    shared = {key.replace("__", "."): value for key, value in changes.items()}
    return trained(shared | {"init": "constant"}, shared | {"init": "he_normal"})


def chosen(tables: Tables) -> tuple[str, str]:
    """Run ids of the symmetric and the random run, which the order of the runs must not change."""
    pairs = [chosen_pair(replace(tables, runs=tables.runs[::order].reset_index(drop=True))) for order in (1, -1)]
    (ids,) = {(pair.symmetric.run["run_id"], pair.random.run["run_id"]) for pair in pairs}
    return ids


@pytest.mark.parametrize(
    ("overrides", "losses", "wanted"),
    [
        (SWEEP, [2, 2, 2, 2, 0.01, 0.01, 0.01, 0.01, 0.6, 0.5, 0.4, 0.7], ("run002", "run010")),
        ([{"init": "constant"}, {"init": "normal"}, {"seed": 7}], [2, 0.5, 0.1], ("run000", "run001")),
        ([{"init": "constant", "seed": 3}, {"init": "zeros"}, {"init": "normal"}], [1, 2, 3], ("run001", "run002")),
        ([{"init": "constant"}, {"init": "perturbed"}, {"init": "normal"}], [2, 0.1, 0.5], ("run000", "run002")),
        ([{"init": "constant"}, {"init": "perturbed"}], [2, 0.1], ("run000", "run001")),
        ([{"init": "constant"}, {"init": "normal"}, *ONE_UNIT], [2, 0.5, 2, 0.1], ("run000", "run001")),
        (ONE_UNIT, [2, 0.1], ("run000", "run001")),
    ],
    ids=[
        "best",
        "no partner",
        "zeros stand in",
        "partly random last",
        "partly random at all",
        "one unit last",
        "one unit",
    ],
)
def test_the_best_random_run_and_the_symmetric_run_beside_it_are_chosen(
    overrides: Starts, losses: list[float], wanted: tuple[str, str]
) -> None:
    assert chosen(trained(*overrides, losses=losses)) == wanted


@pytest.mark.parametrize(
    "difference",
    [{"model.hidden_units": [5]}, {"data.seed": 1}, {"optimizer.learning_rate": 1.0}, {"training.steps": 20}],
)
def test_partners_differ_in_nothing_but_the_initialisation(difference: dict[str, object]) -> None:
    with pytest.raises(NotShownError, match=NO_PARTNER):
        chosen_pair(trained({"init": "constant"}, {"init": "normal"} | difference))


def test_diverged_runs_are_not_chosen() -> None:
    tables = trained({"init": "constant"}, {"init": "normal"}, {"init": "he_normal"}, losses=[2, 0.1, 0.5])
    assert chosen(tables) == ("run000", "run001")
    assert chosen(with_entries(tables, "run001", {"diverged": True})) == ("run000", "run002")
    with pytest.raises(NotShownError, match=NO_PARTNER):
        chosen_pair(with_entries(tables, "run000", {"diverged": True}))


def test_without_a_test_part_the_training_loss_decides() -> None:
    tables = pair_of(data__test_fraction=0.0)
    assert chosen_pair(tables).metric == names.LOSS_TRAIN
    loss = tables.runs[names.LOSS_TRAIN][1]
    assert f"random start: he_normal, training loss {loss:.3g}" in texts_of(incoming_weights(tables))


def test_where_one_run_has_no_test_loss_all_are_compared_by_their_training_loss() -> None:
    untested = with_entries(pair_of(), "run001", {names.LOSS_TEST: np.nan})
    assert chosen_pair(pair_of()).metric == names.LOSS_TEST
    assert (chosen_pair(untested).metric, chosen_pair(untested).loss_name) == (names.LOSS_TRAIN, "training loss")


def test_unreadable_weights_are_a_reason_with_a_command() -> None:
    with pytest.raises(NotShownError, match=r"weights\.npz of run run001.*python -m pipeline\.run .*rerun=true"):
        chosen_pair(without_weights(pair_of(), "run001"))


def test_tiles_are_the_weights_of_the_run_before_and_after() -> None:
    tables = pair_of(model__hidden_units=[20])
    drawing = incoming_weights(tables)
    for axes, (run_id, moment) in zip(panels_of(drawing), SHOWN, strict=True):
        arrays, image = tables.weights(run_id), np.ma.filled(axes.images[0].get_array(), np.nan)
        for unit in range(16):
            top, left = 9 * (unit // 8) + 1, 9 * (unit % 8) + 1
            weights = arrays[f"{moment}_weights1"][:, unit]
            np.testing.assert_array_equal(image[top : top + 8, left : left + 8], weights.reshape(8, 8))
            shown = drawing.data[drawing.data["unit"] == unit + 1].groupby(["run_id", "moment"])["weight"]
            moments = {"initial": "before", "final": "after"}
            np.testing.assert_array_equal(shown.get_group((run_id, moments[moment])), weights)
        assert np.isfinite(image).sum() == 16 * 64
        # One scale for both moments, with 0 in the middle.
        largest = max(np.abs(arrays[f"{each}_weights1"]).max() for each in ("initial", "final"))
        assert axes.images[0].get_clim() == (-largest, largest)
    assert "units 1 to 16 shown" in drawing.figure.get_suptitle()


def test_inputs_that_are_no_pixels_are_bars_as_high_as_their_weights() -> None:
    tables = pair_of(data="wine", data__limit=None)
    arrays, panels = tables.weights("run001"), panels_of(incoming_weights(tables))
    largest = max(np.abs(arrays[f"{each}_weights1"]).max() for each in ("initial", "final"))
    for axes, moment in ((panels[2], "initial"), (panels[3], "final")):
        (bars,) = (marks for marks in axes.collections if len(marks.get_paths()) == 4 * 13)
        heights = [path.vertices[2, 1] - path.vertices[0, 1] for path in bars.get_paths()]
        # Half a tile is the largest weight; subtracting two corners rounds.
        np.testing.assert_allclose(heights, arrays[f"{moment}_weights1"].T.ravel() / largest * 0.45, atol=1e-12)


def test_heads_name_the_starts_their_losses_and_what_they_share() -> None:
    tables = pair_of(seed=3)
    first, second = (f"test loss {loss:.3g}" for loss in tables.runs[names.LOSS_TEST])
    for draw in (incoming_weights, distance_matrices):
        drawing = draw(tables)
        heads = {text.get_text(): text.get_color() for text in drawing.figure.findobj(Text)}
        assert heads[f"random start: he_normal, {second}"] == text_colour(PALETTE["he_normal"])
        title = "digits, 64 inputs, first hidden layer of 4 tanh units; learning rate 0.1, seed 3"
        if draw is incoming_weights:
            assert heads[f"symmetric start: constant 0.1, {first}"] == PALETTE["constant"]
            assert drawing.figure.get_suptitle() == title
        else:  # It has no panels, because there is nothing to see.
            zero = f"symmetric start: constant 0.1, {first}: all distances exactly 0, before and after training"
            assert drawing.figure.get_suptitle() == f"{title}\n{zero}"


def test_distinct_units_are_those_that_the_trainer_counted() -> None:
    tables = trained({"init": "constant"}, {"init": "duplicated"})
    drawing = incoming_weights(tables)
    assert tables.runs[names.DISTINCT_UNITS].to_list() == [1, 2]
    assert {f"after {STEPS} steps: {count} of 4 units distinct" for count in (1, 2)} <= set(texts_of(drawing))
    assert (drawing.numbers["symmetric_distinct"], drawing.numbers["random_distinct"]) == (1, 2)


def test_one_bit_of_a_bias_or_an_outgoing_weight_makes_a_unit_distinct() -> None:
    # The bias was 0, and a negative zero is the same number.
    for name, value, count in (("biases1", -0.0, 1), ("biases1", 1e-300, 2), ("weights2", 7.0, 2)):
        tables = pair_of()
        tables.weights("run000")[f"initial_{name}"][0] = value
        assert chosen_pair(tables).symmetric.distinct["before"] == count


def test_matrices_are_the_distances_of_all_pairs_on_one_scale() -> None:
    tables = pair_of(model__hidden_units=[5])
    drawing = distance_matrices(tables)
    wanted = {key: pdist(tables.weights(key[0])[f"{key[1]}_weights1"].T) for key in SHOWN}
    for axes, key in zip(panels_of(drawing), SHOWN[2:], strict=True):
        np.testing.assert_array_equal(np.ma.getdata(axes.images[0].get_array()), squareform(wanted[key]))
        assert axes.images[0].get_clim() == (0.0, max(each.max() for each in wanted.values()))
    np.testing.assert_array_equal(drawing.data["distance"], np.concatenate(list(wanted.values())))
    pairs = [(first, second) for first in range(1, 6) for second in range(first + 1, 6)]
    assert list(drawing.data[["unit_a", "unit_b"]].itertuples(index=False, name=None)) == pairs * 4
    # The trainer measures the same mean with code of its own; sums in another order differ in the last bits.
    assert drawing.numbers["random_after"] == pytest.approx(tables.runs[names.DISTANCE][1], rel=1e-12)
    assert f"after {STEPS} steps\nmean distance {tables.runs[names.DISTANCE][1]:.3g}" in texts_of(drawing)


def test_a_symmetric_start_is_at_exactly_zero_and_one_bit_away_is_not() -> None:
    tables = pair_of()
    drawing = distance_matrices(tables)
    assert (drawing.data.loc[drawing.data["run_id"] == "run000", "distance"] == 0.0).all()
    assert "all distances exactly 0" in drawing.figure.get_suptitle()
    assert len(panels_of(drawing)) == 2

    weights = tables.weights("run000")["final_weights1"]
    weights[0, 0] = np.nextafter(weights[0, 0], 1.0)
    before, after, *random = panels_of(distance_matrices(tables))
    assert [text.get_text() for text in before.texts] == ["all 0"]
    assert before.get_title() == "before training\nmean distance exactly 0"
    assert len(random) == 2
    assert "exactly" not in after.get_title()
    assert "all 0" not in [text.get_text() for text in after.texts]
    # White, by the mask, are the exact zeros alone: the diagonal and the pairs that are still equal.
    assert np.ma.getmaskarray(after.images[0].get_array()).sum() == 16 - 6


def test_the_mean_is_over_all_units_of_a_layer_too_wide_to_show() -> None:
    tables = pair_of(model__hidden_units=[130], data="moons", data__limit=None)
    drawing = distance_matrices(tables)
    assert panels_of(drawing)[0].images[0].get_array().shape == (128, 128)
    assert "units 1 to 128 shown" in drawing.figure.get_suptitle()
    assert drawing.numbers["random_after"] == pytest.approx(tables.runs[names.DISTANCE][1], rel=1e-12)


def test_a_single_hidden_unit_has_a_tile_but_no_distances() -> None:
    assert "before training: 1 of 1 unit distinct" in texts_of(incoming_weights(trained(*ONE_UNIT)))
    with pytest.raises(NotShownError, match=r"a single hidden unit has no pairs.*python -m pipeline\.run"):
        distance_matrices(trained(*ONE_UNIT))
