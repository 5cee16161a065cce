"""Which random scheme, when? Signals layer by layer against the derivations, and what training makes of them."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis.claims.answer import Answer, question
from analysis.claims.claim import WITHIN, Claim, stated
from analysis.claims.verdicts import ABOVE_1, Prediction, around, decided, decided_for_every
from analysis.questions.schemes.tables import final_losses, moments_of
from analysis.tracked.tables import Tables
from analysis.wording import number

TOLERANCE = 0.1
SAME_RATIO = 1e-4
"""Exact products round to 21 bits, and each scheme's weights otherwise."""


class Derivation(NamedTuple):
    """A prediction of the factor from layer to layer.

    Attributes:
        activation: of the hidden units.
        direction: key of ``KINDS``.
        saturating: whether tanh is more than its slope at 0.
        statement: in words.
    """

    activation: str
    direction: str
    saturating: bool
    statement: str


RELU = "{} of relu layers grow or shrink from layer to layer as derived by He et al. (2015)."
LINEAR_TANH = "{} of tanh layers do so as if tanh were linear (Glorot and Bengio 2010)."
SATURATING_TANH = "{} of tanh layers do so as follows from the saturation of tanh ({} et al. {})."
DERIVATIONS = [
    Derivation("relu", "forward", False, RELU.format("Activations")),
    Derivation("relu", "backward", False, RELU.format("Deltas")),
    Derivation("tanh", "forward", False, LINEAR_TANH.format("Activations")),
    Derivation("tanh", "backward", False, LINEAR_TANH.format("Deltas")),
    Derivation("tanh", "forward", True, SATURATING_TANH.format("Activations", "Poole", 2016)),
    Derivation("tanh", "backward", True, SATURATING_TANH.format("Deltas", "Schoenholz", 2017)),
]


def ratios_of(moments: pd.DataFrame, derivation: Derivation) -> pd.DataFrame:
    """One row per network: the factor from layer to layer, measured over predicted, as a logarithm.

    The product of the factors of all layers is nearly log-normal over networks (Hanin and Nica 2020): its mean, which
    the derivations are about, is that of rare large ones, and takes thousands of networks. Its logarithm is nearly
    normal; divided by the layers it differs from that of the mean by sum(5 / width) / 2 / layers at most.
    Columns: ``case`` (the scheme), ``run_id``, ``value``, and the logarithms ``measured`` and ``predicted``.
    """
    column = "saturating" if derivation.saturating else "linear"
    at = (moments["activation"] == derivation.activation) & (moments["direction"] == derivation.direction)
    ends = moments[at].sort_values("layer").groupby("run_id", sort=False)
    # The direction's last layer over its first.
    first, last = (ends.first(), ends.last()) if derivation.direction == "forward" else (ends.last(), ends.first())
    factors = {
        name: np.log(last[key].to_numpy(float) / first[key].to_numpy(float)) / (last["layer"] - first["layer"]).abs()
        for name, key in (("measured", "measured"), ("predicted", column))
    }
    table = pd.DataFrame({"case": first["init"], **factors})
    return table.assign(value=table["measured"] - table["predicted"]).reset_index()


@question(figures=())
def answer(tables: Tables) -> Answer:
    """Every derivation against the scheme that fits it least; then what the deepest networks learn."""
    moments, losses = moments_of(tables), final_losses(tables)
    ratios = [ratios_of(moments, derivation) for derivation in DERIVATIONS]
    claims = [
        *map(_moments_claim, DERIVATIONS, ratios),
        _training_claim(losses, "relu", "he_normal", ("xavier_normal", "lecun_normal")),
        _training_claim(losses, "tanh", "xavier_normal", ("he_normal", "lecun_normal")),
        _homogeneity_claim(ratios[0], moments),
    ]
    return Answer(claims, _conclusion(ratios, losses))


