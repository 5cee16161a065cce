"""The data sets: one function for each option of the group ``data``, and the shape it will have.

A source takes a generator, from which all its randomness comes, and keyword-only parameters. These
parameters are the keys that the user may set, and their annotations are the allowed ranges: the
signature is the specification. Default values live in ``conf/data/`` alone.

The examples of the synthetic sources come in mixed order, so that the first of them hold every class.
"""

import math
from functools import partial
from typing import Annotated, Any, Literal

import numpy as np
from annotated_types import Ge, Le
from numpy.typing import NDArray

from pipeline.data.array_files import read_idx, read_npz
from pipeline.data.dialect import Given
from pipeline.data.examples import SOURCES, Examples, source
from pipeline.data.opened_file import path_of
from pipeline.data.table import Use, read_tables
from pipeline.data.table_files import read_csv, read_parquet
from pipeline.errors import InputError
from pipeline.numerics.angles import cosine_and_sine
from pipeline.numerics.draws import Draws
from pipeline.numerics.functions import PRECISE
from pipeline.numerics.orthogonal import orthonormal
from pipeline.numerics.sums import mean, total
from pipeline.ranges import MOST_TEACHER_UNITS, Count, Fraction, NonNegative, Number, Whole

__all__ = ["SOURCES", "Examples"]

Classes = Annotated[Whole, Ge(2)]
Teachers = Annotated[Whole, Ge(1), Le(MOST_TEACHER_UNITS)]
Directions = Literal["random", "axes"]
Correlation = Annotated[Number, Ge(0), Le(1)]
Column = int | str
Missing = Literal["error", "drop", "mean", "most_frequent"]
Categories = Literal["error", "one_hot"]
Task = Literal["classification", "regression"]


@source()
def digits(generator: Draws) -> Examples:
    """1797 handwritten digits of 8 x 8 pixels in 10 classes; pixels in [0, 1] on a grid of 1/16."""
    examples = _bundled("digits")
    return examples._replace(inputs=examples.inputs / 16)


@source()
def breast_cancer(generator: Draws) -> Examples:
    """569 tumours described by 30 measurements of cell nuclei, benign or malignant."""
    return _bundled("breast_cancer")


@source()
def iris(generator: Draws) -> Examples:
    """150 flowers of 3 species described by 4 lengths in cm, ordered by species."""
    return _bundled("iris")


@source()
def wine(generator: Draws) -> Examples:
    """178 wines of 3 growers described by 13 chemical measurements, ordered by grower."""
    return _bundled("wine")


