"""Ctrl-C and SIGTERM: at once where nothing is lost by it, else when what must not be torn is done."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from threading import Timer

import pytest

from pipeline.system.signals import Interrupted, handle_signals, pause, raise_if_stopped, stop_at_once, stoppable
from tests.support.command_line import PROJECT

BOTH = pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])


def stoppable_calls(*calls: Callable[[], object]) -> None:
    with stoppable():
        for call in calls:
            call()


def sent(signum: signal.Signals = signal.SIGINT) -> None:
    os.kill(os.getpid(), signum)


@pytest.mark.usefixtures("handlers")
@BOTH
def test_a_signal_waits_for_the_end_of_what_must_not_be_torn(signum: signal.Signals, code: int) -> None:
    reached: list[str] = []
    with pytest.raises(Interrupted) as stopped:
        stoppable_calls(
            partial(sent, signum),
            partial(reached.append, "before"),
            partial(stoppable_calls, partial(reached.append, "inner")),
            partial(reached.append, "too late"),
        )
    assert reached == ["before", "inner"]
    assert stopped.value.exit_code == code


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize("asking", [raise_if_stopped, partial(pause, 30)])
def test_whoever_waits_or_begins_something_asks(asking: Callable[[], None]) -> None:
    stoppable_calls(asking) if asking is raise_if_stopped else None
    with pytest.raises(Interrupted):
        stoppable_calls(sent, asking, partial(pytest.fail, "asked in vain"))


@pytest.mark.usefixtures("handlers")
def test_what_loses_nothing_is_stopped_at_once() -> None:
    def long_wait() -> None:
        with stop_at_once():
            Timer(0.1, sent).start()
            time.sleep(30)

    with pytest.raises(Interrupted):
        stoppable_calls(long_wait)


@pytest.mark.usefixtures("handlers")
def test_a_second_signal_or_too_long_a_wait_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    reached: list[str] = []
    with pytest.raises(Interrupted):
        stoppable_calls(sent, partial(reached.append, "held back"), sent, partial(reached.append, "too late"))
    assert reached == ["held back"]


def hang_and_close(said: list[str]) -> None:
    try:
        sent()
        time.sleep(30)
        said.append("after the patience")
    finally:
        said.append("first")
        time.sleep(30)
        said.append("after the last patience")


@pytest.mark.usefixtures("handlers")
def test_what_is_still_to_be_done_ends_with_the_patience_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.system.signals.PATIENCE", 0.1)
    monkeypatch.setattr("pipeline.system.signals.LAST_PATIENCE", 0.1)
    said: list[str] = []
    with pytest.raises(Interrupted) as interrupted:
        stoppable_calls(partial(hang_and_close, said))
    assert said == ["first"]
    assert interrupted.value.exit_code == 130
    time.sleep(0.3)  # It comes no more.


@pytest.mark.usefixtures("handlers")
def test_handlers_are_put_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    with handle_signals(partial(pytest.fail, "ended")):
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_process_that_was_made_deaf_to_a_signal_stays_so(signum: signal.Signals) -> None:
    before = signal.signal(signum, signal.SIG_IGN)
    try:
        with handle_signals(partial(pytest.fail, "ended")):
            os.kill(os.getpid(), signum)
            time.sleep(0.1)
    finally:
        signal.signal(signum, before)


STUCK = """
import multiprocessing, signal, threading, time, weakref
from omegaconf import OmegaConf
from pipeline.system.command import run_command

def terminate(*_):
    signal.raise_signal({signum})

class Destroyed:
    def __del__(self):
        terminate()

class Referred: pass

def destroyed():
    Destroyed()

def referred():
    referred = Referred()
    reference = weakref.ref(referred, terminate)
    del referred

def omegaconf():
    value = "x"
    for _ in range(7):
        value = [value] * 6
    threading.Timer(0.2, signal.pthread_kill, (threading.get_ident(), {signum})).start()
    OmegaConf.create({{"key": value}})

def body():
    child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(600,))
    child.start()
    print(child.pid, flush=True)
    threading.Thread(target=time.sleep, args=(600,)).start()
    {where}()
    time.sleep(600)

run_command(body)
"""
"""Python drops what is raised in a destructor or the callback of a weak reference, and OmegaConf what is thrown into
the making of a list. Neither shall keep a command from ending."""


@BOTH
@pytest.mark.parametrize("where", ["terminate", "destroyed", "referred", "omegaconf"])
def test_a_command_that_is_stopped_ends_wherever_it_is_and_waits_neither_for_threads_nor_for_children(
    where: str, signum: int, code: int
) -> None:
    stopped = subprocess.run(
        [sys.executable, "-c", STUCK.format(signum=int(signum), where=where)],
        cwd=PROJECT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert (stopped.returncode, stopped.stderr) == (code, f"Stopped by {signal.Signals(signum).name}\n")
    with pytest.raises(ProcessLookupError):
        os.kill(int(stopped.stdout), 0)
