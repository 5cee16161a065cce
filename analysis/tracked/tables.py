"""What every claim and figure is made from: the tidy tables of one experiment."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pandas as pd

from pipeline import addresses

Weights = dict[str, np.ndarray]
FACTS = (
    *("run_id", "name", "start_time", "parent", "fingerprint"),
    *("diverged", "diverged_step", "optimum", "environment", "commit"),
)
"""Columns of ``Tables.runs`` that are neither params nor metrics."""


class Question(NamedTuple):
    """What a prepared sweep asks.

    Attributes:
        name: that of its module in ``analysis.questions`` and of its file in ``conf/experiment``.
        asks: the question in one sentence.
        predicts: the statement under test.
    """

    name: str
    asks: str
    predicts: str


@dataclass(frozen=True)
class Tables:
    """The tracked runs of one experiment.

    Attributes:
        experiment_name: the MLflow experiment.
        runs: one row per finished run: ``run_id``, ``name``, ``diverged`` (bool), ``diverged_step``, ``optimum``, every
            param under its key (``model``, ``init``, ``optimizer.learning_rate``, ``seed``, ``model.hidden_units`` as a
            tuple, ...) and the last value of every metric under its key (``loss/train``, ``symmetry/distance``, ...).
        curves: one row per run, metric and measured step: ``run_id``, ``metric``, ``step``, ``value``.
        weights: run id -> arrays ``initial_weights1`` (fan_in, fan_out), ``final_weights1``, ``initial_biases1``, ...
        recorded: id of a run that was recorded (``record_weights``) -> arrays ``steps`` (T,), ``weights1`` (T, fan_in,
            fan_out), ``example_deltas1`` (T, units), ...
        experiment_id: its id.
        parent: run id of the newest sweep, or None.
        question: what the newest sweep of a prepared question asks, or None.
        commands: the commands of the sweeps, oldest first.
        digests: command of a sweep -> digest of all its numbers (``pipeline.digest``).
        ui_address: where the MLflow UI shows these runs.
        ui_command: what opens it there, if no server does.
        views: label -> link of the prepared views of the newest sweep in the UI.
        notes: sentences about what is missing or was read another way; the page shows them first.
        features: digest of a data set (param ``data.digest``) -> names of its features, where a sweep has told them.
    """

    experiment_name: str
    runs: pd.DataFrame
    curves: pd.DataFrame
    weights: Callable[[str], Weights]
    recorded: Callable[[str], Weights] = field(default=dict[str, Weights]().__getitem__)
    experiment_id: str = ""
    parent: str | None = None
    question: Question | None = None
    commands: list[str] = field(default_factory=list)
    digests: dict[str, str] = field(default_factory=dict)
    ui_address: str = addresses.UI_ADDRESS
    ui_command: str = "mlflow ui"
    views: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    features: dict[str, list[str]] = field(default_factory=dict)

    def curve(self, metric: str) -> pd.DataFrame:
        """The measured values of one metric joined with the run's params: columns ``step``, ``value`` and those of
        ``runs``."""
        return self.curves[self.curves["metric"] == metric].merge(self.runs, on="run_id")

    def values(self, runs: pd.DataFrame, metrics: Collection[str]) -> pd.DataFrame:
        """The measured values of some metrics in some runs: rows of ``curves``."""
        return self.curves[self.curves["run_id"].isin(runs["run_id"]) & self.curves["metric"].isin(list(metrics))]
