"""Does the argument survive depth? Equal weights at every depth, and constant layers among random ones.

A unit of hidden layer l meets the rest of the network through the weights W(l) below and W(l+1) above it. Units are
copies of each other if both treat them alike: then their activations and deltas are equal, and so is every step.
"""

from typing import Any

import pandas as pd

from analysis.claims.answer import Answer, question
from analysis.claims.claim import Claim, stated
from analysis.claims.verdicts import MORE, POSITIVE, ZERO, decided, decided_for_every
from analysis.tracked.tables import Tables
from analysis.wording import amount, change
from pipeline import names

BETWEEN, BELOW, ABOVE, RANDOM = "between constant layers", "above a constant layer", "below a constant layer", "random"
FIRST_APART = 2
"""The step from which units are predicted to differ: where a constant layer feeds a softmax, whose deltas sum to 0, the
layers below receive nothing in the first step."""


def hidden_layers(tables: Tables) -> pd.DataFrame:
    """One row per run and hidden layer: the columns of ``runs``, ``depth``, ``layer``, ``place`` and ``pattern``.

    ``place`` says which of the weights around the layer are constant at the start; ``pattern`` is a letter per layer of
    weights from below: c (constant) or r (random).
    """
    runs = tables.runs[(tables.runs["model"] == "mlp") & ~tables.runs["diverged"]]
    rows = []
    for run in runs.to_dict("records"):
        depth = len(run["model.hidden_units"])
        pattern = _pattern(run, depth + 1)
        for layer in range(1, depth + 1) if pattern else ():
            place = {"cc": BETWEEN, "cr": BELOW, "rc": ABOVE, "rr": RANDOM}[pattern[layer - 1 : layer + 1]]
            rows.append(run | {"depth": depth, "layer": layer, "place": place, "pattern": pattern})
    return pd.DataFrame(rows, columns=[*runs, "depth", "layer", "place", "pattern"])


def _pattern(run: dict[Any, Any], weights: int) -> str:
    """A letter per layer of weights; empty for other starts."""
    if run["init"] == "constant_layers":
        return "".join("r" if value is None else "c" for value in run["init.values"])
    return {"constant": "c", "xavier_normal": "r"}.get(run["init"], "") * weights


def measured_in(tables: Tables, layers: pd.DataFrame, *measures: str) -> pd.DataFrame:
    """The values of a hidden layer's measures in the layers given: ``run_id``, ``step``, ``value``, ``layer``."""
    parts = [
        tables.values(
            layers[layers["layer"] == layer], [names.symmetry(measure, layer) for measure in measures]
        ).assign(layer=layer)
        for layer in sorted(set(layers["layer"]))
    ]
    return pd.concat(parts) if parts else tables.curves[:0].assign(layer=0)


def ends_of(values: "pd.Series[int]") -> str:
    """The range of some numbers, in words."""
    return f"{values.min()}" if values.nunique() == 1 else f"{values.min()} to {values.max()}"


@question(figures=())
def answer(tables: Tables) -> Answer:
    """Verdicts on copies at every depth, and on every place of a constant layer among random ones."""
    layers = hidden_layers(tables)
    equal, mixed = layers[layers["init"] == "constant"], layers[layers["init"] == "constant_layers"]
    between = mixed[mixed["place"] == BETWEEN]
    every = "From equal weights, the units of every hidden layer stay copies, at every depth."
    some = "Between two constant layers, units stay copies, whatever the other layers hold."
    claims = [
        _copies_claim(tables, every, equal, f"{ends_of(equal['depth'])} hidden layers"),
        _learning_claim(tables, equal),
        _copies_claim(tables, some, between, amount(len(between), "layer")),
        _apart_claim(tables, "A constant layer below alone does not keep units copies.", mixed, BELOW),
        _apart_claim(tables, "A constant layer above alone does not keep units copies.", mixed, ABOVE),
        _single_claim(mixed),
        _cost_claim(layers),
    ]
    return Answer(claims, _conclusion(layers, claims))


def _copies_claim(tables: Tables, statement: str, layers: pd.DataFrame, counts: str) -> Claim:
    claim = stated(statement, "distance exactly 0 at every step")
    values = measured_in(tables, layers, "distance_max", "outgoing_distance")
    decision = decided(claim, ZERO, values, layers.drop_duplicates("run_id"), "distance")
    return decision if layers.empty else decision._replace(measured=f"{decision.measured}, in {counts}")


def _learning_claim(tables: Tables, equal: pd.DataFrame) -> Claim:
    """That symmetric networks do learn shows that their distance of 0 is not for want of a gradient."""
    claim = stated("These symmetric networks learn all the same.", "loss falls by > 0")
    runs = equal.drop_duplicates("run_id")
    losses = tables.values(runs, [names.LOSS_TRAIN])
    last = losses["step"] == losses.groupby("run_id")["step"].transform("max")
    first = losses[losses["step"] == 0].set_index("run_id")["value"]
    falls = losses[last].assign(value=losses["run_id"].map(first).astype(float) - losses["value"])
    return decided(claim, POSITIVE, falls, runs, "fall of the training loss")


