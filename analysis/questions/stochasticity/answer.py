"""Which randomness breaks the symmetry? One source of randomness at a time, on top of the order of the minibatches."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from analysis.claims.answer import Answer, question
from analysis.claims.claim import EXACTLY, FAILS, NOT_TESTED, Claim, stated, widths_of
from analysis.claims.verdicts import MORE, ZERO, decided, decided_for_every
from analysis.statistics.breaking import APART, breaking_steps
from analysis.statistics.intervals import sample_mean
from analysis.tracked.tables import Tables
from analysis.wording import amount, change, listed, number
from pipeline import names

MINIBATCHES = "minibatch order"
Holds = Callable[[pd.DataFrame], "pd.Series[bool]"]
KEEPING: dict[str, Holds] = {
    "momentum": lambda runs: runs["optimizer"] == "momentum",
    "Adam": lambda runs: runs["optimizer"] == "adam",
    "weight decay": lambda runs: runs["optimizer.weight_decay"] > 0.0,
}
BREAKING: dict[str, Holds] = {
    "dropout": lambda runs: runs["model.dropout"] > 0.0,
    "random biases": lambda runs: runs["init.bias_scale"] > 0.0,
    "random outgoing weights": lambda runs: _is_random(runs, layer=2),
    "random incoming weights": lambda runs: _is_random(runs, layer=1),
}
"""Source of randomness -> the runs that have it. What acts on all units alike, and what tells them apart."""
GIVEN = "random incoming weights"
"""These are what the distance is made of: that they differ is no finding."""
PREDICTED_TO_BREAK = {MINIBATCHES: False} | dict.fromkeys(KEEPING, False) | dict.fromkeys(BREAKING, True)
FIRST_APART = 2
"""The step from which incoming weights are predicted to differ. Equal outgoing weights under a softmax, whose deltas
add up to 0, send nothing back in step 1; it moves the outgoing weights alone."""
SPREADS = ("distance_max", "outgoing_distance", "activation_spread", "delta_spread")


def _is_random(runs: pd.DataFrame, layer: int) -> "pd.Series[bool]":
    """Whether the weights of a layer, counted from 1, are random."""
    starts = runs.get("init.values", pd.Series(None, runs.index, dtype=object))
    return starts.map(lambda values: isinstance(values, (list, tuple)) and values[layer - 1] is None).astype(bool)


def networks_with_one_source(tables: Tables) -> pd.DataFrame:
    """Networks of one hidden layer with constant weights, minibatches and at most one other source of randomness.

    The runs' columns, ``source``, and ``breaks_at``: the step at which their units are apart (inf: never).
    """
    runs = tables.runs[tables.runs["init"].isin(["constant", "constant_layers"]) & ~tables.runs["diverged"]]
    runs = runs[(runs["model.hidden_units"].map(len) == 1) & runs["training.batch_size"].notna()]
    runs = runs[runs["arithmetic"] == "exact"]
    sources = pd.DataFrame({source: holds(runs) for source, holds in (KEEPING | BREAKING).items()}, index=runs.index)
    alone = sources.sum(axis=1) == 1
    runs = runs.assign(source=np.where(alone, sources.idxmax(axis=1), MINIBATCHES))[sources.sum(axis=1) <= 1]
    return runs.assign(breaks_at=runs["run_id"].map(breaking_steps(tables)))


@question(figures=("loss_over_steps",))
def answer(tables: Tables) -> Answer:
    """Source by source whether it ever breaks the symmetry, when, and whether the network then learns more."""
    networks = networks_with_one_source(tables)
    keeping = [_keeping_claim(tables, networks, source) for source, breaks in PREDICTED_TO_BREAK.items() if not breaks]
    breaking = [_breaking_claim(tables, networks, source) for source in BREAKING]
    claims = [*keeping, *breaking, _learning_claim(tables, networks)]
    return Answer(claims, _conclusion(networks, claims))


def _keeping_claim(tables: Tables, networks: pd.DataFrame, source: str) -> Claim:
    """Every spread between units, at every step, in all runs with the source."""
    claim = stated(f"{_capital(source)} never breaks the symmetry.", ZERO.text)
    runs = networks[networks["source"] == source]
    values = tables.values(runs, [names.symmetry(measure) for measure in SPREADS])
    return decided(claim, ZERO, values, runs, "distance or spread")


def _breaking_claim(tables: Tables, networks: pd.DataFrame, source: str) -> Claim:
    """The step at which the units are apart, and whether the distance leaves 0 as early as it can."""
    claim = stated(
        f"{_capital(source)} alone {'break' if source.endswith('s') else 'breaks'} the symmetry.",
        f"distance above 0 from step {FIRST_APART} on, and {APART:g} reached by every run",
        is_check=source == GIVEN,
    )
    runs = networks[networks["source"] == source].sort_values("breaks_at")
    distances = tables.values(runs, [names.DISTANCE])
    later = distances.loc[distances["step"] >= FIRST_APART, "value"]
    if later.empty:
        return claim
    mean, low, high = sample_mean(runs["breaks_at"])
    holds = later.min() > 0.0 and np.isfinite(mean)
    censored = int(np.isinf(runs["breaks_at"]).sum())
    reached = f"{APART:g} reached at step {mean:.1f} on average"
    if censored:
        reached = (
            f"{APART:g} not reached by {censored} of {amount(len(runs), 'run')} in {runs['training.steps'].max()} steps"
        )
    return claim.with_verdict(
        EXACTLY if holds else FAILS,
        f"smallest distance from step {FIRST_APART} on {number(float(later.min()))}; {reached}",
        mean,
        runs=len(runs),
        steps=len(distances),
        widths=widths_of(runs),
        interval=(max(low, 0.0), high) if np.isfinite(mean) and len(runs) > 1 else (np.nan, np.nan),
        worst_run=str(runs["run_id"].iloc[-1]),
    )


def _gains(networks: pd.DataFrame) -> pd.DataFrame:
    """By how much the final loss (``value``) is lower with a source that breaks (``case``) than with none, by seed."""
    key = ["model.hidden_units", names.RATE, "seed"]
    symmetric = networks[networks["source"] == MINIBATCHES].groupby(key)[names.LOSS_TRAIN].min().rename("symmetric")
    broken = networks[networks["source"].isin(BREAKING)].merge(symmetric, left_on=key, right_index=True)
    width = broken["model.hidden_units"].map(lambda units: units[0])
    cases = broken["source"] + ", width " + width.astype(str)
    return broken.assign(case=cases, value=broken["symmetric"] - broken[names.LOSS_TRAIN])


def _learning_claim(tables: Tables, networks: pd.DataFrame) -> Claim:
    """Whether the network learns more with each source that breaks."""
    claim = stated(
        "On these data, what breaks the symmetry of the units also lets the network learn more than one unit can. (It"
        " need not: where the symmetry of the inputs stays, different units still see only the sum of the inputs.)",
        "lower final training loss than with minibatches alone, at the same width and seed, for every source",
    )
    broken = _gains(networks)
    found = decided_for_every(claim, MORE, broken, broken, change, "with {}".format, EXACTLY)
    distances = tables.values(broken, [names.INPUT_DISTANCE])
    if distances.empty or not found.runs:
        return found
    last = distances[distances["step"] == distances.groupby("run_id")["step"].transform("max")]
    apart = number(float(last["value"].min()))
    return found._replace(measured=f"{found.measured}; smallest mean distance between inputs at the end {apart}")


def _conclusion(networks: pd.DataFrame, claims: list[Claim]) -> str:
    """What kept the symmetry, what broke it and when."""
    sentences = []
    verdicts = dict(zip(PREDICTED_TO_BREAK, claims, strict=False))
    held = {source: claim for source, claim in verdicts.items() if claim.verdict == EXACTLY}
    kept = [source for source in held if not PREDICTED_TO_BREAK[source]]
    if kept:
        steps = int(networks["training.steps"].max())
        sentences.append(
            f"With {listed(kept)} the hidden units stay exactly equal (distance 0) at every step up to {steps}."
        )
    times = sorted((claim.number, source) for source, claim in held.items() if PREDICTED_TO_BREAK[source])
    if times:
        apart = listed([f"{source} (step {step:.0f})" for step, source in times])
        sentences.append(f"Each of these drives them {APART:g} apart, on average at the step given: {apart}.")
    learning = claims[-1]
    if learning.verdict != NOT_TESTED:
        means = _gains(networks).groupby("case")["value"].mean()
        sentences.append(
            f"The mean final training loss is then {change(means.min(), means.max())} than with minibatches alone."
        )
    return " ".join(sentences)


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
