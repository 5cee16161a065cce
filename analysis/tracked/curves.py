"""Curves of runs as one table: from the artifacts of their sweeps, and from the store where there is none."""

import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import Run
from pandas.api.types import union_categoricals

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
    run_ids = pd.CategoricalDtype(sorted(runs["run_id"]))
    parts = [_sorted_among(parts.pop(), run_ids) for _ in range(len(parts))]
    parts.sort(key=lambda part: part["run_id"].cat.codes.min())
    runs_of_parts = sum(part["run_id"].nunique() for part in parts)
    # One column after the other, so that not all of them are there twice.
    run_id = pd.concat([part.pop("run_id") for part in parts], ignore_index=True)
    metric = union_categoricals([part.pop("metric") for part in parts], sort_categories=True)
    step = pd.concat([part.pop("step") for part in parts], ignore_index=True)
    value = pd.concat([part.pop("value") for part in parts], ignore_index=True)
    curves = pd.DataFrame({"run_id": run_id, "metric": metric, "step": step, "value": value}, copy=False)
    # Parts of drivers that worked at the same time are not in order, nor are those that share a run.
    if not run_id.cat.codes.is_monotonic_increasing or runs_of_parts > run_id.nunique():
        curves = curves.sort_values(["run_id", "metric", "step"], ignore_index=True)
    # Before release 3 pandas also groups by the categories that do not occur in a selection.
    return curves if int(pd.__version__.partition(".")[0]) >= 3 else curves.astype({"run_id": object, "metric": object})


def _sorted_among(part: pd.DataFrame, run_ids: pd.CategoricalDtype) -> pd.DataFrame:
    """The rows of a part that are of these runs, in their order."""
    part = part.assign(
        run_id=part["run_id"].cat.set_categories(run_ids.categories),
        metric=part["metric"].cat.reorder_categories(sorted(part["metric"].cat.categories)),
    )
    return part.dropna(subset="run_id").sort_values(["run_id", "metric", "step"], ignore_index=True)
