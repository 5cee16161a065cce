"""Which runs stand for their starts, in all figures of single runs: a symmetric and a random one, equal in all else.

One rule: the random start with the lowest final loss that has a symmetric partner, and that partner (``chosen_pair``).
Where runs were recorded (``record_weights``) only these are asked, so that the pictures of weights, the slider and the
pictures of an example show the same runs.
"""

import math
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from analysis.errors import ReportError
from analysis.figures.kit.drawing import NotShownError
from analysis.figures.kit.words import final_metric, part_of
from analysis.tracked.tables import Tables, Weights
from analysis.wording import SWEEP
from pipeline import names

SYMMETRIC = ("constant", "zeros")  # The first that has a partner is shown.
PARTLY_RANDOM = ("perturbed", "duplicated", "mirrored")  # Shown only where no other random start has a partner.
SHARED_GROUPS = ("model", "data", "optimizer", "training", "arithmetic", "dtype", "seed")
COMMAND = f"{SWEEP} model=mlp init=constant,xavier_uniform"
MOMENTS = {"before": "initial", "after": "final"}
LONGEST_NAME = 30


def scheme_of(run: "pd.Series[Any]") -> str:
    """The initialisation of a run with the numbers that make it.

    >>> scheme_of(pd.Series({"init": "perturbed", "init.value": 0.1, "init.epsilon": 1e-6}))
    'perturbed 0.1 ± 1e-06'
    """
    numbers = {"constant": ("value",), "perturbed": ("value", "epsilon")}.get(str(run["init"]), ())
    values = " ± ".join(f"{run[f'init.{key}']:g}" for key in numbers)
    name = f"{run['init']} {values}".rstrip()
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"


def title_of(kind: str, run: "pd.Series[Any]") -> str:
    """A start as figures and the slider call it; a perturbed one is said to be so once.

    >>> title_of("perturbed", pd.Series({"init": "perturbed", "init.value": 0.1, "init.epsilon": 1e-6}))
    'perturbed start: 0.1 ± 1e-06'
    """
    return f"{kind} start: {scheme_of(run).removeprefix(f'{kind} ')}"


class Start(NamedTuple):
    """One run of the pair.

    Attributes:
        run: its row of the table of runs.
        kind: ``symmetric``, ``random`` or ``partly random``.
        incoming: moment (``before``, ``after``) -> incoming weights of the first hidden layer, (inputs, units).
        distinct: moment -> units that differ in any bit of their incoming weights, bias or outgoing weights.
    """

    run: "pd.Series[Any]"
    kind: str
    incoming: dict[str, np.ndarray]
    distinct: dict[str, int]

    @property
    def title(self) -> str:
        """What figures call it."""
        return title_of(self.kind, self.run)


class Pair(NamedTuple):
    """Two runs that differ in nothing but their initialisation, by which metric they were chosen, and among which."""

    symmetric: Start
    random: Start
    metric: str
    is_of_recorded: bool

    @property
    def inputs(self) -> int:
        """Width of the input."""
        return int(self.random.incoming["before"].shape[0])

    @property
    def units(self) -> int:
        """Width of the first hidden layer."""
        return int(self.random.incoming["before"].shape[1])

    @property
    def starts(self) -> tuple[Start, Start]:
        """Both, the symmetric one first."""
        return self.symmetric, self.random

    @property
    def loss_name(self) -> str:
        """``test loss`` or ``training loss``: what ``metric`` is called in a text."""
        return f"{part_of(self.metric)} loss"

    @property
    def numbers(self) -> dict[str, Any]:
        """Values for the captions of both figures."""
        run = self.random.run
        return {
            "data": run["data"],
            "inputs": self.inputs,
            "units": self.units,
            "rate": run[names.RATE],
            "seed": run["seed"],
            "steps": run["training.steps"],
            "loss_name": self.loss_name,
            "symmetric": self.symmetric.run["init"],
            "symmetric_loss": self.symmetric.run[self.metric],
            "symmetric_distinct": self.symmetric.distinct["after"],
            "among": " and recorded" if self.is_of_recorded else "",
            "random": run["init"],
            "random_loss": run[self.metric],
            "random_distinct": self.random.distinct["after"],
        }


def chosen_pair(tables: Tables) -> Pair:
    """The random start with the lowest final loss that has a symmetric partner, and that partner.

    Partners share every setting but the initialisation: model, data, optimiser with its learning rate, training,
    arithmetic and seed. The loss is that of ``final_metric``. Layers of more than
    one unit go first. Diverged runs are left out, and where some were recorded, those that were not.

    Raises:
        NotShownError: there is no such pair, or its weights cannot be read.
    """
    runs = tables.runs
    hidden = runs[[len(widths) > 0 for widths in runs["model.hidden_units"]]]
    if hidden.empty:
        raise NotShownError("no run has hidden units", COMMAND)
    usable = hidden[~hidden["diverged"].astype(bool)]
    recorded = is_recorded(usable)
    usable = _with_order(usable[recorded] if recorded.any() else usable)
    random = usable[~usable["init"].isin(SYMMETRIC)]
    metric = final_metric(usable, "loss") or names.LOSS_TRAIN
    order = [metric, "init", "seed", "run_id"]
    for scheme in SYMMETRIC:
        symmetric = usable[usable["init"] == scheme]
        paired = random[random["settings"].isin(symmetric["settings"]) & random[metric].notna()]
        if len(paired):
            best = paired.sort_values(["single_unit", "partly_random", *order]).iloc[0]
            partner = symmetric[symmetric["settings"] == best["settings"]].sort_values(order).iloc[0]
            kind = "partly random" if best["partly_random"] else "random"
            return Pair(_start(tables, partner, "symmetric"), _start(tables, best, kind), metric, bool(recorded.any()))
    raise NotShownError(
        "no run from constant or zero weights shares model, data, learning rate and seed with one from random weights"
        " (diverged runs do not count)",
        COMMAND,
    )


