"""A sweep called from Python: the command's own runs, from any thread, folder and script."""

import asyncio
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from symmetry_lab import sweep
from tests.support.command_line import PROJECT
from tests.support.in_process import call
from tests.support.sweeps import clean_environment

pytestmark = pytest.mark.usefixtures("here")

SWEEP = (
    *("model=logistic,mlp", "init=zeros,he_normal", "optimizer.learning_rate=0.1,1e300", "seed=range(2)", "data=iris"),
    *("training.steps=5", "executor=inline"),
)
ONE = ("model=mlp", "init=zeros", "optimizer.learning_rate=0.1", "seed=0", "data=iris", "training.steps=2")
STORED = ["run_id", "name", "start_time", "parent"]
"""What depends on the sweep that has trained a run."""


def plain(frame: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(frame.drop(columns=STORED))


@pytest.mark.usefixtures("with_database")
def test_it_returns_what_the_command_tracks_and_goes_on_with_it(here: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert call("pipeline.run", "-m", *SWEEP[:3], "seed=0", *SWEEP[4:], folder=here).returncode == 0
    caplog.set_level(logging.INFO)
    tracked = sweep(*SWEEP)
    assert "16 jobs: 8 already tracked, 8 to train" in caplog.text
    assert list(tracked["seed"]) == [0, 1] * 8  # The order of the jobs, not of the training.
    caplog.clear()
    pd.testing.assert_frame_equal(tracked, sweep(*SWEEP))
    assert "16 already tracked, 0 to train" in caplog.text
    untracked = sweep(*SWEEP, track=False)
    pd.testing.assert_frame_equal(plain(tracked), plain(untracked))
    pd.testing.assert_frame_equal(tracked.curves(), untracked.curves())
    for row in (0, 15):
        for ours, theirs in zip(tracked.weights(row), untracked.weights(row), strict=True):
            assert all((one.weights == other.weights).all() for one, other in zip(ours, theirs, strict=True))


def test_untracked_it_writes_nothing(here: Path) -> None:
    assert len(sweep(*SWEEP, track=False)) == 16
    assert list(here.iterdir()) == []


def in_a_thread(function: Callable[[], Any]) -> Any:
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(function())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found[1]


def in_a_running_loop(function: Callable[[], Any]) -> Any:
    async def cell() -> Any:
        return function()

    return asyncio.run(cell())


@pytest.mark.usefixtures("with_database")
@pytest.mark.parametrize(("caller", "track"), [(in_a_thread, True), (in_a_running_loop, False)])
def test_threads_and_running_event_loops_may_call_it(caller: Callable[..., Any], track: bool) -> None:
    expected = sweep(*ONE, track=False)
    pd.testing.assert_frame_equal(plain(caller(lambda: sweep(*ONE, track=track))), plain(expected))


def test_a_data_file_is_read_anew(here: Path) -> None:
    (here / "mine.csv").write_text("a,label\n0,x\n1,y\n2,x\n3,y\n", encoding="utf-8")
    mine = ("data=csv", "data.path=mine.csv", "data.target=label", "data.test_fraction=0", "training.batch_size=null")
    mine = (*mine, *ONE[:4], "training.steps=1")
    first = sweep(*mine, track=False)
    (here / "mine.csv").write_text("a,label\n0,x\n5,y\n2,x\n3,y\n", encoding="utf-8")
    assert first["data.digest"][0] != sweep(*mine, track=False)["data.digest"][0]


@pytest.mark.slow
def test_each_working_folder_has_its_own_store(here: Path, empty_database: Path) -> None:
    frames = {}
    for name in ("one", "other"):
        (here / name).mkdir()
        (here / name / "mlflow.db").write_bytes(empty_database.read_bytes())
        os.chdir(here / name)
        frames[name] = sweep(*ONE)
        assert len([*(here / name / "mlruns").rglob("weights.npz")]) == 1
    os.chdir(here)
    assert frames["one"]["run_id"][0] != frames["other"]["run_id"][0]
    for frame in frames.values():
        assert frame.weights(0).final[0].weights.shape == (4, 32)
        assert len(frame.curves("loss/train")) == 3


SCRIPT = """
from hydra import version
base = version.VersionBase().version_base
from symmetry_lab import sweep

runs = sweep("model=mlp", "init=zeros", "model.hidden_units=[2],[3]", "data=iris", "seed=0,1", "training.steps=5",
             "optimizer.learning_rate=0.1", "executor.workers=2", track=False)
print(len(runs.curves("loss/train")), version.VersionBase().version_base is base)
"""


@pytest.mark.slow
def test_a_script_needs_no_guard_around_what_it_does_and_keeps_its_hydra(here: Path) -> None:
    (here / "script.py").write_text(SCRIPT, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=here, env=clean_environment() | {"PYTHONPATH": str(PROJECT)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "24 True\n", "")
