"""What does gradient flow conserve? The balance of hidden units under steps of finite size."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.claims.answer import Answer, question
from analysis.claims.claim import WITHIN, Claim
from analysis.claims.laws import failures, judged, rounded, with_common_factor, with_interval
from analysis.figures.kit.drawing import Drawing, NotShownError, figure_of
from analysis.figures.kit.style import legend_above
from analysis.figures.kit.words import RATE
from analysis.statistics.fits import Fit, power_law_fit
from analysis.statistics.intervals import aggregated
from analysis.tracked.tables import Tables
from analysis.wording import amount, lost, number
from pipeline import names

COMMAND = "python -m pipeline.run -m experiment=conservation"
TOLERANCE = 0.05
COLOURS = {"relu": "#0173b2", "identity": "#029e73", "tanh": "#d55e00"}
MARKERS = {"relu": "o", "identity": "s", "tanh": "^"}


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
    plain &= runs["training.batch_size"].isna() & ~runs["diverged"] & runs["model.activation"].isin(COLOURS)
    chosen = runs.loc[plain, ["run_id", "model.activation", RATE, "seed", "training.steps"]]
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


@question("conservation", figures=())
def answer(tables: Tables) -> Answer:
    """For each activation: the power of the learning rate in the drift of one step, and in that over a fixed time."""
    data = drifts(tables)
    claims = [_claim(str(place), law, data) for place, law in enumerate(LAWS, start=1)]
    return Answer(claims, _conclusion(data, claims))


def _claim(identity: str, law: Law, data: pd.DataFrame) -> Claim:
    statement = law.statement.format(time=f"{fixed_time(data):g}")
    predicted = f"exponent {law.exponent:g}, its interval within ± {TOLERANCE:g}"
    claim = Claim(identity, "", statement, predicted, command=COMMAND)
    points = points_of(law, data)
    fit = fit_of(points)
    if fit is None:
        return claim
    over = f"learning rates {10.0**fit.first:.3g} to {10.0**fit.last:.3g}"
    return judged(claim, fit, law.exponent, TOLERANCE, "exponent", over)


def _conclusion(data: pd.DataFrame, claims: list[Claim]) -> str:
    """Fails first; then the exponents that hold, and how far relu and tanh have drifted with the smallest steps."""
    sentences = failures(claims)
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
        drifted = ", ".join(f"{number(smallest[name])} ({name})" for name in COLOURS if name in smallest)
        sentences.append(
            f"At the smallest learning rate, {ends['learning_rate'].min():g}, the mean drift is {drifted}."
        )
    return " ".join(sentences)


@figure_of("conservation")
def balance_over_time(tables: Tables) -> Drawing:
    """The largest drift over time, one line per learning rate, a panel per activation.

    Raises:
        NotShownError: the drift was not measured.
    """
    data = _shown(tables)
    lines = aggregated(data[data["step"] > 0], "value", by=["activation", "learning_rate", "time"])
    activations = [name for name in COLOURS if name in set(lines["activation"])]
    rates = sorted(set(lines["learning_rate"]))
    shades = colormaps["viridis"](np.linspace(0.0, 0.9, len(rates)))
    styles = {f"learning rate {rate:g}": {"color": shade} for rate, shade in zip(rates, shades, strict=True)}
    canvas = Figure(figsize=(1.2 + 3.0 * len(activations), 3.9), layout="constrained")
    grid = canvas.subplots(1, len(activations), sharex=True, sharey=True, squeeze=False)[0]
    for axes, name in zip(grid, activations, strict=True):
        for (_, style), rate in zip(styles.items(), rates, strict=True):
            line = lines[(lines["activation"] == name) & (lines["learning_rate"] == rate)]
            axes.plot(line["time"], line["value"], **style)
            axes.fill_between(line["time"], line["low"], line["high"], alpha=0.2, lw=0, **style)
        axes.set(title=name, xlabel="time (learning rate times steps)", xscale="log", yscale="log")
    grid[0].set_ylabel("largest drift of the balance\nof a hidden unit")
    legend_above(canvas, styles)
    return Drawing(canvas, lines, _numbers(tables, data) | {"runs_a_line": f"{lines['runs'].max()}"})


@figure_of("conservation")
def balance_exponents(tables: Tables) -> Drawing:
    """The drift after one step and over the fixed time against the learning rate, with the fitted power laws.

    Raises:
        NotShownError: the drift was not measured.
    """
    data = _shown(tables)
    canvas = Figure(figsize=(9.0, 5.0), layout="constrained")
    grid = canvas.subplots(1, 2, sharex=True)
    time = fixed_time(data)
    titles = "after one step", f"after the time {time:g}"
    parts = []
    for axes, title, is_one_step in zip(grid, titles, (True, False), strict=True):
        for law in (law for law in LAWS if law.is_one_step == is_one_step):
            points = points_of(law, data)
            if len(points):
                _draw_law(axes, law, points)
                parts.append(points.assign(after="one step" if is_one_step else f"time {time:g}"))
        axes.set(title=title, xlabel="learning rate", xscale="log", yscale="log")
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), fontsize=9)
    grid[0].set_ylabel("largest drift of the balance\nof a hidden unit")
    table = pd.concat(parts, ignore_index=True)[["after", "activation", "learning_rate", "seed", "value", "run_id"]]
    return Drawing(canvas, table, _numbers(tables, data))


def _draw_law(axes: Axes, law: Law, points: pd.DataFrame) -> None:
    colour, label, fit = COLOURS[law.activation], law.activation, fit_of(points)
    if fit is not None:
        label += f": exponent {with_interval(fit)}, predicted {law.exponent:g}"
        ends = np.array([fit.first, fit.last])
        axes.plot(10.0**ends, 10.0 ** fit.at(ends), color=colour, lw=1.0)
    axes.plot(points["learning_rate"], points["value"], MARKERS[law.activation], color=colour, mfc="none", label=label)


def _shown(tables: Tables) -> pd.DataFrame:
    data = drifts(tables)
    if data.empty:
        raise NotShownError(f"the balance was not measured; {COMMAND}")
    return data


def _numbers(tables: Tables, data: pd.DataFrame) -> dict[str, str]:
    return {
        "runs": amount(data["run_id"].nunique(), "run"),
        "lost": lost(int(tables.runs["diverged"].sum()), "they are left out"),
        "time": f"{fixed_time(data):g}",
    }
