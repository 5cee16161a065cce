"""``Runs``: a frame of finished runs that knows their curves and weights, for notebooks and scripts.

Its columns and those of its curves are in ``docs/frames.md``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import numpy as np
import pandas as pd
from mlflow import get_tracking_uri

from analysis.errors import ReportError
from analysis.tracked.artifacts import weights_of
from analysis.tracked.curves import load_curves
from analysis.tracked.load import load_tables
from analysis.tracked.rows import checked_row, row_of
from analysis.tracked.store import CURVE_COLUMNS, open_store, runs_with_ids
from analysis.tracked.tables import FACTS, Tables, Weights
from pipeline.addresses import store_address


class Layer(NamedTuple):
    """The parameters of one layer.

    Attributes:
        weights: (fan_in, fan_out); column j holds the incoming weights of unit j.
        biases: (fan_out,), or None for a network without biases.
    """

    weights: np.ndarray
    biases: np.ndarray | None


class Ends(NamedTuple):
    """The layers of a network before the first step and at the end, the first hidden layer first."""

    initial: tuple[Layer, ...]
    final: tuple[Layer, ...]


class Origin(Protocol):
    """What the rows of a frame were read from."""

    @property
    def curves(self) -> pd.DataFrame:
        """Columns ``run_id``, ``metric``, ``step``, ``value``."""
        ...

    def weights(self, run_id: str) -> Weights:
        """Arrays by name, as in ``Tables.weights``."""
        ...


class Runs(pd.DataFrame):
    """Finished runs: a row each, with its params and the last value of each metric.

    Selections of rows and columns are ``Runs`` too. A run is known by its label in the index, whatever is selected.
    """

    _metadata = ["_origin"]
    _origin: Origin | None = None

    @property
    def _constructor(self) -> type["Runs"]:
        return Runs

    def curves(self, metric: str | None = None) -> pd.DataFrame:
        """The measured values of one metric: a row per run and step, with ``run``, ``step`` and ``value``.

        Args:
            metric: its key, such as ``loss/train``; None for all, with the column ``metric``.

        Raises:
            ReportError: no run has it.
        """
        labels = pd.Series(self.index, index=self._run_ids(), name="run")
        found = self._require_origin().curves
        found = found[found["run_id"].isin(labels.index)]
        if metric is not None and metric not in set(found["metric"]):
            raise ReportError(f"curves: expected one of {', '.join(sorted(set(found['metric'])))}, got {metric!r}")
        if metric is not None:
            found = found[found["metric"] == metric]
        tidy = found.assign(run=found["run_id"].astype(str).map(labels), metric=found["metric"].astype(str))
        columns = ["run", *([] if metric else ["metric"]), "step", "value"]
        return pd.DataFrame(tidy[columns].sort_values(columns[:-1], ignore_index=True))

    def weights(self, run: Any) -> Ends:
        """The initial and the final weights of one run, layer by layer.

        Args:
            run: its label in the index.

        Raises:
            ReportError: there is no such run, or its artifact is missing or broken.
        """
        if run not in self.index:
            raise ReportError(f"weights: expected a run of {self.index[0]} to {self.index[-1]}, got {run!r}")
        arrays = self._require_origin().weights(str(self._run_ids()[self.index.get_loc(run)]))
        return Ends(_layers(arrays, "initial"), _layers(arrays, "final"))

    def tables(self) -> Tables:
        """What claims and figures are made from."""
        origin = self._require_origin()
        return Tables(
            experiment_name="",
            runs=pd.DataFrame(self).reset_index(drop=True),
            curves=origin.curves[origin.curves["run_id"].isin(self._run_ids())].reset_index(drop=True),
            weights=origin.weights,
        )

    def _run_ids(self) -> "pd.Index[str]":
        if "run_id" not in self:
            raise ReportError("runs: expected the column run_id among those selected, by which curves are found")
        return pd.Index(self["run_id"])

    def _require_origin(self) -> Origin:
        if self._origin is None:
            raise ReportError("runs: expected rows selected from one sweep, got a frame put together from several")
        return self._origin


def _layers(arrays: Weights, end: str) -> tuple[Layer, ...]:
    count = sum(name.startswith(f"{end}_weights") for name in arrays)
    return tuple(
        Layer(arrays[f"{end}_weights{layer}"], arrays.get(f"{end}_biases{layer}")) for layer in range(1, count + 1)
    )


@dataclass
class _Stored:
    """Runs in a tracking store, from which curves and weights are read when they are asked for."""

    uri: str
    runs: pd.DataFrame

    @cached_property
    def curves(self) -> pd.DataFrame:
        with open_store(self.uri) as client:
            parents = [client.get_run(parent) for parent in self.runs["parent"].dropna().unique()]
            return load_curves(client, parents, self.runs, [])

    def weights(self, run_id: str) -> Weights:
        with open_store(self.uri) as client:
            return weights_of(client.get_run(run_id), self.uri)


@dataclass
class _Held:
    """Runs in memory."""

    curves: pd.DataFrame
    arrays: Mapping[str, Weights]

    def weights(self, run_id: str) -> Weights:
        return self.arrays[run_id]


def load(experiment_name: str = "symmetry") -> Runs:
    """The finished runs of an experiment in the tracking store, whichever commands have tracked them.

    Raises:
        ReportError: no such experiment, no finished run, or a store that does not answer.
    """
    return _ordered(rows := load_tables(experiment_name).runs, _Stored(store_address(get_tracking_uri()), rows))


def runs_of(run_ids: Sequence[str]) -> Runs:
    """Tracked runs of one experiment, in the order given."""
    with open_store() as client:
        found = {run.info.run_id: run for run in runs_with_ids(client, run_ids)}
    rows = pd.DataFrame([row_of(found[run_id]) for run_id in run_ids])
    return _ordered(rows, _Stored(store_address(get_tracking_uri()), rows))


def runs_held(records: Sequence[Any], arrays: Sequence[Weights]) -> Runs:
    """Runs that no store holds; their fingerprints stand for the ids.

    Args:
        records: ``fingerprint``, ``name``, ``start_time``, ``tags``, ``params`` and ``metrics`` of each: (key, value,
            step), the steps ascending.
        arrays: initial and final weights of each by name.
    """
    rows, points = [], []
    for record in records:
        facts = {"run_id": record.fingerprint, "name": record.name, "start_time": record.start_time}
        last = {key: value for key, value, _ in record.metrics}
        rows.append(checked_row(facts, record.tags, record.params, last))
        points += [(record.fingerprint, key, step, value) for key, value, step in record.metrics]
    curves = pd.DataFrame(points, columns=CURVE_COLUMNS)
    weights = {record.fingerprint: own for record, own in zip(records, arrays, strict=True)}
    return _ordered(pd.DataFrame(rows), _Held(curves, weights))


def _ordered(rows: pd.DataFrame, origin: Origin) -> Runs:
    """The frame with what people look for first: params, then metrics, then facts, each in one order for all sweeps."""
    metrics = sorted(column for column in map(str, rows) if "/" in column)
    params = [column for column in rows if column not in (*FACTS, *metrics)]
    runs = Runs(rows[[*params, *metrics, *(fact for fact in FACTS if fact in rows)]])
    runs._origin = origin
    return runs
