"""Is a symmetric network of width H worth one unit? Networks that are to follow the path of the same single unit.

H equal units with incoming weights u and outgoing weights v compute g(x u) H v: one unit with outgoing weights V = H v.
With G the gradient of the loss by V and D that by u of the one unit, each of the H units receives D / H and G. So at
the rates a for the incoming and b for the outgoing layer, a step is u <- u - (a / H) D and V <- V - (b H) G: that of
one unit with the rates a / H and b H. With H a power of two all these scalings are exact in binary, and so are the
products.
"""

from typing import Any

import numpy as np
import pandas as pd

from analysis.claims.answer import Answer, question
from analysis.claims.claim import EXACTLY, Claim, stated, widths_of
from analysis.claims.verdicts import MORE, ZERO, decided, decided_for_every
from analysis.tracked.tables import Tables
from analysis.wording import change, number
from pipeline import names

PATH = ["incoming", "outgoing", "incoming_rate", "outgoing_rate"]
"""The single unit that a symmetric network is worth: its two starting weights and its two rates."""
SETTINGS = ["data", "model.activation", "training.batch_size", "training.steps", "training.measure_at", "seed"]
SCALED_DIGITS = 12
"""Of a path's numbers: those of widths that are no power of two differ by rounding."""


def symmetric_networks(tables: Tables) -> pd.DataFrame:
    """Runs with one layer of equal units, with ``width``, ``best`` (the lowest training loss), ``PATH`` and ``path``.

    Runs with the same number in ``path`` are to follow the path of one single unit with the same examples. Only plain
    gradient descent without biases, dropout, penalty and weight decay: the derivation holds for that. Only the longest
    runs count.
    """
    runs = _comparable(tables)
    runs = runs[runs["init"].isin(["constant", "constant_layers"])]
    scaled = [_single_unit(run) for run in runs.to_dict("records")]
    units = pd.DataFrame(scaled, index=runs.index, columns=PATH, dtype=float)
    runs = runs.join(units)[units.notna().all(axis=1)]
    rounded = runs[PATH].map(lambda value: float(f"{value:.{SCALED_DIGITS}g}"))
    return runs.assign(
        path=pd.concat([rounded, runs[SETTINGS]], axis=1).groupby([*PATH, *SETTINGS], dropna=False).ngroup()
    )


def random_networks(tables: Tables) -> pd.DataFrame:
    """Runs from random weights in the same settings, with ``width`` and ``best``."""
    runs = _comparable(tables)
    return runs[~runs["init"].isin(["constant", "constant_layers", "zeros"])]


def _comparable(tables: Tables) -> pd.DataFrame:
    runs = tables.runs[(tables.runs["arithmetic"] == "exact") & ~tables.runs["diverged"]]
    off = ["model.bias", "model.dropout", "training.l2", "optimizer.weight_decay"]
    runs = runs[(runs["optimizer"] == "gd") & (runs["model.hidden_units"].map(len) == 1) & ~runs[off].any(axis=1)]
    # A best loss depends on the steps that it had.
    runs = runs[runs["training.steps"] == runs["training.steps"].max()]
    best = tables.values(runs, [names.LOSS_TRAIN]).groupby("run_id")["value"].min()
    return runs.assign(
        width=[units[0] for units in runs["model.hidden_units"]], best=runs["run_id"].map(best).astype(float)
    )


def _single_unit(run: dict[Any, Any]) -> tuple[float, ...]:
    """``PATH`` of the unit that a symmetric network is worth; NaN where its weights are not all constant."""
    width = run["width"]
    values = run["init.values"] if run["init"] == "constant_layers" else (run["init.value"], run["init.value"])
    factors = run.get("optimizer.rate_factors")
    incoming_factor, outgoing_factor = factors if isinstance(factors, (list, tuple)) else (1.0, 1.0)
    incoming, outgoing = (np.nan if value is None else value for value in values)
    rate = run[names.RATE]
    return incoming, width * outgoing, rate * incoming_factor / width, rate * outgoing_factor * width


def trajectories(tables: Tables, networks: pd.DataFrame) -> pd.DataFrame:
    """The loss and the outgoing weights of the single unit, step by step.

    Columns ``run_id``, ``path``, ``width``, ``step``, ``quantity``, ``value``. ``spread`` is the largest minus the
    smallest of the H-fold outgoing weights of a unit.
    """
    measured = {"loss": names.LOSS_TRAIN, "spread": names.OUTPUT_WEIGHT_SPREAD}
    parts = []
    for quantity, metric in measured.items():
        values = tables.values(networks, [metric]).merge(networks[["run_id", "path", "width"]], on="run_id")
        factor = values["width"] if quantity == "spread" else 1.0
        parts.append(values.assign(value=factor * values["value"], quantity=quantity).drop(columns="metric"))
    return pd.concat(parts, ignore_index=True)


def deviations(table: pd.DataFrame) -> pd.DataFrame:
    """Largest difference between the runs on one path: ``value`` by path, step and quantity, with the highest run.

    Paths with a single run are left out.
    """
    shared = table.groupby("path")["run_id"].transform("nunique") > 1
    groups = table[shared].sort_values("value").groupby(["path", "step", "quantity"])
    differences = groups["value"].last() - groups["value"].first()
    return groups.last().assign(value=differences).reset_index()


