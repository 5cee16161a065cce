"""Optional measurements of the weights: norm, movement, balance, symmetries, singular values, teacher's overlaps."""

from itertools import pairwise
from math import pi

import numpy as np

from pipeline import names
from pipeline.measures.registry import StackSnapshot, measure
from pipeline.measures.symmetry import distances, pairwise_distances
from pipeline.nn.activations import ACTIVATIONS
from pipeline.nn.arithmetic import Array
from pipeline.nn.network import Architecture
from pipeline.numerics.angles import arcsine
from pipeline.numerics.orthogonal import singular_values
from pipeline.numerics.sums import mean, total
from pipeline.ranges import MOST_TEACHER_UNITS


@measure(metrics=lambda widths: 1)
def weight_norm(snapshot: StackSnapshot) -> dict[str, Array]:
    """``weights/norm``, the Euclidean norm of all weights, without the biases."""
    weights = snapshot.parameters * snapshot.problem.architecture.weight_mask
    return {names.WEIGHT_NORM: np.sqrt(total(weights**2))}


@measure(metrics=lambda widths: 2 * (len(widths) - 1))
def movement(snapshot: StackSnapshot) -> dict[str, Array]:
    """``movement/weights1``, ``movement/biases1``, ...: the largest absolute change of a layer since the start.

    It is exactly 0 where no gradient has ever arrived.
    """
    architecture, change = snapshot.problem.architecture, np.abs(snapshot.parameters - snapshot.initial)
    parts = {"weights": architecture.weights(change), "biases": architecture.biases(change)}
    return {
        names.movement(kind, layer): values.reshape(len(values), -1).max(axis=1)
        for kind, layers in parts.items()
        for layer, values in enumerate(layers, start=1)
    }


@measure(metrics=lambda widths: len(widths) - 2)
def balance(snapshot: StackSnapshot) -> dict[str, Array]:
    """``layer1/balance_drift``, ...: how far the balance of a hidden unit has drifted, largest over the layer's units.

    The balance of a unit is |incoming weights and bias|^2 - |outgoing weights|^2. Gradient flow conserves it for relu,
    leaky_relu and identity (Du, Hu and Lee 2018, theorem 2.1); steps of finite size do not.
    """
    architecture = snapshot.problem.architecture
    start, now = _balances(architecture, snapshot.initial), _balances(architecture, snapshot.parameters)
    return {
        names.layer_measure("balance_drift", layer): np.abs(later - earlier).max(axis=1)
        for layer, (earlier, later) in enumerate(zip(start, now, strict=True), start=1)
    }


def _balances(architecture: Architecture, parameters: Array) -> list[Array]:
    """The balances (R, units) of every hidden layer."""
    blocks, weights = architecture.blocks(parameters), architecture.weights(parameters)
    return [
        total(block**2) - total(outgoing**2)
        for block, (_, outgoing) in zip(blocks[:-1], pairwise(weights), strict=True)
    ]


@measure(metrics=lambda widths: len(widths) - 2)
def mirror_distance(snapshot: StackSnapshot) -> dict[str, Array]:
    """``symmetry/mirror_distance``, ...: how far the units of a hidden layer are from being mirrored in pairs.

    The distance of each unit to the nearest mirror image of a unit, largest over the layer's units. A unit is its
    incoming weights, bias and outgoing weights; its mirror image is their negative. Exactly 0 means that every unit is
    some unit's mirror image. As in ``symmetry.pairwise_distances``, differences are taken before squaring.
    """
    architecture = snapshot.problem.architecture
    blocks, weights = architecture.blocks(snapshot.parameters), architecture.weights(snapshot.parameters)
    units_of_layers = [
        np.concatenate([block, outgoing], axis=2) for block, outgoing in zip(blocks[:-1], weights[1:], strict=True)
    ]
    return {
        names.symmetry("mirror_distance", layer): np.max(
            [distances(-units[:, unit, None], units).min(axis=1) for unit in range(units.shape[1])], axis=0
        )
        for layer, units in enumerate(units_of_layers, start=1)
    }


