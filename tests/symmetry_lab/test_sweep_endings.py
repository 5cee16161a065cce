"""How a sweep called from Python ends: one clean exception, and a process that is left as it was."""

import gc
import logging
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import hydra._internal.hydra as hydra_main
import mlflow
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
from tests.symmetry_lab.test_sweep import ONE

pytestmark = pytest.mark.usefixtures("here")


@pytest.fixture
def foreign_state(here: Path) -> Iterator[None]:
    """What a notebook may have set up, after a first sweep (it loads the pipeline, and starts tqdm's monitor)."""
    sweep(*ONE, track=False)
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
