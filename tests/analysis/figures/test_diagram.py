"""Figure 1: the diagram is that of the trained networks, and its deltas go back."""

from itertools import pairwise

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.patches import FancyArrowPatch

from analysis.figures.diagram import BACKWARD, network_diagram
from analysis.figures.kit.drawing import NotShownError
from analysis.figures.kit.narrow import WIDTH
from analysis.tracked.tables import Tables
from tests.support.drawings import texts_of
from tests.support.tracked import trained_tables, without_weights

DEEP: dict[str, object] = {"model.hidden_units": [8, 7, 6], "model.activation": "relu"}
LOGISTIC: dict[str, object] = {"model": "logistic", "model.hidden_units": []}


def trained(*overrides: dict[str, object]) -> Tables:
    """Runs of one step on all of their data, networks of 4 hidden units if nothing else is said."""
    base = {"training.steps": 1, "training.batch_size": None, "data.limit": None, "model.hidden_units": [4]}
    return trained_tables([base | changes for changes in overrides])


@pytest.mark.parametrize(
    ("changes", "units", "functions", "loss"),
    [
        ({"model.hidden_units": [32]}, [64, 32, 10], " tanh softmax", "cross-entropy"),
        (DEEP | {"data": "wine"}, [13, 8, 7, 6, 3], " relu relu relu softmax", "cross-entropy"),
        (LOGISTIC | {"data": "moons"}, [2, 1], " sigmoid", "cross-entropy"),
        ({"training.loss": "squared_error", "data": "moons"}, [2, 4, 1], " tanh identity", "squared error"),
    ],
    ids=["default", "depth 3", "logistic", "squared error"],
)
def test_sizes_functions_and_loss_are_those_of_the_runs(
    changes: dict[str, object], units: list[int], functions: str, loss: str
) -> None:
    tables = trained(changes)
    drawing = network_diagram(tables)
    assert drawing.data["units"].to_list() == units
    assert drawing.data["function"].to_list() == functions.split(" ")
    arrays = tables.weights("run000")
    sizes = [arrays[f"final_weights{layer}"].size for layer in range(1, len(units))]
    assert drawing.data["weights"].to_list() == [0, *sizes]

    texts = texts_of(drawing)
    hidden = [text for text in texts if text.startswith("hidden layer")]
    assert hidden == [f"hidden layer {layer}" for layer in range(1, len(units) - 1)]
    assert {rf"${before} \times {after}$" for before, after in pairwise(units)} <= set(texts)
    assert loss in texts
    for layer, width in enumerate(units):
        for number in range(1, width + 1):
            index = f"_{{{number}}}^{{({layer})}}$"
            drawn = number in (1, 2, width)
            assert (f"$x{index}" in texts) == drawn
            assert (f"$S{index}" in texts) == (rf"$\delta{index}" in texts) == (drawn and layer > 0)


def test_formulas_of_the_deltas_name_the_layer_above_and_the_loss() -> None:
    texts = texts_of(network_diagram(trained({"model.hidden_units": [5, 6]})))
    assert [text for text in texts if text.startswith(r"$\delta_j^{")] == [
        r"$\delta_j^{(1)} = g'(S_j^{(1)})\,\sum_k w_{jk}^{(2)}\,\delta_k^{(2)}$",
        r"$\delta_j^{(2)} = g'(S_j^{(2)})\,\sum_k w_{jk}^{(3)}\,\delta_k^{(3)}$",
        r"$\delta_j^{(3)} = x_j^{(3)} - y_j$",
    ]
    assert not any("g'" in text for text in texts_of(network_diagram(trained(LOGISTIC))))


def test_a_bias_stands_in_the_formula_and_the_data_only_where_the_network_has_one() -> None:
    for bias, biases in ((True, [0, 4, 10]), (False, [0, 0, 0])):
        drawing = network_diagram(trained({"model.bias": bias}))
        sums = [text for text in texts_of(drawing) if text.startswith("$S_j^")]
        assert ["b_j" in formula for formula in sums] == [bias, bias]
        assert drawing.data["biases"].to_list() == biases


