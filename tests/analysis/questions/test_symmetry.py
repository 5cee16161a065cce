"""The sheet: every formula against the code, every number put in against the runs, every part on the page."""

import re
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import yaml
from scipy.optimize import approx_fprime, minimize
from scipy.spatial.distance import pdist
from sklearn.datasets import load_breast_cancer

from analysis.claims.source_text import claims_of
from analysis.figures.kit.drawing import FIGURES_OF_QUESTIONS, NotShownError
from analysis.figures.starts import COMMAND
from analysis.questions.symmetry.sheet import PLACE, numbers_of, parts_of
from analysis.theory.descent import FEATURES, descent_from_zeros, gradient, hessian, mean_loss
from analysis.theory.equal_linear import SINGULAR_VALUES, linear_descents
from analysis.tracked.tables import Tables
from analysis.writer import write_report
from pipeline.nn.activations import ACTIVATIONS
from pipeline.numerics.functions import NUMPY
from tests.support.tracked import trained_tables

PARTS = ["1", "2a", "2b", "2c", "2d", "2e", "2f", "2g"]
SHEET = yaml.safe_load((files("analysis.questions.symmetry") / "sheet.yaml").read_text(encoding="utf-8"))
DRAW = FIGURES_OF_QUESTIONS["symmetry"]
RECORDED: dict[str, object] = {"record_weights": [0]}


@pytest.fixture(scope="module")
def tables() -> Tables:
    inits = ("constant", "zeros", "perturbed", "he_normal")
    runs = [{"init": init, "model": model} for model in ("mlp", "logistic") for init in inits]
    return trained_tables(RECORDED | run for run in runs)


def recording(tables: Tables, init: str) -> dict[str, np.ndarray]:
    runs = tables.runs[(tables.runs["model"] == "mlp") & (tables.runs["init"] == init)]
    return tables.recorded(runs["run_id"].item())


def value(latex: str) -> float:
    """A number as the texts show it."""
    mantissa, _, exponent = latex.strip("$").removesuffix("}").partition(r"\times 10^{")
    return float(mantissa) * 10.0 ** float(exponent or 0)


def test_a_perturbed_start_is_neither_symmetric_nor_random(tables: Tables) -> None:
    is_pushed = (tables.runs["init"] == "perturbed") & (tables.runs["model"] == "mlp")
    assert claims_of(replace(tables, runs=tables.runs[~is_pushed])) == claims_of(tables)


def test_the_numbers_of_the_push_are_distances_between_the_recorded_units(tables: Tables) -> None:
    numbers, arrays = numbers_of(tables), recording(tables, "perturbed")
    for key, weights in (("pushed_first", arrays["weights1"][0]), ("pushed_last", arrays["weights1"][-1])):
        assert value(numbers[key]) == pytest.approx(pdist(weights.T).mean(), rel=5e-3)
    assert value(numbers["push"]) == pytest.approx(1e-6)
    assert numbers["pushed_steps"] == str(int(arrays["steps"][-1]))


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "relu", "softplus"])
def test_the_numbers_put_into_2b_and_2c_are_what_the_code_computes(activation: str) -> None:
    run = RECORDED | {"model.activation": activation, "model.hidden_units": [5]}
    tables = trained_tables([run | {"init": "constant"}, run | {"init": "he_normal"}])
    numbers, arrays = numbers_of(tables), recording(tables, "constant")
    weighted = value(numbers["a"]) * value(numbers["input_sum"])
    assert weighted == pytest.approx(value(numbers["S"]), rel=1e-4)
    g, x, slope = ACTIVATIONS[activation], np.empty(1), np.empty(1)
    g.function(np.array([weighted]), x, NUMPY)
    g.derivative(np.array([weighted]), x, slope, NUMPY)
    assert value(numbers["x"]) == pytest.approx(x[0], rel=1e-4)
    # delta(1) = g'(S) sum_j w_j delta_j(2), after the last step, when the columns of W(2) differ.
    sums = (arrays["example_inputs"] @ arrays["weights1"][-1] + arrays["biases1"][-1])[:1]
    g.function(sums, x, NUMPY)
    g.derivative(sums.copy(), x, slope, NUMPY)
    delta = slope[0] * (arrays["weights2"][-1][0] @ arrays["example_deltas2"][-1])
    assert value(numbers["delta_last"]) == pytest.approx(delta, rel=5e-3)
    assert abs(value(numbers["delta_first"])) < 1e-5 * np.abs(arrays["example_deltas2"][0]).max()


def test_the_formula_of_2a_gives_the_recorded_deltas(tables: Tables) -> None:
    numbers = numbers_of(tables)
    assert (numbers["inputs"], numbers["units"], numbers["outputs"]) == ("64", "32", "10")
    assert 0.0 < value(numbers["back_error"]) < 1e-5  # Factors of exact products have 21 bits.


def test_the_command_of_a_part_trains_both_starts_that_its_figures_compare() -> None:
    for identity in ("2a", "2b", "2c", "2d", "2e"):
        assert SHEET[identity]["command"].startswith(COMMAND)


def test_the_numbers_put_into_2d_and_2e_are_those_of_the_first_step(tables: Tables) -> None:
    numbers, arrays = numbers_of(tables), recording(tables, "constant")
    assert value(numbers["q"]) == pytest.approx(0.1)
    assert value(numbers["delta_true"]) == pytest.approx(-0.9)
    first, second = arrays["weights1"][1], arrays["weights2"][1]
    assert arrays["steps"][1] == 1.0
    assert numbers["columns_first"] == numbers["rows_second"] == "$0$"
    assert value(numbers["columns_second"]) == pytest.approx(np.ptp(second[0]), rel=1e-2)
    assert (first == first[:, :1]).all()


