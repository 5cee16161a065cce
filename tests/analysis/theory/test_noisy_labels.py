"""The theory of noisy labels against quadrature, enumeration and simulations that share no code with it."""

from itertools import combinations, pairwise

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import ndtr

from analysis.theory.noisy_labels import (
    ACTIVATIONS,
    Batches,
    diffusion_rate,
    mean_logarithm,
    pair_rate,
    threshold,
    unit_rate,
)


@pytest.mark.parametrize(("centre", "deviation"), [(1.0, 0.3), (1.1, 1.5), (-0.7, 2.0), (0.0, 0.5), (1.0, 0.0099)])
def test_the_mean_logarithm_is_that_of_quadrature(centre: float, deviation: float) -> None:
    def integrand(z: float) -> float:
        return float(np.log(abs(centre + deviation * z)) * np.exp(-0.5 * z**2) / np.sqrt(2.0 * np.pi))

    zero = -centre / deviation
    ends = sorted({-12.0, float(np.clip(zero, -12.0, 12.0)), 12.0})
    expected = sum(quad(integrand, low, high, limit=200)[0] for low, high in pairwise(ends))
    np.testing.assert_allclose(mean_logarithm(np.array(centre), np.array(deviation)), expected, rtol=1e-8, atol=1e-10)


def test_the_series_of_small_deviations_continues_the_mixture() -> None:
    both = mean_logarithm(np.full(2, 1.3), 1.3 * np.sqrt([1.0001e-4, 0.9999e-4]))
    assert both[1] - both[0] == pytest.approx(0.5 * 2e-8, rel=1e-3)


@pytest.mark.parametrize(("examples", "ones", "size"), [(5, 2, 2), (6, 1, 6), (6, 3, 1), (7, 3, 3)])
def test_batches_have_the_means_of_all_subsets(examples: int, ones: int, size: int) -> None:
    batches = Batches.of(examples, ones, size)
    sizes = [size] * (examples // size) + [examples % size] * (examples % size > 0)
    subsets = [np.array([np.mean(np.array(chosen) < ones) for chosen in combinations(range(examples), each)])
               for each in sizes]  # fmt: skip
    assert batches.shares.sum() == pytest.approx(1.0)
    assert batches.shares @ batches.means == pytest.approx(np.mean([values.mean() for values in subsets]))
    squares = np.mean([(values**2).mean() for values in subsets]) - (ones / examples) ** 2
    assert batches.variance(0.0) == pytest.approx(squares)
    assert batches.variance(2.0) == pytest.approx(squares + np.mean([4.0 / each for each in sizes]))


@pytest.mark.parametrize(("rate", "noise", "size"), [(0.3, 1.0, 1), (1.0, 1.5, 1), (1.0, 4.0, 10), (0.5, 1.0, 3)])
def test_one_unit_grows_as_a_simulated_product_does(rate: float, noise: float, size: int) -> None:
    generator, examples, ones, runs, epochs = np.random.default_rng(0), 10, 2, 200, 100
    logarithms: list[np.ndarray] = []
    for _ in range(epochs):
        labels = generator.permuted(np.tile(np.arange(examples) < ones, (runs, 1)), axis=1)
        for start in range(0, examples, size):
            batch = (
                labels[:, start : start + size]
                + noise * generator.standard_normal((runs, examples))[:, start : start + size]
            )
            logarithms.append(np.log(np.abs(1.0 + rate * batch.mean(axis=1))))
    of_run = np.mean(logarithms, axis=0)
    # Five standard errors.
    allowed = 5.0 * of_run.std() / np.sqrt(runs)
    assert unit_rate(rate, noise, Batches.of(examples, ones, size)) == pytest.approx(of_run.mean(), abs=allowed)


def test_small_steps_have_their_limit_and_large_ones_have_not() -> None:
    batches = Batches.of(10, 1, 1)
    small, large = (unit_rate(rate, 1.5, batches) - diffusion_rate(rate, 1.5, batches) for rate in (0.01, 1.0))
    # The next term of the logarithm is of third order.
    assert abs(small) < 1e-5 < 0.5 < large
    # In the limit this noise makes the unit vanish; in truth it grows.
    assert diffusion_rate(1.0, 1.5, batches) < -1.0 < 0.0 < unit_rate(1.0, 1.5, batches)


def test_the_threshold_is_where_the_rate_is_0() -> None:
    def rate_at(variance: float) -> float:
        return unit_rate(0.3, float(np.sqrt(variance)), Batches.of(10, 1, 1))

    found = threshold(rate_at, 0.0, 2.0)
    assert rate_at(found - 1e-4) > 0.0 > rate_at(found + 1e-4)


VALUES = {"tanh": np.tanh, "gelu": lambda x: x * ndtr(x), "identity": lambda x: x}


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_slopes_are_those_of_central_differences(activation: str) -> None:
    x = np.linspace(-2.0, 2.0, 9)
    value, g = VALUES[activation], ACTIVATIONS[activation]
    np.testing.assert_allclose(g.value(x), value(x), rtol=1e-14, atol=1e-15)
    np.testing.assert_allclose(g.slope(x), (value(x + 1e-6) - value(x - 1e-6)) / 2e-6, atol=1e-9)


@pytest.mark.parametrize(("activation", "l2", "sign"), [("gelu", 0.0, -1), ("tanh", 0.0, 1), ("tanh", 0.01, 1)])
def test_two_units_come_together_or_apart_as_in_a_simulation(activation: str, l2: float, sign: int) -> None:
    generator, g = np.random.default_rng(1), ACTIVATIONS[activation]
    rate, variance, mean, steps = 0.15, 0.25, 0.5, 4000
    incoming, outgoing = np.full((64, 2), 0.6), np.full((64, 2), 0.6)
    incoming[:, 0] += 1e-7
    logarithms = []
    for _ in range(steps):
        residual = mean + np.sqrt(variance) * generator.standard_normal((64, 1))
        residual -= (outgoing * g.value(incoming)).sum(axis=1, keepdims=True)
        outgoing, incoming = (
            outgoing + rate * (residual * g.value(incoming) - l2 * outgoing),
            incoming + rate * (residual * outgoing * g.slope(incoming) - l2 * incoming),
        )
        logarithms.append(np.log(np.abs(incoming[:, 0] - incoming[:, 1])))
    later = np.array(logarithms)[1000:]
    measured = (later[-1] - later[0]) / (len(later) - 1)
    predicted = pair_rate(activation, mean, rate, variance, l2)
    assert np.sign(predicted) == sign
    # The theory is of leading order in the noise; here it is off by a few per cent.
    assert predicted == pytest.approx(measured.mean(), rel=0.1)


@pytest.mark.parametrize("variance", [0.0, 0.3])
def test_identity_units_neither_merge_nor_part(variance: float) -> None:
    assert abs(pair_rate("identity", 0.5, 0.1, variance, 0.01)) < 1e-8
