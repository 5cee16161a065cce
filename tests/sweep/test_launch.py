"""The stacked launcher: Hydra's own suites, its conventions, and the same bits as the basic launcher."""

import re
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.test_utils.launcher_common_tests import IntegrationTestSuite, LauncherTestSuite
from hydra.version import VersionBase
from packaging.version import Version

from pipeline.training.batching import batches_of, runs_per_batch
from pipeline.training.stack import stack_key
from tests.support.command_line import PROJECT, command
from tests.support.configurations import configuration
from tests.support.in_process import call


@pytest.fixture
def as_if_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    """The suite assumes that no application has set Hydra's version base, as this project's does on import."""
    monkeypatch.setattr(VersionBase.instance(), "version_base", Version("1.1"))


@pytest.mark.usefixtures("as_if_unset")
@pytest.mark.filterwarnings("ignore::UserWarning")  # of the suites' own configurations
@pytest.mark.parametrize(("launcher_name", "overrides"), [("stacked", [])])
class TestHydrasLauncherSuite(LauncherTestSuite):
    """A task function that is not this project's runs as under the basic launcher."""


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    ("task_launcher_cfg", "extra_flags"),
    [({}, ["-m", "hydra/job_logging=hydra_debug", "hydra/job_logging=disabled", "hydra/launcher=stacked"])],
)
class TestHydrasIntegrationSuite(IntegrationTestSuite):
    """Whole applications under this launcher."""


def test_hydra_finds_the_launcher() -> None:
    # By name: Hydra loads the modules of plugins anew.
    assert "StackedLauncher" in [plugin.__name__ for plugin in Plugins.instance().discover(Launcher)]


def test_other_applications_do_not_load_the_project_to_find_its_plugins(tmp_path: Path) -> None:
    (tmp_path / "application.py").write_text(
        "import sys\n"
        "from hydra.core.plugins import Plugins\n"
        "from hydra.plugins.launcher import Launcher\n"
        "assert 'StackedLauncher' in [plugin.__name__ for plugin in Plugins.instance().discover(Launcher)]\n"
        "print([name for name in ('pipeline', 'numpy', 'sklearn', 'mlflow') if name in sys.modules])\n",
        encoding="utf-8",
    )
    completed = command("application", folder=tmp_path, PYTHONPATH=f"{tmp_path}:{PROJECT}")
    assert completed.stdout == "[]\n"


SWEEP = [
    "-m", "model=logistic,mlp", "init=normal", "optimizer.learning_rate=0.5,1e300", "seed=0,1",
    "data=iris", "training.steps=20", "training.batch_size=8", "hydra.sweep.dir=out put",
]  # fmt: skip
JOBS = 8
DIVERGED = 4


def tracked(folder: Path) -> dict[str, dict[str, object]]:
    """Fingerprint -> params, metric rows, tags and files of a run; without ids, times, the parent and the process."""
    with sqlite3.connect(folder / "mlflow.db") as connection:

        def pairs(table: str, run: str) -> dict[str, Any]:
            return dict(connection.execute(f"SELECT key, value FROM {table} WHERE run_uuid = ?", (run,)))

        found = {}
        for run, name, status, artifacts in connection.execute("SELECT run_uuid, name, status, artifact_uri FROM runs"):
            tags = pairs("tags", run)
            if "mlflow.parentRunId" not in tags:
                continue
            del tags["mlflow.parentRunId"], tags["driver"]
            rows = connection.execute("SELECT key, step, value, is_nan FROM metrics WHERE run_uuid = ?", (run,))
            files = {path.name: path.read_bytes() for path in Path(artifacts.removeprefix("file://")).iterdir()}
            found[tags["fingerprint"]] = {
                "name": name,
                "status": status,
                "params": pairs("params", run),
                "latest": pairs("latest_metrics", run),
                "metrics": sorted(rows),
                "tags": tags,
                "files": files,
            }
    return found


