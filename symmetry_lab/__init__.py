"""The laboratory from Python: a sweep is a call, its runs are a frame.

>>> from symmetry_lab import sweep  # doctest: +SKIP
>>> runs = sweep("model=mlp", "init=constant,he_normal", "seed=range(5)")  # doctest: +SKIP
>>> runs.curves("loss/train")  # tidy: run, step, value  # doctest: +SKIP
>>> runs.weights(0).final[0].weights  # (fan_in, fan_out) of the first layer  # doctest: +SKIP
>>> analysis.loss_over_steps(runs)  # every figure of the report  # doctest: +SKIP

- command    the console command ``symmetry-lab``
- reference  the page of all configuration keys, ``docs/configuration.md``

This package stands above ``pipeline`` and ``analysis``, which know nothing of it.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pipeline.errors import ExecutorLostError, FailedJobsError, InputError, StoreLostError

if TYPE_CHECKING:
    import pandas as pd

    from analysis.tracked.runs import Runs

__all__ = ["ExecutorLostError", "FailedJobsError", "InputError", "StoreLostError", "load", "sweep"]


def sweep(*overrides: str, track: bool = True, frame: "pd.DataFrame | None" = None) -> "Runs":
    """Trains what is missing of a sweep and returns all of its runs, in the order of the jobs.

    It does what ``python -m pipeline.run -m`` does with the same overrides: the same keys and checks, executors, MLflow
    store, resume and bits; keys that are not named are swept as ``conf/config.yaml`` says. In a notebook or on a
    terminal a bar shows the progress; what the command would print goes to Python's logging at level INFO.

    Args:
        overrides: such as ``"init=constant,he_normal"`` or ``"seed=range(5)"``.
        track: False writes nothing, neither to MLflow nor to disk, and trains everything.
        frame: a table to train on, for which ``data.target=...`` names the column of the labels, and all other keys of
            ``data=parquet`` hold. It is kept as a file in the folder ``data``, without tracking as a temporary one.

    Raises:
        InputError: a mistake, in one line that says what to type; nothing has been trained.
        FailedJobsError: some jobs raised; its ``finished`` are the runs of the others.
        StoreLostError, ExecutorLostError, KeyboardInterrupt: the same call goes on where it stopped.

    >>> runs = sweep("data=iris", "model=logistic,mlp", "init=zeros", "optimizer.learning_rate=0.1", "seed=0",
    ...              "training.steps=5", "executor=inline", track=False)
    >>> runs[["model", "init", "symmetry/distance"]]
          model   init  symmetry/distance
    0  logistic  zeros                NaN
    1       mlp  zeros                0.0
    """
    from pipeline.from_python import sweep_runs

    try:
        return _frame_of(sweep_runs(overrides, track=track, frame=frame))
    except FailedJobsError as error:
        raise FailedJobsError(str(error), _frame_of(error.finished)) from None


def load(experiment_name: str = "symmetry") -> "Runs":
    """The finished runs of an experiment in the tracking store, whoever has trained them; raises ``ReportError``."""
    from analysis.tracked.runs import load

    return load(experiment_name)


def _frame_of(found: Sequence[Any]) -> "Runs":
    """Tracked runs, or untracked ones, as a frame."""
    from analysis.tracked.runs import runs_held, runs_of
    from pipeline.from_python import UntrackedRun

    if all(isinstance(run, UntrackedRun) for run in found):
        return runs_held([run.record for run in found], [run.weights for run in found])
    return runs_of([run.run_id for run in found])
