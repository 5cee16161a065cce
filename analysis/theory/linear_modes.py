"""Exact solutions for linear networks of two layers on white inputs: each mode alone, and all modes together.

``data=whitened`` gives such inputs: X^T X = n, and X^T Y / n is zero but for the singular values s_i on its diagonal.
Time is learning rate times steps; the solutions are those of gradient flow.
"""

import numpy as np
import scipy  # It loads those of its packages that are asked for.

LARGEST_EXPONENT = 600.0
"""A mode that has grown by e^300 is learned to the last digit; e^710 would overflow."""


def exact_strength(time: np.ndarray, singular_value: float, start: float) -> np.ndarray:
    """Strength of a mode over time, a(t) = s e^(2 s t) / (e^(2 s t) - 1 + s / a(0)) (Saxe et al. 2014, equation 8).

    It holds for a mode that shares no hidden unit with another one.

    Args:
        time: (times,).
        singular_value: s, of the correlation between white inputs and targets.
        start: a(0).

    >>> exact_strength(np.array([0.0, 1.0, 5.0]), singular_value=2.0, start=0.01).round(2).tolist()
    [0.01, 0.43, 2.0]
    """
    # Both parts of the fraction divided by e^(2 s t), which would overflow.
    return np.asarray(singular_value / (1.0 + (singular_value / start - 1.0) * np.exp(-2.0 * singular_value * time)))


def growing_parts(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The part of small initial weights that grows, for each mode a vector over the hidden units.

    As long as weights are small, the incoming weights p of mode i and its outgoing ones q follow p' = s q, q' = s p:
    their half sum grows like e^(s t) and their half difference dies. So a mode alone joins the exact curve that starts
    from |p + q|^2 / 4; and modes whose growing parts are not orthogonal to each other are not alone.

    Args:
        first: (features, units), of which row i belongs to mode i.
        second: (units, classes), of which column i belongs to mode i.

    Returns:
        (modes, units).
    """
    modes = min(len(first), second.shape[1])
    return np.asarray(first[:modes] + second.T[:modes]) / 2.0


def largest_overlap(parts: np.ndarray) -> float:
    """Largest cosine, without its sign, between the growing parts (modes, units) of two modes."""
    directions = parts / np.linalg.norm(parts, axis=1, keepdims=True)
    cosines = np.abs(directions @ directions.T)
    return float(cosines[np.triu_indices(len(parts), 1)].max(initial=0.0))


def coupled_strengths(
    time: np.ndarray, singular_values: np.ndarray, first: np.ndarray, second: np.ndarray
) -> np.ndarray:
    """Strengths of all modes over time where they may share hidden units: the solution as a matrix (Fukumizu 1998).

    With Q = [W(1); W(2)^T] and F = [[0, S], [S^T, 0]], gradient flow from a balanced start, W(1)^T W(1) = W(2) W(2)^T,
    is Q' = F Q - Q Q^T Q / 2. It solves to

        Q Q^T = e^(F t) Q(0) [I + Q(0)^T G Q(0)]^-1 Q(0)^T e^(F t),    G = integral of e^(2 F u) over u from 0 to t

    (see also Braun, Domine, Fitzgerald and Saxe 2022). From another start the imbalance stays as small as it was, so
    for small weights the solution is off by the square of their size.

    Args:
        time: (times,).
        singular_values: (modes,), s_i of feature i and class i.
        first: (features, units), the initial weights.
        second: (units, classes).

    Returns:
        (times, modes), the largest first: singular values of W(1) W(2).
    """
    features, classes, modes = len(first), second.shape[1], len(singular_values)
    correlation = np.zeros((features, classes))
    correlation[range(modes), range(modes)] = singular_values
    rates, directions = np.linalg.eigh(
        np.block([[np.zeros((features, features)), correlation], [correlation.T, np.zeros((classes, classes))]])
    )
    start = (directions.T @ np.vstack([first, second.T]))[::-1]
    rates, directions = rates[::-1], directions[:, ::-1]
    strengths = np.empty((len(time), modes))
    for place, moment in enumerate(time):
        if moment == 0.0:
            product = first @ second
        else:
            # I - (I + A A^T)^-1 with A = sqrt(G) Q(0), whose rows differ by many powers of ten. QR keeps the digits of
            # the small ones if the large ones come first; inverting the matrix would not.
            scaled = np.sqrt(_integrals(rates, moment))[:, None] * start
            both = np.vstack([scaled, np.eye(start.shape[1])])
            orthonormal, _, _ = scipy.linalg.qr(both, mode="economic", pivoting=True)
            weights = directions @ (orthonormal[: len(rates)] / np.sqrt(_integrals(-rates, moment))[:, None])
            product = weights[:features] @ weights[features:].T
        strengths[place] = np.linalg.svd(product, compute_uv=False)[:modes]
    return strengths


def _integrals(rates: np.ndarray, time: float) -> np.ndarray:
    """(rates,), the integral of e^(2 rate u) over u from 0 to ``time``."""
    exponents = np.minimum(2.0 * rates * time, LARGEST_EXPONENT)
    resting = exponents == 0.0
    return np.where(resting, time, np.expm1(exponents) / np.where(resting, 1.0, 2.0 * rates))