def test_arrows_of_the_forward_pass_point_right_and_those_of_the_deltas_back() -> None:
    (axes,) = network_diagram(trained({"model.hidden_units": [32]})).figure.axes
    arrows = {str(patch.get_gid()): patch for patch in axes.patches if isinstance(patch, FancyArrowPatch)}
    hidden, outputs = (1, 2, 32), (1, 2, 10)
    back = {f"back:2:{i}:{j}" for i in hidden for j in outputs} | {f"back:loss:{j}" for j in outputs}
    deltas = {f"delta:1:{i}" for i in hidden} | {f"delta:2:{j}" for j in outputs}
    # No delta goes back into the inputs.
    assert {gid for gid in arrows if gid.startswith(("back:", "delta:"))} == back | deltas
    for gid, arrow in arrows.items():
        start, _, end = arrow.get_path().vertices[:3]  # A curve with one control point; the head follows.
        backward = gid.startswith(("delta:", "back:", "key:backward"))
        assert (to_hex(arrow.get_edgecolor()) == BACKWARD) == backward, gid
        if gid != "targets":
            assert np.sign(end[0] - start[0]) == (-1 if backward else 1), gid


@pytest.mark.parametrize("changes", [{}, DEEP | {"data": "wine"}, LOGISTIC])
def test_on_a_phone_the_same_arrows_point_down_and_nothing_leaves_the_picture(changes: dict[str, object]) -> None:
    drawing = network_diagram(trained(changes))
    wide, narrow = drawing.figure, drawing.narrow
    assert narrow is not None
    arrows, turned = ({p.get_gid(): p for p in canvas.axes[0].patches if p.get_gid()} for canvas in (wide, narrow))
    assert turned.keys() == {gid for gid in arrows if not gid.startswith("key:")}
    for gid, arrow in turned.items():
        start, end = arrow._posA_posB
        if gid != "targets":
            assert np.sign(end[1] - start[1]) == (1 if gid.startswith(("delta:", "back:")) else -1), gid
    assert narrow.get_figwidth() == WIDTH
    canvas = FigureCanvasAgg(narrow)
    for text in narrow.axes[0].texts:
        box = text.get_window_extent(canvas.get_renderer())
        assert 0.0 <= box.x0 < box.x1 <= narrow.bbox.width, text.get_text()
        assert box.y0 >= 0.0
    formulas = {text for text in texts_of(drawing) if text.startswith("$") and "=" in text}
    assert formulas <= {text.get_text() for text in narrow.axes[0].texts}


def test_the_most_frequent_network_with_hidden_units_is_drawn_and_counted() -> None:
    runs = [LOGISTIC | {"seed": seed} for seed in range(4)]
    runs += [{"data": "moons"}, {"data": "wine"}, {"data": "circles"}, {"model.hidden_units": [3]}]
    for order in (runs, runs[::-1]):
        drawing = network_diagram(trained(*order))
        # Moons and circles have the same shape, the other two shapes of their own.
        assert drawing.data["units"].to_list() == [2, 4, 1]
        numbers = drawing.numbers
        assert (numbers["runs"], numbers["all_runs"], numbers["architectures"]) == (2, 8, "4 architectures")


@pytest.mark.parametrize(("depth", "words"), [(4, "layer 3"), (6, "layers 3 to 5")])
def test_a_deeper_network_says_which_layers_are_not_drawn(depth: int, words: str) -> None:
    drawing = network_diagram(trained({"model.hidden_units": [5] * depth}))
    assert drawing.data.loc[~drawing.data["drawn"], "layer"].to_list() == list(range(3, depth))
    assert {words, "not drawn", f"hidden layer {depth}"} <= set(texts_of(drawing))
    assert "hidden layer 3" not in texts_of(drawing)
    assert drawing.numbers["not_drawn"] == f" Not drawn: hidden {words}."


def test_one_run_with_readable_weights_is_enough_and_needed() -> None:
    tables = trained({"seed": 0}, {"seed": 1})
    assert network_diagram(without_weights(tables, "run000")).numbers["runs"] == 2
    with pytest.raises(NotShownError, match=r"readable weights.*python -m pipeline\.run -m"):
        network_diagram(without_weights(tables, "run000", "run001"))
