"""One mechanism for statements about every case: what holds, fails, or takes more runs."""

import math

import numpy as np
import pandas as pd
import pytest

from analysis.claims.claim import EXACTLY, FAILS, NOT_TESTED, UNDECIDED, WITHIN, stated
from analysis.claims.verdicts import MORE, NOT_LESS, Region, around, decided_for_every

CLAIM = stated("It is more everywhere.", MORE.text)
RUNS = pd.DataFrame({"run_id": [f"{case}{seed}" for case in "abc" for seed in range(5)]})
NOISE = np.array([-0.2, -0.1, 0.0, 0.1, 0.2])


def cases(**means: float) -> pd.DataFrame:
    rows = [(case, f"{case}{seed}", mean + noise) for case, mean in means.items() for seed, noise in enumerate(NOISE)]
    return pd.DataFrame(rows, columns=["case", "run_id", "value"])


@pytest.mark.parametrize(
    ("means", "verdict", "number", "told"),
    [
        ({"a": 1.0, "b": 2.0}, WITHIN, 1.0, "gain 1 at a, the furthest of 2 cases"),
        ({"a": 1.0, "b": -1.0, "c": 0.1}, FAILS, -1.0,
         "gain \N{MINUS SIGN}1 at b, the furthest of 3 cases; against the prediction: at b; undecided: at c"),
        # The worst mean is clearly above 0, but another case's interval is not: it decides, not the worst.
        ({"a": 1.0, "b": 0.1}, UNDECIDED, 0.1, "gain 0.1 at b, the furthest of 2 cases; undecided: at b"),
        ({"a": 0.1}, UNDECIDED, 0.1, "gain 0.1 at a"),
    ],
)  # fmt: skip
def test_every_case_has_to_agree(means: dict[str, float], verdict: str, number: float, told: str) -> None:
    claim = decided_for_every(CLAIM, MORE, cases(**means), RUNS, "gain", lambda case: f"at {case}")
    assert (claim.verdict, claim.measured, claim.runs) == (verdict, told, len(RUNS))
    assert claim.number == pytest.approx(number, abs=1e-12)
    assert claim.low < claim.number < claim.high
    assert claim.worst_run == ("b0" if verdict == FAILS else "")


def test_a_case_with_wide_scatter_decides_although_its_mean_is_not_the_worst() -> None:
    values = cases(a=1.0, b=3.0)
    values.loc[values["case"] == "b", "value"] = [-9.0, 0.0, 3.0, 6.0, 15.0]
    claim = decided_for_every(CLAIM, MORE, values, RUNS, "gain")
    assert (claim.verdict, claim.number) == (UNDECIDED, 3.0)


def test_the_more_cases_the_wider_their_intervals() -> None:
    alone, among = (
        decided_for_every(CLAIM, MORE, cases(**dict.fromkeys(names, 0.25)), RUNS, "gain") for names in ("a", "abcdefgh")
    )
    assert (alone.verdict, among.verdict) == (WITHIN, UNDECIDED)
    assert among.high - among.low > 1.5 * (alone.high - alone.low)


def test_true_statements_about_many_cases_fail_by_chance_no_more_often_than_those_about_one() -> None:
    generator, failed = np.random.default_rng(0), 0
    for _ in range(300):
        # All means are 0, on the border of "not below 0".
        values = pd.DataFrame({"case": np.repeat(np.arange(20), 4), "value": generator.standard_normal(80)})
        claim = decided_for_every(CLAIM, NOT_LESS, values.assign(run_id="r"), RUNS, "fall")
        failed += claim.verdict == FAILS
    # Half of the 5 % lie below; without the correction 2 of 5 would fail.
    assert failed / 300 <= 0.025 + 3.0 * 0.009


def test_a_single_run_has_no_interval_and_decides_nothing() -> None:
    values = pd.concat([cases(a=1.0), pd.DataFrame({"case": ["b"], "run_id": ["b0"], "value": [5.0]})])
    claim = decided_for_every(CLAIM, MORE, values, RUNS, "gain")
    assert (claim.verdict, claim.number) == (UNDECIDED, 5.0)
    assert math.isnan(claim.low)


def test_equal_runs_hold_exactly_or_fail_exactly() -> None:
    values = cases(a=0.0).assign(value=0.0)
    assert decided_for_every(CLAIM, MORE, values, RUNS, "gain").verdict == FAILS
    assert decided_for_every(CLAIM, NOT_LESS, values, RUNS, "gain", met=EXACTLY).verdict == EXACTLY
    assert decided_for_every(CLAIM, MORE, values[:0], RUNS, "gain").verdict == NOT_TESTED


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(0.95, 1.05, WITHIN), (0.85, 1.05, UNDECIDED), (0.5, 1.5, UNDECIDED), (1.11, 1.3, FAILS), (0.2, 0.89, FAILS)],
)
def test_a_region_is_met_missed_or_touched(low: float, high: float, verdict: str) -> None:
    assert around(1.0, 0.1).verdict(low, high) == verdict
    less = Region("< -1", lambda value: value < -1.0, -math.inf)
    assert [less.verdict(-3.0, end) for end in (-2.0, 0.0)] == [WITHIN, UNDECIDED]
    assert less.verdict(-1.0, 0.0) == FAILS
