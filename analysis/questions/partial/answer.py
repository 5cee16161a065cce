"""Do copies stay copies? Networks in which some units start equal or mirrored.

With c copies of each of m units the network computes what m units with c times the outgoing weights compute. Each copy
receives the gradient of its own outgoing weights and 1 / c of that of the single unit's incoming weights. So a step at
rate a is that of the m units at the rates a / c for incoming and c a for outgoing weights, as in ``one_unit``. With c a
power of two these scalings are exact in binary, and so are the products.

Mirrored units (w, b, v) and (-w, -b, -v) of an odd activation have opposite activations and opposite deltas, and so
opposite gradients: they stay mirrored. A pair computes 2 v g(w x + b), as two copies do.
"""

from typing import Any

import numpy as np
import pandas as pd

from analysis.claims.answer import Answer, question
from analysis.claims.claim import EXACTLY, FAILS, NOT_TESTED, UNDECIDED, WITHIN, Claim, stated
from analysis.claims.verdicts import ABOVE_1, BELOW_1, NOT_BELOW_1, ZERO, Region, decided, decided_for_every
from analysis.statistics.intervals import geometric_means, means_with_intervals
from analysis.tracked.tables import Tables
from analysis.wording import amount, listed
from pipeline import names

COPIES, MERGED, PLAIN, MIRRORED = "copies", "the distinct units alone", "plain random start", "mirrored pairs"
SIZES, RATES = "their sizes at the plain rate", "their rates from a plain start"
"""The two in which a network of the distinct units differs from a plain one, each alone."""
KINDS = {"duplicated": COPIES, "merged": MERGED, "xavier_normal": PLAIN, "mirrored": MIRRORED}
MIRROR_DISTANCE = names.symmetry("mirror_distance")
SETTING = [
    "data", "data.seed", "data.limit", "model.activation", "model.bias", "training.batch_size", "training.steps",
    names.RATE, "seed",
]  # fmt: skip
"""Runs that agree in these see the same examples at the same rate."""


