"""The public names: metric keys, tags and artifact files. Dashboards and scripts depend on them."""

LOSS_TRAIN = "loss/train"
LOSS_TEST = "loss/test"
ACCURACY_TRAIN = "accuracy/train"
ACCURACY_TEST = "accuracy/test"
GRADIENT_NORM = "gradient/norm"
OPTIMUM_GAP = "optimum/gap"
OPTIMUM_DISTANCE = "optimum/distance"
OUTPUT_DELTA_SPREAD = "symmetry/output_delta_spread"
OUTPUT_WEIGHT_SPREAD = "symmetry/output_weight_spread"


def symmetry(measure: str, layer: int = 1) -> str:
    """Key of a hidden layer's measure: ``symmetry/distance`` for layer 1, ``symmetry/layer2/distance`` above."""
    return f"symmetry/{measure}" if layer == 1 else f"symmetry/layer{layer}/{measure}"


DISTANCE = symmetry("distance")
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
DATA_DIGEST_PARAM = "data.digest"

UI_ADDRESS = "http://127.0.0.1:5000"
"""Where a bare ``mlflow ui`` listens."""

CONFIG_FILE = "config.yaml"
WEIGHTS_FILE = "weights.npz"
CURVES_FILE = "curves.parquet"
TRACEBACK_FILE = "traceback.txt"
