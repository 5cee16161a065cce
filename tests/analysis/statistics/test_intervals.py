"""Intervals against SciPy, and against simulations of how often they hold the truth."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import bootstrap, ttest_1samp

from analysis.statistics.intervals import (
    aggregated,
    aggregated_by_size,
    aggregated_geometrically,
    mean_with_interval,
    means_with_intervals,
    median_with_interval,
    rank_correlation,
    sample_mean,
)

TRIALS = 4000
# Of that many trials, a share of 0.95 has a standard error of 0.0035.
ERROR = 0.012


def coverage(samples: np.ndarray, truth: float) -> float:
    _, low, high = mean_with_interval(samples)
    return float(((low <= truth) & (truth <= high)).mean())


@pytest.mark.parametrize("runs", [2, 3, 5, 20])
def test_the_interval_of_a_mean_covers_it_as_often_as_it_says(runs: int) -> None:
    samples = 3.0 + 2.0 * np.random.default_rng(runs).standard_normal((runs, TRIALS))
    assert coverage(samples, 3.0) == pytest.approx(0.95, abs=ERROR)


def test_the_module_says_how_often_other_intervals_and_skewed_runs_miss() -> None:
    generator = np.random.default_rng(0)
    normal = generator.standard_normal((5, 1000))
    percentile = bootstrap((normal,), np.mean, axis=0, n_resamples=999, method="percentile", rng=generator)
    low, high = percentile.confidence_interval
    assert ((low <= 0.0) & (high >= 0.0)).mean() == pytest.approx(0.84, abs=0.03)
    assert coverage(generator.exponential(size=(5, TRIALS)), 1.0) == pytest.approx(0.88, abs=0.015)


def test_together_the_intervals_of_many_cases_hold_all_their_means_as_often_as_one_alone() -> None:
    generator, cases, trials = np.random.default_rng(0), 8, 1000
    held = {True: 0, False: 0}
    for _ in range(trials):
        samples = list(generator.standard_normal((cases, 5)))
        for together in held:
            _, low, high = means_with_intervals(samples, together).T
            held[together] += bool(((low <= 0.0) & (high >= 0.0)).all())
    # Bonferroni: at least 0.95, and no more than 1 - 0.05 + 0.05^2 / 2 for independent cases.
    assert held[True] / trials == pytest.approx(0.95, abs=0.02)
    assert held[False] / trials < 0.75


@pytest.mark.parametrize("runs", [2, 7])
def test_the_interval_is_that_of_scipy(runs: int) -> None:
    sample = np.random.default_rng(runs).exponential(size=runs)
    ends = ttest_1samp(sample, 0.0).confidence_interval(0.95)
    np.testing.assert_allclose(sample_mean(sample), (sample.mean(), *ends), rtol=1e-12)


def test_equal_runs_have_no_spread_and_empty_samples_no_mean() -> None:
    thirds = np.full(3, 0.1)
    assert sample_mean(thirds)[1:] == (thirds.mean(), thirds.mean())
    found = means_with_intervals([np.array([]), np.array([2.0, 1.0]), np.array([1.0, 2.0]), np.array([4.0])])
    assert np.isnan(found[0]).all()
    np.testing.assert_array_equal(found[1], found[2])
    np.testing.assert_array_equal(found[3], 4.0)
    assert means_with_intervals([]).shape == (0, 3)


@pytest.mark.parametrize("runs", [6, 10, 19])
def test_the_interval_of_a_median_covers_it_whatever_the_distribution(runs: int) -> None:
    samples = np.random.default_rng(runs).lognormal(sigma=2.0, size=(2000, runs))
    ends = np.array([median_with_interval(sample)[1:] for sample in samples])
    assert ((ends[:, 0] <= 1.0) & (ends[:, 1] >= 1.0)).mean() >= 0.95 - 0.012


def test_five_values_bound_no_median() -> None:
    assert median_with_interval(np.arange(5.0)) == (2.0, -np.inf, np.inf)


@pytest.mark.parametrize("pairs", [5, 10, 40])
@pytest.mark.parametrize("strength", [0.0, 0.5, 0.9])
def test_the_interval_of_a_rank_correlation_covers_it(pairs: int, strength: float) -> None:
    generator, trials = np.random.default_rng(pairs), 400
    truth, covered = 6.0 / np.pi * np.arcsin(strength / 2.0), 0
    for _ in range(trials):
        one, noise = generator.standard_normal((2, pairs))
        _, low, high = rank_correlation(one, strength * one + np.sqrt(1.0 - strength**2) * noise)
        covered += low <= truth <= high
    # It errs to the safe side for few pairs; 0.011 is the standard error of a share of 0.95.
    assert covered / trials >= 0.95 - 3.0 * 0.011


def test_a_perfect_rank_correlation_of_few_pairs_bounds_little() -> None:
    value, low, high = rank_correlation(np.arange(4.0), np.arange(4.0))
    assert value == pytest.approx(1.0, abs=1e-15)
    assert low < 0.0 < high <= 1.0
    assert rank_correlation(np.arange(3.0), np.array([1.0, 3.0, 2.0]))[1:] == (-1.0, 1.0)


def test_means_over_runs_at_each_step_are_over_the_runs_that_are_left() -> None:
    rows = [(run, step, group, 10.0 * run + step) for run in (1, 2, 3) for step in (0, 5) for group in ("a", "b")]
    data = pd.DataFrame(rows, columns=["run_id", "step", "group", "value"]).sample(frac=1.0, random_state=0)
    data.loc[(data["run_id"] == 3) & (data["step"] == 5), "value"] = np.inf
    found = aggregated(data, "value", ["group"])
    assert found[["group", "step", "runs"]].to_numpy().tolist() == [["a", 0, 3], ["a", 5, 2], ["b", 0, 3], ["b", 5, 2]]
    for table, runs in zip(found.itertuples(), ([10.0, 20.0, 30.0], [15.0, 25.0]) * 2, strict=True):
        mean, low, high = sample_mean(runs)
        assert (table.value, table.low, table.high) == (mean, max(0.0, low), high)


def test_geometric_means_leave_zeros_out_and_stay_above_0() -> None:
    data = pd.DataFrame({"run_id": [1, 2, 3, 4], "step": 1, "group": "a", "value": [1.0, 100.0, 1e4, 0.0]})
    (found,) = aggregated_geometrically(data, "value", ["group"]).itertuples()
    wanted = [10.0**end for end in sample_mean([0.0, 2.0, 4.0])]
    np.testing.assert_allclose([found.value, found.low, found.high], wanted, rtol=1e-12)
    assert found.runs == 3


def test_means_are_geometric_where_a_group_holds_no_zero() -> None:
    columns = {"run_id": [1, 2] * 3, "step": 1, "group": [*"aabbcc"], "value": [1.0, 16.0, 0.0, 16.0, 0.0, 0.0]}
    found = aggregated_by_size(pd.DataFrame(columns), "value", ["group"]).set_index("group")["value"]
    assert found.to_dict() == pytest.approx({"a": 4.0, "b": 8.0, "c": 0.0})