@pytest.fixture(scope="module")
def stacked(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Path:
    folder = tmp_path_factory.mktemp("stacked")
    shutil.copy(empty_database, folder / "mlflow.db")
    completed = call("pipeline.run", *SWEEP, folder=folder)
    assert completed.returncode == 0, completed.stderr
    assert re.search(f"{JOBS}/{JOBS} jobs: best loss .*, 0 failed, {DIVERGED} diverged", completed.stdout)
    return folder


@pytest.mark.usefixtures("with_database")
@pytest.mark.parametrize("launcher", ["basic", pytest.param("joblib", marks=pytest.mark.slow)])
def test_another_launcher_tracks_the_same_bits(stacked: Path, tmp_path: Path, launcher: str) -> None:
    if launcher == "joblib":
        pytest.importorskip("hydra_plugins.hydra_joblib_launcher", reason="needs: pip install hydra-joblib-launcher")
    completed = call("pipeline.run", *SWEEP, f"hydra/launcher={launcher}", folder=tmp_path)
    assert completed.returncode == 0, completed.stderr
    expected = tracked(tmp_path)
    assert len(expected) == JOBS
    assert sum(run["tags"]["diverged"] == "true" for run in expected.values()) == DIVERGED  # type: ignore[index]
    assert tracked(stacked) == expected
    for number in range(JOBS):
        one, other = (folder / "out put" / str(number) / ".hydra" for folder in (stacked, tmp_path))
        for name in ("config.yaml", "overrides.yaml"):
            assert yaml.safe_load((one / name).read_text()) == yaml.safe_load((other / name).read_text())
        assert hydra_section(one, stacked) == hydra_section(other, tmp_path)


def hydra_section(folder: Path, root: Path) -> object:
    """``hydra.yaml`` without what tells the two sweeps apart: their folder, their launcher, and its form of an id."""
    text = (folder / "hydra.yaml").read_text(encoding="utf-8").replace(str(root), "ROOT")
    section = yaml.safe_load(text)["hydra"]
    del section["launcher"], section["job"]["id"]
    section["runtime"]["choices"].pop("hydra/launcher")
    section["overrides"]["hydra"] = [each for each in section["overrides"]["hydra"] if "launcher" not in each]
    return section


def test_every_job_has_a_log_and_the_sweep_has_its_file(stacked: Path) -> None:
    logs = [(stacked / "out put" / str(number) / "run.log").read_text().splitlines() for number in range(JOBS)]
    assert all(len(lines) == 1 and "][pipeline.sweep.job][INFO] - " in lines[0] for lines in logs)
    assert "diverged at step" in logs[2][0]
    assert (stacked / "out put" / "multirun.yaml").is_file()
    assert not (stacked / "out put" / "curves").exists()


CALLBACK = """
from hydra.experimental.callback import Callback
from hydra.core.hydra_config import HydraConfig
class Told(Callback):
    def on_job_start(self, config, **kwargs):
        print("start", config.hydra.job.num, HydraConfig.get().job.num, kwargs["task_function"].__name__)
    def on_job_end(self, config, job_return, **kwargs):
        print("end", config.hydra.job.num, job_return.status.name, job_return.overrides[-1], job_return.cfg.seed,
              job_return.hydra_cfg.hydra.job.num, round(job_return.return_value, 3))
    def on_multirun_end(self, config, **kwargs):
        print("multirun end")
"""


@pytest.mark.usefixtures("with_database")
def test_callbacks_are_told_of_every_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "told.py").write_text(CALLBACK, encoding="utf-8")
    completed = call(
        "pipeline.run", "-m", "seed=4,5", "training.steps=1", "init=zeros", "model=mlp", "optimizer.learning_rate=0.1",
        "+hydra.callbacks.told._target_=told.Told", folder=tmp_path,
    )  # fmt: skip
    assert completed.returncode == 0, completed.stderr
    lines = [line for line in completed.stdout.splitlines() if line.startswith(("start", "end", "multirun"))]
    assert sorted(lines) == [
        "end 0 COMPLETED training.steps=1 4 0 2.303",
        "end 1 COMPLETED training.steps=1 5 1 2.303",
        "multirun end",
        "start 0 0 run",
        "start 1 1 run",
    ]


def test_batches_share_a_stack_and_fit_the_cache() -> None:
    models = [{"model": "mlp", "model.hidden_units": [4]}, {"model": "mlp", "model.hidden_units": [8]}]
    configs = [configuration({**models[number % 2], "seed": number}) for number in range(100)]
    batches = batches_of(configs, workers=2)
    assert sorted(position for batch in batches for position in batch) == list(range(100))
    assert batches == sorted(batches)
    for batch in batches:
        assert len({stack_key(configs[position]) for position in batch}) == 1
        assert len(batch) <= min(25, runs_per_batch(configs[batch[0]]))
    assert len(batches_of(configs[:1], workers=8)) == 1
