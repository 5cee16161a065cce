"""One job under Hydra: train, measure and track one run; name runs by the values that are swept."""

import json
import logging
import sys
from collections.abc import Sequence
from typing import Any

from hydra.conf import HydraConf
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from pipeline import names
from pipeline.compose.complaints import told
from pipeline.compose.dump import plain
from pipeline.compose.resolve import check_working_folder, checked_config, has_sweep
from pipeline.config.parse import check_measures
from pipeline.config.schema import Config
from pipeline.data.examples import FILES
from pipeline.errors import InputError, TrainingError
from pipeline.executors.batch import Batch, Failure, require_driver_data
from pipeline.executors.interface import open_executor
from pipeline.system.signals import stoppable
from pipeline.tracking.records import Times, one_line_of, record_of
from pipeline.tracking.sweeps import current_sweep
from pipeline.training.description import described_data, in_words
from pipeline.training.fingerprint import fingerprint
from pipeline.training.stack import RunResult

NAME_LENGTH = 24
"""What the table of the runs view shows whole."""
LONGEST_NAME = 250
"""What MLflow stores."""
LETTERS = range(NAME_LENGTH, 2, -1)


def varying_keys(jobs: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """The keys whose values differ between the jobs, in the order of the overrides.

    >>> varying_keys([["model=mlp", "seed=0"], ["model=mlp", "seed=1"], ["model=mlp", "seed=1", "training.l2=0"]])
    ('seed', 'training.l2')
    """
    values: dict[str, list[str]] = {}
    for job in jobs:
        for override in job:
            key, _, value = override.partition("=")
            values.setdefault(key.lstrip("+~"), []).append(value)
    # A key that some jobs leave at its default differs between them too.
    return tuple(key for key, found in values.items() if len(set(found)) > 1 or len(found) < len(jobs))


def run_name(config: Config, keys: Sequence[str]) -> str:
    """The values of ``keys``, their words cut as little as a name of 24 characters allows: ``mlp constant 0.1 s3``.

    Which run it is, is told by its params; no name is read back.
    """
    flat = config.flattened()
    values = [(key, flat[key]) for key in keys if key in flat]
    name = ""
    for letters in LETTERS:
        name = " ".join(shortened(key, value, letters) for key, value in values)
        if len(name) <= NAME_LENGTH:
            break
    return name[:LONGEST_NAME] or "run"


def shortened(key: str, value: Any, letters: int) -> str:
    """A value in few characters; a number that is no learning rate or seed has the name of its key before it.

    >>> shortened("init", "xavier_uniform", 3), shortened("model.bias", False, 3), shortened("seed", 3, 3)
    ('xav_uni', 'no bia', 's3')
    >>> shortened("optimizer.learning_rate", 1.0, 9), shortened("init.epsilon", 1e-9, 9), shortened("data.limit", 50, 3)
    ('1', 'epsilon 1e-09', 'lim 50')
    """
    name = key.rpartition(".")[2]
    if isinstance(value, str):
        return _cut(value.rpartition("/")[2], letters)
    if isinstance(value, bool):
        return _cut(name, letters) if value else f"no {_cut(name, letters)}"
    if isinstance(value, (list, tuple)):
        return "x".join(map(str, value)) or "none"
    text = f"{value:g}" if isinstance(value, float) else "null" if value is None else str(value)
    return {"seed": f"s{text}", "learning_rate": text}.get(name, f"{_cut(name, letters)} {text}")


def _cut(words: str, letters: int) -> str:
    return "_".join(word[:letters] for word in words.split("_"))


log = logging.getLogger(__name__)


def run(composed: DictConfig) -> float:
    """Trains and tracks one run; returns its final test loss (training loss without a test part), for sweepers."""
    hydra_section = HydraConfig.get()
    try:
        check_working_folder(hydra_section.job)
        config = checked_config(composed)
        check_asked([config], hydra_section)
        return _train_and_track(config)
    except InputError as error:
        if current_sweep() is None:
            # Hydra would announce an exception with lines of its own; an exit passes it silently.
            sys.exit(told(error, plain(hydra_section.overrides.task)))
        raise


def check_asked(configs: Sequence[Config], section: DictConfig | HydraConf) -> None:
    """Refuses to train what is to be planned only, and a sweep as a single run; every job of any launcher comes here.

    Args:
        configs: of the jobs that are launched together.
        section: ``hydra`` of the job or of its multirun.

    Raises:
        InputError: that is what it would be.
    """
    is_planned = any(config.plan for config in configs)
    is_single, choices = section.mode == RunMode.RUN, section.runtime.choices
    experiment, overrides = choices.get("experiment"), plain(section.overrides.task)
    is_prepared = experiment and "question=null" not in overrides and (configs[0].question or has_sweep(experiment))
    if is_single and is_prepared:
        raise InputError(
            f"experiment={experiment}: expected a sweep, so say -m too (or, to train one run of it,"
            " question=null and an experiment_name), got a single run"
        )
    try:
        if current_sweep() is None:
            check_measures(configs)
    except InputError as error:
        if is_single:
            raise
        log.warning(error)  # The sweeper of others may choose jobs later that have it.
    if is_planned and is_single:
        raise InputError("plan: expected false for a single run (or a sweep: -m), got true")
    if is_planned:
        raise InputError(
            f"plan: expected hydra/sweeper=symmetry, the one that plans, got hydra/sweeper={choices['hydra/sweeper']}"
        )


def log_data(configs: Sequence[Config]) -> None:
    """Says of each file of the user what was read."""
    for data in described_data([config for config in configs if config.data.name in FILES]):
        log.info(in_words(data))


def _train_and_track(config: Config) -> float:
    # Importing MLflow takes seconds, and a wrong key should not have to wait for it.
    from pipeline.tracking.tracker import Tracker

    sweep = current_sweep()
    if sweep is None:
        log_data([config])
    tracker = Tracker(config.experiment_name)
    name = run_name(config, sweep.swept_keys if sweep else names.NAMING_KEYS)
    if sweep is None:
        tracker.close_leftovers()
        kept = tracker.delete_repeated_runs(fingerprint(config))
        if kept and not config.rerun:
            run_id, loss = kept[-1].run_id, kept[-1].objective
            log.info(f"{name}: already tracked as run {run_id}, loss {loss:.4g}; rerun=true trains again")
            return loss
    with stoppable():
        with open_executor(config.executor) as executor:
            executor.submit(Batch((0,), (config,)))
            executor.wait()
            (batch, trained), *_ = executor.done()
        require_driver_data(batch, trained)
        (outcome,) = trained.outcomes
        record = record_of(config, outcome, name, sweep.parent if sweep else None, Times(trained.start, trained.end))
        if sweep is None and config.data.name in FILES:
            record.artifacts[names.DATA_FILE] = json.dumps(described_data([config])).encode()
        run_ids = tracker.log([record], sweep)
    line = f"{name}: {one_line_of(outcome)} ({trained.end - trained.start:.1f} s, {whereabouts(run_ids, 0)})"
    if isinstance(outcome, Failure):
        log.error(line)
        raise TrainingError(outcome.cause)
    log.info(line)
    if sweep is None:
        tracker.delete_repeated_runs(fingerprint(config))  # Another process may have tracked the same meanwhile.
    return objective(outcome)


def objective(result: RunResult) -> float:
    """What a sweeper minimises: the final loss (``names.FINAL_LOSSES``)."""
    return result.last[names.final_loss(result.last)]


def whereabouts(run_ids: Sequence[str] | None, position: int) -> str:
    """Where a run is tracked, given what the tracker returned for several."""
    return "waits for the tracking store" if run_ids is None else f"run {run_ids[position]}"
