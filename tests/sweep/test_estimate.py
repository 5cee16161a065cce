"""What plan=true says is what the sweep then does, and saying it changes nothing."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.sweep import estimate
from pipeline.sweep.estimate import Estimate, LaunchCost, estimate_sweep, time_stack
from pipeline.system.memory import in_units
from pipeline.training.datasets import dataset_of
from pipeline.training.footprint import recorded_bytes, shape_of
from pipeline.training.loop import log_spaced_steps, measured_count
from tests.support.configurations import configuration
from tests.support.sweeps import completed

SWEEP = ("-m", "model=mlp", "init=normal", "optimizer.learning_rate=0.1", "seed=range(6)", "data=iris",
         "training.steps=20", "training.batch_size=null", "model.hidden_units=[4],[5],[6]")  # fmt: skip


def content(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_the_plan_counts_what_the_sweep_then_does_and_writes_nothing(tmp_path: Path) -> None:
    planned = completed(tmp_path, *SWEEP, "plan=true")
    assert list(tmp_path.iterdir()) == []
    assert "18 jobs: 0 already tracked, 18 to train" in planned
    (said,) = re.findall(r"Would train (\d+) jobs of 3 stacks in (\d+) batches, (\d+) at once", planned)
    trained = completed(tmp_path, *SWEEP)
    assert re.findall(r"Training (\d+) jobs in (\d+) batches, (\d+) at once", trained) == [said]

    before = content(tmp_path)
    again = completed(
        tmp_path, *SWEEP, "seed=range(7)", "executor=inline", "plan=true", "hydra.sweeper.max_batch_size=2"
    )
    assert "21 jobs: 18 already tracked, 3 to train" in again
    assert "Would train 3 jobs of 3 stacks in 3 batches and 2 launches" in again
    assert content(tmp_path) == before


def test_the_estimate_is_the_time_that_training_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that counts steps and measurements instead of seconds makes the arithmetic exact."""
    now = [0.0]

    def train_stack(configs: list[object]) -> None:
        training = configs[0].training  # type: ignore[attr-defined]
        measured = len(log_spaced_steps(training.steps, training.measure_at))
        now[0] += len(configs) * (0.5 + 0.01 * training.steps + 0.1 * measured)

    monkeypatch.setattr(estimate, "train_stack", train_stack)
    monkeypatch.setattr(estimate.time, "process_time", lambda: now[0])
    config = configuration({"training.steps": 2000, "training.measure_at": 40})
    measured = measured_count(2000, 40)
    cost = time_stack([config] * 3)
    assert cost.preparation == pytest.approx(0.0, abs=1e-9)
    assert cost.training == pytest.approx(0.5 + 0.01 * 2000 + 0.1 * measured)


def test_workers_take_the_next_batch_when_they_are_free() -> None:
    launch = LaunchCost(preparation=0.5, batches=(3.0, 1.0, 1.0, 2.0))
    assert [launch.seconds(workers) for workers in (1, 2, 3, 100)] == [7.5, 4.5, 3.5, 3.5]
    plan = Estimate(jobs=5, stacks=1, launches=(launch, LaunchCost(0.5, (1.0,))), memory=1, slots=2)
    assert [plan.seconds(workers) for workers in (1, 100)] == [9.0, 5.0]


def test_jobs_that_are_launched_apart_train_in_batches_of_their_own() -> None:
    configs = [
        configuration({"data": "iris", "training.steps": 4, "seed": seed, "executor": "inline"}) for seed in range(5)
    ]
    plan = estimate_sweep([configs[:3], configs[3:]])
    assert (plan.jobs, plan.stacks, [len(launch.batches) for launch in plan.launches]) == (5, 1, [1, 1])
    assert plan.launches[0].batches[0] == pytest.approx(1.5 * plan.launches[1].batches[0])
    assert "5 jobs of 1 stacks in 2 batches and 2 launches (hydra.sweeper.max_batch_size), 1 at once" in str(plan)


def test_the_plan_says_what_recorded_weights_take_on_disk() -> None:
    changes = {"data": "iris", "training.steps": 20, "model.hidden_units": [4], "executor": "inline"}
    configs = [configuration(changes | {"seed": seed, "record_weights": [0, 2]}) for seed in range(4)]
    plan = estimate_sweep([configs])
    (kept,) = {recorded_bytes(config, shape_of(dataset_of(config.data))) for config in configs}
    assert (plan.recorded, plan.recorded_bytes) == (2, 2 * kept)
    assert f"  Weights at all measured steps of 2 of them: {in_units(2 * kept)} (record_weights)\n" in str(plan)
    assert "record_weights" not in str(replace(plan, recorded=0))
