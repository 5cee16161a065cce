"""The table that a sweep prints at its end."""

import math
import shlex
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import pandas as pd
from mlflow import get_tracking_uri
from mlflow.entities import Run

from pipeline import names
from pipeline.addresses import ui_command

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
    best = table.groupby("model").head(1).sort_values("model")
    listed = "; ".join(f"{row['model']} {row[loss]:.3g} from {row['init']}" for _, row in best.iterrows())
    return " ".join([*sentences, f"Lowest {loss}: {listed}."])


def best_first(runs: Sequence[Run]) -> list[Run]:
    """The finished runs by their final test loss (training loss where no run has a test part), diverged ones last."""
    finished = [run for run in runs if run.info.status == "FINISHED"]
    has_test = any(names.LOSS_TEST in run.data.metrics for run in finished)
    loss = names.LOSS_TEST if has_test else names.LOSS_TRAIN

    def rank(run: Run) -> tuple[bool, float, str]:
        value = run.data.metrics.get(loss, math.nan)
        # NaN compares with nothing. Equal losses (all seeds of a start from zeros) are ordered by name.
        return _has_diverged(run), math.inf if math.isnan(value) else value, str(run.info.run_name)

    return sorted(finished, key=rank)


def _has_diverged(run: Run) -> bool:
    return bool(run.data.tags[names.DIVERGED_TAG] == "true")


def _table(runs: Sequence[Run]) -> pd.DataFrame:
    """One row per finished run, best first."""
    return pd.DataFrame([_row(run) for run in best_first(runs)])


def _loss(table: pd.DataFrame) -> str:
    return names.LOSS_TEST if names.LOSS_TEST in table else names.LOSS_TRAIN


def sweep_summary(runs: Sequence[Run], experiment_name: str, links: Mapping[str, str] = MappingProxyType({})) -> str:
    """The best run (lowest final test loss) of each model, initialisation and whatever else the sweep compares, as
    text, and what to do next.

    Diverged runs are counted, but cannot be the best ones.

    Args:
        links: view -> link of the prepared views in the MLflow UI; empty without them.
    """
    table = _table(runs)
    if table.empty:
        return "No run finished."
    loss = _loss(table)
    compared = [key for key in GROUPS if key in ("model", "init") or table[key].nunique() > 1]
    groups = table.groupby(compared, sort=False)
    best = groups.head(1).set_index(compared)
    best = best.assign(runs=groups.size(), diverged=groups["diverged"].sum())
    shown = best[["runs", "diverged", "learning rate", *(key for key in COLUMNS if key in best)]]
    text = shown.rename(columns=COLUMNS).sort_index().to_string(float_format="{:.4g}".format, na_rep="-")
    return (
        f"best run of each {', '.join(compared)}, by {loss}:\n\n{text}\n\n"
        f"Browse the runs:{_browsing(links)}\n"
        f"Draw the figures: python -m analysis.report --experiment {shlex.quote(experiment_name)}"
    )


def _browsing(links: Mapping[str, str]) -> str:
    """How to open the UI (a tracking server serves its own), and one indented line per view."""
    is_local = all(link.startswith(f"{names.UI_ADDRESS}/") for link in links.values())
    width = max(map(len, links), default=0)
    return "\n".join(
        [
            f"  {ui_command(get_tracking_uri())}" if is_local else "",
            *(f"  {key:{width}}  {link}" for key, link in links.items()),
        ]
    )


def _row(run: Run) -> dict[str, object]:
    params, metrics = run.data.params, run.data.metrics
    return {
        **{key: params[key] for key in GROUPS},
        "learning rate": params["optimizer.learning_rate"],
        "diverged": _has_diverged(run),
        **{key: metrics[key] for key in COLUMNS if key in metrics},
    }
