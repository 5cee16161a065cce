"""Random draws against theory, and their bits, fixed; angles and orthonormal columns against independent numbers."""

import hashlib
from math import sqrt

import mpmath
import numpy as np
import pytest
from scipy import stats

from pipeline.nn.arithmetic import Array
from pipeline.numerics.angles import arcsine, cosine_and_sine
from pipeline.numerics.draws import Draws, normal_draws, normal_quantile
from pipeline.numerics.orthogonal import orthonormal, singular_values

SAMPLE = 100_000
mpmath.mp.dps = 50


def draws(seed: int = 0) -> Draws:
    return Draws(np.random.SeedSequence(seed))


def digest(values: Array) -> str:
    return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()[:16]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (lambda: draws().uniform((100, 7)), "f3d4960b05627d92"),
        (lambda: draws().normal((100, 7)), "17ce4cfa09ee39ea"),
        (lambda: draws().permutation(1000).astype(np.int64), "06746a10e1b2f0a2"),
        (lambda: np.stack(cosine_and_sine(np.arange(-1000, 1000) / 977.0)), "15359e21dd65a1e7"),
        (lambda: arcsine(np.arange(978) / 977.0), "dde713697eb7b623"),
        (lambda: orthonormal(draws().normal((40, 23))), "6bac00be126df55c"),
    ],
    ids=["uniform", "normal", "permutation", "angles", "arc sine", "orthonormal"],
)
def test_bits_are_those_of_every_other_machine_and_numpy(values: object, expected: str) -> None:
    assert callable(values)
    assert digest(values()) == expected


def test_uniform_draws_are_uniform_and_reach_neither_end() -> None:
    sample = draws().uniform((SAMPLE,))
    assert stats.kstest(sample, "uniform").pvalue > 1e-3
    assert 0.0 < sample.min() < 1e-4
    assert 1.0 - 1e-4 < sample.max() < 1.0
    # A lag correlation of independent draws has the standard error 1 / sqrt(n).
    assert abs(np.corrcoef(sample[1:], sample[:-1])[0, 1]) < 5.0 / sqrt(SAMPLE)


def test_normal_draws_are_standard_normal_out_to_their_tails() -> None:
    sample = draws(1).normal((SAMPLE,))
    assert stats.kstest(sample, "norm").pvalue > 1e-3
    for deviations in (1.0, 2.0, 3.0, 4.0):
        beyond, probability = int((np.abs(sample) > deviations).sum()), 2.0 * stats.norm.sf(deviations)
        assert stats.binomtest(beyond, SAMPLE, probability).pvalue > 1e-3


def test_quantiles_equal_those_of_high_precision() -> None:
    lower = np.concatenate([np.logspace(-16, -1, 60), np.linspace(0.05, 0.5, 46)])
    for probability in np.concatenate([lower, 1.0 - lower]):
        quantile = mpmath.mpf(float(normal_quantile(np.array([probability]))[0]))
        # The quantile's error moves the distribution function by the density times it.
        moved = mpmath.ncdf(quantile) - mpmath.mpf(float(probability))
        assert abs(moved) <= 2e-15 * (abs(quantile) + 1e-16) * mpmath.npdf(quantile) + mpmath.mpf(10) ** -40


def test_quantiles_are_odd() -> None:
    probabilities = draws().uniform((1000,))
    np.testing.assert_array_equal(normal_quantile(1.0 - probabilities), -normal_quantile(probabilities))


@pytest.mark.parametrize("count", [0, 1, 2, 1000])
def test_permutations_hold_every_number_once(count: int) -> None:
    assert sorted(draws().permutation(count).tolist()) == list(range(count))


def test_every_permutation_is_equally_likely() -> None:
    generator, orders = draws(2), {}
    for _ in range(6000):
        key = tuple(generator.permutation(3).tolist())
        orders[key] = orders.get(key, 0) + 1
    assert len(orders) == 6
    assert stats.chisquare(list(orders.values())).pvalue > 1e-3


def test_streams_of_one_seed_are_independent_and_repeatable() -> None:
    first, second = (stream.normal((SAMPLE,)) for stream in Draws.spawned(3, 2))
    assert abs(np.corrcoef(first, second)[0, 1]) < 5.0 / sqrt(SAMPLE)
    again, _ = Draws.spawned(3, 2)
    assert again.normal((SAMPLE,)).tobytes() == first.tobytes()


def test_angles_equal_those_of_high_precision_and_quarters_are_exact() -> None:
    turns = draws().uniform((300,)) * 7.0 - 3.5
    for turn, cosine, sine in zip(turns, *cosine_and_sine(turns), strict=True):
        angle = 2 * mpmath.pi * mpmath.mpf(float(turn))
        assert abs(mpmath.cos(angle) - mpmath.mpf(float(cosine))) < 3e-16
        assert abs(mpmath.sin(angle) - mpmath.mpf(float(sine))) < 3e-16
    cosines, sines = cosine_and_sine(np.arange(-4, 5) / 4)
    np.testing.assert_array_equal(cosines, [1, 0, -1, 0, 1, 0, -1, 0, 1])
    np.testing.assert_array_equal(sines, [0, 1, 0, -1, 0, 1, 0, -1, 0])


def test_arc_sines_equal_numpy_s() -> None:
    values = np.concatenate([[0.0, 1.0], np.logspace(-300, 0, 500), np.linspace(0.0, 1.0, 501)])
    np.testing.assert_allclose(arcsine(values), np.arcsin(values), rtol=2e-15)


@pytest.mark.parametrize("shape", [(1, 1), (5, 1), (7, 7), (60, 20), (200, 200)])
def test_orthonormal_columns_are_the_factor_of_the_qr_decomposition(shape: tuple[int, int]) -> None:
    matrix = draws().normal(shape)
    columns = orthonormal(matrix)
    # Sums of 200 products: rounding only.
    np.testing.assert_allclose(columns.T @ columns, np.eye(shape[1]), rtol=0.0, atol=1e-14)
    q, r = np.linalg.qr(matrix)
    # The condition number of the square ones, below 1e3, magnifies the rounding of either side.
    np.testing.assert_allclose(columns, q * np.sign(np.diagonal(r)), rtol=0.0, atol=1e-12)


def test_nearly_dependent_columns_come_out_orthonormal_too() -> None:
    matrix = draws().normal((50, 3))
    matrix[:, 1] = matrix[:, 0] + 1e-9 * matrix[:, 1]
    np.testing.assert_allclose(orthonormal(matrix).T @ orthonormal(matrix), np.eye(3), rtol=0.0, atol=1e-14)


@pytest.mark.parametrize("shape", [(1, 1), (3, 8), (8, 3), (30, 30)])
def test_singular_values_equal_lapack_s(shape: tuple[int, int]) -> None:
    matrix = draws().normal(shape)
    matrix[:, -1] *= 1e-6
    np.testing.assert_allclose(singular_values(matrix), np.linalg.svd(matrix, compute_uv=False), rtol=1e-9)
    assert singular_values(np.zeros(shape)).tolist() == [0.0] * min(shape)


def test_draws_of_many_streams_are_those_of_each_alone_and_equal_streams_share_them() -> None:
    seeds = (3, 0, 3, 1)
    together = [draws(seed) for seed in seeds]
    for _ in range(2):  # streams go on
        drawn, places = normal_draws(together, (5, 7))
        assert (len(drawn), places) == (3, [0, 1, 0, 2])
    for seed, place in zip(seeds, places, strict=True):
        alone = draws(seed)
        alone.normal((5, 7))
        np.testing.assert_array_equal(drawn[place], alone.normal((5, 7)))
