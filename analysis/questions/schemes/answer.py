"""Which random scheme, when? Signals layer by layer against the derivations, and what training makes of them."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis.claims.answer import Answer, question
from analysis.claims.claim import FAILS, WITHIN, Claim, stated
from analysis.questions.schemes.tables import final_losses, moments_of
from analysis.statistics.intervals import means_with_intervals, sample_mean
from analysis.tracked.tables import Tables
from analysis.wording import number

TOLERANCE = 0.1


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
    """One row per scheme: the factor from layer to layer, measured over predicted.

    A derivation is about expected values over the weights, so means over seeds come first; their root is the factor.
    Columns: ``init``; ``ratio`` with the ends ``low`` and ``high`` of its interval over seeds; ``measured`` and
    ``predicted``, the two factors; ``runs``.
    """
    column = "saturating" if derivation.saturating else "linear"
    at = (moments["activation"] == derivation.activation) & (moments["direction"] == derivation.direction)
    rows = []
    for init, of_scheme in moments[at].groupby("init", sort=True):
        tables = [of_scheme.pivot(index="seed", columns="layer", values=key).to_numpy() for key in ("measured", column)]
        # The direction's last layer over its first.
        steps = tables[0].shape[1] - 1
        first, last = (0, -1) if derivation.direction == "forward" else (-1, 0)
        measured, predicted = (table[:, last] / table[:, first] for table in tables)
        ratio = means_with_intervals([measured / predicted])[0] ** (1.0 / steps)
        factors = (float(total.mean() ** (1.0 / steps)) for total in (measured, predicted))
        rows.append((init, *ratio, *factors, len(measured)))
    return pd.DataFrame(rows, columns=["init", "ratio", "low", "high", "measured", "predicted", "runs"])


@question(figures=())
def answer(tables: Tables) -> Answer:
    """Every derivation against the scheme that fits it least; then what the deepest networks learn."""
    moments, losses = moments_of(tables), final_losses(tables)
    ratios = [ratios_of(moments, derivation) for derivation in DERIVATIONS]
    claims = [
        *map(_moments_claim, DERIVATIONS, ratios),
        _training_claim(losses, "relu", "he_normal", ("xavier_normal", "lecun_normal")),
        _training_claim(losses, "tanh", "xavier_normal", ("he_normal", "lecun_normal")),
    ]
    return Answer(claims, _conclusion(ratios, losses))


def _moments_claim(derivation: Derivation, table: pd.DataFrame) -> Claim:
    predicted = f"factor from layer to layer, measured over derived: 1 ± {TOLERANCE:g} for every scheme"
    claim = stated(derivation.statement, predicted)
    if table.empty:
        return claim
    worst = table.loc[np.abs(np.log(table["ratio"].to_numpy(float))).argmax()]
    holds = max(abs(worst["low"] - 1.0), abs(worst["high"] - 1.0)) <= TOLERANCE
    return claim.with_verdict(
        WITHIN if holds else FAILS,
        f"furthest with {worst['init']}: {number(worst['ratio'], 3)}, a factor of"
        f" {number(worst['measured'], 3)} where {number(worst['predicted'], 3)} was derived",
        float(worst["ratio"]),
        runs=int(table["runs"].sum()),
        interval=(float(worst["low"]), float(worst["high"])),
    )


def _training_claim(losses: pd.DataFrame, activation: str, best: str, others: tuple[str, ...]) -> Claim:
    """Whether one scheme ends lower than each of the others in the deepest networks, seed by seed."""
    depth = int(losses["depth"].max()) if len(losses) else 0
    statement = f"The scheme derived for {activation}, {best}, trains networks of {depth} hidden layers best."
    claim = stated(statement, f"a lower final training loss than {' and '.join(others)}")
    at = losses[(losses["activation"] == activation) & (losses["depth"] == depth)]
    by_seed = at.pivot(index="seed", columns="init", values="loss")
    if not {best, *others} <= set(by_seed):
        return claim
    differences = {other: (by_seed[other] - by_seed[best]).dropna().to_numpy() for other in others}
    other = min(differences, key=lambda name: float(differences[name].mean()))
    mean, low, high = sample_mean(differences[other])
    return claim.with_verdict(
        WITHIN if low > 0.0 else FAILS,
        f"closest is {other}: its mean loss {number(by_seed[other].mean(), 3)} minus"
        f" {number(by_seed[best].mean(), 3)} is {number(mean, 3)}, each at its best learning rate",
        mean,
        runs=len(at),
        interval=(low, high),
    )


def _conclusion(ratios: list[pd.DataFrame], losses: pd.DataFrame) -> str:
    """Who keeps relu signals alive, and the losses of the deepest networks."""
    sentences = []
    if len(ratios[0]):
        factors = _listed(ratios[0].set_index("init")["measured"])
        sentences.append(f"From layer to layer, activations of relu networks change by factors of {factors}.")
    if len(losses):
        deepest = losses[losses["depth"] == losses["depth"].max()]
        ends = "; ".join(
            f"{activation}: {_listed(of_activation.groupby('init')['loss'].mean().sort_values())}"
            for activation, of_activation in deepest.groupby("activation", sort=True)
        )
        sentences.append(f"Mean final training losses at {losses['depth'].max()} hidden layers: {ends}.")
    return " ".join(sentences)


def _listed(values: "pd.Series[float]") -> str:
    return ", ".join(f"{number(value)} ({name})" for name, value in values.items())