def _apart_claim(tables: Tables, statement: str, mixed: pd.DataFrame, place: str) -> Claim:
    """The weights that start equal in a layer with one constant side are those on that side."""
    claim = stated(statement, f"0 at the start, > 0 from step {FIRST_APART} on")
    layers = mixed[mixed["place"] == place]
    values = measured_in(tables, layers, "distance_min" if place == BELOW else "outgoing_distance")
    start, later = values[values["step"] == 0], values[values["step"] >= FIRST_APART]
    runs = layers.drop_duplicates("run_id")
    which = "incoming" if place == BELOW else "outgoing"
    decision = decided(claim, POSITIVE, later, runs, f"distance of the {which} weights")
    if start.empty or start["value"].max() == 0.0:
        return decision
    return decided(claim, ZERO, start, runs, f"distance of the {which} weights at the start")


def _single_claim(mixed: pd.DataFrame) -> Claim:
    claim = stated(
        "A single constant layer among random ones keeps no copies in any hidden layer.", "0 copies at the end"
    )
    single = mixed[mixed["pattern"].str.count("c") == 1] if len(mixed) else mixed
    copies = [
        {"run_id": row["run_id"], "step": row["training.steps"], "value": _copies(row)}
        for row in single.to_dict("records")
    ]
    values = pd.DataFrame(copies, columns=["run_id", "step", "value"])
    return decided(claim, ZERO, values, single.drop_duplicates("run_id"), "number of copies in a layer")


def _copies(row: dict[Any, Any]) -> float:
    """How many units of a hidden layer are copies of another at the end."""
    return float(row["model.hidden_units"][row["layer"] - 1] - row[names.symmetry("distinct_units", row["layer"])])


def cost_of_copies(layers: pd.DataFrame) -> pd.DataFrame:
    """One row per run from a start with copies: what its final training loss is above that of the random start.

    Runs are paired by depth and seed. Columns ``run_id``, ``case`` (the pattern) and ``value``.
    """
    runs = layers.drop_duplicates("run_id").rename(columns={"pattern": "case"})
    with_copies = set(layers.loc[layers["place"] == BETWEEN, "pattern"])
    random = runs[runs["init"] == "xavier_normal"][["depth", "seed", names.LOSS_TRAIN]]
    pairs = runs[runs["case"].isin(with_copies)].merge(random, on=["depth", "seed"], suffixes=("", " at random"))
    costs = pairs[names.LOSS_TRAIN] - pairs[f"{names.LOSS_TRAIN} at random"]
    return pairs[["run_id", "case"]].assign(value=costs.astype(float))


def _cost_claim(layers: pd.DataFrame) -> Claim:
    claim = stated(
        "One hidden layer of copies is a bottleneck of one unit: the loss ends higher than from random weights.",
        "> 0 for every start with such a layer",
    )
    costs = cost_of_copies(layers)
    compared = layers[layers["pattern"].isin(costs["case"]) | (layers["init"] == "xavier_normal")]
    runs = compared.drop_duplicates("run_id")
    return decided_for_every(
        claim, MORE, costs, runs, "higher by", lambda case: f"with {_constant_weights(case)} constant"
    )


def _constant_weights(pattern: str) -> str:
    """The constant layers of weights of a start."""
    return ", ".join(f"W({layer})" for layer, letter in enumerate(pattern, start=1) if letter == "c")


def _conclusion(layers: pd.DataFrame, claims: list[Claim]) -> str:
    equal, *_, cost = claims
    sentences = []
    if equal.runs:
        depths = ends_of(layers.loc[layers["init"] == "constant", "depth"])
        sentences.append(
            f"From equal weights, the largest distance in any layer of networks with {depths} hidden layers is"
            f" {equal.number:.3g}."
        )
    mixed = layers[layers["init"] == "constant_layers"]
    if len(mixed):
        kept = mixed[[_copies(row) > 0.0 for row in mixed.to_dict("records")]]
        between = int((kept["place"] == BETWEEN).sum())
        sentences.append(
            f"Of {amount(len(mixed), 'hidden layer')} among constant and random weights, {len(kept)} end with copies:"
            f" {between} of the {(mixed['place'] == BETWEEN).sum()} between two constant layers, and"
            f" {len(kept) - between} others."
        )
    if cost.runs:
        means = cost_of_copies(layers).groupby("case")["value"].mean()
        sentences.append(
            f"With a layer of copies the mean final training loss is {change(-means.min(), -means.max())} than from"
            f" random weights, over {amount(len(means), 'start')}."
        )
    return " ".join(sentences)
