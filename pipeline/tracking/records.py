"""The record of one run as plain values: params, metrics, tags and artifacts, as MLflow will hold them."""

import hashlib
import io
import json
import math
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import yaml

from pipeline import names
from pipeline.config.schema import UNTRACKED, Config
from pipeline.executors.batch import Failure
from pipeline.nn.arithmetic import Array
from pipeline.nn.network import Architecture
from pipeline.system.process_identity import this_driver
from pipeline.tracking.tags import environment_tags
from pipeline.training.datasets import digest_of
from pipeline.training.fingerprint import fingerprint
from pipeline.training.stack import RunResult

TAG_LENGTH = 5000
SHOWN = (
    *(names.LOSS_TRAIN, names.LOSS_TEST, names.ACCURACY_TEST, names.RMSE, names.R2),
    *(names.DISTANCE, names.DISTINCT_UNITS),
)
"""The most telling final numbers of a run."""


class Times(NamedTuple):
    """When a run started and ended, in seconds since the epoch."""

    start: float
    end: float


@dataclass(frozen=True)
class Record:
    """One run as MLflow holds it.

    Attributes:
        name: shown in the UI.
        status: FINISHED or FAILED.
        start_time: milliseconds since the epoch.
        end_time: milliseconds since the epoch; also the timestamp of all metrics.
        tags: key -> text.
        params: key -> text.
        metrics: (key, value, step); plain int and float, because MLflow stores a NumPy integer as bytes.
        artifacts: file name -> content.
    """

    name: str
    status: str
    start_time: int
    end_time: int
    tags: dict[str, str]
    params: dict[str, str]
    metrics: list[tuple[str, float, int]]
    artifacts: dict[str, bytes]

    @property
    def fingerprint(self) -> str:
        return self.tags[names.FINGERPRINT_TAG]


def record_of(config: Config, outcome: RunResult | Failure, name: str, parent: str | None, times: Times) -> Record:
    """The record of a run that was trained, diverged or not, or of one that raised.

    Args:
        parent: the run id of the sweep, or None for a run of its own.
    """
    # Whose it is, is told so that a later process knows what a killed one has left.
    tags = environment_tags() | {
        names.FINGERPRINT_TAG: fingerprint(config),
        names.DRIVER_TAG: this_driver(),
        names.NOTE_TAG: _description(config, outcome)[:TAG_LENGTH],
    }
    if config.rerun:
        tags = tags | {names.RERUN_TAG: "true"}
    if parent is not None:
        tags = tags | {names.PARENT_TAG: parent}
    params = config.flattened() | {names.DATA_DIGEST_PARAM: digest_of(config.data)}
    metrics: list[tuple[str, float, int]] = []
    artifacts = {names.CONFIG_FILE: _yaml_of(config)}
    if isinstance(outcome, Failure):
        tags = tags | {names.ERROR_TAG: outcome.cause[:TAG_LENGTH]}
        artifacts[names.TRACEBACK_FILE] = outcome.traceback.encode()
    else:
        metrics = [(key, float(value), int(step)) for key, curve in outcome.curves.items() for step, value in curve]
        weights = named_weights(outcome)
        recorded = outcome.recording.arrays(outcome.architecture) if outcome.recording else {}
        tags = tags | _result_tags(outcome) | {names.DIGEST_TAG: result_digest(metrics, weights | recorded)}
        artifacts[names.WEIGHTS_FILE] = _npz_of(weights)
        if recorded:
            artifacts[names.RECORDED_FILE] = _npz_of(recorded)
    return Record(
        name=name,
        status="FAILED" if isinstance(outcome, Failure) else "FINISHED",
        start_time=int(times.start * 1000),
        end_time=int(times.end * 1000),
        tags=tags,
        params=names.param_texts(params),
        metrics=metrics,
        artifacts=artifacts,
    )


def _description(config: Config, outcome: RunResult | Failure) -> str:
    """What was trained and what came out, for people who come across the run in the MLflow UI."""
    flat = config.flattened()
    return (
        f"{flat['model']} on {flat['data']} from init {flat['init']}, {flat['optimizer']} at learning rate"
        f" {flat['optimizer.learning_rate']:g}, seed {config.seed}: {one_line_of(outcome)}"
    )


def one_line_of(outcome: RunResult | Failure) -> str:
    """The most telling final numbers of a run, or why there are none."""
    if isinstance(outcome, Failure):
        return f"failed: {outcome.cause} (traceback among the run's artifacts)"
    numbers = [f"{key} {outcome.last[key]:.4g}" for key in SHOWN if key in outcome.last]
    if outcome.diverged_at is not None:
        numbers.insert(0, f"diverged at step {outcome.diverged_at}")
    return ", ".join(numbers)


def _result_tags(result: RunResult) -> dict[str, str]:
    tags = {names.DIVERGED_TAG: str(result.diverged_at is not None).lower()}
    if result.diverged_at is not None:
        tags[names.DIVERGED_STEP_TAG] = str(result.diverged_at)
    if result.optimum is not None:
        tags[names.OPTIMUM_TAG] = result.optimum
    return tags


def result_digest(metrics: Iterable[tuple[str, float, int]], arrays: Mapping[str, Array]) -> str:
    """Hash of all numbers of a run, by which ``analysis.audit`` finds what is damaged or missing.

    SHA-256 over the metrics by key and step, each as ``key``, a newline, int64 and float64 little-endian, then over the
    arrays by name, each as ``name shape``, a newline and its float64 elements, row by row. Stores keep neither the sign
    of a zero nor the payload of a NaN, so neither counts.
    """
    digest = hashlib.sha256()
    for key, value, step in sorted(metrics, key=lambda metric: (metric[0], metric[2])):
        digest.update(f"{key}\n".encode() + struct.pack("<qd", step, math.nan if math.isnan(value) else value + 0.0))
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name], "<f8")
        digest.update(f"{name} {array.shape}\n".encode() + array.tobytes())
    return digest.hexdigest()


def named_weights(result: RunResult) -> dict[str, Array]:
    """Initial and final weights (fan_in, fan_out) and biases (fan_out,) of every layer, counted from 1."""
    ends = (("initial", result.initial), ("final", result.final))
    return dict(named for end, parameters in ends for named in _layer_arrays(end, result.architecture, parameters))


def _layer_arrays(end: str, architecture: Architecture, parameters: Array) -> Iterable[tuple[str, Array]]:
    stack_of_one = parameters[None]
    for layer, weights in enumerate(architecture.weights(stack_of_one), start=1):
        yield f"{end}_weights{layer}", weights[0]
    for layer, biases in enumerate(architecture.biases(stack_of_one), start=1):
        yield f"{end}_biases{layer}", biases[0]


def _npz_of(arrays: dict[str, Array]) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def _yaml_of(config: Config) -> bytes:
    # Most groups are the same in all runs of a sweep. As JSON, tuples are lists.
    tracked = {key: values for key, values in config.composed().items() if key not in UNTRACKED}
    return "".join(_yaml_of_group(key, json.dumps(values)) for key, values in tracked.items()).encode()


@lru_cache(maxsize=1024)
def _yaml_of_group(key: str, values: str) -> str:
    # The C dumper takes a tenth of the time.
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    return str(yaml.dump({key: json.loads(values)}, Dumper=dumper, sort_keys=False))
