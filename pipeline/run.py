"""Command line: trains, measures and tracks one run, or a sweep of runs with ``-m``.

python -m pipeline.run                      # one run
python -m pipeline.run -m                   # the default sweep
python -m pipeline.run model=logistic init=zeros training.steps=500
python -m pipeline.run --help               # groups, options and examples
"""

import logging
import os
import sys
import time
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig
from threadpoolctl import threadpool_limits

from pipeline import names
from pipeline.composition import checked_config, comes_from_hydra, complaint
from pipeline.errors import FailedJobsError, InputError
from pipeline.stacking import RunResult, train_stack
from pipeline.sweep import current_sweep, run_name, save_curves

log = logging.getLogger(__name__)

SHOWN = (names.LOSS_TRAIN, names.LOSS_TEST, names.ACCURACY_TEST, names.DISTANCE, names.DISTINCT_UNITS)
FULL_ERROR = "HYDRA_FULL_ERROR"


@hydra.main(version_base="1.3", config_path="../conf", config_name="config")
def run(composed: DictConfig) -> float:
    """Trains and tracks one run; returns its final test loss (training loss without a test part), for sweepers."""
    try:
        return _train_and_track(composed)
    except InputError as error:
        if current_sweep() is None:
            # Hydra would announce an exception with lines of its own; an exit passes it silently.
            sys.exit(str(error))
        raise


def _train_and_track(composed: DictConfig) -> float:
    config = checked_config(composed)
    # Importing MLflow takes seconds, and a wrong key should not have to wait for it.
    from pipeline.tracking import Tracker

    sweep = current_sweep()
    tracker = Tracker(config.experiment_name)
    name = run_name(config, sweep.swept_keys if sweep else ("model", "init", "optimizer.learning_rate", "seed"))
    parent = sweep.parent if sweep else None
    start_time = time.time()
    try:
        # Products this small gain nothing from BLAS threads, and lose much where other processes compete for the cores.
        with threadpool_limits(limits=1, user_api="blas"):
            (result,) = train_stack([config])
    except Exception as error:
        run_id = tracker.log_failure(config, error, name, parent, start_time)
        log.error("%s failed: %s: %s (traceback in run %s)", name, type(error).__name__, error, run_id)
        raise
    run_id = tracker.log_result(config, result, name, parent, start_time)
    if sweep:
        save_curves(Path(HydraConfig.get().runtime.output_dir), run_id, result.curves)
    job = f"{HydraConfig.get().job.num + 1}/{sweep.jobs} " if sweep else ""
    log.info("%s%s: %s (%.1f s, run %s)", job, name, _summary(result), time.time() - start_time, run_id)
    return result.last.get(names.LOSS_TEST, result.last[names.LOSS_TRAIN])


def _summary(result: RunResult) -> str:
    numbers = [f"{key} {result.last[key]:.4g}" for key in SHOWN if key in result.last]
    if result.diverged_at is not None:
        numbers.insert(0, f"diverged at step {result.diverged_at}")
    return ", ".join(numbers)


def main() -> None:
    """Runs the command line; a user's mistake ends in one line and exit code 1."""
    wants_traceback = os.environ.get(FULL_ERROR) == "1"
    # Without it Hydra prints several lines of its own and exits; with it the exception arrives here.
    os.environ[FULL_ERROR] = "1"
    try:
        run()
    except (InputError, FailedJobsError) as error:
        sys.exit(str(error))
    except Exception as error:
        if wants_traceback or not comes_from_hydra(error):
            raise
        sys.exit(complaint(error, sys.argv[1:]))


if __name__ == "__main__":
    main()
