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


def conclusion_of(runs: Sequence[Run]) -> str:
    """What came out, in two sentences: symmetry at the end, and the best run of each model."""
    table = _table(runs)
    if table.empty:
        return "No run finished."
    sentences = []
    if names.DISTANCE in table:
        networks = table.dropna(subset=[names.DISTANCE])
        symmetric = networks[networks[names.DISTANCE] == 0.0]
        starts = ", ".join(dict.fromkeys(symmetric["init"])) or "none"
        sentences.append(
            f"The hidden units end exactly equal in {len(symmetric)} of {len(networks)} network runs (from {starts})."
        )
    loss = _loss(table)
    best = table.sort_values(["diverged", loss], kind="stable").groupby("model", sort=True).head(1)
    listed = "; ".join(f"{row['model']} {row[loss]:.3g} from {row['init']}" for _, row in best.iterrows())
    return " ".join([*sentences, f"Lowest {loss}: {listed}."])


def _table(runs: Sequence[Run]) -> pd.DataFrame:
    return pd.DataFrame([_row(run) for run in runs if run.info.status == "FINISHED"])


def _loss(table: pd.DataFrame) -> str:
    return names.LOSS_TEST if names.LOSS_TEST in table else names.LOSS_TRAIN


def sweep_summary(runs: Sequence[Run], experiment_name: str) -> str:
    """The best run (lowest final test loss) of each model, initialisation and whatever else the sweep compares, as
    text, and what to do next.

    Diverged runs are counted, but cannot be the best ones.
    """
    table = _table(runs)
    if table.empty:
        return "No run finished."
    loss = _loss(table)
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