@measure(metrics=lambda widths: sum(width > 1 for width in widths[1:-1]), of_odd_units=True)
def distance_modulo_sign(snapshot: StackSnapshot) -> dict[str, Array]:
    """``symmetry/distance_modulo_sign``, ...: the mean distance between the units of a hidden layer, up to their signs.

    Under an odd g a unit with the weights w, bias b and outgoing weights v computes what -w, -b and -v compute. So of
    two units, with incoming weights and bias as one vector each, the smaller of |one - other| and |one + other| counts:
    0 means that the layer is worth one unit. Nothing where g is not odd, or for a single unit.
    """
    architecture = snapshot.problem.architecture
    if architecture.activation is None or not ACTIVATIONS[architecture.activation].odd:
        return {}
    hidden = architecture.blocks(snapshot.parameters)[:-1]
    return {
        names.symmetry("distance_modulo_sign", layer): mean(_distances_modulo_sign(units))
        for layer, units in enumerate(hidden, start=1)
        if units.shape[1] > 1
    }


def _distances_modulo_sign(units: Array) -> Array:
    """(R, pairs), from vectors (R, units, d)."""
    count = units.shape[1]
    one, other = np.triu_indices(2 * count, 1)
    both = pairwise_distances(np.concatenate([units, -units], axis=1))
    plain, mirrored = (
        np.compress(chosen, both, axis=1) for chosen in (other < count, (other - count > one) & (one < count))
    )
    return np.minimum(plain, mirrored)


@measure(metrics=lambda widths: 1)
def input_distance(snapshot: StackSnapshot) -> dict[str, Array]:
    """``symmetry/input_distance``: the mean distance between the outgoing weights of all pairs of inputs.

    Inputs with equal outgoing weights cannot be told apart: the network sees their sum alone, however different its
    hidden units are. Nothing for a single input.
    """
    rows = snapshot.problem.architecture.weights(snapshot.parameters)[0]
    return {names.INPUT_DISTANCE: mean(pairwise_distances(rows))} if rows.shape[1] > 1 else {}


@measure(metrics=lambda widths: len(widths) - 2)
def effective_width(snapshot: StackSnapshot) -> dict[str, Array]:
    """``symmetry/effective_width``, ...: the participation ratio of the units of a hidden layer, 1 to their number.

    (sum of s^2)^2 / (sum of s^4) over the singular values s of the matrix whose rows are the units, each its incoming
    weights, bias and outgoing weights. Units that are equal, parallel or mirrored count as one, and units that are 0 as
    none; a layer of zeros has the width 0.
    """
    architecture = snapshot.problem.architecture
    blocks, weights = architecture.blocks(snapshot.parameters), architecture.weights(snapshot.parameters)
    return {
        names.symmetry("effective_width", layer): _participation_ratio(np.concatenate([block, outgoing], axis=2))
        for layer, (block, outgoing) in enumerate(zip(blocks[:-1], weights[1:], strict=True), start=1)
    }


def _participation_ratio(units: Array) -> Array:
    """(R,), from vectors (R, units, d)."""
    largest = np.abs(units).max(axis=(1, 2), keepdims=True)
    # Fourth powers of small numbers are 0.
    scaled = np.divide(units, largest, out=np.zeros_like(units), where=largest != 0.0)
    # The sum of s^4 is that of the squares of all scalar products.
    products = [total(scaled[:, unit, None] * scaled) for unit in range(units.shape[1])]
    fourth = total(np.stack([total(of_unit**2) for of_unit in products], axis=1))
    squared = total(total(scaled**2)) ** 2
    return np.divide(squared, fourth, out=np.zeros_like(fourth), where=fourth != 0.0)


@measure(metrics=lambda widths: min(widths))
def mode_strengths(snapshot: StackSnapshot) -> dict[str, Array]:
    """``modes/strength1``, ...: the singular values of the product of all weight matrices, largest first.

    Of a network of identity units without biases that product is all there is to know of its function, and training
    learns it mode by mode (Saxe, McClelland and Ganguli 2014).
    """
    arithmetic = snapshot.problem.arithmetic
    first, *above = snapshot.problem.architecture.weights(snapshot.parameters)
    product = first
    for weights in above:
        product = arithmetic.product(arithmetic.operand(product), arithmetic.operand(weights))
    # No singular values exist of weights that have overflowed.
    finite = np.isfinite(product).all(axis=(1, 2))
    strengths = np.full((len(product), min(product.shape[1:])), np.nan)
    for run in np.flatnonzero(finite):
        strengths[run] = singular_values(product[run])
    modes = min(snapshot.problem.architecture.widths)
    return {names.mode_strength(mode): strengths[:, mode - 1] for mode in range(1, modes + 1)}


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
