"""The exact solutions for linear networks against their differential equations."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from analysis.theory.linear_modes import coupled_strengths, exact_strength, growing_parts, largest_overlap

SINGULAR_VALUES = np.array([0.5, 0.15, 0.3])
CLASSES = 4


def test_the_exact_curve_solves_its_differential_equation() -> None:
    time = np.linspace(0.0, 20.0, 20001)
    strength = exact_strength(time, 0.5, 1e-3)
    assert strength[0] == pytest.approx(1e-3)
    assert strength[-1] == pytest.approx(0.5, rel=1e-5)  # e^(-20) * s / a0 is left
    slopes = np.gradient(strength, time)[1:-1]
    np.testing.assert_allclose(slopes, (2.0 * strength * (0.5 - strength))[1:-1], atol=1e-6)  # step^2 / 6 * a'''


def test_modes_late_in_time_are_learned_and_nothing_overflows() -> None:
    late = np.array([0.0, 1e3, 1e5])
    np.testing.assert_allclose(exact_strength(late, 0.5, 1e-3), [1e-3, 0.5, 0.5])
    first, second = balanced_start(6)
    np.testing.assert_allclose(coupled_strengths(late, SINGULAR_VALUES, first, second)[1:], [[0.5, 0.3, 0.15]] * 2)


def balanced_start(units: int) -> tuple[np.ndarray, np.ndarray]:
    """Random weights with W(1)^T W(1) = W(2) W(2)^T, in which modes share hidden units."""
    generator = np.random.default_rng(0)
    first = 0.05 * generator.standard_normal((len(SINGULAR_VALUES), units))
    rotation, _ = np.linalg.qr(generator.standard_normal((CLASSES, len(SINGULAR_VALUES))))
    return first, first.T @ rotation.T


@pytest.mark.parametrize("units", [2, 3, 6])
def test_modes_together_solve_gradient_flow_from_a_balanced_start(units: int) -> None:
    first, second = balanced_start(units)
    correlation = np.eye(len(SINGULAR_VALUES), CLASSES) * SINGULAR_VALUES[:, None]

    def flow(_: float, weights: np.ndarray) -> np.ndarray:
        incoming, outgoing = weights[: first.size].reshape(first.shape), weights[first.size :].reshape(second.shape)
        error = correlation - incoming @ outgoing
        return np.concatenate([(error @ outgoing.T).ravel(), (incoming.T @ error).ravel()])

    time = np.linspace(0.0, 60.0, 31)
    start = np.concatenate([first.ravel(), second.ravel()])
    solved = solve_ivp(flow, (0.0, 60.0), start, t_eval=time, rtol=1e-10, atol=1e-13).y.T
    expected = [
        np.linalg.svd(weights[: first.size].reshape(first.shape) @ weights[first.size :].reshape(second.shape))[1]
        for weights in solved
    ]
    found = coupled_strengths(time, SINGULAR_VALUES, first, second)
    np.testing.assert_allclose(found, expected, rtol=0.0, atol=1e-8)  # the solver's own error over 60 time units
    assert found[-1, 0] > 0.49


def test_modes_that_share_no_unit_follow_the_curve_of_a_mode_alone() -> None:
    first, second = 0.03 * np.eye(3, 5), 0.03 * np.eye(5, CLASSES)
    time = np.linspace(0.0, 70.0, 15)
    together = coupled_strengths(time, SINGULAR_VALUES, first, second)
    alone = [exact_strength(time, value, 9e-4) for value in sorted(SINGULAR_VALUES, reverse=True)]
    np.testing.assert_allclose(together, np.transpose(alone), rtol=1e-9)


def test_growing_parts_are_half_the_sums_of_both_layers() -> None:
    first = np.array([[1.0, 1.0], [0.0, 2.0]])
    np.testing.assert_array_equal(growing_parts(first, first.T), first)
    np.testing.assert_array_equal(growing_parts(first, -first.T), np.zeros((2, 2)))
    np.testing.assert_array_equal(growing_parts(first, np.zeros((2, 1))), [[0.5, 0.5]])


def test_the_overlap_is_a_cosine_without_its_sign() -> None:
    assert largest_overlap(np.array([[1.0, 0.0], [0.0, 3.0]])) == 0.0
    assert largest_overlap(np.array([[1.0, 0.0], [-2.0, 2.0]])) == pytest.approx(np.sqrt(0.5))
    assert largest_overlap(np.array([[1.0, 0.0]])) == 0.0
