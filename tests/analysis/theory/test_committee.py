"""The equations of online learning against quadrature, sampled averages, and known limits."""

from itertools import product

import numpy as np
import pytest
from scipy.special import erf

from analysis.theory.committee import (
    covariance_of,
    generalization_error,
    mean_of_outputs,
    mean_of_slope_field_output,
    mean_of_slopes_outputs,
    plateau_of,
    trajectories,
    velocities,
)

NODES, SAMPLE = 20, 400_000


def output(field: np.ndarray) -> np.ndarray:
    return np.asarray(erf(field / np.sqrt(2.0)))


def slope(field: np.ndarray) -> np.ndarray:
    return np.asarray(np.sqrt(2.0 / np.pi) * np.exp(-0.5 * field**2))


@pytest.fixture(scope="module")
def vectors() -> tuple[np.ndarray, np.ndarray]:
    """Two units of a student and two of a teacher, over five inputs."""
    return 0.6 * np.random.default_rng(1).standard_normal((2, 5)), np.eye(2, 5)


def overlaps(vectors: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    student, teacher = vectors
    return student @ student.T, student @ teacher.T


def test_the_integrals_equal_quadrature(vectors: tuple[np.ndarray, np.ndarray]) -> None:
    covariance = 0.2 * covariance_of(*overlaps(vectors))  # small fields, on which quadrature converges soon
    nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
    grid = np.stack(np.meshgrid(*[nodes] * 4, indexing="ij"), axis=-1).reshape(-1, 4)
    weight = (weights / weights.sum())[np.indices([NODES] * 4)].prod(axis=0).ravel()
    fields = grid @ np.linalg.cholesky(covariance).T
    g, slopes = output(fields), slope(fields)
    np.testing.assert_allclose(mean_of_outputs(covariance), (g * weight[:, None]).T @ g, atol=1e-8)
    third = mean_of_slope_field_output(covariance)
    for u, v, w in product(range(4), repeat=3):
        assert third[u, v, w] == pytest.approx(weight @ (slopes[:, u] * fields[:, v] * g[:, w]), abs=1e-8)
    fourth = mean_of_slopes_outputs(covariance, 2)
    for u, v, w, z in product(range(2), range(2), range(4), range(4)):
        assert fourth[u, v, w, z] == pytest.approx(weight @ (slopes[:, u] * slopes[:, v] * g[:, w] * g[:, z]), abs=1e-8)


def test_the_equations_equal_sampled_steps(vectors: tuple[np.ndarray, np.ndarray]) -> None:
    """Four standard errors of averages over so many examples, of every number."""
    student, teacher = vectors
    inputs = np.random.default_rng(0).standard_normal((SAMPLE, 5))
    x, y = inputs @ student.T, inputs @ teacher.T
    error = output(y).sum(axis=1) - output(x).sum(axis=1)
    delta, rate = slope(x) * error[:, None], 1.3

    def assert_mean(found: float, values: np.ndarray) -> None:
        assert found == pytest.approx(values.mean(), abs=4.0 * values.std() / np.sqrt(SAMPLE))

    of_student, of_overlap = velocities(*overlaps(vectors), rate)
    for one, other in product(range(2), repeat=2):
        assert_mean(of_overlap[one, other], rate * delta[:, one] * y[:, other])
        change = rate * (delta[:, one] * x[:, other] + delta[:, other] * x[:, one])
        assert_mean(of_student[one, other], change + rate**2 * delta[:, one] * delta[:, other])
    assert_mean(float(generalization_error(*overlaps(vectors))), 0.5 * error**2)


def test_many_networks_at_once_are_each_of_them() -> None:
    generator = np.random.default_rng(2)
    weights = 0.5 * generator.standard_normal((3, 2, 8))
    student, overlap = weights @ np.swapaxes(weights, 1, 2), weights[:, :, :2]
    each = [velocities(*pair, 0.7) for pair in zip(student, overlap, strict=True)]
    for together, alone in zip(velocities(student, overlap, 0.7), zip(*each, strict=True), strict=True):
        np.testing.assert_allclose(together, alone, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("units", [2, 3])
def test_the_plateau_of_small_rates_is_that_of_the_paper(units: int) -> None:
    """Saad and Solla (1995), section IV: Q = 1 / (2 K - 1), R = 1 / sqrt(K (2 K - 1)), and the error there."""
    plateau = plateau_of(units, 1e-5)
    assert plateau.student == pytest.approx(1.0 / (2 * units - 1), rel=1e-4)
    assert plateau.overlap == pytest.approx(1.0 / np.sqrt(units * (2 * units - 1)), rel=1e-4)
    error = units / np.pi * (np.pi / 6.0 - units * np.arcsin(1.0 / (2.0 * units)))
    assert plateau.error == pytest.approx(error, rel=1e-4)


@pytest.mark.parametrize("rate", [0.5, 1.5])
def test_small_differences_grow_at_the_rate_of_the_plateau_and_none_stays_none(rate: float) -> None:
    plateau = plateau_of(2, rate)
    epsilons = np.array([0.0, 1e-6])[:, None, None]
    student = np.full((2, 2, 2), plateau.student)
    overlap = np.full((2, 2, 2), plateau.overlap) + epsilons * (2.0 * np.eye(2) - 1.0)
    end = 4.0 / plateau.growth
    _, paths = trajectories(student, overlap, rate, np.array([0.0, end]))
    apart = paths[:, -1, 0, 0] - paths[:, -1, 1, 0]
    assert apart[0] == 0.0
    assert np.log(apart[1] / 2e-6) / end == pytest.approx(plateau.growth, rel=1e-3)
