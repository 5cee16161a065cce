"""Does arithmetic break symmetry? Equal units under products that do not round, and under two that do."""

import numpy as np
import pandas as pd

from analysis.claims.answer import Answer, question
from analysis.claims.claim import EXACTLY, FAILS, NOT_TESTED, WITHIN, Claim, machines_of, stated, widths_of
from analysis.claims.verdicts import ZERO, Prediction, decided
from analysis.statistics.breaking import APART
from analysis.statistics.fits import exponential_fit
from analysis.tracked.tables import Tables
from analysis.wording import amount, change, number
from pipeline import names

EXACT, *ROUNDING = ("exact", "blas, float64", "blas, float32")
GROWTH = ("step", "measured", "largest", "leaves", "amplified", "rate", "residual", "rise")
OWN_ROUNDING = 100.0
"""Below so many times its first value, new rounding errors still add to the distance; growth is fitted above."""
END_OF_GROWTH = 1e-3
"""Distances above this come near those between weights that have learned, and soon stop growing."""
FEWEST_POINTS = 4
FEWEST_STEPS = 100
"""A distance needs so many steps after it has left 0 to show whether it grows."""
LARGEST_BEND = 0.1


def symmetric_networks(tables: Tables) -> pd.DataFrame:
    """One row per run from equal weights, with its params and what the distance between its units did.

    Columns: ``product``, ``width``; ``distance`` and ``loss`` at the last ``step``; how many were ``measured``;
    ``leaves``, the first measured step with a distance above 0 (NaN: none); ``largest``, the largest distance;
    ``amplified``, that over the sum of as many rounding errors as there were steps; ``rate``, ``residual`` and ``rise``
    of the line through the logarithm of the distance while it grew (NaN where too few steps were measured then).
    """
    runs = tables.runs
    runs = runs[(runs["model"] == "mlp") & (runs["init"] == "constant") & (runs["model.dropout"] == 0.0)]
    runs = runs[~runs["diverged"]]
    networks = runs.assign(
        product=np.where(runs["arithmetic"] == "exact", EXACT, runs["arithmetic"] + ", " + runs["dtype"]),
        width=[units[0] for units in runs["model.hidden_units"]],
        distance=runs[names.DISTANCE],
        loss=runs[names.LOSS_TRAIN],
    )
    curves = tables.curves[tables.curves["metric"] == names.DISTANCE].sort_values("step")
    growth = {str(run_id): _growth(curve) for run_id, curve in curves.groupby("run_id")}
    found = pd.DataFrame(
        [growth[str(run_id)] for run_id in networks["run_id"]], index=networks.index, columns=GROWTH, dtype=float
    )
    return networks.join(found).sort_values(["product", "width", "run_id"], ignore_index=True)


def _growth(curve: pd.DataFrame) -> dict[str, float]:
    """When the distance of one run left 0, and how fast it grew then."""
    found = {"step": curve["step"].max(), "measured": len(curve), "largest": float(curve["value"].max())}
    apart = curve[curve["value"] > 0.0]
    if apart.empty:
        return found
    first, leaves = float(apart["value"].iloc[0]), int(apart["step"].iloc[0])
    steps = int(found["step"]) - leaves
    found["leaves"] = leaves
    if steps >= FEWEST_STEPS:
        found["amplified"] = found["largest"] / (first * steps)
    growing = apart[(apart["value"] > OWN_ROUNDING * first) & (apart["value"] < END_OF_GROWTH)]
    if len(growing) >= FEWEST_POINTS:
        fit = exponential_fit(growing["step"].to_numpy(), growing["value"].to_numpy(), np.zeros(len(growing)))
        rise = float(np.log(growing["value"].max() / growing["value"].min()))
        found |= {"rate": fit.slope, "residual": fit.largest_residual, "rise": rise}
    return found


@question(figures=())
def answer(tables: Tables) -> Answer:
    """Over all widths: exact products, both rounding ones, how fast differences grow, what they do to learning."""
    networks = symmetric_networks(tables)
    measured = [
        *(_rounding_claim(networks, product) for product in ROUNDING),
        _amplification_claim(networks),
        _exponential_claim(networks),
        _learning_claim(networks),
    ]
    # Which kernel adds which column in which order, the BLAS library decides by the processor.
    machine = machines_of(networks[networks["product"] != EXACT])
    claims = [
        _exact_claim(tables, networks),
        *(claim._replace(machine=machine if claim.runs else "") for claim in measured),
    ]
    return Answer(claims, _conclusion(networks, claims))


