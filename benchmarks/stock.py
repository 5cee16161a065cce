"""The same task as a plain Hydra application with MLflow, as its users write it: the peer of ``benchmarks.sweep``.

    BENCHMARK_TRACKING=fluent|batch python -m benchmarks.stock -m hydra/launcher=basic hydra/sweeper=basic ...

It trains with this project's trainer, one run a job, so that only launching and tracking differ.
"""

import os
import time

import hydra
import mlflow
from mlflow.entities import Metric, Param
from omegaconf import DictConfig

from pipeline import PROJECT
from pipeline.compose.resolve import checked_config
from pipeline.config.schema import Config
from pipeline.training.stack import RunResult, train_stack


def log_fluently(config: Config, result: RunResult) -> None:
    """One call for every number, as in most tutorials."""
    with mlflow.start_run():
        mlflow.log_params(config.flattened())
        for key, curve in result.curves.items():
            for step, value in curve:
                mlflow.log_metric(key, value, step=step)


def log_in_one_batch(config: Config, result: RunResult) -> None:
    """The careful way: one call with all numbers of a run."""
    timestamp = int(time.time() * 1000)
    metrics = [Metric(key, value, timestamp, step) for key, curve in result.curves.items() for step, value in curve]
    params = [Param(key, str(value)) for key, value in config.flattened().items()]
    with mlflow.start_run() as run:
        mlflow.MlflowClient().log_batch(run.info.run_id, metrics=metrics, params=params)


LOGGING = {"fluent": log_fluently, "batch": log_in_one_batch}


@hydra.main(version_base="1.3", config_path=str(PROJECT / "conf"), config_name="config")
def run(composed: DictConfig) -> None:
    """Trains and tracks one run."""
    config = checked_config(composed)
    mlflow.set_experiment(config.experiment_name)
    (result,) = train_stack([config])
    LOGGING[os.environ["BENCHMARK_TRACKING"]](config, result)


if __name__ == "__main__":
    run()