def partial_networks(tables: Tables) -> pd.DataFrame:
    """Runs with one hidden layer: the columns of ``runs`` with ``kind``, ``width``, ``copies`` and ``distinct``.

    ``distinct`` is the number of units that differ at the start; ``copies`` is how many each of them has or stands for.
    Mirrored pairs count as two copies. Only plain gradient descent with exact products, without dropout, random biases,
    penalty and weight decay: the derivations hold for that.
    """
    runs = tables.runs[tables.runs["init"].isin(KINDS) & (tables.runs["arithmetic"] == "exact")]
    runs = runs[(runs["optimizer"] == "gd") & (runs["model.hidden_units"].map(len) == 1) & ~runs["diverged"]]
    off = ["model.dropout", "init.bias_scale", "training.l2", "optimizer.weight_decay"]
    runs = runs[~runs[off].any(axis=1)]
    width = pd.Series([units[0] for units in runs["model.hidden_units"]], index=runs.index, dtype=int)
    has_rates = runs["optimizer.rate_factors"].map(lambda factors: isinstance(factors, (tuple, list))).astype(bool)
    kinds = runs["init"].map(KINDS)
    kinds = kinds.mask((kinds == MERGED) & ~has_rates, SIZES).mask((kinds == PLAIN) & has_rates, RATES)
    given = runs["init.copies"] if "init.copies" in runs else pd.Series(1, index=runs.index)
    copies = given.where(kinds.isin((COPIES, MERGED, SIZES)), 1).mask(kinds == MIRRORED, 2).astype(int)
    distinct = (width // copies).mask(kinds.isin((MERGED, SIZES)), width)
    return runs.assign(kind=kinds, width=width, copies=copies, distinct=distinct)


@question(figures=())
def answer(tables: Tables) -> Answer:
    """Verdicts on copies, on mirrored pairs, and on what a network with copies is worth."""
    networks = partial_networks(tables)
    claims = [
        _constant_claim(tables, networks),
        _path_claim(tables, networks),
        _mirror_claim(tables, networks),
        _pair_claim(tables, networks),
        _cost_claim(networks),
        _worth_claim(networks),
        _alone_claim(
            networks, SIZES, "The sizes of the weights with which they start do that alone, at the plain rate."
        ),
        _alone_claim(networks, RATES, "The rates at which they learn do that alone, from a plain start."),
    ]
    return Answer(claims, _conclusion(networks, claims))


def _constant_claim(tables: Tables, networks: pd.DataFrame) -> Claim:
    statement = "Units that start as copies stay copies: the number of distinct units never changes."
    copies = networks[networks["kind"] == COPIES]
    counts = tables.values(copies, [names.DISTINCT_UNITS])
    expected = counts["run_id"].map(copies.set_index("run_id")["distinct"]).astype(float)
    values = counts.assign(value=(counts["value"] - expected).abs())
    found = decided(stated(statement, "change exactly 0 at every step"), ZERO, values, copies, "change")
    of_all = ", ".join(map(str, sorted(set(copies["distinct"]))))
    return found._replace(measured=f"{found.measured}, with {of_all} distinct units") if found.runs else found


def _path_claim(tables: Tables, networks: pd.DataFrame) -> Claim:
    statement = (
        "Each network with copies follows the path of its distinct units alone: those with the outgoing weights of"
        " all their copies, 1/c of the rate for incoming and c times the rate for outgoing weights."
    )
    copies, merged = without_biases(networks, COPIES), _scaled(without_biases(networks, MERGED))
    both = [*SETTING, "distinct", "copies"]
    return _same_losses(
        tables, stated(statement, f"difference of the losses {ZERO.text}", is_check=True), copies, merged, both
    )


def _scaled(merged: pd.DataFrame) -> pd.DataFrame:
    """Those whose rates are scaled as the derivation asks, by a power of two."""
    scaled = [_is_scaled(run["copies"], run["optimizer.rate_factors"]) for run in merged.to_dict("records")]
    return merged[pd.Series(scaled, index=merged.index, dtype=bool)]


def _is_scaled(copies: int, factors: Any) -> bool:
    is_power = copies & (copies - 1) == 0
    return is_power and isinstance(factors, (tuple, list)) and tuple(factors) == (1.0 / copies, copies)


def _mirror_claim(tables: Tables, networks: pd.DataFrame) -> Claim:
    statement = "Mirrored units of an odd activation stay mirrored, with biases that start at 0, too."
    mirrored = networks[networks["kind"] == MIRRORED]
    values = tables.values(mirrored, [MIRROR_DISTANCE])
    return decided(stated(statement, f"distance {ZERO.text} at every step"), ZERO, values, mirrored, "mirror distance")


def _pair_claim(tables: Tables, networks: pd.DataFrame) -> Claim:
    statement = "A mirrored pair is worth one unit: its network follows that of pairs of copies with the same draw."
    pairs, copies = networks[networks["kind"] == MIRRORED], networks[networks["kind"] == COPIES]
    claim = stated(statement, f"difference of the losses {ZERO.text}", is_check=True)
    return _same_losses(tables, claim, pairs, copies, [*SETTING, "width", "copies"])


def _same_losses(tables: Tables, claim: Claim, runs: pd.DataFrame, others: pd.DataFrame, keys: list[str]) -> Claim:
    """The claim with the verdict on the difference of training losses at every step, runs paired by the keys."""
    partners = runs[["run_id", *keys]].merge(others[["run_id", *keys]], on=keys, suffixes=("", "_other"))
    losses = tables.curves[tables.curves["metric"] == names.LOSS_TRAIN][["run_id", "step", "value"]]
    of_others = losses.rename(columns={"run_id": "run_id_other", "value": "value_other"})
    both = partners[["run_id", "run_id_other"]].merge(losses, on="run_id").merge(of_others, on=["run_id_other", "step"])
    values = both.assign(value=(both["value"] - both["value_other"]).abs())
    found = decided(claim, ZERO, values, runs, "difference")
    return (
        found._replace(measured=f"{found.measured}, in {amount(len(partners), 'pair')} of runs")
        if found.runs
        else found
    )


def final_losses(networks: pd.DataFrame) -> pd.DataFrame:
    """Geometric mean of the final training losses over seeds, a row per kind, activation and number of distinct units.

    Columns ``kind``, ``activation``, ``distinct``, ``loss``, ``low``, ``high`` and ``runs``; networks without biases.
    """
    groups = networks[~networks["model.bias"].astype(bool)].groupby(["kind", "model.activation", "distinct"])
    table = groups.size().reset_index(name="runs").rename(columns={"model.activation": "activation"})
    samples = [losses.to_numpy(float) for _, losses in groups[names.LOSS_TRAIN]]
    return table.join(pd.DataFrame(geometric_means(samples), columns=["loss", "low", "high"]))


def differences(one: pd.DataFrame, other: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """How many times as large the final training losses of some runs are as those of others, a row for each pair.

    Columns ``case`` (how many distinct units, which activation), ``run_id`` and ``value``, the logarithm of the ratio:
    losses of networks of which some have dead units are skewed. Runs are paired by setting and the keys.
    """
    pairs = one.merge(other, on=[*SETTING, *keys], suffixes=("", "_other"))
    one_loss, other_loss = (pairs[f"{names.LOSS_TRAIN}{suffix}"].astype(float) for suffix in ("", "_other"))
    cases = pairs["distinct"].astype(str) + " " + pairs["model.activation"]
    return pairs[["run_id"]].assign(case=cases, value=np.log(one_loss / other_loss))


def without_biases(networks: pd.DataFrame, kind: str) -> pd.DataFrame:
    """The networks of a kind that have none."""
    return networks[(networks["kind"] == kind) & ~networks["model.bias"].astype(bool)]


def _cost_claim(networks: pd.DataFrame) -> Claim:
    """Copies of one width only: the number of distinct units is all that differs."""
    statement = "Among networks of one width, each doubling of the distinct units lowers the final training loss."
    copies = without_biases(networks, COPIES)
    finer = copies[copies["distinct"] % 2 == 0]
    values = differences(copies, finer.assign(distinct=finer["distinct"] // 2), ["distinct", "width"])
    claim = stated(statement, f"loss over that of twice as many units {ABOVE_1.text} at every doubling")
    return _ratio_decided(claim, ABOVE_1, values, copies, "from {} units to twice as many")


def _ratio_decided(claim: Claim, region: Region, values: pd.DataFrame, runs: pd.DataFrame, where: str) -> Claim:
    return decided_for_every(claim, region, values, runs, "ratio", where.format, scale=np.exp)


def _worth_claim(networks: pd.DataFrame) -> Claim:
    statement = "A network with copies ends no lower than a plain random network of as many units as differ."
    claim = stated(statement, f"ratio of the final training losses {NOT_BELOW_1.text} for all")
    compared = networks[networks["kind"].isin((COPIES, PLAIN)) & ~networks["model.bias"].astype(bool)]
    return _ratio_decided(claim, NOT_BELOW_1, _worth(networks), compared, "with {} units")


def _worth(networks: pd.DataFrame) -> pd.DataFrame:
    """``differences`` between networks with copies and plain ones of as many units as differ in them."""
    copies, plain = without_biases(networks, COPIES), without_biases(networks, PLAIN)
    return differences(copies[copies["distinct"] < copies["width"]], plain, ["distinct"])


def lower_cases(networks: pd.DataFrame) -> list[str]:
    """The cases in which copies end lower than plain units: their intervals, that hold together, lie below 1."""
    worth = [(str(case), of_case.to_numpy()) for case, of_case in _worth(networks).groupby("case")["value"]]
    highs = means_with_intervals([falls for _, falls in worth], together=True)[:, 2]
    return [case for (case, falls), high in zip(worth, highs, strict=True) if len(falls) > 1 and high < 0.0]


def _by_activation(case: str) -> tuple[str, int]:
    units, _, activation = case.partition(" ")
    return activation, int(units)


def _alone_claim(networks: pd.DataFrame, kind: str, statement: str) -> Claim:
    """Whether one of the two differences from a plain network suffices, wherever copies end lower than it."""
    claim = stated(statement, f"ratio to plain networks {BELOW_1.text}, wherever copies end lower than these")
    one, plain = without_biases(networks, kind), without_biases(networks, PLAIN)
    values = differences(one, plain, ["distinct"])
    values = values[values["case"].isin(lower_cases(networks))]
    return _ratio_decided(claim, BELOW_1, values, pd.concat([one, plain]), "with {} units")


def _conclusion(networks: pd.DataFrame, claims: list[Claim]) -> str:
    constant, path, mirror, pair, _, worth, sizes, rates = claims
    facts = {
        "The largest change of the number of distinct units is {:.3g}": constant,
        "the largest difference of a loss from that of the distinct units alone is {:.3g}": path,
        "the largest mirror distance of mirrored pairs is {:.3g}": mirror,
        "the largest difference of their losses from those of copies is {:.3g}": pair,
    }
    said = "; ".join(text.format(claim.number) for text, claim in facts.items() if claim.runs)
    sentences = [f"{said}."] if said else []
    if worth.verdict == FAILS and path.verdict == EXACTLY:
        by_activation: dict[str, list[str]] = {}
        for activation, units in sorted(map(_by_activation, lower_cases(networks))):
            by_activation.setdefault(activation, []).append(f"{units}")
        places = ", and with ".join(f"{listed(units)} {activation}" for activation, units in by_activation.items())
        words = {WITHIN: "suffice for that", FAILS: "do not suffice for that", NOT_TESTED: "were not tried",
                 UNDECIDED: "may or may not suffice: these runs do not decide it"}  # fmt: skip
        sentences.append(
            f"With {places} units that differ, copies end lower than as many plain random units. By statement 2 these"
            f" are networks of the distinct units with other sizes of weights and other rates. The sizes alone"
            f" {words[sizes.verdict]}; the rates alone {words[rates.verdict]}."
        )
    return " ".join(sentences)
