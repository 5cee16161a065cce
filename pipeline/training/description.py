"""What was read: the description of a data set, stored with its sweep, and its one line for the log."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.config.schema import Config
from pipeline.data.dataset import Dataset
from pipeline.training.datasets import dataset_of, digest_of

MOST_SHOWN = 6


def described_data(configs: Sequence[Config]) -> list[dict[str, Any]]:
    """The description of each data set of these configurations once, as plain values."""
    different = {digest_of(config.data): config.data for config in configs}
    return [description(dataset_of(data)) for data in different.values()]


def description(dataset: Dataset) -> dict[str, Any]:
    """Sizes, names of the features, classes with their counts, and what was found out about the user's file."""
    labels = np.concatenate([dataset.train_labels, dataset.test_labels])
    counts = np.bincount(labels, minlength=len(dataset.classes)).tolist() if dataset.classes else []
    return {
        "name": dataset.name,
        "digest": dataset.digest,
        "training": len(dataset.train_labels),
        "test": len(dataset.test_labels),
        "features": list(dataset.feature_names),
        "classes": dict(zip(dataset.classes, counts, strict=True)),
        "unit": dataset.unit,
        **dataset.facts,
    }


def in_words(data: Mapping[str, Any]) -> str:
    """One line of a description: dialect, rows, columns by kind, what was left out, filled in or encoded, classes.

    >>> in_words({"name": "wine", "training": 142, "test": 36, "features": ["ash"], "classes": {"a": 90, "b": 88}})
    'Data wine: 142 training and 36 test examples, 1 column; classes: a 90, b 88'
    """
    file, read = data.get("file"), data.get("read")
    place = f"{data['name']} {Path(file).name} ({read})" if file else data["name"]
    columns = len(data["features"])
    kinds = ", ".join(f"{len(names)} {kind}{'s' * (len(names) > 1)}" for kind, names in data.get("kinds", {}).items())
    parts = [
        f"{data['training']} training and {data['test']} test examples, {columns} column{'s' if columns > 1 else ''}"
        + (f" from {kinds}" if kinds else "")
    ]
    if encoded := data.get("encoded"):
        parts.append(f"one-hot: {_shown([f'{name} {count}' for name, count in encoded.items()])}")
    if filled := data.get("filled"):
        parts.append(f"filled in ({data['fill']}): {_shown([f'{name} {count}' for name, count in filled.items()])}")
    if data.get("rows_dropped"):
        rows = "1 row" if data["rows_dropped"] == 1 else f"{data['rows_dropped']} rows"
        parts.append(f"{rows} left out, in which a value is missing")
    says = ("columns_left_out", "columns left out"), ("constant", "constant"), ("row_numbers", "trained on row numbers")
    for key, words in says:
        if data.get(key):
            parts.append(f"{words}: {_shown(data[key])}")
    if data.get("test_file"):
        parts.append(f"the test part is {Path(data['test_file']).name}")
    if data.get("unit") is not None:
        parts.append(f"target {data['target']}, standard deviation {data['unit']:.4g}")
    else:
        of = f" of {data['target']}" if data.get("target") else ""
        parts.append(f"classes{of}: {_shown([f'{name} {count}' for name, count in data['classes'].items()])}")
    return f"Data {place}: {'; '.join(parts)}"


def _shown(texts: Sequence[str]) -> str:
    more = len(texts) - MOST_SHOWN
    return ", ".join(texts if more <= 0 else [*texts[:MOST_SHOWN], f"and {more} more"])
