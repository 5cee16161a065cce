"""The data set that runs share: examples of a source, split into a training and a test part.

Conventions:

- Everything random is drawn from ``data.seed``, never from a run's own seed, so that runs of
  different ``seed`` share their data. The source and the split have a generator each, so that the
  split does not depend on how many numbers the source draws.
- ``limit`` keeps the first examples in the source's order, before anything else happens.
- Labels become 0 .. k-1 in the sorted order of the classes among these examples.
- The split is stratified: both parts hold the classes in the same proportions as far as possible.
- Filling in, one-hot encoding and standardisation are fitted on the training part alone: the test part must not shape
  what is trained. A source that has a test part of its own is not split.
- In regression the targets are quantities, standardised as the training part asks for.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.data.examples import Examples, Parts, numbers_in, prepared, standardized
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
        train_labels: (n,) int64 in 0 .. k-1; every class occurs. In regression (n,) float64, of mean 0 and standard
            deviation 1.
        test_inputs: (m, d) float64; m = 0 if there is no test part.
        test_labels: (m,), as ``train_labels``.
        classes: k names; label i means ``classes[i]``. None in regression.
        feature_names: d names.
        digest: the start of a SHA-256, 16 hexadecimal digits, over all that determines a run's result: the
            bytes and shapes of the four arrays and the class names.
        unit: in regression, the standard deviation of the training targets, in their own units; else None.
        facts: what a reader found out about the user's file, as plain values.
        teacher: (units, d), the weights of a committee that labels fresh examples in every training step; else None.
    """

    name: str
    train_inputs: NDArray[np.float64]
    train_labels: NDArray[Any]
    test_inputs: NDArray[np.float64]
    test_labels: NDArray[Any]
    classes: tuple[str, ...]
    feature_names: tuple[str, ...]
    digest: str
    unit: float | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    teacher: NDArray[np.float64] | None = None

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
    examples: Examples = SOURCES[name](source_generator, **options)
    if limit is not None and limit > len(examples.inputs):
        raise InputError(f"data.limit: expected at most the {len(examples.inputs)} examples of {name}, got {limit}")
    examples = examples.first(limit)
    labels, classes = _targets(name, examples, limit)
    if examples.test is not None:
        train_rows, test_rows = np.arange(len(labels)), np.arange(len(labels), len(labels) + len(examples.test.labels))
    elif classes:
        train_rows, test_rows = _stratified_split(labels, classes, test_fraction, split_generator)
    else:
        train_rows, test_rows = _split(len(labels), test_fraction, split_generator)
    inputs = examples.inputs
    if examples.test is not None:
        inputs = examples.with_test()
        labels = np.concatenate([labels, examples.test.labels_among(classes)])
    if isinstance(inputs, pd.DataFrame):
        parts = prepared(inputs.iloc[train_rows], inputs.iloc[test_rows], examples.fill)
    else:
        parts = Parts(inputs[train_rows], inputs[test_rows], examples.feature_names)
    train_inputs, test_inputs, feature_names = parts
    if standardize and examples.teacher is not None:
        raise InputError(
            f"data.standardize: expected false with data={name}, whose fresh inputs are standard, got true"
        )
    if standardize:
        train_inputs, test_inputs = standardized(train_inputs, test_inputs, feature_names)
    labels, unit = (labels, None) if classes else _standardized_targets(examples, labels, train_rows)
    train_inputs, test_inputs = (np.ascontiguousarray(part, np.float64) for part in (train_inputs, test_inputs))
    train_labels, test_labels = (
        np.ascontiguousarray(labels[rows], np.int64 if classes else np.float64) for rows in (train_rows, test_rows)
    )
    arrays = (train_inputs, train_labels, test_inputs, test_labels)
    for array in arrays:
        array.flags.writeable = False
    determining = arrays if examples.teacher is None else (*arrays, examples.teacher)
    digest = _digest(determining, classes, unit)
    return Dataset(name, *arrays, classes, feature_names, digest, unit, examples.facts, examples.teacher)


def _targets(name: str, examples: Examples, limit: int | None) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Labels 0 .. k-1 and the names of their classes; in regression the quantities, and no names."""
    if examples.task == "regression":
        return examples.labels, ()
    values, labels = np.unique(examples.labels, return_inverse=True)
    classes = tuple(examples.class_names[value] if examples.class_names else str(value) for value in values)
    if len(classes) == 1 and limit is not None:
        raise InputError(
            f"data.limit: expected at least two classes among the first {limit} examples of {name}, got only "
            f"{classes[0]!r} (the rows may be ordered by class: raise data.limit or set it to null)"
        )
    if len(classes) == 1:
        place = f"data.target: {examples.place}: " if examples.class_names else "data.name: "
        raise InputError(f"{place}expected at least two classes in {name}, got only {classes[0]!r}")
    return labels, classes


def _if_quantity(classes: tuple[str, ...]) -> str:
    return "; of a quantity, say data.task=regression" if len(classes) > 2 and numbers_in(classes) is not None else ""


def _split(count: int, test_fraction: float, generator: Draws) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The rows of the training part and those of the test part, of examples without classes."""
    rows, test_count = np.arange(count), round(test_fraction * count)
    if test_fraction == 0:
        return rows, rows[:0]
    if min(test_count, count - test_count) < 2:
        raise InputError(
            f"data.test_fraction: expected at least two examples in each part, got {test_count} of {count} in the test"
            f" part with {test_fraction}"
        )
    order = generator.permutation(count)
    return order[test_count:], order[:test_count]


def _standardized_targets(
    examples: Examples, targets: NDArray[np.float64], train_rows: NDArray[np.int64]
) -> tuple[NDArray[np.float64], float]:
    """Targets of mean 0 and standard deviation 1 in the training part, and what that deviation was.

    Those of a teacher stay as they are, for it labels fresh examples too.
    """
    if examples.teacher is not None:
        return targets, 1.0
    train = targets[train_rows]
    centre = float(mean(train))
    unit = math.sqrt(mean((train - centre) ** 2))
    if train.min() == train.max() or not np.isfinite(unit) or unit == 0:
        got = f"only {train[0]:g}" if train.min() == train.max() else "numbers whose squares do not fit into float64"
        raise InputError(f"data.target: {examples.place}: expected a quantity that varies, got {got}")
    return (targets - centre) / unit, unit


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
        rare = "data.test_fraction: expected at least two examples of each class to split (or 0, no test part)"
        raise InputError(f"{rare}, but {members}{_if_quantity(classes)}")
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


def _digest(arrays: tuple[NDArray[Any], ...], classes: tuple[str, ...], unit: float | None) -> str:
    """The digest of a Dataset; shapes and class names go in too, because equal bytes can be cut up differently."""
    described = [classes, [array.shape for array in arrays], *([] if unit is None else [unit])]
    digest = hashlib.sha256(json.dumps(described).encode())
    for array in arrays:
        digest.update(array.tobytes())
    return digest.hexdigest()[:16]
