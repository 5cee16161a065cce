"""Copies the report into MLflow: the page as an artifact of the newest sweep, its conclusion as description."""

from collections.abc import Mapping
from pathlib import Path

from mlflow import MlflowClient, get_tracking_uri

from analysis.claims.claim import EXACTLY, FAILS, NOT_TESTED, UNDECIDED, WITHIN
from analysis.tracked.store import first_line
from analysis.tracked.tables import Tables
from pipeline import addresses, names
from pipeline.addresses import store_address

ARTIFACT_FOLDER = "report"
VERDICTS = (EXACTLY, WITHIN, FAILS, UNDECIDED, NOT_TESTED)


def publish(tables: Tables, page: Path, conclusion: str, verdicts: Mapping[str, int]) -> None:
    """Attaches the page, so that it opens inside the MLflow UI, and describes run and experiment; verdicts are metrics.

    A store that refuses (read-only, lost in between) costs the copy in MLflow, not the report; a line says so.
    """
    if tables.parent is None:
        return
    try:
        client = MlflowClient(store_address(get_tracking_uri()))
        client.log_artifact(tables.parent, str(page), ARTIFACT_FOLDER)
        text = f"{conclusion}\n\nThe report is under Artifacts: {ARTIFACT_FOLDER}/{page.name}."
        note = addresses.linked_note(text, tables.experiment_id, tables.parent)
        # The table of means that the sweep has left there.
        _, fence, means = client.get_run(tables.parent).data.tags.get(names.NOTE_TAG, "").partition("\n\n```\n")
        client.set_tag(tables.parent, names.NOTE_TAG, note + fence + means)
        client.set_experiment_tag(tables.experiment_id, names.NOTE_TAG, note)
        for verdict in VERDICTS:
            client.log_metric(tables.parent, f"verdicts/{verdict}", verdicts.get(verdict, 0))
    except Exception as error:  # Each store raises its own types.
        print(f"The page was not attached to run {tables.parent}: {first_line(error)}")
