"""Reads the tracking store through MLflow's public API: a local database or a tracking server."""

import json
import os
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from difflib import get_close_matches
from pathlib import Path
from zipfile import is_zipfile

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from mlflow import MlflowClient, get_tracking_uri
from mlflow.artifacts import download_artifacts
from mlflow.entities import Experiment, Run
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from analysis.errors import ReportError
from analysis.tracked.tables import Weights
from analysis.wording import SWEEP
from pipeline import names
from pipeline.addresses import database_path, masked, masked_address, require_reachable, store_address
from pipeline.errors import InputError
from pipeline.relocate import require_in_place

PAGE = 250
NO_SUCH = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
"""How stores answer to the id of no experiment."""
CURVE_COLUMNS = ["run_id", "metric", "step", "value"]
NEXT_STEP = f"train some with: {SWEEP}"
PREPARED = sorted(path.stem for path in (Path(__file__).parents[2] / "conf" / "experiment").glob("*.yaml"))
"""Experiments with a sweep of their own."""


@contextmanager
def open_store(tracking_uri: str | None = None, experiment_name: str = "") -> Iterator[MlflowClient]:
    """A client of the store; what goes wrong with it becomes a ``ReportError`` in one line.

    Args:
        tracking_uri: the store; None for the one that MLflow is set to.
        experiment_name: what is to be read; a store without runs is told with the command that makes some.
    """
    uri = tracking_uri or get_tracking_uri()
    try:
        _require_database(uri, experiment_name)
        require_reachable(uri)
        yield MlflowClient(store_address(uri))
    except InputError as error:
        raise ReportError(str(error)) from None
    except (MlflowException, SQLAlchemyError, ImportError, OSError) as error:
        remedy = "; start the server, or correct the address" if uri.startswith("http") else ""
        line = f"MLFLOW_TRACKING_URI: cannot read {masked_address(uri)}: {first_line(error, uri)}{remedy}"
        raise ReportError(line) from None


def first_line(error: BaseException, *addresses: str) -> str:
    """The message of an error from one of MLflow's many stores, in one line of moderate length, without secrets.

    Args:
        addresses: of other stores than the one that MLflow is set to.
    """
    return masked((str(error) or type(error).__name__).splitlines()[0], get_tracking_uri(), *addresses)[:240]


def _require_database(uri: str, experiment_name: str) -> None:
    """Reading must not create a database, nor put MLflow's tables into one of another program, as MLflow would."""
    path = database_path(uri)
    if path is None:
        return
    if not path.exists() or (path.is_file() and path.stat().st_size == 0):
        missing = "is empty" if path.exists() else "does not exist"
        raise ReportError(
            f"no tracked runs here: {path} {missing}; {next_step(experiment_name)} (or change the folder, or set"
            " MLFLOW_TRACKING_URI)"
        )
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.Error as error:
        reason = "it is a folder" if path.is_dir() else first_line(error)
        raise ReportError(f"MLFLOW_TRACKING_URI: cannot read {path} as a database of MLflow: {reason}") from None
    require_in_place(path)


def chosen_experiment() -> str:
    """The experiment that the environment chooses, or the default one.

    Raises:
        ReportError: it chooses one that does not exist, or the store does not answer.
    """

    def name_of(experiment_id: str) -> str:
        with open_store() as client:
            try:
                return str(client.get_experiment(experiment_id).name)
            except MlflowException as error:
                if error.error_code not in NO_SUCH:
                    raise
                raise ReportError(f"{names.EXPERIMENT_ID}: no experiment {experiment_id!r} here") from None

    try:
        names.settle_experiment(name_of)
    except InputError as error:
        raise ReportError(str(error)) from None
    return os.environ.get(names.EXPERIMENT_NAME, "symmetry")


def experiment_named(client: MlflowClient, name: str) -> Experiment:
    """The experiment of that name.

    Raises:
        ReportError: there is none.
    """
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        existing = sorted(found.name for found in client.search_experiments())
        if name in PREPARED:
            raise ReportError(f"--experiment: {name!r} has not been run yet; {next_step(name)}")
        near = get_close_matches(name, [*existing, *PREPARED], 1)
        hint = f"did you mean {near[0]!r}; " if near else ""
        raise ReportError(
            f"--experiment: no experiment {name!r} here; {hint}there are: {', '.join(existing) or 'none'}"
        )
    return experiment


def next_step(name: str) -> str:
    """What makes runs for the report of an experiment."""
    return f"{NEXT_STEP} experiment={name}" if name in PREPARED else NEXT_STEP


