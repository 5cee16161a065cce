"""How long is the plateau from a small start? Modes beside their exact curves, and escape times against epsilon."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.answer import Answer, question
from analysis.claim import FAILS, NOT_TESTED, WITHIN, Claim
from analysis.figures.drawing import Drawing, NotShownError, figure_of
from analysis.figures.style import legend_above, plain_log_ticks
from analysis.figures.words import amount, interval, number
from analysis.fits import Fit, line_fit, power_law_fit
from analysis.intervals import mean_with_interval
from analysis.laws import judged, rounded, with_common_factor, with_interval
from analysis.saddle_tables import ESCAPED, STARTS, costs_of_smallness, escapes_of, modes_of
from analysis.tables import Tables

COMMAND = "python -m pipeline.run -m experiment=saddle"
EXPONENT_TOLERANCE = 0.1
CURVE_TOLERANCES = {"aligned start": 0.02, "random start": 0.1}
"""Of a strength, as a share of its singular value. Gradient descent at learning rate 0.02 itself errs by about 0.01."""
ACTIVATIONS = {"identity": ("#029e73", "s"), "tanh": ("#d55e00", "^")}
SMALL_LAYERS = (2, 3, 4)


@question("saddle", figures=())
def answer(tables: Tables) -> Answer:
    """The exact curve from both starts; then the exponent for every number of small layers and activation."""
    modes, escapes = modes_of(tables), escapes_of(tables)
    claims = [_curve_claim(str(place), start, modes) for place, start in enumerate(STARTS.values(), start=1)]
    for small in SMALL_LAYERS:
        for activation in ACTIVATIONS:
            claims.append(_escape_claim(str(len(claims) + 1), activation, small, escapes))
    return Answer(claims, _conclusion(claims))


def _curve_claim(identity: str, start: str, modes: pd.DataFrame) -> Claim:
    statement = f"From a small {start}, every mode of a two-layer linear network follows the exact curve."
    tolerance = CURVE_TOLERANCES[start]
    predicted = f"largest deviation below {tolerance:g} of the singular value"
    claim = Claim(identity, "", statement, predicted, command=COMMAND)
    data: Any = modes[modes["start"] == start]
    if data.empty:
        return claim
    deviation = (data["measured"] - data["exact"]).abs() / data["singular_value"]
    of_run: Any = deviation.groupby(data["run_id"]).max()
    worst: Any = data.loc[deviation.idxmax()]
    of_scale = of_run.groupby(data.groupby("run_id")["scale"].first()).mean()
    by_scale = ", ".join(f"{number(value)} at scale {scale:g}" for scale, value in of_scale.items())
    several = data["seed"].nunique() > 1
    _, low, high = (float(end[0]) for end in mean_with_interval(of_run.to_numpy()[:, None]))
    return claim._replace(
        measured=f"largest {number(float(deviation.max()))}, in mode {worst['mode']}; mean over runs of their largest:"
        f" {by_scale}",
        number=float(deviation.max()),
        low=low if several else np.nan,
        high=high if several else np.nan,
        verdict=WITHIN if deviation.max() <= tolerance else FAILS,
        runs=len(of_run),
        steps=len(data),
        worst_run="" if deviation.max() <= tolerance else str(worst["run_id"]),
        command="",
    )


def fits_of(points: pd.DataFrame) -> tuple[Fit, Fit] | None:
    """The powers of epsilon in the escape time, and in what a smaller epsilon adds to it; None for too few points.

    Args:
        points: the rows of ``escapes_of`` for one activation and number of small layers.
    """
    costs = costs_of_smallness(points)
    if costs["epsilon"].nunique() < 2 or (costs["cost"] <= 0.0).any():
        return None
    times, added = (
        power_law_fit(
            table["epsilon"].to_numpy(),
            with_common_factor(table[column].to_numpy(), table["group"].to_numpy()),
            table["group"].to_numpy(),
        )
        for table, column in ((points, "time"), (costs, "cost"))
    )
    return times, added


def _escape_claim(identity: str, activation: str, small: int, escapes: pd.DataFrame) -> Claim:
    law = "log(1/epsilon)" if small == 2 else f"epsilon^-{small - 2}"
    statement = f"With {small} small layers ({activation} units) the escape time goes like {law}."
    of_what = "of the time added per log of epsilon" if small == 2 else "of the time"
    exponent = 0.0 if small == 2 else 2.0 - small
    predicted = f"exponent {of_what} {number(exponent)}, its interval within ± {EXPONENT_TOLERANCE:g}"
    claim = Claim(identity, "", statement, predicted, command=COMMAND)
    points = escapes[(escapes["activation"] == activation) & (escapes["small"] == small)]
    fits = fits_of(points)
    if fits is None:
        return claim
    times, added = fits
    over = f"epsilon {10.0**times.first:.2g} to {10.0**times.last:.2g}"
    found = judged(claim, added if small == 2 else times, exponent, EXPONENT_TOLERANCE, "exponent", over)
    if small > 2:
        found = found._replace(
            measured=f"{found.measured}; of the time added per log of epsilon {with_interval(added)}"
        )
    return found._replace(runs=len(points), steps=len(points))


def _conclusion(claims: list[Claim]) -> str:
    """What fails comes first; then how close the exact curve is, and the exponents."""
    failed = [f"statement {claim.identity} ({claim.measured})" for claim in claims if claim.verdict == FAILS]
    sentences = [f"Not as predicted: {'; '.join(failed)}."] if failed else []
    curves, laws = claims[: len(STARTS)], claims[len(STARTS) :]
    tested = [f"{number(claim.number)} ({start})" for start, claim in zip(STARTS.values(), curves, strict=True)
              if claim.verdict != NOT_TESTED]  # fmt: skip
    if tested:
        sentences.append(
            f"The modes of linear networks stay on the exact curve up to {' and '.join(tested)} of their strength."
        )
    exponents = [f"{rounded(claim.number)} [{rounded(claim.low)}, {rounded(claim.high)}]" for claim in laws[2::2]
                 if claim.verdict != NOT_TESTED]  # fmt: skip
    if exponents and laws[0].verdict == WITHIN:
        sentences.append(
            f"Escape takes a time like log(1/epsilon) with 2 small layers; with 3 and 4 its exponents are"
            f" {' and '.join(exponents)}."
        )
    return " ".join(sentences)


@figure_of("saddle")
def saddle_modes(tables: Tables) -> Drawing:
    """Strengths of the modes over time beside the exact curves, a row per start and a column per scale.

    Raises:
        NotShownError: no two-layer linear network on white inputs.
    """
    data = modes_of(tables)
    if data.empty:
        raise NotShownError(f"no two-layer linear network learned data=whitened; {COMMAND}")
    starts = [start for start in STARTS.values() if start in set(data["start"])]
    scales, modes = sorted(set(data["scale"]), reverse=True), sorted(set(data["mode"]))
    colours = dict(zip(modes, colormaps["viridis"](np.linspace(0.0, 0.8, len(modes))), strict=True))
    canvas = Figure(figsize=(1.5 + 3.8 * len(scales), 0.8 + 2.7 * len(starts)), layout="constrained")
    grid = canvas.subplots(len(starts), len(scales), sharex=True, sharey=True, squeeze=False)
    for row, start in zip(grid, starts, strict=True):
        for axes, scale in zip(row, scales, strict=True):
            panel = data[(data["start"] == start) & (data["scale"] == scale)]
            for (mode, _), line in panel.groupby(["mode", "run_id"]):
                axes.plot(line["time"], line["measured"], color=colours[mode], lw=2.2, alpha=0.6)
                axes.plot(line["time"], line["exact"], "k:", lw=1.0)
            axes.set_title(f"{start}, scale {scale:g}, {amount(panel['run_id'].nunique(), 'run')}")
        row[0].set_ylabel("strength of the mode")
    for axes in grid[-1]:
        axes.set_xlabel("time (learning rate times steps)")
    styles: dict[str, dict[str, Any]] = {
        f"mode {mode}": {"color": colour, "lw": 2.2} for mode, colour in colours.items()
    }
    legend_above(canvas, styles | {"exact": {"color": "black", "ls": ":", "lw": 1.0}})
    values = ", ".join(number(value) for value in sorted(set(data["singular_value"].round(6)), reverse=True))
    return Drawing(canvas, data, {"runs": amount(data["run_id"].nunique(), "run"), "values": values})


@figure_of("saddle")
def saddle_escape(tables: Tables) -> Drawing:
    """Escape time against epsilon, a panel per number of small layers.

    Raises:
        NotShownError: no deep network with small layers left its plateau.
    """
    data = escapes_of(tables)
    if data.empty:
        raise NotShownError(f"no network with small layers left its plateau; {COMMAND}")
    smalls = sorted(set(data["small"]))
    canvas = Figure(figsize=(1.0 + 3.6 * len(smalls), 4.6), layout="constrained")
    for axes, small in zip(canvas.subplots(1, len(smalls), squeeze=False)[0], smalls, strict=True):
        for activation, (colour, marker) in ACTIVATIONS.items():
            points = data[(data["small"] == small) & (data["activation"] == activation)]
            if len(points):
                _draw_law(axes, points, activation, colour, marker)
        axes.set(title=f"{small} small layers", xlabel="epsilon", xscale="log")
        axes.minorticks_off()
        epsilons = sorted(set(data.loc[data["small"] == small, "epsilon"]))
        axes.set_xticks(epsilons, [f"{epsilon:g}" for epsilon in epsilons])
        if small != 2:
            times = data.loc[data["small"] == small, "time"]
            axes.set_yscale("log")
            plain_log_ticks(axes.yaxis, times.min(), times.max())
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), fontsize=8)
    canvas.axes[0].set_ylabel("escape time\n(learning rate times steps)")
    return Drawing(canvas, data, {"runs": amount(len(data), "run"), "share": f"{1.0 - ESCAPED:.0%}"})


def _draw_law(axes: Axes, points: pd.DataFrame, activation: str, colour: str, marker: str) -> None:
    """Points and fitted line: of the logarithms, or for 2 small layers of the time against the logarithm."""
    epsilon, fits, label = points["epsilon"].to_numpy(), fits_of(points), activation
    is_logarithm = int(points["small"].iloc[0]) == 2
    if fits is not None:
        ends = np.array([epsilon.min(), epsilon.max()])
        if is_logarithm:
            line = line_fit(np.log(epsilon), points["time"].to_numpy(), points["group"].to_numpy())
            axes.plot(ends, line.at(np.log(ends)), color=colour, lw=1.0)
            label += f": {number(-line.slope)} {interval(-line.high, -line.low)} per log"
        else:
            axes.plot(ends, 10.0 ** fits[0].at(np.log10(ends)), color=colour, lw=1.0)
            label += f": exponent {with_interval(fits[0])}"
    axes.plot(epsilon, points["time"], marker, color=colour, mfc="none", label=label)
