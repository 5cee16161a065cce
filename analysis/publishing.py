"""What the report leaves in MLflow: the page on the newest sweep's parent run, and its conclusion as description."""

from pathlib import Path

from mlflow import MlflowClient, get_tracking_uri

from analysis.store import first_line
from analysis.tables import Tables
from pipeline import names
from pipeline.addresses import store_address

ARTIFACT_FOLDER = "report"


def publish(tables: Tables, page: Path, conclusion: str) -> None:
    """Attaches the page, so that it opens inside the MLflow UI, and describes run and experiment.

    A store that refuses (read-only, lost in between) costs the copy in MLflow, not the report; a line says so.
    """
    if tables.parent is None:
        return
    try:
        client = MlflowClient(store_address(get_tracking_uri()))
        client.log_artifact(tables.parent, str(page), ARTIFACT_FOLDER)
        note = f"{conclusion}\n\nThe report is under Artifacts: {ARTIFACT_FOLDER}/{page.name}."
        client.set_tag(tables.parent, names.NOTE_TAG, note)
        client.set_experiment_tag(tables.experiment_id, names.NOTE_TAG, note)
    except Exception as error:  # Each store raises its own types.
        print(f"The page was not attached to run {tables.parent}: {first_line(error)}")
