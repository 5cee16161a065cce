"""Tables and figures as functions of a frame of runs."""

import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

import analysis
from analysis.errors import ReportError
from analysis.notebook import figure_names
from analysis.tracked.runs import Runs
from symmetry_lab import sweep


@pytest.fixture(scope="module")
def runs() -> Runs:
    overrides = ("model=logistic,mlp", "init=zeros,normal", "seed=0,1", "optimizer.learning_rate=0.1,0.5", "data=iris")
    return sweep(*overrides, "training.steps=20", "executor=inline", track=False)


GENERAL = [
    *("loss_over_steps", "symmetry_over_steps", "network_diagram", "final_heatmaps", "logistic_optimum"),
    *("paired_differences", "distance_and_loss", "incoming_weights", "distance_matrices"),
]


def test_every_figure_is_a_function() -> None:
    assert set(GENERAL) <= set(figure_names()) <= set(dir(analysis))
    assert all(getattr(analysis, name).__name__ == name and getattr(analysis, name).__doc__ for name in figure_names())


@pytest.mark.parametrize("name", ["loss_over_steps", "logistic_optimum", "incoming_weights"])
def test_it_draws_what_notebooks_show(name: str, runs: Runs) -> None:
    figure = getattr(analysis, name)(runs)
    assert isinstance(figure, Figure)
    assert figure._repr_png_().startswith(b"\x89PNG")  # type: ignore[attr-defined]


def test_a_selection_is_drawn_alone(runs: Runs) -> None:
    assert set(analysis.drawing("loss_over_steps", runs[runs["init"] == "normal"]).data["init"]) == {"normal"}


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (lambda runs: analysis.incoming_weights(runs[runs["model"] == "logistic"]), "no run has hidden units"),
        (lambda runs: analysis.loss_over_steps(pd.DataFrame(runs)), "runs: expected what sweep or load returns"),
        (lambda runs: analysis.answer(runs, "widths"), "question: expected one of "),
        (lambda runs: runs.curves("loss"), "curves: expected one of accuracy/test, .*, got 'loss'"),
        (lambda runs: runs.weights(16), "weights: expected a run of 0 to 15, got 16"),
        (lambda runs: runs[["model"]].curves(), "runs: expected the column run_id"),
        (lambda runs: pd.concat([runs, runs]).curves(), "runs: expected rows selected from one sweep"),
    ],
)
def test_a_mistake_is_one_line(call: object, line: str, runs: Runs) -> None:
    with pytest.raises(ReportError, match=line) as raised:
        call(runs)  # type: ignore[operator]
    assert "\n" not in str(raised.value)


def test_an_unknown_figure_is_named_with_those_that_there_are() -> None:
    with pytest.raises(AttributeError, match="no figure 'loss_over_step'; there are: loss_over_steps, "):
        analysis.loss_over_step  # noqa: B018


def test_curves_and_weights_belong_to_the_rows_by_their_labels(runs: Runs) -> None:
    chosen = runs[runs["seed"] == 1]
    curves = chosen.curves("loss/train")
    assert list(curves) == ["run", "step", "value"]
    assert set(curves["run"]) == set(chosen.index)
    last = curves.groupby("run")["value"].last()
    pd.testing.assert_series_equal(last, pd.Series(chosen["loss/train"]), check_names=False)
    network = chosen.index[chosen["model"] == "mlp"][0]
    layers = chosen.weights(network)
    assert [layer.weights.shape for layer in layers.final] == [(4, 32), (32, 3)]
    assert np.ptp(layers.initial[0].weights, axis=1).max() == 0.0  # It starts from zeros.


def test_they_survive_what_frames_survive(runs: Runs, tmp_path: Path) -> None:
    for same in (runs.copy(), pickle.loads(pickle.dumps(runs)), runs.sort_values("seed"), runs.assign(width=32)):  # noqa: S301
        assert isinstance(same, Runs)
        assert len(same.curves("loss/train")) == len(runs.curves("loss/train"))


def test_the_statements_are_those_of_the_report(runs: Runs) -> None:
    statements = analysis.verdicts(runs)
    assert "fails" not in set(statements[statements["arithmetic"] == "exact"]["verdict"])
    table, conclusion = analysis.answer(runs, "one_unit")
    assert list(table) == list(statements)
    assert isinstance(conclusion, str)
