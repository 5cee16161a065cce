"""From a configuration to tracked runs: compose, train, measure, track.

A suite imports only from those below it (contracts in ``pyproject.toml``); the plan of each is its ``__init__.py``.

- from_python a sweep called from Python; ``symmetry_lab.sweep`` is its public face
- run         the command line
- sweep       all jobs of a multirun: check, resume, launch, summarise
- compose     configurations from YAML and command line; knows Hydra's inside
- tracking    runs and sweeps in MLflow
- executors   where batches of jobs are trained: this process, a pool, Dask, batch systems
- training    gradient descent on a stack of networks at once
- config      the schema of a configuration, and its errors
- measures    what is measured of a network while it trains
- data        data sets, generated or from files
- nn          networks, initialisers, optimisers, losses, chosen arithmetic
- numerics    elementary functions, draws and factorisations with the same bits on every processor
- relocate    command line: mend a store that was moved or copied
- system      processes, signals, memory, files
- addresses   addresses of stores and of their UI; passwords masked
- names       keys of metrics, tags and artifacts
- digest      one hash for a whole sweep
- ranges      ranges of hyperparameters, as annotations
- errors      exceptions that the command line tells in one line
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
    # So many runs travel to a server at once at the most, each by a connection that is kept.
    ("MLFLOW_HTTP_POOL_MAXSIZE", "32"),
    # For a line about each run MLflow would ask the server about the run once more.
    ("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true"),
):
    os.environ.setdefault(_variable, _value)
