"""The data set that runs share: examples of a source, split into a training and a test part.

Conventions:

- Everything random is drawn from ``data.seed``, never from a run's own seed, so that runs of
  different ``seed`` share their data. The source and the split have a generator each, so that the
  split does not depend on how many numbers the source draws.
- ``limit`` keeps the first examples in the source's order, before anything else happens.
- Labels become 0 .. k-1 in the sorted order of the classes among these examples.
- The split is stratified: both parts hold the classes in the same proportions as far as possible.
- Standardisation is fitted on the training part alone: the test part must not shape what is trained.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.data.sources import SOURCES
from pipeline.errors import InputError
from pipeline.numerics.draws import Draws
from pipeline.numerics.sums import mean


@dataclass(frozen=True, eq=False)
class Dataset:
    """A training and a test part with d features and k classes; all arrays are C-contiguous and read-only.

    Attributes:
        name: the option of the group ``data``.
        train_inputs: (n, d) float64.
        train_labels: (n,) int64 in 0 .. k-1; every class occurs.
        test_inputs: (m, d) float64; m = 0 if there is no test part.
        test_labels: (m,) int64 in 0 .. k-1.
        classes: k names; label i means ``classes[i]``.
        feature_names: d names.
        digest: the start of a SHA-256, 16 hexadecimal digits, over all that determines a run's result: the
            bytes and shapes of the four arrays and the class names.
    """

    name: str
    train_inputs: NDArray[np.float64]
    train_labels: NDArray[np.int64]
    test_inputs: NDArray[np.float64]
    test_labels: NDArray[np.int64]
    classes: tuple[str, ...]
    feature_names: tuple[str, ...]
    digest: str

    @property
    def size(self) -> int:
        """Bytes of its arrays."""
        arrays = (self.train_inputs, self.train_labels, self.test_inputs, self.test_labels)
        return sum(array.nbytes for array in arrays)


def load_dataset(
    name: str,
    options: Mapping[str, object],
    *,
    test_fraction: float,
    seed: int,
    standardize: bool,
    limit: int | None,
) -> Dataset:
    """The data set ``name``, drawn, cut to ``limit``, split and standardised as the module says.

    Args:
        name: a key of ``SOURCES``.
        options: the source's own keys, already checked against its signature.
        test_fraction: the share of the examples in the test part, in [0, 1). The part's size is rounded to a
            whole number. With 0, all examples are training examples, in the source's order.
        seed: of the source's draws and of the split, at least 0.
        standardize: whether to subtract the mean of each feature and divide by its standard deviation (that
            of the population). A feature that is constant in the training part is divided by 1.
        limit: how many examples to keep; None keeps all.

    Raises:
        InputError: the examples cannot be read, cut, split or standardised as asked; starts with the key.
    """
    if name not in SOURCES:
        raise InputError(f"data.name: expected one of {', '.join(SOURCES)}, got {name}")
    source_generator, split_generator = Draws.spawned(seed, 2)
    inputs, raw_labels, feature_names = SOURCES[name](source_generator, **options)
    if limit is not None and limit > len(inputs):
        raise InputError(f"data.limit: expected at most the {len(inputs)} examples of {name}, got {limit}")
    inputs = inputs[:limit]
    values, labels = np.unique(raw_labels[:limit], return_inverse=True)
    classes = tuple(map(str, values))
    if len(classes) == 1 and limit is not None:
        raise InputError(
            f"data.limit: expected at least two classes among the first {limit} examples of {name}, got only "
            f"{classes[0]!r} (the rows may be ordered by class: raise data.limit or set it to null)"
        )
    if len(classes) == 1:
        raise InputError(f"data.name: expected at least two classes in {name}, got only {classes[0]!r}")
    train_rows, test_rows = _stratified_split(labels, classes, test_fraction, split_generator)
    train_inputs, test_inputs = inputs[train_rows], inputs[test_rows]
    if standardize:
        train_inputs, test_inputs = _standardized(train_inputs, test_inputs, feature_names)
    train_inputs, test_inputs = (np.ascontiguousarray(part, np.float64) for part in (train_inputs, test_inputs))
    train_labels, test_labels = (np.ascontiguousarray(labels[rows], np.int64) for rows in (train_rows, test_rows))
    arrays = (train_inputs, train_labels, test_inputs, test_labels)
    for array in arrays:
        array.flags.writeable = False
    return Dataset(name, *arrays, classes, feature_names, _digest(arrays, classes))


def _stratified_split(
    labels: NDArray[np.int64], classes: tuple[str, ...], test_fraction: float, generator: Draws
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The rows of the training part and those of the test part."""
    rows = np.arange(len(labels))
    if test_fraction == 0:
        return rows, rows[:0]
    counts = np.bincount(labels)
    rarest = int(counts.argmin())
    members = f"class {classes[rarest]!r} has {counts[rarest]} of {len(rows)} examples"
    if counts[rarest] < 2:
        raise InputError(f"data.test_fraction: expected at least two examples of each class to split, but {members}")
    test_count = round(test_fraction * len(rows))
    for part, count in (("test", test_count), ("training", len(rows) - test_count)):
        if count < len(classes):
            raise InputError(
                f"data.test_fraction: expected a {part} part of at least {len(classes)} examples, one for each class, "
                f"got {count} of {len(rows)} with {test_fraction}"
            )
    # Of the rows in random order, the first of each class are for the test.
    order = generator.permutation(len(rows))
    rank = np.empty_like(rows)
    for label in range(len(classes)):
        rank[labels[order] == label] = np.arange(counts[label])
    is_test = rank < _shares(test_count, counts)[labels[order]]
    train_rows, test_rows = order[~is_test], order[is_test]
    # The proportions of a rare class can round to nothing.
    if len(np.unique(labels[train_rows])) < len(classes):
        raise InputError(
            f"data.test_fraction: expected every class in the training part, but {members}, got {test_fraction}"
        )
    return train_rows, test_rows


