"""What exactly happens from zero? Which parameters move, when, and what the network then predicts.

With all weights 0, every hidden activation is g(0) and every hidden delta is 0. The gradient of the output weights has
the factor g(0), so where g(0) = 0 it is 0 for ever; where it is not, the output weights move in the first step, the
weights below them in the second, and so on down. The output biases receive the sum of the output deltas, which is the
difference between predicted and true class frequencies.
"""

from collections.abc import Iterator

import pandas as pd

from analysis.claims.answer import Answer, question
from analysis.claims.claim import WITHIN, Claim, stated
from analysis.claims.source_text import ZERO_AT_ZERO
from analysis.claims.verdicts import POSITIVE, ZERO, Prediction, decided
from analysis.tracked.tables import Tables
from analysis.wording import amount, number
from pipeline import names

ROUNDED = 2.0**-20
"""Exact products round the deltas, which are the errors of the predicted frequencies, to 21 bits."""
SETTING = ["data", "data.seed", "model.hidden_units"]


def parameters_of(tables: Tables) -> pd.DataFrame:
    """One row per run from zeros and kind of parameters of a layer: the columns of ``runs`` and what it did.

    ``metric`` is the key of its movement, ``kind`` is weights or biases, ``layer`` counts from 1, ``from_output`` from
    the output layer (1) down, ``moves`` is the first measured step with a movement (NaN: it never moves) and
    ``largest`` the largest movement.
    """
    runs = tables.runs
    from_zeros = (runs["model"] == "mlp") & (runs["init"] == "zeros") & (runs["model.dropout"] == 0.0)
    runs = runs[from_zeros & ~runs["diverged"]]
    layers = range(1, 2 + max(map(len, runs["model.hidden_units"]), default=0))
    keys = [(names.movement(kind, layer), kind, layer) for kind in ("weights", "biases") for layer in layers]
    known = pd.DataFrame(keys, columns=["metric", "kind", "layer"])
    movements = tables.values(runs, list(known["metric"])).merge(known, on="metric")
    movements = movements.assign(moves=movements["step"].where(movements["value"] > 0.0))
    table = movements.groupby(["run_id", "metric", "kind", "layer"], as_index=False).agg(
        moves=("moves", "min"), largest=("value", "max")
    )
    table = table.merge(runs, on="run_id")
    weights = [len(units) + 1 for units in table["model.hidden_units"]]
    return table.assign(from_output=[depth + 1 - layer for depth, layer in zip(weights, table["layer"], strict=True)])


def is_balanced(runs: pd.DataFrame) -> "pd.Series[bool]":
    """Whether the classes have equal sizes, which the start then predicts: its gap to their frequencies is 0."""
    return runs["first_gap"] <= ROUNDED


@question(figures=())
def answer(tables: Tables) -> Answer:
    """Verdicts on what moves and when, on the class frequencies, and on what is learned beyond them."""
    parameters = _with_first_gap(tables, parameters_of(tables))
    balanced = is_balanced(parameters)
    resting = parameters["model.activation"].isin(ZERO_AT_ZERO)
    rest, move = (parameters[of & ~balanced].drop_duplicates("run_id") for of in (resting, ~resting))
    claims = [
        *_resting_claims(tables, parameters[resting & ~balanced]),
        *_moving_claims(tables, parameters[~resting & ~balanced], parameters[resting & ~balanced]),
        _balanced_claim(tables, parameters[balanced & parameters["training.batch_size"].isna()]),
        _plateau_claim(gains_over_frequencies(move, rest)),
    ]
    return Answer(claims, _conclusion(claims))


def _with_first_gap(tables: Tables, parameters: pd.DataFrame) -> pd.DataFrame:
    gaps = tables.values(parameters, [names.FREQUENCY_GAP])
    first = gaps[gaps["step"] == 0].set_index("run_id")["value"]
    return parameters.assign(first_gap=parameters["run_id"].map(first).astype(float))


def _resting_claims(tables: Tables, parameters: pd.DataFrame) -> Iterator[Claim]:
    """Where g(0) = 0 and the classes differ in size."""
    runs = parameters.drop_duplicates("run_id")
    is_output_bias = (parameters["kind"] == "biases") & (parameters["from_output"] == 1)
    resting = stated("Where g(0) = 0, no weight and no hidden bias ever moves.", ZERO.text)
    yield decided(resting, ZERO, _movements(tables, parameters[~is_output_bias]), runs, "movement")
    moved = _movements(tables, parameters[is_output_bias])
    moving = stated("The output biases move from the first step on.", POSITIVE.text)
    yield decided(moving, POSITIVE, moved[moved["step"] > 0], runs, "movement")
    reached = Prediction(f"difference to them at most {ROUNDED:.2g} at the end", "max", lambda gap: gap <= ROUNDED)
    full = _by_gradient_descent(runs)
    gaps = tables.values(full, [names.FREQUENCY_GAP])
    last = gaps["step"] == gaps.groupby("run_id")["step"].transform("max")
    claim = stated("They take the network to the class frequencies (full batch, gradient descent).", reached.text)
    what = "difference between a predicted probability and a class frequency"
    yield decided(claim, reached, gaps[last], full, what, met=WITHIN)