@question(figures=("incoming_weights",))
def answer(tables: Tables) -> Answer:
    """Whether networks of all widths follow the path of one unit, and what random starts gain."""
    networks, broken = symmetric_networks(tables), random_networks(tables)
    table = trajectories(tables, networks)
    claims = [
        _path_claim(table, networks),
        _weights_claim(tables, networks),
        _best_claim(networks),
        _random_claim(networks, broken),
    ]
    return Answer(claims, _conclusion(networks, claims))


def _path_claim(table: pd.DataFrame, networks: pd.DataFrame) -> Claim:
    statement = (
        "At every step, all symmetric networks that are worth the same single unit have one loss, and H times their"
        " outgoing weights one spread."
    )
    claim = stated(statement, ZERO.text, is_check=True)
    values = deviations(table)
    on_shared = networks[networks["path"].isin(values["path"])]
    found = decided(claim, ZERO, values, on_shared, "difference")
    if values.empty:
        return claim
    most = int(on_shared.groupby("path").size().max())
    return found._replace(
        measured=f"{found.measured}, on {values['path'].nunique()} paths with up to {most} networks",
        runs=len(on_shared),
        steps=len(values),
        widths=widths_of(on_shared),
    )


def _weights_claim(tables: Tables, networks: pd.DataFrame) -> Claim:
    """The final weights themselves, against those of the run of width 1 on the same path."""
    statement = (
        "After training, every unit has the incoming weights of the single unit, and 1/H of its outgoing weights."
    )
    claim = stated(statement, ZERO.text, is_check=True)
    rows = []
    for _, on_path in networks.groupby("path"):
        single = on_path[on_path["width"] == 1]
        for run in on_path[on_path["width"] > 1].to_dict("records") if len(single) else ():
            one, many = (tables.weights(str(run_id)) for run_id in (single["run_id"].iloc[0], run["run_id"]))
            incoming = np.abs(many["final_weights1"] - one["final_weights1"]).max()
            outgoing = np.abs(run["width"] * many["final_weights2"] - one["final_weights2"]).max()
            rows.append((run["run_id"], run["training.steps"], max(incoming, outgoing)))
    values = pd.DataFrame(rows, columns=["run_id", "step", "value"])
    return decided(claim, ZERO, values, networks, "difference")


def _best_claim(networks: pd.DataFrame) -> Claim:
    """The lowest losses of all widths on the paths that a plain network of width 1 takes."""
    statement = "On the path of the plain network of width 1, the best training loss is the same at every width."
    claim = stated(statement, ZERO.text, is_check=True)
    one = networks.loc[(networks["width"] == 1) & (networks["init"] == "constant"), "path"]
    compared = networks[networks["path"].isin(one)]
    compared = compared[compared.groupby("path")["width"].transform("nunique") > 1]
    reference = compared[compared["width"] == 1].groupby("path")["best"].first()
    values = compared.assign(
        value=(compared["best"] - compared["path"].map(reference)).abs(), step=compared["training.steps"]
    )
    found = decided(claim, ZERO, values[["run_id", "step", "value"]], compared, "difference")
    return (
        found._replace(measured=f"{found.measured}, best loss {number(float(reference.mean()), 3)}")
        if found.runs
        else found
    )


def _random_claim(networks: pd.DataFrame, broken: pd.DataFrame) -> Claim:
    """By how much random starts of each width end below the best symmetric network with the same examples."""
    best = networks.groupby(SETTINGS, dropna=False)["best"].min().rename("best_symmetric")
    compared = broken.merge(best, left_on=SETTINGS, right_index=True)
    compared = compared.assign(gain=compared["best_symmetric"] - compared["best"])
    claim = stated(
        "Random starts with two units or more end below every symmetric network, whatever its width.",
        "best training loss lower at every width",
    )
    wide = compared[compared["width"] > 1]
    values = wide.assign(case=wide["width"], value=wide["gain"])
    runs = pd.concat([wide, networks])
    found = decided_for_every(claim, MORE, values, runs, change, "at width {}".format, EXACTLY)
    gains = ", ".join(f"{number(gain, 3)} at {width}" for width, gain in wide.groupby("width")["gain"].mean().items())
    return (
        found._replace(measured=f"lower by {gains}; {found.measured}", widths=widths_of(wide)) if found.runs else found
    )


def _conclusion(networks: pd.DataFrame, claims: list[Claim]) -> str:
    """Whether the paths coincide, what that is worth, and what random starts gain."""
    path, weights, best, random = claims
    sentences = []
    if path.verdict == EXACTLY and weights.verdict == EXACTLY:
        sentences.append(
            f"Yes: symmetric networks of width {path.widths} follow the path of the single unit they are worth bit for"
            " bit, in their losses at every step and in all final weights."
        )
    if best.verdict == EXACTLY:
        sentences.append(
            f"On one path the best training loss is the same at every width ({best.measured.split()[-1]})."
        )
    if random.verdict == EXACTLY:
        sentences.append(f"From random starts it is {random.measured.split(';')[0].replace(' at ', ' at width ', 1)}.")
    return " ".join(sentences)