def all_runs(client: MlflowClient, experiment_id: str) -> Iterator[Run]:
    """All runs of an experiment that are not deleted, of any status."""
    token = None
    while True:
        page = client.search_runs([experiment_id], max_results=PAGE, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def runs_with_ids(client: MlflowClient, run_ids: Sequence[str]) -> Iterator[Run]:
    """Runs of one experiment, in any order."""
    for start in range(0, len(run_ids), PAGE):
        listed = ", ".join(f"'{run_id}'" for run_id in run_ids[start : start + PAGE])
        experiment = client.get_run(run_ids[start]).info.experiment_id
        yield from client.search_runs([experiment], f"attributes.run_id IN ({listed})", max_results=PAGE)


def curves_artifact(client: MlflowClient, parent: str) -> list[pd.DataFrame]:
    """The curves of all runs of a sweep in parts, from its artifact; it raises as the store does where there is none.

    Run ids and metrics are categories: as texts they would be four fifths of the table.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = client.download_artifacts(parent, names.CURVES_FILE, folder)
        try:
            with pq.ParquetFile(path, read_dictionary=CURVE_COLUMNS[:2], pre_buffer=False) as file:
                groups = (file.read_row_group(group, CURVE_COLUMNS) for group in range(file.num_row_groups))
                return [_curves(group.to_pandas()) for group in groups]
        except (ValueError, TypeError, KeyError, OSError):  # PyArrow's message would name the temporary folder.
            raise ReportError("it is no table of curves") from None


def _curves(table: pd.DataFrame) -> pd.DataFrame:
    kinds = ("category", "category", "int64", "float64")
    return table[CURVE_COLUMNS].astype(dict(zip(CURVE_COLUMNS, kinds, strict=True)))


def history_of(client: MlflowClient, run_id: str, metrics: list[str]) -> pd.DataFrame:
    """The curves of one run from the store, a call for each metric."""
    points = [
        (run_id, metric, point.step, names.infinite(point.value))
        for metric in metrics
        for point in client.get_metric_history(run_id, metric)
    ]
    return _curves(pd.DataFrame(points, columns=CURVE_COLUMNS))


def jobs_of(client: MlflowClient, parent: str) -> set[str]:
    """Fingerprints of the jobs of a sweep, from the list that it leaves before it trains; raises as the store does."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(client.download_artifacts(parent, names.JOBS_FILE, folder))
        return set(json.loads(path.read_text(encoding="utf-8"))["fingerprints"])


def features_of(client: MlflowClient, parent: str) -> dict[str, list[str]]:
    """Digest of a data set -> names of its features, as its sweep has described it; none of a sweep that has not."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            path = Path(client.download_artifacts(parent, names.DATA_FILE, folder))
            return {data["digest"]: data["features"] for data in json.loads(path.read_text(encoding="utf-8"))}
        except Exception:  # Missing, torn, a server's refusal: each store raises its own types. Figures do without.
            return {}


@contextmanager
def artifacts_of(client: MlflowClient, run: Run) -> Iterator[Path]:
    """A folder with all artifacts of one run; a ninth of the time of naming them to the client one by one.

    Raises:
        ReportError: they cannot be fetched.
    """
    with tempfile.TemporaryDirectory() as folder:
        try:
            path = download_artifacts(
                artifact_uri=run.info.artifact_uri, dst_path=folder, tracking_uri=client.tracking_uri
            )
        except Exception as error:  # Each store raises its own types.
            raise ReportError(f"cannot fetch the artifacts of run {run.info.run_id}: {first_line(error)}") from None
        yield Path(path)


def weights_of(run: Run, tracking_uri: str, file: str = names.WEIGHTS_FILE) -> Weights:
    """Initial and final weights of one run, or its recording; where its artifacts are files, without asking the store.

    Raises:
        ReportError: the artifact is missing or broken.
    """
    with tempfile.TemporaryDirectory() as folder:
        try:
            address = f"{run.info.artifact_uri}/{file}"
            path = Path(download_artifacts(artifact_uri=address, dst_path=folder, tracking_uri=tracking_uri))
        except Exception as error:  # As above.
            raise ReportError(f"cannot read {file} of run {run.info.run_id}: {first_line(error)}") from None
        return weights_in(path, run.info.run_id)


def weights_in(path: Path, run_id: str) -> Weights:
    """The weights in a file; raises as ``weights_of``."""
    try:
        if path.exists() and not is_zipfile(path):
            raise ReportError("it is no archive of arrays")  # NumPy would take it for a pickle.
        # Opened here, because NumPy leaves a file open that it cannot read.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return dict(arrays)
    except Exception as error:  # Any failure means that the weights cannot be read.
        reason = error.strerror if isinstance(error, OSError) and error.strerror else first_line(error)
        raise ReportError(f"cannot read {path.name} of run {run_id}: {reason}") from None
