"""What figure 8 compares: which runs of logistic regression are one problem, and what is measured of them."""

import pytest

from analysis.figures.arrivals import MOST_PROBLEMS, MOST_RATES, OUTCOMES, logistic_problems
from analysis.figures.kit.drawing import NotShownError
from pipeline import names
from tests.support.tracked import trained_tables

RATE = "optimizer.learning_rate"
LOGISTIC: dict[str, object] = {"model": "logistic", "training.steps": 3, "training.measure_at": 3}


def grid_of(count: int = 2, **changes: object) -> list[dict[str, object]]:
    """A few short logistic runs from two starts."""
    return [LOGISTIC | changes | {"init": init, "seed": seed} for init in ("zeros", "normal") for seed in range(count)]


def test_problems_that_differ_in_settings_are_not_compared() -> None:
    tables = trained_tables(grid_of(**{"training.l2": 0.5}) + grid_of(**{"training.l2": 0.0}))
    separable, attained = logistic_problems(tables)
    assert (separable.label, attained.label) == ("digits, l2=0", "digits, l2=0.5")
    assert (separable.outcome, attained.outcome) == (OUTCOMES["separable"], OUTCOMES["attained"])
    assert (separable.metric, attained.metric) == (names.LOSS_TRAIN, names.OPTIMUM_GAP)
    for problem, l2 in ((separable, 0.0), (attained, 0.5)):
        assert set(problem.spreads["runs"]) == {2}
        of_problem = set(tables.runs.loc[tables.runs["training.l2"] == l2, "run_id"])
        assert set(problem.left["run_id"]) == set(problem.runs["run_id"]) == of_problem


def test_as_many_problems_and_rates_as_have_room_are_shown() -> None:
    runs = [
        run
        for l2 in range(MOST_PROBLEMS)
        for rate in range(MOST_RATES)
        for run in grid_of(1, **{"training.l2": 0.1 + l2, RATE: 0.1 + rate / 10})
    ]
    problems = logistic_problems(trained_tables(runs))
    assert [len(problem.rates) for problem in problems] == [MOST_RATES] * MOST_PROBLEMS


def test_what_cannot_be_shown_is_a_reason_with_a_command() -> None:
    one = LOGISTIC | {"init": "normal"}
    diverged = trained_tables([one])
    diverged.runs["diverged"] = True
    many_rates = [run for rate in range(MOST_RATES + 1) for run in grid_of(1, **{RATE: 0.1 + rate})]
    many_problems = [run for l2 in range(MOST_PROBLEMS + 1) for run in grid_of(1, **{"training.l2": 0.1 + l2})]
    for tables, reason in (
        (trained_tables([{"init": "zeros"}]), "no run is a logistic regression"),
        (diverged, r"every logistic regression diverged \(1 run\)"),
        (trained_tables([one, one | {"seed": 1}]), "no two runs of logistic regression differ in nothing but"),
        (trained_tables(many_rates), rf"1 problem by {MOST_RATES + 1} learning rates, where .* have room"),
        (trained_tables(many_problems), rf"{MOST_PROBLEMS + 1} problems by 1 learning rate, where .* have room"),
    ):
        with pytest.raises(NotShownError, match=rf"{reason}.*python -m pipeline\.run -m .*model=logistic"):
            logistic_problems(tables)