@source(features=lambda options: 2)
def moons(generator: Draws, *, examples: Count, noise: NonNegative) -> Examples:
    """Two interleaving half circles of radius 1 with Gaussian noise of standard deviation ``noise``."""
    _require_two_of_each(examples, classes=2)
    labels = np.arange(examples) % 2
    upper, lower = (examples + 1) // 2, examples // 2
    # Along its half circle, the first point of a class at one end and the last at the other.
    along = (np.arange(examples) // 2) / np.where(labels == 0, upper - 1, lower - 1)
    cosine, sine = cosine_and_sine(0.5 * along)
    moons = np.where(labels[:, None] == 0, np.stack([cosine, sine], 1), np.stack([1.0 - cosine, 0.5 - sine], 1))
    return _mixed(generator, moons, labels, noise)


@source(features=lambda options: 2)
def circles(generator: Draws, *, examples: Count, noise: NonNegative) -> Examples:
    """A circle of radius 1 around one of radius 1/2, with Gaussian noise of standard deviation ``noise``."""
    _require_two_of_each(examples, classes=2)
    labels = np.arange(examples) % 2
    outer, inner = (examples + 1) // 2, examples // 2
    points = np.stack(cosine_and_sine((np.arange(examples) // 2) / np.where(labels == 0, outer, inner)), axis=1)
    return _mixed(generator, np.where(labels[:, None] == 0, points, 0.5 * points), labels, noise)


@source(features=lambda options: 2)
def xor(generator: Draws, *, examples: Count, noise: NonNegative) -> Examples:
    """The corners (+-1, +-1) in turn, with Gaussian noise; the label is the product of the corner's signs."""
    _require_two_of_each(examples, classes=2)
    corners = np.array([(1, 1), (-1, 1), (-1, -1), (1, -1)])[np.arange(examples) % 4]
    return _plane(corners + noise * generator.normal(corners.shape), corners.prod(axis=1))


@source(features=lambda options: 2)
def blobs(generator: Draws, *, examples: Count, classes: Classes, noise: NonNegative) -> Examples:
    """One Gaussian of standard deviation ``noise`` for each class.

    The centres form a regular polygon with sides of length 2, so that neighbours overlap alike
    for every number of classes and every seed.
    """
    _require_two_of_each(examples, classes)
    _, half_side = cosine_and_sine(np.array(0.5 / classes))
    centres = np.stack(cosine_and_sine(np.arange(classes) / classes), axis=1) / half_side
    labels = np.arange(examples) % classes
    return _mixed(generator, centres[labels], labels, noise)


@source(features=lambda options: 2)
def spirals(generator: Draws, *, examples: Count, classes: Classes, noise: NonNegative) -> Examples:
    """One spiral arm for each class, with Gaussian noise of standard deviation ``noise``.

    An arm makes one full turn while its radius grows from 0.1 to 1; the arms are turned against each
    other by equal angles (after the two spirals of Lang and Witbrock 1988, which make three turns).
    """
    _require_two_of_each(examples, classes)
    labels = np.arange(examples) % classes
    radius = 0.1 + 0.9 * generator.uniform((examples,))
    arms = radius[:, None] * np.stack(cosine_and_sine(radius + labels / classes), axis=1)
    return _plane(arms + noise * generator.normal(arms.shape), labels)


@source(features=lambda options: len(options["correlations"]))
def whitened(generator: Draws, *, examples: Count, classes: Classes, correlations: tuple[Correlation, ...]) -> Examples:
    """White inputs, X^T X = n, of which feature i knows class i alone, with a chosen correlation.

    Feature i is sqrt(n) times a unit vector over the examples: ``correlations[i]`` times the direction in which class i
    differs from 0, and a random direction that no class shares. With one-hot targets Y the matrix X^T Y / n is then
    diagonal, with singular values correlations[i] / sqrt(classes). That is what the exact learning curves of linear
    networks ask for (Saxe, McClelland and Ganguli 2014).
    """
    features = len(correlations)
    if examples % classes or examples < 2 * classes or examples < classes + features:
        raise InputError(
            f"data.examples: expected a multiple of the {classes} classes, at least"
            f" {max(classes + features, 2 * classes)}, got {examples}"
        )
    if not 1 <= features <= classes:
        raise InputError(f"data.correlations: expected one to {classes} numbers, one for a class, got {features}")
    labels = np.arange(examples) % classes
    indicators = (labels[:, None] == np.arange(classes)) / math.sqrt(examples / classes)
    noise = generator.normal((examples // classes, classes, features))
    # Without the mean of each class, a direction says nothing of the classes.
    directions = orthonormal((noise - mean(noise, 0)).reshape(examples, features))
    shares = np.array(correlations)
    inputs = indicators[:, :features] * shares + directions * np.sqrt(1.0 - shares**2)
    return Examples(math.sqrt(examples) * inputs, labels, tuple(f"x{i}" for i in range(1, features + 1)))


@source(features=lambda options: options["inputs"], is_teacher=True)
def teacher(generator: Draws, *, inputs: Count, units: Teachers, directions: Directions, examples: Count) -> Examples:
    """Gaussian inputs, fresh in every step, labelled by a soft committee machine (Saad and Solla 1995).

    It sums erf(y / sqrt 2) over the projections y of an input on orthonormal vectors: random ones, or the first axes.
    ``examples`` of them are drawn once, for what is measured on examples.
    """
    if units > inputs:
        raise InputError(f"data.units: expected at most the {inputs} of data.inputs, got {units}")
    weights = orthonormal(generator.normal((inputs, units))).T if directions == "random" else np.eye(units, inputs)
    drawn = generator.normal((examples, inputs))
    votes = [2.0 * PRECISE.gaussian_cdf(total(drawn * unit)) - 1.0 for unit in weights]
    names = tuple(f"x{i}" for i in range(1, inputs + 1))
    return Examples(drawn, total(np.array(votes), 0), names, task="regression", teacher=np.ascontiguousarray(weights))


@source(features=lambda options: 1)
def coin(generator: Draws, *, examples: Count, share: Fraction) -> Examples:
    """One input that is always 1; the label is 1 for an exact share of the examples, evenly spread, else 0.

    Under the squared error a network without biases then learns a single number, the share. That is what the exact
    theory of one hidden unit, and of two, asks for (Chen, Kunin, Yamamura and Ganguli 2023).
    """
    ones = round(examples * share)
    if not 1 <= ones < examples:
        raise InputError(f"data.share: expected one that is 1 to {examples - 1} of {examples} examples, got {share:g}")
    labels = np.arange(examples) * ones % examples < ones
    return Examples(np.ones((examples, 1)), labels.astype(np.int64), ("one",))


@source(is_file=True)
def idx(generator: Draws, *, path: str, test_path: str | None) -> Examples:
    """The user's images in MNIST's format: the image file or its folder (see ``read_idx``)."""
    return read_idx(path_of(path), None if test_path is None else path_of(test_path, "data.test_path"))


@source(is_file=True)
def npz(generator: Draws, *, path: str) -> Examples:
    """The user's arrays ``inputs`` and ``labels``, and perhaps ``test_inputs`` and ``test_labels``."""
    return read_npz(path_of(path))


@source(is_file=True)
def parquet(
    generator: Draws, *, path: str, target: Column, test_path: str | None, features: tuple[Column, ...] | None,
    drop: tuple[Column, ...], missing: Missing, categories: Categories, task: Task,
) -> Examples:  # fmt: skip
    """The user's table in a Parquet file; the keys are those of ``csv``."""
    read = partial(read_parquet, target=target)
    return read_tables(read, path, test_path, Use(target, features, drop, missing, categories, task))


@source(is_file=True)
def csv(
    generator: Draws, *, path: str, target: Column, test_path: str | None, features: tuple[Column, ...] | None,
    drop: tuple[Column, ...], separator: str | None, decimal: str | None, header: bool | None, encoding: str | None,
    comment: str | None, missing: Missing, categories: Categories, task: Task,
) -> Examples:  # fmt: skip
    """The user's table; the column ``target`` holds the labels or the quantity (see ``read_table``)."""
    given = Given(separator, decimal, header, encoding, comment)
    read = partial(read_csv, target=target, given=given, as_text=task == "classification")
    return read_tables(read, path, test_path, Use(target, features, drop, missing, categories, task))


def _bundled(name: str) -> Examples:
    """A data set of scikit-learn, with its class names as labels."""
    from sklearn import datasets  # Over a second, which no other data set needs.

    bunch: Any = getattr(datasets, f"load_{name}")()
    return Examples(bunch.data, bunch.target_names[bunch.target], tuple(map(str, bunch.feature_names)))


def _plane(inputs: NDArray[np.float64], labels: NDArray[np.int64]) -> Examples:
    return Examples(inputs, labels, ("x1", "x2"))


def _mixed(generator: Draws, points: NDArray[np.float64], labels: NDArray[np.int64], noise: float) -> Examples:
    """Points with Gaussian noise, in random order."""
    order = generator.permutation(len(points))
    return _plane(points[order] + noise * generator.normal(points.shape), labels[order])


def _require_two_of_each(examples: int, classes: int) -> None:
    if examples < 2 * classes:
        raise InputError(
            f"data.examples: expected at least {2 * classes}, two for each of {classes} classes, got {examples}"
        )