def test_the_tumours_are_those_of_scikit_learn() -> None:
    data, found = load_breast_cancer(), descent_from_zeros()
    columns = data.data[:, [list(data.feature_names).index(feature) for feature in FEATURES]]
    np.testing.assert_allclose(found.inputs, (columns - columns.mean(axis=0)) / columns.std(axis=0), atol=1e-12)
    np.testing.assert_array_equal(found.labels, data.target)


def test_the_gradient_and_the_hessian_of_part_1_are_the_derivatives_of_its_loss() -> None:
    found = descent_from_zeros()
    for weights in (np.zeros(2), np.array([0.7, -1.3])):
        wanted = approx_fprime(weights, lambda w: mean_loss(w, found.inputs, found.labels), 1e-7)
        np.testing.assert_allclose(gradient(weights, found.inputs, found.labels), wanted, atol=1e-6)
        slopes = [
            approx_fprime(weights, lambda w, i=i: gradient(w, found.inputs, found.labels)[i], 1e-7) for i in (0, 1)
        ]
        np.testing.assert_allclose(hessian(weights, found.inputs), slopes, atol=1e-6)
        assert (np.linalg.eigvalsh(hessian(weights, found.inputs)) > 0.0).all()
    best = minimize(lambda w: float(mean_loss(w, found.inputs, found.labels)), np.zeros(2), tol=1e-12)
    np.testing.assert_allclose(found.optimum, best.x, atol=1e-3)
    assert found.least <= best.fun + 1e-12
    assert (np.diff(found.losses) < 0.0).all()
    assert found.losses[-1] - found.least < 1e-4


def test_a_linear_network_from_equal_weights_ends_at_what_rank_one_leaves() -> None:
    found = linear_descents()
    assert found.floor == pytest.approx(0.5 * sum(each**2 for each in sorted(SINGULAR_VALUES)[:-1]))
    assert found.equal[-1] == pytest.approx(found.floor, rel=1e-9)
    assert max(found.random[-1], found.model[-1]) < 1e-20


def test_every_part_has_its_claims_figures_and_numbers(tables: Tables) -> None:
    parts = parts_of(tables, claims_of(tables), {})
    assert [part.identity for part in parts] == PARTS
    numbers = numbers_of(tables)
    for text in (text for part in SHEET.values() for text in (part.get("seen", ""), *part.get("slips", ()))):
        assert set(PLACE.findall(text)) <= numbers.keys()
    named = {claim for part in SHEET.values() for claim in part["claims"]}
    assert named == {claim.identity for claim in claims_of(tables)}
    assert set(DRAW) <= {name for part in SHEET.values() for name in part["figures"]}
    for part in parts:
        assert not re.search(r"[$\\]|\[\[", re.sub(r"<[^>]*>", "", part.derivation + part.seen))


def test_without_recorded_runs_the_derivations_stand_and_the_numbers_are_left_out(tables: Tables) -> None:
    plain = replace(tables, runs=tables.runs.drop(columns="record_weights"))
    parts = {part.identity: part for part in parts_of(plain, claims_of(plain), {})}
    assert "tumours" in parts["1"].seen
    assert "<math" in parts["2b"].derivation
    assert parts["2b"].seen == ""
    for name in ("hidden_activations", "hidden_deltas", "output_deltas", "weights_after_one_step"):
        with pytest.raises(NotShownError, match=r"no run was recorded.*experiment=symmetry"):
            DRAW[name](plain)


@pytest.mark.parametrize("name", sorted(DRAW))
def test_equal_units_are_equal_bars_and_equal_columns(tables: Tables, name: str) -> None:
    drawing = DRAW[name](tables)
    data = drawing.data
    if name in ("hidden_activations", "hidden_deltas"):
        spread = data.groupby(["init", "step"])["value"].agg(np.ptp)
        assert (spread["constant"] == 0.0).all()
        assert (spread["he_normal"] > 0.0).all()
        assert drawing.numbers["largest"] == "exactly 0"
        heights = [{bar.get_height() for bar in axes.patches} for axes in drawing.figure.axes]
        assert [len(each) for each in heights] == [1, 32, 1, 32]
    if name == "weights_after_one_step":
        images = [axes.images[0].get_array() for axes in drawing.figure.axes if axes.images]
        assert [(image == image[:, :1]).all() for image in images] == [True, True, False, False]
    if name == "output_deltas":
        assert set(data.loc[data["init"] == "constant", "delta"].round(9)) == {-0.9, 0.1}


def test_each_part_of_the_sheet_is_found_on_the_page(
    tables: Tables, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, blank_pictures: None
) -> None:
    monkeypatch.setattr("analysis.writer.load_tables", lambda _: replace(tables, parent=None))
    written = write_report("symmetry", tmp_path)
    page = (tmp_path / "symmetry" / "index.html").read_text(encoding="utf-8")
    places = [page.index(f'<h2 id="part-{part}">') for part in PARTS]
    assert places == sorted(places)
    for part in PARTS:
        assert f'<a href="#part-{part}"><b>' in page
    for name in (name for part in SHEET.values() for name in part["figures"]):
        assert page.count(f'<figure id="{name}">') == 1, name
        assert all(tmp_path / "symmetry" / f"{name}.{ending}" in written for ending in ("csv", "svg", "png"))
    links = set(re.findall(r'href="#([^"]+)"', page))
    assert links <= set(re.findall(r'id="([^"]+)"', page))
    assert not re.findall(r'(?:src|href)="https?:', page)
    assert page.index('id="summary"') > places[-1]
