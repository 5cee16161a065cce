"""Reads the artifacts of sweeps and runs: curves, lists of jobs, descriptions of data, weights."""

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from zipfile import is_zipfile

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import yaml
from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.entities import Run
from mlflow.utils.uri import is_local_uri

from analysis.errors import ReportError
from analysis.tracked.store import CURVE_COLUMNS, curves_table, first_line
from analysis.tracked.tables import Weights
from pipeline import names


@contextmanager
def _fetched(address: str, tracking_uri: str, failure: str = "") -> Iterator[Path]:
    """A context with an artifact: the file itself where artifacts are files, else a copy.

    MLflow copies in threads that stay, also from folder to folder, and no process with threads can be forked safely.

    Args:
        failure: what a ``ReportError`` begins with; without it the store's own error is raised.
    """
    with tempfile.TemporaryDirectory() as folder:
        target = None if is_local_uri(address) else folder  # type: ignore[no-untyped-call]
        try:
            path = download_artifacts(artifact_uri=address, dst_path=target, tracking_uri=tracking_uri)
        except Exception as error:  # Each store raises its own types.
            if not failure:
                raise
            raise ReportError(f"{failure}: {first_line(error)}") from None
        yield Path(path)


def _of_sweep(client: MlflowClient, parent: str, file: str) -> AbstractContextManager[Path]:
    return _fetched(f"{client.get_run(parent).info.artifact_uri}/{file}", client.tracking_uri)


def curves_artifact(client: MlflowClient, parent: str) -> list[pd.DataFrame]:
    """The curves of all runs of a sweep in parts, from its artifact; it raises as the store does where there is none.

    Run ids and metrics are categories: as texts they would be four fifths of the table.
    """
    with _of_sweep(client, parent, names.CURVES_FILE) as path:
        try:
            with pq.ParquetFile(path, read_dictionary=CURVE_COLUMNS[:2], pre_buffer=False) as file:
                groups = (file.read_row_group(group, CURVE_COLUMNS) for group in range(file.num_row_groups))
                return [curves_table(group.to_pandas()) for group in groups]
        except (ValueError, TypeError, KeyError, OSError):  # PyArrow's message would name the temporary folder.
            raise ReportError("it is no table of curves") from None


def jobs_of(client: MlflowClient, parent: str) -> set[str]:
    """Fingerprints of the jobs of a sweep, from the list that it leaves before it trains; raises as the store does."""
    with _of_sweep(client, parent, names.JOBS_FILE) as path:
        return set(json.loads(path.read_text(encoding="utf-8"))["fingerprints"])


def features_of(client: MlflowClient, parent: str) -> dict[str, list[str]]:
    """Digest of a data set -> names of its features, as its sweep has described it; none of a sweep that has not."""
    try:
        with _of_sweep(client, parent, names.DATA_FILE) as path:
            return {data["digest"]: data["features"] for data in json.loads(path.read_text(encoding="utf-8"))}
    except Exception:  # Missing, torn, a server's refusal: each store raises its own types. Figures do without.
        return {}


def artifacts_of(client: MlflowClient, run: Run) -> AbstractContextManager[Path]:
    """A folder with all artifacts of one run; a ninth of the time of naming them to the client one by one.

    Raises:
        ReportError: they cannot be fetched.
    """
    failure = f"cannot fetch the artifacts of run {run.info.run_id}"
    return _fetched(run.info.artifact_uri, client.tracking_uri, failure)


def weights_of(run: Run, tracking_uri: str, file: str = names.WEIGHTS_FILE) -> Weights:
    """Initial and final weights of one run, or its recording; where its artifacts are files, without asking the store.

    Raises:
        ReportError: the artifact is missing or broken.
    """
    failure = f"cannot read {file} of run {run.info.run_id}"
    with _fetched(f"{run.info.artifact_uri}/{file}", tracking_uri, failure) as path:
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


def faults_of_params(path: Path, params: Mapping[str, str]) -> list[str]:
    """What is wrong with the params of a run, which figures and tables go by: they were its configuration's values.

    Args:
        path: of the run's configuration.
        params: key -> text, as tracked.
    """
    try:
        composed = yaml.load(path.read_bytes(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
    except FileNotFoundError:
        return [f"{path.name} is missing"]
    except yaml.YAMLError:
        return [f"{path.name} cannot be read"]
    texts = names.param_texts(names.with_dotted_keys(composed)) if isinstance(composed, dict) else {}
    changed = [key for key, text in params.items() if texts.get(key, text) != text]
    return [f"its params are not those of {path.name}: {', '.join(changed)}"] if changed else []
