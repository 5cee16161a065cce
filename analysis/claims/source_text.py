"""The statements of the source text, decided by the tracked runs.

Each claim looks at its own runs, finds the number furthest from its prediction, and takes its verdict from that number
alone. Exact arithmetic and plain BLAS products are judged apart: rounding is not what the statements are about, but
what it does to them is worth a row.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from analysis.claims.claim import FAILS, WITHIN, Claim
from analysis.claims.learning import optimum_claim, width_claim
from analysis.claims.verdicts import POSITIVE, ZERO, Prediction, decided
from analysis.theory.gradient_check import gradient_check
from analysis.tracked.tables import Tables
from analysis.wording import MINUS, SWEEP
from pipeline import names

SYMMETRIC = ("zeros", "constant")
ZERO_AT_ZERO = ("tanh", "relu", "leaky_relu", "gelu", "identity")
RANDOM = (
    "uniform",
    "normal",
    "orthogonal",
    *(f"{s}_{d}" for s in ("xavier", "he", "lecun") for d in ("uniform", "normal")),
)
GRADIENT_TOLERANCE = 1e-6


def claims_of(tables: Tables) -> list[Claim]:
    """All claims, in the order of the source; those about hidden layers once per arithmetic that occurs."""
    arithmetics = sorted(set(tables.runs["arithmetic"]), key=["exact", "blas"].index)
    hidden = [claim for arithmetic in arithmetics for claim in _hidden_layer_claims(tables, arithmetic)]
    widths = [width_claim(arithmetic, *_starts(tables, arithmetic)) for arithmetic in arithmetics]
    return [_gradient_claim(), *hidden, optimum_claim(tables), *widths]


def claims_table(claims: Sequence[Claim]) -> pd.DataFrame:
    """The claims as a frame, one row each, for ``claims.csv``."""
    return pd.DataFrame(claims, columns=Claim._fields)


def _gradient_claim() -> Claim:
    check = gradient_check()
    return Claim(
        "1",
        "",
        f"The gradient of the negative log likelihood of logistic regression is Xᵀ(s {MINUS} y) with sᵢ = s(w·xᵢ).",
        "0 up to the error of a finite difference",
        f"largest deviation from central differences {check.corrected:.1e} (with s({MINUS}w·xᵢ), as printed:"
        f" {check.printed:.2g})",
        check.corrected,
        WITHIN if check.corrected < GRADIENT_TOLERANCE < check.printed else FAILS,
    )


def _starts(tables: Tables, arithmetic: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The networks from equal and from random weights; dropout and random biases break the symmetry by themselves."""
    runs = tables.runs
    chosen = (runs["model"] == "mlp") & (runs["arithmetic"] == arithmetic) & (runs["model.dropout"] == 0.0)
    if "init.bias_scale" in runs:
        chosen &= runs["init.bias_scale"] == 0.0
    networks = runs[chosen]
    return networks[networks["init"].isin(SYMMETRIC)], networks[networks["init"].isin(RANDOM)]


def _hidden_layer_claims(tables: Tables, arithmetic: str) -> Iterator[Claim]:
    symmetric, broken = _starts(tables, arithmetic)
    resting = symmetric[(symmetric["init"] == "zeros") & symmetric["model.activation"].isin(ZERO_AT_ZERO)]
    moving = symmetric.drop(resting.index)
    layers = range(1, 1 + max(map(len, tables.runs["model.hidden_units"])))
    distances = [names.symmetry(key, layer) for key in ("distance_max", "outgoing_distance") for layer in layers]
    activations, deltas = (
        [names.symmetry(key, layer) for layer in layers] for key in ("activation_spread", "delta_spread")
    )

    def judged(
        identity: str,
        statement: str,
        prediction: Prediction,
        chosen: pd.DataFrame,
        metrics: Sequence[str],
        step: int | None = None,
    ) -> Claim:
        claim = Claim(identity, arithmetic, statement, prediction.text, command=SWEEP)
        values = tables.values(chosen, metrics)
        measures = dict.fromkeys("spread" if metric.endswith("spread") else "distance" for metric in metrics)
        at_step = values if step is None else values[values["step"] == step]
        return decided(claim, prediction, at_step, chosen, " or ".join(measures))

    alike = "From equal weights, all hidden {} of an example are equal."
    differ = "The deltas of the outputs differ from each other."
    still_alike = "After one step the hidden units still have equal incoming and outgoing weights."
    now_differ = "After one step the outgoing weights to different outputs differ."
    rest = "From zeros, with g(0) = 0, no weight moves: neither layer receives a gradient."
    outputs = [names.OUTPUT_WEIGHT_SPREAD]
    yield judged("2b", alike.format("activations"), ZERO, symmetric, activations)
    yield judged("2c", alike.format("deltas"), ZERO, symmetric, deltas)
    yield judged("2d", differ, POSITIVE, symmetric, [names.OUTPUT_DELTA_SPREAD])
    yield judged("2e, hidden", still_alike, ZERO, symmetric, distances, step=1)
    yield judged("2e, outputs", now_differ, POSITIVE, moving, outputs, step=1)
    yield judged("2e, a = 0", rest, ZERO, resting, [*distances, *outputs])
    yield judged("2f", "All of this holds after every step.", ZERO, symmetric, [*activations, *deltas, *distances])
    closest = [names.symmetry("distance_min", layer) for layer in layers]
    claim = Claim("2g-i", arithmetic, "Random initialisation breaks the symmetry.", POSITIVE.text, command=SWEEP)
    yield decided(claim, POSITIVE, _resolved(tables, tables.values(broken, closest)), broken, "distance")


def _resolved(tables: Tables, values: pd.DataFrame) -> pd.DataFrame:
    """The values before the loss of a run has grown by more than its arithmetic resolves, on its way to overflow.

    Beside steps of that size the differences between units fall below the last bit, so that different units round to
    one: it says nothing of their start.
    """
    losses = tables.curves[tables.curves["metric"] == names.LOSS_TRAIN].set_index(["run_id", "step"])["value"]
    first = losses[losses.index.get_level_values("step") == 0].droplevel("step")
    resolution = tables.runs.set_index("run_id")["dtype"].map(lambda dtype: np.finfo(dtype).eps)
    loss = losses.reindex(pd.MultiIndex.from_frame(values[["run_id", "step"]])).to_numpy()
    largest = (first / resolution).reindex(values["run_id"]).to_numpy()
    return values[~(loss > largest)]
