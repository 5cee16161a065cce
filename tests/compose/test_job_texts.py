"""Folders and texts of jobs, against those of a plain Hydra application with Hydra's own sweeper and launcher."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import yaml
from hydra import initialize_config_dir
from hydra._internal.callbacks import Callbacks
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig

from pipeline.compose.cache import CachedComposition
from pipeline.compose.config_loader import ConfigLoader
from pipeline.compose.jobs import checked_configs, settled_jobs
from pipeline.errors import InputError
from pipeline.sweep.job_folder import JobFolders
from pipeline.sweep.resume import resumption
from pipeline.sweep.run_sweep import use_folder
from pipeline.tracking.sweeps import TrackedSweep
from pipeline.training.fingerprint import fingerprint
from tests.support.configurations import CONF
from tests.support.in_process import call

TEXTS = [
    "${hydra.job.num}",
    "n${hydra:job.num}",
    "${hydra.job.id}_${hydra:job.id}",
    "${hydra.job.override_dirname}",
    "${hydra.job.name}",
    "s${seed}",
    "${init.name}-${model.hidden_units}",
    "${hydra:runtime.choices.init}",
    "${hydra.runtime.choices.data}/${seed}",
    "at${hydra:runtime.cwd}",
    "${now:%Y}",
    "${oc.env:HOME_OF_TESTS}",
    "${oc.env:NO_${init.name},${hydra:runtime.choices.${oc.env:GROUP}}}",
    "literal",
]
JOBS = [["init=zeros", "seed=11"], ["init=constant", "seed=12"], ["+question={name: a}", "seed=13", "init=zeros"]]
QUIET = ["hydra/job_logging=none", "hydra/hydra_logging=none"]
FIRST = 5
"""The number of the first job: the sweep goes on."""


@pytest.fixture(autouse=True)
def place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("HOME_OF_TESTS", "ho me")
    monkeypatch.setenv("GROUP", "model")
    monkeypatch.chdir(tmp_path)
    yield
    HydraConfig.instance().cfg = None


def master_of(loader_type: type[ConfigLoaderImpl], *overrides: str) -> tuple[ConfigLoaderImpl, DictConfig]:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        loader = loader_type(GlobalHydra.instance().config_loader().get_search_path())
    return loader, loader.load_configuration("config", [*overrides, "hydra.mode=MULTIRUN"], RunMode.MULTIRUN)


def left_in(folder: Path) -> dict[str, list[object]]:
    """The folder of each job -> what Hydra keeps of its configuration and overrides there."""
    return {
        path.parent.relative_to(folder).as_posix(): [
            yaml.safe_load((path / name).read_text(encoding="utf-8")) for name in ("config.yaml", "overrides.yaml")
        ]
        for path in folder.rglob(".hydra")
    }


@pytest.mark.parametrize("text", TEXTS)
def test_folders_and_values_are_those_of_a_plain_application(text: str, tmp_path: Path) -> None:
    overrides = [f"hydra.sweep.subdir='{text}'", "hydra.job.config.override_dirname.exclude_keys=[title]"]
    title = text.replace("${hydra.", "${hydra:")  # The only form in which a job may read Hydra's section.
    jobs = [[*job, f"+title='{title}'"] for job in JOBS]

    loader, master = master_of(ConfigLoaderImpl, *overrides, *QUIET, "hydra.sweep.dir=plain")
    launcher, expected = BasicLauncher(), []
    context = HydraContext(config_loader=loader, callbacks=Callbacks())
    launcher.setup(
        hydra_context=context, task_function=lambda config: expected.append(str(config.title)), config=master
    )
    assert [job.return_value for job in launcher.launch(jobs, initial_job_idx=FIRST)] == [None] * len(jobs)

    loader, master = master_of(ConfigLoader, *overrides, "hydra.sweep.dir=elsewhere")
    (tmp_path / "own").mkdir()
    use_folder(master, tmp_path / "own")
    composition = CachedComposition(loader, master)
    folders = JobFolders(composition, str(tmp_path / "own"))
    found = []
    for number, job in enumerate(jobs, FIRST):
        folders.create(number, job)
        found.append(str(composition.values(number, job)["title"]))
    assert found == expected
    assert left_in(tmp_path / "own") == left_in(tmp_path / "plain")


def numbered(*jobs: list[str], before: Sequence[str] = ()) -> list[int]:
    """The numbers with which jobs are launched in a sweep that has some already."""
    composition = CachedComposition(*master_of(ConfigLoader))
    configs = checked_configs(composition, jobs)
    fingerprints = [fingerprint(config) for config in configs]
    begun = TrackedSweep("", tuple(before), "", finished=True)
    return [
        job.number for job in settled_jobs(composition, resumption(jobs, configs, fingerprints, begun, {}).remaining)
    ]


def test_a_value_may_be_the_number_of_its_job_as_long_as_there_is_one_such_number() -> None:
    jobs = [[f"init={name}", "data=iris", "seed='${hydra:job.num}'"] for name in ("zeros", "constant")]
    assert numbered(*jobs) == [0, 1]
    with pytest.raises(InputError, match=r"hydra.job.num: expected no value that depends on it, .* number 1 of"):
        numbered(*jobs, before=["another"])
    assert numbered(["seed=3", "data=iris", "experiment_name='x${hydra:job.num}'"], before=["another"]) == [1]


def test_all_jobs_have_one_time_under_any_launcher() -> None:
    jobs = [["seed=1", "experiment_name='${now:%f}'"], ["seed=2", "experiment_name='${now:%f}'"]]
    loader, master = master_of(ConfigLoader, "experiment_name='${now:%f}'")
    composition = CachedComposition(loader, master)
    (name,) = {composition.values(number, job)["experiment_name"] for number, job in enumerate(jobs)}
    assert loader.load_sweep_config(master, jobs[0]).experiment_name == name  # which is how other launchers compose


def test_a_sweep_that_goes_on_gives_each_job_its_own_folder(tmp_path: Path, with_database: None) -> None:
    sweep = [
        "-m", "model=mlp", "init=zeros", "optimizer.learning_rate=0.1", "data=iris", "training.steps=1",
        "executor=inline", "hydra.sweep.subdir=s${seed}", "experiment_name=${hydra:runtime.choices.model}",
    ]  # fmt: skip
    for seeds in ("11,12", "11,12,13,14"):
        completed = call("pipeline.run", *sweep, f"seed={seeds}", folder=tmp_path)
        assert completed.returncode == 0, completed.stderr
    assert "2 already tracked, 2 to train" in completed.stdout
    (folder,) = tmp_path.glob("multirun/*/*")
    assert sorted(left_in(folder)) == ["s11", "s12", "s13", "s14"]
