"""The question ``specialisation``: committees that were trained, and doctored ones."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from analysis.claims.claim import EXACTLY, FAILS, NOT_TESTED, UNDECIDED, WITHIN, Claim
from analysis.figures.kit.drawing import NotShownError
from analysis.questions.specialisation.answer import answer, growth_fits, left
from analysis.questions.specialisation.figures import (
    specialisation_deviation,
    specialisation_paths,
    specialisation_plateau,
)
from analysis.questions.specialisation.tables import APART, deviations_of, escapes_of, paths_of
from analysis.theory.committee import plateau_of, trajectories
from analysis.tracked.tables import Tables
from pipeline import names
from tests.support.tracked import made_up_tables, trained_tables, with_entries, with_value

RATE, SIZES, SEEDS, EPSILONS = 1.5, (100, 400, 1600), 3, (0.1, 0.01, 0.001)
TIMES = np.concatenate([[0.0], np.linspace(0.5, 60.0, 120)])
COMMITTEE = {
    "data": "teacher", "data.limit": None, "data.test_fraction": 0.0, "init": "soft_committee", "optimizer": "gd",
    "model.hidden_units": [2], "model.activation": "erf", "model.bias": False, "measures": ["overlaps"],
    "optimizer.rate_factors": [1.0, 0.0], "training.loss": "squared_error", "training.batch_size": 1,
    "training.l2": 0.0,
}  # fmt: skip


def made_up(exponent: float = -0.5, slower: float = 1.0) -> Tables:
    """Committees on their equations plus a wave whose height goes like N^exponent.

    Args:
        slower: the time of the equations is divided by this, so that what they say comes so many times later.
    """
    starts = [
        (inputs, epsilon) for inputs in SIZES for epsilon in (0.0, *(EPSILONS if inputs == 400 else EPSILONS[:1]))
    ]
    epsilons = np.array([epsilon for _, epsilon in starts])[:, None, None]
    student, overlap = 0.25 + epsilons**2 * np.eye(2), epsilons * np.eye(2)
    of_student, of_overlap = trajectories(student, overlap, RATE, TIMES / slower)
    runs = []
    for (inputs, epsilon), q, r in zip(starts, of_student, of_overlap, strict=True):
        for seed in range(SEEDS):
            wave = (1.0 + 0.05 * seed) * inputs**exponent * np.sin(0.7 * TIMES)
            paths = {names.GENERALIZATION_ERROR: np.full(len(TIMES), plateau_of(2, RATE).error),
                     names.symmetry("distance_max"): np.full(len(TIMES), epsilon)}  # fmt: skip
            for one in (1, 2):
                for other in (1, 2):
                    paths[names.overlap(f"student{one}", f"teacher{other}")] = r[:, one - 1, other - 1] + 0.1 * wave
                    if other >= one:
                        paths[names.overlap(f"student{one}", f"student{other}")] = q[:, one - 1, other - 1] + 0.1 * wave
            steps = (TIMES * inputs).astype(int)
            changes = {**COMMITTEE, "data.inputs": inputs, "optimizer.learning_rate": RATE / inputs, "seed": seed,
                       "training.steps": int(steps[-1]), "init.epsilon": epsilon}  # fmt: skip
            curves = {key: dict(zip(steps.tolist(), path.tolist(), strict=True)) for key, path in paths.items()}
            runs.append((changes, curves))
    return made_up_tables(runs)


@pytest.fixture(scope="module")
def tables() -> Tables:
    return made_up()


def verdicts(claims: Sequence[Claim]) -> list[str]:
    return [claim.verdict for claim in claims]


def test_committees_on_their_equations_agree_with_every_statement(tables: Tables) -> None:
    claims, conclusion = answer(tables)
    assert verdicts(claims) == [EXACTLY, *[WITHIN] * 5]
    assert [claim.is_check for claim in claims] == [True, *[False] * 5]
    # The waves scale exactly; where the start is the wave's, the rest is what epsilon^2 and the ends of the line leave.
    assert claims[2].number == pytest.approx(-0.5, abs=0.01)
    assert claims[4].number == pytest.approx(1.0, abs=0.05)
    assert claims[5].number == pytest.approx(1.0, abs=0.02)
    assert conclusion.startswith(
        "Units that start equal never part. A difference ten times smaller takes more examples:"
    )


def test_doctored_runs_fail(tables: Tables) -> None:
    equal = tables.runs.loc[tables.runs["init.epsilon"] == 0.0, "run_id"].iloc[0]
    parted = with_value(tables, equal, names.symmetry("distance_max"), 50, 1e-16)
    assert answer(parted).claims[0].verdict == FAILS
    off = tables.curves["metric"] == names.GENERALIZATION_ERROR
    lower = replace(
        tables, curves=tables.curves.assign(value=tables.curves["value"].where(~off, 0.8 * tables.curves["value"]))
    )
    assert answer(lower).claims[1].verdict == FAILS
    claims = answer(made_up(exponent=-0.25)).claims
    assert verdicts(claims[2:4]) == [FAILS, FAILS]
    claims = answer(made_up(slower=1.25)).claims
    assert verdicts(claims[4:]) == [FAILS, FAILS]


def test_runs_that_have_not_left_are_counted_and_decide_nothing(tables: Tables) -> None:
    paths = paths_of(tables)
    one = paths.loc[paths["epsilon"] == EPSILONS[-1], "run_id"].iloc[0]
    stuck = paths.assign(spread=paths["spread"].where(paths["run_id"] != one, 0.0))
    escapes = escapes_of(stuck)
    assert int(escapes["time"].isna().sum()) == 1
    assert len(left(escapes)) == (SEEDS - 1) * len(EPSILONS)  # with all runs of its seed
    # The same in the answer: the curves of that run stay where they were.
    first = tables.curves[(tables.curves["run_id"] == one) & (tables.curves["step"] == 0)].set_index("metric")["value"]
    of_one = tables.curves["run_id"] == one
    values = tables.curves["value"].where(~of_one, tables.curves["metric"].map(first))
    claims = answer(replace(tables, curves=tables.curves.assign(value=values))).claims
    for claim in claims[4:]:
        assert claim.verdict == UNDECIDED
        assert "1 of 15 runs had not left by the end" in claim.measured


def test_the_times_are_those_at_which_the_spread_passes_its_threshold(tables: Tables) -> None:
    paths = paths_of(tables)
    escapes = escapes_of(paths).set_index("run_id")
    for run_id, path in paths[paths["epsilon"] > 0.0].groupby("run_id"):
        at = np.interp(escapes.loc[run_id, "time"], path["time"], path["spread"])
        assert at == pytest.approx(APART, abs=1e-12)
    (fit,) = growth_fits(escapes.reset_index()).values()
    assert fit.slope == pytest.approx(1.0 / plateau_of(2, RATE).growth, rel=0.05)


def test_other_runs_are_left_alone(tables: Tables) -> None:
    changed = ({"training.l2": 0.1}, {"optimizer": "adam"}, {"diverged": True}, {"training.batch_size": 2})
    left_out = [str(run_id) for run_id in tables.runs["run_id"].iloc[: len(changed)]]
    doctored = tables
    for run_id, changes in zip(left_out, changed, strict=True):
        doctored = with_entries(doctored, run_id, changes)
    assert set(tables.runs["run_id"]) - set(paths_of(doctored)["run_id"]) == set(left_out)
    others = trained_tables([{"model": "mlp", "data": "digits"}])
    assert verdicts(answer(others).claims) == [NOT_TESTED] * 6
    for draw in (specialisation_paths, specialisation_deviation, specialisation_plateau):
        with pytest.raises(NotShownError):
            draw(others)


def test_the_figures_show_what_the_claims_say(tables: Tables) -> None:
    assert len(specialisation_deviation(tables).data) == len(deviations_of(paths_of(tables)))
    plateau = specialisation_plateau(tables)
    assert plateau.numbers["censored"] == "All runs left their plateau"
    assert set(plateau.data["epsilon"]) == set(EPSILONS)
    assert len(specialisation_paths(tables).figure.axes) == 2 * len(SIZES)


def test_small_committees_that_were_trained_are_read_and_follow_the_equations() -> None:
    runs = [{**COMMITTEE, "data.inputs": 50, "data.directions": "axes", "optimizer.learning_rate": 0.03,
             "training.steps": 400, "init.epsilon": epsilon, "training.measure_at": 20}
            for epsilon in (0.0, 0.1)]  # fmt: skip
    paths = paths_of(trained_tables(runs))
    assert set(paths["epsilon"]) == {0.0, 0.1}
    assert (paths.loc[paths["epsilon"] == 0.0, "spread"] == 0.0).all()
    # Fluctuations of order N^-1/2 = 0.14; the overlaps go from 0 to 0.4.
    assert 0.005 < paths["deviation"].max() < 0.2
    first: pd.DataFrame = paths[paths["time"] == 0.0]
    assert first["deviation"].max() < 1e-12
