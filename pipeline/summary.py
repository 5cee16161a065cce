"""The table that a sweep prints at its end."""

from collections.abc import Sequence

import pandas as pd
from mlflow.entities import Run

from pipeline import names

COLUMNS = {
    names.LOSS_TEST: "loss/test",
    names.LOSS_TRAIN: "loss/train",
    names.ACCURACY_TEST: "accuracy/test",
    names.DISTANCE: "distance",
    names.DISTINCT_UNITS: "distinct units",
}


def sweep_summary(runs: Sequence[Run]) -> str:
    """The best run of each model and initialisation (lowest final test loss), as text, and what to do next.

    Diverged runs cannot be the best ones but are counted.
    """
    table = pd.DataFrame([_row(run) for run in runs if run.info.status == "FINISHED"])
    if table.empty:
        return "No run finished."
    loss = names.LOSS_TEST if names.LOSS_TEST in table else names.LOSS_TRAIN
    groups = table.groupby(["model", "init"], sort=False)
    best = table.sort_values(loss, kind="stable", na_position="last").groupby(["model", "init"], sort=False).head(1)
    best = best.set_index(["model", "init"])
    best = best.assign(runs=groups.size(), diverged=groups["diverged"].sum())
    shown = best[["runs", "diverged", "learning rate", *(key for key in COLUMNS if key in best)]]
    text = shown.rename(columns=COLUMNS).sort_index().to_string(float_format=lambda number: f"{number:.4g}", na_rep="-")
    return (
        f"Best run of each model and initialisation, by {loss}:\n{text}\n"
        "Browse the runs:  mlflow ui\nDraw the figures: python -m analysis.report"
    )


def _row(run: Run) -> dict[str, object]:
    params, metrics = run.data.params, run.data.metrics
    return {
        "model": params["model"],
        "init": params["init"],
        "learning rate": params["optimizer.learning_rate"],
        "diverged": run.data.tags[names.DIVERGED_TAG] == "true",
        **{key: metrics[key] for key in COLUMNS if key in metrics},
    }
