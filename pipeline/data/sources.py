"""The registry of data sets: one function for each option of the group ``data``, and the shape it will have.

A source takes a generator, from which all its randomness comes, and keyword-only parameters. These
parameters are the keys that the user may set, and their annotations are the allowed ranges: the
signature is the specification. Default values live in ``conf/data/`` alone.

The examples of the synthetic sources come in mixed order, so that the first of them hold every class.
"""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from annotated_types import Ge, Le
from numpy.typing import NDArray
from sklearn import datasets

from pipeline.data.csv_file import read_csv
from pipeline.data.examples import Examples
from pipeline.data.idx_file import read_idx
from pipeline.errors import InputError
from pipeline.numerics.angles import cosine_and_sine
from pipeline.numerics.draws import Draws
from pipeline.numerics.orthogonal import orthonormal
from pipeline.numerics.sums import mean
from pipeline.ranges import Count, NonNegative, Number, Whole

__all__ = ["SOURCES", "Examples"]

Classes = Annotated[Whole, Ge(2)]
Correlation = Annotated[Number, Ge(0), Le(1)]
SOURCES: dict[str, Callable[..., Examples]] = {}
_FEATURES: dict[str, Callable[[Mapping[str, Any]], int]] = {}


def source(
    features: Callable[[Mapping[str, Any]], int] | None = None,
) -> Callable[[Callable[..., Examples]], Callable[..., Examples]]:
    """Registers a source under its function name.

    Args:
        features: the source's own keys -> d, where ``examples`` is one of them: then memory is checked before a draw.
    """

    def register(function: Callable[..., Examples]) -> Callable[..., Examples]:
        SOURCES[function.__name__] = function
        if features is not None:
            _FEATURES[function.__name__] = features
        return function

    return register


@source()
def digits(generator: Draws) -> Examples:
    """1797 handwritten digits of 8 x 8 pixels in 10 classes; pixels in [0, 1] on a grid of 1/16."""
    inputs, labels, feature_names = _bundled(datasets.load_digits())
    return Examples(inputs / 16, labels, feature_names)


@source()
def breast_cancer(generator: Draws) -> Examples:
    """569 tumours described by 30 measurements of cell nuclei, benign or malignant."""
    return _bundled(datasets.load_breast_cancer())


@source()
def iris(generator: Draws) -> Examples:
    """150 flowers of 3 species described by 4 lengths in cm, ordered by species."""
    return _bundled(datasets.load_iris())


@source()
def wine(generator: Draws) -> Examples:
    """178 wines of 3 growers described by 13 chemical measurements, ordered by grower."""
    return _bundled(datasets.load_wine())


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


@source()
def idx(generator: Draws, *, path: str) -> Examples:
    """The user's images in MNIST's format: the image file or its folder (see ``read_idx``)."""
    return read_idx(_file_path(path))


@source()
def csv(generator: Draws, *, path: str, target: str) -> Examples:
    """The user's table with a header; the column ``target`` holds the labels (see ``read_csv``)."""
    return read_csv(_file_path(path), target)


def drawn_shape(name: str, options: Mapping[str, Any]) -> tuple[int, int, int] | None:
    """Examples, features and classes of a source that draws its examples, known before it does; None for the others.

    Args:
        name: a key of ``SOURCES``.
        options: the source's own keys.
    """
    if name not in _FEATURES:
        return None
    return options["examples"], _FEATURES[name](options), options.get("classes", 2)


def _bundled(bunch: Any) -> Examples:
    """A data set of scikit-learn, with its class names as labels."""
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


def _file_path(path: str) -> Path:
    # The shell leaves the ~ in `data.path=~/file` to the program.
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise InputError(f"data.path: {path}: expected a user with a home folder after ~, got: {error}") from error
