"""Tables of the question ``schemes``: the size of signals at the start, and the losses at the end."""

from typing import Any

import numpy as np
import pandas as pd

from analysis.theory.signal_moments import RECOMMENDED_GAINS, SCHEMES, backward_moments, forward_moments, variances
from analysis.tracked.tables import Tables
from pipeline import names

MOMENTS = ["run_id", "activation", "init", "seed", "direction", "layer", "measured", "linear", "saturating"]
KINDS = {"forward": "pre_activation_mean_square", "backward": "delta_mean_square"}


def networks_of(tables: Tables) -> pd.DataFrame:
    """The runs of the compared schemes with at least two hidden layers: rows of ``tables.runs`` and their ``depth``.

    Of the networks of one depth only the widest count.
    """
    runs = tables.runs
    chosen = runs["init"].isin(SCHEMES) & runs["model.activation"].isin(RECOMMENDED_GAINS)
    networks = runs[chosen & (runs["model.dropout"] == 0.0)].rename(columns={"model.activation": "activation"})
    networks = networks.assign(depth=networks["model.hidden_units"].map(len))
    units = networks["model.hidden_units"].map(sum)
    widest = units == units.groupby(networks["depth"]).transform("max")
    return networks[widest & (networks["depth"] > 1)]


def moments_of(tables: Tables) -> pd.DataFrame:
    """Mean squares at the start, one row per activation, scheme, seed, direction and layer.

    Of the networks with the most seeds, the deepest count. Columns: ``MOMENTS``; ``linear`` and ``saturating`` are the
    predictions, which start from what was measured where the direction begins. Runs that differ in their learning rate
    start alike and count once.
    """
    networks = networks_of(tables)
    seeds = networks.groupby("depth")["seed"].transform("nunique")
    deepest = networks[seeds == seeds.max()]
    deepest = deepest[deepest["depth"] == deepest["depth"].max()]
    deepest = deepest.drop_duplicates(["activation", "init", "seed", "model.hidden_units"])
    start = tables.curves[(tables.curves["step"] == 0) & tables.curves["run_id"].isin(deepest["run_id"])]
    values = start.set_index(["run_id", "metric"])["value"]
    rows = []
    run: Any
    for run in deepest.sort_values(["activation", "init", "seed"]).to_dict("records"):
        measured = {
            direction: [values.get((run["run_id"], names.layer_measure(key, layer)), np.nan)
                        for layer in range(1, run["depth"] + 1)]
            for direction, key in KINDS.items()
        }  # fmt: skip
        predicted = {saturating: _predicted(run, measured, saturating) for saturating in (False, True)}
        for direction, moments in measured.items():
            for index, moment in enumerate(moments):
                rows.append({
                    "run_id": run["run_id"],
                    "activation": run["activation"], "init": run["init"], "seed": run["seed"], "direction": direction,
                    "layer": index + 1, "measured": moment, "linear": predicted[False][direction][index],
                    "saturating": predicted[True][direction][index],
                })  # fmt: skip
    return pd.DataFrame(rows).dropna() if rows else pd.DataFrame(columns=MOMENTS)


def _predicted(run: dict[str, Any], measured: dict[str, list[float]], saturating: bool) -> dict[str, np.ndarray]:
    widths, activation = run["model.hidden_units"], run["activation"]
    gain = run.get("init.gain")
    between = variances(run["init"], activation, None if gain is None or gain != gain else gain, widths)
    forward = forward_moments(measured["forward"][0], between, widths, activation, saturating)
    backward = backward_moments(measured["backward"][-1], forward, between, widths, activation, saturating)
    return {"forward": forward, "backward": backward}


def final_losses(tables: Tables) -> pd.DataFrame:
    """One row per activation, scheme, depth and seed: the final training loss at the scheme's best learning rate.

    The best is that with the lowest mean over seeds; one at which a run diverges counts as infinitely bad.
    """
    networks = networks_of(tables)
    networks = networks[networks["training.steps"] == networks["training.steps"].max()]
    keys = ["activation", "init", "depth"]
    losses = networks.assign(loss=networks[names.LOSS_TRAIN].where(~networks["diverged"], np.inf).astype(float))
    means: Any = losses.groupby([*keys, names.RATE], as_index=False)["loss"].mean()
    best = means.sort_values(["loss", names.RATE]).drop_duplicates(keys)[[*keys, names.RATE]]
    chosen: Any = losses.merge(best, on=[*keys, names.RATE])
    chosen = chosen[np.isfinite(chosen["loss"])].rename(columns={names.RATE: "learning_rate"})
    columns = [*keys, "learning_rate", "seed", "loss", "run_id"]
    return chosen[columns].sort_values([*keys, "seed"], ignore_index=True)
