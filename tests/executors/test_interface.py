"""The same sweep under every executor, chosen by configuration: the same numbers, each run exactly once."""

import shutil
import tempfile
from pathlib import Path

import pytest

from analysis.audit import Audit, differences
from tests.support.slurm_cluster import missing_programs, slurm_cluster
from tests.support.sweeps import JOBS, SWEEP, audited, completed, completed_apart

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
    tmp_path: Path, undisturbed: Audit, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.py").write_text(FORGETFUL, encoding="utf-8")
    chosen = ("executor=inline", "executor._target_=mine.Forgetful", "+executor.times=2")
    monkeypatch.syspath_prepend(tmp_path)
    output = completed(tmp_path, *SWEEP, *chosen)
    assert "3 at once" in output
    audited(tmp_path, like=undisturbed)


@pytest.mark.parametrize(
    ("sweep", "jobs"),
    [
        pytest.param(SWEEP, JOBS, marks=pytest.mark.slow, id="small"),
        pytest.param(("-m",), 210, marks=pytest.mark.soak, id="default"),
    ],
)
def test_a_sweep_has_the_same_metrics_under_all_four_executors(
    tmp_path: Path, empty_database: Path, sweep: tuple[str, ...], jobs: int
) -> None:
    pytest.importorskip("dask_jobqueue", reason="needs: pip install dask-jobqueue")
    if missing := missing_programs():
        pytest.skip(f"needs Slurm (slurm-wlm, munge), found no {', '.join(missing)}")
    audits = {}
    with tempfile.TemporaryDirectory(prefix="slurm-") as nodes, slurm_cluster(Path(nodes)) as cluster:
        for executor in ("processes", "inline", "dask", "slurm"):
            own = ("executor.interface=lo",) if executor == "slurm" else ()
            folder = tmp_path / executor
            folder.mkdir()
            shutil.copy(empty_database, folder / "mlflow.db")
            completed_apart(folder, *sweep, f"executor={executor}", *own, **cluster.environment)
            audits[executor] = audited(folder, jobs=jobs)
    for executor, audit in audits.items():
        assert differences(audit, audits["processes"]) == [], executor
