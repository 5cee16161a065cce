"""A command whose output goes nowhere does its work all the same, and says in one line what was lost."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command_line import PROJECT

WORK = """
import os, sys
from pathlib import Path
from pipeline.system.command import run_command
def body():
    print("a message " * 2000)
    with Path("results").open("w") as results:  # With the number of the output, if that was left closed.
        print("another", file=sys.stderr, flush=True)
        print("a third", flush=True)
        results.write("done")
    print(os.fsdecode(b"not UTF-8 %c" % 255), "\\N{GREEK SMALL LETTER ALPHA}")
    sys.exit(END)
run_command(body)
"""
FULL = Path("/dev/full")


@pytest.mark.skipif(not FULL.exists(), reason="this system has no device that is always full")
@pytest.mark.parametrize(("end", "code", "words"), [("0", 0, ""), ("3", 3, ""), ("'a mistake'", 1, "a mistake\n")])
@pytest.mark.parametrize("redirection", [">&-", ">/dev/full", "2>&-", "2>/dev/full", "<&- >&- 2>&-", "| :", ">out"])
def test_the_work_is_done_and_the_exit_code_is_right(
    redirection: str, end: str, code: int, words: str, tmp_path: Path
) -> None:
    completed = subprocess.run(
        ["bash", "-o", "pipefail", "-c", f'"$0" -c "$1" {redirection}', sys.executable, WORK.replace("END", end)],
        cwd=tmp_path,
        env={"PYTHONPATH": str(PROJECT), "PYTHONIOENCODING": "ascii", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (tmp_path / "results").read_text(encoding="utf-8") == "done"
    is_lost = redirection == ">/dev/full" and code == 0
    assert completed.returncode == (1 if is_lost else code)
    if "2>" not in redirection:
        lost = "standard output: No space left on device; the work was done all the same\n"
        assert completed.stderr == "another\n" + (lost if is_lost else words)
