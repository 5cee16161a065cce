"""Online learning of a soft committee machine: the closed equations of its order parameters (Saad and Solla 1995).

K student units J_i and M teacher units B_n see Gaussian inputs of N components, fresh in every step; both sum the
outputs g(x) = erf(x / sqrt 2) of their units, and gradient descent on half the squared error moves the student's. In
the limit of many inputs the overlaps Q_ik = J_i . J_k and R_in = J_i . B_n follow ordinary differential equations in
the time alpha = steps / N, one example a step, because the fields x_i = J_i . input and y_n = B_n . input are Gaussian
with the covariance

    C = [[Q, R], [R^T, T]],    T_nm = B_n . B_m

and averages of g, g' and fields over them have closed forms (Saad and Solla 1995, Phys. Rev. E 52, 4225, appendix;
Biehl and Schwarze 1995, J. Phys. A 28, 643). Every array may have leading axes: many networks at once.
"""

from functools import cache, lru_cache
from typing import NamedTuple

import numpy as np
import scipy  # It loads those of its packages that are asked for.

TOLERANCE = 1e-8
LONG = np.array([0.0, 100.0])
"""Learning rate times alpha in which alike units come to their plateau."""
DIFFERENCE = 1e-6
"""For derivatives from both sides: near the cube root of the last digit."""


def mean_of_outputs(covariance: np.ndarray) -> np.ndarray:
    """<g(u) g(v)> of all pairs of fields, (..., fields, fields), from their covariance: the integral I2.

    >>> mean_of_outputs(np.eye(2)).round(4).tolist()
    [[0.3333, 0.0], [0.0, 0.3333]]
    """
    roots = np.sqrt(1.0 + _variances(covariance))
    return np.asarray(2.0 / np.pi * np.arcsin(covariance / (roots[..., :, None] * roots[..., None, :])))


def mean_of_slope_field_output(covariance: np.ndarray) -> np.ndarray:
    """<g'(u) v g(w)> of all triples of fields, (..., fields, fields, fields): the integral I3."""
    lengths = 1.0 + _variances(covariance)
    uv, uw, vw = covariance[..., :, :, None], covariance[..., :, None, :], covariance[..., None, :, :]
    of_u, of_w = lengths[..., :, None, None], lengths[..., None, None, :]
    return np.asarray(2.0 / np.pi * (vw * of_u - uv * uw) / (of_u * np.sqrt(of_u * of_w - uw**2)))


def mean_of_slopes_outputs(covariance: np.ndarray, units: int) -> np.ndarray:
    """<g'(u) g'(v) g(w) g(z)>, u and v of the first ``units`` fields, w and z of all: the integral I4.

    Returns:
        (..., units, units, fields, fields).
    """
    lengths = 1.0 + _variances(covariance)
    of_u, of_v = lengths[..., :units, None, None, None], lengths[..., None, :units, None, None]
    of_w, of_z = lengths[..., None, None, :, None], lengths[..., None, None, None, :]
    uv, wz = covariance[..., :units, :units, None, None], covariance[..., None, None, :, :]
    uw, vw = covariance[..., :units, None, :, None], covariance[..., None, :units, :, None]
    uz, vz = covariance[..., :units, None, None, :], covariance[..., None, :units, None, :]
    slopes = of_u * of_v - uv**2
    joint = slopes * wz - vw * vz * of_u - uw * uz * of_v + uv * (uw * vz + uz * vw)
    with_w = slopes * of_w - vw**2 * of_u - uw**2 * of_v + 2.0 * uv * uw * vw
    with_z = slopes * of_z - vz**2 * of_u - uz**2 * of_v + 2.0 * uv * uz * vz
    return np.asarray(4.0 / np.pi**2 / np.sqrt(slopes) * np.arcsin(joint / np.sqrt(with_w * with_z)))


def _variances(covariance: np.ndarray) -> np.ndarray:
    return np.diagonal(covariance, axis1=-2, axis2=-1)


def covariance_of(student: np.ndarray, overlap: np.ndarray) -> np.ndarray:
    """The covariance (..., K + M, K + M) of all fields, from Q (..., K, K) and R (..., K, M), with T = I."""
    units, teachers = overlap.shape[-2:]
    covariance = np.zeros((*overlap.shape[:-2], units + teachers, units + teachers))
    covariance[..., :units, :units], covariance[..., :units, units:] = student, overlap
    covariance[..., units:, :units], covariance[..., units:, units:] = np.swapaxes(overlap, -1, -2), np.eye(teachers)
    return covariance


def generalization_error(student: np.ndarray, overlap: np.ndarray) -> np.ndarray:
    """Half the mean squared difference of student and teacher on fresh inputs, (...).

    >>> generalization_error(np.zeros((2, 2)), np.zeros((2, 2))).round(4).item()  # of a student that says nothing
    0.3333
    """
    votes = _votes(overlap)
    return np.asarray(0.5 * (mean_of_outputs(covariance_of(student, overlap)) @ votes) @ votes)


