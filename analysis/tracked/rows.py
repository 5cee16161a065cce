"""One tracked run as a row of the table of runs, if it is whole: anybody may add runs to a store, and change them."""

import json
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from analysis.errors import ReportError
from pipeline import names

if TYPE_CHECKING:
    from mlflow.entities import Run

PARAMS: dict[str, Any] = {
    "model": str,
    "model.hidden_units": tuple[int, ...],
    "model.activation": str | None,
    "model.bias": bool,
    "model.dropout": float,
    "init": str,
    "data": str,
    "optimizer": str,
    "optimizer.learning_rate": float,
    "training.steps": int,
    "training.batch_size": int | None,
    "training.l2": float,
    "training.loss": str | None,
    "seed": int,
    "arithmetic": str,
    "dtype": str,
}
"""What every run has, and claims and figures ask for."""
OPTIONAL_PARAMS: dict[str, Any] = {
    "data.label_noise": float | None,
    "init.bias_scale": float | None,
    "init.value": float | None,
    "init.scale": float | None,
    "init.gain": float | None,
    "init.epsilon": float | None,
    "init.copies": int | None,
    "optimizer.weight_decay": float | None,
    "optimizer.rate_factors": tuple[float, ...] | None,
}

DISTINCT = 2**15
"""So many values of params are kept for the runs that share them."""


def row_of(run: "Run") -> dict[str, Any]:
    """The facts, params and last metrics of a run in a store, by column (``analysis.tracked.tables.Tables``).

    Raises:
        ReportError: a param, a metric or a tag is missing or not what this project tracks.
    """
    facts = {"run_id": run.info.run_id, "name": run.info.run_name, "start_time": run.info.start_time}
    return checked_row(facts, run.data.tags, run.data.params, run.data.metrics)


def checked_row(
    facts: Mapping[str, Any], tags: Mapping[str, str], texts: Mapping[str, str], last: Mapping[str, float]
) -> dict[str, Any]:
    """What ``row_of`` gives, from plain values; raises likewise.

    Args:
        facts: ``run_id``, ``name`` and ``start_time``.
        texts: the params.
        last: the last value of every metric.
    """
    # Metrics have a slash in their keys and params have none; what was logged by hand may be called as it likes.
    metrics = {key: names.infinite(value) for key, value in last.items() if "/" in key}
    params = {key: _param(key, text) for key, text in texts.items() if "/" not in key}
    for key in [key for key in PARAMS if key not in params]:
        _require(PARAMS[key], key, None)
    if names.LOSS_TRAIN not in metrics:
        raise ReportError(f"no {names.LOSS_TRAIN}")
    diverged_step = _typed(tags.get(names.DIVERGED_STEP_TAG, "null"))
    _require(int | None, names.DIVERGED_STEP_TAG, diverged_step)
    environment = ((key, value) for key, value in tags.items() if key.startswith(("version.", "machine.")))
    return {
        **metrics,
        **params,
        **facts,
        "parent": tags.get(names.PARENT_TAG),
        "fingerprint": tags[names.FINGERPRINT_TAG],
        "diverged": tags.get(names.DIVERGED_TAG) == "true",
        "diverged_step": diverged_step,
        "optimum": tags.get(names.OPTIMUM_TAG),
        "environment": _environment(frozenset(environment)),
        "commit": tags.get("mlflow.source.git.commit", "") + ("*" if tags.get("git.modified") == "true" else ""),
    }


@lru_cache(maxsize=DISTINCT)
def _param(key: str, text: str) -> Any:
    """The value of a param; of many runs with the same one it is one object.

    Raises:
        ReportError: it is not what this project tracks.
    """
    value = _typed(text)
    if kind := PARAMS.get(key, OPTIONAL_PARAMS.get(key)):
        _require(kind, key, value)
    return value


@lru_cache(maxsize=DISTINCT)
def _environment(items: frozenset[tuple[str, str]]) -> dict[str, str]:
    return dict(sorted(items))


def _require(kind: Any, key: str, value: Any) -> None:
    try:
        _adapter(kind).validate_python(value, strict=True)
    except ValidationError as error:
        raise ReportError(f"{key}: {error.errors()[0]['msg'].lower()}, got {value!r:.60}") from None


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _typed(text: str) -> Any:
    """The value of a param; what is no number, list, true, false or null is a text."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return text if isinstance(value, dict) else _hashable(value)


def _hashable(value: Any) -> Any:
    return tuple(map(_hashable, value)) if isinstance(value, list) else value
