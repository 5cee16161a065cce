"""The question ``saddle``: exact curves and escape times, made up and trained."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from analysis.claims.claim import FAILS, NOT_TESTED, UNDECIDED, WITHIN
from analysis.figures import NotShownError
from analysis.questions.saddle.answer import answer
from analysis.questions.saddle.figures import saddle_escape, saddle_modes
from analysis.questions.saddle.tables import costs_of_smallness, escapes_of, modes_of
from analysis.tracked.tables import Tables
from tests.support.tracked import trained_tables, with_value

EPSILONS = (0.04, 0.02, 0.01, 0.005)
EXPONENTS = {2: 0.0, 3: -1.0, 4: -2.0}
TWO_LAYERS = {
    "data": "whitened", "data.limit": None, "data.test_fraction": 0.0, "model.activation": "identity",
    "model.bias": False, "model.hidden_units": [6], "training.loss": "squared_error", "training.batch_size": None,
    "training.l2": 0.0, "training.steps": 1500, "training.measure_at": 60, "measures": ["mode_strengths"],
    "optimizer.learning_rate": 0.02,
}  # fmt: skip


def escape_time(epsilon: float, exponent: float) -> float:
    """A time whose derivative by the logarithm of epsilon goes like epsilon to the exponent."""
    return -3.0 * np.log(epsilon) if exponent == 0.0 else epsilon**exponent


def made_up(exponents: Mapping[tuple[str, int], float] | None = None, seeds: int = 3) -> Tables:
    """Deep runs that leave their plateau at times by the exponents, by (activation, small layers); seeds differ."""
    rows, curves = [], []
    for activation in ("identity", "tanh"):
        for small, exponent in EXPONENTS.items():
            exponent = (exponents or {}).get((activation, small), exponent)
            for epsilon in EPSILONS:
                for seed in range(seeds):
                    run_id = f"{activation}-{small}-{epsilon}-{seed}"
                    rows.append({
                        "run_id": run_id, "init": "small_layers", "model.activation": activation, "data": "whitened",
                        "model.hidden_units": (8, 8, 8), "init.small": small, "init.epsilon": epsilon, "seed": seed,
                        "optimizer.learning_rate": 0.5, "diverged": False,
                    })  # fmt: skip
                    # The loss falls from 1 on a straight line, and passes 0.95 in its middle.
                    step = 2.0 * (1.0 + seed) * escape_time(epsilon, exponent)
                    points = ((0, 1.0), (0.5 * step, 1.0), (1.5 * step, 0.9), (9.0 * step, 0.1))
                    curves += [(run_id, "loss/train", at, loss) for at, loss in points]
    return Tables("tests", pd.DataFrame(rows), pd.DataFrame(curves, columns=["run_id", "metric", "step", "value"]),
                  lambda run_id: {})  # fmt: skip


@pytest.fixture(scope="module")
def linear() -> Tables:
    """Trained two-layer linear networks: one aligned start, two random ones."""
    starts = [{"init": "diagonal", "init.scale": 0.03}, *({"init": "normal", "init.scale": 0.01, "seed": seed}
              for seed in (0, 1))]  # fmt: skip
    return trained_tables([{**TWO_LAYERS, **start} for start in starts])


def test_trained_linear_networks_follow_the_exact_curves(linear: Tables) -> None:
    modes = modes_of(linear)
    assert modes["run_id"].nunique() == 3
    assert set(modes["singular_value"].round(3)) == {0.5, 0.3, 0.15}
    np.testing.assert_allclose(modes.loc[(modes["start"] == "aligned start") & (modes["time"] == 0), "alone"], 9e-4)
    assert (modes.groupby("start")["overlap"].max() > 0.1).to_dict() == {"aligned start": False, "random start": True}
    aligned, alone, together = answer(linear).claims[:3]
    assert (aligned.verdict, aligned.runs) == (WITHIN, 1)
    assert np.isnan(aligned.low)
    # Modes of a random start share hidden units; only the solution that counts them is near.
    assert (alone.verdict, alone.runs) == (FAILS, 2)
    assert ", behind its curve" in alone.measured
    assert (together.verdict, together.runs) == (WITHIN, 2)
    assert together.number < 0.1 * alone.number
    conclusion = answer(linear).conclusion
    assert conclusion.startswith("Predictions that fail: 2. From an aligned start")
    assert "with a cosine of up to 0." in conclusion


@pytest.mark.parametrize(("identity", "run_id"), [("1", "run000"), ("3", "run002")])
def test_one_point_off_the_curve_fails(linear: Tables, identity: str, run_id: str) -> None:
    claim = answer(with_value(linear, run_id, "modes/strength2", 1500, 0.15)).claims[int(identity) - 1]
    assert (claim.identity, claim.verdict, claim.worst_run) == (identity, FAILS, run_id)
    assert "in mode 2, behind its curve" in claim.measured


def test_a_random_start_on_the_curve_of_single_modes_holds(linear: Tables) -> None:
    modes = modes_of(linear)
    curves = linear.curves.copy()
    for mode in (1, 2, 3):
        at = (curves["run_id"] != "run000") & (curves["metric"] == f"modes/strength{mode}")
        exact = modes[(modes["start"] == "random start") & (modes["mode"] == mode)]
        curves.loc[at, "value"] = exact["alone"].to_numpy()
    answered = answer(replace(linear, curves=curves))
    assert [claim.verdict for claim in answered.claims[:3]] == [WITHIN, WITHIN, FAILS]


def test_escape_times_are_read_between_measured_steps() -> None:
    escapes = escapes_of(made_up())
    at = escapes.set_index("run_id")["time"]
    assert at["tanh-3-0.02-1"] == pytest.approx(2.0 * 50.0)
    assert at["identity-4-0.01-0"] == pytest.approx(1e4)
    assert at["identity-2-0.01-0"] == pytest.approx(-3.0 * np.log(0.01))


def test_the_cost_of_a_smaller_epsilon_has_no_constant() -> None:
    points = pd.DataFrame({"group": "a", "epsilon": [0.1, 0.01, 0.001], "time": [1007.0, 2007.0, 3007.0]})
    np.testing.assert_allclose(costs_of_smallness(points)["cost"], 1000.0 / np.log(10.0))


def test_every_law_holds_for_times_made_by_it() -> None:
    found = answer(made_up())
    assert [claim.verdict for claim in found.claims] == [NOT_TESTED] * 3 + [WITHIN] * 6
    np.testing.assert_allclose([claim.number for claim in found.claims[3:]], [0, 0, -1, -1, -2, -2], atol=1e-9)
    assert "Escape takes a time like log(1/epsilon)" in found.conclusion


@pytest.mark.parametrize("small", EXPONENTS)
@pytest.mark.parametrize("activation", ["identity", "tanh"])
def test_each_law_fails_alone_for_another_exponent(activation: str, small: int) -> None:
    found = answer(made_up({(activation, small): EXPONENTS[small] - 0.2}))
    place = 2 * (small - 2) + (activation == "tanh")
    assert [claim.verdict == FAILS for claim in found.claims[3:]] == [index == place for index in range(6)]
    assert found.conclusion.startswith(f"Predictions that fail: {place + 4}.")


def test_a_run_that_never_escapes_takes_its_seed_out() -> None:
    tables = made_up()
    stuck = (tables.curves["run_id"] == "tanh-4-0.005-2") & (tables.curves["value"] < 1.0)
    found = answer(replace(tables, curves=tables.curves[~stuck])).claims[8]
    assert (found.runs, found.verdict) == (8, UNDECIDED)
    assert found.measured.endswith("; 1 of 12 runs never left the plateau; 4 are left out")


def test_without_such_runs_nothing_is_tested_or_shown() -> None:
    tables = made_up()
    tables = replace(tables, runs=tables.runs.assign(init="zeros"))
    assert {claim.verdict for claim in answer(tables).claims} == {NOT_TESTED}
    for draw in (saddle_modes, saddle_escape):
        with pytest.raises(NotShownError, match="experiment=saddle"):
            draw(tables)


def test_figures_show_every_run(linear: Tables) -> None:
    escape, modes = saddle_escape(made_up()), saddle_modes(linear)
    assert [axes.get_title() for axes in escape.figure.axes] == [f"{small} small layers" for small in (2, 3, 4)]
    assert [axes.get_yscale() for axes in escape.figure.axes] == ["linear", "log", "log"]
    labels = [text.get_text() for text in escape.figure.axes[1].get_legend().get_texts()]  # type: ignore[union-attr]
    assert labels[0] == "identity: exponent \N{MINUS SIGN}1.000 [\N{MINUS SIGN}1.000, \N{MINUS SIGN}1.000]"
    assert len(escape.data) == 72
    drawn = [axes for axes in modes.figure.axes if axes.lines]
    assert [len(axes.lines) for axes in drawn] == [2 * 3, 2 * 3 * 2, 2 * 3 * 2]
    measured, exact = drawn[0].lines[:2]
    np.testing.assert_allclose(measured.get_ydata(), exact.get_ydata(), atol=0.01)


def test_trained_deep_networks_rest_longer_from_smaller_starts() -> None:
    tables = trained_tables(
        {**TWO_LAYERS, "model.hidden_units": [6, 6], "init": "small_layers", "init.small": 2, "init.epsilon": epsilon,
         "seed": seed, "training.steps": 1000}
        for epsilon in (0.01, 0.001, 0.0001) for seed in (0, 1)
    )  # fmt: skip
    claim = answer(tables).claims[3]
    assert (claim.verdict, claim.runs) == (WITHIN, 6)
    assert (escapes_of(tables).groupby("group")["time"].diff().dropna() < 0.0).all()
