"""How long do units stay alike before each finds its own? Committees that learn online, beside exact equations."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from analysis.claims.answer import Answer, question
from analysis.claims.claim import NOT_TESTED, UNDECIDED, Claim, stated
from analysis.claims.laws import judged, with_interval
from analysis.claims.verdicts import ZERO, around, decided, decided_for_every
from analysis.questions.specialisation.tables import UNITS, deviations_of, escapes_of, paths_of
from analysis.statistics.fits import Fit, line_fit, power_law_fit
from analysis.theory.committee import plateau_of
from analysis.tracked.tables import Tables
from analysis.wording import amount, number
from pipeline import names

EXPONENT_TOLERANCE = 0.1
TOLERANCE = 0.1
SETTLED = 0.5
"""On a plateau from this share of the time on."""


@question(figures=())
def answer(tables: Tables) -> Answer:
    """Equal units and their plateau; how near runs are to the equations; how long the plateau is."""
    paths = paths_of(tables)
    deviations, escapes = deviations_of(paths), escapes_of(paths)
    claims = [
        _alike_claim(tables, paths),
        _plateau_claim(paths),
        _deviation_claim(
            deviations[deviations["epsilon"] == 0.0], "equal units, on the way to their plateau and on it"
        ),
        _deviation_claim(deviations[deviations["epsilon"] > 0.0], "units that differ and leave the plateau"),
        _growth_claim(escapes),
        _time_claim(escapes),
    ]
    return Answer(claims, _conclusion(claims, paths, escapes))


def _alike_claim(tables: Tables, paths: pd.DataFrame) -> Claim:
    claim = stated(
        "Units that start equal stay equal, however many examples come: their distance is 0.", ZERO.text, True
    )
    runs = tables.runs[tables.runs["run_id"].isin(paths.loc[paths["epsilon"] == 0.0, "run_id"])]
    found = decided(claim, ZERO, tables.values(runs, [names.symmetry("distance_max")]), runs, "distance")
    most = 0 if runs.empty else int(runs["training.steps"].max())
    return found._replace(measured=f"{found.measured}, over up to {most} examples") if found.runs else found


def _plateau_claim(paths: pd.DataFrame) -> Claim:
    """The error is a mean over time, because single examples move it."""
    statement = "They stay on their plateau: at the end their error is that of the fixed point of the equations."
    claim = stated(statement, f"mean error over that one, for every learning rate: 1 ± {TOLERANCE:g}")
    longest = paths[(paths["epsilon"] == 0.0) & (paths["ends"] == paths.groupby("rate")["ends"].transform("max"))]
    late = longest[longest["time"] > SETTLED * longest["ends"]]
    if late.empty:
        return claim
    plateaus = {rate: plateau_of(UNITS, rate) for rate in late["rate"].unique()}
    ratios = late.assign(value=late["error"] / late["rate"].map(lambda rate: plateaus[rate].error))
    values = ratios.groupby("run_id", as_index=False).agg({"rate": "first", "value": "mean"})
    values = values.rename(columns={"rate": "case"})
    found = decided_for_every(claim, around(1.0, TOLERANCE), values, values, "ratio", _at_rate)
    each = "; ".join(f"{number(late.loc[late['rate'] == rate, 'error'].mean(), 3)} where {number(point.error, 3)} was"
                     f" predicted ({_at_rate(rate)})" for rate, point in sorted(plateaus.items()))  # fmt: skip
    return found._replace(measured=f"{each}; {found.measured}")


def _at_rate(rate: float) -> str:
    return f"at rate {rate:g} / N"


def _deviation_claim(deviations: pd.DataFrame, who: str) -> Claim:
    statement = f"Overlaps of {who}, deviate from the equations like N^-1/2."
    claim = stated(statement, f"exponent {number(-0.5)}, its interval within ± {EXPONENT_TOLERANCE:g}")
    fit = deviation_fit(deviations)
    if fit is None:
        return claim
    over = f"N {10.0**fit.first:.0f} to {10.0**fit.last:.0f}"
    found = judged(claim, fit, -0.5, EXPONENT_TOLERANCE, "exponent", over)
    sizes = deviations.groupby("inputs")["deviation"].mean()
    told = ", ".join(f"{number(value)} at N = {inputs}" for inputs, value in sizes.items())
    return found._replace(measured=f"{found.measured}; deviation {told}")


def deviation_fit(deviations: pd.DataFrame) -> Fit | None:
    """The power of N in the deviations of runs, by seed; None for a single N."""
    if deviations["inputs"].nunique() < 2:
        return None
    return power_law_fit(
        deviations["inputs"].to_numpy(float), deviations["deviation"].to_numpy(float), deviations["seed"].to_numpy()
    )


def left(escapes: pd.DataFrame) -> pd.DataFrame:
    """The escapes of seeds of which every run at that rate and N has left, where several differences were tried."""
    law = ["rate", "inputs", "ends"]
    several = escapes.groupby(law)["epsilon"].transform("nunique") > 1
    complete = escapes["time"].notna().groupby([escapes[key] for key in [*law, "seed"]]).transform("all")
    return escapes[several & complete]


def growth_fits(escapes: pd.DataFrame) -> dict[float, Fit]:
    """Learning rate times N -> the line of the time against ln(1 / epsilon)."""
    points = left(escapes)
    of_rates = {rate: points[points["rate"] == rate] for rate in sorted(set(points["rate"]))}
    return {
        rate: line_fit(-np.log(group["epsilon"].to_numpy()), group["time"].to_numpy(), group["seed"].to_numpy())
        for rate, group in of_rates.items()
    }


def _growth_claim(escapes: pd.DataFrame) -> Claim:
    """Seed by seed: its slope over the differences, times lambda."""
    statement = "The plateau lasts 1 / lambda longer for each factor e by which the difference is smaller."
    claim = stated(statement, f"time a factor e, times lambda, for every learning rate: 1 ± {TOLERANCE:g}")
    points = left(escapes)
    if points.empty:
        return claim._replace(measured=_censored(escapes))
    rows = [
        {"case": rate, "run_id": of_seed["run_id"].iloc[0], "value": fit.slope * plateau_of(UNITS, rate).growth}
        for _, of_seed in points.groupby("seed")
        for rate, fit in growth_fits(of_seed).items()
    ]
    values = pd.DataFrame(rows)
    found = decided_for_every(claim, around(1.0, TOLERANCE), values, points, "time a factor e, times lambda,", _at_rate)
    fits = growth_fits(escapes)
    told = "; ".join(f"{with_interval(fit)} where {number(1.0 / plateau_of(UNITS, rate).growth, 3)} was predicted"
                     f" ({_at_rate(rate)})" for rate, fit in fits.items())  # fmt: skip
    return _with_censored(found._replace(measured=f"{told}; {found.measured}"), escapes)


def _time_claim(escapes: pd.DataFrame) -> Claim:
    """The mean over the differences that a seed started with, because its examples are the same ones."""
    statement = "Units leave when the equations say, from where each run started."
    claim = stated(statement, f"time over that of the equations, for every learning rate: 1 ± {TOLERANCE:g}")
    points = left(escapes)
    if points.empty:
        return claim._replace(measured=_censored(escapes))
    ratios = points.assign(case=points["rate"], value=points["time"] / points["predicted"])
    values = ratios.groupby(["case", "seed"], as_index=False).agg({"value": "mean", "run_id": "first"})
    found = decided_for_every(claim, around(1.0, TOLERANCE), values, points, "ratio", _at_rate)
    spread = f"single runs {number(ratios['value'].min(), 3)} to {number(ratios['value'].max(), 3)}"
    return _with_censored(found._replace(measured=f"{found.measured}; {spread}"), escapes)


def _censored(escapes: pd.DataFrame) -> str:
    stuck = int(escapes["time"].isna().sum())
    return f"{stuck} of {amount(len(escapes), 'run')} had not left by the end" if stuck else ""


def _with_censored(claim: Claim, escapes: pd.DataFrame) -> Claim:
    """The seeds that are left are those that leave early: then nothing is decided."""
    words = _censored(escapes)
    return claim._replace(measured=f"{claim.measured}; {words}", verdict=UNDECIDED) if words else claim


def _conclusion(claims: Sequence[Claim], paths: pd.DataFrame, escapes: pd.DataFrame) -> str:
    alike, _, deviation, _, growth, _ = claims
    sentences = []
    if alike.verdict != NOT_TESTED and alike.number == 0.0:
        sentences.append("Units that start equal never part.")
    if growth.verdict != NOT_TESTED:
        told = [f"{number(fit.slope * np.log(10.0), 3)} N at rate {rate:g} / N"
                for rate, fit in growth_fits(escapes).items()]  # fmt: skip
        sentences.append(f"A difference ten times smaller takes more examples: {', '.join(told)}.")
    if deviation.verdict != NOT_TESTED:
        largest = paths["inputs"].max()
        sentences.append(
            f"Overlaps of equal units deviate from the equations of infinitely many inputs like N to the power"
            f" {number(deviation.number)}, measured up to N = {largest}."
        )
    return " ".join(sentences)