def velocities(student: np.ndarray, overlap: np.ndarray, rate: float) -> tuple[np.ndarray, np.ndarray]:
    """dQ / dalpha and dR / dalpha where the learning rate of a step is ``rate`` / N."""
    units, votes = overlap.shape[-2], _votes(overlap)
    covariance = covariance_of(student, overlap)
    drift = mean_of_slope_field_output(covariance)[..., :units, :, :] @ votes
    noise = (mean_of_slopes_outputs(covariance, units) @ votes) @ votes
    of_student = drift[..., :units]
    return rate * (of_student + np.swapaxes(of_student, -1, -2)) + rate**2 * noise, rate * drift[..., units:]


def _votes(overlap: np.ndarray) -> np.ndarray:
    """How the units' outputs enter the error teacher - student."""
    units, teachers = overlap.shape[-2:]
    return np.concatenate([-np.ones(units), np.ones(teachers)])


def trajectories(
    student: np.ndarray, overlap: np.ndarray, rate: float, times: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Q (networks, times, K, K) and R (networks, times, K, M) at the times alpha, ascending from 0.

    Args:
        student: Q at time 0, (networks, K, K).
        overlap: R at time 0, (networks, K, M).
        rate: the learning rate times N.
        times: (times,).
    """
    start = _packed(student, overlap)
    values = _solution(start.tobytes(), overlap.shape, rate, np.asarray(times, float).tobytes())
    return _unpacked(values, overlap.shape[1:])


@lru_cache(maxsize=32)
def _solution(start: bytes, shape: tuple[int, int, int], rate: float, times: bytes) -> np.ndarray:
    """(networks, times, numbers); kept, for the answer of a question and its figures ask for the same ones."""
    first, moments = np.frombuffer(start).reshape(shape[0], -1), np.frombuffer(times)

    def change(_: float, values: np.ndarray) -> np.ndarray:
        return _packed(*velocities(*_unpacked(values.reshape(first.shape), shape[1:]), rate)).ravel()

    span = (0.0, float(moments[-1]))
    found = scipy.integrate.solve_ivp(
        change, span, first.ravel(), "DOP853", moments, rtol=TOLERANCE, atol=1e-3 * TOLERANCE
    )
    return np.moveaxis(found.y.reshape(*first.shape, len(moments)), -1, 1)


def _packed(student: np.ndarray, overlap: np.ndarray) -> np.ndarray:
    rows, columns = np.triu_indices(student.shape[-1])
    return np.concatenate([student[..., rows, columns], overlap.reshape(*overlap.shape[:-2], -1)], axis=-1)


def _unpacked(values: np.ndarray, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    rows, columns = np.triu_indices(shape[0])
    student = np.zeros((*values.shape[:-1], shape[0], shape[0]))
    student[..., rows, columns] = student[..., columns, rows] = values[..., : len(rows)]
    return student, values[..., len(rows) :].reshape(*values.shape[:-1], *shape)


class Plateau(NamedTuple):
    """The fixed point at which all units are alike.

    Attributes:
        student: every Q_ik.
        overlap: every R_in.
        error: the generalisation error there.
        growth: how fast each unit comes to like one of the teacher's best: the eigenvalue of the linearised equations
            for changes of R like K I - 1, so that small ones grow like e^(growth alpha).
    """

    student: float
    overlap: float
    error: float
    growth: float


@cache
def plateau_of(units: int, rate: float) -> Plateau:
    """The plateau of so many units and as many of the teacher.

    >>> round(plateau_of(2, 1e-6).student, 4), round(plateau_of(2, 1e-6).overlap**2, 4)  # 1 / (2 K - 1) and Q / K
    (0.3333, 0.1667)
    """

    def at(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.full((units, units), values[0]), np.full((units, units), values[1])

    def change(values: np.ndarray) -> np.ndarray:
        of_student, of_overlap = velocities(*at(values), rate)
        return np.array([of_student[0, 0], of_overlap[0, 0]]) / rate

    # Newton's method from where the equations have come: they have other fixed points too.
    start = 1.0 / (2.0 * units - 1.0)
    first, second = at(np.array([start, np.sqrt(start / units)]))
    near = trajectories(first[None], second[None], rate, LONG / rate)
    student, overlap = scipy.optimize.fsolve(change, [part[0, -1, 0, 0] for part in near], xtol=1e-10)
    # Permuting the student's units, or the teacher's, changes nothing else that changes like this: an eigenvector.
    apart = DIFFERENCE * (units * np.eye(units) - 1.0)
    of_student, of_overlap = at(np.array([student, overlap]))
    more, less = (velocities(of_student, of_overlap + shift, rate)[1] for shift in (apart, -apart))
    growth = float((more - less)[0, 0] / (2.0 * apart[0, 0]))
    error = float(generalization_error(of_student, of_overlap))
    return Plateau(float(student), float(overlap), error, growth)