def is_recorded(runs: pd.DataFrame) -> "pd.Series[bool]":
    """Whether a run was recorded at all measured steps (``record_weights``)."""
    if "record_weights" not in runs:
        return pd.Series(False, runs.index)
    seeds = runs["record_weights"]
    return pd.Series(
        [isinstance(listed, tuple) and seed in listed for listed, seed in zip(seeds, runs["seed"], strict=True)],
        runs.index,
        dtype=bool,
    )


def image_side(data: str, inputs: int) -> int:
    """Side of the square that the inputs are the pixels of; 0 where they are not pixels."""
    side = math.isqrt(inputs)
    return side if side**2 == inputs and (data == "idx" or (data == "digits" and side == 8)) else 0


class Recorded(NamedTuple):
    """A recorded run that stands for its start.

    Attributes:
        run: its row of the table of runs.
        kind: ``symmetric``, ``random``, ``partly random``.
        arrays: its recording (``Tables.recorded``).
    """

    run: "pd.Series[Any]"
    kind: str
    arrays: Weights

    @property
    def scheme(self) -> str:
        """The initialisation with the numbers that make it."""
        return scheme_of(self.run)

    @property
    def title(self) -> str:
        """What figures and the slider call it."""
        return title_of(self.kind, self.run)


def recorded_starts(tables: Tables) -> list[Recorded]:
    """The pair of ``chosen_pair``, and between them a third recorded start with the same settings, if there is one.

    That is a perturbed one, else another symmetric one.

    Raises:
        NotShownError: no such pair was recorded, or its recordings cannot be read.
    """
    pair = chosen_pair(tables)
    hidden = tables.runs["model.hidden_units"].map(len) > 0
    runs = _with_order(tables.runs[hidden & is_recorded(tables.runs) & ~tables.runs["diverged"].astype(bool)])
    if pair.symmetric.run["run_id"] not in set(runs["run_id"]):
        raise NotShownError("no run was recorded at its measured steps", f"{COMMAND} seed=0 record_weights=[0]")
    settings = pair.random.run["settings"]
    others = runs[(runs["settings"] == settings) & runs["init"].isin(("perturbed", *SYMMETRIC))]
    others = others[others["init"] != pair.symmetric.run["init"]].sort_values(["init", "run_id"])
    chosen = [(pair.symmetric.run, pair.symmetric.kind), (pair.random.run, pair.random.kind)]
    if len(others):
        third = others.iloc[0]
        chosen.insert(1, (third, "perturbed" if third["init"] == "perturbed" else "symmetric"))
    try:
        return [Recorded(run, kind, tables.recorded(run["run_id"])) for run, kind in chosen]
    except ReportError as error:
        raise NotShownError(str(error), f"{COMMAND} seed=0 record_weights=[0] rerun=true") from None


def _with_order(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs with ``settings`` (one text of everything that partners share), ``single_unit``, ``partly_random``."""
    params = [column for column in map(str, runs) if "/" not in column]
    shared = sorted(param for param in params if param.split(".")[0] in SHARED_GROUPS)
    # repr, because None, NaN and numbers must all compare as themselves.
    texts = [repr(values) for values in runs[shared].itertuples(index=False, name=None)]
    single = [widths[0] == 1 for widths in runs["model.hidden_units"]]
    return runs.assign(settings=texts, single_unit=single, partly_random=runs["init"].isin(PARTLY_RANDOM))


def _start(tables: Tables, run: "pd.Series[Any]", kind: str) -> Start:
    try:
        arrays = tables.weights(run["run_id"])
    except ReportError as error:
        raise NotShownError(str(error), f"{COMMAND} rerun=true") from None
    incoming, distinct = {}, {}
    for moment, prefix in MOMENTS.items():
        incoming[moment] = arrays[f"{prefix}_weights1"]
        whole = [incoming[moment].T, arrays[f"{prefix}_weights2"]]
        if f"{prefix}_biases1" in arrays:
            whole.append(arrays[f"{prefix}_biases1"][:, None])
        # Adding 0.0 makes -0.0 and 0.0 one number.
        distinct[moment] = len({unit.tobytes() for unit in np.hstack(whole) + 0.0})
    return Start(run, kind, incoming, distinct)
