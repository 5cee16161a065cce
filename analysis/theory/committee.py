"""Online learning of a soft committee machine: the closed equations of its order parameters (Saad and Solla 1995).

K student units J_i and M teacher units B_n see Gaussian inputs of N components, fresh in every step; both sum the
outputs g(x) = erf(x / sqrt 2) of their units, and gradient descent on half the squared error moves the student's. In the
limit of many inputs the overlaps Q_ik = J_i . J_k and R_in = J_i . B_n follow ordinary differential equations in the
time alpha = examples / N, because fields x_i = J_i . input and y_n = B_n . input are Gaussian with the covariance

    C = [[Q, R], [R^T, T]],    T_nm = B_n . B_m

and averages of g, g' and fields over them have closed forms (Saad and Solla 1995, Phys. Rev. E 52, 4225, appendix; Biehl
and Schwarze 1995, J. Phys. A 28, 643).
"""

import numpy as np
from scipy.integrate import solve_ivp

TOLERANCE = 1e-10


def mean_of_outputs(covariance: np.ndarray) -> np.ndarray:
    """<g(u) g(v)> of all pairs of fields, (fields, fields), from their covariance (the integral I2).

    >>> mean_of_outputs(np.eye(2)).round(4).tolist()
    [[0.3333, 0.0], [0.0, 0.3333]]
    """
    roots = np.sqrt(1.0 + np.diag(covariance))
    return np.asarray(2.0 / np.pi * np.arcsin(covariance / np.outer(roots, roots)))


def mean_of_slope_field_output(covariance: np.ndarray) -> np.ndarray:
    """<g'(u) v g(w)> of all triples of fields, (fields, fields, fields): the integral I3."""
    c = covariance
    u = 1.0 + np.diag(c)
    cross = u[:, None, None] * c[None] - c[:, :, None] * c[:, None, :]
    root = np.sqrt(np.outer(u, u) - c**2)[:, None, :]
    return np.asarray(2.0 / np.pi * cross / (u[:, None, None] * root))


def mean_of_slopes_outputs(covariance: np.ndarray, units: int) -> np.ndarray:
    """<g'(u) g'(v) g(w) g(z)>, u and v of the first ``units`` fields, w and z of all: the integral I4.

    Returns:
        (units, units, fields, fields).
    """
    c = covariance
    first, second = (1.0 + np.diag(c)[:units][shape] for shape in ((..., None, None, None), (None, ..., None, None)))
    both = c[:units, :units, None, None]
    plain = first * second - both**2
    left_w, right_w = c[:units, None, :, None], c[None, :units, :, None]
    left_z, right_z = c[:units, None, None, :], c[None, :units, None, :]
    joint = plain * c - right_w * right_z * first - left_w * left_z * second
    joint = joint + both * (left_w * right_z + left_z * right_w)
    own = 1.0 + np.diag(c)
    of_w = plain * own[:, None] - right_w**2 * first - left_w**2 * second + 2.0 * both * left_w * right_w
    of_z = plain * own - right_z**2 * first - left_z**2 * second + 2.0 * both * left_z * right_z
    return np.asarray(4.0 / np.pi**2 / np.sqrt(plain) * np.arcsin(joint / np.sqrt(of_w * of_z)))


def covariance_of(student: np.ndarray, overlap: np.ndarray, teacher: np.ndarray) -> np.ndarray:
    """The covariance (K + M, K + M) of all fields, from Q (K, K), R (K, M) and T (M, M)."""
    return np.block([[student, overlap], [overlap.T, teacher]])


def generalization_error(student: np.ndarray, overlap: np.ndarray, teacher: np.ndarray) -> float:
    """Half the mean squared difference of student and teacher on fresh inputs.

    >>> round(generalization_error(np.zeros((2, 2)), np.zeros((2, 2)), np.eye(2)), 4)
    0.3333
    """
    signs = np.concatenate([np.ones(len(student)), -np.ones(len(teacher))])
    return float(0.5 * signs @ mean_of_outputs(covariance_of(student, overlap, teacher)) @ signs)


def velocities(
    student: np.ndarray, overlap: np.ndarray, teacher: np.ndarray, rate: float
) -> tuple[np.ndarray, np.ndarray]:
    """dQ / dalpha and dR / dalpha at the learning rate ``rate`` / N a step of one example."""
    units = len(student)
    covariance = covariance_of(student, overlap, teacher)
    errors = np.concatenate([-np.ones(units), np.ones(len(teacher))])  # teacher - student
    drift = mean_of_slope_field_output(covariance)[:units] @ errors
    noise = np.einsum("ikwz,w,z->ik", mean_of_slopes_outputs(covariance, units), errors, errors)
    return rate * (drift[:, :units] + drift[:, :units].T) + rate**2 * noise, rate * drift[:, units:]


def trajectory(
    student: np.ndarray, overlap: np.ndarray, teacher: np.ndarray, rate: float, times: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Q (times, K, K) and R (times, K, M) at the times alpha, ascending from 0.

    Args:
        student: Q at time 0.
        overlap: R at time 0.
        teacher: T.
        rate: the learning rate times N.
        times: (times,).
    """
    units, rows = len(student), np.triu_indices(len(student))

    def unpacked(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        q = np.zeros((units, units))
        q[rows] = values[: len(rows[0])]
        return q + np.triu(q, 1).T, values[len(rows[0]) :].reshape(overlap.shape)

    def change(_: float, values: np.ndarray) -> np.ndarray:
        of_student, of_overlap = velocities(*unpacked(values), teacher, rate)
        return np.concatenate([of_student[rows], of_overlap.ravel()])

    start = np.concatenate([student[rows], overlap.ravel()])
    found = solve_ivp(
        change, (0.0, max(float(times[-1]), TOLERANCE)), start, "LSODA", times, rtol=TOLERANCE, atol=TOLERANCE**1.2
    )
    parts = [unpacked(values) for values in found.y.T]
    return np.array([q for q, _ in parts]), np.array([r for _, r in parts])