def _exact_claim(tables: Tables, networks: pd.DataFrame) -> Claim:
    statement = "With exact products the distance between equal units stays 0, at every width and step."
    runs = networks[networks["product"] == EXACT]
    keys = (names.symmetry("distance_max"), names.symmetry("outgoing_distance"))
    values = tables.curves[tables.curves["run_id"].isin(runs["run_id"]) & tables.curves["metric"].isin(keys)]
    claim = stated(statement, ZERO.text)
    return decided(claim, ZERO, values, runs, "distance")


def _rounding_claim(networks: pd.DataFrame, product: str) -> Claim:
    statement = f"With products that round ({product}) the units of some widths drift apart."
    claim = stated(statement, "more than 0 widths")
    runs = networks[networks["product"] == product]
    if runs.empty:
        return claim
    widths, broken = set(runs["width"]), set(runs.loc[runs["largest"] > 0.0, "width"])
    intact = ", ".join(map(str, sorted(widths - broken)))
    return claim.with_verdict(
        EXACTLY if broken else FAILS,
        f"{len(broken)} of {amount(len(widths), 'width')} break" + (f"; not {intact}" if intact else ""),
        len(broken),
        runs=len(runs),
        steps=int(runs["measured"].sum()),
        widths=widths_of(runs),
    )


def _amplification_claim(networks: pd.DataFrame) -> Claim:
    statement = (
        "Training amplifies the difference: it grows by more than as many rounding errors as there were steps. (A rule"
        " of thumb: no theorem bounds their sum.)"
    )
    amplified = Prediction("a factor > 1 over that sum", "min", lambda factor: factor > 1.0)
    claim = stated(statement, amplified.text)
    claim = decided(claim, amplified, networks.assign(value=networks["amplified"]), networks, "factor")
    median = number(float(networks["amplified"].median()))
    return claim._replace(measured=claim.measured and f"{claim.measured}, median {median}")


def _exponential_claim(networks: pd.DataFrame) -> Claim:
    straight = Prediction(
        f"its logarithm leaves a fitted line by at most {LARGEST_BEND:.0%} of its rise",
        "max",
        lambda bend: bend <= LARGEST_BEND,
    )
    claim = stated(
        "While it grows, the distance follows one exponential. (To be expected only where the symmetric solution hardly"
        " moves meanwhile.)",
        straight.text,
    )
    bends = networks["residual"] / networks["rise"]
    claim = decided(claim, straight, networks.assign(value=bends), networks, "share", met=WITHIN)
    slowest, fastest = (number(float(rate)) for rate in (networks["rate"].min(), networks["rate"].max()))
    words = f"{claim.measured}, median {number(float(bends.median()))}; rates from {slowest} to {fastest} per step"
    return claim._replace(measured=claim.measured and words)


def _learning_claim(networks: pd.DataFrame) -> Claim:
    statement = (
        f"Where rounding drives units further apart than {APART:g}, the network ends with a lower training loss. (No"
        " theorem: different units may also find a worse place.)"
    )
    lower = Prediction("a lower training loss than with exact products", "min", lambda gain: gain > 0.0)
    exact = networks[networks["product"] == EXACT].groupby("width")["loss"].min()
    apart = networks[(networks["product"] != EXACT) & (networks["distance"] > APART)]
    gains = apart["width"].map(exact) - apart["loss"]
    claim = stated(statement, lower.text)
    claim = decided(claim, lower, apart.assign(value=gains), apart, "gain")
    return claim._replace(measured=claim.measured and change(gains.min(), gains.max()))


def _conclusion(networks: pd.DataFrame, claims: list[Claim]) -> str:
    """How many widths each product breaks, and what that does to the loss."""
    sentences = []
    exact, *rounding, _, _, learning = claims
    if exact.verdict == EXACTLY:
        sentences.append(
            f"Products that do not round keep equal units at distance 0 at all {_widths(networks, EXACT)}."
        )
    shares = [
        f"{claim.number:.0f} of {_widths(networks, product)} ({product})"
        for claim, product in zip(rounding, ROUNDING, strict=True)
        if claim.verdict != NOT_TESTED
    ]
    if shares:
        sentences.append(f"On this machine, products that round break the symmetry at {' and '.join(shares)}.")
    if learning.verdict == EXACTLY:
        consequence = f"its training loss ends {learning.measured}"
        sentences.append(f"Where that drives units apart, the symmetric start seems to learn: {consequence}.")
    return " ".join(sentences)


def _widths(networks: pd.DataFrame, product: str) -> str:
    return amount(networks.loc[networks["product"] == product, "width"].nunique(), "width")
