"""Curves of runs as one table: from the artifacts of their sweeps, and from the store where there is none."""

import numpy as np
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import Run

from analysis.tracked.artifacts import curves_artifact
from analysis.tracked.store import first_line, history_of
from pipeline import names


def load_curves(client: MlflowClient, parents: list[Run], runs: pd.DataFrame, notes: list[str]) -> pd.DataFrame:
    """Curves from the sweeps' artifacts; those of runs without one are read one by one, which is slow."""
    parts = []
    trained_by = set(runs["parent"])
    for parent in parents:
        if parent.info.run_id not in trained_by:
            continue
        try:
            parts += curves_artifact(client, parent.info.run_id)
        except Exception as error:  # Missing, truncated, not Parquet, a server's refusal: all mean the slow way.
            notes.append(
                f"The curves of the sweep {parent.info.run_name!r} were read run by run, because its artifact"
                f" {names.CURVES_FILE} cannot be read ({first_line(error)})"
            )
    covered = {run_id for part in parts for run_id in part["run_id"].cat.categories}
    metrics = [str(column) for column in runs if "/" in str(column)]
    parts += [history_of(client, run_id, metrics) for run_id in runs["run_id"] if run_id not in covered]
    # In the order of the texts, so that sorting by them is sorting by numbers; what is none of these is left out.
    known = {
        "run_id": sorted(runs["run_id"]),
        "metric": sorted({key for part in parts for key in part["metric"].cat.categories}),
    }
    # One part after the other, so that not all of them are there twice.
    joined = []
    while parts:
        part = parts.pop()
        part = part.assign(**{key: part[key].cat.set_categories(texts) for key, texts in known.items()})
        joined.append(part.dropna(subset="run_id"))
    curves = pd.concat(joined)
    joined.clear()
    order = np.lexsort((curves["step"], curves["metric"].cat.codes, curves["run_id"].cat.codes))
    curves = curves.take(order).reset_index(drop=True)
    # Before release 3 pandas also groups by the categories that do not occur in a selection.
    return curves if int(pd.__version__.partition(".")[0]) >= 3 else curves.astype({"run_id": object, "metric": object})
