"""Extreme eigenvalues of matrices whose spectra are known."""

import numpy as np
import pytest

from pipeline.measures.curvature.lanczos import MOST_STEPS, Extremes, extreme_eigenvalues
from pipeline.nn.arithmetic import Array

SIZE = 40


def matrix_of(spectrum: Array, seed: int = 0) -> Array:
    """A symmetric matrix with these eigenvalues, in random directions."""
    directions = np.linalg.qr(np.random.default_rng(seed).standard_normal((len(spectrum), len(spectrum))))[0]
    return directions @ np.diag(spectrum) @ directions.T


def extremes(*matrices: Array, dimension: int | None = None) -> Extremes:
    stack, size = np.stack(matrices), len(matrices[0])
    start = np.random.default_rng(1).random((len(stack), size)) - 0.5
    return extreme_eigenvalues(
        lambda vectors: (stack * vectors[:, None]).sum(axis=2), lambda vectors: vectors, start, dimension or size
    )


@pytest.mark.parametrize(
    "spectrum",
    [
        np.linspace(-3.0, 5.0, SIZE),
        np.linspace(1.0, 2.0, SIZE),
        -np.geomspace(1e-8, 1.0, SIZE),
        np.repeat([-1.0, 0.25, 2.0, 7.0], SIZE // 4),  # Few different ones: exhausted after four steps.
        np.full(SIZE, 3.0),
        np.zeros(SIZE),
        np.array([2.0]),
    ],
    ids=["both signs", "positive", "negative", "repeated", "one", "zero", "1 x 1"],
)
def test_the_ends_of_a_spectrum_are_found(spectrum: Array) -> None:
    found, scale = extremes(matrix_of(spectrum)), np.abs(spectrum).max()
    # The residual bounds the error; 1e-13 is the rounding of the products.
    error = float(found.residual[0]) + 1e-13 * scale
    np.testing.assert_allclose(found.smallest, spectrum.min(), atol=error)
    np.testing.assert_allclose(found.largest, spectrum.max(), atol=error)
    assert found.residual <= 1e-7 * scale


def test_the_residual_bounds_the_error_where_the_steps_do_not_suffice() -> None:
    # The smallest eigenvalues lie so close together that 128 steps cannot tell them apart.
    spectrum = np.append(np.linspace(0.0, 1e-4, 600), [1.0])
    matrix, start = np.diag(spectrum), np.ones((1, len(spectrum)))
    found = extreme_eigenvalues(lambda v: v @ matrix, lambda v: v, start, len(spectrum))
    assert len(spectrum) > MOST_STEPS
    assert 0.0 <= found.smallest - spectrum.min() <= found.residual
    assert found.residual > 1e-7
    assert found.largest == pytest.approx(1.0, abs=1e-12)


def test_what_a_projection_takes_away_counts_for_nothing() -> None:
    matrix = np.diag([-9.0, 1.0, 2.0, 4.0, 8.0, 99.0])
    inside = np.array([0.0, 1.0, 1.0, 1.0, 1.0, 0.0])
    start = inside * np.array([[5.0, 1.0, 2.0, 3.0, 4.0, 5.0]])
    found = extreme_eigenvalues(lambda v: v @ matrix, lambda v: v * inside, start, 4)
    np.testing.assert_allclose(found, [[1.0], [8.0], [0.0]], atol=1e-12)


def test_a_run_has_the_bits_that_it_has_alone() -> None:
    """Runs of one stack come to their ends after different numbers of steps."""
    matrices = [matrix_of(np.linspace(-1.0, 1.0 + seed, SIZE) ** (1 + 2 * seed), seed) for seed in range(3)]
    matrices.append(matrix_of(np.repeat([1.0, 2.0], SIZE // 2)))
    together = extremes(*matrices)
    for place in range(len(matrices)):
        stack = np.stack(matrices)[place : place + 1]
        start = (np.random.default_rng(1).random((len(matrices), SIZE)) - 0.5)[place : place + 1]
        alone = extreme_eigenvalues(lambda v, of=stack: (of * v[:, None]).sum(axis=2), lambda v: v, start, SIZE)  # type: ignore[misc]
        np.testing.assert_array_equal(np.ravel(alone), np.stack(together)[:, place])
