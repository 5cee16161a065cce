"""The table that a sweep prints at its end."""

from collections.abc import Sequence

import pandas as pd
from mlflow.entities import Run

from pipeline import names

GROUPS = ("model", "init", "data", "optimizer", "arithmetic")
COLUMNS = {
    names.LOSS_TEST: "loss/test",
    names.LOSS_TRAIN: "loss/train",
    names.ACCURACY_TEST: "accuracy/test",
    names.DISTANCE: "distance",
    names.DISTINCT_UNITS: "distinct units",
    names.OPTIMUM_GAP: "gap to optimum",
}


def sweep_summary(runs: Sequence[Run], experiment_name: str) -> str:
    """The best run (lowest final test loss) of each model, initialisation and whatever else the sweep compares, as
    text, and what to do next.

    Diverged runs are counted, but cannot be the best ones.
    """
    table = pd.DataFrame([_row(run) for run in runs if run.info.status == "FINISHED"])
    if table.empty:
        return "No run finished."
    loss = names.LOSS_TEST if names.LOSS_TEST in table else names.LOSS_TRAIN
    compared = [key for key in GROUPS if key in ("model", "init") or table[key].nunique() > 1]
    groups = table.groupby(compared, sort=False)
    ranked = table.sort_values(["diverged", loss], kind="stable")
    best = ranked.groupby(compared, sort=False).head(1).set_index(compared)
    best = best.assign(runs=groups.size(), diverged=groups["diverged"].sum())
    shown = best[["runs", "diverged", "learning rate", *(key for key in COLUMNS if key in best)]]
    text = shown.rename(columns=COLUMNS).sort_index().to_string(float_format="{:.4g}".format, na_rep="-")
    return (
        f"best run of each {', '.join(compared)}, by {loss}:\n\n{text}\n\n"
        f"Browse the runs:  mlflow ui\n"
        f"Draw the figures: python -m analysis.report --experiment {experiment_name}"
    )


def _row(run: Run) -> dict[str, object]:
    params, metrics = run.data.params, run.data.metrics
    return {
        **{key: params[key] for key in GROUPS},
        "learning rate": params["optimizer.learning_rate"],
        "diverged": run.data.tags[names.DIVERGED_TAG] == "true",
        **{key: metrics[key] for key in COLUMNS if key in metrics},
    }
