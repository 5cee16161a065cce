"""Ctrl-C and SIGTERM, where libraries lose them."""

import os
import signal
from threading import Timer
from typing import Any

import pytest
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from pipeline.composition import resolved_alone, resolved_values
from pipeline.interrupts import Interrupted, interruptible, raise_interruption_behind


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