def _shares(total: int, counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """The total shared out in proportion to the counts; the largest remainders are rounded up (Hamilton's method)."""
    shares, remainders = np.divmod(total * counts, counts.sum())
    shares[np.argsort(-remainders, kind="stable")[: total - shares.sum()]] += 1
    return np.asarray(shares)


def _standardized(
    train_inputs: NDArray[np.float64], test_inputs: NDArray[np.float64], feature_names: tuple[str, ...]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Both parts, shifted and scaled so that each feature has mean 0 and standard deviation 1 in the training part."""
    with np.errstate(over="ignore", invalid="ignore"):
        centre = mean(train_inputs, 0)
        scale = np.sqrt(mean((train_inputs - centre) ** 2, 0))
        # The mean of equal numbers can differ from them in the last place: a spread that is only rounding.
        constant = train_inputs.min(axis=0) == train_inputs.max(axis=0)
        centre = np.where(constant, train_inputs[0], centre)
        # A spread far below the smallest float squares to 0 too.
        scale = np.where(constant | (scale == 0), 1, scale)
        train_inputs, test_inputs = (train_inputs - centre) / scale, (test_inputs - centre) / scale
    finite = np.isfinite(train_inputs).all(axis=0) & np.isfinite(test_inputs).all(axis=0) & np.isfinite(scale)
    if not finite.all():
        feature = feature_names[int(finite.argmin())]
        raise InputError(
            f"data.standardize: expected features whose squares fit into float64, got larger numbers in {feature!r}"
        )
    return train_inputs, test_inputs


def _digest(arrays: tuple[NDArray[np.float64] | NDArray[np.int64], ...], classes: tuple[str, ...]) -> str:
    """The digest of a Dataset; shapes and class names go in too, because equal bytes can be cut up differently."""
    digest = hashlib.sha256(json.dumps([classes, [array.shape for array in arrays]]).encode())
    for array in arrays:
        digest.update(array.tobytes())
    return digest.hexdigest()[:16]
