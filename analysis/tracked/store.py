"""Reads the tracking store through MLflow's public API: a local database or a tracking server."""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from difflib import get_close_matches
from pathlib import Path

import pandas as pd
from mlflow import MlflowClient, get_tracking_uri
from mlflow.entities import Experiment, Run
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from analysis.errors import ReportError
from analysis.wording import SWEEP
from pipeline import names
from pipeline.addresses import database_path, masked, masked_address, require_reachable, store_address
from pipeline.errors import InputError
from pipeline.relocate import require_in_place
from pipeline.system.slow_answer import tell_if_slow

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
        with tell_if_slow(masked_address(uri)):
            require_reachable(uri)
            client = MlflowClient(store_address(uri))
            client.search_experiments(max_results=1)
        yield client
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


def experiment_named(client: MlflowClient, name: str, option: str = "--experiment") -> Experiment:
    """The experiment of that name.

    Args:
        option: that named it.

    Raises:
        ReportError: there is none, or it is in MLflow's trash.
    """
    experiment = client.get_experiment_by_name(name)
    if experiment is not None and experiment.lifecycle_stage == "deleted":
        raise ReportError(
            f"{option}: {name!r} is deleted; choose another or restore it with"
            f" mlflow experiments restore --experiment-id {experiment.experiment_id}"
        )
    if experiment is None:
        existing = sorted(found.name for found in client.search_experiments())
        if name in PREPARED:
            raise ReportError(f"{option}: {name!r} has not been run yet; {next_step(name)}")
        spellings = {each.lower(): each for each in (*PREPARED, *existing)}
        near = get_close_matches(name.lower(), spellings, 1)
        hint = f"did you mean {spellings[near[0]]!r}; " if near else ""
        raise ReportError(f"{option}: no experiment {name!r} here; {hint}there are: {', '.join(existing) or 'none'}")
    return experiment


def next_step(name: str) -> str:
    """What makes runs for the report of an experiment."""
    return f"{NEXT_STEP} experiment={name}" if name in PREPARED else NEXT_STEP


def all_runs(client: MlflowClient, experiment_id: str, condition: str = "") -> Iterator[Run]:
    """All runs of an experiment that are not deleted, of any status; of these those that meet a filter of MLflow's."""
    token = None
    while True:
        page = client.search_runs([experiment_id], condition, max_results=PAGE, page_token=token)
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


def curves_table(table: pd.DataFrame) -> pd.DataFrame:
    """Curves with the types that every reader of them expects; run ids and metrics are categories."""
    kinds = ("category", "category", "int64", "float64")
    return table[CURVE_COLUMNS].astype(dict(zip(CURVE_COLUMNS, kinds, strict=True)))


def history_of(client: MlflowClient, run_id: str, metrics: list[str]) -> pd.DataFrame:
    """The curves of one run from the store, a call for each metric."""
    points = [
        (run_id, metric, point.step, names.infinite(point.value))
        for metric in metrics
        for point in client.get_metric_history(run_id, metric)
    ]
    return curves_table(pd.DataFrame(points, columns=CURVE_COLUMNS))
