"""A sweep called from Python: the command's own code, one clean exception, and a process that is left as it was."""

import asyncio
import gc
import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import hydra._internal.hydra as hydra_main
import mlflow
import pandas as pd
import pytest
from hydra import version
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobRuntime
from omegaconf import OmegaConf

from pipeline.compose.session import open_hydra
from pipeline.config.schema import Config
from pipeline.executors import batch
from pipeline.training.stack import RunResult, train_stack
from symmetry_lab import FailedJobsError, InputError, sweep
from tests.support.command_line import PROJECT
from tests.support.in_process import as_a_new_process, call
from tests.support.sweeps import clean_environment

SWEEP = (
    *("model=logistic,mlp", "init=zeros,he_normal", "optimizer.learning_rate=0.1,1e300", "seed=range(2)", "data=iris"),
    *("training.steps=5", "executor=inline"),
)
ONE = ("model=mlp", "init=zeros", "optimizer.learning_rate=0.1", "seed=0", "data=iris", "training.steps=2")
STORED = ["run_id", "name", "start_time", "parent"]
"""What depends on the sweep that has trained a run."""


@pytest.fixture(autouse=True)
def here(tmp_path: Path) -> Iterator[Path]:
    with as_a_new_process(tmp_path, {}):
        yield tmp_path


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


@pytest.fixture
def foreign_state() -> Iterator[None]:
    """What a notebook may have set up itself."""
    with open_hydra():
        version.setbase("1.2")
        HydraConfig.instance().cfg = OmegaConf.create({"hydra": {"job": {"name": "theirs"}}})
        JobRuntime.instance().set("name", "theirs")
        handler = logging.StreamHandler()
        logging.getLogger().addHandler(handler)
        signal.signal(signal.SIGTERM, lambda *_: None)
        signal.signal(signal.SIGALRM, lambda *_: None)
        signal.setitimer(signal.ITIMER_REAL, 1000)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            logging.getLogger().removeHandler(handler)


def state() -> dict[str, Any]:
    root = logging.getLogger()
    return {
        "cwd": Path.cwd(),
        "environment": dict(os.environ),
        "hydra": (GlobalHydra.instance().hydra, HydraConfig.instance().cfg, version.getbase()),
        "job": JobRuntime.instance().get("name"),
        "loader": hydra_main.ConfigLoaderImpl,
        "handlers": [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)],
        "alarm": signal.getitimer(signal.ITIMER_REAL)[0] > 900,
        "logging": (root.level, root.handlers[:], [each.level for each in root.handlers]),
        "disabled": {name for name, each in root.manager.loggerDict.items() if getattr(each, "disabled", False)},
        "mlflow": (mlflow.get_tracking_uri(), mlflow.active_run()),
        "gc": gc.get_threshold(),
        "argv": sys.argv[:],
        "streams": (sys.stdout, sys.stderr),
        "main": sys.modules["__main__"],
        "children": multiprocessing.active_children(),
    }


@pytest.mark.usefixtures("with_database", "foreign_state")
def test_the_process_is_left_as_it_was() -> None:
    os.environ |= {"MLFLOW_EXPERIMENT_NAME": "mine", "MLFLOW_EXPERIMENT_ID": ""}
    before, threads = state(), threading.enumerate()
    for track in (True, False):
        sweep(*ONE, track=track)
        assert state() == before
        assert [each for each in threading.enumerate() if each not in threads] == []
    for wrong in ("lr=1", "init=foo", "seed=-1"):
        with pytest.raises(InputError):
            sweep(wrong)
        assert state() == before


