"""Ctrl-C and SIGTERM, where libraries lose them."""

import os
import signal
import subprocess
import sys
import time
import weakref
from collections.abc import Callable
from threading import Timer
from typing import Any

import pytest
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from pipeline.compose.resolve import resolved_alone, resolved_values
from pipeline.system import signals as interrupts
from pipeline.system.signals import Interrupted, interruptible, last_words, raise_interruption_behind, uninterrupted
from tests.support.command_line import PROJECT


def large_value() -> Any:
    """A value from which OmegaConf makes a configuration for seconds."""
    value: Any = "x"
    for _ in range(7):
        value = [value] * 6
    return value


def terminate_soon() -> None:
    Timer(0.2, os.kill, (os.getpid(), signal.SIGTERM)).start()


def test_an_interruption_that_omegaconf_turns_into_an_error_is_still_one() -> None:
    value = large_value()
    with interruptible():
        terminate_soon()
        with pytest.raises((OmegaConfBaseException, Interrupted)) as raised:
            OmegaConf.create({"key": value})
    with pytest.raises(Interrupted) as interrupted:
        raise_interruption_behind(raised.value)
    assert interrupted.value.exit_code == 143


def test_an_interruption_while_values_are_resolved_is_not_taken_for_a_value_that_refers() -> None:
    value = large_value()
    with interruptible():
        terminate_soon()
        with pytest.raises(Interrupted):
            resolved_alone("key", value)


def test_an_interruption_while_interpolations_are_resolved_is_not_taken_for_a_wrong_one() -> None:
    value = large_value()
    OmegaConf.register_new_resolver("large", lambda: OmegaConf.create(value))
    try:
        with interruptible():
            terminate_soon()
            with pytest.raises(Interrupted):
                resolved_values(OmegaConf.create({"key": "${large:}"}))
    finally:
        OmegaConf.clear_resolver("large")


def terminate(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGTERM)


class Destroyed:
    """Something whose destructor a signal comes into; Python drops what is raised there."""

    def __del__(self) -> None:
        terminate()


class Referred:
    """Something to refer to."""


def destroy() -> None:
    Destroyed()


def end_reference() -> None:
    referred = Referred()
    reference = weakref.ref(referred, terminate)
    del referred
    assert reference() is None


@pytest.mark.parametrize("terminated", [destroy, end_reference])
def test_an_interruption_that_python_drops_comes_again(terminated: Callable[[], None]) -> None:
    def terminated_and_waiting() -> None:
        terminated()
        time.sleep(30)

    with interruptible():
        with pytest.raises(Interrupted) as interrupted:
            terminated_and_waiting()
        time.sleep(0.1)  # It comes once.
    assert interrupted.value.exit_code == 143


def test_an_interruption_that_comes_again_waits_for_the_end_of_what_must_not_be_torn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(interrupts, "MOMENT", 1.0)
    reached = []

    def write() -> None:
        destroy()
        with uninterrupted():
            while interrupts._State.pending is None:
                time.sleep(0.01)
            reached.append("end")
        reached.append("after")

    with interruptible(), pytest.raises(Interrupted):
        write()
    assert reached == ["end"]


def test_the_last_words_after_an_interruption_end_with_the_patience_of_the_user(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(interrupts, "PATIENCE", 0.1)
    monkeypatch.setattr(interrupts, "LAST_PATIENCE", 0.1)
    said = []

    def stopped() -> None:
        try:
            terminate()
            time.sleep(30)
        except Interrupted as interruption:
            with last_words(interruption):
                said.append("first")
                time.sleep(30)
                said.append("after the patience")
            said.append("after the last words")

    with interruptible(), pytest.raises(Interrupted) as interrupted:
        stopped()
    assert said == ["first"]
    assert interrupted.value.exit_code == 143


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_process_that_was_made_deaf_to_a_signal_stays_so(signum: signal.Signals) -> None:
    before = signal.signal(signum, signal.SIG_IGN)
    try:
        with interruptible():
            os.kill(os.getpid(), signum)
            time.sleep(0.1)
    finally:
        signal.signal(signum, before)


STUCK = """
import multiprocessing, os, signal, sys, threading, time
from pipeline.system.command import run_command

def body():
    child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(600,))
    child.start()
    print(child.pid, flush=True)
    threading.Thread(target=time.sleep, args=(600,)).start()
    signal.raise_signal({signum})

run_command(body)
"""


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_command_that_is_stopped_waits_neither_for_threads_nor_for_children(signum: int, code: int) -> None:
    stopped = subprocess.run(
        [sys.executable, "-c", STUCK.format(signum=int(signum))],
        cwd=PROJECT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert (stopped.returncode, stopped.stderr) == (code, f"Stopped by {signal.Signals(signum).name}\n")
    with pytest.raises(ProcessLookupError):
        os.kill(int(stopped.stdout), 0)


def test_an_interruption_that_comes_again_too_early_is_not_dropped_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process may wait for its core between the alarm and the end of what has set it."""
    set_alarm = interrupts._set_alarm

    def set_and_stalled(seconds: float, signum: int) -> None:
        monkeypatch.setattr(interrupts, "_set_alarm", set_alarm)
        set_alarm(seconds, signum)
        deadline = time.monotonic() + 0.2
        while time.monotonic() < deadline:
            pass

    def destroyed_and_waiting() -> None:
        destroy()
        time.sleep(30)

    monkeypatch.setattr(interrupts, "_set_alarm", set_and_stalled)
    with interruptible(), pytest.raises(Interrupted):
        destroyed_and_waiting()


def test_other_errors_that_python_drops_are_still_told(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: told.append(unraisable.exc_value))
    error = ValueError("in a destructor")
    referred = Referred()

    def fail(_: object) -> None:
        raise error

    reference = weakref.ref(referred, fail)
    with interruptible():
        del referred
    assert reference() is None
    assert error in told  # Garbage of other tests may tell of itself too.
