"""What every figure of the report keeps to."""

from dataclasses import replace

import pytest

from analysis.figures import FIGURES
from analysis.figures.kit.drawing import NotShownError
from tests.support.drawings import files_of
from tests.support.tracked import default_grid, trained_tables

NAMES = ["network_diagram", "final_heatmaps", "incoming_weights", "distance_matrices", "distance_and_loss"]


@pytest.mark.parametrize("name", NAMES)
def test_drawn_again_from_the_runs_in_another_order_every_byte_is_the_same(name: str) -> None:
    tables = trained_tables(default_grid())
    backwards = replace(tables, runs=tables.runs[::-1].reset_index(drop=True))
    (picture, data), (other_picture, other_data) = files_of(name, tables), files_of(name, backwards)
    assert data == other_data
    assert picture == other_picture


@pytest.mark.parametrize("name", ["incoming_weights", "distance_matrices", "distance_and_loss"])
def test_runs_without_a_hidden_layer_are_a_reason_with_a_command(name: str) -> None:
    logistic = trained_tables({"model": "logistic", "init": init} for init in ("constant", "normal"))
    with pytest.raises(NotShownError, match=r"no run has hidden units.*python -m pipeline\.run -m model=mlp init="):
        FIGURES[name](logistic)
