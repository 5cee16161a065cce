"""Tables of figure 8: gap to the optimum (or loss) of logistic regression, and its spread between starts, by step."""

from typing import NamedTuple

import pandas as pd

from analysis.figures.kit.drawing import NotShownError
from analysis.figures.kit.words import distinguishing, labelled, own_and_shared, param_texts, start_labels
from analysis.tracked.tables import Tables
from analysis.wording import SWEEP, amount, flat_model
from pipeline import names

MOST_PROBLEMS, MOST_RATES = 4, 6
COMMAND = f"{SWEEP} model=logistic init=zeros,constant,xavier_uniform"
OUTCOMES = {
    "attained": "an optimum exists",
    "separable": "the data are separable: no optimum, the loss tends to its infimum without reaching it",
    "undecided": "whether an optimum exists is undecided",
}
NOT_COMPUTED = "no optimum was computed for this loss"


class Problem(NamedTuple):
    """One objective and way of training, from several starts.

    Attributes:
        label: the data, and what else tells this problem from the others.
        outcome: whether there is an optimum, in words.
        metric: what is left is the gap to the optimum where there is one, else the training loss.
        runs: rows of ``Tables.runs``, diverged ones included.
        left: columns ``run_id``, ``start``, ``init``, ``learning_rate``, ``step``, ``value``, of runs that did not
            diverge.
        spreads: columns ``learning_rate``, ``seed``, ``step``, ``value`` (largest minus smallest training loss of the
            runs of one seed), ``runs``; only seeds with two starts or more.
    """

    label: str
    outcome: str
    metric: str
    runs: pd.DataFrame
    left: pd.DataFrame
    spreads: pd.DataFrame

    @property
    def rates(self) -> list[float]:
        """Learning rates, also those at which every run diverged."""
        return sorted(set(self.runs[names.RATE]))


def logistic_problems(tables: Tables) -> list[Problem]:
    """The problems of all runs of logistic regression, by label.

    Raises:
        NotShownError: there are no two starts to compare, or too many problems or learning rates.
    """
    runs = tables.runs[tables.runs["model"] == "logistic"]
    if runs.empty:
        raise NotShownError("no run is a logistic regression", COMMAND)
    if runs["diverged"].all():
        raise NotShownError(
            f"every {flat_model(runs)} diverged ({amount(len(runs), 'run')})",
            f"{COMMAND} optimizer.learning_rate=0.01,0.1",
        )
    runs = _with_labels(runs)
    problems = [_problem(tables, part) for _, part in runs.groupby(["problem", "outcome"], observed=True, sort=True)]
    if all(problem.spreads.empty for problem in problems):
        raise NotShownError(f"no two runs of {flat_model(runs)} differ in nothing but their initialisation", COMMAND)
    rates = max(len(problem.rates) for problem in problems)
    if len(problems) > MOST_PROBLEMS or rates > MOST_RATES:
        raise NotShownError(
            f"{amount(len(problems), 'problem')} by {amount(rates, 'learning rate')}, where {MOST_PROBLEMS} by"
            f" {MOST_RATES} have room",
            f"{SWEEP} experiment_name=NAME model=logistic ...",
        )
    return problems


def _with_labels(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs with columns ``problem``, ``outcome`` and ``start`` (an initialisation with its numbers)."""
    texts = param_texts(runs)
    _, shared = own_and_shared(texts)
    settings = distinguishing(
        texts, ["data"], [key for key in shared if key not in ("data", "model", names.RATE, "seed")]
    )
    kinds = runs["optimum"].fillna("").str.partition(":")[0]
    return runs.assign(
        problem=labelled(texts, ["data", *settings]),
        outcome=kinds.map(OUTCOMES).fillna(NOT_COMPUTED),
        start=start_labels(texts),
    )


def _problem(tables: Tables, runs: pd.DataFrame) -> Problem:
    label, outcome = (str(runs[column].iloc[0]) for column in ("problem", "outcome"))
    metric = names.OPTIMUM_GAP if outcome == OUTCOMES["attained"] else names.LOSS_TRAIN
    ended = runs.loc[~runs["diverged"], ["run_id", "init", "start", names.RATE, "seed"]]
    ended = ended.rename(columns={names.RATE: "learning_rate"})
    curves = tables.values(ended, {metric, names.LOSS_TRAIN}).merge(ended, on="run_id")
    left = curves.loc[curves["metric"] == metric, ["run_id", "start", "init", "learning_rate", "step", "value"]]
    return Problem(label, outcome, metric, runs, left, _spreads(curves[curves["metric"] == names.LOSS_TRAIN]))


def _spreads(losses: pd.DataFrame) -> pd.DataFrame:
    """Largest minus smallest training loss at each step, over the runs that share learning rate and seed."""
    groups = losses.groupby(["learning_rate", "seed", "step"], sort=True)
    spreads = groups["value"].agg(["max", "min", "size"])
    table = pd.DataFrame({"value": spreads["max"] - spreads["min"], "runs": spreads["size"]})
    return table[groups["start"].nunique() > 1].reset_index()
