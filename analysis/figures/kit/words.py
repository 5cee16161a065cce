"""Labels of runs (which params differ) and of final metrics, for all figures."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.figures.kit.style import schemes_in
from analysis.wording import has_squared_error, natural_order
from pipeline import names

OPTIONS = ("model", "init", "data", "optimizer", "arithmetic", "dtype")
"""Params that hold the name of a chosen option; a label shows it without its key."""
FAMILIES = (*OPTIONS, "training", "seed")
"""First parts of all params' keys."""
FINAL = {"loss": (names.LOSS_TEST, names.LOSS_TRAIN), "accuracy": (names.ACCURACY_TEST, names.ACCURACY_TRAIN)}


def param_texts(runs: pd.DataFrame) -> pd.DataFrame:
    """All params as text: the chosen options first, then their keys by name.

    The digest of the data comes last: it follows from the others unless a data file has changed.
    """
    keys = [key for key in map(str, runs) if key.partition(".")[0] in FAMILIES]
    keys.sort(key=lambda key: (key == names.DATA_DIGEST_PARAM, key not in OPTIONS, key))
    return runs[keys].map(_text)


def _text(value: Any) -> str:
    """A param's value; numbers that are equal have equal texts (a column with gaps turns 64 into 64.0)."""
    if isinstance(value, tuple):
        return "x".join("random" if part is None else str(part) for part in value) or "none"
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "none"
    if isinstance(value, (bool, np.bool_)):
        return str(value).lower()
    return repr(float(value)).removesuffix(".0") if isinstance(value, float) else str(value)


def distinguishing(texts: pd.DataFrame, within: Sequence[str], candidates: Sequence[str]) -> list[str]:
    """The candidate params in which runs differ that agree in ``within`` and in the candidates already taken."""
    taken: list[str] = []
    for key in (key for key in candidates if texts[key].nunique() > 1):
        if (texts.groupby([*within, *taken])[key].nunique() > 1).any():
            taken.append(key)
    return taken


def labelled(texts: pd.DataFrame, keys: Sequence[str]) -> pd.Series:
    """One label a run, such as ``perturbed, epsilon=0.1``: an ordered categorical.

    Initialisations are in the order of the palette, numbers in their own.
    """
    different = texts[list(keys)].drop_duplicates()
    order = {scheme: rank for rank, scheme in enumerate(schemes_in(texts["init"]))}
    ranked = sorted(
        different.itertuples(index=False, name=None),
        key=lambda row: [
            (order[text],) if key == "init" else natural_order(text) for key, text in zip(keys, row, strict=True)
        ],
    )
    label_of = {row: _label(keys, row) for row in ranked}
    labels = [label_of[row] for row in texts[list(keys)].itertuples(index=False, name=None)]
    categories = list(dict.fromkeys(label_of.values()))
    return pd.Series(pd.Categorical(labels, categories, ordered=True), index=texts.index)


def _label(keys: Sequence[str], row: Sequence[str]) -> str:
    # A key of another option ("none") says nothing about this one.
    shown = [(key, text) for key, text in zip(keys, row, strict=True) if text != "none" or key.startswith("training.")]
    return ", ".join(text if key in OPTIONS else f"{key.rpartition('.')[2]}={text}" for key, text in shown)


def own_and_shared(texts: pd.DataFrame) -> tuple[list[str], list[str]]:
    """The params that belong to an initialisation, and those in which the runs of a pair agree."""
    keys = [str(key) for key in texts if key != "init"]
    own = [key for key in keys if key.startswith("init.")]
    return own, [key for key in keys if key not in own]


def start_labels(texts: pd.DataFrame) -> pd.Series:
    """The start of each run: its initialisation, with those of its numbers in which the runs of a model differ."""
    own, _ = own_and_shared(texts)
    return labelled(texts, ["init", *distinguishing(texts, ["model", "init"], own)])


def final_metric(runs: pd.DataFrame, quantity: str) -> str | None:
    """Key of the final loss or accuracy: of the test part where every run has one, else of the training part."""
    trained = runs[~runs["diverged"]]
    found = [key for key in FINAL[quantity] if key in runs and runs[key].notna().any()]
    return next((key for key in found if trained[key].notna().all()), found[0] if found else None)


def usable(runs: pd.DataFrame, metric: str) -> "pd.Series[bool]":
    """Whether a run counts: it did not diverge, and its final value is a finite number."""
    return ~runs["diverged"] & np.isfinite(runs[metric].astype(float))


def part_of(metric: str) -> str:
    """``test`` or ``training``: the part of the data that a metric was measured on."""
    return {"test": "test", "train": "training"}[metric.rpartition("/")[2]]


def loss_label(runs: pd.DataFrame, metric: str) -> str:
    """What a loss is called on an axis, with its unit."""
    return f"{part_of(metric)} loss{loss_unit(runs)}"


def loss_unit(runs: pd.DataFrame) -> str:
    """The unit behind a label; empty where not all losses are cross-entropies, which alone have one."""
    return "" if has_squared_error(runs).any() else " [nats]"


def literal(text: object) -> str:
    r"""The text as Matplotlib shows it unchanged: a dollar sign would start a formula.

    >>> literal("a$b")
    'a\\$b'
    """
    return str(text).replace("$", r"\$")
