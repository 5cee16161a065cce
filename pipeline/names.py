"""The public names: metric keys, params, tags, artifact files, variables. Dashboards and scripts depend on them."""

import json
import os
from collections.abc import Callable, Container, Mapping
from sys import float_info
from typing import Any

from pipeline.errors import InputError

LOSS_TRAIN = "loss/train"
LOSS_TEST = "loss/test"
ACCURACY_TRAIN = "accuracy/train"
ACCURACY_TEST = "accuracy/test"
RMSE = "error/rmse"
R2 = "error/r2"
GRADIENT_NORM = "gradient/norm"
OPTIMUM_GAP = "optimum/gap"
OPTIMUM_DISTANCE = "optimum/distance"
OUTPUT_DELTA_SPREAD = "symmetry/output_delta_spread"
OUTPUT_WEIGHT_SPREAD = "symmetry/output_weight_spread"
FINAL_LOSSES = (LOSS_TEST, LOSS_TRAIN)
"""What sweepers minimise and runs are compared by: the first that there is (without a test part the training loss)."""


def final_loss(metrics: Container[str]) -> str:
    """The one of ``FINAL_LOSSES`` that counts where there are these metrics."""
    return next((key for key in FINAL_LOSSES if key in metrics), LOSS_TRAIN)


def symmetry(measure: str, layer: int = 1) -> str:
    """Key of a hidden layer's measure: ``symmetry/distance`` for layer 1, ``symmetry/layer2/distance`` above."""
    return f"symmetry/{measure}" if layer == 1 else f"symmetry/layer{layer}/{measure}"


def layer_measure(measure: str, layer: int) -> str:
    """Key of an optional measurement of one layer, counted from 1: ``layer1/activation_mean_square``."""
    return f"layer{layer}/{measure}"


def movement(kind: str, layer: int) -> str:
    """Key of how far a layer's ``weights`` or ``biases`` have moved from their start: ``movement/weights1``."""
    return f"movement/{kind}{layer}"


def mode_strength(mode: int) -> str:
    """Key of a singular value of the end-to-end weights, the largest first, counted from 1: ``modes/strength1``."""
    return f"modes/strength{mode}"


def stability(measure: str) -> str:
    """Key of an eigenvalue of the Hessian in the directions that break the symmetry, or its residual."""
    return f"stability/{measure}"


STUDENT, TEACHER = "student", "teacher"


def overlap(one: str, other: str) -> str:
    """Key of the inner product of two units' weights: ``overlap/student1_teacher2``."""
    return f"overlap/{one}_{other}"


def hessian(measure: str) -> str:
    """Key of an eigenvalue of the whole Hessian, or its residual: ``hessian/largest_eigenvalue``."""
    return f"hessian/{measure}"


GENERALIZATION_ERROR = "overlap/generalization_error"
WEIGHT_NORM = "weights/norm"
FREQUENCY_GAP = "predictions/frequency_gap"
MARGIN = "separator/margin"
LARGEST_MARGIN = "separator/largest_margin"
SEPARATOR_ANGLE = "separator/angle"

DISTANCE = symmetry("distance")
DISTANCE_MODULO_SIGN = symmetry("distance_modulo_sign")
INPUT_DISTANCE = symmetry("input_distance")
EFFECTIVE_WIDTH = symmetry("effective_width")
DISTINCT_UNITS = symmetry("distinct_units")

PARENT_TAG = "mlflow.parentRunId"
NOTE_TAG = "mlflow.note.content"
DIVERGED_TAG = "diverged"
DIVERGED_STEP_TAG = "diverged.step"
OPTIMUM_TAG = "optimum"
FINGERPRINT_TAG = "fingerprint"
ERROR_TAG = "error"
SWEEP_TAG = "sweep.jobs"
COMMAND_TAG = "sweep.command"
QUESTION_TAG = "question.name"
ASKS_TAG = "question.asks"
PREDICTS_TAG = "question.predicts"
FOLDER_TAG = "sweep.folder"
DRIVER_TAG = "driver"
RERUN_TAG = "rerun"
DIGEST_TAG = "result.digest"
DATA_DIGEST_PARAM = "data.digest"
RATE = "optimizer.learning_rate"

EXPERIMENT_NAME, EXPERIMENT_ID = "MLFLOW_EXPERIMENT_NAME", "MLFLOW_EXPERIMENT_ID"
"""MLflow's variables of the environment that choose an experiment."""

NAMING_KEYS = ("model", "init", "optimizer.learning_rate", "seed")
"""The configuration keys that tell runs apart where nothing is swept."""

RUNS_VIEW = "runs"
CURVES_VIEW = "curves"
DATABASE_TAG = "mlflow.symmetry.database"
"""Of an experiment: the file of its store, while that is a local one. Tags of MLflow's are not listed in the UI."""
VIEW_TAG_PREFIX = "mlflow.sharedViewState."
"""What the UI looks for among the tags of an experiment."""

CONFIG_FILE = "config.yaml"
WEIGHTS_FILE = "weights.npz"
RECORDED_FILE = "recorded_weights.npz"
CURVES_FILE = "curves.parquet"
JOBS_FILE = "jobs.json"
DATA_FILE = "data.json"
TRACEBACK_FILE = "traceback.txt"

LARGEST_FLOAT = float_info.max


def settle_experiment(name_of: Callable[[str], str]) -> None:
    """Lets the variable of the experiment's name say what that of its id says; an empty variable counts as none.

    Args:
        name_of: asks the store for the name of the experiment with an id.

    Raises:
        InputError: both are there, and name two experiments.
    """
    name, identity = (os.environ.pop(variable, "") for variable in (EXPERIMENT_NAME, EXPERIMENT_ID))
    if identity:
        os.environ[EXPERIMENT_ID] = identity
        found = name_of(identity)
        if name not in ("", found):
            raise InputError(f"{EXPERIMENT_ID}: {identity} is {found!r}, but {EXPERIMENT_NAME} is {name!r}; unset one")
        name = found
    if name:
        os.environ[EXPERIMENT_NAME] = name


def infinite(value: float) -> float:
    """A metric value as it was logged: SQL stores hold infinity as the largest finite number.

    >>> infinite(1.7976931348623157e308), infinite(-1.7976931348623157e308), infinite(0.5)
    (inf, -inf, 0.5)
    """
    return value * 2.0 if abs(value) == LARGEST_FLOAT else value


def view_tag(parent_run_id: str, view: str) -> str:
    """Experiment tag that holds a prepared view of a sweep (``pipeline.tracking.ui_views``).

    >>> view_tag("0123456789abcdef", RUNS_VIEW)
    'mlflow.sharedViewState.sweep-01234567-runs'
    """
    return f"{VIEW_TAG_PREFIX}sweep-{parent_run_id[:8]}-{view}"


def with_dotted_keys(values: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration as plain values, flat: a group's own key holds the name of its option, if it has options."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat |= {key: value["name"]} if "name" in value else {}
            flat |= {f"{key}.{inner_key}": inner for inner_key, inner in value.items() if inner_key != "name"}
        else:
            flat[key] = value
    return flat


def param_texts(flat: Mapping[str, Any]) -> dict[str, str]:
    """Values of a configuration as MLflow takes them: texts, all others as JSON."""
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in flat.items()}