def _moving_claims(tables: Tables, parameters: pd.DataFrame, resting: pd.DataFrame) -> Iterator[Claim]:
    """Where g(0) is not 0 and the classes differ in size."""
    runs = parameters.drop_duplicates("run_id")
    # What never moves is as late as the last step.
    moves = parameters["moves"].fillna(parameters["training.steps"])
    late = parameters.assign(step=moves, value=(moves - parameters["from_output"]).abs())
    downwards = "Where g(0) is not 0, the output layer moves in step 1, the layer below it in step 2, and so on down."
    claim = stated(downwards, "0 steps earlier or later")
    yield decided(claim, ZERO, late[["run_id", "step", "value"]], runs, "deviation in steps")
    depths = range(1, 1 + max(map(len, runs["model.hidden_units"]), default=0))
    keys = [names.symmetry(measure, layer) for measure in ("distance_max", "outgoing_distance") for layer in depths]
    claim = stated("The units of every hidden layer stay equal: each layer learns as one unit.", ZERO.text)
    yield decided(claim, ZERO, tables.values(runs, keys), runs, "distance")
    gains = gains_over_frequencies(runs, resting.drop_duplicates("run_id"))
    is_shallow = gains["model.hidden_units"].map(len) == 1
    more = Prediction(f"training loss lower by more than {ROUNDED:.2g}", "min", lambda gain: gain > ROUNDED)
    statement = "So with one hidden layer they learn more than the class frequencies (full batch, gradient descent)."
    claim = stated(statement, more.text)
    claim = decided(claim, more, gains[is_shallow], runs, "gain in training loss")
    yield claim._replace(measured=f"{claim.measured}: {_gains_in_words(gains[is_shallow])}") if claim.runs else claim


def _plateau_claim(gains: pd.DataFrame) -> Claim:
    """Where deeper networks are still at the class frequencies, and where they have left them.

    At the frequencies the output deltas have the mean 0, and from zero the inputs of all layers but the first hardly
    vary with the example. So all that moves the lower layers goes through output weights that only got as far as the
    classes differ in size: they are small where that is little, and the way out is as slow as they are small.
    """
    earlier = Prediction("gap of all that stay over that of all that leave: < 1", "max", lambda ratio: ratio < 1.0)
    claim = stated(
        "With two hidden layers or more the class frequencies are a plateau, and the longer, the less the sizes of the"
        " classes differ: what has not left it had the smaller gap to the frequencies at the start (full batch,"
        " gradient descent).",
        earlier.text,
    )
    gains = gains[gains["model.hidden_units"].map(len) > 1]
    has_left = gains["value"] > ROUNDED
    stay, leave = gains[~has_left], gains[has_left]
    steps = f"{_gains_in_words(gains)}, after {gains['training.steps'].max()} steps" if len(gains) else ""
    if stay.empty or leave.empty:
        return claim._replace(measured=steps and f"{steps}; with some on either side,")
    values = stay.assign(value=stay["first_gap"] / leave["first_gap"].min())
    found = decided(claim, earlier, values, gains, "ratio", met=WITHIN)
    return found._replace(measured=f"{found.measured}: {steps}", runs=len(gains))


def gains_over_frequencies(runs: pd.DataFrame, resting: pd.DataFrame) -> pd.DataFrame:
    """How far the final training loss of each run lies below that of the runs that only know the class frequencies.

    Returns:
        The columns of ``runs`` with ``step`` and ``value``; only full batches and gradient descent.
    """
    known = _by_gradient_descent(resting)[[*SETTING, names.LOSS_TRAIN]].drop_duplicates(SETTING)
    both = _by_gradient_descent(runs).merge(known, on=SETTING, suffixes=("", " at the frequencies"))
    gains = both[f"{names.LOSS_TRAIN} at the frequencies"] - both[names.LOSS_TRAIN]
    return both.assign(step=both["training.steps"], value=gains)


def _by_gradient_descent(runs: pd.DataFrame) -> pd.DataFrame:
    """Those whose steps have no noise."""
    return runs[runs["training.batch_size"].isna() & (runs["optimizer"] == "gd")]


def _gains_in_words(gains: pd.DataFrame) -> str:
    """How many runs gain and how much, and which ones do not."""
    more = gains["value"] > ROUNDED
    stay = gains[~more]
    settings = {
        f"{run['model.activation']} on {run['data']} with {amount(len(run['model.hidden_units']), 'hidden layer')}"
        for run in stay.to_dict("records")
    }
    least = f" {number(gains.loc[more, 'value'].min())} or more" if more.any() else ""
    rest = f"; {len(stay)} stay at the class frequencies ({', '.join(sorted(settings))})" if len(stay) else ""
    return f"{more.sum()} of {len(gains)} gain{least}{rest}"


def _balanced_claim(tables: Tables, parameters: pd.DataFrame) -> Claim:
    claim = stated("With classes of equal size (full batch) no weight and no bias moves, whatever g.", ZERO.text)
    return decided(claim, ZERO, _movements(tables, parameters), parameters.drop_duplicates("run_id"), "movement")


def _movements(tables: Tables, parameters: pd.DataFrame) -> pd.DataFrame:
    """The movements of these parameters at every measured step."""
    return tables.curves.merge(parameters[["run_id", "metric"]], on=["run_id", "metric"])


def _conclusion(claims: list[Claim]) -> str:
    resting, _, frequencies, _, _, learning, balanced, _ = claims
    sentences = {
        "Where g(0) = 0, the largest movement of any weight or hidden bias is {:.3g}": resting,
        "the output biases take the network to the class frequencies within {:.2g}": frequencies,
        "with classes of equal size the largest movement of any parameter is {:.3g}": balanced,
    }
    facts = [text.format(claim.number) for text, claim in sentences.items() if claim.runs]
    learned = learning.measured.partition(": ")[2]
    said = f"{'; '.join(facts)}. " if facts else ""
    more = f"Sigmoid and softplus networks move from the output down, each layer as one unit; with one layer {learned}."
    return said + (more if learned else "")
