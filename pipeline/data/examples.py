"""Labelled examples as a source gives them, the registry of sources, and the preparing of tables."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import is_numeric_dtype

from pipeline.errors import InputError, quoted_names

_DATE = re.compile(r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}([T ].*)?|\d{1,2}[-/.]\d{1,2}[-/.](\d{4}|\d{2})( .*)?|\d{4}-\d{2}")
MANY = 20
"""Examples of which most may have a label of their own; different words that may be categories beside numbers."""


class Examples(NamedTuple):
    """Labelled examples as their source gives them, not yet split.

    Attributes:
        inputs: (n, d), finite; or the columns of a table, for ``prepared``: numbers, some missing, and texts.
        labels: (n,), the class of each example, numbers or strings; in regression its quantity.
        feature_names: d names, or those of the table's columns.
        class_names: where labels are 0 .. k-1, the k names of the classes in their order; else empty.
        test: the test part, where it has a source of its own.
        task: ``classification`` or ``regression``.
        fill: the strategy of scikit-learn's ``SimpleImputer`` for missing numbers.
        place: what names the labels in a message, such as a file and its column.
        facts: what was found out while a file was read, for ``description``.
    """

    inputs: NDArray[np.float64] | pd.DataFrame
    labels: NDArray[Any]
    feature_names: tuple[str, ...]
    class_names: tuple[str, ...] = ()
    test: "Examples | None" = None
    task: str = "classification"
    fill: str = "mean"
    place: str = ""
    facts: Mapping[str, Any] = {}

    def first(self, limit: int | None) -> "Examples":
        """The first ``limit`` examples; None for all."""
        return self if limit is None else self._replace(inputs=self.inputs[:limit], labels=self.labels[:limit])

    @property
    def names(self) -> list[str]:
        """The class of each example, in words."""
        return [self.class_names[label] if self.class_names else str(label) for label in self.labels]

    def labels_among(self, classes: tuple[str, ...]) -> NDArray[Any]:
        """The labels of a test part of its own, as numbers of the classes in the training part; quantities as they are.

        Raises:
            InputError: it has another class.
        """
        if not classes:
            return self.labels
        place = {name: number for number, name in enumerate(classes)}
        if unseen := [name for name in self.names if name not in place]:
            raise InputError(
                f"data.test_path: {self.place}: expected classes of the training part, {quoted_names(classes)},"
                f" got {unseen[0]!r}"
            )
        return np.array([place[name] for name in self.names])

    def with_test(self) -> NDArray[np.float64] | pd.DataFrame:
        """The inputs with those of the test part of its own below them."""
        assert self.test is not None
        both = self.inputs, self.test.inputs
        if all(isinstance(inputs, np.ndarray) for inputs in both):
            return np.concatenate(both)
        return pd.concat([pd.DataFrame(inputs, columns=self.feature_names) for inputs in both], ignore_index=True)


SOURCES: dict[str, Callable[..., Examples]] = {}
FILES: set[str] = set()
"""Sources that read files of the user: their digest alone says what is trained on, whatever the format."""
FEATURES: dict[str, Callable[[Mapping[str, Any]], int]] = {}


def source(
    features: Callable[[Mapping[str, Any]], int] | None = None, *, is_file: bool = False
) -> Callable[[Callable[..., Examples]], Callable[..., Examples]]:
    """Registers a source under its function name.

    Args:
        features: the source's own keys -> d, where ``examples`` is one of them: then memory is checked before a draw.
        is_file: whether it reads files of the user.
    """

    def register(function: Callable[..., Examples]) -> Callable[..., Examples]:
        SOURCES[function.__name__] = function
        if is_file:
            FILES.add(function.__name__)
        if features is not None:
            FEATURES[function.__name__] = features
        return function

    return register


def drawn_shape(name: str, options: Mapping[str, Any]) -> tuple[int, int, int] | None:
    """Examples, features and classes of a source that draws its examples, known before it does; None for the others.

    Args:
        name: a key of ``SOURCES``.
        options: the source's own keys.
    """
    if name not in FEATURES:
        return None
    return options["examples"], FEATURES[name](options), options.get("classes", 2)


def numbers_in(words: Sequence[str]) -> NDArray[np.float64] | None:
    """The words as finite numbers; None if a word is anything else, such as Python's 1_000."""
    try:
        numbers = np.array(list(map(float, words)))
    except ValueError:
        return None
    return numbers if np.isfinite(numbers).all() and "_" not in "".join(words) else None


def is_date(word: str) -> bool:
    """Whether a word is a date in figures."""
    return _DATE.fullmatch(word) is not None


def require_classes(place: str, codes: NDArray[np.int64], words: Sequence[str]) -> None:
    """Refuses labels that measure or name each example, though they could be trained on as so many classes.

    Raises:
        InputError: most examples have a label of their own, many different labels have decimals, or are dates.
    """
    different, numbers = len(words), numbers_in(words)
    each_its_own = different > len(codes) / 2
    has_decimals = numbers is not None and bool((numbers % 1).any())
    is_dated = all(map(is_date, words))
    if (
        (each_its_own and len(codes) > MANY)
        or (has_decimals and different > (2 if each_its_own else MANY))
        or (is_dated and different > 2)
    ):
        looks_like = "a date" if is_dated else "a name" if numbers is None else "a quantity"
        way = " or data.task=regression" if numbers is not None else ""
        raise InputError(
            f"{place}: expected classes, each of several examples, got {different} different labels in {len(codes)}"
            f" examples, which looks like {looks_like}: classification needs classes (such as low and high){way}"
        )


class Parts(NamedTuple):
    """The inputs of the training and of the test part as matrices, and the names of their columns."""

    train: NDArray[np.float64]
    test: NDArray[np.float64]
    names: tuple[str, ...]


def prepared(train: pd.DataFrame, test: pd.DataFrame, fill: str) -> Parts:
    """Columns of numbers with what is missing filled in, then one-hot columns of the texts, ``column=category``.

    All of it is fitted on the training part alone. In the test part a category that is not in the training part has no
    column, so all of its columns are 0.

    Args:
        train: columns of numbers, with NaN where missing, and of texts (dtype object).
        test: the same columns.
        fill: ``most_frequent``, else the mean (of texts the most frequent one).

    Raises:
        InputError: the training part has no value in some column.
    """
    texts = [name for name in train if not is_numeric_dtype(train[name].dtype)]
    if not texts and not any(part.isna().to_numpy().any() for part in (train, test)):
        return Parts(train.to_numpy(np.float64), test.to_numpy(np.float64), tuple(map(str, train)))
    # Every command and worker would wait a third of a second for them.
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    for name in train:
        if train[name].isna().all():
            raise InputError(f"data.drop: column {name!r}: expected a value in the training part, got none")
    train, test = (part.astype(dict.fromkeys(texts, object)) for part in (train, test))
    numbers = [name for name in train if name not in texts]
    encoder = OneHotEncoder(
        handle_unknown="ignore", sparse_output=False, feature_name_combiner=lambda name, category: f"{name}={category}"
    )
    columns = ColumnTransformer(
        [
            ("numbers", SimpleImputer(strategy="most_frequent" if fill == "most_frequent" else "mean"), numbers),
            ("texts", make_pipeline(SimpleImputer(strategy="most_frequent"), encoder), texts),
        ],
        verbose_feature_names_out=False,
    )
    matrix = columns.fit_transform(train)
    names = tuple(map(str, columns.get_feature_names_out()))
    empty = np.empty((0, len(names)))
    return Parts(matrix, columns.transform(test) if len(test) else empty, names)
