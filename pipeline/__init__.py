"""From a configuration to tracked runs: data, initial parameters, training, measurements, tracking.

The modules form floors; each imports only from floors below it or from its own (``tests/test_architecture.py``):

1. ``errors``, ``ranges``, ``names``, ``addresses``, ``relocate``;
   ``arithmetic``, ``activations``, ``losses``, ``initializers``, ``symmetry``
2. ``network``, ``optimizers``, ``optimum``; ``files``, ``sources``, ``data``
3. ``measurements``, ``training``
4. ``described``, ``config``, ``stacking``, ``composition``, ``sweep``
5. ``environment``, ``views``, ``tracking``, ``summary``
6. ``run``, with ``hydra_plugins`` above it
"""

import os
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
"""The checkout, or the folder that packages are installed in: ``conf`` lies beside the packages."""
__version__ = "0.1.0"
"""Read here and not from the metadata of an installation, which a checkout need not have."""

# Here, because MLflow and libpq read most of this when they are loaded, and worker processes inherit it.
# MLflow reports to its makers; a command of this project speaks with nobody but the store that the user has named.
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
for _variable, _value in (
    # Progress bars would mix with what this project prints; local files need none.
    ("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false"),
    # ``tracking.delivery`` tells of a lost server and tries again; MLflow's own 7 tries are silent for minutes.
    ("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1"),
    ("MLFLOW_HTTP_REQUEST_TIMEOUT", "30"),
    # So would the system's tries to reach a PostgreSQL that does not answer.
    ("PGCONNECT_TIMEOUT", "10"),
    # For a line about each run MLflow would ask the server about the run once more.
    ("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true"),
):
    os.environ.setdefault(_variable, _value)
