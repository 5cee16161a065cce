"""The question ``conservation``: its verdicts on made-up drifts and on small trained runs."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from analysis.claims.claim import FAILS, NOT_TESTED, UNDECIDED, WITHIN
from analysis.figures import NotShownError
from analysis.questions.conservation.answer import answer, drifts, fixed_time
from analysis.questions.conservation.figures import balance_exponents, balance_over_time
from analysis.tracked.tables import Tables
from tests.support.tracked import trained_tables, with_entries

RATES = (0.01, 0.02, 0.04, 0.08)
TIME = 8.0
EXPONENTS = {("relu", 1): 2.0, ("relu", 2): 1.0, ("identity", 1): 2.0, ("identity", 2): 1.0, ("tanh", 1): 1.0,
             ("tanh", 2): 0.0}  # fmt: skip


def made_up(exponents: Mapping[tuple[str, int], float] = EXPONENTS, seeds: int = 3) -> Tables:
    """Runs whose drift follows exponents by (activation, 1: one step, 2: to the end). Seeds differ by a factor."""
    rows, curves = [], []
    for activation in ("relu", "identity", "tanh"):
        for rate in RATES:
            for seed in range(seeds):
                run_id, steps = f"{activation}-{rate}-{seed}", round(TIME / rate)
                rows.append({
                    "run_id": run_id, "diverged": False, "optimizer": "gd", "training.l2": 0.0,
                    "optimizer.weight_decay": 0.0, "training.batch_size": None, "model.activation": activation,
                    "optimizer.learning_rate": rate, "seed": seed, "training.steps": steps,
                    "model.hidden_units": (4, 4),
                })  # fmt: skip
                for step, key in ((1, 1), (steps, 2)):
                    drift = (1.0 + seed) * rate ** exponents[activation, key]
                    curves += [(run_id, "layer1/balance_drift", step, 0.5 * drift)]
                    curves += [(run_id, "layer2/balance_drift", step, drift)]
                curves += [(run_id, "layer1/balance_drift", 0, 0.0), (run_id, "symmetry/distance", 1, 99.0)]
    return Tables("tests", pd.DataFrame(rows), pd.DataFrame(curves, columns=["run_id", "metric", "step", "value"]),
                  lambda run_id: {})  # fmt: skip


def test_drifts_are_the_largest_of_all_layers_over_time() -> None:
    data = drifts(made_up())
    (first,) = data[(data["run_id"] == "relu-0.02-1") & (data["step"] == 1)].to_dict("records")
    assert first["value"] == pytest.approx(2.0 * 0.02**2)
    assert first["time"] == 0.02
    assert not first["is_last"]
    assert fixed_time(data) == TIME


def test_every_law_holds_for_drifts_made_by_it() -> None:
    found = answer(made_up())
    assert [claim.verdict for claim in found.claims] == [WITHIN] * 6
    np.testing.assert_allclose([claim.number for claim in found.claims], [2, 1, 2, 1, 1, 0], atol=1e-9)
    assert all(claim.low <= claim.number + 1e-9 and claim.runs == 12 for claim in found.claims)
    assert found.conclusion.startswith("Gradient flow conserves the balance of hidden units")
    assert "0.02 (relu), 0.02 (identity), 2 (tanh)" in found.conclusion  # factors 1, 2 and 3 times 0.01, or 1


@pytest.mark.parametrize("place", range(6))
def test_each_law_fails_alone_for_another_exponent(place: int) -> None:
    key = list(EXPONENTS)[place]
    found = answer(made_up(EXPONENTS | {key: EXPONENTS[key] + 0.2}))
    assert [claim.verdict == FAILS for claim in found.claims] == [index == place for index in range(6)]
    assert found.conclusion.startswith(f"Predictions that fail: {place + 1}. ")
    assert f"{EXPONENTS[key] + 0.2:.3f}" in found.claims[place].measured


def test_seeds_that_disagree_widen_the_interval_until_nothing_is_decided() -> None:
    tables = made_up()
    curves = tables.curves.copy()
    tilted = curves["run_id"].str.startswith("relu") & curves["run_id"].str.endswith("-2") & (curves["step"] == 1)
    rates = curves["run_id"].str.split("-").str[1].astype(float)
    curves.loc[tilted, "value"] *= rates[tilted] ** 0.14
    first = answer(replace(tables, curves=curves)).claims[0]
    assert abs(first.number - 2.0) < 0.05 < first.high - 2.0
    assert first.verdict == UNDECIDED


def test_runs_that_prove_nothing_are_left_out() -> None:
    tables = made_up()
    for changes in ({"diverged": True}, {"training.l2": 0.1}, {"training.batch_size": 32}, {"optimizer": "adam"}):
        changed = with_entries(tables, "relu-0.01-0", changes)
        assert "relu-0.01-0" not in set(drifts(changed)["run_id"])
        # The seed has lost a learning rate, so the others alone decide.
        assert answer(changed).claims[0].runs == 8
        assert answer(changed).claims[0].verdict == WITHIN


def test_without_the_measurement_nothing_is_tested_or_shown() -> None:
    tables = made_up()
    tables = replace(tables, curves=tables.curves[tables.curves["metric"] == "symmetry/distance"])
    found = answer(tables)
    assert {claim.verdict for claim in found.claims} == {NOT_TESTED}
    assert all(claim.command == "python -m pipeline.run -m experiment=conservation" for claim in found.claims)
    for draw in (balance_over_time, balance_exponents):
        with pytest.raises(NotShownError, match="the balance was not measured"):
            draw(tables)


def test_figures_show_the_points_and_say_the_exponents() -> None:
    tables = made_up()
    over_time, exponents = balance_over_time(tables), balance_exponents(tables)
    assert [axes.get_title() for axes in over_time.figure.axes] == ["relu", "identity", "tanh"]
    assert len(over_time.data) == 3 * 4 * 2
    assert set(over_time.data["runs"]) == {3}
    one_step, at_end = exponents.figure.axes
    assert at_end.get_title() == "after the time 8"
    labels = [text.get_text() for text in one_step.get_legend().get_texts()]  # type: ignore[union-attr]
    assert labels[0] == "relu: exponent 2.000 [2.000, 2.000], predicted 2"
    assert len(exponents.data) == 2 * 36
    shown = exponents.data[(exponents.data["activation"] == "tanh") & (exponents.data["after"] == "time 8")]
    assert set(shown["value"]) == {1.0, 2.0, 3.0}


def test_trained_networks_obey_all_six() -> None:
    tables = trained_tables(
        {"measures": ["balance"], "init": "xavier_normal", "model.activation": activation, "seed": seed,
         "model.hidden_units": [6], "data": "iris", "data.limit": None, "training.batch_size": None,
         "training.l2": 0.0, "optimizer.learning_rate": rate, "training.steps": round(1.0 / rate)}
        for activation in ("relu", "identity", "tanh") for rate in (0.01, 0.02, 0.05) for seed in range(8)
    )  # fmt: skip
    assert [claim.verdict for claim in answer(tables).claims] == [WITHIN] * 6
