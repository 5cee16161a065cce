"""Estimates of memory against the real peak of a process that trains, and what is refused because of them."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline.compose import grid
from pipeline.errors import InputError
from pipeline.system import memory
from pipeline.training import batching, footprint
from pipeline.training.checks import check_against_data
from pipeline.training.datasets import dataset_of
from pipeline.training.footprint import announced_shape, shape_of
from tests.support.command_line import PROJECT
from tests.support.configurations import configuration
from tests.support.in_process import call

# The libraries are loaded before the first measurement, so that only arrays lie between the two. Not from getrusage:
# its peak of a new process starts at that of the process which started it.
TRAINING = """
import json, re, sys
import scipy.optimize, sklearn.datasets
from dataclasses import replace
from pipeline.training.footprint import loading, prepared, shape_of, training
from pipeline.training.stack import dataset_of, train_stack
from tests.support.configurations import configuration

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1]) * 1024

config, runs = configuration(json.loads(sys.argv[1])), int(sys.argv[2])
before = peak()
train_stack([replace(config, seed=seed) for seed in range(runs)])
used = peak() - before
shape = shape_of(dataset_of(config.data))
of_runs = runs * training(config, shape, tracked=False).total()
print(used, max(loading(config, shape).total(), prepared(config, shape).total() + of_runs))
"""
WIDE = {"model.hidden_units": [1200, 1200], "training.steps": 1}
SHAPES: list[tuple[dict[str, Any], int]] = [
    ({"data": "moons", "model.hidden_units": [6000], "training.steps": 0}, 1),
    ({"data": "moons", "data.examples": 200_000, "model": "logistic", "training.l2": 0.0, "training.steps": 1}, 1),
]  # fmt: skip
SLOW_SHAPES: list[tuple[dict[str, Any], int]] = [
    ({"data": "moons", "data.examples": 9000, "model.hidden_units": [300], "model.activation": "gelu",
      "model.dropout": 0.3, "training.batch_size": None, "training.steps": 1}, 10),
    (WIDE, 1),
    ({"data": "moons", "data.examples": 2_000_000, "model.hidden_units": [4], "training.steps": 1}, 8),
]  # fmt: skip
MORE_SHAPES: list[tuple[dict[str, Any], int]] = [
    (WIDE | {"optimizer": "adam", "training.l2": 0.1}, 1),
    (WIDE | {"init": "orthogonal"}, 1),
    (WIDE | {"arithmetic": "blas"}, 1),
    (WIDE | {"arithmetic": "blas", "dtype": "float32", "model.hidden_units": [2000, 2000]}, 1),
    (WIDE | {"training.batch_size": None}, 2),
    ({"data": "blobs", "data.examples": 300_000, "data.classes": 20, "training.steps": 1}, 1),
    ({"data": "iris", "data.standardize": True, "training.steps": 2000, "training.measure_at": 10**9}, 50),
    ({"model.hidden_units": [600, 600], "training.steps": 1, "measures": ["layer_moments", "movement", "balance"]}, 6),
]


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
@pytest.mark.parametrize(
    ("changes", "runs"),
    [
        *SHAPES,
        *(pytest.param(*shape, marks=pytest.mark.slow) for shape in SLOW_SHAPES),
        *(pytest.param(*shape, marks=pytest.mark.soak) for shape in MORE_SHAPES),
    ],
    ids=[json.dumps(changes) for changes, _ in (*SHAPES, *SLOW_SHAPES, *MORE_SHAPES)],
)
def test_the_estimate_lies_up_to_a_third_above_the_real_peak(changes: dict[str, Any], runs: int) -> None:
    completed = subprocess.run(
        [sys.executable, "-c", TRAINING, json.dumps(changes), str(runs)],
        cwd=PROJECT, capture_output=True, text=True, check=True, timeout=300,
    )  # fmt: skip
    used, estimated = map(int, completed.stdout.split())
    assert used > 100e6, "too small to tell arrays from everything else"
    assert 0.95 < estimated / used < 4 / 3


HUGE = 10**40
REFUSED = [
    ({"model.hidden_units": [1_000_000]}, "model.hidden_units", "[1000000]", "TB"),
    ({"model.hidden_units": [100_000_000]}, "model.hidden_units", "[100000000]", "TB"),
    ({"model.hidden_units": [32, HUGE]}, "model.hidden_units", "...", "TB"),
    ({"data": "moons", "data.examples": 10**12}, "data.examples", "1000000000000", "140 TB"),
    ({"data": "spirals", "data.examples": HUGE}, "data.examples", "...", "TB"),
    ({"data": "blobs", "data.classes": 10**6, "data.examples": 2 * 10**6}, "data.classes", "1000000", " TB"),
    ({"data": "moons", "data.examples": 10**12, "model": "logistic"}, "data.examples", "1000000000000", "TB"),
    ({"training.steps": 10**9, "training.measure_at": 10**9}, "training.measure_at", "1000000000", "3.21 TB"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "key", "given", "size"), REFUSED, ids=[json.dumps(changes) for changes, *_ in REFUSED]
)
def test_what_no_machine_holds_is_refused_with_the_estimate_before_anything_is_made(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], key: str, given: str, size: str
) -> None:
    monkeypatch.setattr(memory, "machine_memory", lambda: 10**11)
    with pytest.raises(InputError) as caught:
        check_against_data(configuration(changes))
    message = str(caught.value)
    assert message.startswith(f"{key}: expected what fits into the 100 GB of memory here, got ")
    assert given in message
    assert message.endswith(size)
    assert len(message) < 250


@pytest.mark.parametrize("changes", [{"training.steps": 10**12}, {"training.steps": 50, "training.measure_at": 10**15}])
def test_many_steps_take_no_memory(changes: dict[str, Any]) -> None:
    check_against_data(configuration(changes))


@pytest.mark.parametrize(
    "arguments",
    [
        ["model=mlp", "model.hidden_units=[3000000]"],
        ["data=moons", "data.examples=2000000000000"],
        ["-m", "seed=range(1000000000000000)"],
        ["-m", "model=mlp", "init=normal", "seed=0", "model.hidden_units=[8],[3000000]"],
    ],
    ids=" ".join,
)
def test_the_command_line_refuses_in_one_line_and_tracks_nothing(tmp_path: Path, arguments: list[str]) -> None:
    completed = call("pipeline.run", *arguments, folder=tmp_path)
    assert completed.returncode == 1
    assert len(completed.stderr.splitlines()) == 1, completed.stderr
    assert "memory here" in completed.stderr
    assert "needs about" in completed.stderr
    assert not (tmp_path / "mlflow.db").exists()


def test_a_sweep_of_more_jobs_than_memory_can_list_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(footprint, "machine_memory", lambda: 10**9)
    footprint.check_jobs({"seed": 1000, "init": 100})
    with pytest.raises(InputError, match=r"^seed: .* got 10000 values, in a sweep of 1000000 jobs, .* about 5.35 GB$"):
        footprint.check_jobs({"seed": 10_000, "init": 100})
    assert grid.check_jobs is footprint.check_jobs


@pytest.mark.parametrize("changes", [
    {"data": "moons"}, {"data": "circles"}, {"data": "xor"}, {"data": "blobs", "data.classes": 5}, {"data": "whitened"},
    {"data": "teacher", "data.inputs": 300},
    {"data": "spirals", "data.limit": 30}, {"data": "whitened", "data.correlations": [0.5], "data.test_fraction": 0.25},
], ids=str)  # fmt: skip
def test_the_shape_of_drawn_examples_is_known_before_they_are_drawn(changes: dict[str, Any]) -> None:
    config = configuration(changes)
    announced, loaded = announced_shape(config), shape_of(dataset_of(config.data))
    assert announced is not None
    # A limit leaves out examples that were drawn nonetheless.
    assert announced._replace(drawn=loaded.drawn) == loaded
    assert announced.drawn == config.data.options["examples"]


def test_workers_and_stacks_are_as_many_as_memory_has_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    config = configuration({"training.steps": 10})
    batches = [[config] * 4] * 100
    monkeypatch.setattr(batching, "machine_memory", lambda: 64 * 10**9)
    many = batching.workers_that_fit(batches)
    monkeypatch.setattr(batching, "machine_memory", lambda: 10**9)
    assert batching.workers_that_fit(batches) == 1 < 100 < many
    densely_measured = configuration({"data": "iris", "training.steps": 100_000, "training.measure_at": 10**8})
    seldom_measured = configuration({"data": "iris", "training.steps": 100_000})
    assert batching.runs_per_batch(densely_measured) == 1 < batching.runs_per_batch(seldom_measured)
