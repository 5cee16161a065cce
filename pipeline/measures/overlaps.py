"""Order parameters of a network that learns from a teacher: overlaps of their units, and the generalisation error."""

from math import pi

import numpy as np

from pipeline import names
from pipeline.measures.registry import StackSnapshot, measure
from pipeline.nn.arithmetic import Array
from pipeline.numerics.angles import arcsine
from pipeline.numerics.sums import total
from pipeline.ranges import MOST_TEACHER_UNITS


@measure(metrics=lambda widths: sum(units * (units + 1) // 2 for units in (widths[1] + MOST_TEACHER_UNITS,)) + 1)
def overlaps(snapshot: StackSnapshot) -> dict[str, Array]:
    """``overlap/student1_teacher2``, ...: inner products of weight vectors; ``overlap/generalization_error``.

    In the words of Saad and Solla (1995): Q of two units of the first hidden layer, R of one of them with one of the
    teacher's, T of two of the teacher's. With one hidden layer of erf units without biases they give, with the outgoing
    weights, half the mean squared difference to the teacher over all Gaussian inputs. Nothing without a teacher.
    """
    teacher, architecture = snapshot.problem.teacher, snapshot.problem.architecture
    if teacher is None:
        return {}
    student = architecture.weights(snapshot.parameters)[0].swapaxes(1, 2)
    vectors = np.concatenate([student, np.broadcast_to(teacher, (len(student), *teacher.shape))], axis=1, dtype=float)
    kinds = [names.STUDENT] * student.shape[1] + [names.TEACHER] * len(teacher)
    numbers = [*range(1, student.shape[1] + 1), *range(1, len(teacher) + 1)]
    products = np.stack([total(vectors * vectors[:, unit, None]) for unit in range(len(kinds))], axis=1)
    found = {
        names.overlap(f"{kinds[one]}{numbers[one]}", f"{kinds[other]}{numbers[other]}"): products[:, one, other]
        for one, other in zip(*np.triu_indices(len(kinds)), strict=True)
    }
    if architecture.activation == "erf" and len(architecture.widths) == 3 and not architecture.bias:
        votes = np.concatenate(
            [architecture.weights(snapshot.parameters)[1][:, :, 0], -np.ones((len(student), len(teacher)))], axis=1
        )
        found[names.GENERALIZATION_ERROR] = _generalization_error(products, votes)
    return found


def _generalization_error(products: Array, votes: Array) -> Array:
    """(R,), from all inner products (R, units, units), and what each unit's output counts (R, units)."""
    lengths = np.sqrt(1.0 + np.diagonal(products, axis1=1, axis2=2))
    cosines = products / (lengths[:, :, None] * lengths[:, None, :])
    # By the integral of Saad and Solla: <g(x) g(y)> = 2 / pi asin(x.y / sqrt(1 + x.x) sqrt(1 + y.y)).
    means = np.copysign(2.0 / pi * arcsine(np.abs(cosines)), cosines)
    return np.asarray(0.5 * total(total(votes[:, :, None] * votes[:, None, :] * means)))