def _moments_claim(derivation: Derivation, table: pd.DataFrame) -> Claim:
    region = around(1.0, TOLERANCE)
    predicted = f"factor from layer to layer, measured over derived, geometric mean of networks: {region.text} for all"
    claim = stated(derivation.statement, predicted)
    factors = table.groupby("case")[["measured", "predicted"]].mean().map(np.exp)
    return decided_for_every(
        claim, region, table, table, "ratio", lambda case: "with {}, a factor of {} where {} was derived".format(
            case, *(number(float(value), 3) for value in factors.loc[case])
        ), scale=np.exp,
    )  # fmt: skip


def _homogeneity_claim(table: pd.DataFrame, moments: pd.DataFrame) -> Claim:
    """Why the schemes that scale one draw fit or miss the derivation together."""
    statement = (
        "Relu layers are homogeneous, and Xavier, He and LeCun scale one draw: in every network their activations miss"
        " the derivation by one ratio."
    )
    small = Prediction(f"ratios within {SAME_RATIO:g} of each other", "max", lambda spread: spread <= SAME_RATIO)
    claim = stated(statement, small.text, is_check=True)
    scaled = table[table["case"].isin(("xavier_normal", "he_normal", "lecun_normal"))]
    seeds = scaled["run_id"].map(moments.drop_duplicates("run_id").set_index("run_id")["seed"])
    groups = scaled.groupby(seeds)["value"]
    spreads = (groups.max() - groups.min())[groups.size() > 1]
    values = scaled.assign(value=seeds.map(spreads), step=0).dropna(subset=["value"])
    return decided(claim, small, values, values, "difference of the logarithms", met=WITHIN)


def _training_claim(losses: pd.DataFrame, activation: str, best: str, others: tuple[str, ...]) -> Claim:
    """Whether one scheme ends lower than each of the others in the deepest networks, seed by seed."""
    depth = int(losses["depth"].max()) if len(losses) else 0
    statement = (
        f"The scheme derived for {activation}, {best}, trains networks of {depth} hidden layers best of those that"
        " scale one draw, on these data, each at the better of its learning rates."
    )
    claim = stated(statement, f"a final training loss lower than with {' and '.join(others)}: ratio above 1")
    at = losses[(losses["activation"] == activation) & (losses["depth"] == depth)]
    pairs = at[at["init"].isin(others)].merge(at[at["init"] == best], on="seed", suffixes=("", "_best"))
    values = pairs.assign(case=pairs["init"], value=np.log(pairs["loss"] / pairs["loss_best"]))
    if set(pairs["init"]) != set(others):
        return claim
    means = _geometric_means(at, "init")
    return decided_for_every(
        claim, ABOVE_1, values, at, "loss times", lambda init: f"with {init} (geometric means"
        f" {number(means[init], 3)} and {number(means[best], 3)})", scale=np.exp,
    )  # fmt: skip


def _conclusion(ratios: list[pd.DataFrame], losses: pd.DataFrame) -> str:
    """Who keeps relu signals alive, and the losses of the deepest networks."""
    sentences = []
    if len(ratios[0]):
        factors = _listed(np.exp(ratios[0].groupby("case")["measured"].mean()))
        sentences.append(f"From layer to layer, activations of typical relu networks change by factors of {factors}.")
    if len(losses):
        deepest = losses[losses["depth"] == losses["depth"].max()]
        ends = "; ".join(
            f"{activation}: {_listed(_geometric_means(of_activation, 'init').sort_values())}"
            for activation, of_activation in deepest.groupby("activation", sort=True)
        )
        sentences.append(
            f"Geometric means of the final training losses at {losses['depth'].max()} hidden layers: {ends}."
        )
    return " ".join(sentences)


def _geometric_means(losses: pd.DataFrame, by: str) -> "pd.Series[float]":
    return np.exp(np.log(losses["loss"]).groupby(losses[by]).mean())


def _listed(values: "pd.Series[float]") -> str:
    return ", ".join(f"{number(value)} ({name})" for name, value in values.items())