WRONG = {
    "an unknown key": (("lr=1",), "lr: no such key (did you mean optimizer.learning_rate?)"),
    "an unknown option": (("init=zero",), "init: expected one of constant, "),
    "a wrong value": (("seed=abc",), "seed: expected a whole number >= 0, got 'abc' (in job: "),
    "not a key": (("model",), "'model': expected model=OPTION"),
    "a flag": (("-m",), "sweep: expected texts such as 'model=mlp' or 'seed=range(5)', got '-m'"),
    "no text": (({"seed": 0},), "sweep: expected texts such as "),
    "a list of options": (("init=[zeros,normal]",), "init: expected one option, got the list"),
    "a plan": (("plan=true",), "plan: expected false "),
    "a launcher": (("hydra/launcher=basic",), "hydra/sweeper, hydra/launcher: expected symmetry and stacked"),
    "a decimal comma": (("optimizer.learning_rate=0,1",), "optimizer.learning_rate: expected a number > 0, got 0"),
    "an incomplete option": (("data=csv",), "data.path: expected text, got nothing"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_mistake_is_one_line(name: str) -> None:
    overrides, line = WRONG[name]
    with pytest.raises(InputError) as raised:
        sweep(*overrides, track=False)  # type: ignore[arg-type]
    assert str(raised.value).startswith(line)
    assert "\n" not in str(raised.value)
    assert raised.value.__suppress_context__ or raised.value.__context__ is None


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


@pytest.mark.parametrize("track", [True, False])
def test_jobs_that_raise_leave_those_that_do_not(
    monkeypatch: pytest.MonkeyPatch, with_database: None, track: bool
) -> None:
    def train_others(configs: Sequence[Config], *digest: Any) -> list[RunResult]:
        if any(config.seed == 1 for config in configs):
            raise ZeroDivisionError("seed 1 is broken")
        return train_stack(configs, *digest)

    monkeypatch.setattr(batch, "train_stack", train_others)
    with pytest.raises(FailedJobsError, match=r"1 of 3 jobs failed:\n.*ZeroDivisionError: seed 1 is broken") as raised:
        sweep(*ONE[:3], "seed=0,1,2", *ONE[4:], "executor=inline", track=track)
    assert list(raised.value.finished["seed"]) == [0, 2]
    assert len(raised.value.finished.curves("loss/train")) == 6


@pytest.mark.usefixtures("with_database")
def test_ctrl_c_stops_it_and_the_same_call_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def train_until_stopped(configs: Sequence[Config], *digest: Any) -> list[RunResult]:
        if configs[0].model.name == "mlp":
            os.kill(os.getpid(), signal.SIGINT)
        return train_stack(configs, *digest)

    before = state()
    with monkeypatch.context() as patch:
        patch.setattr(batch, "train_stack", train_until_stopped)
        with pytest.raises(KeyboardInterrupt, match="SIGINT"):
            sweep("model=logistic,mlp", *ONE[1:], "executor=inline")
    assert state() == before
    caplog.set_level(logging.INFO)
    assert len(sweep("model=logistic,mlp", *ONE[1:], "executor=inline")) == 2
    assert "2 jobs: 1 already tracked, 1 to train" in caplog.text


def test_a_data_file_is_read_anew(here: Path) -> None:
    (here / "mine.csv").write_text("a,label\n0,x\n1,y\n2,x\n3,y\n", encoding="utf-8")
    mine = ("data=csv", "data.path=mine.csv", "data.target=label", "data.test_fraction=0", "training.batch_size=null")
    mine = (*mine, *ONE[:4], "training.steps=1")
    first = sweep(*mine, track=False)
    (here / "mine.csv").write_text("a,label\n0,x\n5,y\n2,x\n3,y\n", encoding="utf-8")
    assert first["data.digest"][0] != sweep(*mine, track=False)["data.digest"][0]


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
from symmetry_lab import sweep

runs = sweep("model=mlp", "init=zeros", "model.hidden_units=[2],[3]", "data=iris", "seed=0,1", "training.steps=5",
             "optimizer.learning_rate=0.1", "executor.workers=2", track=False)
print(len(runs.curves("loss/train")))
"""


@pytest.mark.slow
def test_a_script_needs_no_guard_around_what_it_does(here: Path) -> None:
    (here / "script.py").write_text(SCRIPT, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=here, env=clean_environment() | {"PYTHONPATH": str(PROJECT)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "24\n", "")
