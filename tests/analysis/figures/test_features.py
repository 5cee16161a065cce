"""Figure 5 of tables: the weights stand beside the names of the features."""

from dataclasses import replace

import numpy as np
import pytest

from analysis.figures.units import incoming_weights
from analysis.tracked.tables import Tables
from tests.support.drawings import panels_of
from tests.support.tracked import trained_tables

NAMES = ["sepal length", "sepal width", "petal length $", "a name that is much too long for a label"]


@pytest.fixture(scope="module")
def tables() -> Tables:
    shared = {"data": "iris", "model.hidden_units": [5], "data.limit": None}
    return trained_tables([shared | {"init": init} for init in ("constant", "he_normal")])


def test_a_row_is_a_feature_by_its_name_and_a_column_a_unit(tables: Tables) -> None:
    digest = tables.runs["data.digest"].iloc[0]
    drawing = incoming_weights(replace(tables, features={digest: NAMES}))
    for axes in panels_of(drawing):
        labels = [label.get_text() for label in axes.get_yticklabels()]
        assert labels[:2] == NAMES[:2]
        assert labels[2] == r"petal length \$"
        assert labels[3] == "a name that is much too…"
        assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "2", "3", "4", "5"]
        assert axes.axison
    weights = tables.weights("run001")["final_weights1"]
    np.testing.assert_array_equal(panels_of(drawing)[3].images[0].get_array(), weights)
    assert drawing.numbers["tiles"].endswith("the weights of the feature that is named beside it.")


@pytest.mark.parametrize("features", [{}, {"other": NAMES}, {"same": NAMES[:3]}])
def test_without_names_the_weights_are_bars(tables: Tables, features: dict[str, list[str]]) -> None:
    digest = tables.runs["data.digest"].iloc[0]
    known = {digest if key == "same" else key: found for key, found in features.items()}
    drawing = incoming_weights(replace(tables, features=known))
    assert drawing.numbers["tiles"] == "A bar of a tile is the weight of an input."
    assert not any(axes.axison for axes in panels_of(drawing))
