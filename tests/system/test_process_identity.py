"""Whether a process still lives, told by its host, pid and start time."""

import json
import os
import platform
import subprocess

from pipeline.system.process_identity import driver_of, is_another, is_gone, this_driver

ELSEWHERE = json.dumps(["another host", 1, "1"])


def test_a_process_that_has_ended_is_gone_though_nobody_has_asked_for_its_end() -> None:
    process = subprocess.Popen(["sleep", "600"])
    driver = driver_of(process.pid)
    assert (is_gone(driver), is_another(driver)) == (False, True)
    process.kill()
    # Waits for the end, but leaves it to be asked for.
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert (is_gone(driver), is_another(driver)) == (True, False)
    process.wait()
    for unknown in (None, "", ELSEWHERE, "a person", "5", json.dumps([platform.node(), [], ""])):
        assert (is_gone(unknown), is_another(unknown)) == (False, False)
    assert (is_gone(this_driver()), is_another(this_driver())) == (False, False)
