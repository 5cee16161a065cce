"""What does gradient flow conserve? The balance of hidden units under steps of finite size."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis.claims.answer import Answer, question
from analysis.claims.claim import WITHIN, Claim, stated
from analysis.claims.laws import judged, rounded
from analysis.statistics.fits import Fit, power_law_fit, with_common_factor
from analysis.tracked.tables import Tables
from analysis.wording import number
from pipeline import names

TOLERANCE = 0.05
ACTIVATIONS = ("relu", "identity", "tanh")


class Law(NamedTuple):
    """A predicted power of the learning rate.

    Attributes:
        activation: of the hidden units.
        is_one_step: whether the drift after one step is meant; else that over a fixed time.
        exponent: the prediction.
        statement: in words; ``{time}`` is the fixed time.
    """

    activation: str
    is_one_step: bool
    exponent: float
    statement: str


ONE_STEP = "One step of learning rate eta changes the balance of {} units by eta²."
FIXED_TIME = (
    "Over a fixed time, eta times steps = {{time}}, the balance of {} units drifts by eta: their flow conserves it."
)
LAWS = [
    *(
        Law(name, is_one_step, exponent, words.format(name))
        for name in ("relu", "identity")
        for is_one_step, exponent, words in ((True, 2.0, ONE_STEP), (False, 1.0, FIXED_TIME))
    ),
    Law("tanh", True, 1.0, "Without the law, for tanh units, one step changes the balance by eta."),
    Law("tanh", False, 0.0, "Without the law, for tanh units, the drift over the time {time} stays as eta shrinks."),
]


def drifts(tables: Tables) -> pd.DataFrame:
    """One row per measured step of every run by plain full-batch gradient descent that did not diverge.

    Columns: ``run_id``, ``activation``, ``learning_rate``, ``seed``, ``step``, ``time`` (learning rate times step),
    ``is_last`` and ``value``, the largest drift of any hidden unit of any layer.
    """
    runs = tables.runs
    plain = (runs["optimizer"] == "gd") & (runs["training.l2"] == 0.0) & (runs["optimizer.weight_decay"] == 0.0)
    plain &= runs["training.batch_size"].isna() & ~runs["diverged"] & runs["model.activation"].isin(ACTIVATIONS)
    chosen = runs.loc[plain, ["run_id", "model.activation", names.RATE, "seed", "training.steps"]]
    chosen.columns = pd.Index(["run_id", "activation", "learning_rate", "seed", "steps"])
    layers = range(1, 1 + max(map(len, runs["model.hidden_units"])))
    keys = [names.layer_measure("balance_drift", layer) for layer in layers]
    values = tables.curves[tables.curves["metric"].isin(keys)]
    largest = values.groupby(["run_id", "step"], as_index=False)["value"].max()
    data = largest.merge(chosen, on="run_id")
    data["time"] = (data["learning_rate"] * data["step"]).round(12)
    data["is_last"] = data["step"] == data["steps"]
    columns = ["run_id", "activation", "learning_rate", "seed", "step", "time", "is_last", "value"]
    return data[columns].sort_values(["activation", "learning_rate", "seed", "step"], ignore_index=True)


def fixed_time(data: pd.DataFrame) -> float:
    """The time at which most runs end; the others count for the first step only."""
    ends = data.loc[data["is_last"], "time"]
    return float(ends.mode().iloc[-1]) if len(ends) else np.nan


def points_of(law: Law, data: pd.DataFrame) -> pd.DataFrame:
    """The rows of ``drifts`` that decide a law, one per run, of those seeds that have every learning rate."""
    at = data["step"] == 1 if law.is_one_step else data["is_last"] & (data["time"] == fixed_time(data))
    points = data[at & (data["activation"] == law.activation) & (data["value"] > 0.0)]
    rates = points.groupby("seed")["learning_rate"].nunique()
    return points[points["seed"].isin(rates[rates == points["learning_rate"].nunique()].index)]


def fit_of(points: pd.DataFrame) -> Fit | None:
    """The power law through these points; None for fewer than two learning rates."""
    if points["learning_rate"].nunique() < 2:
        return None
    value = with_common_factor(points["value"].to_numpy(), points["seed"].to_numpy())
    return power_law_fit(points["learning_rate"].to_numpy(), value, points["seed"].to_numpy())


@question(figures=())
def answer(tables: Tables) -> Answer:
    """For each activation: the power of the learning rate in the drift of one step, and in that over a fixed time."""
    data = drifts(tables)
    claims = [_claim(law, data) for law in LAWS]
    return Answer(claims, _conclusion(data, claims))


def _claim(law: Law, data: pd.DataFrame) -> Claim:
    statement = law.statement.format(time=f"{fixed_time(data):g}")
    predicted = f"exponent {law.exponent:g}, its interval within ± {TOLERANCE:g}"
    claim = stated(statement, predicted, is_check=law.is_one_step and law.exponent == 2.0)
    points = points_of(law, data)
    fit = fit_of(points)
    if fit is None:
        return claim
    over = f"learning rates {10.0**fit.first:.3g} to {10.0**fit.last:.3g}"
    return judged(claim, fit, law.exponent, TOLERANCE, "exponent", over)


def _conclusion(data: pd.DataFrame, claims: list[Claim]) -> str:
    """The exponents that hold, and how far relu and tanh have drifted with the smallest steps."""
    sentences = []
    held = [
        f"{rounded(claim.number)} [{rounded(claim.low)}, {rounded(claim.high)}] ({law.activation})"
        for law, claim in zip(LAWS, claims, strict=True)
        if claim.verdict == WITHIN and not law.is_one_step and law.exponent == 1.0
    ]
    if held:
        sentences.append(
            "Gradient flow conserves the balance of hidden units: over a fixed time it drifts with the learning rate to"
            f" the power of {' and '.join(held)}, so the drift vanishes with the size of the steps."
        )
    ends = data[data["is_last"] & (data["time"] == fixed_time(data))]
    smallest = ends[ends["learning_rate"] == ends["learning_rate"].min()].groupby("activation")["value"].mean()
    if len(smallest):
        drifted = ", ".join(f"{number(smallest[name])} ({name})" for name in ACTIVATIONS if name in smallest)
        sentences.append(
            f"At the smallest learning rate, {ends['learning_rate'].min():g}, the mean drift is {drifted}."
        )
    return " ".join(sentences)
