"""The same sweep under every executor, chosen by configuration: the same numbers, each run exactly once."""

from pathlib import Path

import pytest

from analysis.audit import Audit
from tests.command_line import PROJECT
from tests.sweeps import SWEEP, audited, completed

pytestmark = pytest.mark.usefixtures("with_database")

FORGETFUL = """
from pipeline.executors.inline import InlineExecutor
class Forgetful(InlineExecutor):
    def __init__(self, room: int, *, times: int) -> None:
        super().__init__(room)
        self._times = times
    slots = 3
    def submit(self, batch):
        for _ in range(self._times):
            super().submit(batch)
"""


def test_a_class_of_the_users_own_trains_and_what_it_gives_back_twice_counts_once(
    tmp_path: Path, undisturbed: Audit
) -> None:
    (tmp_path / "mine.py").write_text(FORGETFUL, encoding="utf-8")
    chosen = ("executor=inline", "executor._target_=mine.Forgetful", "+executor.times=2")
    output = completed(tmp_path, *SWEEP, *chosen, PYTHONPATH=f"{tmp_path}:{PROJECT}")
    assert "3 at once" in output
    audited(tmp_path, like=undisturbed)
